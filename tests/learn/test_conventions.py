"""scikit-learn's own checks of its conventions, as far as they hold without arrays of its own.

Its checks with data hand bare arrays over: a family reads frames by the names of their columns, and
what it does with data is checked in ``test_contract``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.utils import estimator_checks as checks

from riskwright.case.usecase import FAMILIES, Feature, FeatureSchema
from riskwright.learn.families import family_class
from riskwright.learn.regressors import REGRESSORS, Linear, Trees

SCHEMA = FeatureSchema((Feature("a", "number", "a"), Feature("b", "number", "b")))
CHECKS: list[Callable[[str, BaseEstimator], None]] = [
    checks.check_estimator_cloneable,
    checks.check_estimator_repr,
    checks.check_no_attributes_set_in_init,
    checks.check_do_not_raise_errors_in_init_or_set_params,
    checks.check_mixin_order,
    checks.check_estimator_tags_renamed,
    checks.check_get_params_invariance,
    checks.check_set_params,
    checks.check_valid_tag_types,
]
MADE: dict[str, BaseEstimator] = {
    **{f"pd {name}": family_class(name)(SCHEMA) for name in FAMILIES},
    **{f"lgd {name}": kind(SCHEMA) for name, kind in REGRESSORS.items()},
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", MADE)
def test_it_keeps_to_scikit_learns_conventions(
    name: str, check: Callable[[str, BaseEstimator], None]
) -> None:
    check(name, MADE[name])


@pytest.mark.parametrize("name", MADE)
def test_it_says_what_it_is_and_takes_other_parameters(name: str) -> None:
    family = MADE[name]
    assert is_classifier(family) == name.startswith("pd")
    assert is_regressor(family) == name.startswith("lgd")
    assert clone(family).set_params(seed=12).get_params()["seed"] == 12


@pytest.mark.parametrize("kind", [Linear, Trees])
def test_what_a_regression_says_is_explained_by_feature(kind: Any) -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=400), "b": rng.normal(size=400)})
    model = kind(SCHEMA).fit(X, 3 * X["a"] + 0.01 * rng.normal(size=400))
    found = model.contributions(X.head(9))
    assert list(found) == ["a", "b", "base"]
    np.testing.assert_allclose(found.sum(axis=1), model.predict(X.head(9)), atol=1e-5)
    assert found["a"].abs().mean() > 20 * found["b"].abs().mean()
