"""Families that predict a number from a use case's features.

``linear`` (ridge), ``xgboost`` (boosted trees) and ``mlp`` (the article's network with a linear
output, stopped early). All minimise the weighted squared error, so that they predict a mean.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import RegressorMixin

from riskwright.case.usecase import FeatureSchema
from riskwright.data.units import Index, Kinds
from riskwright.errors import InputRefused
from riskwright.learn.base import FloatArray, Matrix, MatrixFamily, cut_off
from riskwright.learn.gradient_boosting import THREADS, TREES, tree_contributions
from riskwright.learn.saved import read_trees, write_trees

HELD_OUT = 0.15  # of the rows, to stop early on


class Regressor(RegressorMixin, MatrixFamily):
    """A scikit-learn regressor of canonical frames; a child says what it does with the matrix.

    Parameters
    ----------
    schema
        The features.
    seed
        Of all that is drawn; the same seed gives the same model on one machine.
    """

    file = "regressor.json"

    def __init__(self, schema: FeatureSchema, seed: int = 0) -> None:
        self.schema = schema
        self.seed = seed

    def fit(
        self,
        X: pd.DataFrame,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        *,
        groups: Index | None = None,
    ) -> Self:
        """Fit on canonical features (n, features), values (n,) and weights (n,).

        Rows of one group (n,) aren't parted where a family holds some of them out.

        Raises
        ------
        InputRefused
            If there isn't one finite value and one weight of 0 or more for each row.
        """
        target = np.asarray(y, dtype=float)
        weight = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, float)
        for what, found in (("values", target), ("weights", weight)):
            if found.shape != (len(X),) or not np.isfinite(found).all():
                raise InputRefused(
                    f"the {what} don't fit {len(X)} rows, or one is missing",
                    expected="one finite number for each row",
                )
        if weight.min(initial=0.0) < 0 or weight.sum() <= 0:
            raise InputRefused("a weight is negative, or all are 0", expected="weights above 0")
        # Weights of mean 1: a penalty means the same for any currency.
        units = np.arange(len(X)) if groups is None else groups
        self._fit(self.prepare(X), target, weight / weight.mean(), units)
        return self

    def predict(self, X: pd.DataFrame) -> FloatArray:
        """Return the expected value of each row, shape (n,)."""
        return self._score(self.encode(X))

    @abstractmethod
    def _fit(self, matrix: Matrix, y: FloatArray, weight: FloatArray, groups: Index) -> None:
        """Learn; weights have mean 1."""


class Linear(Regressor):
    """Ridge regression on standardised features; the penalty is worth 100 rows."""

    name = "linear"
    PENALTY = 100.0

    def _fit(self, matrix: Matrix, y: FloatArray, weight: FloatArray, groups: Index) -> None:
        from sklearn.linear_model import Ridge

        model = Ridge(alpha=self.PENALTY).fit(matrix.astype(float), y, sample_weight=weight)
        self.coef_: FloatArray = np.asarray(model.coef_, dtype=float)
        self.intercept_ = float(model.intercept_)

    def _score(self, matrix: Matrix) -> FloatArray:
        out = np.full(len(matrix), self.intercept_)
        for j, coef in enumerate(self.coef_):
            out += coef * matrix[:, j]
        return out

    def _write(self, folder: Path) -> dict[str, Any]:
        return {"coef": self.coef_.tolist(), "intercept": self.intercept_}

    def _read(self, folder: Path, state: dict[str, Any]) -> None:
        self.coef_ = np.array(state["coef"], dtype=float)
        self.intercept_ = float(state["intercept"])


class Trees(Regressor):
    """Boosted trees, shallow, stopped early on a random 15 % of the rows."""

    name = "xgboost"
    numeric = "raw"
    PARAMS: ClassVar[dict[str, Any]] = {
        "objective": "reg:squarederror",
        "tree_method": "hist",
        "learning_rate": 0.05,
        "max_depth": 3,
        "min_child_weight": 10.0,
        "subsample": 0.8,
        "colsample_bytree": 0.8,
        "nthread": THREADS,
        "verbosity": 0,
    }
    MOST, PATIENCE = 1000, 50

    def _fit(self, matrix: Matrix, y: FloatArray, weight: FloatArray, groups: Index) -> None:
        import xgboost

        train, valid = _inner(groups, self.seed)
        parts = [xgboost.DMatrix(matrix[r], y[r], weight=weight[r]) for r in (train, valid)]
        booster = xgboost.train(
            {**self.PARAMS, "seed": self.seed},
            parts[0],
            num_boost_round=self.MOST,
            evals=[(parts[1], "inner")],
            early_stopping_rounds=self.PATIENCE,
            verbose_eval=False,
        )
        self.booster_ = booster[: int(booster.best_iteration) + 1]
        self.booster_.set_param({"nthread": THREADS})

    def _score(self, matrix: Matrix) -> FloatArray:
        if not len(matrix):
            return np.zeros(0)
        return np.asarray(self.booster_.inplace_predict(matrix), dtype=np.float64)

    def contributions(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return each feature's exact Shapley values; see ``tree_contributions``."""
        return tree_contributions(self, self.booster_, X)

    def _write(self, folder: Path) -> dict[str, Any]:
        write_trees(folder / TREES, self.booster_)
        return {}

    def _read(self, folder: Path, state: dict[str, Any]) -> None:
        self.booster_ = read_trees(folder / TREES)
        self.booster_.set_param({"nthread": THREADS})


