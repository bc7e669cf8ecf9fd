"""What was learnt, on disk: it comes back bit by bit, and what is broken is told as that."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from riskwright.errors import IntegrityError
from riskwright.learn.bag import Bag
from riskwright.learn.blend import Blend
from riskwright.learn.ensemble import Ensemble
from riskwright.learn.hazard import Hazard
from riskwright.learn.saved import read_arrays, read_trees, reading, write_arrays, write_trees
from riskwright.systems.loans.exposure import Exposure
from riskwright.systems.loans.severity import Severity


def test_arrays_come_back_in_the_order_of_their_names(tmp_path: Path) -> None:
    arrays = {"w010": np.array([np.pi, np.inf, np.nan]), "w002": np.ones((2, 0), np.float32)}
    write_arrays(tmp_path / "weights.npz", arrays)
    found = read_arrays(tmp_path / "weights.npz")
    assert list(found) == ["w002", "w010"]
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_no_object_is_written_or_read(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    with pytest.raises(ValueError, match="allow_pickle"):
        write_arrays(path, {"w": np.array([{}], dtype=object)})
    assert not path.exists()
    np.savez(path, allow_pickle=True, w=np.array([{}], dtype=object))
    with pytest.raises(IntegrityError, match="a saved net can't be read"), reading("net", path):
        read_arrays(path)


def test_trees_come_back_and_other_bytes_do_not(tmp_path: Path) -> None:
    import xgboost

    x = np.random.default_rng(0).normal(size=(200, 3))
    data = xgboost.DMatrix(x, label=x[:, 0] > 0)
    booster = xgboost.train({"objective": "binary:logistic", "verbosity": 0}, data, 3)
    write_trees(tmp_path / "trees.ubj", booster)
    assert np.array_equal(read_trees(tmp_path / "trees.ubj").predict(data), booster.predict(data))
    (tmp_path / "trees.ubj").write_bytes(b"{nothing")
    with pytest.raises(ValueError, match="no trees"):
        read_trees(tmp_path / "trees.ubj")


KEPT: list[tuple[str, Callable[[Path], Any]]] = [
    ("bag.json", lambda path: Bag.load(path.parent)),
    ("ensemble.json", lambda path: Ensemble.load(path.parent)),
    ("blend.json", lambda path: Blend.load(path.parent)),
    ("severity.json", lambda path: Severity.load(path.parent)),
    ("hazard.json", Hazard.load),
    ("ead.json", Exposure.load),
]


@pytest.mark.parametrize(("name", "load"), KEPT, ids=[name for name, _ in KEPT])
@pytest.mark.parametrize("content", [None, "", "{}", "[1]", '{"weights": [1]}', '"text"'])
def test_a_broken_file_is_told_with_its_place(
    name: str, load: Callable[[Path], Any], content: str | None, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(IntegrityError, match="can't be read") as told:
        load(path)
    assert str(tmp_path) in told.value.where
    assert told.value.do


def test_a_member_that_is_broken_is_told_by_itself(tmp_path: Path) -> None:
    (tmp_path / "bag.json").write_text(json.dumps({"family": "logistic", "members": 1}))
    with pytest.raises(IntegrityError, match="a saved logistic") as told:
        Bag.load(tmp_path)
    assert told.value.where == str(tmp_path / "member_0")
