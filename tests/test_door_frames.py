"""Frames and dictionaries from a notebook mean in every function what they mean in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from tiny import tiny_text

import riskwright as rw
from riskwright.data.sources import read_chunks
from riskwright.door import frames
from riskwright.errors import InputRefused
from riskwright.home import Home


@pytest.mark.parametrize(
    "declared",
    [
        {"format": "csv", "encoding": "latin-1", "delimiter": ";"},
        {"format": "csv", "encoding": "utf-16"},
        {"format": "csv", "header": False},
        {"format": "arff"},
        {"format": "parquet"},
        {},
    ],
)
def test_a_frame_is_the_same_cells_whatever_the_use_case_says_of_its_files(
    home: Home, declared: dict[str, Any]
) -> None:
    plain = yaml.safe_load(tiny_text()) | {"source": {"location": "cases.csv"} | declared}
    case: Any = rw.use_case(plain).case
    frame = pd.DataFrame({name: ["Zoë; Ø", "b"] for name in case.columns})
    for call in ("as_file", "kept"):
        if call == "kept":
            place = str(frames.kept(frame, "tiny", home))
            found = pd.concat(list(read_chunks(case.source, place, columns=case.columns)))
        else:
            with frames.as_file(frame, case) as written:
                chunks = read_chunks(case.source, str(written), columns=case.columns)
                found = pd.concat(list(chunks))
        pd.testing.assert_frame_equal(found, frames.read(case, frame))
        assert set(found.iloc[0]) == {"Zoë; Ø"}


def test_cells_that_arrow_has_no_type_for_are_refused_in_words() -> None:
    case: Any = rw.use_case("credit_assessment").case
    frame = pd.DataFrame({"AGE": np.array([1 + 2j, 3])})
    with pytest.raises(InputRefused, match="plain cell"):
        frames.read(case, frame)


def test_a_sparse_column_and_notes_of_the_frame_are_no_trouble() -> None:
    case: Any = rw.use_case("credit_assessment").case
    frame = pd.DataFrame({"AGE": pd.arrays.SparseArray([0, 0, 31]), "SEX": ["1", "2", "1"]})
    frame.attrs = {"made by": object()}
    found = frames.read(case, frame)
    assert found["AGE"].tolist() == [0, 0, 31]
    assert list(frame.attrs) == ["made by"]  # the caller's frame is as it was
    assert isinstance(frame["AGE"].dtype, pd.SparseDtype)


def test_relative_places_of_a_file_are_whole_ones_in_its_dictionary(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cases"
    folder.mkdir()
    split = {"folds": 3, "file": "parts.csv"}
    changes: dict[str, Any] = {"source": {"location": "data/a.csv"}, "split": split}
    (folder / "own.yaml").write_text(tiny_text(name="own", **changes), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = rw.use_case("cases/own.yaml")
    plain = found.as_dict()
    assert plain["source"]["location"] == str(folder / "data" / "a.csv")
    assert plain["split"]["file"] == str(folder / "parts.csv")
    monkeypatch.chdir("/")
    assert rw.use_case(plain).case == rw.use_case(folder / "own.yaml").case


def test_a_folder_or_file_of_a_use_cases_name_is_not_the_use_case(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "credit_assessment").write_text("no use case")
    monkeypatch.chdir(tmp_path)

    def begin(named: str, *rest: object) -> None:
        raise InputRefused(f"began {named}")

    monkeypatch.setattr("riskwright.life.retrain.begin", begin)
    with pytest.raises(InputRefused, match=r"^began credit_assessment$"):
        rw.retrain("credit_assessment", progress=False)
