"""Contributions of any margin function, by walking from a baseline to each row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BLOCK = 16_384  # encoded rows of one call


def orderings(players: int, pairs: int, seed: int) -> npt.NDArray[np.intp]:
    """Return seeded permutations and their reverses, shape (2 * pairs, players)."""
    rng = np.random.default_rng(seed)
    forwards = [rng.permutation(players) for _ in range(pairs)]
    return np.array([order for one in forwards for order in (one, one[::-1])])


def permutation_walk(
    forward: Callable[[np.ndarray], FloatArray],
    matrix: npt.NDArray[np.floating],
    baseline: npt.NDArray[np.floating],
    player_of: npt.NDArray[np.intp],
    orders: npt.NDArray[np.intp],
) -> FloatArray:
    """Return Shapley values by walking from the baseline to each row, player by player.

    Along an ordering each player's columns are switched from the baseline's to the row's values;
    the change of the margin is its contribution (Castro, Gómez and Tejada 2009). The changes of
    one ordering telescope, so each row sums exactly to margin(row) - margin(baseline) whatever
    the orderings are, and a model without interactions gets its exact terms from any one of
    them. How interactions are split is an average over the given orderings; walking each in
    reverse as well (Mitchell et al. 2022) makes it exact for interactions of two players.

    Parameters
    ----------
    forward
        Margin of encoded rows, (n, columns) to (n,).
    baseline
        The encoded row to start from, shape (columns,).
    player_of
        Player behind each column, shape (columns,), from 0 on without gaps.
    orders
        Permutations of the players, shape (m, players).

    Returns
    -------
    ndarray
        Shape (n, players).
    """
    players = orders.shape[1]
    out = np.zeros((len(matrix), players))
    start = float(forward(baseline[None, :])[0])
    ends = forward(matrix)
    size = max(1, BLOCK // max(1, players - 1))
    for at in range(0, len(matrix), size):
        block = matrix[at : at + size]
        margins = np.empty((players + 1, len(block)))
        margins[0], margins[-1] = start, ends[at : at + size]
        for order in orders:
            rank = np.empty(players, dtype=np.intp)
            rank[order] = np.arange(players)
            switched = rank[player_of] < np.arange(1, players)[:, None]
            walk = np.where(switched[:, None, :], block, baseline)
            margins[1:-1] = forward(walk.reshape(-1, len(baseline))).reshape(-1, len(block))
            out[at : at + size, order] += np.diff(margins, axis=0).T
    return out / len(orders)
