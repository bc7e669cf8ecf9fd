"""The ensemble: families that earned a place, shrunk to the historical mean as the past advises.

It starts from an anchor, the average of the restricted single-predictor forecasts, which is hard to
beat: estimated weights rarely do better than equal ones (Timmermann, Handbook of Economic
Forecasting 1, 2006). Each December, from the forecasts whose returns were known by then:

1. A family joins if its forecasts held something that the anchor's didn't, by Clark and West's
   test (which is then the encompassing test of Harvey, Leybourne and Newbold 1998) at 5 % over
   all families that may join (Bonferroni).
2. The weights minimise the squared error with a penalty on leaving the anchor. None is below zero,
   together they are at most one, and what is missing to one is the weight of the historical mean.

The penalty is the prior that each weight, times the size of its family's deviations from the mean
in units of the anchor's, lies within half of its start. Overlapping errors count as one a horizon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import nnls

from riskwright.data.splits import trainable
from riskwright.errors import InputRefused, closest
from riskwright.stats.comparison import clark_west
from riskwright.systems.market.families import Mean
from riskwright.systems.market.learnt import FloatArray
from riskwright.systems.market.panel import Panel
from riskwright.systems.market.refit_schedule import DECEMBER, TUNING, make_schedule, months
from riskwright.systems.market.walk import make_families

ANCHOR = "combination_ct"
ENTRY = 0.05  # level of the tests by which families join, all together
REACH = 0.5  # prior standard deviation of a weight, in the units above
STIFF = 1e5  # weight of the equation that holds the weights to a sum of one


@dataclass(frozen=True)
class Combined:
    """The ensemble's forecasts and how they came about.

    Attributes
    ----------
    forecast
        By origin.
    weights
        By origin, one column a member; what a row lacks to one is the historical mean's.
    trial
        The ensemble's own entry in the trial log.
    """

    forecast: pd.Series
    weights: pd.DataFrame
    trial: dict[str, Any]


def combine(
    forecasts: pd.DataFrame,
    known_at: pd.Series,
    *,
    model: str,
    horizon: int,
    members: Sequence[str],
    learn_after: int = 120,
    weight: float = 1.0,
    embargo: int = 0,
) -> Combined:
    """Combine the forecasts of a walk, each origin's with what was known then.

    Parameters
    ----------
    forecasts
        As in ``Walk``: index origin, ``actual``, ``mean``, the anchor and the members. It should
        begin as early as the data allow: what comes before the origins of interest is learnt from.
    known_at
        Month in which each origin's return was known.
    model, horizon
        Name of the target, and its months.
    members
        Families that may join the anchor.
    learn_after
        Known forecasts from which weights are learnt.
    weight
        The anchor's until then, and what it is pulled to afterwards.
    embargo
        As in the walk.

    Raises
    ------
    InputRefused
        If a family is not among the forecasts, or the weight isn't in [0, 1].
    """
    names = list(dict.fromkeys([ANCHOR, *members]))
    _refuse_missing(forecasts, ["actual", "mean", *names])
    if not 0 <= weight <= 1:
        raise InputRefused(f"the anchor's weight is {weight:g}", expected="a number from 0 to 1")
    mean = forecasts["mean"].to_numpy(dtype=float)
    away = forecasts[names].to_numpy(dtype=float) - mean[:, None]
    surprise = forecasts["actual"].to_numpy(dtype=float) - mean
    known = months(known_at.reindex(forecasts.index))
    years = (months(forecasts.index) - DECEMBER) // TUNING
    weights = np.zeros_like(away)
    for year in np.unique(years):
        rows = trainable(known, DECEMBER + TUNING * int(year) + 1, embargo) & np.isfinite(surprise)
        found = np.eye(len(names))[0] * weight
        if rows.sum() >= learn_after:
            found = _learn(away[rows], surprise[rows], horizon, weight)
        weights[years == year] = found
    index = forecasts.index
    return Combined(
        forecast=pd.Series(mean + (weights * away).sum(axis=1), index, name="ensemble"),
        weights=pd.DataFrame(weights, index, names),
        trial=trial(model, members, learn_after, weight),
    )


def trial(model: str, members: Sequence[str], learn_after: int, weight: float) -> dict[str, Any]:
    """Return the ensemble's entry in the trial log."""
    names = list(dict.fromkeys([ANCHOR, *members]))
    params = {"members": names, "learn_after": learn_after, "weight": weight}
    return {"model": model, "family": "ensemble", "params": params, "window": None}


