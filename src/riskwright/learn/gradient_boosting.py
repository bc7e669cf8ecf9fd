"""XGBoost with monotone constraints and early stopping."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.case.usecase import FeatureSchema
from riskwright.data.units import Index
from riskwright.learn.base import (
    FloatArray,
    Matrix,
    MatrixFamily,
    PDFamily,
    Progress,
    by_feature,
    inner_split,
)
from riskwright.learn.saved import read_trees, write_trees
from riskwright.learn.space import Space, real, whole

if TYPE_CHECKING:
    from xgboost import Booster

TREES = "trees.ubj"
THREADS = 2


class XGBoost(PDFamily):
    """Boosted trees that may only move as the declared directions say.

    A feature with a direction is constrained in every tree. Missing values keep their own branch;
    codes and indicators are unconstrained columns of zeros and ones.

    Parameters
    ----------
    schema
        The features and their directions.
    seed
        Of the sampling of rows and columns, and of the inner split.
    time_ordered
        Rows are oldest first: stop early on the last 15 % instead of a stratified random 15 %.
    learning_rate, max_depth, min_child_weight, subsample, colsample_bytree, reg_lambda, gamma
        As in XGBoost.
    max_trees
        Most trees.
    patience
        Trees without a better log loss on the inner split after which to stop.
    """

    name = "xgboost"
    numeric = "raw"
    space: ClassVar[Space] = {
        "learning_rate": real(0.01, 0.1, log=True),
        "max_depth": whole(2, 8),
        "min_child_weight": real(1.0, 50.0, log=True),
        "subsample": real(0.5, 1.0),
        "colsample_bytree": real(0.3, 1.0),
        "reg_lambda": real(0.1, 50.0, log=True),
    }

    def __init__(
        self,
        schema: FeatureSchema,
        seed: int = 0,
        time_ordered: bool = False,
        learning_rate: float = 0.03,
        max_depth: int = 5,
        min_child_weight: float = 5.0,
        subsample: float = 0.8,
        colsample_bytree: float = 0.8,
        reg_lambda: float = 1.0,
        gamma: float = 0.0,
        max_trees: int = 3000,
        patience: int = 100,
    ) -> None:
        self.schema = schema
        self.seed = seed
        self.time_ordered = time_ordered
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_child_weight = min_child_weight
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.reg_lambda = reg_lambda
        self.gamma = gamma
        self.max_trees = max_trees
        self.patience = patience

    def _fit(
        self, X: pd.DataFrame, y: npt.NDArray[np.int8], groups: Index | None, progress: Progress
    ) -> None:
        import xgboost

        train, valid = inner_split(y, seed=self.seed, time_ordered=self.time_ordered, groups=groups)
        matrix = self.prepare(X, train)
        inner = xgboost.DMatrix(matrix[valid], y[valid], nthread=THREADS)
        booster = xgboost.train(
            self._params(),
            xgboost.QuantileDMatrix(matrix[train], y[train], nthread=THREADS),
            num_boost_round=self.max_trees,
            evals=[(inner, "inner")],
            early_stopping_rounds=self.patience,
            verbose_eval=False,
            callbacks=[_told(progress, self.max_trees)],
        )
        self.best_trees_ = int(booster.best_iteration) + 1
        self._use(booster[: self.best_trees_])

    def _score(self, matrix: Matrix) -> FloatArray:
        if not len(matrix):
            return np.zeros(0)
        margin = self.booster_.inplace_predict(matrix, predict_type="margin")
        return np.asarray(margin, dtype=np.float64)

    def contributions(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return each feature's exact Shapley values; see ``tree_contributions``."""
        return tree_contributions(self, self.booster_, X)

    def _write(self, folder: Path) -> dict[str, Any]:
        write_trees(folder / TREES, self.booster_)
        return {"best_trees": self.best_trees_}

    def _read(self, folder: Path, state: dict[str, Any]) -> None:
        self.best_trees_ = int(state["best_trees"])
        self._use(read_trees(folder / TREES))

    def _use(self, booster: Booster) -> None:
        booster.set_param({"nthread": THREADS})
        self.booster_ = booster

    def _params(self) -> dict[str, Any]:
        directions = {f.name: f.direction for f in self.schema.features}
        columns = zip(self.features_.names_, self.features_.sources_, strict=True)
        constraints = [directions[source] if name == source else 0 for name, source in columns]
        return {
            "objective": "binary:logistic",
            "eval_metric": "logloss",
            "tree_method": "hist",
            "seed": self.seed,
            "nthread": THREADS,
            "verbosity": 0,
            "monotone_constraints": tuple(constraints),
            "learning_rate": self.learning_rate,
            "max_depth": self.max_depth,
            "min_child_weight": self.min_child_weight,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample_bytree,
            "lambda": self.reg_lambda,
            "gamma": self.gamma,
        }


def tree_contributions(family: MatrixFamily, booster: Booster, X: pd.DataFrame) -> pd.DataFrame:
    """Return each feature's exact Shapley values (TreeSHAP); rows sum to what the family says.

    ``base`` takes up what XGBoost's single precision leaves, of the order of 1e-6.
    """
    import xgboost

    matrix = family.encode(X)
    if not len(matrix):
        values = np.zeros((0, matrix.shape[1] + 1))
    else:
        values = booster.predict(xgboost.DMatrix(matrix, nthread=THREADS), pred_contribs=True)
    features = family.features_
    values = values.astype(np.float64)
    out = by_feature(values[:, :-1], features.sources_, family.schema, 0.0, X.index)
    out["base"] = family._score(matrix) - out.sum(axis=1)
    return out


def _told(progress: Progress, trees: int) -> Any:
    """Return a callback that tells the fraction done; early stopping makes it an upper bound."""
    from xgboost.callback import TrainingCallback

    class Told(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            progress((epoch + 1) / trees)
            return False

    return Told()
