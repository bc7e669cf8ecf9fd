"""Whether forecast intervals hold what they promise: 80 % of outcomes in the 80 % interval.

Misses come together, in wild years by nature and for overlapping outcomes (h > 1) by construction,
so the share of misses is tested with their long-run variance. Beside it stand the tests for
independent outcomes: Kupiec's likelihood ratio (J. of Derivatives 3, 1995) of the share, and
Christoffersen's (International Economic Review 39, 1998) of whether a miss makes the next one
likelier; both read every h-th origin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.special import xlogy

from riskwright.errors import InputRefused
from riskwright.stats.comparison import cosine_terms, cosine_variance
from riskwright.stats.estimates import wilson
from riskwright.systems.market.checks import fewest, monthly

LEVELS = (80, 95)  # per cent: columns low80, high80, low95, high95
Bools = NDArray[np.bool_]


def kupiec(misses: Bools, rate: float) -> float:
    """Return the p-value of the stated rate of misses, independent of each other, shape (n,)."""
    n, x = len(misses), int(misses.sum())
    found = xlogy(x, x / n) + xlogy(n - x, 1 - x / n)
    stated = xlogy(x, rate) + xlogy(n - x, 1 - rate)
    return float(stats.chi2.sf(2 * (found - stated), 1))


def christoffersen(misses: Bools) -> float:
    """Return the p-value of misses that don't depend on whether the last one was a miss.

    NaN where there is no miss, or nothing but misses: no dependence can be seen.
    """
    before, after = misses[:-1], misses[1:]
    x = after.sum()
    if not 0 < x < len(after) or not 0 < before.sum() < len(before):
        return float("nan")
    likelihood = 0.0
    for state in (False, True):
        n, k = int((before == state).sum()), int(after[before == state].sum())
        likelihood += float(xlogy(k, k / n) + xlogy(n - k, 1 - k / n))
    n = len(after)
    pooled = float(xlogy(x, x / n) + xlogy(n - x, 1 - x / n))
    return float(stats.chi2.sf(2 * (likelihood - pooled), 1))


def coverage_table(intervals: pd.DataFrame, actual: pd.Series, h: int) -> pd.DataFrame:
    """Return how often each interval held the outcome, and the tests.

    Parameters
    ----------
    intervals
        Index origin; columns ``low80``, ``high80``, ``low95``, ``high95``, in units of the return.
    actual
        Index origin: the outcome, NaN where it isn't over.
    h
        Horizon in months.

    Returns
    -------
    One row a level: ``nominal``, ``months``, ``coverage``, ``low``, ``high`` (95 % interval of the
    coverage), ``p`` (of the stated coverage), ``below`` and ``above`` (shares of outcomes under and
    over the interval), ``width`` (mean), ``kupiec_p`` and ``independence_p`` (Christoffersen's), of
    every h-th origin.

    Raises
    ------
    InputRefused
        If columns or months are missing, an interval is upside down, or there are fewer than 24
        outcomes (at h = 12: fewer than 48).
    """
    found, y = _matched(intervals, actual, h)
    rows = {}
    for level in LEVELS:
        low, high = found[f"low{level}"].to_numpy(), found[f"high{level}"].to_numpy()
        misses = (y < low) | (y > high)
        n, rate = len(y), 1 - level / 100
        apart = misses[::-1][::h][::-1]
        (least, most), p = _clustered(misses, rate, h)
        rows[level] = {
            "nominal": level / 100,
            "months": n,
            "coverage": float(1 - misses.mean()),
            "low": least,
            "high": most,
            "p": p,
            "below": float(np.mean(y < low)),
            "above": float(np.mean(y > high)),
            "width": float(np.mean(high - low)),
            "kupiec_p": kupiec(apart, rate),
            "independence_p": christoffersen(apart),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("level")


def least_p(n: int, nominal: float, h: int) -> float:
    """Return p if not one of n outcomes were inside: what the test can say at the most."""
    return _clustered(np.ones(n, dtype=bool), 1 - nominal, h)[1]


def coverage_by_decade(intervals: pd.DataFrame, actual: pd.Series, h: int) -> pd.DataFrame:
    """Return coverage by decade of origin, with Wilson intervals that allow for the overlap.

    One row a decade: ``months``, and for each level ``coverage80``, ``low80``, ``high80`` ...
    """
    found, y = _matched(intervals, actual, h)
    decade = pd.PeriodIndex(found.index).year // 10 * 10
    rows = {}
    for start in dict.fromkeys(decade):
        inside = decade == start
        n = int(inside.sum())
        row: dict[str, float] = {"months": n}
        for level in LEVELS:
            part = found[inside]
            held = (y[inside] >= part[f"low{level}"]) & (y[inside] <= part[f"high{level}"])
            share, apart = float(held.mean()), n / overlap(h)
            low, high = wilson(share * apart, apart)
            row |= {
                f"coverage{level}": share,
                f"low{level}": float(low),
                f"high{level}": float(high),
            }
        rows[f"{start}s"] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("decade")


def coverage_gate(
    intervals: pd.DataFrame, actual: pd.Series, h: int, alpha: float = 0.05
) -> tuple[bool, str, dict[str, Any]]:
    """Decide whether the intervals hold what they say: no level is rejected at alpha / 2.

    Returns
    -------
    passed, the verdict in words, and the figures it rests on (ready for JSON).
    """
    table = coverage_table(intervals, actual, h)
    passed = bool((table["p"] >= alpha / len(table)).all())
    parts = [
        f"the {level} % interval held {row['coverage']:.1%} ({row['low']:.1%} to {row['high']:.1%})"
        f", p {row['p']:.3f}"
        for level, row in table.iterrows()
    ]
    verdict = "coverage as stated" if passed else "coverage is not as stated"
    figures = {
        str(level): {k: float(row[k]) for k in ("coverage", "low", "high", "p")}
        for level, row in table.iterrows()
    }
    return passed, f"{verdict}: {'; '.join(parts)}; {int(table['months'].iloc[0])} months", figures


def overlap(h: int) -> float:
    """Return by how much overlap inflates the variance of a share of misses.

    The sum over lags of (1 - |lag| / h)², which is (2 h² + 1) / 3 h: what targets that share
    months do to an event in both tails of a Gaussian sum, whose correlation is that of the squares.
    """
    return (2 * h**2 + 1) / (3 * h)


def _clustered(misses: Bools, rate: float, h: int) -> tuple[tuple[float, float], float]:
    """Return Wilson's interval of the coverage, and the p-value of the stated rate of misses.

    Both as if from as many independent outcomes as the misses' long-run variance says, which is
    never taken for less than overlap alone makes it: the estimate is noisy where misses are few.
    """
    n, share = len(misses), float(misses.mean())
    terms = cosine_terms(n, h)
    inflation = overlap(h)
    if 0 < share < 1:
        seen = cosine_variance(misses.astype(float), terms) / (share * (1 - share))
        inflation = max(inflation, seen)
    apart = n / inflation
    z = (share - rate) / np.sqrt(rate * (1 - rate) / apart)
    low, high = wilson((1 - share) * apart, apart)
    return (float(low), float(high)), float(2 * stats.t.sf(abs(z), terms))


def _matched(
    intervals: pd.DataFrame, actual: pd.Series, h: int
) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    wanted = [f"{end}{level}" for level in LEVELS for end in ("low", "high")]
    if missing := [name for name in wanted if name not in intervals]:
        raise InputRefused(
            f"the intervals have no column {missing[0]!r}", expected=", ".join(wanted)
        )
    monthly("intervals", intervals)
    monthly("outcomes", actual)
    months = intervals.index.intersection(actual.loc[: actual.last_valid_index()].index)
    found, y = intervals.loc[months, wanted].astype(float), actual.loc[months].to_numpy(float)
    needed = fewest(h)
    if len(months) < needed:
        raise InputRefused(
            f"{len(months)} intervals have an outcome", expected=f"at least {needed} at h = {h}"
        )
    bad = ~np.isfinite(y) | ~np.isfinite(found.to_numpy()).all(axis=1)
    for level in LEVELS:
        bad |= (found[f"low{level}"] > found[f"high{level}"]).to_numpy()
    if bad.any():
        raise InputRefused(
            f"the interval or the outcome of {months[bad][0]} is missing or upside down",
            expected="low, high and an outcome for each month",
        )
    return found, y
