"""Which cases an outcome is known of: a part selected by score has to be compared with its like.

A lender knows what became of the cases it approved. Among these the scores lie closer together, so
that the ROC AUC is lower and the level another than among all, without any change. The reference
is then cut alike: to rows of the same decisions, and of the same range of scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from riskwright.case.usecase import UseCase
from riskwright.systems.credit.drift import LEAST_VALUES, ks
from riskwright.systems.credit.reference import Reference

RATE_P, RATE_FLOOR = 1e-3, 0.05  # decisions whose share of known outcomes differs
ABSENT_SHARE, ABSENT_LEAST = 0.1, 10.0  # of the rows of a decision that the reference expects
ANY = "cases"  # where no decision is known

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Part:
    """What is compared with what.

    Attributes
    ----------
    now
        Rows with a known outcome that are judged, shape (n,).
    waiting
        Rows of the same kind whose outcome isn't known, shape (n,).
    before
        The reference's rows that they are compared with, shape (m,).
    words
        What was left out; empty if nothing was.
    trouble
        Why nothing can be judged; empty if it can.
    """

    now: Mask
    waiting: Mask
    before: Mask
    words: str = ""
    trouble: str = ""


def part_of(
    usecase: UseCase,
    reference: Reference,
    pds: NDArray[np.float64],
    rows: Mask,
    known: Mask,
    decisions: NDArray[np.object_] | None,
    reference_decisions: Callable[[], ArrayLike] | None,
) -> Part:
    """Find out which part of the rows has outcomes, and the reference's part that is like it.

    1. Decisions whose share of known outcomes is lower than that of the decision with most of
       them (Fisher's exact test at 0.001, and five points) are left out, and so are those of the
       reference that the batch all but lacks.
    2. If the scores with and without outcome still differ (``monitor.score_p`` and
       ``score_effect``), the range of scores with outcomes is taken, if within it they don't.
    3. If they do, nothing can be judged: how these cases were chosen can't be told.

    Parameters
    ----------
    pds
        PDs, shape (n,).
    rows, known
        Rows that this version scored, and those of them whose outcome is known, shape (n,).
    decisions
        About each row, shape (n,); None: not known.
    reference_decisions
        Gives those about the reference's rows, shape (m,).
    """
    decided, usual = (np.full(n, ANY, dtype=object) for n in (len(pds), len(reference)))
    if decisions is not None and reference_decisions is not None:
        decided, usual = decisions, np.asarray(reference_decisions(), dtype=object)
    kept = _kept(decided, rows, known)
    there = {str(d) for d in set(usual) if not _absent(decided[rows], usual, d)}
    before = np.isin(usual, list(kept & there))
    mine = rows & np.isin(decided, list(kept))
    now, waiting = known & mine, mine & ~known
    words = ""
    if not before.all() or (known & ~mine).any():
        words = _words(kept & there, now, rows, before, int((known & ~mine).sum()))
    if not _differ(usecase, pds[now], pds[waiting]):
        return Part(now, waiting, before, words)
    low, high = pds[now].min(), pds[now].max()
    inside = waiting & (pds >= low) & (pds <= high)
    if inside.sum() == waiting.sum() or _differ(usecase, pds[now], pds[inside]):
        return Part(now, waiting, before, words, _untold(pds, now, waiting))
    before &= (reference.pd >= low) & (reference.pd <= high)
    told = f"outcomes are of PDs from {low:.4f} to {high:.4f} alone: compared with the reference's "
    told += f"{int(before.sum()):,} rows in that range"
    return Part(now, inside, before, "; ".join(filter(None, (words, told))))


def _kept(decided: NDArray[np.object_], rows: Mask, known: Mask) -> set[str]:
    """Return the decision with most known outcomes, and those with as high a share of them."""
    counts = {
        str(d): (int((known & (decided == d)).sum()), int((rows & (decided == d)).sum()))
        for d in set(decided[rows])
    }
    most, of = max(counts.values())
    kept = set()
    for decision, (k, n) in counts.items():
        p = stats.fisher_exact([[k, n - k], [most, of - most]]).pvalue
        if p >= RATE_P or k / n > most / of - RATE_FLOOR:
            kept.add(decision)
    return kept


def _absent(decided: NDArray[np.object_], usual: NDArray[np.object_], decision: str) -> bool:
    """Whether a batch all but lacks a decision that the reference expects rows of."""
    expected = float((usual == decision).mean()) * len(decided)
    return expected >= ABSENT_LEAST and (decided == decision).sum() < ABSENT_SHARE * expected


def _differ(usecase: UseCase, one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    if min(len(one), len(other)) < LEAST_VALUES:
        return False
    distance, p = ks(one, other)
    return p < usecase.monitor.score_p and distance >= usecase.monitor.score_effect


def _words(kept: set[str], now: Mask, rows: Mask, before: Mask, dropped: int) -> str:
    decisions = " and ".join(repr(d) for d in sorted(kept))
    return (
        f"outcomes are known of cases with the decision {decisions} ({int(now.sum()):,} of "
        f"{int(rows.sum()):,} rows): compared with the reference's {int(before.sum()):,} of "
        f"{len(before):,} rows of the same decision"
        + f"; {dropped:,} outcomes of other decisions are left out"
        * bool(dropped)
    )


def _untold(pds: NDArray[np.float64], now: Mask, waiting: Mask) -> str:
    return (
        f"outcomes are known of {int(now.sum()):,} cases with a mean PD of {pds[now].mean():.4f}, "
        f"and not of {int(waiting.sum()):,} like cases with {pds[waiting].mean():.4f}: they were "
        "chosen by something that goes with the score, and by what can't be told"
    )
