"""XGBoost: constraints, early stopping, and the same numbers as the library's own wrapper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.metrics import log_loss
from xgboost import XGBClassifier

from riskwright.data.cleaning import Features
from riskwright.data.units import Kinds
from riskwright.errors import IntegrityError
from riskwright.learn.base import inner_split
from riskwright.learn.gradient_boosting import XGBoost


@pytest.fixture(scope="module")
def model(small: Any) -> XGBoost:
    return XGBoost(small.schema, seed=2, max_trees=300, patience=20).fit(small.X, small.y)


@pytest.mark.parametrize("direction", [1, -1])
def test_a_declared_direction_holds_on_every_row(small: Any, direction: int) -> None:
    from dataclasses import replace

    features = tuple(
        replace(f, direction=direction if f.name == "debt" else 0) for f in small.schema.features
    )
    schema = replace(small.schema, features=features)
    model = XGBoost(schema, max_trees=80, patience=80).fit(small.X, small.y)
    X = small.X.head(40)
    margins = np.stack([model.margin(X.assign(debt=v)) for v in np.linspace(-4, 4, 33)])
    steps = np.diff(margins, axis=0) * direction
    assert (steps >= -1e-6).all()
    # Risk rises with debt in these data: against it, the constraint leaves nothing to use.
    assert (steps > 1e-3).any() == (direction == 1)


def test_it_is_xgboosts_own_classifier(small: Any, model: XGBoost) -> None:
    train, valid = inner_split(small.y, seed=2, time_ordered=False)
    features = Features(small.schema, "raw").fit(small.X.iloc[train])
    matrix = features.transform(small.X)
    other = XGBClassifier(
        n_estimators=300,
        learning_rate=0.03,
        max_depth=5,
        min_child_weight=5,
        subsample=0.8,
        colsample_bytree=0.8,
        early_stopping_rounds=20,
        random_state=2,
        n_jobs=2,
        monotone_constraints=tuple(int(n == "debt") for n in features.names_),
    ).fit(matrix[train], small.y[train], eval_set=[(matrix[valid], small.y[valid])], verbose=False)
    assert other.best_iteration + 1 == model.best_trees_ < 300
    np.testing.assert_allclose(
        model.predict_proba(small.X)[:, 1], other.predict_proba(matrix)[:, 1], atol=1e-6
    )


def test_it_stops_where_the_inner_part_says(small: Any, model: XGBoost) -> None:
    _, valid = inner_split(small.y, seed=2, time_ordered=False)
    X, y = small.X.iloc[valid], small.y[valid]
    best = log_loss(y, model.predict_proba(X)[:, 1])
    for trees in (model.best_trees_ // 2, model.best_trees_ - 5):
        fewer = clone(model).set_params(max_trees=trees).fit(small.X, small.y)
        assert log_loss(y, fewer.predict_proba(X)[:, 1]) > best
    assert model.booster_.num_boosted_rounds() == model.best_trees_


def test_time_ordered_it_stops_on_the_last_rows(small: Any) -> None:
    """Outcomes of the last rows are noise: then the first trees are the best."""
    y = small.y.copy()
    last = inner_split(y, seed=0, time_ordered=True)[1]
    np.testing.assert_array_equal(last, np.arange(765, 900))
    y[last] = np.arange(len(last)) % 2
    ordered = XGBoost(small.schema, time_ordered=True, max_trees=200, patience=10)
    mixed = XGBoost(small.schema, time_ordered=False, max_trees=200, patience=10)
    assert ordered.fit(small.X, y).best_trees_ < mixed.fit(small.X, y).best_trees_


def test_contributions_are_shapley_values(model: XGBoost, small: Any) -> None:
    """A feature that no tree uses gets nothing, and means are the base's."""
    contributions = model.contributions(small.X)
    assert contributions["debt"].abs().mean() > contributions["paid0"].abs().mean()
    # XGBoost's base: constant but for the rounding of single precision.
    assert np.ptp(contributions["base"]) < 1e-4


def test_damaged_trees_are_refused(model: XGBoost, tmp_path: Path) -> None:
    model.save(tmp_path)
    (tmp_path / "trees.ubj").write_bytes(b"{L\x00")
    with pytest.raises(IntegrityError):
        XGBoost.load(tmp_path)
    (tmp_path / "trees.ubj").unlink()
    with pytest.raises(IntegrityError):
        XGBoost.load(tmp_path)


@given(
    groups=st.lists(st.integers(0, 15), min_size=30, max_size=60),
    seed=st.integers(0, 50),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_the_inner_split_parts_no_group(groups: list[int], seed: int, data: Any) -> None:
    units = np.array(groups)
    outcomes = st.lists(st.integers(0, 1), min_size=len(units), max_size=len(units))
    y = np.array(data.draw(outcomes), dtype=np.int8)
    train, valid = inner_split(y, seed=seed, time_ordered=False, share=0.2, groups=units)
    assert sorted([*train, *valid]) == list(range(len(units)))
    kinds = Kinds.of(y, units).kind.tolist()
    few = any(kinds.count(c) <= 1 and kinds.count(2) <= 1 for c in set(y.tolist()))
    assert few or not set(units[train]) & set(units[valid])
    assert min(len(train), len(valid)) > 0
    alone = inner_split(y, seed=seed, time_ordered=False, share=0.2, groups=np.arange(len(y)))
    for one, other in zip(
        alone, inner_split(y, seed=seed, time_ordered=False, share=0.2), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("large", [40, 60, 100])
def test_a_large_group_leaves_enough_to_learn_from(large: int) -> None:
    y = np.array([0] * 60 + [0, 1] * 20, dtype=np.int8)
    units = np.maximum(np.arange(100) - large + 1, 0)
    for seed in range(5):
        train, valid = inner_split(y, seed=seed, time_ordered=False, groups=units)
        assert 5 <= len(valid) <= 20
        assert set(y[train]) == set(y[valid]) == {0, 1}


@pytest.mark.parametrize("time_ordered", [False, True])
def test_the_inner_split_is_a_partition(small: Any, time_ordered: bool) -> None:
    train, valid = inner_split(small.y, seed=1, time_ordered=time_ordered, share=0.2)
    joined = np.concatenate([train, valid])
    np.testing.assert_array_equal(np.sort(joined), np.arange(len(small.y)))
    assert abs(len(valid) - 0.2 * len(small.y)) <= 1
    if time_ordered:
        assert train.max() < valid.min()
    else:
        assert abs(small.y[valid].mean() - small.y.mean()) < 1 / len(valid)
        again = inner_split(small.y, seed=2, time_ordered=False, share=0.2)[1]
        assert not np.array_equal(again, valid)


def test_last_rows_of_one_class_are_not_stopped_on() -> None:
    y = np.r_[np.tile([0, 1], 40), np.zeros(20)].astype(np.int8)
    _, valid = inner_split(y, seed=0, time_ordered=True)
    assert set(y[valid]) == {0, 1}


def test_a_frame_in_memory_is_left_alone(model: XGBoost, small: Any) -> None:
    before = small.X.copy(deep=True)
    model.contributions(small.X)
    pd.testing.assert_frame_equal(small.X, before)
