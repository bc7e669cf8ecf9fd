"""How uncertain a forecast is: a volatility model, corrected by the errors that were made.

A GARCH(1,1) of monthly price changes (Bollerslev, J. of Econometrics 31, 1986) says how the spread
moves; it is refitted each December. How wide the interval must then be is read off the past
forecasts' errors in units of that spread, only those known at the origin. An error's weight halves
every twenty years: markets change, and conformal prediction with fading weights loses little by it
(Barber, Candès, Ramdas and Tibshirani, Annals of Statistics 51, 2023).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.signal import lfilter
from scipy.stats import norm

from riskwright.data.splits import trainable
from riskwright.errors import InputRefused
from riskwright.systems.market.learnt import FloatArray
from riskwright.systems.market.refit_schedule import DECEMBER, TUNING, months

FEWEST_CHANGES = 120  # months from which a GARCH is fitted; before, their plain variance
FEWEST_ERRORS = 60  # known errors from which they are used
HALF_LIFE = 240  # months in which an error's weight halves
NORMAL = norm.ppf((np.arange(400) + 0.5) / 400)  # what stands for them until then
PERCENT = 100.0  # arch wants numbers of the order of 1


def predictive_sd(
    changes: pd.Series, origins: pd.PeriodIndex, *, horizon: int, skip: int = 0
) -> pd.Series:
    """Return the standard deviation of the return to come, as it was seen at each origin.

    Parameters
    ----------
    changes
        Log change of the price by the month at whose end it was known.
    origins
        Months at whose ends the forecasts were made, ascending.
    horizon, skip
        Months of the return, and months between the origin and its first one.

    Returns
    -------
    Series
        Index as ``origins``, decimals over the whole horizon.

    Raises
    ------
    InputRefused
        If fewer than 24 changes were known at the first origin, or one is missing.
    """
    values = PERCENT * changes.to_numpy(dtype=float)
    month, at = months(changes.index), months(origins)
    known = np.searchsorted(month, at, side="right")
    if len(at) and known[0] < 24:
        raise InputRefused(
            f"{known[0]} monthly changes were known at {origins[0]}", expected="at least 24"
        )
    if not np.isfinite(values).all():
        raise InputRefused(
            "a monthly change of the price is missing",
            where=str(changes.index[~np.isfinite(values)][0]),
        )
    variance = np.empty(len(at))
    years = (at - DECEMBER) // TUNING
    for year in np.unique(years):
        here = np.flatnonzero(years == year)
        learnt = values[
            : max(24, int(np.searchsorted(month, DECEMBER + TUNING * year, side="right")))
        ]
        variance[here] = _ahead(learnt, values, known[here], skip, horizon)
    return pd.Series(np.sqrt(variance) / PERCENT, index=origins, name="sd")


def _ahead(
    learnt: FloatArray, values: FloatArray, known: np.ndarray, skip: int, horizon: int
) -> FloatArray:
    """Return the variance of the sum of the months ahead, after so many known values (m,)."""
    mean, omega, alpha, beta = _garch(learnt)
    squares = (values[: known.max()] - mean) ** 2
    start = float(learnt.var())
    # The variance of the month after each value: a first-order filter of the squares.
    path, _ = lfilter([1.0], [1.0, -beta], omega + alpha * squares, zi=[beta * start])
    step = path[known - 1]
    total = np.zeros(len(known))
    for ahead in range(1, skip + horizon + 1):
        if ahead > skip:
            total += step
        step = omega + (alpha + beta) * step
    return total


def _garch(values: FloatArray) -> tuple[float, float, float, float]:
    """Return mean, omega, alpha and beta; a constant variance where none can be fitted."""
    constant = float(values.mean()), float(values.var()), 0.0, 0.0
    if len(values) < FEWEST_CHANGES or constant[1] == 0:
        return constant
    from arch import arch_model

    model = arch_model(values, mean="Constant", vol="GARCH", p=1, q=1, rescale=False)
    found = model.fit(disp="off", show_warning=False)
    mean, omega, alpha, beta = (float(value) for value in found.params)
    if found.convergence_flag != 0 or not np.isfinite([mean, omega, alpha, beta]).all():
        return constant
    return mean, omega, alpha, beta


def intervals(
    forecast: pd.Series,
    actual: pd.Series,
    known_at: pd.Series,
    sd: pd.Series,
    *,
    horizon: int,
    embargo: int = 0,
    levels: Sequence[float] = (0.8, 0.95),
    cash: pd.Series | None = None,
) -> pd.DataFrame:
    """Return intervals of forecasts, from the errors that were known at each origin.

    Parameters
    ----------
    forecast, actual, known_at, sd
        By origin: the forecast, the realised return (NaN where unknown), the month in which that
        was known, and ``predictive_sd``.
    horizon
        Months of the return: so many overlapping errors count as one.
    embargo
        Further months left out before each origin.
    levels
        Coverages.
    cash
        By origin, what cash will return over the same months, as known then.

    Returns
    -------
    DataFrame
        Index origin; ``sd`` (that of the errors expected now), ``low_80`` and ``high_80`` and so
        on, and with ``cash`` also ``p_above_cash``.

    Raises
    ------
    InputRefused
        If a level isn't inside (0, 1) or a standard deviation isn't above 0.
    """
    index = forecast.index
    spread = _checked_spread(sd.reindex(index), levels)
    point = forecast.to_numpy(dtype=float)
    hurdle = np.full(len(index), np.nan)
    if cash is not None:
        hurdle = (cash.reindex(index).to_numpy(dtype=float) - point) / spread
    errors = (actual.reindex(index).to_numpy(dtype=float) - point) / spread
    order = np.argsort(errors, kind="stable")[: int(np.isfinite(errors).sum())]
    errors, known = errors[order], months(known_at.reindex(index))[order]
    tails = np.array([(1 + side * level) / 2 for level in levels for side in (-1, 1)])
    found = np.empty((len(index), 2 + len(tails)))
    for i, month in enumerate(months(index)):
        usable = trainable(known, month + 1, embargo)
        past, weights = errors[usable], 0.5 ** ((month - known[usable]) / HALF_LIFE)
        found[i] = _quantiles(past, weights, tails, hurdle[i], horizon)
    names = [f"{side}_{100 * level:g}" for level in levels for side in ("low", "high")]
    bounds = np.maximum(point[:, None] + spread[:, None] * found[:, 1:-1], -1.0)  # all is lost
    table = pd.DataFrame(bounds, index, names)
    table.insert(0, "sd", spread * found[:, 0])
    return table if cash is None else table.assign(p_above_cash=found[:, -1])


def _checked_spread(sd: pd.Series, levels: Sequence[float]) -> FloatArray:
    """The standard deviations; refuse one that isn't above 0, and a level that is none."""
    for level in levels:
        if not 0 < level < 1:
            raise InputRefused(f"a coverage of {level:g}", expected="above 0 and below 1")
    spread = sd.to_numpy(dtype=float)
    if not (spread > 0).all():
        where = str(sd.index[~(spread > 0)][0])
        raise InputRefused("a standard deviation isn't above 0", where=where)
    return spread


def _quantiles(
    past: FloatArray, weights: FloatArray, tails: FloatArray, hurdle: float, horizon: int
) -> list[float]:
    """Spread, quantiles at ``tails`` and share above a hurdle of past errors, sorted and weighted.

    Of n free errors, the i-th in order is passed with probability i / (n + 1): levels move outward
    by what their small number leaves open. Too few errors are taken for normal ones.
    """
    if len(past) >= FEWEST_ERRORS:
        free = float(weights.sum() ** 2 / (weights**2).sum()) / horizon
    else:
        past, weights, free = NORMAL, np.ones(len(NORMAL)), np.inf
    weights = weights / weights.sum()
    wanted = tails + (tails - 0.5) / free
    quantiles = np.interp(wanted, np.cumsum(weights) - weights / 2, past)
    above = float(weights[past > hurdle].sum()) if np.isfinite(hurdle) else np.nan
    return [np.sqrt(weights @ past**2), *quantiles, above]
