"""Two models on the same rows: whether their difference is more than chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm, rankdata

from riskwright.stats.estimates import Clusters, Floats, Ints, checked, losses, se_of_mean

SMALLEST_SE = 1e-12  # keeps z finite where every row agrees on the difference


@dataclass(frozen=True)
class Paired:
    """Difference a - b, its standard error, z, and the one-sided p for "a is better"."""

    difference: float
    se: float
    z: float
    p_greater: float


def placements(y: Ints, p: Floats) -> tuple[Floats, Floats]:
    """Return each bad's and each good's placement value; the mean of either is the AUC.

    A bad's placement is the share of goods that it outranks (ties count half), a good's the
    share of bads that outrank it. By midranks, in n log n: Sun and Xu (2014), IEEE Signal
    Processing Letters 21, 1389-1393.

    Returns
    -------
    tuple
        Arrays of shape (bads,) and (goods,), in row order.
    """
    bad, good = p[y == 1], p[y == 0]
    ranks = rankdata(p)
    of_bads = (ranks[y == 1] - rankdata(bad)) / len(good)
    of_goods = 1.0 - (ranks[y == 0] - rankdata(good)) / len(bad)
    return of_bads, of_goods


def auc_with_se(y: Ints, p: Floats, groups: Clusters | None = None) -> tuple[float, float]:
    """Return the ROC AUC and its standard error (infinite with a single bad or good).

    Source: DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44, 837-845; of rows that belong
    to ``groups`` (n,), such as borrowers, Obuchowski (1997), Biometrics 53, 567-578.
    """
    of_bads, of_goods = placements(y, p)
    return float(of_bads.mean()), _se(y, of_bads, of_goods, groups)


def compare_auc(
    y: ArrayLike, p_a: ArrayLike, p_b: ArrayLike, groups: Clusters | None = None
) -> Paired:
    """Compare two models' ROC AUC on the same rows by DeLong's paired test.

    Parameters
    ----------
    y
        Outcomes, shape (n,), 1 = bad.
    p_a, p_b
        PDs of the two models, shape (n,).
    groups
        Numbers of the groups that rows belong to, shape (n,), as in ``auc_with_se``.

    Returns
    -------
    Paired
        ``difference`` = AUC a - AUC b; ``p_greater`` is small where a is better (higher).
        Equal rankings give 0, 0, 0, 0.5; a single bad or good an infinite error and 0.5.

    Raises
    ------
    InputRefused
        If the arrays don't match, hold NaN, or only one class is there.
    """
    y_, a = checked(y, p_a, both_classes=True)
    _, b = checked(y, p_b)
    bads_a, goods_a = placements(y_, a)
    bads_b, goods_b = placements(y_, b)
    # The variance of the difference is taken from the differences, row by row: the covariance
    # is in it, and equal models give exactly 0.
    difference = float((bads_a - bads_b).mean())
    se = _se(y_, bads_a - bads_b, goods_a - goods_b, groups)
    z = difference / max(se, SMALLEST_SE)
    return Paired(difference, se, z, float(norm.sf(z)))


def compare_log_loss(
    y: ArrayLike, p_a: ArrayLike, p_b: ArrayLike, groups: Clusters | None = None
) -> Paired:
    """Compare two models' log loss on the same rows by the mean of per-row differences.

    Parameters
    ----------
    y
        Outcomes, shape (n,), 1 = bad.
    p_a, p_b
        PDs of the two models, shape (n,), clipped to 1e-6 from 0 and 1.
    groups
        Numbers of the groups that rows belong to, shape (n,): rows of one are no independent
        evidence, and the error is that of ``estimates.se_of_mean``.

    Returns
    -------
    Paired
        ``difference`` = mean loss a - mean loss b; ``p_greater`` is small where a is better
        (lower). Equal predictions give 0, 0, 0, 0.5; a single row an infinite error and 0.5.

    Raises
    ------
    InputRefused
        If the arrays don't match or hold NaN.
    """
    y_, a = checked(y, p_a)
    _, b = checked(y, p_b)
    gaps = losses(y_, a) - losses(y_, b)
    difference = float(gaps.mean())
    se = se_of_mean(gaps, groups)
    z = difference / max(se, SMALLEST_SE)
    return Paired(difference, se, z, float(norm.cdf(z)))


def _se(y: Ints, of_bads: Floats, of_goods: Floats, groups: Clusters | None) -> float:
    """Standard error of the mean placement: each class's spread, and what groups tie together."""
    bads, goods = len(of_bads), len(of_goods)
    if min(bads, goods) < 2:
        return float("inf")  # one case says nothing about its spread
    if groups is None:
        variance = of_bads.var(ddof=1) / bads + of_goods.var(ddof=1) / goods
        return float(np.sqrt(variance))
    unit = np.unique(groups, return_inverse=True)[1]
    number = int(unit.max()) + 1
    parts, tallies = [], []
    for value, values in ((1, of_bads), (0, of_goods)):
        mine = unit[y == value]
        tallies.append(len(np.unique(mine)))
        parts.append(np.bincount(mine, values - values.mean(), number) / len(values))
    if min(tallies) < 2:
        return float("inf")
    variance = sum(n / (n - 1) * (s**2).sum() for n, s in zip(tallies, parts, strict=True))
    variance += 2 * number / (number - 1) * (parts[0] * parts[1]).sum()
    return float(np.sqrt(max(variance, 0.0)))
