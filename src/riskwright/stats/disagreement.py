"""Whether the PD is worse where the members of an ensemble disagree."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from riskwright.errors import InputRefused
from riskwright.stats.estimates import CLIP, checked, jeffreys, losses, mean

TWICE = 2.0  # of what was planned: a limit from a few hundred rows is itself known to a third


def told_share(referred: int, rows: int, planned: float) -> str:
    """Say that far more rows are referred for disagreement than was planned; else nothing.

    At least twice as many, and so many once in a thousand batches by chance (exact binomial).
    """
    from scipy.stats import binom  # here, since scoring imports this module and not it

    share = referred / max(rows, 1)
    if share < TWICE * planned or binom.sf(referred - 1, rows, planned) >= 0.001:
        return ""
    return (
        f"{referred:,} of {rows:,} rows ({share:.1%}) go to a person since the members disagree, "
        f"where {planned:.0%} was planned on the training rows: these cases are unlike them"
    )


def error_by_band(
    y: ArrayLike, pd_: ArrayLike, disagreement: ArrayLike, bands: int = 5
) -> pd.DataFrame:
    """Return the realised error by equal-count band of the members' disagreement.

    Members tend to disagree where the PD is far from 0 and 1, and there the loss is higher for
    any model; ``expected_log_loss`` is what the PDs would lose if each were right, and the
    excess over it is what disagreement tells.

    Parameters
    ----------
    y, pd_
        Outcomes (1 = bad) and PDs, shape (n,).
    disagreement
        Spread of the members, shape (n,); where all are equal there is one band.

    Returns
    -------
    DataFrame
        One row for each band, least disagreement first: ``band, n, disagreement_from,
        disagreement_to, mean_pd, bad_rate`` with ``_low, _high`` (Jeffreys), ``brier`` and
        ``log_loss`` with ``_low, _high`` (normal), ``expected_log_loss``.

    Raises
    ------
    InputRefused
        If the arrays don't match or hold NaN.
    """
    y_, p_ = checked(y, pd_)
    spread = np.asarray(disagreement, dtype=np.float64)
    if spread.shape != p_.shape or np.isnan(spread).any():
        raise InputRefused(
            "the disagreement is missing for some rows",
            where=f"shape {spread.shape}, {int(np.isnan(spread).sum())} NaN",
            expected="one number for each PD",
        )
    order = np.argsort(spread, kind="stable")
    parts = [order] if np.ptp(spread) == 0 else np.array_split(order, min(bands, len(order)))
    table = []
    for band, rows in enumerate(parts, start=1):
        bounds = {
            "disagreement_from": float(spread[rows].min()),
            "disagreement_to": float(spread[rows].max()),
        }
        table.append({"band": band, "n": len(rows)} | bounds | _errors(y_[rows], p_[rows]))
    return pd.DataFrame(table)


def _errors(outcomes: np.ndarray, pds: np.ndarray) -> dict[str, float]:
    """What came of the cases of one band, and how wrong their PDs were."""
    bads = int(outcomes.sum())
    low, high = jeffreys(bads, len(pds))
    brier, loss = mean((pds - outcomes) ** 2), mean(losses(outcomes, pds))
    safe = np.clip(pds, CLIP, 1 - CLIP)
    entropy = -(safe * np.log(safe) + (1 - safe) * np.log1p(-safe))
    return {
        "mean_pd": float(pds.mean()),
        "bad_rate": bads / len(pds),
        "bad_rate_low": float(low),
        "bad_rate_high": float(high),
        "brier": brier.value,
        "brier_low": max(0.0, brier.low),
        "brier_high": brier.high,
        "log_loss": loss.value,
        "log_loss_low": max(0.0, loss.low),
        "log_loss_high": loss.high,
        "expected_log_loss": float(entropy.mean()),
    }
