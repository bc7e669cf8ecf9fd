"""Further months of a market's series: drawn from the past, or with an injected change.

Only to show and to measure a monitor: nothing is forecast from them. Months are drawn in blocks and
jointly for all monthly series, so that their volatility and what they have to do with each other
stay; what is persistent (yields, bills) keeps its pull to the mean and draws its surprises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.errors import InputRefused
from riskwright.systems.market.series_spec import Series

FloatArray = npt.NDArray[np.float64]
BLOCK = 24  # months drawn together
SHORTEST = 60  # months in common to draw from
PERSISTENT = ("bill_rate", "long_rate", "aaa", "baa", "implied_volatility")

# The change: a decade like the 1970s, but at once. A month, beside what is drawn.
RATES_UP = 0.004  # yields a year, for its first two years: as in 1979 to 1981
RATE_MONTHS = 24
INFLATION = 0.008
LOSS = -0.015  # of the market
WILDER = 2.5  # times its surprises


def further_months(
    store: Mapping[str, Series], months: int, *, seed: int, change: bool = False
) -> dict[str, Series]:
    """Return the series with so many months more.

    Parameters
    ----------
    store
        Series by name, ending within a year of each other.
    months
        To add to the one that ends last; the others get as many more as they end earlier.
    seed
        Of the draw.
    change
        Whether yields rise, prices run away, and the market falls and swings.

    Raises
    ------
    InputRefused
        If the monthly series have no five years in common to draw from.
    """
    monthly = {n: s for n, s in store.items() if s.spec.frequency == "monthly"}
    first = max(s.values.index[0] for s in monthly.values())
    last = min(s.values.index[-1] for s in monthly.values())
    end = max(s.values.index[-1] for s in monthly.values()) + months
    if (last - first).n < SHORTEST:
        raise InputRefused(
            f"the series have only {first} to {last} in common", expected="five years or more"
        )
    rng = np.random.default_rng(seed)
    pool = pd.period_range(first + 1, last, freq="M")
    count = (end - last).n
    starts = rng.integers(0, len(pool) - BLOCK, -(-count // BLOCK))
    drawn = pool[np.concatenate([np.arange(s, s + BLOCK) for s in starts])[:count]]
    return {
        name: _monthly(series, drawn, end, change)
        if name in monthly
        else _daily(series, end, rng, change)
        for name, series in store.items()
    }


def _monthly(series: Series, drawn: pd.PeriodIndex, end: pd.Period, change: bool) -> Series:
    values = series.values
    new = pd.period_range(values.index[-1] + 1, end, freq="M")
    # A series that ends later than the others has fewer months to add.
    made = _continued(series, drawn[len(drawn) - len(new) :], change)
    return replace(series, values=pd.concat([values, pd.Series(made, new)]))


def _continued(series: Series, source: pd.PeriodIndex, change: bool) -> FloatArray:
    values, name, kind = series.values, series.name, series.spec.kind
    if name in PERSISTENT:
        x = values.to_numpy(dtype=float)
        slope, level = (float(v) for v in np.polyfit(x[:-1], x[1:], 1))
        surprises = values - level - slope * values.shift(1)
        step = RATES_UP / (12 if kind == "return" else 1) * change
        out, now = [], float(x[-1])
        for i, draw in enumerate(surprises.reindex(source).to_numpy(dtype=float)):
            now = level + slope * now + draw + (step if i < RATE_MONTHS else 0.0)
            out.append(now)
        return np.array(out)
    if kind == "return":
        drawn = values.reindex(source).to_numpy(dtype=float)
        if name != "returns" or not change:
            return np.asarray(drawn)
        mean = float(values.mean())
        return np.maximum(mean + WILDER * (drawn - mean) + LOSS, -0.5)
    changes = pd.Series(np.log(values)).diff().reindex(source).to_numpy(dtype=float)
    if change and name == "cpi":
        changes = changes + INFLATION
    if change and name == "price":
        changes = WILDER * changes + LOSS
    return np.asarray(float(values.iloc[-1]) * np.exp(np.cumsum(changes)))


def _daily(series: Series, end: pd.Period, rng: np.random.Generator, change: bool) -> Series:
    values = series.values
    days = pd.bdate_range(values.index[-1] + pd.Timedelta(days=1), end.end_time.normalize())
    changes = np.log(values).diff().dropna().to_numpy(dtype=float)
    size = 21 * BLOCK
    starts = rng.integers(0, len(changes) - size, -(-len(days) // size))
    drawn = np.concatenate([changes[s : s + size] for s in starts])[: len(days)]
    if change and series.name == "daily_price":
        drawn = WILDER * drawn + LOSS / 21
    made = float(values.iloc[-1]) * np.exp(np.cumsum(drawn))
    return replace(series, values=pd.concat([values, pd.Series(made, days)]))
