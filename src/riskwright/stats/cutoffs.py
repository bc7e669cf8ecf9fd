"""Where to decline: cut-offs by cost, the confusion matrix, and the three decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskwright.errors import InputRefused
from riskwright.stats.estimates import checked


@dataclass(frozen=True)
class Confusion:
    """Counts at a cut-off; positive = predicted bad (PD at or above the cut-off)."""

    tn: int
    fp: int
    fn: int
    tp: int


def confusion(y: ArrayLike, p: ArrayLike, cutoff: float) -> Confusion:
    """Count right and wrong verdicts; a row is predicted bad from ``p >= cutoff``.

    Raises
    ------
    InputRefused
        If the arrays don't match or hold NaN.
    """
    y_, p_ = checked(y, p)
    counts = np.bincount(2 * y_ + (p_ >= cutoff), minlength=4)
    return Confusion(*(int(c) for c in counts))


def cost(
    y: ArrayLike, p: ArrayLike, cutoff: float, *, bad_approved: float, good_declined: float
) -> float:
    """Return the mean cost for each row, in the unit of the two costs.

    Raises
    ------
    InputRefused
        If the arrays don't match or hold NaN.
    """
    counts = confusion(y, p, cutoff)
    return (counts.fn * bad_approved + counts.fp * good_declined) / len(np.asarray(y))


class Chosen(NamedTuple):
    """A cut-off, and from where to where cut-offs cost no more than the least, as far as known."""

    cutoff: float
    low: float
    high: float


def choose(y: ArrayLike, p: ArrayLike, *, bad_approved: float, good_declined: float) -> Chosen:
    """Return a cut-off whose cost on these rows is the least, to within one standard error.

    The least cost of a sample lies where chance put it, and costs are flat around it. Every
    cut-off whose cost is within one standard error (over rows) of the least is as good by these
    rows (the rule of Breiman et al. 1984, Classification and Regression Trees, 3.4.3). Among them
    the one nearest to the cut-off that is best for right PDs is taken,
    ``good_declined / (good_declined + bad_approved)``: declining costs the second with
    probability 1 - PD, approving the first with probability PD (Elkan 2001, IJCAI, 973-978).

    The cost only changes at an observed PD: of a gap between two of them the theoretical cut-off
    is taken if it lies inside, else the middle.

    Parameters
    ----------
    y, p
        Outcomes (1 = bad) and out-of-fold PDs, shape (n,).
    bad_approved, good_declined
        Cost of one error of each kind, in any common unit.

    Returns
    -------
    Chosen
        All between 0 and 1. Between ``low`` and ``high`` single gaps may cost more.

    Raises
    ------
    InputRefused
        If the arrays don't match or hold NaN, or a cost is not positive.
    """
    y_, p_ = checked(y, p)
    if not (0 < bad_approved < np.inf and 0 < good_declined < np.inf):
        raise InputRefused(
            f"costs of {bad_approved} and {good_declined} are not both positive",
            expected="two positive numbers",
        )
    theory = good_declined / (good_declined + bad_approved)
    levels, where = np.unique(p_, return_inverse=True)
    bads = np.bincount(where, weights=y_, minlength=len(levels))
    goods = np.bincount(where, weights=1 - y_, minlength=len(levels))
    # Cut-offs in (levels[i - 1], levels[i]] approve the first i levels and decline the rest.
    approved_bads = np.concatenate([[0.0], np.cumsum(bads)])
    declined_goods = goods.sum() - np.concatenate([[0.0], np.cumsum(goods)])
    costs = approved_bads * bad_approved + declined_goods * good_declined
    lows = np.concatenate([[0.0], levels])
    highs = np.concatenate([levels, [1.0]])
    possible = (lows < highs) | (highs == 0)  # a PD of 1 can't be approved by a cut-off up to 1
    least = int(np.flatnonzero(possible)[np.argmin(costs[possible])])
    squares = approved_bads * bad_approved**2 + declined_goods * good_declined**2
    # The variance of a sum of n rows' costs.
    error = np.sqrt(max(float(squares[least] - costs[least] ** 2 / len(y_)), 0.0))
    same = possible & (costs - costs[least] <= error + 1e-12 * costs[least])
    nearest = np.clip(theory, lows, highs)
    best = int(np.flatnonzero(same)[np.argmin(np.abs(nearest - theory)[same])])
    inside = lows[best] < theory <= highs[best]
    chosen = theory if inside else (lows[best] + highs[best]) / 2
    return Chosen(float(chosen), float(lows[same].min()), float(highs[same].max()))


def decide(
    p: ArrayLike,
    disagreement: ArrayLike,
    *,
    approve_below: float,
    decline_from: float,
    refer_above: float,
) -> NDArray[np.str_]:
    """Return ``approve``, ``refer`` or ``decline`` for each row.

    Approved below ``approve_below``, declined from ``decline_from`` on, referred between. A row
    goes to a person whatever its PD where the members' disagreement is above ``refer_above``,
    and where PD or disagreement is missing.

    Parameters
    ----------
    p
        PDs, shape (n,).
    disagreement
        Spread of the members, shape (n,), in the unit of ``refer_above``.

    Raises
    ------
    InputRefused
        If the arrays differ in shape, or ``approve_below`` is above ``decline_from``.
    """
    pds = np.asarray(p, dtype=np.float64)
    spread = np.asarray(disagreement, dtype=np.float64)
    if pds.shape != spread.shape:
        raise InputRefused(f"PDs {pds.shape} and disagreement {spread.shape} don't match")
    if not approve_below <= decline_from:
        raise InputRefused(
            f"'approve_below' {approve_below} is above 'decline_from' {decline_from}",
            expected="approve below, decline from, refer between",
        )
    sure = spread <= refer_above  # false for NaN
    return np.select(
        [sure & (pds < approve_below), sure & (pds >= decline_from)],
        ["approve", "decline"],
        default="refer",
    )
