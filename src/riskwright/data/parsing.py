"""Raw cells to canonical columns, vectorised, and which cells can't be one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from riskwright.usecase import code

Mask = npt.NDArray[np.bool_]
ZONED = r"^(.*[T ]\d{2}[\d:.,]*?)\s*(?:Z|[+-]\d{2}(?::?\d{2})?)$"  # the date and time before a zone


def as_text(cells: pd.Series) -> pd.Series:
    """Return cells as trimmed ``str``, numbers as ``code`` writes them; missing stays missing."""
    if isinstance(cells.dtype, pd.StringDtype):
        return cast(pd.Series, cells.str.strip())
    return _by_unique(cells, code)


def _by_unique(cells: pd.Series, rule: Callable[[object], str | None]) -> pd.Series:
    """Apply a rule once for each distinct value."""
    positions, distinct = pd.factorize(cells)
    plain = distinct.tolist() if hasattr(distinct, "tolist") else list(distinct)
    table = pa.array([rule(value) for value in plain], type=pa.string())
    indices = pa.array(positions, type=pa.int64(), mask=positions < 0)
    if len(table) == 0:
        return pd.Series(np.nan, index=cells.index, dtype="str")
    column: pd.Series = table.take(indices).to_pandas().astype("str")
    column.index = cells.index
    return column


def numbers(cells: pd.Series, missing: Collection[str]) -> tuple[pd.Series, Mask]:
    """Parse numbers.

    Parameters
    ----------
    cells
        (n,) text, numbers or truth values.
    missing
        Texts that mean "missing" (the reader has replaced untrimmed ones already).

    Returns
    -------
    float64 series (n,), missing and unreadable cells NaN; mask (n,) of unreadable cells.
    """
    none = np.zeros(len(cells), dtype=bool)
    if pd.api.types.is_bool_dtype(cells.dtype) or (
        pd.api.types.is_numeric_dtype(cells.dtype)
        and not pd.api.types.is_complex_dtype(cells.dtype)
    ):
        return pd.Series(
            cells.to_numpy(dtype="float64", na_value=np.nan), index=cells.index, dtype="float64"
        ), none
    text = cells if isinstance(cells.dtype, pd.StringDtype) else as_text(cells)
    values = _cast(text)
    if values is None:
        text = as_text(text)
        values = _cast(text)
    if values is not None:
        return values, none
    # Some cell is not a number: find out which.
    text = text.mask(text.isin(list(missing)))
    parsed = pd.to_numeric(text, errors="coerce").astype("float64")
    bad = parsed.isna() & text.notna() & (text.str.lower() != "nan")
    return parsed, bad.to_numpy(dtype=bool)


def _cast(text: pd.Series) -> pd.Series | None:
    """Return the numbers that a text column holds, None if a cell isn't one as it stands."""
    try:
        array = pc.cast(pa.array(text, from_pandas=True), pa.float64())
    except pa.ArrowInvalid:
        return None
    values = array.to_numpy(zero_copy_only=False)
    return pd.Series(values, index=text.index, dtype="float64")


def codes(cells: pd.Series, allowed: Collection[str], missing: Collection[str]) -> pd.Series:
    """Return category codes as text (n,): ``1``, ``1.0`` and ``" 1"`` are one code.

    An unknown value stays as it is: the schema's check refuses it.
    """

    def rule(value: object) -> str | None:
        text = code(value)
        if text in allowed:
            return text
        if text in missing:
            return None
        try:
            number = code(float(text))
        except (ValueError, OverflowError):
            return text
        return number if number in allowed else text

    return _by_unique(cells, rule)


def dates(cells: pd.Series, missing: Collection[str]) -> tuple[pd.Series, Mask]:
    """Parse ISO 8601 dates; returns datetime64 (n,) and a mask of unreadable cells.

    A date with a zone is the date as written, its local day: the first of a month in Berlin is
    no day of the month before, which it would be in UTC.
    """
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        if getattr(cells.dt, "tz", None) is not None:
            cells = cells.dt.tz_localize(None)
        return cells.astype("datetime64[us]"), np.zeros(len(cells), dtype=bool)
    text = as_text(cells)
    text = text.mask(text.isin(list(missing)))
    parsed = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
    local = text.str.extract(ZONED, expand=False)
    if local.notna().any():
        text = local.where(parsed.notna()).fillna(text)
        parsed = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
    parsed = parsed.dt.tz_localize(None).astype("datetime64[us]")
    bad = parsed.isna() & text.notna()
    return parsed, bad.to_numpy(dtype=bool)


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
