"""The ensemble: weights against another optimiser, places that must be earned, exact reasons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from simulated_panel import make_panel

from riskwright.errors import InputRefused
from riskwright.systems.market.ensemble import REACH, combine, posterior, reasons
from riskwright.systems.market.walk import walk

MONTHS = pd.period_range("1900-01", periods=720, freq="M", name="origin")


def forecasts_of(
    anchor: float, other: float, *, seed: int = 0, rows: int = 720
) -> tuple[pd.DataFrame, pd.Series]:
    """Return forecasts of one month whose anchor and other family know so much of the signal."""
    rng = np.random.default_rng(seed)
    signals = rng.normal(0, 0.01, (rows, 2))
    frame = pd.DataFrame(
        {
            "actual": 0.005 + signals.sum(axis=1) + rng.normal(0, 0.03, rows),
            "mean": 0.005,
            "combination_ct": 0.005 + anchor * signals[:, 0] + rng.normal(0, 0.002, rows),
            "other": 0.005 + other * signals[:, 1] + rng.normal(0, 0.002, rows),
        },
        MONTHS[:rows],
    )
    return frame, pd.Series(frame.index.shift(1), frame.index)


def combined(frame: pd.DataFrame, known: pd.Series, **changes: Any) -> Any:
    asked = {"model": "m1", "horizon": 1, "members": ["other"], **changes}
    return combine(frame, known, **asked)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    members=st.integers(1, 4),
    horizon=st.sampled_from([1, 12]),
    weight=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_the_weights_are_the_constrained_minimum(
    seed: int, members: int, horizon: int, weight: float
) -> None:
    rng = np.random.default_rng(seed)
    away = rng.normal(0, rng.uniform(0.3, 3, members), (200, members))
    surprise = away @ rng.uniform(-0.5, 1.0, members) + rng.normal(0, 3, 200)
    found = posterior(away, surprise, horizon, weight)

    sizes = np.sqrt((away**2).mean(axis=0) / (away[:, 0] ** 2).mean())
    start = np.eye(members)[0] * weight

    def loss(w: np.ndarray) -> float:
        miss = ((surprise - away @ w) ** 2).sum() / horizon / (surprise**2).mean()
        return float(miss + (((w - start) * sizes / REACH) ** 2).sum())

    other = minimize(
        loss,
        np.full(members, 0.5 / members),
        bounds=[(0, 1)] * members,
        constraints={"type": "ineq", "fun": lambda w: 1 - w.sum()},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert found.min() >= 0
    assert found.sum() <= 1 + 1e-9
    assert loss(found) <= other.fun + 1e-6 * abs(other.fun)


def test_without_evidence_it_is_the_anchor() -> None:
    frame, known = forecasts_of(1.0, 0.0)
    found = combined(frame, known, learn_after=10_000)
    pd.testing.assert_series_equal(found.forecast, frame["combination_ct"], check_names=False)
    assert found.weights.iloc[-1].to_dict() == {"combination_ct": 1.0, "other": 0.0}


def test_a_family_without_information_never_gets_in() -> None:
    weights = [combined(*forecasts_of(1.0, 0.0, seed=seed)).weights for seed in range(20)]
    joined = [w["other"].iloc[-1] > 0 for w in weights]
    assert sum(joined) <= 4  # 5 % of 20, and what a binomial count allows beyond
    assert min(w["combination_ct"].iloc[-1] for w in weights) > 0.8


def test_a_family_that_knows_something_earns_a_place() -> None:
    weights = combined(*forecasts_of(1.0, 1.0)).weights
    assert weights["other"].iloc[120:].max() > 0.3
    assert weights["other"].iloc[:120].max() == 0
    assert weights.sum(axis=1).max() <= 1 + 1e-9


def test_an_anchor_that_knows_nothing_is_shrunk_to_the_mean() -> None:
    frame, known = forecasts_of(0.0, 0.0)
    frame["combination_ct"] += np.random.default_rng(4).normal(0, 0.02, len(frame))
    found = combined(frame, known)
    assert found.weights["combination_ct"].iloc[-1] < 0.2
    errors = frame[["combination_ct"]].assign(found=found.forecast).sub(frame["actual"], axis=0)
    later = (errors.iloc[360:] ** 2).mean()
    assert later["found"] < later["combination_ct"]


def test_weights_move_in_december_and_know_no_future() -> None:
    frame, known = forecasts_of(1.0, 1.0)
    known = known.index.shift(12).to_series(index=known.index)
    found = combined(frame, known, horizon=12)
    moved = found.weights["combination_ct"].diff().fillna(0) != 0
    assert set(moved.index[moved].month) == {12}
    origin = MONTHS[500]
    other = frame.copy()
    other.loc[known > origin, "actual"] = 9.0
    other.loc[other.index > origin, ["combination_ct", "other"]] = -3.0
    again = combined(other, known, horizon=12)
    pd.testing.assert_frame_equal(
        found.weights.loc[:origin], again.weights.loc[:origin], check_exact=True
    )
    december = next(month for month in MONTHS[501:] if month.month == 12)
    assert (found.weights.loc[december] != again.weights.loc[december]).any()


def test_its_own_trial_is_told() -> None:
    trial = combined(*forecasts_of(1.0, 0.0)).trial
    assert (trial["model"], trial["family"]) == ("m1", "ensemble")
    assert trial["params"]["members"] == ["combination_ct", "other"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"members": ["othr"]}, "needs the forecasts of 'othr'"),
        ({"weight": 1.5}, "the anchor's weight is 1.5"),
    ],
)
def test_what_cannot_be_combined_is_refused(changes: dict, words: str) -> None:
    with pytest.raises(InputRefused, match=words):
        combined(*forecasts_of(1.0, 0.0), **changes)


def test_reasons_sum_to_the_distance_from_the_mean() -> None:
    panel = make_panel()
    members = ["ridge", "pls", "xgboost"]
    rules: dict[str, Any] = {"min_train": 130, "embargo": 2, "seed": 5, "refit": {"pls": 6}}
    found = walk(panel, "m3", ["mean", "combination_ct", *members], **rules).forecasts
    weights = pd.DataFrame(
        {"combination_ct": 0.4, "ridge": 0.2, "pls": 0.1, "xgboost": 0.2}, found.index
    ).iloc[-30:]
    told = reasons(panel, "m3", weights, **rules)
    away = found[list(weights)].sub(found["mean"], axis=0).loc[weights.index]
    np.testing.assert_allclose(told.sum(axis=1), (away * weights).sum(axis=1), atol=1e-12)
    assert list(told) == ["value", "rate", "noise", "rest"]


def test_reasons_of_the_anchor_name_the_predictors_alone() -> None:
    panel = make_panel()
    weights = pd.DataFrame({"combination_ct": 0.9, "ridge": 0.0}, panel.X.index[-3:])
    told = reasons(panel, "m3", weights, min_train=130)
    lines = walk(panel, "m3", ["mean", "ct"], min_train=130).forecasts.iloc[-3:]
    for name in ("value", "rate", "noise"):
        expected = 0.9 * (lines[f"ct:{name}"] - lines["mean"]) / 3
        np.testing.assert_allclose(told[name], expected, atol=1e-12)
    assert not told["rest"].any()


def test_reasons_are_for_origins_of_the_walk() -> None:
    panel = make_panel()
    for month in ("1951-01", "2030-01"):
        weights = pd.DataFrame({"combination_ct": 1.0}, pd.PeriodIndex([month], freq="M"))
        with pytest.raises(InputRefused, match=f"{month} is no origin of the walk"):
            reasons(panel, "m3", weights, min_train=130)
