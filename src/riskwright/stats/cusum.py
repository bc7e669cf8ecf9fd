"""Tests of a change since training: cumulative sums against the law of Brownian motion.

Under no change the scaled sums of what comes after training behave as a Brownian motion, so that
the largest of them has a known law (Billingsley, Convergence of Probability Measures, 1968), which
gives a p-value for the whole window at once, wherever in it the change is (Brown, Durbin and Evans,
J. of the Royal Statistical Society B 37, 1975; Chu, Stinchcombe and White, Econometrica 64, 1996).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from riskwright.stats.comparison import cosine_terms, cosine_variance, newey_west

Floats = npt.NDArray[np.float64]


class Drift(NamedTuple):
    """The largest cumulative sum of a window.

    ``statistic`` is in units of its standard deviation under no change, ``p`` how often chance
    alone is as large, ``at`` the position where it is reached.
    """

    statistic: float
    p: float
    at: int


def sup_p(statistic: float) -> float:
    """Return how often Brownian motion on [0, 1] leaves the band of plus or minus a number."""
    if statistic <= 0:
        return 1.0
    k = np.arange(200)
    terms = (-1.0) ** k / (2 * k + 1) * np.exp(-(np.pi**2) * (2 * k + 1) ** 2 / 8 / statistic**2)
    return float(np.clip(1 - 4 / np.pi * terms.sum(), 0.0, 1.0))


def drift(before: Floats, now: Floats, lags: int) -> Drift:
    """Test whether the mean of a series has moved, against what it was before.

    Parameters
    ----------
    before, now
        The series in training, shape (n,), and after it, shape (m,).
    lags
        Months over which its values depend on each other: the long-run variance is the larger of
        Newey and West's with so many lags and two more, and the equal-weighted cosine one.
    """
    variance = max(
        newey_west(before, lags + 2), cosine_variance(before, cosine_terms(len(before), lags))
    )
    sums = np.cumsum(now - before.mean())
    if variance <= 0:
        return Drift(0.0, 1.0, 0)
    # What is compared with was itself estimated, from as many values as there were before.
    scale = np.sqrt(variance * len(now) * (1 + len(now) / len(before)))
    at = int(np.abs(sums).argmax())
    statistic = float(abs(sums[at]) / scale)
    return Drift(statistic, sup_p(statistic), at)


def surprises(before: Floats, now: Floats) -> tuple[Floats, Floats]:
    """Return what a persistent series did beyond its own pull to the mean, before and after.

    The residuals of a first-order autoregression that is fitted on what came before: a yield's
    level wanders by itself, so that a test of levels would alarm without a change.

    Parameters
    ----------
    before, now
        Consecutive months; ``now`` follows ``before``. None of ``before`` is missing.

    Returns
    -------
    Surprises before, shape (n - 1,), and now, shape (m,): NaN where the month or the one before it
    is missing.
    """
    x, y = before[:-1], before[1:]
    slope = float(np.cov(x, y)[0, 1] / x.var(ddof=1)) if x.std() > 0 else 0.0
    level = float(y.mean() - slope * x.mean())
    last = np.concatenate([before[-1:], now[:-1]])
    return y - level - slope * x, now - level - slope * last
