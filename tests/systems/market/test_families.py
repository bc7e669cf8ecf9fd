"""The families: against closed forms and other libraries, and their parts against their sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_panel import make_panel
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import Ridge as SklearnRidge

from riskwright.systems.market.families import (
    FEWEST,
    PLS,
    TAIL,
    Family,
    KitchenSink,
    Mean,
    Past,
    Ridge,
    Single,
    XGBoost,
)
from riskwright.systems.market.refit_schedule import make_schedule

CHEAP: dict[str, Family] = {
    family.name: family
    for family in (
        Mean(),
        Single("ols", 1),
        Single("ct", 1, restricted=True),
        Single("combination"),
        Single("combination_ct", restricted=True),
        KitchenSink(),
        Ridge(),
        PLS(),
        XGBoost(),
    )
}
TREES = {"max_depth": 2, "trees": 150}
PARAMS: dict[str, dict[str, Any]] = {"ridge": {"penalty": 100.0}, "xgboost": TREES}


def past_of(rows: int = 300, *, missing: float = 0.1, seed: int = 0, slope: float = 0.02) -> Past:
    """Return simulated rows: y goes with the first predictor and against the second."""
    rng = np.random.default_rng(seed)
    X = rng.normal(2.0, [1.0, 3.0, 0.1], (rows, 3))
    y = 0.01 + slope * (X[:, 0] - 2) - slope / 3 * (X[:, 1] - 2) + rng.normal(0, 0.04, rows)
    X[rng.random(X.shape) < missing] = np.nan
    month = np.arange(rows)
    return Past(X, y, None, np.array([1, -1, 0]), month, month + 13)


def fit(name: str, past: Past) -> Any:
    return CHEAP[name].fit(past, PARAMS.get(name, {}), 0)


@pytest.mark.parametrize("only", [0, 1, 2])
def test_a_single_predictor_is_ordinary_least_squares_on_its_own_rows(only: int) -> None:
    past = past_of()
    here = np.isfinite(past.X[:, only])
    other = sm.OLS(past.y[here], sm.add_constant(past.X[here, only])).fit()
    now = np.array([[1.0, 5.0, 2.2], [2.0, -4.0, 1.9]])
    found = Single("one", only).fit(past, {}, 0).forecast(now, None)
    np.testing.assert_allclose(found, other.predict(sm.add_constant(now[:, only])), rtol=1e-9)


def test_a_wrong_sign_means_the_historical_mean_and_nothing_is_below_zero() -> None:
    past = past_of(slope=0.05)
    now = np.array([[-4.0, -9.0, 2.0], [4.0, 15.0, 2.0]])
    turned = Past(past.X, past.y, None, -past.signs, past.month, past.known)
    mean = past.y.mean()
    for only in (0, 1):
        free = Single("ols", only).fit(past, {}, 0).forecast(now, None)
        held = Single("ct", only, restricted=True)
        np.testing.assert_allclose(held.fit(past, {}, 0).forecast(now, None), free.clip(0))
        assert (free < 0).any()
        np.testing.assert_allclose(held.fit(turned, {}, 0).forecast(now, None), mean)
    no_view = Single("ct", 2, restricted=True).fit(past, {}, 0).forecast(now, None)
    np.testing.assert_allclose(no_view, Single("ols", 2).fit(past, {}, 0).forecast(now, None))


@pytest.mark.parametrize("restricted", [False, True])
def test_the_combination_is_the_average_of_the_lines_that_have_a_say(restricted: bool) -> None:
    past = past_of()
    now = np.array([[1.0, 5.0, 2.2], [1.0, np.nan, 2.2], [np.nan, np.nan, np.nan]])
    lines = [
        Single("one", j, restricted=restricted).fit(past, {}, 0).forecast(now, None)
        for j in range(3)
    ]
    found = Single("all", restricted=restricted).fit(past, {}, 0).forecast(now, None)
    expected = [np.mean([f[0] for f in lines]), (lines[0][1] + lines[2][1]) / 2, past.y.mean()]
    np.testing.assert_allclose(found, expected)


def test_a_young_or_constant_predictor_has_no_say() -> None:
    past = past_of(missing=0)
    past.X[:, 0] = 2.5
    past.X[: 300 - FEWEST + 1, 1] = np.nan
    now = np.array([[9.0, 9.0, 2.0]])
    for family in (Single("ols", 0), Single("ols", 1)):
        assert family.fit(past, {}, 0).forecast(now, None) == pytest.approx(past.y.mean())
    for name in ("combination", "combination_ct", "kitchen_sink", "ridge", "pls"):
        parts = fit(name, past).parts(now, None)[0]
        assert parts[:2].tolist() == [0, 0], name
        assert parts[2] != 0, name


def filled(past: Past) -> np.ndarray:
    X = np.where(np.isfinite(past.X), past.X, np.nanmedian(past.X, axis=0))
    return (X - X.mean(axis=0)) / X.std(axis=0)


def test_the_lines_on_all_predictors_are_those_of_other_libraries() -> None:
    past = past_of()
    Z = filled(past)
    own = {name: fit(name, past) for name in ("kitchen_sink", "ridge", "pls")}
    others = {
        "kitchen_sink": sm.OLS(past.y, sm.add_constant(Z)).fit().fittedvalues,
        "ridge": SklearnRidge(alpha=100.0).fit(Z, past.y).predict(Z),
        "pls": PLSRegression(1, scale=False).fit(Z, past.y).predict(Z).ravel(),
    }
    for name, other in others.items():
        np.testing.assert_allclose(own[name].forecast(past.X, None), other, rtol=1e-7, err_msg=name)


def test_collinear_predictors_do_not_break_a_line() -> None:
    past = past_of(missing=0)
    past.X[:, 2] = past.X[:, 0] - past.X[:, 1]
    for name in ("kitchen_sink", "ridge", "pls"):
        assert np.abs(fit(name, past).forecast(past.X, None)).max() < 1, name


@pytest.mark.parametrize("name", CHEAP)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), missing=st.sampled_from([0.0, 0.2]))
def test_mean_and_parts_sum_to_the_forecast(name: str, seed: int, missing: float) -> None:
    past = past_of(200, missing=missing, seed=seed)
    fitted = fit(name, past)
    now = past_of(5, missing=missing, seed=seed + 1).X
    parts = fitted.parts(now, None)
    assert parts.shape == (5, 4)
    assert fitted.mean == pytest.approx(past.y.mean())
    np.testing.assert_allclose(fitted.mean + parts.sum(axis=1), fitted.forecast(now, None))
    if name != "xgboost":
        assert not parts[:, -1].any()


def test_trees_find_a_step_that_no_line_has_and_repeat_themselves() -> None:
    past = past_of(600, missing=0.05, slope=0.0)
    past.y[:] += 0.08 * (np.abs(past.X[:, 0] - 2) > 0.7)
    now = np.array([[2.0, 2.0, 2.0], [4.0, 2.0, 2.0], [0.0, 2.0, 2.0]])
    inside, above, below = fit("xgboost", past).forecast(now, None)
    assert min(above, below) - inside > 0.04
    again = XGBoost().fit(past, TREES, 0).forecast(now, None)
    assert again.tolist() == [inside, above, below]


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


@pytest.mark.parametrize("family", [Ridge(), XGBoost()], ids=["ridge", "xgboost"])
def test_what_is_chosen_has_the_least_error_on_the_latest_fifth(family: Family) -> None:
    chosen = []
    for seed in range(4):
        past = past_of(400, slope=0.01, seed=seed)
        before, tail = past.cut()
        errors = [
            np.mean((tail.y - family.fit(before, params, 0).forecast(tail.X, None)) ** 2)
            for params in family.candidates()
        ]
        chosen.append(family.choose(past, 0))
        assert chosen[-1] == family.candidates()[int(np.argmin(errors))]
    assert any(one != chosen[0] for one in chosen)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["article_mlp", "gru", "cnn"])
def test_a_network_learns_a_line_and_its_parts_sum_to_its_forecast(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from riskwright.systems.market import deep

    monkeypatch.setattr(deep.SequenceNetwork, "copies", 2)
    made = {"article_mlp": deep.ArticleMLP, "gru": deep.GRU, "cnn": deep.CNN}[name]()
    panel = make_panel(900, slope=2.0)
    schedule = make_schedule(panel, "m1", min_train=700)
    past = schedule.past(made, 800)
    params = made.choose(past, 1)
    assert params in made.candidates()
    fitted = made.fit(past, params, 1)
    here = np.arange(801, 899)
    X, sequences = schedule.now(here)
    forecast = fitted.forecast(X, sequences)
    y = schedule.rows.y[here]
    explained = 1 - ((y - forecast) ** 2).sum() / ((y - fitted.mean) ** 2).sum()
    assert explained > 0.5  # of the 0.89 that can be known
    parts = fitted.parts(X, sequences)
    assert parts.shape == (len(here), 4)
    np.testing.assert_allclose(fitted.mean + parts.sum(axis=1), forecast, atol=1e-9)
    size = np.abs(parts).mean(axis=0)
    assert min(size[0], size[1]) > 2 * size[2]
    again = made.fit(past, params, 1).forecast(X, sequences)
    np.testing.assert_array_equal(again, forecast)
