"""What a served request may hold: one record a row, plain cells; anything else is refused."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pandas as pd

from riskwright.errors import InputRefused
from riskwright.life.system import Reasons, Served

MOST_BYTES, MOST_COLUMNS, MOST_CELLS = 32_000_000, 1_000, 4_000_000
LARGEST = int(sys.float_info.max)
EXPECTED = '{"dataframe_records": [{"column": value, …}, …]}, or dataframe_split'
REASONS: tuple[Reasons, ...] = ("adverse", "all", "none")


def read_request(body: bytes) -> tuple[pd.DataFrame, Reasons]:
    """Read the JSON of a request.

    Returns
    -------
    The rows as they were sent, and for which of them reasons are wanted.

    Raises
    ------
    InputRefused
        If it isn't JSON of that form.
    """
    if len(body) > MOST_BYTES:
        raise _refused(f"the request is larger than {MOST_BYTES // 1_000_000} MB")
    try:
        sent = json.loads(body, object_pairs_hook=_once)
        json.dumps(sent, ensure_ascii=False).encode()
    except RecursionError:
        raise _refused("the request is nested too deeply") from None
    except UnicodeEncodeError:
        raise _refused("the request holds half of a surrogate pair, which is no text") from None
    except ValueError as error:
        raise _refused(f"the request is not JSON: {error}") from None
    if not isinstance(sent, dict):
        raise _refused("the request is not a JSON object")
    params = sent.get("params") or {}
    reasons = params.get("reasons", "adverse") if isinstance(params, dict) else None
    if reasons not in REASONS:
        raise InputRefused("unknown 'reasons'", where="params.reasons", expected=", ".join(REASONS))
    if "dataframe_records" in sent:
        return _records(sent["dataframe_records"]), reasons
    if "dataframe_split" in sent:
        return _split(sent["dataframe_split"]), reasons
    raise _refused("the request holds no rows")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of the JSON; two cells of one name would leave the last in silence."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _refused(f"an object names {name!r} twice")
        found[name] = value
    return found


def _records(rows: Any) -> pd.DataFrame:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _refused("'dataframe_records' is not a list of objects")
    names = dict.fromkeys(name for row in rows for name in row)
    _refuse_too_many(len(rows), len(names))
    return _frame(list(names), [[row.get(name) for name in names] for row in rows])


def _split(table: Any) -> pd.DataFrame:
    if not isinstance(table, dict):
        raise _refused("'dataframe_split' is not an object")
    columns, rows = table.get("columns"), table.get("data")
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise _refused("'dataframe_split.columns' is not a list of names")
    if len(set(columns)) < len(columns):
        raise _refused("'dataframe_split.columns' names a column twice")
    _refuse_too_many(len(rows) if isinstance(rows, list) else 0, len(columns))
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) == len(columns) for row in rows
    ):
        raise _refused("'dataframe_split.data' is not a list of rows with a cell for each column")
    return _frame(columns, rows)


def _refuse_too_many(rows: int, columns: int) -> None:
    """Refuse a small body that would become a huge table: a name of its own in each record."""
    if columns > MOST_COLUMNS:
        raise _refused(f"the request names {columns:,} columns, more than {MOST_COLUMNS:,}")
    if rows * columns > MOST_CELLS:
        raise _refused(f"the request is {rows:,} rows of {columns:,}: over {MOST_CELLS:,} cells")


def _frame(columns: list[str], rows: list[list[Any]]) -> pd.DataFrame:
    if not rows or not columns:
        raise _refused("the request holds no rows")
    cells = {name: [row[i] for row in rows] for i, name in enumerate(columns)}
    frame = pd.DataFrame({name: pd.Series(found, dtype=object) for name, found in cells.items()})
    plain = [name for name, found in cells.items() if not any(map(_past_float, found))]
    return frame.assign(**{name: frame[name].infer_objects() for name in plain})


def _past_float(cell: object) -> bool:
    return isinstance(cell, int) and abs(cell) > LARGEST


def answer(
    bundle: Served, frame: pd.DataFrame, reasons: Reasons = "adverse"
) -> list[dict[str, Any]]:
    """Score rows as they were sent; of a row that is refused the figures are None.

    Raises
    ------
    InputRefused
        If the rows can't be scored at all, such as for a missing column.
    """
    out = bundle.predict(frame, reasons)
    plain = out.astype(object).where(out.notna(), None)
    return [{str(k): v for k, v in row.items()} for row in plain.to_dict("records")]


def nested(frame: pd.DataFrame) -> pd.Series:
    """Return, by row, what is wrong with lists, objects and numbers past float64 as cells.

    Only rows that have one. No file can hold such a cell; a request's JSON can.
    """
    found: dict[Any, str] = {}
    for name in frame.columns:
        if frame[name].dtype != object:
            continue
        for row, cell in frame[name].items():
            if isinstance(cell, np.generic):  # a number or text of NumPy's: the row of a frame
                continue
            if isinstance(cell, (list, dict, tuple, set)) or hasattr(cell, "__array__"):
                found.setdefault(row, f"{name}: a list or an object is no cell")
            elif _past_float(cell):
                found.setdefault(row, f"{name}: a number of {len(str(cell))} digits")
    return pd.Series(found, dtype=object)


def _refused(what: str) -> InputRefused:
    return InputRefused(what, where="the request", expected=EXPECTED, do="mend the request")
