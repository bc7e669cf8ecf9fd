"""A quote that is never closed loses no row in silence, and cells with line breaks stay whole."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskwright.case.usecase import Source
from riskwright.data.quotes import refuse_swallowed
from riskwright.data.sources import read_chunks
from riskwright.errors import InputRefused

HEADER = ["id", "note", "x"]


def rows(changes: dict[int, str], n: int = 60, end: str = "\n") -> bytes:
    """Lines as a program writes them that knows of no quotes; ``changes`` replace whole ones."""
    lines = [",".join(HEADER), *(changes.get(i, f"{i},fine,{i}") for i in range(n))]
    return (end.join(lines) + end).encode()


def read(path: Path, data: bytes) -> pd.DataFrame:
    path.write_bytes(data)
    return pd.concat(list(read_chunks(Source(), str(path), columns=HEADER)))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "changes",
    [
        {10: '10,"5 inch,10', 40: '40,"5 inch,40'},  # the second opens what the first left open
        {10: '10,"5 inch,10', 40: '40,5 inch",40'},  # a second that closes it well
        {10: '10,"5 inch,10', 11: '11,5 inch",11'},
        {10: '10,fine,"10', 40: '40,fine,40"'},
        {10: '"10,fine,10', 40: '40,"fine,40'},
        {10: '10,"5 inch,10', 40: '40,"5 inch,40', 50: '50,"closed\nwell",50'},
        {10: '10,"5 inch,10'},
        {59: '59,fine,"59'},
        {10: '10,"closed, well",10', 20: '20,"5 inch,20', 40: '40,"5 inch,40'},
        {5: "5,too,many,cells", 10: '10,"5 inch,10', 40: '40,"5 inch,40'},
    ],
)
def test_rows_that_a_quote_swallowed_are_told_with_the_line(
    tmp_path: Path, changes: dict[int, str], end: str
) -> None:
    opened = next(i for i, text in changes.items() if text.count('"') % 2)
    with pytest.raises(InputRefused, match="opened and never closed") as refused:
        read(tmp_path / "f.csv", rows(changes, end=end))
    assert f"line {opened + 2}:" in refused.value.where


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ('"first\nsecond"', "first\nsecond"),
        ('"first\n\nthird, with a comma"', "first\n\nthird, with a comma"),
        ('"a, b\nc, d\ne"', "a, b\nc, d\ne"),
        ('"5"" pipe\n6"" pipe"', '5" pipe\n6" pipe'),
        ('5" pipe', '5" pipe'),
        ('""', None),
    ],
)
def test_cells_with_quotes_and_line_breaks_are_no_fault(
    tmp_path: Path, text: str, cell: str | None
) -> None:
    frame = read(tmp_path / "f.csv", rows({10: f"10,{text},10"}))
    assert len(frame) == 60
    assert [None if pd.isna(c) else c for c in frame["note"][10:11]] == [cell]


cells = st.text("ab \n\"'", max_size=6)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(cells, cells, cells), max_size=8))
def test_what_a_csv_writer_wrote_is_never_refused(written: list[tuple[str, str, str]]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([HEADER, *written])
    refuse_swallowed(io.BytesIO(out.getvalue().encode()), Path("f.csv"), Source(), 3)


def test_an_open_quote_in_arff(tmp_path: Path) -> None:
    path = tmp_path / "f.arff"
    head = "@relation r\n@attribute id string\n@attribute note string\n@data\n% a comment\n"
    body = "".join(f"{i},'fine'\n" for i in range(50))
    path.write_text(head + body.replace("10,'fine'\n", "10,'5 inch\n"))
    with pytest.raises(InputRefused, match="opened and never closed") as refused:
        list(read_chunks(Source(), str(path), columns=["id", "note"]))
    assert "line 16: 2 lines" in refused.value.where
