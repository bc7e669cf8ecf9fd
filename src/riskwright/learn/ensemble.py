"""The ensemble: calibrated family bags, weighted in log-odds, calibrated once more.

Everything is affine in the members' log-odds, so that the contributions of the deployed PD are
the same affine combination of the members' contributions: exact.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit

from riskwright.data.novel import Seen
from riskwright.data.units import Index, Kinds
from riskwright.learn.bag import Bag
from riskwright.learn.base import Cache, FloatArray
from riskwright.learn.calibration import fit_platt
from riskwright.learn.saved import reading
from riskwright.learn.simplex import cheapest

LEAST_WEIGHT = 0.01
CROSS_FITS = 5
FURTHEST = 20.0  # log-odds that a level may be off

Platt = tuple[float, float]


class Ensemble:
    """Family bags behind one deployed PD. Made by ``Ensemble.fit``, read by ``Ensemble.load``.

    Parameters
    ----------
    bags
        Family name to bag; those with a weight.
    platt
        Each member's own calibration: intercept and slope on its margin.
    weights
        Non-negative, sum to one.
    final
        Calibration of the weighted margin.

    Attributes
    ----------
    seen
        What ``data.novel.seen_in`` found in the training rows; empty if nobody looked.
    """

    def __init__(
        self,
        bags: dict[str, Bag],
        platt: dict[str, Platt],
        weights: dict[str, float],
        final: Platt,
    ) -> None:
        self.bags, self.platt, self.weights = bags, platt, weights
        self.final = final
        self.oof_pd: FloatArray = np.empty(0)
        self.seen: Seen = {}

    @classmethod
    def fit(
        cls,
        bags: dict[str, Bag],
        oofs: dict[str, FloatArray],
        y: npt.NDArray[np.int8],
        groups: Index | None = None,
    ) -> Self:
        """Weight and calibrate bags on their out-of-fold margins.

        ``oof_pd`` of the result is cross-fitted once more (weights and calibration from four
        fifths of the rows, PDs of the rest), NaN where a margin is missing.

        Parameters
        ----------
        bags, oofs
            By family: the bag, and its out-of-fold margins, shape (n,), NaN where unknown.
        y
            Outcomes, shape (n,), 1 = bad.
        groups
            Rows that belong together, shape (n,): the cross-fit doesn't part them.
        """
        names = list(bags)
        margins = np.column_stack([oofs[name] for name in names])
        known = np.isfinite(margins).all(axis=1)
        platt, weights, final = _join(margins[known], y[known])
        kept = weights > 0
        chosen = [n for n, k in zip(names, kept, strict=True) if k]
        made = cls(
            {n: bags[n] for n in chosen},
            {n: p for n, p, k in zip(names, platt, kept, strict=True) if k},
            {n: float(w) for n, w, k in zip(names, weights, kept, strict=True) if k},
            final,
        )
        made.oof_pd = np.full(len(y), np.nan)
        made.oof_pd[known] = _cross_fitted(
            margins[known], y[known], None if groups is None else groups[known]
        )
        return made

    def anchor(self, X: pd.DataFrame, y: npt.NDArray[np.int8]) -> None:
        """Shift the deployed level so that the mean PD of the training rows is their bad rate.

        For forward-chained folds: weights and calibration come from models of the earlier blocks,
        each on the block after it; what is deployed is the mean of models that know all blocks,
        and its level is another. ``oof_pd`` stays as it is.

        Parameters
        ----------
        X, y
            Training features, and outcomes (1 = bad), shape (n,); both classes are there.
        """
        margin, rate = self.margin(X), float(y.mean())
        shift = brentq(lambda by: expit(margin + by).mean() - rate, -FURTHEST, FURTHEST)
        self.final = (self.final[0] + float(shift), self.final[1])

    def predict(self, X: pd.DataFrame, cache: Cache | None = None) -> pd.DataFrame:
        """Return PD, the calibrated members' extremes and their disagreement.

        Returns
        -------
        DataFrame
            ``pd``, ``member_min``, ``member_max`` (probabilities) and ``disagreement`` (standard
            deviation of the members' log-odds). The members are the families; where there is only
            one, its fold models.
        """
        families = self._member_margins(X, cache)
        members = _apart(families)
        return pd.DataFrame(
            {
                "pd": expit(sum(self.weights[n] * m.mean(axis=0) for n, m in families.items())),
                "member_min": expit(members.min(axis=0)),
                "member_max": expit(members.max(axis=0)),
                "disagreement": members.std(axis=0),
            },
            index=X.index,
        )

    def members(self, X: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
        """Return what each member would say, and how much it counts.

        Returns
        -------
        Log-odds on the scale of the deployed PD, shape (members, n), and weights that sum to one.
        The members are the families; where there is only one, its fold models.
        """
        members = _apart(self._member_margins(X, None))
        if len(self.weights) > 1:
            return members, np.array(list(self.weights.values()))
        return members, np.full(len(members), 1 / len(members))

    def margin(self, X: pd.DataFrame, cache: Cache | None = None) -> FloatArray:
        """Return the log-odds of the deployed PD, shape (n,)."""
        cache = {} if cache is None else cache
        return self._combine(
            {n: a + b * self.bags[n].margin(X, cache) for n, (a, b) in self.platt.items()}
        )

    def contributions(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return what each feature adds to the log-odds of the deployed PD, and ``base``."""
        intercept, slope = self.final
        total = pd.DataFrame()
        for name, (a, b) in self.platt.items():
            part = self.bags[name].contributions(X) * (slope * self.weights[name] * b)
            intercept += slope * self.weights[name] * a
            total = total.add(part) if len(total.columns) else part
        total["base"] += intercept
        return total

    def describe(self) -> dict[str, Any]:
        """Return weights, calibrations and what training saw as plain values."""
        return {
            "weights": self.weights,
            "platt": {n: list(p) for n, p in self.platt.items()},
            "final": list(self.final),
            "seen": self.seen,
        }

    def save(self, folder: Path) -> None:
        """Write the members and the weights, without pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, bag in self.bags.items():
            bag.save(folder / name)
        (folder / "ensemble.json").write_text(json.dumps(self.describe()), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read back what ``save`` wrote.

        Raises
        ------
        IntegrityError
            If a file is missing or broken.
        """
        with reading("ensemble", folder):
            plain = json.loads((folder / "ensemble.json").read_text(encoding="utf-8"))
            made = cls(
                {name: Bag.load(folder / name) for name in plain["weights"]},
                {name: (a, b) for name, (a, b) in plain["platt"].items()},
                plain["weights"],
                (plain["final"][0], plain["final"][1]),
            )
            made.seen = plain.get("seen", {})
        return made

    def _member_margins(self, X: pd.DataFrame, cache: Cache | None) -> dict[str, FloatArray]:
        """Each family's fold models, shape (folds, n), on the scale of the deployed PD."""
        cache = {} if cache is None else cache
        intercept, slope = self.final
        return {
            n: intercept + slope * (a + b * self.bags[n].member_margins(X, cache))
            for n, (a, b) in self.platt.items()
        }

    def _combine(self, calibrated: dict[str, FloatArray]) -> FloatArray:
        intercept, slope = self.final
        weighted = sum(self.weights[n] * m for n, m in calibrated.items())
        return np.asarray(intercept + slope * weighted)


def _apart(families: dict[str, FloatArray]) -> FloatArray:
    """The families' means, shape (families, n); of a single family its fold models."""
    if len(families) > 1:
        return np.stack([m.mean(axis=0) for m in families.values()])
    return next(iter(families.values()))


def _join(margins: FloatArray, y: npt.NDArray[np.int8]) -> tuple[list[Platt], FloatArray, Platt]:
    """Calibrate each member, weight them, drop those that hardly count, calibrate the whole."""
    platt = [fit_platt(column, y) for column in margins.T]
    calibrated = np.column_stack(
        [a + b * column for (a, b), column in zip(platt, margins.T, strict=True)]
    )
    weights = fit_weights(calibrated, y)
    weights[weights < LEAST_WEIGHT] = 0.0
    kept = weights > 0
    weights[kept] = fit_weights(calibrated[:, kept], y)
    return platt, weights, fit_platt(calibrated @ weights, y)


def fit_weights(margins: FloatArray, y: npt.NDArray[np.int8]) -> FloatArray:
    """Non-negative weights that sum to one, of least log loss.

    The loss is convex in the weights, so the optimum is unique but for members that are equal.

    Parameters
    ----------
    margins
        Calibrated log-odds, shape (n, members).
    y
        Outcomes, shape (n,), 1 = bad.
    """
    members = margins.shape[1]
    if members == 1:
        return np.ones(1)

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        eta = margins @ weights
        value = np.mean(np.logaddexp(0.0, eta) - y * eta)
        return float(value), margins.T @ (expit(eta) - y) / len(y)

    return cheapest(loss, members)


def _cross_fitted(margins: FloatArray, y: npt.NDArray[np.int8], groups: Index | None) -> FloatArray:
    """PDs of rows that neither the weights nor the calibration were fitted on."""
    out = np.empty(len(y))
    found = Kinds.of(y, groups)
    part = np.empty(len(found.kind), dtype=int)
    for kind in (0, 1, 2):
        mine = np.flatnonzero(found.kind == kind)
        part[mine] = np.arange(len(mine)) % CROSS_FITS
    part = part[found.unit]
    for k in range(CROSS_FITS):
        rest, held = part != k, part == k
        platt, weights, (intercept, slope) = _join(margins[rest], y[rest])
        calibrated = np.column_stack(
            [a + b * column for (a, b), column in zip(platt, margins[held].T, strict=True)]
        )
        out[held] = expit(intercept + slope * (calibrated @ weights))
    return out
