"""The ensemble: weights of least log loss, exact contributions, an honest out-of-fold PD."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.metrics import log_loss

from riskwright.learn.bag import Bag, fit_bag
from riskwright.learn.ensemble import LEAST_WEIGHT, Ensemble, _cross_fitted, fit_weights

FAMILIES = {"logistic": {}, "scorecard": {}, "xgboost": {"max_trees": 60, "patience": 20}}


@pytest.fixture(scope="module")
def bags(small: Any) -> tuple[dict[str, Bag], dict[str, np.ndarray]]:
    fold = np.random.default_rng(0).permutation(len(small.X)) % 3
    folds = [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(3)]
    found = {
        name: fit_bag(
            name,
            small.schema,
            small.X,
            small.y,
            folds,
            seed=1,
            params=params,
            time_ordered=False,
            progress=None,
        )
        for name, params in FAMILIES.items()
    }
    return {n: bag for n, (bag, _) in found.items()}, {n: oof for n, (_, oof) in found.items()}


@pytest.fixture(scope="module")
def ensemble(bags: Any, small: Any) -> Ensemble:
    return Ensemble.fit(*bags, small.y)


@pytest.fixture(scope="module")
def alone(bags: Any, small: Any) -> Ensemble:
    return Ensemble.fit(
        {"scorecard": bags[0]["scorecard"]},
        {"scorecard": bags[1]["scorecard"]},
        small.y,
    )


@pytest.fixture(params=["ensemble", "alone"])
def either(request: pytest.FixtureRequest) -> Ensemble:
    made: Ensemble = request.getfixturevalue(request.param)
    return made


# Weights


def members(seed: int, n: int = 400, k: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(-1, 1.2, n)
    y = (rng.random(n) < expit(truth)).astype(np.int8)
    return truth[:, None] + rng.normal(size=(n, k)) * rng.uniform(0.3, 2, k), y


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_no_other_weights_have_less_log_loss(seed: int) -> None:
    margins, y = members(seed)
    weights = fit_weights(margins, y)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    best = log_loss(y, expit(margins @ weights))
    rng = np.random.default_rng(seed)
    for other in [
        *np.eye(3),
        *rng.dirichlet(np.ones(3), 10),
        *rng.dirichlet(weights * 50 + 0.1, 10),
    ]:
        assert log_loss(y, expit(margins @ other)) >= best - 1e-8


def test_two_weights_are_those_of_a_search_along_the_line() -> None:
    margins, y = members(3, k=2)

    def loss(w: float) -> float:
        return float(log_loss(y, expit(margins @ np.array([w, 1 - w]))))

    expected = minimize_scalar(loss, bounds=(0, 1), method="bounded", options={"xatol": 1e-8})
    np.testing.assert_allclose(fit_weights(margins, y)[0], expected.x, atol=1e-3)


def test_a_useless_member_is_dropped(bags: Any, small: Any) -> None:
    found, oofs = bags
    noise = np.random.default_rng(0).normal(size=len(small.y))
    made = Ensemble.fit({**found, "mlp": found["logistic"]}, {**oofs, "mlp": noise}, small.y)
    assert "mlp" not in made.weights
    assert "mlp" not in made.bags
    assert sum(made.weights.values()) == pytest.approx(1)
    assert min(made.weights.values()) >= LEAST_WEIGHT


def test_anchored_the_training_rows_have_their_bad_rate_and_their_order(
    bags: Any, small: Any
) -> None:
    made = Ensemble.fit(*bags, small.y)
    made.final = (made.final[0] + 0.7, made.final[1])  # a level that folds in time could leave
    before, out_of_fold = made.margin(small.X), made.oof_pd.copy()
    made.anchor(small.X, small.y)
    after = made.margin(small.X)
    assert expit(after).mean() == pytest.approx(small.y.mean(), abs=1e-9)
    assert np.ptp(after - before) == pytest.approx(0, abs=1e-9)
    assert np.array_equal(made.oof_pd, out_of_fold, equal_nan=True)
    assert made.contributions(small.X).sum(axis=1).to_numpy() == pytest.approx(after, abs=1e-6)


def test_a_single_family_has_all_the_weight(alone: Ensemble) -> None:
    assert alone.weights == {"scorecard": 1.0}


# Calibration and the out-of-fold PD


def test_members_and_whole_are_calibrated_out_of_fold(
    ensemble: Ensemble, bags: Any, small: Any
) -> None:
    calibrated = {n: a + b * bags[1][n] for n, (a, b) in ensemble.platt.items()}
    for margin in calibrated.values():
        assert expit(margin).mean() == pytest.approx(small.y.mean(), abs=1e-4)
    a, b = ensemble.final
    whole = a + b * sum(ensemble.weights[n] * m for n, m in calibrated.items())
    assert expit(whole).mean() == pytest.approx(small.y.mean(), abs=1e-4)
    losses = [log_loss(small.y, expit(m)) for m in calibrated.values()]
    assert log_loss(small.y, expit(whole)) <= min(losses) + 1e-9


def test_the_out_of_fold_pd_is_cross_fitted(ensemble: Ensemble, bags: Any, small: Any) -> None:
    """A fifth's PDs are those of an ensemble fitted on the other four."""
    part = np.empty(len(small.y), dtype=int)
    for outcome in (0, 1):
        rows = np.flatnonzero(small.y == outcome)
        part[rows] = np.arange(len(rows)) % 5
    found, oofs = bags
    for k in range(5):
        rest, held = part != k, part == k
        four = Ensemble.fit(found, {n: o[rest] for n, o in oofs.items()}, small.y[rest])
        a, b = four.final
        margin = a + b * sum(
            four.weights[n] * (p[0] + p[1] * oofs[n][held]) for n, p in four.platt.items()
        )
        np.testing.assert_allclose(ensemble.oof_pd[held], expit(margin), atol=1e-12)


