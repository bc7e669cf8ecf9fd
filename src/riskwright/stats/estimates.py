"""A figure with its interval, the two intervals of a proportion, and the check of the inputs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskwright.errors import InputRefused

LEVEL = 0.95
Z = 1.959963984540054  # its normal quantile
CLIP = 1e-6  # PDs are kept this far from 0 and 1 where a logarithm is taken

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Clusters = NDArray[np.intp]  # numbers of the groups that rows belong to, shape (n,)


class Estimate(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"


def checked(y: ArrayLike, p: ArrayLike, *, both_classes: bool = False) -> tuple[Ints, Floats]:
    """Return outcomes and PDs as arrays that every function here can rely on.

    Parameters
    ----------
    y
        Outcomes, shape (n,), 1 = bad, 0 = good.
    p
        PDs, shape (n,), from 0 to 1.
    both_classes
        Whether at least one good and one bad are needed.

    Raises
    ------
    InputRefused
        If lengths differ, there are no rows, an outcome is not 0 or 1, a PD is missing or outside
        0 to 1, or only one class is there although both are needed.
    """
    outcomes = np.asarray(y)
    pds = np.asarray(p, dtype=np.float64)
    if outcomes.ndim != 1 or outcomes.shape != pds.shape:
        raise InputRefused(
            f"outcomes and PDs don't match: shapes {outcomes.shape} and {pds.shape}",
            expected="two arrays of one dimension and equal length",
        )
    if not len(outcomes):
        raise InputRefused("there are no rows to evaluate", expected="at least one outcome")
    strange = ~np.isin(outcomes, (0, 1))
    if strange.any():
        raise InputRefused(
            f"{int(strange.sum())} outcomes are neither 0 nor 1",
            where=f"row {int(np.flatnonzero(strange)[0])}",
            expected="1 for bad, 0 for good, none missing",
            do="leave out the rows without an outcome",
        )
    strange = ~((pds >= 0) & (pds <= 1))  # NaN is caught too
    if strange.any():
        raise InputRefused(
            f"{int(strange.sum())} PDs are missing or outside 0 to 1",
            where=f"row {int(np.flatnonzero(strange)[0])}",
            expected="probabilities",
            do="score these rows again, or leave them out",
        )
    outcomes = outcomes.astype(np.int64)
    if both_classes and (outcomes == outcomes[0]).all():
        raise InputRefused(
            f"all {len(outcomes)} outcomes are {'bad' if outcomes[0] else 'good'}",
            expected="both goods and bads: nothing can be told apart otherwise",
            do="use more rows, or a later window whose outcomes are known",
        )
    return outcomes, pds


def wilson(hits: Any, n: Any) -> tuple[Any, Any]:
    """Return the Wilson score interval of ``hits`` out of ``n``; 0 to 1 where ``n`` is 0.

    Numbers or arrays. Source: Wilson (1927), JASA 22, 209-212.
    """
    from statsmodels.stats.proportion import proportion_confint  # no quick command needs it

    hits, n = np.asarray(hits, dtype=float), np.asarray(n, dtype=float)
    some = np.maximum(n, 1)
    low, high = proportion_confint(hits, some, 1 - LEVEL, method="wilson")
    share = hits / some  # which rounding may put outside
    return (
        np.where(n == 0, 0.0, np.minimum(low, share)),
        np.where(n == 0, 1.0, np.maximum(high, share)),
    )


def jeffreys(hits: Any, n: Any) -> tuple[Any, Any]:
    """Return the Jeffreys interval of ``hits`` out of ``n`` (0 and 1 where nothing bounds it).

    Source: Brown, Cai and DasGupta (2001), Statistical Science 16, 101-133.
    """
    from statsmodels.stats.proportion import proportion_confint  # no quick command needs it

    hits, n = np.asarray(hits), np.asarray(n)
    low, high = proportion_confint(hits, np.maximum(n, 1), 1 - LEVEL, method="jeffreys")
    return np.where(hits == 0, 0.0, low), np.where(hits == n, 1.0, high)


def proportion(hits: int, n: int) -> Estimate:
    """Return ``hits / n`` with its Wilson interval; 0 (0 to 1) where ``n`` is 0."""
    low, high = wilson(hits, n)
    return Estimate(hits / n if n else 0.0, float(low), float(high))


def se_of_mean(values: Floats, groups: Clusters | None = None) -> float:
    """Return the standard error of the mean of per-row values (n,); infinite for a single one.

    Of rows that belong to ``groups``, from the groups' sums (the sandwich of Liang and Zeger 1986,
    Biometrika 73, 13-22, with G / (G - 1) for the number of groups): without, each is its own.
    """
    gaps = values - values.mean()
    if groups is not None:
        gaps = np.bincount(np.unique(groups, return_inverse=True)[1], gaps)
    if len(gaps) < 2:
        return float("inf")
    return float(np.sqrt((gaps**2).sum() * len(gaps) / (len(gaps) - 1))) / len(values)


def design_factor(values: Floats, groups: Clusters | None) -> float:
    """Return how many times the error of the mean is larger by groups than by rows (n,).

    The root of the design effect (Kish 1965, Survey Sampling, 5.4): from 1 to the root of n, which
    it is for a single group.
    """
    if groups is None:
        return 1.0
    by_rows = max(se_of_mean(values), np.finfo(float).tiny)
    return float(np.clip(se_of_mean(values, groups) / by_rows, 1.0, len(values) ** 0.5))


def class_sizes(y: NDArray[Any], groups: Clusters | None = None) -> tuple[int, int]:
    """Return how many bads and goods there are to judge by: rows (n,), or groups that have one."""
    if groups is None:
        return int((y == 1).sum()), int((y == 0).sum())
    return len(np.unique(groups[y == 1])), len(np.unique(groups[y == 0]))


def mean(values: Floats, groups: Clusters | None = None) -> Estimate:
    """Return the mean of per-row values with its normal interval, shape (n,)."""
    value, half = float(values.mean()), Z * se_of_mean(values, groups)
    return Estimate(value, value - half, value + half)


def losses(y: Ints, p: Floats) -> Floats:
    """Return the log loss of each row, shape (n,); PDs clipped to ``CLIP`` from 0 and 1."""
    p = np.clip(p, CLIP, 1 - CLIP)
    return np.asarray(-np.log(np.where(y == 1, p, 1 - p)))
