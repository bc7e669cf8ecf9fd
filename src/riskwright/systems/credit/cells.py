"""The cells of one raw column: types, ranges, gaps, constancy, scale.

Where chance has a say the test is exact: under no change the rows of batch and reference are
exchangeable, so counts follow the hypergeometric distribution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from riskwright.case.usecase import Column, UseCase
from riskwright.data import parsing
from riskwright.data.meaning import missing_in
from riskwright.life.findings import Finding
from riskwright.systems.credit.reference import Reference

FAULT_SHARE, FAULT_ROWS = 0.005, 2  # cells that break the contract: a slip below, a fault above
MISSING_P, MISSING_RISE = 1e-4, 0.02
CONSTANT_P = 1e-4
SUPPORT_P, SUPPORT_SHARE = 1e-4, 0.01
UNIT_P, UNIT_FACTOR, UNIT_QUANTILE = 1e-4, 10.0, 0.999
MEDIAN_LEAST, MEDIAN_SLACK = 50, 0.15  # values needed; distance from a power of ten, in log10
RETYPED_SHARE = 0.5

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Cells:
    """One raw column as parsed, with the reference's values of the same column."""

    name: str
    column: Column
    raw: pd.DataFrame
    values: pd.Series
    unreadable: Mask
    before: pd.Series

    @property
    def missing(self) -> Mask:
        return np.asarray(self.values.isna().to_numpy(dtype=bool) & ~self.unreadable)


def check_cells(
    usecase: UseCase, reference: Reference, raw: pd.DataFrame, name: str
) -> Iterator[Finding]:
    """Yield what there is to say of one column's raw cells, with zeros where all is well."""
    column, gaps = usecase.columns[name], missing_in(usecase, name)
    unreadable = np.zeros(len(raw), dtype=bool)
    if column.type == "category":
        values = parsing.codes(raw[name], column.values, gaps)
        unreadable = (values.notna() & ~values.isin(list(column.values))).to_numpy(dtype=bool)
    elif column.type == "date":
        values, unreadable = parsing.dates(raw[name], gaps)
    else:
        values, unreadable = parsing.numbers(raw[name], gaps)
    empty = pd.Series(np.nan, index=range(len(reference)))
    before = reference.frame.get(name, empty)
    cells = _Cells(name, column, raw, values, unreadable, before)
    yield _type(cells)
    if column.numeric:
        yield from _ranges(cells)
    if before.notna().any():
        yield _missing(cells)
        yield from _constant(cells)
        if column.numeric:
            yield from _scale(cells)


def _type(cells: _Cells) -> Finding:
    """Cells that can't be read as the column's type, or codes that nobody listed."""
    given = ~cells.missing
    share = float(cells.unreadable.sum() / max(given.sum(), 1))
    category = cells.column.type == "category"
    if share >= RETYPED_SHARE and cells.unreadable.sum() >= FAULT_ROWS:
        examples = parsing.as_text(cells.raw[cells.name])[cells.unreadable].unique()[:3]
        finding = faults(
            "retyped",
            cells.name,
            cells.unreadable,
            cells.raw,
            f"cells aren't a {cells.column.type} of this use case: {', '.join(examples)}",
        )
        return replace(finding, verdict="alarm", alarm=True, threshold=RETYPED_SHARE)
    if category:
        codes = cells.values[cells.unreadable].unique()[:3].tolist()
        what = f"cells hold an unknown category ({', '.join(map(repr, codes))})"
        return faults("unknown_category", cells.name, cells.unreadable, cells.raw, what)
    what = f"cells can't be read as a {cells.column.type}"
    return faults("unreadable", cells.name, cells.unreadable, cells.raw, what)


def _ranges(cells: _Cells) -> Iterator[Finding]:
    """Infinity, and values outside what the contract allows."""
    values = cells.values.to_numpy(dtype=np.float64)
    infinite = np.isinf(values)
    # One is enough: a division by zero upstream, which no applicant can cause.
    yield faults("infinity", cells.name, infinite, cells.raw, "cells are infinite", limit=0.0)
    column = cells.column
    low = -np.inf if column.min is None else column.min
    high = np.inf if column.max is None else column.max
    free = np.isin(values, list(column.sentinels)) | infinite
    outside = ((values < low) | (values > high)) & ~free
    what = f"cells are outside {low:g} to {high:g}"
    yield faults("out_of_range", cells.name, outside, cells.raw, what)
    if column.type == "integer":
        broken = np.isfinite(values) & (np.floor(values) != values) & ~free
        yield faults("not_whole", cells.name, broken, cells.raw, "cells aren't whole numbers")


def _missing(cells: _Cells) -> Finding:
    """Missing rate against the reference's: exact test and at least two points more."""
    k, n = int(cells.missing.sum()), len(cells.missing)
    k_ref, m = int(cells.before.isna().sum()), len(cells.before)
    p = rise(k, n, k_ref, m)
    more = k / n - k_ref / m
    alarm = p < MISSING_P and more >= MISSING_RISE and k >= FAULT_ROWS
    return Finding(
        "quality",
        "all_missing" if k == n and alarm else "missing_rate",
        cells.name,
        "alarm" if alarm else "ok",
        "missing rate (exact two-proportion test)",
        k / n,
        k_ref / m + MISSING_RISE,
        p_value=p,
        effect=more,
        detail=f"{cells.name}: {k:,} of {n:,} cells are missing ({k / n:.1%}; {k_ref / m:.1%} in "
        f"the reference){_such_as(cells.missing, cells.raw)}",
        alarm=alarm,
    )


