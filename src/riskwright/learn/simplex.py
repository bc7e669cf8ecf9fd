"""Weights that are shares: none below zero, together one, and those that cost least."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

FloatArray = npt.NDArray[np.float64]


def cheapest(loss: Callable[[FloatArray], tuple[float, FloatArray]], members: int) -> FloatArray:
    """Return the weights, shape (members,), at which a convex loss is least.

    Parameters
    ----------
    loss
        Of weights (members,): its value and its gradient (members,).
    """
    found = minimize(
        loss,
        np.full(members, 1 / members),
        jac=True,
        bounds=[(0, 1)] * members,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    weights = np.clip(found.x, 0, None)
    return np.asarray(weights / weights.sum())
