"""What a forecast is worth to somebody who holds equities and bills by it, after costs.

The weight that is set at the end of month t earns the return of month t + 1. Returns are simple,
per month, as fractions; what isn't in equities is in bills, and a weight above 1 borrows at the
bill rate (a lower rate than anybody is offered).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from riskwright.errors import InputRefused
from riskwright.stats.comparison import cosine_terms, cosine_variance
from riskwright.systems.market.checks import BENCHMARK, monthly

Floats = NDArray[np.float64]

# Part of a month's variance that a return between monthly averages lacks (see
# ``months_of_variance``).
SMOOTHED = 1 / 3

LEAST, MOST = 0.0, 1.5  # bounds of the weight of equities
RISK_AVERSION = 3.0
COSTS = (0, 5, 10, 20, 30, 50, 75, 100)  # basis points of what is traded, for the curve
BUY_AND_HOLD, BALANCED = "buy_and_hold", "60/40"
ABSURD = 0.6  # no month of US equities since 1871 moved as far; a percentage does


@dataclass(frozen=True)
class Strategies:
    """How strategies did, month by month and in sum.

    Attributes
    ----------
    table
        One row a strategy; see ``compare``.
    returns, bills
        Net return per month earned, one column a strategy; the bill return of the same months.
    weights
        Weight of equities by origin, one column a strategy that the forecasts steer.
    curve
        ``annual_return``, ``sharpe`` and ``ce_gain`` by cost (basis points) and strategy.
    cost_bp, risk_aversion, averaged
        What ``table`` was computed with.
    """

    table: pd.DataFrame
    returns: pd.DataFrame
    bills: pd.Series
    weights: pd.DataFrame
    curve: pd.DataFrame
    cost_bp: float
    risk_aversion: float
    averaged: bool = False


def months_of_variance(horizon: int, *, averaged: bool) -> float:
    """Return how many months' variance a return over a horizon has.

    Of a random walk that is averaged over each month the change over h months has the variance of
    h - 1/3 months' ends (Working, Econometrica 28, 1960, for h = 1; n observations a month give
    h - (n² - 1) / 3n²). Somebody who trades at a month's end bears all of it.
    """
    return horizon - SMOOTHED if averaged else float(horizon)


def equity_weight(
    expected: pd.DataFrame,
    variance: pd.DataFrame | pd.Series,
    uncertainty: pd.DataFrame,
    *,
    risk_aversion: float = RISK_AVERSION,
) -> pd.DataFrame:
    """Return the weight of equities: k m / (g v), held between 0 and 1.5.

    m is the expected excess return, v its variance, g the risk aversion, and k = m² / (m² + s²)
    shrinks it by the standard error s of m: what maximises expected utility if m is estimated (Kan
    and Zhou, J. of Financial and Quantitative Analysis 42, 2007, for one risky asset).

    Parameters
    ----------
    expected, uncertainty
        m and s per month, index origin, one column a forecast; the same shape.
    variance
        v per month, index origin; one column for all forecasts or one for each.

    Raises
    ------
    InputRefused
        If months or values are missing, a variance isn't above zero or a standard error is below.
    """
    monthly("expected returns", expected)
    m = expected.to_numpy(float)
    s = uncertainty.reindex(index=expected.index, columns=expected.columns).to_numpy(float)
    v = variance.reindex(expected.index).to_numpy(float)
    v = v[:, None] if v.ndim == 1 else v
    for name, values, wrong in (
        ("expected return", m, ~np.isfinite(m)),
        ("variance", v, ~(v > 0)),
        ("standard error", s, ~(s >= 0)),
    ):
        if wrong.any():
            row = int(np.flatnonzero(wrong.any(axis=1))[0])
            raise InputRefused(
                f"the {name} is {values[row][wrong[row]][0]:g}", where=str(expected.index[row])
            )
    shrink = np.divide(m**2, m**2 + s**2, out=np.zeros_like(m), where=m**2 > 0)
    weight = np.clip(shrink * m / (risk_aversion * v), LEAST, MOST)
    return pd.DataFrame(weight, index=expected.index, columns=expected.columns)


def run(
    weight: pd.Series, equity: pd.Series, safe: pd.Series, cost_bp: float
) -> tuple[pd.Series, pd.Series]:
    """Return a strategy's net return, and what it traded, by the month earned.

    Parameters
    ----------
    weight
        Weight of equities, index origin: it earns the month after.
    equity, safe
        Returns of equities and of what holds the rest, index month; all months after an origin.
    cost_bp
        Basis points paid on the part of the portfolio that is traded at the start of the month,
        the first purchase included.
    """
    w = weight.to_numpy(float)
    months = weight.index + 1
    up, rest = equity.loc[months].to_numpy(float), safe.loc[months].to_numpy(float)
    gross = 1 + w * up + (1 - w) * rest
    drifted = np.concatenate([[0.0], (w * (1 + up) / gross)[:-1]])
    traded = np.abs(w - drifted)
    net = gross * (1 - cost_bp / 1e4 * traded) - 1
    return pd.Series(net, index=months), pd.Series(traded, index=months)


def compare(
    weights: pd.DataFrame,
    equity: pd.Series,
    bills: pd.Series,
    *,
    bonds: pd.Series | None = None,
    cost_bp: float = 10.0,
    risk_aversion: float = RISK_AVERSION,
    averaged: bool = False,
) -> Strategies:
    """Run the strategies, buy-and-hold and 60/40 over the same months.

    Parameters
    ----------
    weights
        Weight of equities, index origin, one column a forecast, among them ``historical_mean``.
        Origins whose next month isn't over are left out.
    equity, bills, bonds
        Total returns by month. The 40 of 60/40 are bonds, or bills if there are none.
    cost_bp
        Of the table; the curve has all of ``COSTS``.
    averaged
        Whether equity returns are those of monthly averages: volatility, Sharpe ratio and
        certainty equivalent are then those of months' ends.

    Returns
    -------
    ``table`` has ``annual_return`` (compound), ``volatility``, ``sharpe`` with ``sharpe_low`` and
    ``sharpe_high`` (see ``sharpe_interval``), ``max_drawdown``, ``turnover`` (portfolios traded per
    year), ``ce`` (certainty equivalent of the excess return, per year: mean - g / 2 variance),
    ``ce_gain`` with ``ce_gain_low`` and ``ce_gain_high`` (against the historical mean's strategy),
    ``mean_weight``.

    Raises
    ------
    InputRefused
        If months are missing, a return isn't one, or the historical mean's weights aren't there.
    """
    if BENCHMARK not in weights:
        raise InputRefused(f"the weights have no column {BENCHMARK!r}")
    monthly("weights", weights)
    both = {"equity": equity, "bills": bills} | ({"bonds": bonds} if bonds is not None else {})
    weights = _earned(weights, both)
    months = weights.index + 1
    every, rest = _strategies(weights, bills, bonds), bills.loc[months].to_numpy(float)
    done, tables = {}, {}
    for cost in sorted({*map(float, COSTS), cost_bp}):
        done[cost] = {name: run(w, equity, safe, cost) for name, (w, safe) in every.items()}
        spread = 1 / months_of_variance(1, averaged=averaged)
        tables[cost] = _table(done[cost], rest, risk_aversion, spread)
    return Strategies(
        table=tables[cost_bp].assign(mean_weight=[float(w.mean()) for w, _ in every.values()]),
        returns=pd.DataFrame({name: r for name, (r, _) in done[cost_bp].items()}),
        bills=bills.loc[months],
        weights=weights,
        curve=_curve(tables),
        cost_bp=cost_bp,
        risk_aversion=risk_aversion,
        averaged=averaged,
    )


def _strategies(
    weights: pd.DataFrame, bills: pd.Series, bonds: pd.Series | None
) -> dict[str, tuple[pd.Series, pd.Series]]:
    """Every strategy's weight of equities, and what the rest is held in."""
    steered = {str(name): (weights[name], bills) for name in weights}
    return steered | {
        BUY_AND_HOLD: (pd.Series(1.0, index=weights.index), bills),
        BALANCED: (pd.Series(0.6, index=weights.index), bonds if bonds is not None else bills),
    }


def _curve(tables: dict[float, pd.DataFrame]) -> pd.DataFrame:
    """What each strategy earns by what trading costs."""
    rows = {(cost, str(name)): r for cost, table in tables.items() for name, r in table.iterrows()}
    shown = pd.DataFrame(rows).T[["annual_return", "sharpe", "ce_gain"]]
    return shown.rename_axis(["cost_bp", "strategy"])


def _earned(weights: pd.DataFrame, returns: dict[str, pd.Series]) -> pd.DataFrame:
    """The weights whose next month is over; refuse too few, and returns that don't cover them."""
    for name, one in returns.items():
        _sane(name, one)
    last = min(one.index[-1] for one in returns.values())
    weights = weights.loc[: last - 1]
    months = weights.index + 1
    if len(months) < 24:
        raise InputRefused(
            f"{len(months)} months can be earned", expected="at least 24 months with returns"
        )
    for name, one in returns.items():
        if not months.isin(one.index).all():
            raise InputRefused(
                f"the {name} don't cover {months[~months.isin(one.index)][0]}",
                expected="a return for the month after each weight",
            )
    return weights


def sharpe_interval(excess: Floats) -> tuple[float, float, float]:
    """Return the yearly Sharpe ratio of monthly excess returns, and its 95 % interval.

    Times the root of 12. The interval is Lo's (Financial Analysts J. 58, 2002), by the delta method
    on mean and variance, for returns that may be correlated and not normal; the long-run variance
    is the equal-weighted cosine one.
    """
    mean, spread = float(excess.mean()), float(excess.std(ddof=1))
    if spread == 0:
        return float("nan"), float("nan"), float("nan")
    z = (excess - mean) / spread
    ratio = mean / spread
    reach = _reach(z - ratio / 2 * (z**2 - 1))
    year = np.sqrt(12)
    return year * ratio, year * (ratio - reach), year * (ratio + reach)


def certainty_gain(
    excess: Floats, against: Floats, g: float, *, tail: float = 0.025
) -> tuple[float, float, float]:
    """Return how much a year of certain return one strategy is worth over another, and bounds.

    12 times the difference of mean - g / 2 variance of the monthly excess returns (Campbell and
    Thompson 2008), paired by month; each bound is passed with probability ``tail``.
    """
    centred, other = excess - excess.mean(), against - against.mean()
    gain = _certain(excess, g) - _certain(against, g)
    reach = 12 * _reach(centred - g / 2 * centred**2 - (other - g / 2 * other**2), tail)
    return gain, gain - reach, gain + reach


def drawdown(returns: pd.DataFrame) -> pd.DataFrame:
    """Return by how much wealth lies below its highest so far: 0 or negative."""
    wealth = (1 + returns).cumprod()
    return wealth / wealth.cummax().clip(lower=1.0) - 1


def _certain(excess: Floats, g: float) -> float:
    return float(12 * (excess.mean() - g / 2 * excess.var(ddof=1)))


def _reach(z: Floats, tail: float = 0.025) -> float:
    """How far a bound of the mean of a series lies from it."""
    n, terms = len(z), cosine_terms(len(z), 1)
    return float(stats.t.ppf(1 - tail, terms) * np.sqrt(cosine_variance(z, terms) / n))


def _table(
    done: dict[str, tuple[pd.Series, pd.Series]], rest: Floats, g: float, stretch: float
) -> pd.DataFrame:
    """``stretch``: variance of months' ends over that of the returns given."""
    base = done[BENCHMARK][0].to_numpy() - rest
    rows = {}
    for name, (net, traded) in done.items():
        excess = net.to_numpy() - rest
        sharpe, sharpe_low, sharpe_high = np.array(sharpe_interval(excess)) / np.sqrt(stretch)
        # Only the variance is larger: as if risk were disliked more by as much.
        gain, gain_low, gain_high = certainty_gain(excess, base, g * stretch)
        rows[name] = {
            "annual_return": float(np.prod(1 + net.to_numpy()) ** (12 / len(net)) - 1),
            "volatility": float(net.std(ddof=1) * np.sqrt(12 * stretch)),
            "sharpe": float(sharpe),
            "sharpe_low": float(sharpe_low),
            "sharpe_high": float(sharpe_high),
            "max_drawdown": float(drawdown(net.to_frame()).to_numpy().min()),
            "turnover": float(12 * traded.mean()),
            "ce": _certain(excess, g * stretch),
            "ce_gain": gain,
            "ce_gain_low": gain_low,
            "ce_gain_high": gain_high,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("strategy")


def _sane(name: str, returns: pd.Series) -> None:
    monthly(name, returns)
    wrong = ~(returns.abs() <= ABSURD).to_numpy()
    if wrong.any():
        raise InputRefused(
            f"{name}: a monthly return of {returns[wrong].iloc[0]:g}",
            where=str(returns.index[wrong][0]),
            expected=f"a fraction between -{ABSURD} and {ABSURD}, none missing",
            do="divide percentages by 100",
        )
