"""A panel of simulated months, small and known by heart; families that only tests need."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from riskwright.systems.market.families import Family, Mean
from riskwright.systems.market.learnt import Fitted, Past
from riskwright.systems.market.panel import Panel

NAMES = ("value", "rate", "noise")
SIGNS = {"value": 1, "rate": -1, "noise": 0}


def make_panel(count: int = 240, *, horizon: int = 3, slope: float = 0.3, seed: int = 0) -> Panel:
    """Return a panel whose returns go with ``value``, against ``rate``, and not with ``noise``.

    ``rate`` starts 8 months late. Targets: ``m1`` and ``m{horizon}``, known when they are over.
    """
    rng = np.random.default_rng(seed)
    months = pd.period_range("1950-01", periods=count, freq="M", name="origin")
    drift = rng.normal(0, 1, (count, 3))
    for t in range(1, count):
        drift[t] = 0.9 * drift[t - 1] + np.sqrt(1 - 0.9**2) * drift[t]
    X = pd.DataFrame(drift, months, list(NAMES))
    signal = slope * (X["value"].shift(1) - X["rate"].shift(1)).fillna(0.0)
    returns = 0.006 + 0.04 * (rng.normal(0, 1, count) + signal)
    X.iloc[:8, 1] = np.nan
    steps = np.full((count, 6, 3), np.nan)
    for t in range(count):
        recent = X.to_numpy()[max(0, t - 5) : t + 1]
        steps[t, 6 - len(recent) :] = recent
    targets, known = {}, {}
    for h in (1, horizon):
        over = np.log1p(returns).rolling(h).sum().shift(-h)
        targets[f"m{h}"] = np.expm1(over)
        known[f"m{h}"] = pd.Series(months.shift(h), index=months)
    nothing = pd.Series(0.0, months)
    return Panel(
        case=SimpleNamespace(signs=SIGNS),  # type: ignore[arg-type]
        as_of=months[-1],
        X=X,
        context=X[[]],
        sequences=steps,
        targets=targets,
        known_at=known,
        cash=dict.fromkeys(targets, nothing),
        returns=returns,
        risk_free=nothing,
        prices=pd.Series(np.exp(np.log1p(returns).cumsum()), months),
    )


class Counted(Mean):
    """The historical mean, which notes when it was fitted, and on how many rows."""

    name = "counted"
    fits: ClassVar[list[tuple[int, int]]] = []

    def fit(self, X: pd.DataFrame, y: Any, *, known: Any = None) -> Self:
        """Note the latest month that was known."""
        self.fits.append((int(known.max()), len(y)))
        return super().fit(X, y, known=known)


class Dying(Family):
    """A family whose process ends: out of memory, say."""

    name = "dying"
    deep = True  # never in this process

    def _learn(self, past: Past) -> Fitted:
        os._exit(7)


class Endless(Family):
    """A family that never comes to an end."""

    name = "endless"
    deep = True

    def _learn(self, past: Past) -> Any:
        import time

        time.sleep(3600)
