"""Read the series of a market case and check them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from riskwright.data import parsing
from riskwright.errors import InputRefused, closest
from riskwright.systems.market.files import TRANSFORM, TWICE, read
from riskwright.systems.market.series_spec import Series, SeriesSpec
from riskwright.systems.market.yearly import check_spans, over_a_year

JUMPY = ("price_average", "price_close")
POSITIVE = ("price_average", "price_close", "index")


def load_series(
    specs: Mapping[str, SeriesSpec],
    folder: Path | None,
    *,
    window: int = 0,
    stale: int = 0,
    gap_months: int = 0,
    gap_days: int = 14,
    jump: float = 3.0,
) -> dict[str, Series]:
    """Read and check every series; each file is read once.

    Parameters
    ----------
    specs
        What each one is, by name.
    folder
        Folder of the files, None where none is needed.
    window
        Months that a series has to span.
    stale, gap_months, gap_days
        Limits of series that don't state their own: months that the newest value may be late,
        missing months, days from one value to the next.
    jump
        How many times as large or small a price may be from one value to the next.

    Raises
    ------
    InputRefused
        If a file or column isn't there, or a series breaks a rule; with the series and its row.
    """
    tables: dict[str, pd.DataFrame] = {}
    found = {}
    for name, spec in specs.items():
        if spec.source not in tables:
            tables[spec.source] = read(spec.source, folder)
        gap = spec.gap
        if gap is None:
            gap = gap_months if spec.frequency == "monthly" else gap_days
        values = _values(name, spec, tables[spec.source])
        _check_gaps(name, spec, values, gap)
        _check_jumps(name, spec, values, jump)
        _check_span(name, values, window)
        found[name] = Series(name, spec, values, stale if spec.stale is None else spec.stale)
    check_spans(found)
    return found


def _values(name: str, spec: SeriesSpec, table: pd.DataFrame) -> pd.Series:
    """Return the checked values of a series, without missing ones."""
    index = _dates(name, spec, table)
    total = None
    for column in spec.column:
        if column not in table:
            columns = [c for c in table.columns if c != TRANSFORM]
            raise InputRefused(
                f"the series {name!r} isn't in its source: no column {column!r}",
                where=spec.source,
                expected=", ".join(columns[:8]) + (" …" if len(columns) > 8 else ""),
                do=closest(column, columns) or "mend 'column' in the use case",
            )
        if column in table.attrs.get(TWICE, ()):
            raise InputRefused(
                f"column {column!r} occurs twice in the header",
                where=spec.source,
                expected="each column once",
                do="rename or remove one of them",
            )
        numbers = pd.Series(_numbers(name, spec, table[column]), index=index)
        if spec.zero_is_missing:
            numbers = numbers.mask(numbers == 0)
        _check_values(name, spec, numbers, table.index)
        code = table.attrs.get(TRANSFORM, {}).get(column, 1)
        if spec.transform and code != 1:
            if spec.kind != "return":
                raise InputRefused(
                    f"the file's transform (code {code}) makes changes of the series {name!r}, "
                    f"but its kind is {spec.kind!r}",
                    where=f"{spec.source}: {column}",
                    expected="kind 'return' for changes, or 'transform: false' for the level",
                )
            numbers = transformed(numbers, code, where=f"{spec.source}: {column}")
        total = numbers if total is None else total + numbers
    if total is None or total.isna().all():
        raise InputRefused(f"the series {name!r} holds no value", where=spec.source)
    return over_a_year(total.dropna(), spec.per).dropna() * spec.scale


def _numbers(name: str, spec: SeriesSpec, cells: pd.Series) -> np.ndarray:
    """Return the cells as floats (n,), missing ones NaN."""
    if pd.api.types.is_numeric_dtype(cells):
        return cells.to_numpy(dtype=float)
    numbers, unreadable = parsing.numbers(cells, ("", ".", "NA", "NaN", "nan", "#N/A"))
    bad = np.flatnonzero(unreadable | np.isinf(numbers))
    if len(bad):
        raise InputRefused(
            f"the series {name!r} holds {cells.iloc[bad[0]].strip()!r}, which is no number",
            where=_row(spec, cells.index, bad[0]),
            expected="a number, or an empty cell",
        )
    return numbers.to_numpy(dtype=float)


def _dates(name: str, spec: SeriesSpec, table: pd.DataFrame) -> pd.Index:
    """Return the months, or days, of a table's rows: in order, each once."""
    days = pd.DatetimeIndex(table["date"])
    index: pd.Index = days
    if spec.frequency == "monthly":
        first = spec.stamp == "start"
        odd = np.flatnonzero(days.day > 7 if first else days.days_in_month - days.day > 7)
        if len(odd):
            raise InputRefused(
                f"the series {name!r} isn't stamped at the {spec.stamp} of its months",
                where=f"{_row(spec, table.index, odd[0])}: {days[odd[0]]:%Y-%m-%d}",
                expected=f"monthly dates in the {'first' if first else 'last'} 7 days",
                do="mend 'stamp' or 'frequency' in the use case",
            )
        index = days.to_period("M")
    step = np.diff(index.asi8)  # type: ignore[attr-defined]
    if (step > 0).all():
        return index
    at = int(np.flatnonzero(step <= 0)[0]) + 1
    twice = step[at - 1] == 0
    raise InputRefused(
        f"the series {name!r} has two rows for {index[at]!s:.10}"
        if twice
        else f"the dates of the series {name!r} are out of order",
        where=f"{_row(spec, table.index, at)}: {days[at]:%Y-%m-%d} after {days[at - 1]:%Y-%m-%d}",
        expected=f"one row a {'month' if spec.frequency == 'monthly' else 'day'}, oldest first",
        do="remove the second row" if twice else "sort the file by date",
    )


