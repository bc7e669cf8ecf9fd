"""Platt scaling: the same optimum as scikit-learn's, and a slope that never turns the ranking."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from riskwright.learn.calibration import LEAST_SLOPE, fit_platt


def sample(seed: int, n: int = 500, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    margin = rng.normal(-1, 1.5, n)
    y = (rng.random(n) < expit(0.3 + 0.7 * margin)).astype(np.int8)
    return margin * scale, y


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_logistic_regression_without_a_penalty(seed: int, scale: float) -> None:
    margin, y = sample(seed, scale=scale)
    other = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    other.fit((margin / scale)[:, None], y)
    a, b = fit_platt(margin, y)
    np.testing.assert_allclose([a, b * scale], [other.intercept_[0], other.coef_[0, 0]], atol=1e-4)


def test_it_recovers_what_made_the_outcomes() -> None:
    a, b = fit_platt(*sample(7, n=200_000))
    np.testing.assert_allclose([a, b], [0.3, 0.7], atol=0.03)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.floats(-3, 3), st.floats(0.1, 5))
def test_an_affine_change_of_the_margin_changes_nothing(
    seed: int, shift: float, scale: float
) -> None:
    margin, y = sample(seed, n=200)
    a, b = fit_platt(margin, y)
    moved = shift + scale * margin
    a2, b2 = fit_platt(moved, y)
    np.testing.assert_allclose(a2 + b2 * moved, a + b * margin, atol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_the_mean_pd_is_the_bad_rate(seed: int) -> None:
    margin, y = sample(seed)
    a, b = fit_platt(margin, y)
    np.testing.assert_allclose(expit(a + b * margin).mean(), y.mean(), atol=1e-5)


def test_a_margin_that_ranks_wrongly_is_flattened_not_turned_round() -> None:
    margin, y = sample(1)
    a, b = fit_platt(-margin, y)
    assert b == pytest.approx(LEAST_SLOPE)
    np.testing.assert_allclose(expit(a - b * margin), y.mean(), atol=0.01)


def test_a_constant_margin_gets_the_bad_rate() -> None:
    y = np.array([0, 0, 0, 1] * 20, dtype=np.int8)
    a, b = fit_platt(np.full(80, 3.0), y)
    assert b > 0
    np.testing.assert_allclose(expit(a + b * 3.0), 0.25, atol=1e-5)


def test_perfect_separation_stays_finite() -> None:
    margin = np.r_[np.full(50, -2.0), np.full(50, 2.0)]
    a, b = fit_platt(margin, (margin > 0).astype(np.int8))
    assert np.isfinite([a, b]).all()