class Network(Regressor):
    """The article's network: 32 and 16 ReLU, one linear output, Adam.

    Unlike the article's it stops once a random 15 % of the rows is predicted no better, and it
    learns the distance from the mean in standard deviations: at first it answers with the mean.
    """

    name = "mlp"
    UNITS = (32, 16)
    EPOCHS, PATIENCE = 200, 10

    def _fit(self, matrix: Matrix, y: FloatArray, weight: FloatArray, groups: Index) -> None:
        from riskwright.learn.keras_net import Recipe, batch_size_for, libraries, train_network

        self.level_ = float(np.average(y, weights=weight))
        self.spread_ = float(np.sqrt(np.average((y - self.level_) ** 2, weights=weight))) or 1.0
        # The weight rides beside the value: the loss of a row needs both.
        both = np.column_stack([(y - self.level_) / self.spread_, weight]).astype(np.float32)
        train, valid = _inner(groups, self.seed)
        recipe = Recipe(
            learning_rate=1e-3,
            epochs=self.EPOCHS,
            batch_size=batch_size_for(len(train)),
            patience=self.PATIENCE,
            short_batch=True,
            loss=_weighted_square,
        )
        matrix = np.ascontiguousarray(matrix)
        libraries()[0].utils.set_random_seed(self.seed)
        network = self._network(matrix.shape[1])
        train_network(
            network,
            (matrix[train], both[train]),
            (matrix[valid], both[valid]),
            recipe=recipe,
            seed=self.seed,
            progress=None,
        )
        self._use(network, matrix.shape[1])

    def _network(self, columns: int) -> Any:
        from riskwright.learn.keras_net import libraries

        keras, _ = libraries()
        inputs = tensor = keras.Input((columns,))
        for i, units in enumerate(self.UNITS):
            start = keras.initializers.GlorotUniform(seed=self.seed + i)
            tensor = keras.layers.Dense(units, activation="relu", kernel_initializer=start)(tensor)
        return keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="zeros")(tensor))

    def _use(self, network: Any, columns: int) -> None:
        from riskwright.learn.keras_net import compiled

        self.network_ = network
        self._forward = compiled(network, columns)

    def _score(self, matrix: Matrix) -> FloatArray:
        return self.level_ + self.spread_ * self._forward(matrix)

    def _write(self, folder: Path) -> dict[str, Any]:
        from riskwright.learn.keras_net import write_weights

        write_weights(folder, self.network_)
        return {"level": self.level_, "spread": self.spread_}

    def _read(self, folder: Path, state: dict[str, Any]) -> None:
        from riskwright.learn.keras_net import read_weights

        self.level_, self.spread_ = float(state["level"]), float(state["spread"])
        columns = len(self.features_.names_)
        network = self._network(columns)
        network.set_weights(read_weights(folder))
        self._use(network, columns)


REGRESSORS: dict[str, type[Regressor]] = {c.name: c for c in (Linear, Trees, Network)}


def _weighted_square(labels: Any, logits: Any) -> Any:
    """Squared error of a row times its weight; labels hold both, shape (batch, 1, 2)."""
    return labels[..., 1] * (labels[..., 0] - logits) ** 2


def _inner(groups: Index, seed: int) -> tuple[Index, Index]:
    """Cut a random part of whole groups off to stop early on: positions of the rest and of it."""
    alike = Kinds.of(np.zeros(len(groups)), groups)
    held_out = cut_off(alike, HELD_OUT, np.random.default_rng(seed))
    if not held_out.any():  # a few large groups: they are parted
        rows = np.zeros(len(groups))
        held_out = cut_off(Kinds.of(rows, None), HELD_OUT, np.random.default_rng(seed))
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
