"""Bags: out-of-fold margins come from models that never saw the row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskwright.learn.bag import Bag, fit_bag
from riskwright.learn.families import make_family

PARAMS = {"max_trees": 25}


def random_folds(n: int, k: int = 3) -> list[tuple[np.ndarray, np.ndarray]]:
    fold = np.random.default_rng(0).permutation(n) % k
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(k)]


def chain(n: int, blocks: int = 4) -> list[tuple[np.ndarray, np.ndarray]]:
    edges = np.linspace(0, n, blocks + 1).astype(int)
    return [(np.arange(edges[k]), np.arange(edges[k], edges[k + 1])) for k in range(1, blocks)]


@pytest.fixture(scope="module")
def bagged(small: Any) -> tuple[Bag, np.ndarray, list[float]]:
    told: list[float] = []
    bag, oof = fit_bag(
        "xgboost",
        small.schema,
        small.X,
        small.y,
        random_folds(len(small.X)),
        seed=9,
        params=PARAMS,
        time_ordered=False,
        progress=told.append,
    )
    return bag, oof, told


def test_its_members_are_the_fold_models(bagged: Any, small: Any) -> None:
    bag, oof, _ = bagged
    folds = random_folds(len(small.X))
    assert len(bag.members) == 3
    assert [m.seed for m in bag.members] == [9, 10, 11]
    for i, (train, validation) in enumerate(folds):
        alone = make_family("xgboost", small.schema, 9 + i, PARAMS)
        alone.fit(small.X.iloc[train], small.y[train])
        np.testing.assert_array_equal(oof[validation], alone.margin(small.X.iloc[validation]))


def test_its_margin_and_contributions_are_means(bagged: Any, small: Any) -> None:
    bag = bagged[0]
    X = small.X.head(20)
    margins = np.stack([m.margin(X) for m in bag.members])
    np.testing.assert_array_equal(bag.member_margins(X), margins)
    np.testing.assert_allclose(bag.margin(X), margins.mean(axis=0), atol=1e-12)
    contributions = bag.contributions(X)
    np.testing.assert_allclose(contributions.sum(axis=1), bag.margin(X), atol=1e-6)
    one = [m.contributions(X)["debt"] for m in bag.members]
    np.testing.assert_allclose(contributions["debt"], np.mean(one, axis=0), atol=1e-9)


def test_it_tells_its_progress(bagged: Any) -> None:
    told = bagged[2]
    assert told == sorted(told)
    assert told[-1] == 1
    assert sum(t <= 1 / 3 for t in told) > 3


def test_a_held_out_row_teaches_only_the_other_members(small: Any) -> None:
    """Turning a row's outcome round leaves its own out-of-fold margin alone."""
    folds = random_folds(len(small.X))
    row = folds[0][1][0]
    turned = small.y.copy()
    turned[row] = 1 - turned[row]
    oofs = [
        fit_bag("logistic", small.schema, small.X, y, folds, seed=0, params={})[1]
        for y in (small.y, turned)
    ]
    assert oofs[0][row] == oofs[1][row]
    assert not np.array_equal(oofs[0], oofs[1])


def test_saved_and_loaded_it_predicts_the_same_bits(
    bagged: Any, small: Any, tmp_path: Path
) -> None:
    bag = bagged[0]
    bag.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "bag.json",
        "member_0",
        "member_1",
        "member_2",
    ]
    loaded = Bag.load(tmp_path)
    assert loaded.name == "xgboost"
    np.testing.assert_array_equal(loaded.margin(small.X), bag.margin(small.X))


def test_with_time_the_chain_judges_and_one_refit_is_deployed(small: Any) -> None:
    folds = chain(len(small.X))
    bag, oof = fit_bag(
        "xgboost",
        small.schema,
        small.X,
        small.y,
        folds,
        seed=4,
        params=PARAMS,
        time_ordered=True,
    )
    first = folds[0][1][0]
    assert np.isnan(oof[:first]).all()
    assert np.isfinite(oof[first:]).all()
    assert len(bag.members) == 1
    refit = make_family("xgboost", small.schema, 4 + len(folds), PARAMS, time_ordered=True)
    refit.fit(small.X, small.y)
    np.testing.assert_array_equal(bag.margin(small.X), refit.margin(small.X))


def test_with_time_each_fit_gets_its_blocks_oldest_first(small: Any) -> None:
    """Rows that come newest first are still given to the families block by block."""
    n = len(small.X)
    newest_first = np.arange(n)[::-1]
    position = np.argsort(newest_first)
    ordered = chain(n)
    shuffled = [(np.sort(position[a]), np.sort(position[b])) for a, b in ordered]

    def fit(X: pd.DataFrame, y: np.ndarray, folds: Any) -> Bag:
        return fit_bag(
            "xgboost", small.schema, X, y, folds, seed=0, params=PARAMS, time_ordered=True
        )[0]

    X, y = small.X.iloc[newest_first], small.y[newest_first]
    # Blocks in order; within each, rows stand as they came.
    by_block = np.concatenate([np.arange(225 * k, 225 * (k + 1))[::-1] for k in range(4)])
    expected = make_family("xgboost", small.schema, 3, PARAMS, time_ordered=True)
    expected.fit(small.X.iloc[by_block], small.y[by_block])
    np.testing.assert_array_equal(fit(X, y, shuffled).margin(small.X), expected.margin(small.X))