def _refuse_missing(forecasts: pd.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        if name not in forecasts:
            raise InputRefused(
                f"the ensemble needs the forecasts of {name!r}",
                expected=f"a column among {', '.join(forecasts.columns)}",
                do=closest(name, forecasts.columns) or "add the family, or leave it out of members",
            )


def _learn(away: FloatArray, surprise: FloatArray, horizon: int, weight: float) -> FloatArray:
    """Return the weights, shape (k,), from deviations (n, k) and surprises (n,); anchor first."""
    joined = [0]
    for j in range(1, away.shape[1]):
        test = clark_west(surprise, away[:, 0], away[:, j], horizon, robust=True)
        if test.p < ENTRY / (away.shape[1] - 1):
            joined.append(j)
    out = np.zeros(away.shape[1])
    out[joined] = posterior(away[:, joined], surprise, horizon, weight)
    return out


def posterior(away: FloatArray, surprise: FloatArray, horizon: int, weight: float) -> FloatArray:
    """Return the weights that past forecasts and the prior agree on.

    They minimise ``sum((surprise - away w)^2) / (horizon variance)`` plus
    ``sum(((w - start) size / REACH)^2)`` over ``w >= 0``, ``sum(w) <= 1``, where ``size`` is the
    root mean square of a column of ``away`` over that of the first, and ``start`` is ``weight``
    for the first and 0 for the others.

    Parameters
    ----------
    away
        Deviations of the forecasts from the historical mean, shape (n, k), the anchor's first.
    surprise
        Deviations of the returns from it, shape (n,).
    """
    spread = np.sqrt((away**2).mean(axis=0))
    start = np.zeros(away.shape[1])
    start[0] = weight
    if spread[0] == 0 or not surprise.any():
        return start
    noise = horizon * float((surprise**2).mean())
    stiff = (np.maximum(spread, 1e-9 * spread[0]) / spread[0] / REACH) ** 2
    root = np.linalg.cholesky(away.T @ away / noise + np.diag(stiff))
    wanted = np.linalg.solve(root, away.T @ surprise / noise + stiff * start)
    found = nnls(root.T, wanted)[0]
    if found.sum() > 1:
        hold = STIFF * float(np.abs(root).max())
        rows = np.vstack([root.T, np.full(len(start), hold)])
        found = nnls(rows, np.append(wanted, hold))[0]
        found /= found.sum()
    return np.asarray(found)


def reasons(
    panel: Panel,
    model: str,
    weights: pd.DataFrame,
    *,
    min_train: int = 360,
    window: int | None = None,
    embargo: int = 0,
    refit: Mapping[str, int] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Return what each predictor adds to the ensemble's forecast, beyond the historical mean.

    Exact for families that are linear or made of lines, and Shapley values for trees and networks.

    Parameters
    ----------
    weights
        Some rows of ``Combined.weights``: the origins to explain.
    min_train, window, embargo, refit, seed
        As in the walk that made the forecasts.

    Returns
    -------
    DataFrame
        Index origin; one column a predictor, and ``rest``, which belongs to none. A row sums to
        the ensemble's forecast less the historical mean.
    """
    schedule = make_schedule(
        panel, model, min_train=min_train, window=window, embargo=embargo, seed=seed
    )
    positions = np.asarray(panel.X.index.get_indexer(weights.index), dtype=np.int64)
    if (positions < schedule.first).any():
        raise InputRefused(
            f"{weights.index[positions < schedule.first][0]} is no origin of the walk",
            expected=f"{panel.X.index[schedule.first]} to {panel.X.index[-1]}",
        )
    mean = schedule.forecast(Mean(panel.schema), positions)
    total = np.zeros((len(positions), panel.X.shape[1] + 1))
    live = [str(name) for name in weights if (weights[name] > 0).any()]
    for family in make_families(live, panel, refit) if live else []:
        share = weights[family.name].to_numpy()
        for here, fitted in schedule.fits(family, positions):
            rows: npt.NDArray[np.intp] = np.searchsorted(positions, here)
            parts = fitted.contributions(schedule.now(family, here)).to_numpy(copy=True)
            # What the mean has moved since the fit belongs to no predictor.
            parts[:, -1] -= mean[rows]
            total[rows] += share[rows, None] * parts
    return pd.DataFrame(total, weights.index, [*panel.X.columns, "rest"])
