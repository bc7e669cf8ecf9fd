"""The families: against closed forms and other libraries, and their parts against their sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_panel import make_panel
from sklearn.base import clone, is_regressor
from sklearn.cross_decomposition import PLSRegression
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.utils import estimator_checks as checks

from riskwright.errors import InputRefused
from riskwright.systems.market.case_sections import market_schema
from riskwright.systems.market.families import (
    PLS,
    Family,
    KitchenSink,
    Mean,
    Ridge,
    Single,
    XGBoost,
)
from riskwright.systems.market.learnt import FEWEST, TAIL, Past, _medians
from riskwright.systems.market.refit_schedule import make_schedule
from riskwright.systems.market.walk import make_family

CHECKS = [
    checks.check_estimator_cloneable,
    checks.check_estimator_repr,
    checks.check_no_attributes_set_in_init,
    checks.check_do_not_raise_errors_in_init_or_set_params,
    checks.check_get_params_invariance,
    checks.check_set_params,
]
NAMES = ("up", "down", "other")
SCHEMA = market_schema(NAMES, {"up": 1, "down": -1})
TURNED = market_schema(NAMES, {"up": -1, "down": 1})
TREES = {"max_depth": 2, "trees": 150}
CHEAP: dict[str, Family] = {
    family.name: family
    for family in (
        Mean(SCHEMA),
        Single(SCHEMA, only="down"),
        Single(SCHEMA, only="down", restricted=True),
        Single(SCHEMA),
        Single(SCHEMA, restricted=True),
        KitchenSink(SCHEMA),
        Ridge(SCHEMA, penalty=100.0),
        PLS(SCHEMA),
        XGBoost(SCHEMA, **TREES),
    )
}


def frame(*rows: list[float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(NAMES))


def past_of(
    rows: int = 300, *, missing: float = 0.1, seed: int = 0, slope: float = 0.02
) -> dict[str, Any]:
    """Return simulated months: y goes with the first predictor and against the second."""
    rng = np.random.default_rng(seed)
    X = rng.normal(2.0, [1.0, 3.0, 0.1], (rows, 3))
    y = 0.01 + slope * (X[:, 0] - 2) - slope / 3 * (X[:, 1] - 2) + rng.normal(0, 0.04, rows)
    X[rng.random(X.shape) < missing] = np.nan
    index = pd.period_range("1970-01", periods=rows, freq="M")
    return {
        "X": pd.DataFrame(X, index, list(NAMES)),
        "y": y,
        "known": np.arange(rows, dtype=np.int64) + 13,
    }


def fit(name: str, past: dict[str, Any]) -> Family:
    return clone(CHEAP[name]).fit(**past)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", CHEAP)
def test_it_keeps_to_scikit_learns_conventions(name: str, check: Any) -> None:
    check(name, CHEAP[name])


@pytest.mark.parametrize("name", CHEAP)
def test_it_is_a_regressor_of_frames(name: str) -> None:
    family, past = CHEAP[name], past_of()
    assert is_regressor(family)
    with pytest.raises(NotFittedError):
        clone(family).predict(past["X"])
    fitted = fit(name, past)
    found = fitted.predict(past["X"])
    shuffled = past["X"][["other", "up", "down"]].assign(more=1.0)
    np.testing.assert_array_equal(fitted.predict(shuffled), found)
    for ask in (fitted.predict, fitted.contributions):
        with pytest.raises(InputRefused, match="down"):
            ask(past["X"].drop(columns="down"))
    for y in (past["y"][:-1], np.where(np.arange(300) == 7, np.nan, past["y"])):
        with pytest.raises(InputRefused, match="the returns don't fit 300 rows"):
            clone(family).fit(past["X"], y)


@pytest.mark.parametrize("only", NAMES)
def test_a_single_predictor_is_ordinary_least_squares_on_its_own_rows(only: str) -> None:
    past = past_of()
    column = past["X"][only].to_numpy()
    here = np.isfinite(column)
    other = sm.OLS(past["y"][here], sm.add_constant(column[here])).fit()
    now = frame([1.0, 5.0, 2.2], [2.0, -4.0, 1.9])
    family = Single(SCHEMA, only=only)
    assert family.name == f"ols:{only}"
    wanted = other.predict(sm.add_constant(now[only].to_numpy()))
    np.testing.assert_allclose(family.fit(**past).predict(now), wanted, rtol=1e-9)


def test_a_wrong_sign_means_the_historical_mean_and_nothing_is_below_zero() -> None:
    past = past_of(slope=0.05)
    now = frame([-4.0, -9.0, 2.0], [4.0, 15.0, 2.0])
    mean = past["y"].mean()
    for only in ("up", "down"):
        free = Single(SCHEMA, only=only).fit(**past).predict(now)
        held = Single(SCHEMA, only=only, restricted=True).fit(**past).predict(now)
        np.testing.assert_allclose(held, free.clip(0))
        assert (free < 0).any()
        turned = Single(TURNED, only=only, restricted=True).fit(**past).predict(now)
        np.testing.assert_allclose(turned, mean)
    no_view = Single(SCHEMA, only="other", restricted=True).fit(**past).predict(now)
    free = Single(SCHEMA, only="other").fit(**past).predict(now)
    np.testing.assert_allclose(no_view, free)


@pytest.mark.parametrize("restricted", [False, True])
def test_the_combination_is_the_average_of_the_lines_that_have_a_say(restricted: bool) -> None:
    past = past_of()
    now = frame([1.0, 5.0, 2.2], [1.0, np.nan, 2.2], [np.nan, np.nan, np.nan])
    lines = [
        Single(SCHEMA, only=name, restricted=restricted).fit(**past).predict(now) for name in NAMES
    ]
    found = Single(SCHEMA, restricted=restricted).fit(**past).predict(now)
    expected = [np.mean([f[0] for f in lines]), (lines[0][1] + lines[2][1]) / 2, past["y"].mean()]
    np.testing.assert_allclose(found, expected)


def test_a_young_or_constant_predictor_has_no_say() -> None:
    past = past_of(missing=0)
    past["X"]["up"] = 2.5
    past["X"].iloc[: 300 - FEWEST + 1, 1] = np.nan
    now = frame([9.0, 9.0, 2.0])
    mean = past["y"].mean()
    for only in ("up", "down"):
        assert Single(SCHEMA, only=only).fit(**past).predict(now) == pytest.approx(mean)
    for name in ("combination", "combination_ct", "kitchen_sink", "ridge", "pls"):
        parts = fit(name, past).contributions(now).iloc[0]
        assert parts[["up", "down"]].tolist() == [0, 0], name
        assert parts["other"] != 0, name


def filled(past: dict[str, Any]) -> np.ndarray:
    X = past["X"].fillna(past["X"].median()).to_numpy()
    return (X - X.mean(axis=0)) / X.std(axis=0)


def test_the_lines_on_all_predictors_are_those_of_other_libraries() -> None:
    past = past_of()
    Z = filled(past)
    own = {name: fit(name, past) for name in ("kitchen_sink", "ridge", "pls")}
    others = {
        "kitchen_sink": sm.OLS(past["y"], sm.add_constant(Z)).fit().fittedvalues,
        "ridge": SklearnRidge(alpha=100.0).fit(Z, past["y"]).predict(Z),
        "pls": PLSRegression(1, scale=False).fit(Z, past["y"]).predict(Z).ravel(),
    }
    for name, other in others.items():
        found = own[name].predict(past["X"])
        np.testing.assert_allclose(found, other, rtol=1e-7, err_msg=name)


def test_collinear_predictors_do_not_break_a_line() -> None:
    past = past_of(missing=0)
    past["X"]["other"] = past["X"]["up"] - past["X"]["down"]
    for name in ("kitchen_sink", "ridge", "pls"):
        assert np.abs(fit(name, past).predict(past["X"])).max() < 1, name


@pytest.mark.parametrize("name", CHEAP)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), missing=st.sampled_from([0.0, 0.2]))
def test_contributions_sum_to_the_forecast(name: str, seed: int, missing: float) -> None:
    past = past_of(200, missing=missing, seed=seed)
    fitted = fit(name, past)
    now = past_of(5, missing=missing, seed=seed + 1)["X"]
    parts = fitted.contributions(now)
    assert list(parts) == [*NAMES, "base"]
    assert parts.index.equals(now.index)
    np.testing.assert_allclose(parts.sum(axis=1), fitted.predict(now))
    if name != "xgboost":  # of lines nothing is left over: the base is the mean
        np.testing.assert_allclose(parts["base"], past["y"].mean())


def test_trees_find_a_step_that_no_line_has_and_repeat_themselves() -> None:
    past = past_of(600, missing=0.05, slope=0.0)
    past["y"] += 0.08 * (np.abs(past["X"]["up"].to_numpy() - 2) > 0.7)
    now = frame([2.0, 2.0, 2.0], [4.0, 2.0, 2.0], [0.0, 2.0, 2.0])
    inside, above, below = fit("xgboost", past).predict(now)
    assert min(above, below) - inside > 0.04
    assert fit("xgboost", past).predict(now).tolist() == [inside, above, below]


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(30, 400), open_months=st.integers(1, 24))
def test_the_cut_keeps_open_returns_out_of_the_earlier_part(rows: int, open_months: int) -> None:
    month = np.arange(100, 100 + rows)
    past = Past(np.zeros((rows, 1)), np.zeros(rows), None, np.zeros(1), month, month + open_months)
    before, tail = past.cut()
    assert len(tail.y) == max(1, round(TAIL * rows))
    assert tail.month[-1] == month[-1]
    assert (before.known <= tail.month[0]).all()
    assert len(before.y) == max(0, rows - len(tail.y) - open_months + 1)


@pytest.mark.parametrize("family", [Ridge(SCHEMA), XGBoost(SCHEMA)], ids=["ridge", "xgboost"])
def test_what_is_chosen_has_the_least_error_on_the_latest_fifth(family: Family) -> None:
    chosen = []
    for seed in range(4):
        past = past_of(400, slope=0.01, seed=seed)
        tail = 400 - round(TAIL * 400)
        before = past["known"] <= tail  # known by the month in which the tail begins
        errors = [
            np.mean((past["y"][tail:] - one.predict(past["X"][tail:])) ** 2)
            for one in (
                clone(family).set_params(**params).fit(past["X"][before], past["y"][before])
                for params in family.candidates()
            )
        ]
        chosen.append(family.choose(**past))
        assert chosen[-1] == family.candidates()[int(np.argmin(errors))]
    assert any(one != chosen[0] for one in chosen)


def test_medians_are_numpys() -> None:
    X = past_of(301, missing=0.3)["X"].to_numpy()
    for rows in (301, 300, 7):
        part = X[:rows]
        np.testing.assert_array_equal(_medians(part), np.nanmedian(part, axis=0))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["article_mlp", "gru", "cnn"])
def test_a_network_learns_a_line_and_its_parts_sum_to_its_forecast(name: str) -> None:
    panel = make_panel(900, slope=2.0)
    made = make_family(name, panel.schema).set_params(seed=1)
    if name != "article_mlp":
        made.set_params(copies=2)
    schedule = make_schedule(panel, "m1", min_train=700)
    past = schedule.past(made, 800)
    params = made.choose(**past)
    assert params in made.candidates()
    made.set_params(**params)
    fitted = clone(made).fit(**past)
    here = np.arange(801, 899)
    now = schedule.now(made, here)
    forecast = fitted.predict(now)
    y = schedule.y[here]
    explained = 1 - ((y - forecast) ** 2).sum() / ((y - past["y"].mean()) ** 2).sum()
    assert explained > 0.5  # of the 0.89 that can be known
    parts = fitted.contributions(now)
    assert list(parts) == [*panel.schema.names, "base"]
    np.testing.assert_allclose(parts.sum(axis=1), forecast, atol=1e-9)
    size = parts.abs().mean()
    assert min(size["value"], size["rate"]) > 2 * size["noise"]
    np.testing.assert_array_equal(clone(made).fit(**past).predict(now), forecast)
