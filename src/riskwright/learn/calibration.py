"""Platt scaling: an affine map of log-odds to calibrated log-odds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

LEAST_SLOPE = 1e-3


def fit_platt(margin: npt.NDArray[np.float64], y: npt.NDArray[np.integer]) -> tuple[float, float]:
    """Fit ``calibrated = a + b * margin`` by maximum likelihood on out-of-fold margins.

    Plain maximum likelihood, without Platt's smoothed targets: so that the mean calibrated PD is
    the bad rate of the rows it was fitted on. The slope is kept positive: calibration must never
    turn a ranking round. J. Platt, "Probabilistic outputs for support vector machines", 1999.

    Parameters
    ----------
    margin
        Log-odds, shape (n,).
    y
        Outcomes, shape (n,), 1 = bad.

    Returns
    -------
    tuple of float
        Intercept ``a`` and slope ``b`` ≥ 0.001.
    """
    centre, spread = float(margin.mean()), float(margin.std()) or 1.0
    z = (margin - centre) / spread

    def loss(point: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        eta = point[0] + point[1] * z
        wrong = expit(eta) - y
        value = np.mean(np.logaddexp(0.0, eta) - y * eta)
        return float(value), np.array([wrong.mean(), (wrong * z).mean()])

    rate = float(np.clip(y.mean(), 1e-6, 1 - 1e-6))
    start = np.array([np.log(rate / (1 - rate)), 1.0])
    bounds = [(None, None), (LEAST_SLOPE * spread, None)]
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B", tol=1e-14)
    slope = float(found.x[1]) / spread
    return float(found.x[0]) - slope * centre, slope
