"""A family of PD models in a package of its own: linear discriminant analysis.

Its entry point, in ``pyproject.toml`` of the package that brings it::

    [project.entry-points."riskwright.families"]
    discriminant = "family_example:Discriminant"
"""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from riskwright.case.usecase import FeatureSchema
from riskwright.learn.base import PDFamily
from riskwright.learn.space import Space, real


class Discriminant(PDFamily):
    """Fisher's linear discriminant on cleaned, standardised features, with shrunk covariances."""

    name = "discriminant"  # what a use case says, and the entry point's name
    space: ClassVar[Space] = {
        "shrinkage": real(0.0, 1.0)
    }  # what 'tuning' may try; leave it out if nothing

    def __init__(self, schema: FeatureSchema, seed: int = 0, shrinkage: float = 0.1) -> None:
        self.schema = schema
        self.seed = seed
        self.shrinkage = shrinkage

    def _fit(self, X: pd.DataFrame, y: np.ndarray, groups: Any, progress: Any) -> None:
        matrix = self.prepare(X)  # numbers without gaps; remembers how, for the rows to come
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=self.shrinkage).fit(matrix, y)
        self.coef_ = model.coef_[0].astype(float)
        self.intercept_ = float(model.intercept_[0])

    def _score(self, matrix: np.ndarray) -> np.ndarray:
        # Column by column: a row gets the same bits whatever rows it comes with.
        terms = (c * matrix[:, j] for j, c in enumerate(self.coef_))
        return sum(terms, np.full(len(matrix), self.intercept_))

    def _write(self, folder: Path) -> dict[str, Any]:
        return {"coef": self.coef_.tolist(), "intercept": self.intercept_}

    def _read(self, folder: Path, state: dict[str, Any]) -> None:
        self.coef_ = np.array(state["coef"])
        self.intercept_ = float(state["intercept"])
