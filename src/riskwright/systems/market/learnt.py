"""What is learnt from, and what families have learnt: arrays, and what they say of new ones.

What is learnt says what each predictor adds to the historical mean; what belongs to no single
predictor is kept apart as a rest, so that the parts always sum to the forecast.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from riskwright.data.splits import trainable

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

TAIL = 0.2  # latest share of the past on which hyper-parameters are compared
FEWEST = 120  # rows of its own, in months, from which a predictor is used


@dataclass(frozen=True)
class Past:
    """The rows that may be learnt from at an origin, oldest first.

    Attributes
    ----------
    X
        Predictors, shape (n, k), NaN where missing.
    y
        Realised returns, shape (n,).
    sequences
        Shape (n, steps, channels) or None.
    signs
        Expected sign of each predictor's slope, shape (k,): 1, -1, or 0 for no view.
    month, known
        Month of the origin, and month in which the return was over and known (and the embargo
        past), as counts of months, shape (n,).
    """

    X: FloatArray
    y: FloatArray
    sequences: npt.NDArray[np.floating] | None
    signs: IntArray
    month: IntArray
    known: IntArray

    def take(self, rows: npt.NDArray[Any]) -> Past:
        """Return some of the rows."""
        part = None if self.sequences is None else self.sequences[rows]
        return Past(
            self.X[rows], self.y[rows], part, self.signs, self.month[rows], self.known[rows]
        )

    def cut(self) -> tuple[Past, Past]:
        """Return the rows before the latest fifth, less those not yet known then, and the fifth."""
        first = len(self.y) - max(1, round(TAIL * len(self.y)))
        before = trainable(self.known, int(self.month[first]) + 1)
        return self.take(before), self.take(np.arange(first, len(self.y)))


@dataclass(frozen=True)
class Fitted(ABC):
    """What a family has learnt.

    Attributes
    ----------
    mean
        The historical mean of the rows learnt from.
    """

    mean: float

    @abstractmethod
    def parts(self, X: FloatArray, sequences: npt.NDArray[np.floating] | None) -> FloatArray:
        """Return what each predictor adds to the mean, then the rest, shape (m, k + 1).

        Parameters
        ----------
        X, sequences
            As in ``Past``, shapes (m, k) and (m, steps, channels).
        """

    def forecast(self, X: FloatArray, sequences: npt.NDArray[np.floating] | None) -> FloatArray:
        """Return the forecast returns, shape (m,)."""
        return np.asarray(self.mean + self.parts(X, sequences).sum(axis=1))


@dataclass(frozen=True)
class Lines(Fitted):
    """The average of lines on one predictor each: arrays of shape (k,)."""

    slopes: FloatArray
    centre: FloatArray
    levels: FloatArray
    used: npt.NDArray[np.bool_]
    floor: float

    def parts(self, X: FloatArray, sequences: npt.NDArray[np.floating] | None) -> FloatArray:
        """Each line's distance from the mean over their number: exact, without a rest."""
        says = self.used & np.isfinite(X)
        lines = np.maximum(self.levels + self.slopes * (X - self.centre), self.floor)
        away = np.where(says, lines - self.mean, 0.0)
        away /= np.maximum(says.sum(axis=1, keepdims=True), 1)
        return np.column_stack([away, np.zeros(len(X))])


@dataclass(frozen=True)
class Linear(Fitted):
    """One line on all predictors; a missing one is at its median of the past: shape (k,) each."""

    slopes: FloatArray
    centre: FloatArray
    medians: FloatArray

    def parts(self, X: FloatArray, sequences: npt.NDArray[np.floating] | None) -> FloatArray:
        """Slope times distance from the past's mean: exact, without a rest."""
        filled = np.where(np.isfinite(X), X, self.medians)
        return np.column_stack([self.slopes * (filled - self.centre), np.zeros(len(X))])


@dataclass(frozen=True)
class Scaled:
    """Predictors made ready: medians for what is missing, then mean 0 and spread 1.

    A predictor with fewer than ``FEWEST`` rows, or that never changes, is 0 throughout.
    """

    medians: FloatArray
    centre: FloatArray
    scale: FloatArray

    @classmethod
    def of(cls, X: FloatArray) -> Scaled:
        """Learn from predictors of shape (n, k)."""
        here = np.isfinite(X)
        enough = here.sum(axis=0) >= FEWEST
        medians = np.zeros(X.shape[1])
        medians[enough] = _medians(X[:, enough])
        filled = np.where(here, X, medians)
        centre, scale = filled.mean(axis=0), filled.std(axis=0)
        still = ~enough | (scale <= 1e-12 * np.maximum(np.abs(centre), 1e-12))
        return cls(medians, centre, np.where(still, np.inf, scale))

    def __call__(self, X: FloatArray) -> FloatArray:
        """Return the predictors filled and scaled, shape (m, k)."""
        return (np.where(np.isfinite(X), X, self.medians) - self.centre) / self.scale


def _medians(X: FloatArray) -> FloatArray:
    """Return ``np.nanmedian(X, axis=0)`` of columns that hold a number, in a tenth of its time."""
    ordered, column = np.sort(X, axis=0), np.arange(X.shape[1])  # what is missing comes last
    count = (~np.isnan(X)).sum(axis=0)
    return np.asarray((ordered[(count - 1) // 2, column] + ordered[count // 2, column]) / 2)


@dataclass(frozen=True)
class Trees(Fitted):
    """A fitted booster."""

    booster: Any

    def parts(self, X: FloatArray, sequences: npt.NDArray[np.floating] | None) -> FloatArray:
        """Return exact Shapley values (TreeSHAP); the rest is the trees' own mean less the past's.

        It takes up what XGBoost's single precision leaves, of the order of 1e-7.
        """
        import xgboost

        parts = self.booster.predict(xgboost.DMatrix(X, nthread=1), pred_contribs=True)
        found = parts.astype(np.float64)
        found[:, -1] = self.forecast(X, sequences) - self.mean - found[:, :-1].sum(axis=1)
        return np.asarray(found)

    def forecast(self, X: FloatArray, sequences: npt.NDArray[np.floating] | None) -> FloatArray:
        """Return the forecast returns, shape (m,)."""
        return np.asarray(self.booster.inplace_predict(X), dtype=np.float64)
