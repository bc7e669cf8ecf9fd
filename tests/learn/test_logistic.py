"""Logistic regression: the same as scikit-learn's on the same matrix, and readable from JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from riskwright.data.cleaning import Features
from riskwright.learn.logistic import Logistic


@pytest.mark.parametrize("C", [0.01, 1.0])
def test_it_is_scikit_learns_optimum(small: Any, C: float) -> None:
    model = Logistic(small.schema, C=C).fit(small.X, small.y)
    matrix = Features(small.schema).fit_transform(small.X).astype(float)
    other = LogisticRegression(C=C, solver="lbfgs", tol=1e-10, max_iter=5000)
    expected = other.fit(matrix, small.y).decision_function(matrix)
    np.testing.assert_allclose(model.margin(small.X), expected, atol=1e-4)


def test_its_contributions_are_its_terms_beside_the_mean(small: Any) -> None:
    model = Logistic(small.schema).fit(small.X, small.y)
    contributions = model.contributions(small.X)
    np.testing.assert_allclose(contributions.drop(columns="base").mean(), 0, atol=1e-6)
    bill = model.features_.names_.index("bill0")
    values = model.features_.transform(small.X)[:, bill].astype(float)
    np.testing.assert_allclose(
        contributions["bill0"], model.coef_[bill] * (values - values.mean()), atol=1e-6
    )
    # The codes of one category are one contribution.
    homes = [j for j, source in enumerate(model.features_.sources_) if source == "home"]
    assert len(homes) > 2
    matrix = model.features_.transform(small.X).astype(float)[:, homes]
    expected = (matrix - matrix.mean(axis=0)) @ model.coef_[homes]
    np.testing.assert_allclose(contributions["home"], expected, atol=1e-6)


def test_a_person_can_score_from_its_json(small: Any, tmp_path: Path) -> None:
    model = Logistic(small.schema).fit(small.X, small.y)
    model.save(tmp_path)
    state = json.loads((tmp_path / "family.json").read_text())["state"]
    matrix = model.features_.transform(small.X)
    by_hand = state["intercept"] + sum(
        coef * matrix[:, model.features_.names_.index(name)].astype(float)
        for name, coef in state["coef"].items()
    )
    np.testing.assert_allclose(model.margin(small.X), by_hand, atol=1e-12)


def test_a_rows_bits_do_not_depend_on_its_batch(small: Any) -> None:
    model = Logistic(small.schema).fit(small.X, small.y)
    alone = np.concatenate([model.margin(small.X.iloc[[i]]) for i in range(30)])
    np.testing.assert_array_equal(alone, model.margin(small.X)[:30])
