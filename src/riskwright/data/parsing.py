"""Raw cells to canonical columns, vectorised, and which cells can't be one.

A cell means one thing in every format (text of a CSV, typed value of a Parquet file or a database,
JSON at the served model), and each cell is read by itself: what else its column holds changes
nothing. A number is the nearest float64, an id is text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from decimal import Context, Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from riskwright.case.usecase import code

Mask = npt.NDArray[np.bool_]
# Digits are 0 to 9: Python's own int and float also take 1_2 and digits of other scripts.
NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
NO_NUMBER = r"[+-]?(?i:nan|inf|infinity)"  # read as missing, and refused by the schema
TRUTH = {"true": "1", "false": "0"}
WHOLE = r"^(-?(?:0|[1-9][0-9]*))\.0+$"  # a whole number, as a column of floats writes it
NOTHING = r"^-0\.0+$"  # the same of zero, whose sign is no part of an id
# Else pandas takes "today", "now" and years before Christ; a year alone is no day of it.
DATED = r"^[0-9]{4}[-0-9/.:TZ+ ]+$"
ZONED = r"^(.*[T ]\d{2}[\d:.,]*?)\s*(?:Z|[+-]\d{2}(?::?\d{2})?)$"  # the date and time before a zone

_EXACT = Context(prec=400)  # of a code: more digits than any number has that is one


def as_text(cells: pd.Series) -> pd.Series:
    """Return cells as ``str``, one text for what is one id; missing stays missing.

    Trimmed, accents composed (NFC), whole numbers without the zeros after their point: ``1000.0``
    is ``1000``. What is no plain whole number stays as written: ``007``, ``1e3``.
    """
    return _series(_texts(cells), cells.index)


def _texts(cells: pd.Series) -> pa.Array:
    """Return what ``as_text`` does, as an Arrow array (n,) of strings."""
    array = _strings(cells) if isinstance(cells.dtype, pd.StringDtype) else None
    if array is None or not pc.all(pc.string_is_ascii(array)).as_py():
        array = _by_unique(cells, code)  # Arrow's utf8_normalize doesn't compose
    array = pc.utf8_trim_whitespace(array)
    array = pc.replace_substring_regex(array, NOTHING, "0")
    return pc.replace_substring_regex(array, WHOLE, r"\1")


def _strings(cells: pd.Series) -> pa.Array:
    array = pa.array(cells, from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return array.cast(pa.string())


def _series(array: pa.Array, index: pd.Index) -> pd.Series:
    column: pd.Series = array.to_pandas().astype("str")
    column.index = index
    return column


def _by_unique(cells: pd.Series, rule: Callable[[object], str | None]) -> pa.Array:
    """Apply a rule once for each distinct value; returns strings (n,)."""
    try:
        positions, distinct = pd.factorize(cells)
    except TypeError:  # a cell of a served record can be a list
        cells = cells.map(str, na_action="ignore")
        positions, distinct = pd.factorize(cells)
    plain = distinct.tolist() if hasattr(distinct, "tolist") else list(distinct)
    table = pa.array([rule(value) for value in plain], type=pa.string())
    if len(table) == 0:
        return pa.nulls(len(cells), pa.string())
    return table.take(pa.array(positions, type=pa.int64(), mask=positions < 0))


def key(text: str) -> str:
    """Return what makes two codes one: ``1``, ``1.0``, ``01`` and ``true`` are the code 1."""
    if text.lower() in TRUTH:
        return TRUTH[text.lower()]
    if len(text) > 40 or re.fullmatch(NUMBER, text) is None:
        return text
    number = Decimal(text)
    if abs(number.adjusted()) > 300:
        return text
    return format(number.normalize(_EXACT), "f") if number else "0"


def is_missing(text: pd.Series, missing: Iterable[str]) -> pd.Series:
    """Return which of the cells (n,), as ``as_text`` gives them, say "missing"."""
    said: pd.Series = text.isin([re.sub(WHOLE, r"\1", code(gap)) for gap in missing])
    return said


def without(missing: Iterable[str], declared: Iterable[str]) -> tuple[str, ...]:
    """Return the texts that mean "missing" where these codes are declared: what is declared wins.

    ``NA`` among the values of a country is Namibia.
    """
    kept = {key(text) for text in declared}
    return tuple(text for text in missing if key(text.strip()) not in kept)


def numbers(cells: pd.Series, missing: Collection[str]) -> tuple[pd.Series, Mask]:
    """Parse numbers.

    Parameters
    ----------
    cells
        (n,) text, numbers or truth values (``true`` is 1, ``false`` is 0).
    missing
        Texts that mean "missing". One that is a number means it however the cell is written:
        ``-999`` and ``-999.0``, as text or as a number.

    Returns
    -------
    float64 series (n,), missing and unreadable cells NaN; mask (n,) of unreadable cells.
    """
    kind = cells.dtype
    bad = np.zeros(len(cells), dtype=bool)
    if pd.api.types.is_bool_dtype(kind) or (
        pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_complex_dtype(kind)
    ):
        values = np.array(cells.to_numpy(dtype="float64", na_value=np.nan))
    else:
        quick = _strings(cells) if isinstance(kind, pd.StringDtype) else None
        found = None if quick is None else _cast(quick)
        if found is None or np.isinf(found).any() or pc.any(_invented(quick, found)).as_py():
            values, bad = _each(_texts(cells), missing)
        else:
            values = found
    gaps = [float(m) for m in missing if re.fullmatch(NUMBER, m.strip())]
    if gaps:
        values[np.isin(values, gaps)] = np.nan
    return pd.Series(values, index=cells.index, dtype="float64"), bad


def _invented(text: pa.Array, values: npt.NDArray[np.float64]) -> pa.Array:
    """Return which cells (n,) hold something that was read as no number, such as ``nan(x)``."""
    return pc.and_(pc.is_valid(text), pa.array(np.isnan(values)))


def _cast(text: pa.Array) -> npt.NDArray[np.float64] | None:
    """Return the nearest float64 of each text (n,), None if one is no number as it stands."""
    try:
        return np.array(pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False))
    except pa.ArrowInvalid:
        return None


def _each(text: pa.Array, missing: Collection[str]) -> tuple[npt.NDArray[np.float64], Mask]:
    """Read the cells that are numbers, by the same parser as a column without a fault."""
    gone = pc.is_in(text, value_set=pa.array([m.strip() for m in missing], pa.string()))
    text = pc.if_else(gone, None, text)
    for word, number in TRUTH.items():
        text = pc.if_else(pc.equal(pc.utf8_lower(text), word), number, text)
    good = pc.match_substring_regex(text, f"^(?:{NUMBER}|{NO_NUMBER})$")
    values = _cast(pc.if_else(good, text, None))
    if values is None:  # can't be: the pattern is stricter than the parser
        raise ValueError("a number that Arrow can't read")
    return values, np.asarray(pc.fill_null(pc.invert(good), False).to_numpy(zero_copy_only=False))


def codes(cells: pd.Series, allowed: Collection[str], missing: Collection[str]) -> pd.Series:
    """Return category codes (n,) as they are declared: ``1``, ``1.0`` and ``" 1"`` are one code.

    Truth values are the codes 1 and 0, or those that are declared by these words. A declared code
    is never missing. An unknown value stays as it is: the schema's check refuses it.
    """
    exact, gaps = set(allowed), {key(text.strip()) for text in missing}
    declared: dict[str, str] = {}
    for text in allowed:
        declared.setdefault(key(text), text)

    def rule(value: object) -> str | None:
        text = code(value)
        if text in exact:
            return text
        same = key(text)
        if same in declared:
            return declared[same]
        return None if same in gaps else re.sub(WHOLE, r"\1", text)

    return _series(_by_unique(cells, rule), cells.index)


def dates(cells: pd.Series, missing: Collection[str]) -> tuple[pd.Series, Mask]:
    """Parse ISO 8601 dates; returns datetime64 (n,) and a mask of unreadable cells.

    A date with a zone is the date as written, its local day: the first of a month in Berlin is
    no day of the month before, which it would be in UTC. A date among ``missing`` means missing
    whatever the file's type.
    """
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        if getattr(cells.dt, "tz", None) is not None:
            cells = cells.dt.tz_localize(None)
        parsed, bad = cells.astype("datetime64[us]"), np.zeros(len(cells), dtype=bool)
    else:
        text = as_text(cells)
        text = text.mask(is_missing(text, missing))
        dated = text.where(text.str.match(DATED).fillna(False))
        parsed = pd.to_datetime(dated, format="ISO8601", errors="coerce", utc=True)
        local = dated.str.extract(ZONED, expand=False)
        if local.notna().any():
            dated = local.where(parsed.notna()).fillna(dated)
            parsed = pd.to_datetime(dated, format="ISO8601", errors="coerce", utc=True)
        parsed = parsed.dt.tz_localize(None).astype("datetime64[us]")
        bad = (parsed.isna() & text.notna()).to_numpy(dtype=bool)
    gaps = [pd.Timestamp(m) for m in missing if re.fullmatch(r"\d{4}-\d\d-\d\d", m.strip())]
    if gaps:
        parsed = parsed.mask(parsed.dt.normalize().isin(gaps))
    return parsed, bad


class SeenIds:
    """Ids of all chunks so far, as 64-bit hashes with the row where each was first seen.

    Sixteen bytes an id. Two different ids share a hash with a chance of about n²/2⁶⁵: one in
    forty million for a million ids.
    """

    def __init__(self) -> None:
        self._hashes = np.empty(0, dtype=np.uint64)
        self._rows = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, ids: pd.Series, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Take in ids (n,) at their rows (n,); return the row where each was seen first, else -1.

        Missing ids are ignored (-1).
        """
        first = np.full(len(ids), -1, dtype=np.int64)
        there = ids.notna().to_numpy(dtype=bool)
        hashes = pd.util.hash_array(ids[there].to_numpy(dtype=object), categorize=False)
        own, positions, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        own_rows = rows[there][positions]
        if len(self._hashes):
            spots = np.searchsorted(self._hashes, own).clip(max=len(self._hashes) - 1)
            old = self._hashes[spots] == own
        else:
            spots = np.zeros(len(own), dtype=np.intp)
            old = np.zeros(len(own), dtype=bool)
        origin = own_rows.copy()
        if old.any():
            origin[old] = self._rows[spots[old]]
        seen_in = origin[inverse]
        repeated = seen_in != rows[there]
        first[np.flatnonzero(there)[repeated]] = seen_in[repeated]
        hashes = np.concatenate([self._hashes, own[~old]])
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        self._rows = np.concatenate([self._rows, own_rows[~old]])[order]
        return first
