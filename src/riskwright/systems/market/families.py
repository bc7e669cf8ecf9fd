"""The families that forecast a return in well under a second a fit, and what all families share.

A fitted family says what each predictor adds to the historical mean; what belongs to no single
predictor is kept apart as a rest, so that the parts always sum to the forecast.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from riskwright.data.splits import trainable

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Params = Mapping[str, Any]

TAIL = 0.2  # latest share of the past on which hyper-parameters are compared
FEWEST = 120  # rows of its own, in months, from which a predictor is used
PENALTIES = tuple(10.0 ** (k / 2) for k in range(13))  # 1 to 1,000,000


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


class Family(ABC):
    """A kind of forecast; a child says how it learns.

    Attributes
    ----------
    name
        Column of the forecasts.
    refit
        Months between two fits.
    deep
        Whether it trains a network (in a process of its own, see ``walk``).
    sequences
        Whether it reads the sequences instead of the predictors.
    """

    name: str
    refit: int = 1
    deep: ClassVar[bool] = False
    sequences: ClassVar[bool] = False

    @abstractmethod
    def fit(self, past: Past, params: Params, seed: int) -> Fitted:
        """Learn from the past with the hyper-parameters that ``choose`` found."""

    def candidates(self) -> list[dict[str, Any]]:
        """Return the configurations that ``choose`` compares: each counts as a trial."""
        return [{}]

    def choose(self, past: Past, seed: int) -> Params:
        """Return the configuration of least squared error on the past's own latest fifth."""
        tried = self.candidates()
        if len(tried) == 1:
            return tried[0]
        before, tail = past.cut()
        errors = [
            float(np.mean((tail.y - found.forecast(tail.X, tail.sequences)) ** 2))
            for found in (self.fit(before, params, seed) for params in tried)
        ]
        return tried[int(np.argmin(errors))]


class Mean(Family):
    """The historical mean: the benchmark (Welch and Goyal 2008)."""

    name = "mean"

    def fit(self, past: Past, params: Params, seed: int) -> Fitted:
        """Learn the mean."""
        zeros = np.zeros(past.X.shape[1])
        return Linear(float(past.y.mean()), zeros, zeros, zeros)


class Single(Family):
    """Regressions on one predictor each, averaged with equal weights.

    Of one predictor, or of all: "combination" (Rapach, Strauss and Zhou, Review of Financial
    Studies 23, 2010). ``restricted`` as in Campbell and Thompson (Review of Financial Studies 21,
    2008): a slope of the wrong sign is replaced by the historical mean, and no forecast is below
    zero. A predictor learns from the rows that have it; one that is missing today, or has fewer
    than ``FEWEST`` rows, has no say, and where none has the forecast is the mean.

    Parameters
    ----------
    name
        Column of the forecasts.
    only
        Position of the one predictor; all if left out.
    restricted
        Whether the restrictions hold.
    """

    def __init__(self, name: str, only: int | None = None, *, restricted: bool = False) -> None:
        self.name, self.only, self.restricted = name, only, restricted

    def fit(self, past: Past, params: Params, seed: int) -> Fitted:
        """Learn one line for each predictor."""
        here = np.isfinite(past.X)
        mean = float(past.y.mean())
        rows = here.sum(axis=0)
        used = rows >= FEWEST
        if self.only is not None:
            used &= np.arange(len(rows)) == self.only
        n = np.maximum(rows, 1)
        centre = np.where(here, past.X, 0.0).sum(axis=0) / n
        away = np.where(here, past.X - centre, 0.0)
        spread = (away**2).sum(axis=0)
        used &= spread > n * (1e-12 * np.maximum(np.abs(centre), 1e-12)) ** 2
        slopes = np.where(used, (past.y @ away) / np.where(used, spread, 1.0), 0.0)
        levels = (past.y @ here) / n
        floor = -np.inf
        if self.restricted:
            wrong = slopes * past.signs < 0
            slopes[wrong], levels[wrong] = 0.0, mean
            floor = 0.0
        return Lines(mean, slopes, centre, levels, used, floor)


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
        medians[enough] = np.nanmedian(X[:, enough], axis=0)
        filled = np.where(here, X, medians)
        centre, scale = filled.mean(axis=0), filled.std(axis=0)
        still = ~enough | (scale <= 1e-12 * np.maximum(np.abs(centre), 1e-12))
        return cls(medians, centre, np.where(still, np.inf, scale))

    def __call__(self, X: FloatArray) -> FloatArray:
        """Return the predictors filled and scaled, shape (m, k)."""
        return (np.where(np.isfinite(X), X, self.medians) - self.centre) / self.scale


class ManyPredictors(Family):
    """A line on all predictors, filled and scaled; a child finds its slopes."""

    @abstractmethod
    def _slopes(self, Z: FloatArray, y: FloatArray, params: Params) -> FloatArray:
        """Return slopes (k,) of scaled predictors (n, k) for returns less their mean (n,)."""

    def fit(self, past: Past, params: Params, seed: int) -> Fitted:
        """Learn medians, scales and slopes."""
        scaled = Scaled.of(past.X)
        mean = float(past.y.mean())
        slopes = self._slopes(scaled(past.X), past.y - mean, params)
        return Linear(mean, slopes / scaled.scale, scaled.centre, scaled.medians)


class KitchenSink(ManyPredictors):
    """Least squares on all predictors at once: what overfitting looks like (Welch and Goyal)."""

    name = "kitchen_sink"

    def _slopes(self, Z: FloatArray, y: FloatArray, params: Params) -> FloatArray:
        return np.asarray(np.linalg.lstsq(Z, y, rcond=1e-10)[0])


class Ridge(ManyPredictors):
    """Least squares with a penalty on the squared slopes, chosen each December."""

    name = "ridge"

    def candidates(self) -> list[dict[str, Any]]:
        """Return the penalties, in units of the sum of squares of a scaled predictor's row."""
        return [{"penalty": penalty} for penalty in PENALTIES]

    def _slopes(self, Z: FloatArray, y: FloatArray, params: Params) -> FloatArray:
        gram = Z.T @ Z + params["penalty"] * np.eye(Z.shape[1])
        return np.asarray(np.linalg.solve(gram, Z.T @ y))


class PLS(ManyPredictors):
    """Partial least squares with one component: the direction that covaries most with returns."""

    name = "pls"

    def _slopes(self, Z: FloatArray, y: FloatArray, params: Params) -> FloatArray:
        direction = Z.T @ y
        score = Z @ direction
        size = float(score @ score)
        return direction * (float(score @ y) / size if size > 0 else 0.0)


class XGBoost(Family):
    """Boosted trees, rate 0.03, half of the rows and columns each; depth and number are chosen."""

    name = "xgboost"
    refit = 12
    settings: ClassVar[dict[str, Any]] = {
        "learning_rate": 0.03,
        "subsample": 0.5,
        "colsample_bytree": 0.5,
        "nthread": 1,
        "verbosity": 0,
    }

    def candidates(self) -> list[dict[str, Any]]:
        """Return depths and numbers of trees, the simplest first."""
        return [{"max_depth": d, "trees": n} for d in (1, 2, 3) for n in (50, 150)]

    def fit(self, past: Past, params: Params, seed: int) -> Fitted:
        """Learn the trees; missing predictors keep their own branch."""
        import xgboost

        mean = float(past.y.mean())
        booster = xgboost.train(
            {**self.settings, "max_depth": params["max_depth"], "base_score": mean, "seed": seed},
            xgboost.DMatrix(past.X, past.y, nthread=1),
            num_boost_round=params["trees"],
        )
        return Trees(mean, booster)


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
