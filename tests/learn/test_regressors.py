"""Regressions and their blend: against closed forms, over save and load, for a seed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwright.case.usecase import Feature, FeatureSchema
from riskwright.errors import InputRefused, IntegrityError
from riskwright.learn.blend import Blend, blend_weights
from riskwright.learn.regressors import REGRESSORS, Linear, Network, Regressor, Trees

SCHEMA = FeatureSchema(
    (
        Feature("a", "number", "a"),
        Feature("b", "number", "b"),
        Feature("c", "category", "c", values=(("x", "x"), ("y", "y"))),
    )
)
FILES = {"linear": "regressor.json", "xgboost": "trees.ubj", "mlp": "weights.npz"}


def rows(n: int = 600, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=n), rng.normal(size=n), rng.random(n) < 0.4
    y = 5 + 2 * a - b + np.where(c, 1.0, 0.0) + 0.5 * rng.normal(size=n)
    a[rng.random(n) < 0.05] = np.nan
    codes = pd.array(np.where(c, "x", "y"), dtype="str")
    return pd.DataFrame({"a": a, "b": b, "c": codes}), y


@pytest.fixture(scope="module", params=list(REGRESSORS))
def fitted(request: pytest.FixtureRequest) -> Regressor:
    X, y = rows()
    return REGRESSORS[request.param](SCHEMA, seed=3).fit(X, y)


def test_a_family_learns_what_is_there(fitted: Regressor) -> None:
    X, y = rows(seed=1)
    found = fitted.predict(X)
    unexplained = ((found - y) ** 2).mean() / y.var()
    assert unexplained < 0.25, fitted.name
    assert found.mean() == pytest.approx(y.mean(), abs=0.2)


def test_a_family_comes_back_from_its_files_bit_by_bit(fitted: Regressor, tmp_path: Path) -> None:
    X, _ = rows(seed=2)
    fitted.save(tmp_path / "m")
    again = type(fitted).load(tmp_path / "m")
    found = fitted.predict(X)
    np.testing.assert_array_equal(again.predict(X), found)
    np.testing.assert_array_equal(again.predict(X.iloc[5:8]), found[5:8])
    np.testing.assert_array_equal(again.predict(X[["c", "b", "a"]]), found)
    assert again.predict(X.head(0)).shape == (0,)
    assert not list(tmp_path.rglob("*.part"))


def test_the_same_seed_gives_the_same_model(fitted: Regressor) -> None:
    X, y = rows()
    again = type(fitted)(SCHEMA, seed=3).fit(X, y)
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


def test_a_broken_file_is_told(fitted: Regressor, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    path = tmp_path / FILES[fitted.name]
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(IntegrityError, match=f"saved {fitted.name}"):
        type(fitted).load(tmp_path)


@pytest.mark.parametrize("family", list(REGRESSORS.values()))
def test_heavy_rows_count_more(family: type[Regressor]) -> None:
    """Two groups that nothing tells apart: the answer is the weighted mean."""
    X, _ = rows(900)
    X = X.assign(b=np.random.default_rng(7).normal(size=len(X)))
    y = np.where(np.arange(len(X)) % 3 == 0, 1.0, 0.0)
    weight = np.where(y == 1, 8.0, 1.0)
    found = family(SCHEMA).fit(X, y, weight).predict(X)
    assert found.mean() == pytest.approx(np.average(y, weights=weight), abs=0.06)


def test_the_linear_family_is_a_ridge() -> None:
    """Against the normal equations with the penalty on all but the intercept."""
    X, y = rows()
    model = Linear(SCHEMA).fit(X, y)
    matrix = model.features_.transform(X).astype(float)
    both = np.column_stack([np.ones(len(X)), matrix])
    penalty = np.diag([0.0] + [Linear.PENALTY] * matrix.shape[1])
    wanted = np.linalg.solve(both.T @ both + penalty, both.T @ y)
    np.testing.assert_allclose([model.intercept_, *model.coef_], wanted, rtol=1e-6)


@pytest.mark.parametrize("family", [Trees, Network])
def test_a_constant_is_learnt_as_one(family: type[Regressor]) -> None:
    X, _ = rows(100)
    np.testing.assert_allclose(family(SCHEMA).fit(X, np.full(100, 0.9)).predict(X), 0.9, atol=1e-6)


@pytest.mark.parametrize(
    ("y", "weight", "says"),
    [
        (np.ones(3), None, "values don't fit 50 rows"),
        (np.full(50, np.nan), None, "values don't fit"),
        (np.ones(50), np.ones(3), "weights don't fit"),
        (np.ones(50), np.zeros(50), "all are 0"),
        (np.ones(50), np.full(50, -1.0), "negative"),
    ],
)
def test_what_can_not_be_learnt_from(y: np.ndarray, weight: np.ndarray | None, says: str) -> None:
    X, _ = rows(50)
    with pytest.raises(InputRefused, match=says):
        Linear(SCHEMA).fit(X, y, weight)


def test_a_blend_is_no_worse_than_its_best_family_and_comes_back(tmp_path: Path) -> None:
    X, y = rows(900)
    new, truth = rows(900, seed=9)
    told: list[float] = []
    blend = Blend.fit(
        SCHEMA, X, y, np.ones(len(y)), families=["linear", "xgboost"], seed=1, progress=told.append
    )
    assert told == [0.5, 1.0]
    assert sum(blend.weights.values()) == pytest.approx(1)
    errors = {n: ((v - truth) ** 2).mean() for n, v in blend.predict_each(new).items()}
    found = blend.predict(new)
    assert ((found - truth) ** 2).mean() < 1.02 * min(errors.values())
    blend.save(tmp_path / "blend")
    np.testing.assert_array_equal(Blend.load(tmp_path / "blend").predict(new), found)
    np.testing.assert_array_equal(blend.counted().predict(new), found)


def test_families_without_weight_do_not_go_live() -> None:
    X, y = rows(300)
    blend = Blend.fit(SCHEMA, X, y, np.ones(len(y)), families=["linear", "xgboost"])
    blend.weights = {"linear": 1.0, "xgboost": 0.0}
    assert list(blend.counted().members) == ["linear"]
    np.testing.assert_array_equal(blend.predict(X), blend.predict_each(X)["linear"])


def test_a_blend_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="blend"):
        Blend.load(tmp_path)
    (tmp_path / "blend.json").write_text(
        json.dumps({"weights": {"forest": 1.0}, "members": {"forest": 1}}), encoding="utf-8"
    )
    with pytest.raises(IntegrityError, match="forest"):
        Blend.load(tmp_path)


@given(seed=st.integers(0, 500), share=st.floats(0.2, 0.8))
def test_weights_find_the_mixture_that_made_the_values(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(80, 3))
    y = share * columns[:, 0] + (1 - share) * columns[:, 1]
    found = blend_weights(columns, y, rng.uniform(0.5, 2, 80))
    np.testing.assert_allclose(found, [share, 1 - share, 0], atol=1e-4)


@given(seed=st.integers(0, 500), families=st.integers(1, 4))
def test_weights_are_shares_and_no_family_alone_does_better(seed: int, families: int) -> None:
    rng = np.random.default_rng(seed)
    y, weight = rng.normal(size=60), rng.uniform(0.1, 3, 60)
    columns = y[:, None] + rng.normal(size=(60, families)) * rng.uniform(0.1, 3, families)
    found = blend_weights(columns, y, weight)
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(1)
    alone = (weight[:, None] * (columns - y[:, None]) ** 2).sum(axis=0)
    # A family that would have less than a hundredth is left out: hence not quite the least.
    assert (weight * (columns @ found - y) ** 2).sum() <= alone.min() * 1.01
