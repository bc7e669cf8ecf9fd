"""The families that forecast a return: scikit-learn regressors of frames, as all families are.

Those here are fitted in well under a second; ``deep`` has the networks. A frame has a row for each
origin, oldest first, with its predictors, and for families that read sequences a column for each
step of each (``frame_of``).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from riskwright.case.usecase import FeatureSchema
from riskwright.data.cleaning import check_columns
from riskwright.errors import InputRefused
from riskwright.learn.base import Estimator
from riskwright.systems.market.learnt import (
    FEWEST,
    Fitted,
    FloatArray,
    IntArray,
    Linear,
    Lines,
    Past,
    Scaled,
    Trees,
)

Params = Mapping[str, Any]
PENALTIES = tuple(10.0 ** (k / 2) for k in range(13))  # 1 to 1,000,000


def frame_of(
    schema: FeatureSchema, X: pd.DataFrame, sequences: npt.NDArray[np.floating] | None
) -> pd.DataFrame:
    """Return the predictors (n, k) with the steps of sequences (n, steps, channels) beside them."""
    if sequences is None:
        return X
    flat = pd.DataFrame(sequences.reshape(len(X), -1), X.index, _columns(schema))
    return pd.concat([X[schema.names], flat], axis=1)


def _columns(schema: FeatureSchema) -> list[str]:
    """Return the columns of the sequences, month by month."""
    by_channel = [columns for _, columns in schema.sequences]
    return [column for month in zip(*by_channel, strict=True) for column in month]


class Family(RegressorMixin, Estimator):
    """A regressor of returns; a child says how it learns.

    Parameters
    ----------
    schema
        The predictors with their expected signs, and the sequences: see ``market_schema``.
    seed
        Of all that is drawn.

    Attributes
    ----------
    name
        Column of the forecasts.
    refit
        Months between two fits of a walk: its schedule, no parameter of the fit.
    deep
        Whether it trains a network (in a process of its own, see ``walk``).
    sequences
        Whether it reads the sequences instead of the predictors.
    fitted_
        What it has learnt.
    """

    refit: int = 1
    deep: ClassVar[bool] = False
    sequences: ClassVar[bool] = False
    fitted_: Fitted

    def __init__(self, schema: FeatureSchema, seed: int = 0) -> None:
        self.schema = schema
        self.seed = seed

    @abstractmethod
    def _learn(self, past: Past) -> Fitted:
        """Learn from arrays that were checked."""

    def fit(self, X: pd.DataFrame, y: npt.ArrayLike, *, known: IntArray | None = None) -> Self:
        """Learn from months, oldest first.

        Parameters
        ----------
        X
            By origin (a month, or any order of them), shape (n, columns).
        y
            Returns, shape (n,).
        known
            Month in which each was over and known, as counts of months since 1970, shape (n,). What
            a family holds out begins after that; its own month if left out.

        Raises
        ------
        InputRefused
            If a column is missing, or there isn't one finite return for each row.
        """
        self.fitted_ = self._learn(self._past(X, y, known))
        return self

    def predict(self, X: pd.DataFrame) -> FloatArray:
        """Return the forecast returns, shape (m,)."""
        check_is_fitted(self, "fitted_")
        return self.fitted_.forecast(*self._arrays(X))

    def contributions(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return what each predictor adds to ``base``; rows sum to the forecast.

        ``base`` is the historical mean, and what belongs to no single predictor.
        """
        check_is_fitted(self, "fitted_")
        parts = self.fitted_.parts(*self._arrays(X))
        parts[:, -1] += self.fitted_.mean
        return pd.DataFrame(parts, X.index, [*self.schema.names, "base"])

    def candidates(self) -> list[dict[str, Any]]:
        """Return the configurations that ``choose`` compares: each counts as a trial."""
        return [{}]

    def choose(self, X: pd.DataFrame, y: npt.ArrayLike, *, known: IntArray | None = None) -> Params:
        """Return the configuration of least squared error on the past's own latest fifth.

        Parameters
        ----------
        X, y, known
            As in ``fit``.
        """
        tried = self.candidates()
        if len(tried) == 1:
            return tried[0]
        before, tail = self._past(X, y, known).cut()
        errors = [
            float(np.mean((tail.y - found.forecast(tail.X, tail.sequences)) ** 2))
            for found in (self.changed(**params)._learn(before) for params in tried)
        ]
        return tried[int(np.argmin(errors))]

    def _past(self, X: pd.DataFrame, y: npt.ArrayLike, known: IntArray | None) -> Past:
        table, sequences = self._arrays(X)
        returns = np.asarray(y, dtype=float)
        if returns.shape != (len(X),) or not np.isfinite(returns).all():
            raise InputRefused(
                f"the returns don't fit {len(X)} rows, or one is missing",
                expected="one finite number for each row",
            )
        month = np.arange(len(X), dtype=np.int64)
        if isinstance(X.index, pd.PeriodIndex):
            month = cast(Any, X.index).asi8  # a view: its astype takes longer than a fit
        signs = np.array([feature.direction for feature in self.schema.features])
        return Past(table, returns, sequences, signs, month, month if known is None else known)

    def _arrays(self, X: pd.DataFrame) -> tuple[FloatArray, npt.NDArray[np.floating] | None]:
        """Return predictors (n, k), and sequences (n, steps, channels) where they are read."""
        table, names = X, self.schema.names
        if not isinstance(X, pd.DataFrame) or list(X.columns) != names:
            check_columns(X, self.schema)
            table = X[names]
        # Row by row in memory, whatever the frame's own order: sums have the same bits.
        found = np.ascontiguousarray(table.to_numpy(dtype=float))
        if not self.sequences:
            return found, None
        flat = np.ascontiguousarray(X[_columns(self.schema)].to_numpy(dtype=float))
        return found, flat.reshape(len(X), -1, len(self.schema.sequences))


