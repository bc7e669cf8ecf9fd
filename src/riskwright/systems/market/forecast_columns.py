"""The columns of a forecast, which a person can act on: interval, chance of beating cash, weight.

The walk-forward and the live bundle answer through the same functions, so that what was judged is
what answers.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from riskwright.systems.market.case import MarketCase
from riskwright.systems.market.coverage import LEVELS
from riskwright.systems.market.panel import Panel
from riskwright.systems.market.predictors import YEAR
from riskwright.systems.market.strategy import equity_weight, months_of_variance
from riskwright.systems.market.volatility import intervals

SPREAD = ["member_min", "member_max", "disagreement"]
BOUNDS = ["sd", *(f"{end}{level}" for level in LEVELS for end in ("low", "high")), "p_above_cash"]
COLUMNS = ["forecast", *SPREAD, *BOUNDS, "weight", "mean_weight"]


def price_changes(panel: Panel) -> pd.Series:
    """Return the log change of the market's price by the month at whose end it was known."""
    spec = panel.case.series["returns" if "returns" in panel.case.series else "price"]
    changes = pd.Series(np.log(panel.prices)).diff().iloc[1:]
    changes.index = pd.PeriodIndex(changes.index).shift(spec.lag_months)
    return changes


def known_cash(panel: Panel) -> pd.Series:
    """Return by origin what cash is expected to return a month, from what was known there.

    Its last known return; if real, the mean of the last twelve, since prices jump from month to
    month. NaN where cash isn't known yet. 0 where the target is the excess over cash: then that is
    what a forecast is held against.
    """
    case = panel.case
    if case.target.kind == "excess":
        return pd.Series(0.0, panel.X.index)
    cash, late = panel.risk_free.dropna(), case.series["bill_rate"].lag_months
    if case.target.kind == "real_total":
        cash = cash.rolling(YEAR).mean().dropna()
        late = max(late, case.series["cpi"].lag_months)
    cash.index = pd.PeriodIndex(cash.index).shift(late)
    return cash.reindex(panel.X.index, method="ffill")


def over_horizon(monthly: pd.Series, months: int) -> pd.Series:
    """Return what a return a month makes over a horizon."""
    return (1 + monthly) ** months - 1


def spread(members: pd.DataFrame) -> pd.DataFrame:
    """Return the members' extremes and their standard deviation; NaN marks who is no member."""
    values = members.to_numpy(dtype=float)
    found = np.column_stack(
        [np.nanmin(values, axis=1), np.nanmax(values, axis=1), np.nanstd(values, axis=1)]
    )
    return pd.DataFrame(found, members.index, SPREAD)


def bounds(
    forecast: pd.Series,
    actual: pd.Series,
    known_at: pd.Series,
    sd: pd.Series,
    cash: pd.Series,
    *,
    horizon: int,
    embargo: int = 0,
) -> pd.DataFrame:
    """Return the columns ``BOUNDS`` by origin, see ``volatility.intervals``.

    Parameters
    ----------
    cash
        Expected over the horizon.
    embargo
        As in the walk.
    """
    levels = [level / 100 for level in LEVELS]
    found = intervals(
        forecast, actual, known_at, sd, horizon=horizon, embargo=embargo, levels=levels, cash=cash
    )
    names = {c: c.replace("_", "", 1) for c in map(str, found) if c.startswith(("low_", "high_"))}
    return found.rename(columns=names)


def weights(
    case: MarketCase,
    horizon: int,
    forecasts: pd.DataFrame,
    *,
    sd: pd.Series,
    cash: pd.Series,
    learnt: pd.Series,
    disagreement: pd.Series,
    mean: str,
) -> pd.DataFrame:
    """Return the weight of equities by origin, one column a forecast; NaN where cash isn't known.

    The standard error of the expected excess return a month is that of the mean of the months
    learnt from, and for all but the historical mean also what the members disagree by. The variance
    is that of a month's end to the next, which is what an investor bears, also where the price is a
    monthly average (``strategy.months_of_variance``).

    Parameters
    ----------
    forecasts
        Returns over the horizon, among them the column ``mean``.
    sd
        Of the return over the horizon, as expected at the origin.
    cash
        Expected over the horizon.
    learnt
        Months learnt from.
    """
    known = forecasts.index[np.isfinite(cash.reindex(forecasts.index))]
    if known.empty:
        return pd.DataFrame(np.nan, forecasts.index, forecasts.columns)
    expected = forecasts.loc[known].sub(cash.loc[known], axis=0) / horizon
    variance = sd.loc[known] ** 2 / months_of_variance(horizon, averaged=case.averaged)
    of_mean = variance / learnt.loc[known]
    apart = (disagreement.loc[known] / horizon) ** 2
    error = {name: of_mean if name == mean else of_mean + apart for name in forecasts}
    rules = case.strategy
    found = equity_weight(
        expected, variance, pd.DataFrame(error) ** 0.5, risk_aversion=rules.risk_aversion
    )
    return found.clip(rules.min_weight, rules.max_weight).reindex(forecasts.index)
