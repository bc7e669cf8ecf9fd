"""Fitted families on disk: the same forecasts after, nothing pickled, faults refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from riskwright.errors import IntegrityError
from riskwright.systems.market.families import (
    PLS,
    Family,
    Fitted,
    KitchenSink,
    Mean,
    Past,
    Ridge,
    Single,
)
from riskwright.systems.market.storage import BOOSTER, FITTED, WEIGHTS, load_fitted, save_fitted
from riskwright.systems.market.walk import KINDS

ROWS, PREDICTORS, STEPS = 260, 4, 6
QUICK: list[Family] = [
    Mean(),
    Single("combination"),
    Single("combination_ct", restricted=True),
    Single("ct:b", 1, restricted=True),
    KitchenSink(),
    Ridge(),
    PLS(),
]


def past(seed: int = 0) -> Past:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, PREDICTORS))
    x[:30, 1] = np.nan
    x[:, 3] = 1.0  # never changes: its scale is infinite
    steps = rng.normal(size=(ROWS, STEPS, PREDICTORS + 1))
    steps[:40, :, 2] = np.nan
    month = np.arange(ROWS, dtype=np.int64)
    y = 0.01 * x[:, 0] + rng.normal(0, 0.04, ROWS)
    return Past(x, y, steps, np.array([1, -1, 0, 1]), month, month + 1)


def fit(family: Family) -> Fitted:
    rows = past()
    return family.fit(rows, family.choose(rows, 3), 3)


def same(one: Fitted, two: Fitted) -> bool:
    new = past(5)
    given: Any = (new.X[:50], new.sequences[:50])  # type: ignore[index]
    return np.array_equal(one.forecast(*given), two.forecast(*given)) and np.array_equal(
        one.parts(*given), two.parts(*given)
    )


@pytest.mark.parametrize("family", QUICK, ids=[f.name for f in QUICK])
def test_a_line_is_one_json_and_comes_back_to_the_last_bit(family: Family, tmp_path: Path) -> None:
    fitted = fit(family)
    save_fitted(fitted, family.name, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [FITTED]
    json.loads((tmp_path / FITTED).read_text(), parse_constant=pytest.fail)
    again = load_fitted(tmp_path)
    assert type(again) is type(fitted)
    assert same(fitted, again)


def test_trees_are_kept_in_xgboosts_own_format(tmp_path: Path) -> None:
    fitted = fit(KINDS["xgboost"]())
    save_fitted(fitted, "xgboost", tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {FITTED, BOOSTER}
    assert same(fitted, load_fitted(tmp_path))


@pytest.mark.parametrize(
    "name", ["gru", pytest.param("cnn", marks=pytest.mark.slow), "article_mlp"]
)
def test_networks_are_arrays_and_come_back(name: str, tmp_path: Path) -> None:
    family: Any = KINDS[name]()
    family.recipe = type(family.recipe)(**{**vars(family.recipe), "epochs": 2})
    family.copies = min(family.copies, 2)
    fitted = fit(family)
    save_fitted(fitted, name, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {FITTED, WEIGHTS}
    with np.load(tmp_path / WEIGHTS, allow_pickle=False) as archive:
        copies = {key[:3] for key in archive.files}
    assert len(copies) == family.copies
    assert same(fitted, load_fitted(tmp_path))


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("ridge", FITTED, b"{"),
        ("ridge", FITTED, b'{"mean": 0.1, "kind": "pickle"}'),
        ("ridge", FITTED, None),
        ("xgboost", BOOSTER, b"not a model"),
        ("xgboost", BOOSTER, None),
        ("article_mlp", WEIGHTS, b"PK\x03\x04 no archive"),
        ("article_mlp", WEIGHTS, None),
    ],
)
def test_a_broken_file_is_refused(
    name: str, file: str, content: bytes | None, tmp_path: Path
) -> None:
    family: Any = KINDS[name]()
    if family.deep:
        family.recipe = type(family.recipe)(**{**vars(family.recipe), "epochs": 1})
        family.copies = 1
    save_fitted(fit(family), name, tmp_path)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(IntegrityError, match="a saved family can't be read"):
        load_fitted(tmp_path)


def test_a_new_kind_of_fit_says_that_nobody_keeps_it(tmp_path: Path) -> None:
    class Other(Fitted):
        def parts(self, X: Any, sequences: Any) -> Any:
            return X

    with pytest.raises(TypeError, match="Other: how is it kept"):
        save_fitted(Other(0.1), "other", tmp_path)
