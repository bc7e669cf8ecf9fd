"""Small data with everything in it that families meet: sentinels, missing, tails, codes, steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from riskwright.case.usecase import Feature, FeatureSchema


@dataclass(frozen=True)
class Small:
    """Canonical features with their schema and outcomes, and the log-odds that made them."""

    X: pd.DataFrame
    y: np.ndarray
    schema: FeatureSchema
    true_margin: np.ndarray

    def rows(self, start: int, stop: int) -> tuple[pd.DataFrame, np.ndarray]:
        return self.X.iloc[start:stop], self.y[start:stop]


def make_small(n: int = 900, seed: int = 5) -> Small:
    rng = np.random.default_rng(seed)
    debt = rng.normal(size=n)
    income = np.exp(rng.normal(size=n) * 1.5 + 8)
    late = rng.poisson(0.6, n).astype(float)
    late[rng.random(n) < 0.05] = 96.0
    home = rng.choice(["own", "rent", "free", "boat"], n, p=[0.5, 0.38, 0.11, 0.01])
    steps = rng.normal(size=(n, 3)).cumsum(axis=1)
    spent = rng.normal(size=(n, 3))
    margin = (
        -1.4
        + 0.9 * debt
        - 0.35 * (np.log(income) - 8)
        + np.where(late == 96, 0.8, 0.5 * np.minimum(late, 4))
        + np.where(home == "rent", 0.5, 0.0)
        + 0.3 * steps[:, -1]
    )
    y = (rng.random(n) < expit(margin)).astype(np.int8)
    income[rng.random(n) < 0.1] = np.nan
    debt[rng.random(n) < 0.02] = np.nan
    X = pd.DataFrame(
        {
            "debt": debt,
            "income": income,
            "late": late,
            "home": pd.array(np.where(rng.random(n) < 0.03, None, home), dtype="str"),
            **{f"bill{i}": steps[:, i] for i in range(3)},
            **{f"paid{i}": spent[:, i] for i in range(3)},
        },
        index=pd.RangeIndex(10, 10 + n, name="row"),
    )
    features = tuple(
        Feature(
            name,
            "category" if name == "home" else "number",
            name,
            values=tuple((c, c) for c in ("own", "rent", "free", "boat")) if name == "home" else (),
            sentinels=((96.0, "refused to say"), (98.0, "other code")) if name == "late" else (),
            direction=1 if name == "debt" else 0,
        )
        for name in X.columns
    )
    sequences = (
        ("bill", ("bill0", "bill1", "bill2")),
        ("paid", ("paid0", "paid1", "paid2")),
    )
    return Small(X, y, FeatureSchema(features, sequences), margin)


@pytest.fixture(scope="session")
def small() -> Small:
    return make_small()
