"""Tables for spreadsheets: text that isn't ours stays text there.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula, which can
start programs and send what stands beside it away. On the way out, and only there, such cells and
names get an apostrophe before them, which spreadsheets take for "this is text". Numbers stay.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from riskwright.data.parsing import NUMBER

FORMULA = "[-=+@\t\n\uff1d\uff0b\uff0d\uff20]"  # also the wide signs of Chinese keyboards
PREFIX = "'"


def write_csv(
    frame: pd.DataFrame | pd.Series, path: Path, *, index: bool = False, **how: Any
) -> int:
    """Write a CSV that no spreadsheet runs; return how many cells got an apostrophe.

    Parameters
    ----------
    frame, path, index
        As ``DataFrame.to_csv`` takes them; cells, names and an index of texts are looked at.
    how
        Its other options.
    """
    if isinstance(frame, pd.Series):
        frame = frame.to_frame()
    if index:
        names = [name or "" for name in frame.index.names]
        frame = frame.reset_index(names=names, allow_duplicates=True)
    safe = {position: _safe(frame.iloc[:, position]) for position in range(frame.shape[1])}
    cells = sum(count for _, count in safe.values())
    out = pd.concat([column for column, _ in safe.values()], axis=1) if safe else frame
    out.columns = pd.Index([_text(name) for name in frame.columns])
    out.to_csv(path, index=False, **how)
    return cells


def formulas(count: int, where: str) -> str:
    """Say that cells of a file were changed on their way out."""
    return (
        f"{count:,} cells begin like a formula: in {where} they have a {PREFIX} before them, so "
        "that no spreadsheet runs them"
    )


def _safe(column: pd.Series) -> tuple[pd.Series, int]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if not (column.dtype == object or isinstance(column.dtype, pd.StringDtype)):
        return column, 0
    # A lone CR stays unquoted, and is the end of a row to a spreadsheet.
    column = column.replace("\r\n?", "\n", regex=True)
    if isinstance(column.dtype, pd.StringDtype):
        text = pa.array(column, from_pandas=True).cast(pa.string())
        starts = pc.match_substring_regex(text, f"^{FORMULA}")
        number = pc.match_substring_regex(text, f"^{NUMBER}$")
        found = pc.fill_null(pc.and_not(starts, number), False).to_numpy(zero_copy_only=False)
    else:
        found = column.map(_risky).to_numpy(dtype=bool)
    if not found.any():
        return column, 0
    return column.astype(object).mask(found, PREFIX + column.astype("str")), int(found.sum())


def _risky(value: object) -> bool:
    return (
        isinstance(value, str)
        and re.match(FORMULA, value) is not None
        and re.fullmatch(NUMBER, value) is None
    )


def _text(name: object) -> object:
    return f"{PREFIX}{name}" if _risky(name) else name
