"""What every judgement of a forecast needs first: consecutive months, outcomes that are over."""

from __future__ import annotations

import numpy as np
import pandas as pd

from riskwright.errors import InputRefused, closest

BENCHMARK = "historical_mean"


def fewest(h: int) -> int:
    """Return how many outcomes a judgement needs: 24, and four horizons."""
    return max(24, 4 * h)


def monthly(name: str, frame: pd.DataFrame | pd.Series) -> pd.PeriodIndex:
    """Return the index of a frame whose rows are consecutive months.

    Raises
    ------
    InputRefused
        If the index isn't one of months, is out of order, repeats a month or leaves one out.
    """
    index = frame.index
    if not isinstance(index, pd.PeriodIndex) or index.freqstr != "M":
        raise InputRefused(
            f"{name}: the rows aren't labelled by months", expected="a PeriodIndex of months"
        )
    steps = np.diff(index.astype("int64").to_numpy())
    if (steps != 1).any():
        at = int(np.flatnonzero(steps != 1)[0])
        raise InputRefused(
            f"{name}: {index[at]} is followed by {index[at + 1]}",
            expected="consecutive months in order, each once",
        )
    return index


def matched(
    forecasts: pd.DataFrame, actual: pd.Series, h: int
) -> tuple[pd.DataFrame, pd.Series, np.ndarray]:
    """Return the forecasts whose outcome is known, the outcomes, and the benchmark's forecasts.

    Parameters
    ----------
    forecasts
        Index origin (the month at whose end the forecast was made), one column a family, among
        them ``historical_mean``.
    actual
        Index origin: what came of it over the h months that follow. NaN at the end: not yet over.
    h
        Horizon in months.

    Raises
    ------
    InputRefused
        If months are missing or repeated, a value is missing in between, the benchmark is not
        there, or there are fewer than 24 outcomes (at h = 12: fewer than 48).
    """
    if BENCHMARK not in forecasts:
        raise InputRefused(
            f"the forecasts have no column {BENCHMARK!r}",
            expected="the benchmark beside the families",
            do=closest(BENCHMARK, forecasts.columns),
        )
    monthly("forecasts", forecasts)
    monthly("outcomes", actual)
    over = actual.loc[: actual.last_valid_index()]
    months = forecasts.index.intersection(over.index)
    needed = fewest(h)
    if len(months) < needed:
        raise InputRefused(
            f"{len(months)} forecasts have an outcome", expected=f"at least {needed} at h = {h}"
        )
    found, known = forecasts.loc[months].astype(float), over.loc[months].astype(float)
    for name, column in (("outcome", known), *found.items()):
        bad = ~np.isfinite(column.to_numpy())
        if bad.any():
            raise InputRefused(
                f"{name}: no number at {months[bad][0]} ({int(bad.sum())} such months)",
                expected="a number for each month",
            )
    return found, known, found[BENCHMARK].to_numpy()
