"""Risk-based price: the rate at which a loan earns its margin, and profit by cut-off.

A loan is a monthly annuity. In each month it may default or be repaid early, by the probabilities
of the term structure. A default has missed the payments of its months of grace, and leaves
``1 - LGD`` of the balance at the last one. Capital is held against the balance and costs the hurdle
rate above funding. The price is the nominal rate a year at which the discounted payments pay for
funding, running costs, capital and the target margin.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.errors import InputRefused
from riskwright.systems.loans.portfolio.checks import FloatArray, amounts, probabilities

HIGHEST = 5.0  # 500 % a year: no price below it means that the loan can't be priced
STEPS = 36  # halvings of the bracket: 5 / 2^36 is below 1e-10


def required_rate(
    fails: npt.ArrayLike,
    lgd: npt.ArrayLike,
    term: npt.ArrayLike,
    *,
    funding: float,
    cost: float,
    capital: npt.ArrayLike = 0.0,
    hurdle: float = 0.0,
    margin: float = 0.0,
    repaid: npt.ArrayLike = 0.0,
    grace: int = 1,
) -> FloatArray:
    """Return the nominal rate a year at which a loan earns its target margin, shape (n,).

    Parameters
    ----------
    fails, lgd, term, repaid, grace
        As ``value`` takes them.
    funding, cost, margin
        Of the outstanding balance, a year.
    capital
        Capital for each unit of balance (such as Basel's K), which earns ``hurdle`` a year more
        than funding costs.

    Returns
    -------
    Rates; NaN where even 500 % a year isn't enough.
    """
    chance = np.asarray(fails, dtype=float)
    n = len(chance)
    held = np.broadcast_to(np.asarray(capital, dtype=float), (n,))
    outlay = funding + cost + margin + held * hurdle
    low, high = np.zeros(n), np.full(n, HIGHEST)
    reachable = value(high, chance, lgd, term, outlay, repaid, grace) >= 0
    for _ in range(STEPS):
        middle = (low + high) / 2
        enough = value(middle, chance, lgd, term, outlay, repaid, grace) >= 0
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(reachable, high, np.nan)


def value(
    rate: npt.ArrayLike,
    fails: npt.ArrayLike,
    lgd: npt.ArrayLike,
    term: npt.ArrayLike,
    outlay: npt.ArrayLike,
    repaid: npt.ArrayLike = 0.0,
    grace: int = 1,
) -> FloatArray:
    """Return the present value of lending 1, discounted at all that it costs, less the 1 lent.

    Parameters
    ----------
    rate, lgd, term, outlay
        Nominal rate a year, loss given default, months, and what the balance costs a year
        (funding, running costs, capital, margin), each (n,) or one number.
    fails, repaid
        Probability, seen from today, of a default and of an early repayment in each month, shape
        (n, months); ``repaid`` may be 0.
    grace
        Months from the last payment to the default: 1 if the first missed payment is one.
    """
    gone = np.atleast_2d(np.asarray(fails, dtype=float))
    n, longest = gone.shape
    early = np.broadcast_to(np.asarray(repaid, dtype=float), gone.shape)
    loss = probabilities("lgd", lgd, n)
    r, months, out = (
        np.broadcast_to(np.asarray(v, dtype=float), (n,)) for v in (rate, term, outlay)
    )
    monthly = r / 12
    with np.errstate(divide="ignore", invalid="ignore"):
        payment = np.where(monthly > 0, monthly / (1 - (1 + monthly) ** -months), 1 / months)
    missed = max(grace, 1)
    # Who pays in a month is there after it, and not in default before the grace is over.
    ends = np.cumsum(gone, axis=1)
    soon = np.minimum(np.arange(longest) + missed - 1, longest - 1)
    pays = np.maximum(1 - ends[:, soon] - np.cumsum(early, axis=1), 0.0)
    discount_a_month = 1 / (1 + out / 12)
    discount, total = np.ones(n), np.zeros(n)
    balances = [np.ones(n)]  # after so many payments
    for j in range(min(longest, int(months.max()))):
        balances.append(np.maximum(balances[-1] * (1 + monthly) - payment, 0.0))
        discount = discount * discount_a_month
        flow = pays[:, j] * payment + early[:, j] * (payment + balances[j + 1])
        flow += gone[:, j] * balances[max(j + 1 - missed, 0)] * (1 - loss)
        total += np.where(j < months, discount * flow, 0.0)
    return np.asarray(total - 1)


def cutoff_table(
    pd_: npt.ArrayLike,
    amount: npt.ArrayLike,
    worth: npt.ArrayLike,
    *,
    cutoffs: npt.ArrayLike | None = None,
) -> pd.DataFrame:
    """Return what approving below each cut-off would mean in money.

    Parameters
    ----------
    pd_
        PD, shape (n,).
    amount, worth
        Money, and the present value of lending a unit of it (``value``), shape (n,).
    cutoffs
        PDs; the deciles and the 95 and 99 % quantiles of the book if left out.

    Returns
    -------
    DataFrame
        ``cutoff``, ``approved`` (share), ``amount``, ``mean_pd``, ``expected_profit`` (present
        value) and ``best``, true at the row of the largest profit.
    """
    p, money = probabilities("pd", pd_), amounts("amount", amount)
    if len(p) != len(money):
        raise InputRefused(f"{len(p)} PDs and {len(money)} amounts", expected="as many of each")
    profit = money * np.asarray(worth, dtype=float)
    quantiles = [*np.linspace(0.1, 0.9, 9), 0.95, 0.99, 1.0]
    limits = np.unique(np.quantile(p, quantiles) if cutoffs is None else np.asarray(cutoffs))
    rows = []
    for limit in limits:
        taken = p <= limit
        rows.append(
            {
                "cutoff": float(limit),
                "approved": float(taken.mean()),
                "amount": float(money[taken].sum()),
                "mean_pd": float(p[taken].mean()) if taken.any() else float("nan"),
                "expected_profit": float(profit[taken].sum()),
            }
        )
    table = pd.DataFrame(rows)
    return table.assign(best=table["expected_profit"] == table["expected_profit"].max())
