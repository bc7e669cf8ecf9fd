"""Risk-based price: the rate at which a loan earns its margin, and profit by cut-off.

A loan is a monthly annuity. Each month it may default by a constant hazard; then the lender keeps
``1 - LGD`` of the balance. Capital is held against the balance and costs the hurdle rate above
funding. The price is the nominal rate a year at which the discounted payments pay for funding,
running costs, capital and the target margin.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.errors import InputRefused
from riskwright.portfolio.checks import FloatArray, amounts, probabilities

HIGHEST = 5.0  # 500 % a year: no price below it means that the loan can't be priced
STEPS = 60  # halvings of the bracket: 5 / 2^60 is far below 1e-8


def required_rate(
    annual_pd: npt.ArrayLike,
    lgd: npt.ArrayLike,
    term: npt.ArrayLike,
    *,
    funding: float,
    cost: float,
    capital: npt.ArrayLike = 0.0,
    hurdle: float = 0.0,
    margin: float = 0.0,
) -> FloatArray:
    """Return the nominal rate a year at which a loan earns its target margin, shape (n,).

    Parameters
    ----------
    annual_pd
        Default probability a year, constant over the loan's life; give the upper end of its range
        for a price with a margin for model uncertainty.
    lgd
        Share of the balance that a default costs.
    term
        Months.
    funding, cost, margin
        Of the outstanding balance, a year.
    capital
        Capital for each unit of balance (such as Basel's K), which earns ``hurdle`` a year more
        than funding costs.

    Returns
    -------
    Rates; NaN where even 500 % a year isn't enough.
    """
    p = probabilities("annual_pd", np.atleast_1d(annual_pd))
    n = len(p)
    loss = probabilities("lgd", lgd, n)
    months = np.broadcast_to(np.asarray(term, dtype=float), (n,))
    held = np.broadcast_to(np.asarray(capital, dtype=float), (n,))
    outlay = funding + cost + margin + held * hurdle
    low, high = np.zeros(n), np.full(n, HIGHEST)
    reachable = value(high, p, loss, months, outlay) >= 0
    for _ in range(STEPS):
        middle = (low + high) / 2
        enough = value(middle, p, loss, months, outlay) >= 0
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(reachable, high, np.nan)


def value(
    rate: npt.ArrayLike,
    annual_pd: npt.ArrayLike,
    lgd: npt.ArrayLike,
    term: npt.ArrayLike,
    outlay: npt.ArrayLike,
) -> FloatArray:
    """Return the present value of lending 1, discounted at all that it costs, less the 1 lent.

    Parameters
    ----------
    rate, annual_pd, lgd, term, outlay
        Nominal rate a year, PD a year, loss given default, months, and what the balance costs a
        year (funding, running costs, capital, margin), each (n,) or one number.
    """
    r, p, loss, months, out = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(v, dtype=float)) for v in (rate, annual_pd, lgd, term, outlay))
    )
    monthly = r / 12
    with np.errstate(divide="ignore", invalid="ignore"):
        payment = np.where(monthly > 0, monthly / (1 - (1 + monthly) ** -months), 1 / months)
    alive_a_month = (1 - p) ** (1 / 12)
    discount_a_month = 1 / (1 + out / 12)
    balance, alive, discount = np.ones(len(r)), np.ones(len(r)), np.ones(len(r))
    total = np.zeros(len(r))
    for month in range(1, int(months.max()) + 1):
        live = month <= months
        discount = discount * discount_a_month
        recovered = alive * (1 - alive_a_month) * balance * (1 - loss)
        alive = alive * alive_a_month
        total += np.where(live, discount * (recovered + alive * payment), 0.0)
        balance = np.maximum(balance * (1 + monthly) - payment, 0.0)
    return np.asarray(total - 1)


def cutoff_table(
    pd_: npt.ArrayLike,
    amount: npt.ArrayLike,
    rate: npt.ArrayLike,
    lgd: npt.ArrayLike,
    term: npt.ArrayLike,
    *,
    outlay: npt.ArrayLike,
    cutoffs: npt.ArrayLike | None = None,
) -> pd.DataFrame:
    """Return what approving below each cut-off would mean in money.

    Parameters
    ----------
    pd_
        PD a year, shape (n,).
    amount, rate, lgd, term
        Money lent, nominal rate a year, loss given default, months, shape (n,).
    outlay
        What the balance costs a year: funding, running costs, capital, margin; (n,) or a number.
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
    profit = money * value(rate, p, lgd, term, outlay)
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
