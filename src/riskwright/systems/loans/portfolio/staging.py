"""Staging and expected credit loss in the manner of IFRS 9.

A loan is in stage 1 until its credit risk has risen significantly since it was made (IFRS 9,
5.5.3 and 5.5.5), then in stage 2, and in stage 3 once it is credit-impaired. Stage 1 carries the
loss of defaults within 12 months, the others the loss over the loan's life. Backstops: 30 days
past due mean a significant increase (more than 30 days: 5.5.11); default is no later than 90 days
past due (B5.5.37).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from riskwright.errors import InputRefused
from riskwright.systems.loans.portfolio.checks import FloatArray, probabilities

RATIO = 2.0  # the lifetime PD has at least doubled …
RISE = 0.01  # … and has risen by a percentage point a year
STAGE_2_DAYS, STAGE_3_DAYS = 30, 90
YEAR = 12


def stages(
    pd_now: npt.ArrayLike,
    pd_then: npt.ArrayLike,
    years_left: npt.ArrayLike,
    days_past_due: npt.ArrayLike = 0,
) -> npt.NDArray[np.int8]:
    """Return the stage of each loan, shape (n,).

    Parameters
    ----------
    pd_now
        PD over the rest of the loan's life, as seen today.
    pd_then
        PD over the same rest of its life, as it was seen when the loan was made.
    years_left
        Length of that rest: both PDs are compared as rates a year.
    days_past_due
        0 where the source doesn't say.
    """
    now = probabilities("pd_now", pd_now)
    then = probabilities("pd_then", pd_then, len(now))
    years = np.broadcast_to(np.maximum(np.asarray(years_left, dtype=float), 1 / YEAR), now.shape)
    rate_now, rate_then = annual(now, years), annual(then, years)
    risen = (rate_now >= RATIO * rate_then) & (rate_now - rate_then >= RISE)
    late = np.broadcast_to(np.asarray(days_past_due), now.shape)
    stage = np.where(risen | (late > STAGE_2_DAYS), 2, 1)
    return np.where(late >= STAGE_3_DAYS, 3, stage).astype(np.int8)


def annual(pd: npt.ArrayLike, years: npt.ArrayLike) -> FloatArray:
    """Return the constant PD a year that adds up to ``pd`` over ``years``."""
    return np.asarray(1 - (1 - np.asarray(pd, dtype=float)) ** (1 / np.asarray(years, dtype=float)))


def expected_credit_loss(
    marginal_pd: npt.ArrayLike,
    ead: npt.ArrayLike,
    lgd: npt.ArrayLike,
    annual_rate: npt.ArrayLike,
    stage: npt.ArrayLike,
) -> FloatArray:
    """Return each loan's expected credit loss in money, discounted to today, shape (n,).

    Parameters
    ----------
    marginal_pd
        Probability of default within each future month, seen from today, shape (n, months).
    ead
        Exposure at each month's default, shape (n, months), in money.
    lgd
        Shape (n,).
    annual_rate
        The effective interest rate, by which IFRS 9 discounts (5.5.17, B5.5.44), shape (n,).
    stage
        1: defaults of the next twelve months; 2: of all; 3: the default has happened, the loss is
        today's exposure times LGD.
    """
    p, money = np.asarray(marginal_pd, dtype=float), np.asarray(ead, dtype=float)
    if p.ndim != 2 or money.shape != p.shape:
        raise InputRefused(
            f"marginal PDs of shape {p.shape} and exposures of shape {money.shape}",
            expected="both (loans, months)",
        )
    if p.sum(axis=1).max(initial=0.0) > 1 + 1e-9 or p.min(initial=0.0) < 0:
        raise InputRefused("the marginal PDs of a loan sum to more than 1, or one is negative")
    loss = probabilities("lgd", lgd, len(p))
    held = np.asarray(stage)
    months = np.arange(1, p.shape[1] + 1)
    discount = (1 + np.asarray(annual_rate, dtype=float))[:, None] ** (-months[None, :] / YEAR)
    by_month = p * money * discount
    lifetime = by_month.sum(axis=1) * loss
    year = by_month[:, :YEAR].sum(axis=1) * loss
    impaired = money[:, 0] * loss if p.shape[1] else np.zeros(len(p))
    return np.asarray(np.select([held == 1, held == 2], [year, lifetime], impaired))


def weighted(losses: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """Return the probability-weighted loss of scenarios (IFRS 9, 5.5.17(a)).

    Raises
    ------
    InputRefused
        If the weights don't sum to 1 or don't name the same scenarios.
    """
    if set(losses) != set(weights) or abs(sum(weights.values()) - 1) > 1e-9:
        raise InputRefused(
            f"scenario weights sum to {sum(weights.values()):g}",
            where=", ".join(sorted(set(losses) ^ set(weights))) or ", ".join(weights),
            expected="one weight for each scenario, summing to 1",
        )
    return float(sum(losses[name] * weights[name] for name in losses))