def _constant(cells: _Cells) -> Iterator[Finding]:
    """The same value in every row, although the reference varied; dates may: a batch is a day."""
    if pd.api.types.is_datetime64_any_dtype(cells.before):
        return
    values, before = cells.values.dropna(), cells.before.dropna()
    known = before.value_counts(normalize=True)
    if len(values) < FAULT_ROWS or len(values.unique()) > 1 or len(known) == 1:
        return
    p = float(known.iloc[0] ** len(values))
    alarm = p < CONSTANT_P
    yield Finding(
        "quality",
        "constant",
        cells.name,
        "alarm" if alarm else "ok",
        "distinct values",
        1.0,
        2.0,
        p_value=p,
        effect=1.0,
        detail=f"{cells.name}: the same value {values.iloc[0]} in all {len(values):,} cells; "
        f"{len(known):,} different values in the reference",
        alarm=alarm,
    )


def _scale(cells: _Cells) -> Iterator[Finding]:
    """Values beyond anything seen, and jumps of unit (thousands, cents, fractions)."""
    values = cells.values.to_numpy(dtype=np.float64)
    now, before = plain_numbers(cells.column, values), plain_numbers(cells.column, cells.before)
    if not len(now) or not len(before):
        return
    yield from _unit(cells, values, now, before)
    low, high = before.min(), before.max()
    with np.errstate(invalid="ignore"):
        usable = np.isfinite(values) & ~np.isin(values, list(cells.column.sentinels))
        sides = {"above": usable & (values > high), "below": usable & (values < low)}
    for side, mask in sides.items():
        k = int(mask.sum())
        if not k:
            continue
        p = rise(k, len(now), 0, len(before))
        alarm = p < SUPPORT_P and k / len(now) >= SUPPORT_SHARE
        yield Finding(
            "quality",
            f"{side}_support",
            cells.name,
            "alarm" if alarm else "ok",
            "share beyond the reference's extremes (exact test)",
            k / len(now),
            SUPPORT_SHARE,
            p_value=p,
            effect=k / len(now),
            detail=f"{cells.name}: {k:,} of {len(now):,} values are {side} anything in the "
            f"reference ({low:g} to {high:g}){_such_as(mask, cells.raw)}",
            alarm=alarm,
        )


def _unit(cells: _Cells, values: NDArray[np.float64], now: Any, before: Any) -> Iterator[Finding]:
    far = UNIT_FACTOR * float(np.quantile(np.abs(before), UNIT_QUANTILE))
    k, k_ref = int((np.abs(now) > far).sum()), int((np.abs(before) > far).sum())
    p = rise(k, len(now), k_ref, len(before)) if far > 0 else 1.0
    share = k / len(now)
    some = p < UNIT_P and share >= FAULT_SHARE and k >= FAULT_ROWS
    now_size, before_size = np.abs(now[now != 0]), np.abs(before[before != 0])
    ratio, all_of_them = 1.0, False
    if min(len(now_size), len(before_size)) >= MEDIAN_LEAST:
        ratio = float(np.median(now_size) / np.median(before_size))
        power = round(float(np.log10(ratio)))
        all_of_them = power != 0 and abs(np.log10(ratio) - power) <= MEDIAN_SLACK
    if not (some or all_of_them):
        return
    what = (
        f"the median is {ratio:.3g} times the reference's, near a power of ten"
        if all_of_them
        else f"{k:,} of {len(now):,} values are more than {UNIT_FACTOR:g} times the reference's "
        f"{UNIT_QUANTILE:.1%} quantile"
    )
    mask = np.isfinite(values) & (np.abs(values) > far)
    yield Finding(
        "quality",
        "unit_jump",
        cells.name,
        "alarm",
        "ratio of medians" if all_of_them else f"share beyond {far:g}",
        ratio if all_of_them else share,
        UNIT_FACTOR if all_of_them else FAULT_SHARE,
        p_value=None if all_of_them else p,
        effect=ratio if all_of_them else share,
        detail=f"{cells.name}: {what}; has its unit changed?{_such_as(mask, cells.raw)}",
        alarm=True,
    )


def plain_numbers(column: Column, values: Any) -> NDArray[np.float64]:
    """Return the finite values that are no sentinel codes, shape (k,)."""
    numbers = np.asarray(values, dtype=np.float64)
    keep = np.isfinite(numbers) & ~np.isin(numbers, list(column.sentinels))
    return np.asarray(numbers[keep])


def rise(k: int, n: int, k_ref: int, m: int) -> float:
    """Return how often chance gives ``k`` of ``n`` or more, with ``k_ref`` of ``m`` before.

    Fisher's exact one-sided test: hypergeometric upper tail with all ``k + k_ref`` fixed.
    """
    return float(stats.hypergeom.sf(k - 1, n + m, k + k_ref, n)) if k else 1.0


def faults(
    code: str,
    column: str | None,
    mask: Mask,
    raw: pd.DataFrame,
    what: str,
    *,
    limit: float = FAULT_SHARE,
) -> Finding:
    """Return the finding for cells that break a rule outright."""
    k, n = int(mask.sum()), len(mask)
    alarm = k > 0 if limit == 0 else k >= FAULT_ROWS and k / n >= limit
    return Finding(
        "quality",
        code,
        column,
        "alarm" if alarm else "ok",
        "share of cells" if column else "share of rows",
        k / n,
        limit,
        effect=k / n,
        detail=f"{column}: " * bool(column) + f"{k:,} of {n:,} {what}{_such_as(mask, raw)}",
        alarm=alarm,
    )


def _such_as(mask: Mask, raw: pd.DataFrame) -> str:
    return f", such as row {raw.index[int(mask.argmax())]}" if mask.any() else ""
