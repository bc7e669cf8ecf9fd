"""Series and forecasts as plain tables: what snapshots and evidence are made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from riskwright.store.writer import replacing
from riskwright.systems.market.case import MarketCase
from riskwright.systems.market.series_spec import Series


def to_table(store: Mapping[str, Series]) -> pd.DataFrame:
    """Return series as one long table: ``series``, ``date``, ``value``.

    A month is written as its first day.
    """
    parts = []
    for name, series in store.items():
        index = series.values.index
        days = (
            index.to_timestamp() if isinstance(index, pd.PeriodIndex) else pd.DatetimeIndex(index)
        )
        part = {"series": name, "date": days.as_unit("s"), "value": series.values.to_numpy(float)}
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def from_table(case: MarketCase, table: pd.DataFrame) -> dict[str, Series]:
    """Return the series of a case from what ``to_table`` made of them."""
    found = {}
    for name, spec in case.series.items():
        part = table[table["series"] == name]
        days = pd.DatetimeIndex(part["date"], name="date")
        index = days.to_period("M") if spec.frequency == "monthly" else days
        values = pd.Series(part["value"].to_numpy(float), index)
        stale = case.limits.stale_months if spec.stale is None else spec.stale
        found[name] = Series(name, spec, values, stale)
    return found


def write_months(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame whose index are months as Parquet, the months as text."""
    plain = frame.set_axis(frame.index.astype("str"), axis=0).rename_axis("origin")
    with replacing(path) as part:
        plain.reset_index().to_parquet(part, index=False)


def read_months(path: Path) -> pd.DataFrame:
    """Read what ``write_months`` wrote."""
    frame = pd.read_parquet(path)
    return frame.set_index(pd.PeriodIndex(frame.pop("origin"), freq="M", name="origin"))


def at(frame: pd.DataFrame, month: pd.Period) -> pd.Series:
    """Return the row of a month."""
    row: pd.Series = frame.loc[frame.index == month].iloc[0]
    return row
