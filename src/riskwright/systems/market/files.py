"""The files that market series come from: CSVs of one date column, and arch's embedded sets.

Every table has a column ``date``; its index is the row as a text editor counts it. Cells of a CSV
stay text until a series asks for them. FRED-MD's row of transform codes is taken off and kept in
``attrs``.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd

from riskwright.errors import InputRefused, closest

ARCH = ("arch:frenchdata", "arch:default", "arch:core_cpi", "arch:sp500")
TRANSFORM = "Transform:"
DATE_NAMES = ("date", "sasdate", "observation_date", "month", "time")
FORMATS = {
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}": "%Y-%m-%d",
    r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}": "%m/%d/%Y",
    r"[0-9]{6}": "%Y%m",
    r"[0-9]{4}-[0-9]{1,2}": "%Y-%m",
}
READ = "2000-01-31, 01/31/2000 (month first), 200001 or 2000-01"
TWICE = "twice"  # in a table's attrs: names that its header holds more than once


def read(source: str, folder: Path | None) -> pd.DataFrame:
    """Return the table of a source: ``date``, then its columns.

    Parameters
    ----------
    source
        ``arch:NAME``, or a file seen from the folder.
    folder
        The folder of the files.

    Raises
    ------
    InputRefused
        If it is unknown, isn't there, or has no dates.
    """
    if source.startswith("arch:"):
        return _arch(source)
    if folder is None:
        raise InputRefused(
            f"the file {source!r} is needed, but no folder is given",
            expected="the folder that holds it",
            do="add --data FOLDER",
        )
    path = Path(folder) / source
    if not path.is_file():
        others = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
        raise InputRefused(
            "the file of a series doesn't exist",
            where=str(path),
            expected=f"a file {source!r} in the folder given by --data",
            do=closest(source, others) or "check --data, or 'source' in the use case",
        )
    return _csv(path)


def _arch(source: str) -> pd.DataFrame:
    """Return one of the data sets that the package arch carries."""
    if source not in ARCH:
        raise InputRefused(
            f"there is no source {source!r}",
            expected=", ".join(ARCH),
            do=closest(source, ARCH) or "mend 'source' in the use case",
        )
    frame: pd.DataFrame = import_module(f"arch.data.{source.removeprefix('arch:')}").load()
    days = pd.DatetimeIndex(frame.index)
    if source == "arch:frenchdata":
        # arch 8 takes the file's 192607 (July 1926) for nanoseconds after 1970.
        months = days.to_numpy("datetime64[ns]").astype("int64").astype("str")
        days = pd.DatetimeIndex(pd.to_datetime(months, format="%Y%m"))
    frame = frame.reset_index(drop=True)
    frame.insert(0, "date", days)
    return frame


def _csv(path: Path) -> pd.DataFrame:
    """Return the cells of a CSV as text, dates parsed."""
    try:
        frame = pd.read_csv(
            path, dtype="str", keep_default_na=False, encoding="utf-8-sig", header=None
        )
    except (OSError, ValueError) as error:  # also what pandas' parser and a decoder raise
        raise InputRefused(
            f"the file can't be read as CSV: {error}", where=str(path), expected="CSV in UTF-8"
        ) from None
    # No cell of a series has a line break: a quote was left open, and rows have run together.
    broken = frame.apply(lambda cells: cells.str.contains("[\r\n]")).any(axis=1)
    if broken.any():
        raise InputRefused(
            "a quoted cell is opened and never closed, so rows have run together",
            where=f"{path}, row {int(broken.idxmax()) + 1}",
            expected="one row a line",
            do="find and close the quote",
        )
    frame, twice = _header(frame)
    name = next((c for c in frame.columns if c.strip().lower() in DATE_NAMES), None)
    if name is None or frame.empty:
        raise InputRefused(
            "the file has no rows" if name else "the file has no column of dates",
            where=str(path),
            expected=f"a header with one of {', '.join(DATE_NAMES)}, and rows",
        )
    frame.index = frame.index + 2  # the header is row 1
    codes: dict[str, int] = {}
    if frame[name].iloc[0].strip() == TRANSFORM:
        first = pd.to_numeric(frame.iloc[0].drop(name), errors="coerce").dropna()
        codes = {str(column): int(code) for column, code in first.items()}
        frame = frame.iloc[1:]
    blank = (frame == "").all(axis=1)  # FRED's files end with such rows
    frame = frame[~blank]
    dates = _parsed(frame[name].str.strip(), path)
    frame = frame.drop(columns=name).rename(columns={"date": "date (another)"})
    frame.insert(0, "date", dates)
    frame.attrs[TRANSFORM], frame.attrs[TWICE] = codes, twice
    return frame


def _header(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Take the first row for the header; return the names that it holds twice as well."""
    names = frame.iloc[0].tolist()
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    columns = [f"{n}.{i}" if n in names[:i] else n for i, n in enumerate(names)]
    return frame.iloc[1:].set_axis(columns, axis=1).reset_index(drop=True), twice


def _parsed(cells: pd.Series, path: Path) -> pd.DatetimeIndex:
    """Return text dates, all in one of the known formats."""
    written = next((f for p, f in FORMATS.items() if cells.str.fullmatch(p).all()), None)
    dates = pd.to_datetime(cells, format=written, errors="coerce") if written else None
    bad = np.flatnonzero(dates.isna()) if dates is not None else _odd(cells)
    if dates is None or len(bad) or not len(cells):
        at = int(bad[0]) if len(bad) else 0
        raise InputRefused(
            f"{cells.iloc[at]!r} is no date" if len(cells) else "the file has no dated row",
            where=f"{path}, row {cells.index[at] if len(cells) else 2}",
            expected=f"dates all written in one of these ways: {READ}",
            do="write the dates as 2000-01-31",
        )
    return pd.DatetimeIndex(dates)


def _odd(cells: pd.Series) -> np.ndarray:
    """Return the positions of the cells that aren't written as most are."""
    fits = [cells.str.fullmatch(pattern).to_numpy(dtype=bool) for pattern in FORMATS]
    return np.flatnonzero(~max(fits, key=np.sum))
