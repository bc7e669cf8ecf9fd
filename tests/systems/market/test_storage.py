"""Fitted families on disk: the same forecasts after, nothing pickled, faults refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskwright.errors import IntegrityError
from riskwright.systems.market.case_sections import market_schema
from riskwright.systems.market.families import Family, Mean, frame_of
from riskwright.systems.market.learnt import Fitted
from riskwright.systems.market.storage import BOOSTER, FITTED, WEIGHTS, load_family, save_family
from riskwright.systems.market.walk import make_family

ROWS, STEPS = 260, 6
NAMES = ("a", "b", "c", "d")
SCHEMA = market_schema(NAMES, {"a": 1, "b": -1, "d": 1}, ["e"], STEPS)
QUICK = ["mean", "combination", "combination_ct", "ct:b", "kitchen_sink", "ridge", "pls"]


def past(seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, len(NAMES)))
    x[:30, 1] = np.nan
    x[:, 3] = 1.0  # never changes: its scale is infinite
    steps = rng.normal(size=(ROWS, STEPS, len(NAMES) + 1))
    steps[:40, :, 2] = np.nan
    index = pd.period_range("1970-01", periods=ROWS, freq="M")
    y = 0.01 * x[:, 0] + rng.normal(0, 0.04, ROWS)
    X = frame_of(SCHEMA, pd.DataFrame(x, index, list(NAMES)), steps)
    return {"X": X, "y": y, "known": np.arange(ROWS, dtype=np.int64) + 1}


def fit(family: Family) -> Family:
    rows = past()
    once = family.changed(seed=3)
    return once.changed(**once.choose(**rows)).fit(**rows)


def same(one: Family, two: Family) -> bool:
    new = past(5)["X"].head(50)
    return np.array_equal(one.predict(new), two.predict(new)) and one.contributions(new).equals(
        two.contributions(new)
    )


@pytest.mark.parametrize("name", QUICK)
def test_a_line_is_one_json_and_comes_back_to_the_last_bit(name: str, tmp_path: Path) -> None:
    fitted = fit(make_family(name, SCHEMA))
    save_family(fitted, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [FITTED]
    json.loads((tmp_path / FITTED).read_text(), parse_constant=pytest.fail)
    again = load_family(tmp_path, SCHEMA)
    assert (type(again), again.name) == (type(fitted), name)
    assert again.get_params()["schema"] == SCHEMA
    assert again.changed(seed=3).get_params() == fitted.get_params()
    assert same(fitted, again)


def test_trees_are_kept_in_xgboosts_own_format(tmp_path: Path) -> None:
    fitted = fit(make_family("xgboost", SCHEMA))
    save_family(fitted, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {FITTED, BOOSTER}
    assert same(fitted, load_family(tmp_path, SCHEMA))


@pytest.mark.parametrize(
    "name", ["gru", pytest.param("cnn", marks=pytest.mark.slow), "article_mlp"]
)
def test_networks_are_arrays_and_come_back(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = quick(name, 2, monkeypatch)
    fitted = fit(family)
    save_family(fitted, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {FITTED, WEIGHTS}
    with np.load(tmp_path / WEIGHTS, allow_pickle=False) as archive:
        copies = {key[:3] for key in archive.files}
    assert len(copies) == family.copies
    again = load_family(tmp_path, SCHEMA)
    assert again.get_params() == fitted.get_params()
    assert same(fitted, again)


def quick(name: str, most: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a network of few epochs, and of at most so many copies."""
    family: Any = make_family(name, SCHEMA)
    recipe = replace(family.recipe, epochs=most)
    monkeypatch.setattr(type(family), "recipe", recipe)
    return family if name == "article_mlp" else family.set_params(copies=most)


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
    name: str,
    file: str,
    content: bytes | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deep = name == "cnn"
    save_family(fit(quick(name, 1, monkeypatch) if deep else make_family(name, SCHEMA)), tmp_path)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(IntegrityError, match="a saved family can't be read"):
        load_family(tmp_path, SCHEMA)


def test_a_new_kind_of_fit_says_that_nobody_keeps_it(tmp_path: Path) -> None:
    class Other(Fitted):
        def parts(self, X: Any, sequences: Any) -> Any:
            return X

    family = Mean(SCHEMA)
    family.fitted_ = Other(0.1)
    with pytest.raises(TypeError, match="Other: how is it kept"):
        save_family(family, tmp_path)