def test_rows_without_an_out_of_fold_margin_are_left_out(bags: Any, small: Any) -> None:
    found, oofs = bags
    holes = {n: oof.copy() for n, oof in oofs.items()}
    holes["xgboost"][:300] = np.nan
    made = Ensemble.fit(found, holes, small.y)
    assert np.isnan(made.oof_pd[:300]).all()
    assert np.isfinite(made.oof_pd[300:]).all()
    rest = Ensemble.fit(found, {n: o[300:] for n, o in oofs.items()}, small.y[300:])
    assert made.describe() == rest.describe()


# Prediction


def test_predict_agrees_with_margin_and_members(either: Ensemble, small: Any) -> None:
    X = small.X.sample(50, random_state=0)
    out = either.predict(X)
    assert list(out.columns) == ["pd", "member_min", "member_max", "disagreement"]
    assert out.index.equals(X.index)
    np.testing.assert_allclose(out["pd"], expit(either.margin(X)), atol=1e-12)
    assert (out["member_min"] <= out["member_max"]).all()
    assert (out["disagreement"] >= 0).all()
    again = either.predict(X, cache={})
    pd.testing.assert_frame_equal(again, out)


def test_disagreement_is_the_spread_of_the_families(ensemble: Ensemble, small: Any) -> None:
    X = small.X.head(50)
    intercept, slope = ensemble.final
    margins = np.stack(
        [
            intercept + slope * (a + b * ensemble.bags[n].margin(X))
            for n, (a, b) in ensemble.platt.items()
        ]
    )
    out = ensemble.predict(X)
    np.testing.assert_allclose(out["member_min"], expit(margins.min(axis=0)), atol=1e-12)
    np.testing.assert_allclose(out["member_max"], expit(margins.max(axis=0)), atol=1e-12)
    np.testing.assert_allclose(out["disagreement"], margins.std(axis=0), atol=1e-12)


def test_the_pd_lies_between_its_members(either: Ensemble, small: Any) -> None:
    out = either.predict(small.X)
    assert (out["member_min"] <= out["pd"] + 1e-12).all()
    assert (out["pd"] <= out["member_max"] + 1e-12).all()


def test_a_single_familys_disagreement_is_that_of_its_folds(alone: Ensemble, small: Any) -> None:
    X = small.X.head(50)
    (a, b), (intercept, slope) = alone.platt["scorecard"], alone.final
    folds = np.stack([m.margin(X) for m in alone.bags["scorecard"].members])
    margins = intercept + slope * (a + b * folds)
    out = alone.predict(X)
    np.testing.assert_allclose(out["disagreement"], margins.std(axis=0), atol=1e-12)
    np.testing.assert_allclose(out["member_max"], expit(margins.max(axis=0)), atol=1e-12)


def test_contributions_sum_to_the_margin_of_the_deployed_pd(either: Ensemble, small: Any) -> None:
    X = small.X.sample(40, random_state=1)
    contributions = either.contributions(X)
    assert list(contributions.columns) == [*small.schema.names, "base"]
    assert contributions.index.equals(X.index)
    np.testing.assert_allclose(contributions.sum(axis=1), either.margin(X), rtol=0, atol=1e-6)


def test_saved_and_loaded_it_predicts_the_same_bits(
    either: Ensemble, small: Any, tmp_path: Path
) -> None:
    X = small.X.head(60)
    before, contributions = either.predict(X), either.contributions(X)
    either.save(tmp_path)
    loaded = Ensemble.load(tmp_path)
    pd.testing.assert_frame_equal(loaded.predict(X), before, check_exact=True)
    pd.testing.assert_frame_equal(loaded.contributions(X), contributions, check_exact=True)
    assert loaded.describe() == json.loads((tmp_path / "ensemble.json").read_text())


def test_fitting_repeats(ensemble: Ensemble, bags: Any, small: Any) -> None:
    again = Ensemble.fit(*bags, small.y)
    assert again.describe() == ensemble.describe()
    np.testing.assert_array_equal(again.oof_pd, ensemble.oof_pd)


def test_the_cross_fit_parts_no_group() -> None:
    """A row's out-of-fold PD comes from rows of other groups: its own group's don't move it."""
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(60), 4)
    y = (rng.random(240) < 0.3).astype(np.int8)
    margins = rng.normal(size=(240, 2)) + y[:, None]
    first = _cross_fitted(margins, y, groups)
    for row in range(4, 8):
        kept = margins.copy()
        kept[4:8], kept[row] = margins[4:8] + 9.0, margins[row]
        assert _cross_fitted(kept, y, groups)[row] == first[row]