class Mean(Family):
    """The historical mean: the benchmark (Welch and Goyal 2008)."""

    name = "mean"

    def _learn(self, past: Past) -> Fitted:
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
    schema, seed
        As of every family; nothing is drawn.
    only
        Name of the one predictor; all if left out.
    restricted
        Whether the restrictions hold.
    """

    def __init__(
        self,
        schema: FeatureSchema,
        seed: int = 0,
        only: str | None = None,
        restricted: bool = False,
    ) -> None:
        self.schema = schema
        self.seed = seed
        self.only = only
        self.restricted = restricted

    @property
    def name(self) -> str:  # type: ignore[override]
        """Column of the forecasts: ``combination_ct``, ``ols:log_dp``."""
        if self.only is None:
            return "combination_ct" if self.restricted else "combination"
        return f"{'ct' if self.restricted else 'ols'}:{self.only}"

    def _learn(self, past: Past) -> Fitted:
        here = np.isfinite(past.X)
        mean = float(past.y.mean())
        rows = here.sum(axis=0)
        used = rows >= FEWEST
        if self.only is not None:
            used &= np.arange(len(rows)) == self.schema.names.index(self.only)
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


class ManyPredictors(Family):
    """A line on all predictors, filled and scaled; a child finds its slopes."""

    @abstractmethod
    def _slopes(self, Z: FloatArray, y: FloatArray) -> FloatArray:
        """Return slopes (k,) of scaled predictors (n, k) for returns less their mean (n,)."""

    def _learn(self, past: Past) -> Fitted:
        scaled = Scaled.of(past.X)
        mean = float(past.y.mean())
        slopes = self._slopes(scaled(past.X), past.y - mean)
        return Linear(mean, slopes / scaled.scale, scaled.centre, scaled.medians)


class KitchenSink(ManyPredictors):
    """Least squares on all predictors at once: what overfitting looks like (Welch and Goyal)."""

    name = "kitchen_sink"

    def _slopes(self, Z: FloatArray, y: FloatArray) -> FloatArray:
        return np.asarray(np.linalg.lstsq(Z, y, rcond=1e-10)[0])


class Ridge(ManyPredictors):
    """Least squares with a penalty on the squared slopes, chosen each December.

    Parameters
    ----------
    schema, seed
        As of every family; nothing is drawn.
    penalty
        In units of the sum of squares of a scaled predictor's row.
    """

    name = "ridge"

    def __init__(self, schema: FeatureSchema, seed: int = 0, penalty: float = 1_000.0) -> None:
        self.schema = schema
        self.seed = seed
        self.penalty = penalty

    def candidates(self) -> list[dict[str, Any]]:
        """Return the penalties, the weakest first."""
        return [{"penalty": penalty} for penalty in PENALTIES]

    def _slopes(self, Z: FloatArray, y: FloatArray) -> FloatArray:
        gram = Z.T @ Z + self.penalty * np.eye(Z.shape[1])
        return np.asarray(np.linalg.solve(gram, Z.T @ y))


class PLS(ManyPredictors):
    """Partial least squares with one component: the direction that covaries most with returns."""

    name = "pls"

    def _slopes(self, Z: FloatArray, y: FloatArray) -> FloatArray:
        direction = Z.T @ y
        score = Z @ direction
        size = float(score @ score)
        return direction * (float(score @ y) / size if size > 0 else 0.0)


class XGBoost(Family):
    """Boosted trees, rate 0.03, half of the rows and columns each; depth and number are chosen.

    Parameters
    ----------
    schema, seed
        As of every family; rows and columns are drawn.
    max_depth, trees
        Of each tree, and how many.
    """

    name = "xgboost"
    refit = 12
    settings: ClassVar[dict[str, Any]] = {
        "learning_rate": 0.03,
        "subsample": 0.5,
        "colsample_bytree": 0.5,
        "nthread": 1,
        "verbosity": 0,
    }

    def __init__(
        self, schema: FeatureSchema, seed: int = 0, max_depth: int = 1, trees: int = 50
    ) -> None:
        self.schema = schema
        self.seed = seed
        self.max_depth = max_depth
        self.trees = trees

    def candidates(self) -> list[dict[str, Any]]:
        """Return depths and numbers of trees, the simplest first."""
        return [{"max_depth": d, "trees": n} for d in (1, 2, 3) for n in (50, 150)]

    def _learn(self, past: Past) -> Fitted:
        import xgboost

        # Missing predictors keep their own branch.
        mean = float(past.y.mean())
        booster = xgboost.train(
            {**self.settings, "max_depth": self.max_depth, "base_score": mean, "seed": self.seed},
            xgboost.DMatrix(past.X, past.y, nthread=1),
            num_boost_round=self.trees,
        )
        return Trees(mean, booster)
