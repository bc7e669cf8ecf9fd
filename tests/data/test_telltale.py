"""A column that nearly tells the outcome is named; an honest strong one isn't."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from riskwright.case.usecase import Feature, FeatureSchema
from riskwright.data.telltale import telltales

RNG = np.random.default_rng(3)
N = 3000
RISK = RNG.normal(size=N)
Y = (RNG.random(N) < expit(-2 + 1.2 * RISK)).astype(np.int8)
FLIPPED = np.where(RNG.random(N) < 0.02, 1 - Y, Y)
NOISE = RNG.normal(size=N)


def found(column: Any, kind: str = "number") -> list[dict[str, Any]]:
    values = pd.array(column, dtype="str") if kind == "category" else np.asarray(column, float)
    X = pd.DataFrame({"x": values, "other": NOISE})
    schema = FeatureSchema(
        (Feature("x", kind, "x"), Feature("other", "number", "other"))  # type: ignore[arg-type]
    )
    return telltales(schema, X, Y)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        pytest.param(Y, "number", id="the target"),
        pytest.param(FLIPPED, "number", id="2 % of it flipped"),
        pytest.param(np.where(FLIPPED == 1, "paid", "late"), "category", id="as codes"),
        pytest.param(np.where(Y == 1, 50 + NOISE, 0.0), "number", id="recovered money"),
        pytest.param(np.where(Y == 1, 2 + 0.5 * NOISE, 0.5 * NOISE), "number", id="continuous"),
    ],
)
def test_a_column_that_tells_the_outcome_is_named(column: Any, kind: str) -> None:
    (one,) = found(column, kind)
    assert one["column"] == "x"
    assert one["auc"] >= 0.9
    assert "x alone tells good from bad" in one["detail"]


def test_its_auc_is_scikit_learns() -> None:
    (one,) = found(FLIPPED)
    assert one["auc"] == pytest.approx(roc_auc_score(Y, FLIPPED), abs=1e-4)


@pytest.mark.parametrize("bad", [1, 0])
def test_a_column_that_is_filled_for_one_class_only_is_named(bad: int) -> None:
    """A date of recovery, say: half of the bads have one, and nobody else."""
    filled = (bad == Y) & (RNG.random(N) < 0.4)
    (one,) = found(np.where(filled, NOISE, np.nan))
    word = "bad" if bad else "good"
    assert f"x is filled in {filled.sum():,} rows, all of them {word}" in one["detail"]
    (one,) = found(np.where(filled, np.nan, NOISE))
    assert f"x is blank in {filled.sum():,} rows, all of them {word}" in one["detail"]


def test_honest_columns_are_left_alone() -> None:
    assert found(RISK) == []
    assert found(np.where(NOISE > 1, np.nan, RISK)) == []
    # Nobody with cash went bad: a strong code, and no leak.
    assert found(np.where((Y == 0) & (NOISE > 0), "cash", "none"), "category") == []
    assert found(np.full(N, np.nan)) == []
    few = np.where((Y == 1) & (np.cumsum(Y) <= 19), 1.0, np.nan)
    assert found(few) == [], "19 rows are chance"
