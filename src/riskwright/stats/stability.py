"""How far a mix has moved: the population stability index."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def psi(before: ArrayLike, now: ArrayLike) -> Any:
    """Return the population stability index of shares of the same bins.

    The sum over the bins of (b - a) ln(b / a), a and b the shares before and now: Kullback and
    Leibler's divergence both ways (Annals of Mathematical Statistics 22, 1951, 79-86).

    Parameters
    ----------
    before, now
        Shape (bins,), none of them 0; of several mixes (mixes, bins).
    """
    a, b = np.asarray(before, dtype=float), np.asarray(now, dtype=float)
    return ((b - a) * np.log(b / a)).sum(axis=-1)


def psi_of_counts(table: NDArray[Any]) -> float:
    """Return the index of counts before and now, shape (2, bins).

    Half a row is added to each bin, so that an empty one doesn't make it infinite.
    """
    smooth = table + 0.5
    return float(psi(*(smooth / smooth.sum(axis=1, keepdims=True))))


def psi_of_values(before: NDArray[np.float64], now: NDArray[np.float64], bins: int = 10) -> float:
    """Return the index over the quantile bins of what was before, shape (n,); now has (m,)."""
    edges = np.unique(np.quantile(before, np.linspace(0, 1, bins + 1)[1:-1]))
    counts = [
        np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
        for values in (before, now)
    ]
    return psi_of_counts(np.stack(counts))
