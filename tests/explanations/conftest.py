"""A small additive model whose Shapley values are known exactly."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from riskwright.case.usecase import Feature, FeatureSchema


@dataclass
class Additive:
    """margin = base + sum of one function of each feature; ``unused`` has none."""

    schema: FeatureSchema = field(
        default_factory=lambda: FeatureSchema(
            (
                Feature("delay", "number", "Delay", "months"),
                Feature("limit", "number", "Limit", "US$", (), ((-9.0, "not told"),)),
                Feature("school", "category", "School", "", (("a", "arts"), ("b", "business"))),
                Feature("unused", "number", "Price in US$"),
            )
        )
    )

    def rows(self, n: int, seed: int = 0) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        limit = np.round(rng.lognormal(3, 0.5, n), 2)
        limit[rng.random(n) < 0.2] = np.nan
        school = pd.Series(rng.choice(["a", "b"], n), dtype="str")
        school[rng.random(n) < 0.1] = np.nan
        frame = pd.DataFrame(
            {
                "delay": rng.integers(0, 6, n).astype(float),
                "limit": limit,
                "school": school,
                "unused": rng.normal(size=n),
            }
        )
        return frame.set_axis(pd.RangeIndex(3, 3 + n, name="row"), axis=0)

    def parts(self, X: pd.DataFrame) -> pd.DataFrame:
        assert X["school"].dtype == "str"  # what reaches the model is canonical
        assert X["limit"].dtype == "float64"
        return pd.DataFrame(
            {
                "delay": 0.6 * X["delay"],
                "limit": (-0.05 * X["limit"]).fillna(0.9),
                "school": X["school"].map({"a": 0.8, "b": -0.4}).fillna(0.0).astype(float),
                "unused": 0.0,
            },
            index=X.index,
        )

    def margin(self, X: pd.DataFrame) -> np.ndarray:
        return self.parts(X).sum(axis=1).to_numpy() - 2.0

    def pd(self, X: pd.DataFrame) -> np.ndarray:
        return 1 / (1 + np.exp(-self.margin(X)))

    def contributions(self, X: pd.DataFrame, background: pd.DataFrame) -> pd.DataFrame:
        mean = self.parts(background).mean()
        return (self.parts(X) - mean).assign(base=mean.sum() - 2.0)


@pytest.fixture
def model() -> Additive:
    return Additive()
