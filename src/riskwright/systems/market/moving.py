"""How far a weight may move from the investor's own strategic one, by a test of what that is worth.

A forecast turns into a weight by a rule that takes the forecast at its word. Whether following it
would have paid is another question, and it has an answer: the certainty-equivalent gain over simply
holding the strategic weight, after costs, month by month, out of sample.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from riskwright.stats.comparison import cosine_terms
from riskwright.systems.market.strategy import (
    RISK_AVERSION,
    certainty_gain,
    months_of_variance,
    run,
)

SHARES = (0.25, 0.5, 0.75, 1.0)  # of the way from the strategic weight to the rule's
FEWEST_TERMS = 4  # degrees of freedom of a test; fewer: "not enough data"
UNTESTED: dict[str, Any] = {"share": 0.0, "months": 0, "tested": []}


def moved(weight: Any, strategic: float, share: float) -> Any:
    """Return the weight that lies a share of the way from the strategic one to the rule's."""
    return strategic + share * (weight - strategic)


def worth_moving(
    weights: pd.Series,
    equity: pd.Series,
    bills: pd.Series,
    strategic: float,
    *,
    alpha: float,
    cost_bp: float = 10.0,
    risk_aversion: float = RISK_AVERSION,
    averaged: bool = False,
) -> dict[str, Any]:
    """Find how far from the strategic weight towards the rule's it has paid to move.

    The shares are tested from the smallest on, each one-sided at ``alpha``, until one fails: a
    fixed sequence, which holds the level over all of them (Maurer, Hothorn and Lehmacher, in
    Biometrie in der chemisch-pharmazeutischen Industrie 6, 1995).

    Parameters
    ----------
    weights
        The rule's, index origin: each earns the month after.
    equity, bills
        Returns by month, over all of those.
    strategic
        Held otherwise, rebalanced each month at the same costs.
    alpha
        One-sided level.
    cost_bp, risk_aversion, averaged
        As in ``strategy.compare``.

    Returns
    -------
    dict
        ``share`` (0: no evidence for moving), ``months``, and ``tested``: by share ``gain``,
        ``low`` and ``high`` (certain return a year over holding; each bound is passed with
        probability ``alpha``), up to the first that failed.
    """
    months, found = len(weights), dict(UNTESTED, tested=[])
    if months < 2 or cosine_terms(months, 1) < FEWEST_TERMS:
        return found | {"months": months}
    g = risk_aversion / months_of_variance(1, averaged=averaged)
    rest = bills.loc[weights.index + 1].to_numpy(float)

    def excess(share: float) -> np.ndarray:
        net, _ = run(moved(weights, strategic, share), equity, bills, cost_bp)
        return np.asarray(net.to_numpy(float) - rest)

    held, share, tested = excess(0.0), 0.0, []
    for step in SHARES:
        gain, low, high = certainty_gain(excess(step), held, g, tail=alpha)
        tested.append({"share": step, "gain": gain, "low": low, "high": high})
        if not low > 0:
            break
        share = step
    return {"share": share, "months": months, "tested": tested}
