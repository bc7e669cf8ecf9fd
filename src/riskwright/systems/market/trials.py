"""What is left of a Sharpe ratio once it is told how many were tried.

Deflated Sharpe ratio: Bailey and Lopez de Prado, J. of Portfolio Management 40, 2014. Probability
of backtest overfitting: Bailey, Borwein, Lopez de Prado and Zhu, J. of Computational Finance 20,
2017. All Sharpe ratios here are per period of the returns, not per year.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from riskwright.errors import InputRefused
from riskwright.systems.market.checks import BENCHMARK
from riskwright.systems.market.strategy import Strategies

PARTS = 16  # into which the backtest is cut: 12,870 ways to choose half of them


class Deflated(NamedTuple):
    """The chance that a Sharpe ratio is above what the best of the trials has by luck.

    ``expected_best`` is what the best of that many worthless trials has on average.
    """

    probability: float
    sharpe: float
    expected_best: float


class Overfitting(NamedTuple):
    """How often the best trial of one half of the months is below the middle in the other.

    ``degradation`` is the slope of its Sharpe ratio in the other half on the one in its own;
    ``loss`` how often it lost money there.
    """

    probability: float
    degradation: float
    loss: float
    trials: int


@dataclass(frozen=True)
class Tried:
    """What the trial log holds.

    Attributes
    ----------
    count
        Configurations that were ever tried.
    excess
        Monthly returns over bills of the strategies that they steer, by the month earned, one
        column a trial (those whose forecasts are kept: ``count`` may be larger).
    """

    count: int
    excess: pd.DataFrame


@dataclass(frozen=True)
class Luck:
    """How much of a strategy's record luck explains.

    Attributes
    ----------
    own, active
        Deflated Sharpe ratio of the strategy, most of which is the reward for holding equities,
        and of what it earned over the historical mean's strategy, which is the forecast's own;
        None if it earned the same.
    overfit
        None with fewer than two different trials.
    told
        All of it in words.
    """

    own: Deflated
    active: Deflated | None
    overfit: Overfitting | None
    told: str


def expected_best(trials: float, variance: float) -> float:
    """Return the expected maximum of as many worthless Sharpe ratios of that variance."""
    if trials <= 1:
        return 0.0
    spots = stats.norm.ppf([1 - 1 / trials, 1 - 1 / (trials * np.e)])
    weights = np.array([1 - np.euler_gamma, np.euler_gamma])
    return float(np.sqrt(variance) * (weights @ spots))


def probability_above(sharpe: float, than: float, n: int, skew: float, kurtosis: float) -> float:
    """Return the chance that the true Sharpe ratio is above another (probabilistic Sharpe ratio).

    Parameters
    ----------
    sharpe, than
        Found, and to compare with, per period.
    n
        Periods.
    skew, kurtosis
        Of the returns; 0 and 3 if they are normal.
    """
    scale = np.sqrt(1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2)
    return float(stats.norm.cdf((sharpe - than) * np.sqrt(n - 1) / scale))


def deflated_sharpe(excess: npt.ArrayLike, trials: float, variance: float) -> Deflated:
    """Return the deflated Sharpe ratio of the chosen strategy.

    Parameters
    ----------
    excess
        Its returns over bills, one a period, shape (n,).
    trials
        How many configurations were tried (the trial log's count; if they are alike, the number of
        different ones: fewer).
    variance
        Of the trials' Sharpe ratios, per period.

    Raises
    ------
    InputRefused
        If there are fewer than 24 returns or they don't vary, or the count or variance can't be.
    """
    x = np.asarray(excess, dtype=float)
    if x.ndim != 1 or len(x) < 24 or not np.isfinite(x).all() or x.std() == 0:
        raise InputRefused("no returns to deflate", expected="24 or more that vary, none missing")
    if not trials >= 1 or not variance >= 0:
        raise InputRefused(
            f"{trials:g} trials with a variance of {variance:g}", expected="1 or more; 0 or more"
        )
    sharpe, best = float(x.mean() / x.std(ddof=1)), expected_best(trials, variance)
    shape = float(stats.skew(x)), float(stats.kurtosis(x, fisher=False))
    return Deflated(probability_above(sharpe, best, len(x), *shape), sharpe, best)


def overfitting(excess: npt.ArrayLike, parts: int = PARTS) -> Overfitting:
    """Return the probability of backtest overfitting, by combinatorially symmetric validation.

    The months are cut into parts; for each choice of half of the parts, the trial with the best
    Sharpe ratio in it is ranked by its Sharpe ratio in the other half. The probability is the share
    of choices in which it comes out at or below the middle.

    Parameters
    ----------
    excess
        Returns over bills of every trial, shape (periods, trials).
    parts
        An even number.

    Raises
    ------
    InputRefused
        If there are fewer than two trials or four periods a part, or a value is missing.
    """
    x = np.asarray(excess, dtype=float)
    if x.ndim != 2 or x.shape[1] < 2 or len(x) < 4 * parts or not np.isfinite(x).all():
        raise InputRefused(
            f"trials of shape {x.shape}",
            expected=f"at least {4 * parts} periods and two trials, none missing",
        )
    if parts % 2 or parts < 2:
        raise InputRefused(f"{parts} parts", expected="an even number, 2 or more")
    length = len(x) // parts
    blocks = x[len(x) - length * parts :].reshape(parts, length, -1)  # the oldest remainder goes
    sums, squares = blocks.sum(axis=1), (blocks**2).sum(axis=1)
    picks = np.array(list(combinations(range(parts), parts // 2)))
    chosen = np.zeros((len(picks), parts))
    np.put_along_axis(chosen, picks, 1.0, axis=1)
    inside = _sharpe(chosen @ sums, chosen @ squares, length * parts // 2)
    outside = _sharpe((1 - chosen) @ sums, (1 - chosen) @ squares, length * parts // 2)
    best = inside.argmax(axis=1)[:, None]
    own = np.take_along_axis(inside, best, axis=1)[:, 0]
    other = np.take_along_axis(outside, best, axis=1)
    # Rank from 1 (worst); ties share their mean rank.
    rank = (outside < other).sum(axis=1) + ((outside == other).sum(axis=1) + 1) / 2
    share = rank / (x.shape[1] + 1)
    flat = own.std() == 0
    slope = float("nan") if flat else float(np.polyfit(own, other[:, 0], 1)[0])
    return Overfitting(
        probability=float(np.mean(share <= 0.5)),
        degradation=slope,
        loss=float(np.mean(other < 0)),
        trials=x.shape[1],
    )


def judge_trials(strategies: Strategies, tried: Tried, family: str = "ensemble") -> Luck:
    """Judge a family's strategy by the number of trials it was chosen from.

    Raises
    ------
    InputRefused
        If the trials' returns don't cover the strategy's months.
    """
    months = strategies.returns.index
    trials = tried.excess.reindex(months)
    if trials.isna().to_numpy().any():
        raise InputRefused(
            "the trials' returns don't cover the strategy's months",
            expected=f"{months[0]} to {months[-1]}, none missing",
        )
    bills = strategies.bills.to_numpy()
    mean = strategies.returns[BENCHMARK].to_numpy() - bills
    excess = strategies.returns[family].to_numpy() - bills
    columns = trials.to_numpy(float)
    own = deflated_sharpe(excess, tried.count, _variance(columns))
    gained = excess - mean
    active = (
        deflated_sharpe(gained, tried.count, _variance(columns - mean[:, None]))
        if gained.any()
        else None
    )
    different = columns.shape[1] > 1 and bool((columns != columns[:, :1]).any())
    overfit = overfitting(columns) if different else None
    told = (
        f"After {tried.count} trial{'s' if tried.count != 1 else ''}, its Sharpe ratio is above "
        f"what the best of as many worthless ones has with probability {own.probability:.2f} "
        "(deflated Sharpe ratio"
    )
    told += f"; over the mean's strategy {active.probability:.2f})" if active else ")"
    if overfit:
        told += (
            f"; probability of backtest overfitting {overfit.probability:.2f} "
            f"({overfit.trials} trials)"
        )
    return Luck(own, active, overfit, told)


def _variance(columns: npt.NDArray[np.float64]) -> float:
    """Return the variance of the columns' Sharpe ratios, those without any spread left out."""
    spread = columns.std(axis=0, ddof=1)
    sharpes = columns.mean(axis=0)[spread > 0] / spread[spread > 0]
    return float(sharpes.var(ddof=1)) if len(sharpes) > 1 else 0.0


def _sharpe(
    total: npt.NDArray[np.float64], squares: npt.NDArray[np.float64], n: int
) -> npt.NDArray[np.float64]:
    mean = total / n
    spread = np.sqrt(np.maximum(squares / n - mean**2, 0.0))
    return np.asarray(np.divide(mean, spread, out=np.zeros_like(mean), where=spread > 0))