def _check_values(name: str, spec: SeriesSpec, numbers: pd.Series, rows: pd.Index) -> None:
    least = {"return": -1 / abs(spec.scale), **dict.fromkeys(POSITIVE, 0.0)}.get(spec.kind)
    if least is None:
        return
    bad = np.flatnonzero(numbers <= least)
    if len(bad):
        value = numbers.iloc[bad[0]]
        raise InputRefused(
            f"the series {name!r} is {value:g}, which no {spec.kind.replace('_', ' ')} can be",
            where=_row(spec, rows, bad[0]) + (f" ({len(bad):,} such rows)" if bad[1:].size else ""),
            expected=f"a number above {least:g}",
            do="if 0 means missing, declare 'zero_is_missing: true'" if value == 0 else "",
        )


def _check_gaps(name: str, spec: SeriesSpec, values: pd.Series, gap: int) -> None:
    index = values.index
    if spec.frequency == "monthly":
        missing, unit = np.diff(index.asi8) - 1, "missing months"  # type: ignore[attr-defined]
    else:
        missing, unit = np.diff(index.to_numpy()) // np.timedelta64(1, "D"), "days without a value"
    wide = np.flatnonzero(missing > gap)
    if len(wide):
        at = int(wide[0])
        raise InputRefused(
            f"the series {name!r} has a gap of {missing[at]:.0f} {unit}",
            where=f"{spec.source}: from {index[at]!s:.10} to {index[at + 1]!s:.10}",
            expected=f"at most {gap}",
            do="fill the gap, or raise 'gap' of the series if it is meant to be there",
        )


def _check_jumps(name: str, spec: SeriesSpec, values: pd.Series, jump: float) -> None:
    """Refuse a price that multiplies overnight: a slipped decimal point makes skill of nothing."""
    if spec.kind == "return":
        steps = (1 + values).iloc[1:]
    elif spec.kind in JUMPY:
        steps = (values / values.shift(1)).iloc[1:]
    else:
        return
    wild = steps[(steps > jump) | (steps < 1 / jump)]
    if len(wild):
        raise InputRefused(
            f"the series {name!r} is {wild.iloc[0]:.3g} times what it was just before",
            where=f"{spec.source}: {wild.index[0]!s:.10}",
            expected=f"at most {jump:g} times as large or small",
            do="mend the value, or raise 'limits.jump' if the market really did that",
        )


def _check_span(name: str, values: pd.Series, window: int) -> None:
    first, last = (pd.Period(str(day)[:7], "M") for day in (values.index[0], values.index[-1]))
    span = (last - first).n + 1
    if span < window:
        raise InputRefused(
            f"the series {name!r} spans {span / 12:.1f} years, the window {window / 12:.1f}",
            where=f"{first} to {last}",
            expected=f"at least {window} months",
            do="bring a longer history, or lower 'walk.min_train'",
        )


def _row(spec: SeriesSpec, rows: pd.Index, position: int | np.integer) -> str:
    return f"{spec.source}, row {rows[int(position)]}"


def transformed(values: pd.Series, code: int, *, where: str = "") -> pd.Series:
    """Return a monthly series transformed as its FRED-MD code says.

    Parameters
    ----------
    values
        By month, shape (n,).
    code
        1 none, 2 Δx, 3 Δ²x, 4 log x, 5 Δ log x, 6 Δ² log x, 7 Δ(x / x before − 1): McCracken and
        Ng, "FRED-MD: A Monthly Database for Macroeconomic Research" (2016), appendix.
    where
        For the message.

    Raises
    ------
    InputRefused
        If the code is unknown, or the logarithm of zero or less is asked for.
    """
    if code not in range(1, 8):
        raise InputRefused(
            f"the transform code {code} is unknown", where=where, expected="1 to 7 (FRED-MD)"
        )
    if code in (4, 5, 6):
        if (values <= 0).any():
            raise InputRefused(
                f"transform code {code} takes the logarithm of {values.min():g}",
                where=where,
                expected="values above 0",
            )
        values = pd.Series(np.log(values), index=values.index)
    if code == 7:
        values = values / values.shift(1) - 1
    for _ in range({2: 1, 3: 2, 5: 1, 6: 2, 7: 1}.get(code, 0)):
        values = values.diff()
    return values
