"""Whether one forecast beats another, by tests that allow for overlapping targets.

A return over h months, forecast each month, shares h - 1 months with the next one: its errors are
correlated by construction, and a test that takes them for independent finds skill in noise. Two
variances of a mean allow for it here. Newey and West's (Econometrica 55, 1987) with h + 2 lags is
the field's habit and is what published tables show; it rejects too often at h = 12. The
equal-weighted cosine variance with its t distribution (Lazarus, Lewis, Stock and Watson, J. of
Business & Economic Statistics 36, 2018) holds its level and decides (benchmarks/market_placebo.py
measures both).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

FEWEST = 2  # cosines from which a variance is estimated
ALIKE = 1e-12  # forecasts whose mean squared distance is below this share of the variance are one


class Tested(NamedTuple):
    """A test's statistic and its p-value; both NaN where the test isn't defined."""

    statistic: float
    p: float


NAN = float("nan")
UNDEFINED, UNKNOWN = Tested(NAN, NAN), (NAN, NAN, NAN)


def newey_west(z: Floats, lags: int) -> float:
    """Return the long-run variance of a series of shape (n,) with Bartlett weights."""
    from statsmodels.stats.sandwich_covariance import S_hac_simple

    return float(S_hac_simple(z - z.mean(), lags)[0, 0]) / len(z)


def cosine_terms(n: int, h: int) -> int:
    """Return how many cosines measure the long-run variance: the degrees of freedom of the test.

    0.4 n^(2/3) (Lazarus and others 2018), but none faster than 4 h months, where the overlap of
    the targets has bent the spectrum.
    """
    return min(int(0.4 * n ** (2 / 3)), n // (2 * h))


def cosine_variance(z: Floats, terms: int) -> float:
    """Return the long-run variance of a series of shape (n,) from its slowest cosines."""
    n = len(z)
    when = (np.arange(n) + 0.5) / n
    waves = np.sqrt(2 / n) * np.cos(np.pi * np.outer(np.arange(1, terms + 1), when))
    return float(np.mean((waves @ z) ** 2))


def same(benchmark: Floats, forecast: Floats, actual: Floats) -> bool:
    """Say whether a forecast is the benchmark but for rounding."""
    return float(np.mean((forecast - benchmark) ** 2)) <= ALIKE * float(np.var(actual))


def clark_west(
    actual: Floats, benchmark: Floats, forecast: Floats, h: int, *, robust: bool = False
) -> Tested:
    """Test that a forecast holds information which the benchmark, nested in it, doesn't.

    The mean of e0² - (e1² - (f0 - f1)²), one-sided (Clark and West, J. of Econometrics 138, 2007):
    the correction takes out what the larger model loses by estimating slopes that are zero, so a
    forecast with R² below zero can still be significant.

    Parameters
    ----------
    actual, benchmark, forecast
        Shape (n,), consecutive months.
    h
        Months over which the target runs.
    robust
        False: Newey-West with h + 2 lags and the normal distribution. True: the equal-weighted
        cosine variance and its t distribution.
    """
    if same(benchmark, forecast, actual):
        return UNDEFINED
    z = (actual - benchmark) ** 2 - (actual - forecast) ** 2 + (benchmark - forecast) ** 2
    return _upper(z, h, robust=robust)


def diebold_mariano(
    actual: Floats, benchmark: Floats, forecast: Floats, h: int, *, absolute: bool = False
) -> Tested:
    """Test equal squared (or absolute) error, two-sided; positive: better than the benchmark.

    Diebold and Mariano (J. of Business & Economic Statistics 13, 1995) with Newey-West, h + 2 lags,
    and the correction and t distribution of Harvey, Leybourne and Newbold (International J. of
    Forecasting 13, 1997).
    """
    if same(benchmark, forecast, actual):
        return UNDEFINED
    power = 1 if absolute else 2
    z = np.abs(actual - benchmark) ** power - np.abs(actual - forecast) ** power
    n = len(z)
    correction = np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    statistic = float(correction * z.mean() / np.sqrt(newey_west(z, h + 2) / n))
    return Tested(statistic, float(2 * stats.t.sf(abs(statistic), n - 1)))


def pesaran_timmermann(actual: Floats, forecast: Floats, h: int) -> Tested:
    """Test that the forecast's sign goes with the outcome's, one-sided.

    h = 1: Pesaran and Timmermann (J. of Business & Economic Statistics 10, 1992), whose statistic
    is, for two signs, their correlation times n / sqrt(n - 1). h > 1: the signs' covariance (half
    the numerator of the same statistic) over all origins, with the equal-weighted cosine variance,
    because the signs of overlapping returns depend on each other (compare Pesaran and Timmermann,
    J. of the American Statistical Association 104, 2009).
    Undefined where the forecast, or the outcome, always has the same sign.
    """
    rose, called = (actual > 0).astype(float), (forecast > 0).astype(float)
    up, said = float(rose.mean()), float(called.mean())
    if up in (0, 1) or said in (0, 1):
        return UNDEFINED
    if h > 1:
        return _upper((rose - up) * (called - said), h, robust=True)
    n = len(rose)
    agreement = float(np.corrcoef(rose, called)[0, 1])
    statistic = agreement * n / np.sqrt(n - 1)
    return Tested(statistic, float(stats.norm.sf(statistic)))


def _upper(z: Floats, h: int, *, robust: bool) -> Tested:
    """Test that the mean of a series is above zero."""
    n, terms = len(z), cosine_terms(len(z), h)
    if robust and terms < FEWEST:
        return UNDEFINED
    variance = cosine_variance(z, terms) if robust else newey_west(z, h + 2)
    if variance <= 0:
        return UNDEFINED
    statistic = float(z.mean() / np.sqrt(variance / n))
    law = stats.t(terms) if robust else stats.norm()
    return Tested(statistic, float(law.sf(statistic)))


def block_length(losses: Floats, h: int) -> int:
    """Return the mean length of blocks for the bootstrap of losses of shape (n, k).

    Politis and White's choice (Econometric Reviews 23, 2004, corrected 2009) of the losses'
    differences to the first column, but at least h and at most an eighth of the series.
    """
    from arch.bootstrap import optimal_block_length

    n = len(losses)
    apart = losses[:, :1] - losses[:, 1:]
    apart = apart[:, apart.std(axis=0) > 0]
    best = float(optimal_block_length(apart)["stationary"].max()) if apart.size else 1.0
    return int(max(h, min(np.ceil(best), n // 8), 1))


def r2_interval(
    actual: Floats,
    benchmark: Floats,
    forecast: Floats,
    h: int,
    only: NDArray[np.bool_] | None = None,
) -> tuple[float, float, float]:
    """Return R² out of sample, and the ends of its 95 % interval.

    R² = 1 - SSE / SSE of the benchmark (Campbell and Thompson, Review of Financial Studies 21,
    2008). The interval is that of a ratio of two means, by the delta method on e1² - (1 - R²) e0²
    with the equal-weighted cosine variance and its t distribution. At h = 12 it covers 92 to
    93 %, where block bootstraps cover 84 to 89 % (benchmarks/market_placebo.py --intervals).

    Parameters
    ----------
    only
        Months that count, shape (n,), if not all of them do. With fewer than 4 h of them the ends
        are NaN.
    """
    worse, better = (actual - benchmark) ** 2, (actual - forecast) ** 2
    if only is not None:
        worse, better = worse * only, better * only
    n = len(actual)
    terms = cosine_terms(n if only is None else int(only.sum()), h)
    if not worse.any():
        return UNKNOWN
    r2 = 1 - float(better.sum() / worse.sum())
    if terms < FEWEST:
        return r2, NAN, NAN
    spread = np.sqrt(cosine_variance(better - (1 - r2) * worse, terms) / n) / worse.mean()
    reach = float(stats.t.ppf(0.975, terms) * spread)
    return r2, r2 - reach, r2 + reach
