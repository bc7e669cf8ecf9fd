"""Logistic regression on cleaned, standardised features."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.case.usecase import FeatureSchema
from riskwright.data.units import Index
from riskwright.learn.base import FloatArray, Matrix, PDFamily, Progress, by_feature
from riskwright.learn.space import Space, real


class Logistic(PDFamily):
    """Logistic regression with an L2 penalty: a baseline whose contributions are its terms.

    Parameters
    ----------
    schema
        The features.
    seed
        Not used: the fit is a convex problem with one answer.
    C
        Inverse strength of the penalty, as in scikit-learn.
    """

    name = "logistic"
    space: ClassVar[Space] = {"C": real(1e-4, 100.0, log=True)}

    def __init__(self, schema: FeatureSchema, seed: int = 0, C: float = 1.0) -> None:
        self.schema = schema
        self.seed = seed
        self.C = C

    def _fit(
        self, X: pd.DataFrame, y: npt.NDArray[np.int8], groups: Index | None, progress: Progress
    ) -> None:
        from sklearn.linear_model import LogisticRegression

        matrix = self.prepare(X).astype(np.float64)
        # Newton: exact in a few steps where rows are many and columns few.
        model = LogisticRegression(C=self.C, solver="newton-cholesky", tol=1e-8, max_iter=100)
        model.fit(matrix, y)
        self.coef_: FloatArray = model.coef_[0]
        self.intercept_ = float(model.intercept_[0])
        self.means_: FloatArray = matrix.mean(axis=0)

    def _score(self, matrix: Matrix) -> FloatArray:
        margin = np.full(len(matrix), self.intercept_)
        # Term by term: no float64 copy of the matrix, and a row's bits don't depend on its batch.
        for j, coef in enumerate(self.coef_):
            margin += coef * matrix[:, j]
        return margin

    def contributions(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return what each feature adds beside its training mean; exact, rows sum to the margin."""
        values = (self.encode(X) - self.means_) * self.coef_
        base = self.intercept_ + float(self.means_ @ self.coef_)
        return by_feature(values, self.features_.sources_, self.schema, base, X.index)

    def _write(self, folder: Path) -> dict[str, Any]:
        return {
            "coef": dict(zip(self.features_.names_, self.coef_.tolist(), strict=True)),
            "means": self.means_.tolist(),
            "intercept": self.intercept_,
        }

    def _read(self, folder: Path, state: dict[str, Any]) -> None:
        self.coef_ = np.array(list(state["coef"].values()), dtype=np.float64)
        self.means_ = np.array(state["means"], dtype=np.float64)
        self.intercept_ = float(state["intercept"])
