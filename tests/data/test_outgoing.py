"""What a spreadsheet would run is text in the files that we write, and only there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskwright.data.outgoing import write_csv

RUN = ["=1+1", "=cmd|'/C calc'!A0", "+SUM(A1)", "-2+3", "@SUM(1)", "\t=1", "\n=1", "\uff1d1+1", "-"]
KEPT = ["-5", "+1.5", "-1e-3", "a=b", "1-2", "'=1", "", "é", "007", "x\n=1"]


@pytest.mark.parametrize("kind", ["str", "object", "category"])
def test_cells_names_and_index_are_text(tmp_path: Path, kind: str) -> None:
    cells = pd.Series([*RUN, *KEPT, None], dtype=kind)
    frame = pd.DataFrame({"=name": cells, "n": np.arange(len(cells)) - 3.5})
    frame.index = pd.Index([*RUN, *KEPT, "z"], name="@index")
    assert write_csv(frame, tmp_path / "f.csv", index=True) == 2 * len(RUN)
    back = pd.read_csv(tmp_path / "f.csv", dtype="str", keep_default_na=False)
    expected = [f"'{c}" for c in RUN] + KEPT
    assert list(back.columns) == ["'@index", "'=name", "n"]
    assert back["'=name"].tolist() == [*expected, ""]
    assert back["'@index"].tolist() == [*expected, "z"]
    assert back["n"].astype(float).tolist() == frame["n"].tolist()


@pytest.mark.parametrize("kind", ["str", "object"])
def test_a_carriage_return_ends_no_row(tmp_path: Path, kind: str) -> None:
    frame = pd.DataFrame({"c": pd.Series(["x\r=cmd", "\r=1", "y\r\nz"], dtype=kind)})
    assert write_csv(frame, tmp_path / "f.csv") == 1
    assert b"\r" not in (tmp_path / "f.csv").read_bytes()
    assert pd.read_csv(tmp_path / "f.csv")["c"].tolist() == ["x\n=cmd", "'\n=1", "y\nz"]


def test_what_is_no_formula_is_written_as_pandas_writes_it(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"a": ["x", None], "b": [1.5, np.nan], "c": pd.to_datetime(["2020-01-01", None])}
    )
    for index in (False, True):
        assert write_csv(frame, tmp_path / "f.csv", index=index) == 0
        assert (tmp_path / "f.csv").read_text() == frame.to_csv(index=index)
    steps = pd.Series({"a": 1.0, "b": 2.0})
    write_csv(steps, tmp_path / "s.csv", index=True)
    assert (tmp_path / "s.csv").read_text() == steps.to_csv()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("=+-@1.e x'\t", max_size=5), min_size=1, max_size=10))
def test_text_and_objects_are_looked_at_alike(
    tmp_path_factory: pytest.TempPathFactory, cells: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("alike")
    for kind in ("str", "object"):
        write_csv(pd.DataFrame({"c": pd.Series(cells, dtype=kind)}), folder / f"{kind}.csv")
    assert (folder / "str.csv").read_bytes() == (folder / "object.csv").read_bytes()
