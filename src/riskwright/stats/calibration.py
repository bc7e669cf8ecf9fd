"""Whether PDs mean what they say: calibration error, tables, tests, the calibration line."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from riskwright.errors import InputRefused
from riskwright.stats.estimates import CLIP, Estimate, Floats, Ints, Z, checked, jeffreys

CHUNK = 4_000_000  # simulated outcomes held at once


class CalibratedECE(NamedTuple):
    """The ECE that a perfectly calibrated model shows by chance alone."""

    mean: float
    p95: float
    p99: float
    draws: Floats

    def quantile(self, q: float) -> float:
        """Return a quantile of the simulated ECEs."""
        return float(np.quantile(self.draws, q))


class HosmerLemeshow(NamedTuple):
    """Statistic, degrees of freedom and p-value; a small p says that the PDs don't fit."""

    statistic: float
    degrees: int
    p_value: float


class CalibrationLine(NamedTuple):
    """Intercept and slope of log-odds(bad) on the model's log-odds; 0 and 1 are perfect."""

    intercept: Estimate
    slope: Estimate


def bin_edges(n: int, bins: int) -> Ints:
    """Return where ``bins`` equal-count bins of ``n`` sorted rows start and end.

    Shape (bins + 1,), as ``numpy.array_split``: the first ``n % bins`` bins hold one row more.
    """
    k = np.arange(bins + 1)
    return k * (n // bins) + np.minimum(k, n % bins)


def ece(y: ArrayLike, p: ArrayLike, bins: int = 10) -> float:
    """Return the expected calibration error over equal-count bins.

    The mean over rows of the gap between mean PD and bad rate of the row's bin; rows are sorted
    by PD (stable) and cut as ``numpy.array_split`` does.

    Raises
    ------
    InputRefused
        If the arrays don't match or hold NaN.
    """
    y_, p_ = checked(y, p)
    order = np.argsort(p_, kind="stable")
    gaps = np.concatenate([[0.0], np.cumsum(y_[order] - p_[order])])
    return float(np.abs(np.diff(gaps[bin_edges(len(p_), bins)])).sum() / len(p_))


def ece_when_calibrated(p: ArrayLike, *, seed: int, n: int = 2000, bins: int = 10) -> CalibratedECE:
    """Return the ECE that chance alone gives these PDs if each of them is exactly right.

    Outcomes are drawn ``n`` times as Bernoulli(p); an ECE within the draws' 95th percentile is
    no evidence against the model.

    Parameters
    ----------
    p
        PDs, shape (rows,).
    seed
        Of the draws.
    n
        Number of draws.

    Raises
    ------
    InputRefused
        If a PD is missing or outside 0 to 1.
    """
    _, p_ = checked(np.zeros(np.shape(p)), p)
    p_ = np.sort(p_)
    rng = np.random.default_rng(seed)
    edges = bin_edges(len(p_), bins)
    expected = np.diff(np.concatenate([[0.0], np.cumsum(p_)])[edges])
    step = max(1, CHUNK // len(p_))
    draws = []
    for start in range(0, n, step):
        hits = rng.random((min(step, n - start), len(p_))) < p_
        bads = np.stack(
            [np.count_nonzero(hits[:, a:b], axis=1) for a, b in pairwise(edges)],
            axis=1,
        )
        draws.append(np.abs(bads - expected).sum(axis=1) / len(p_))
    eces = np.concatenate(draws)
    p95, p99 = np.quantile(eces, [0.95, 0.99])
    return CalibratedECE(float(eces.mean()), float(p95), float(p99), eces)


def calibration_table(y: ArrayLike, p: ArrayLike, bins: int = 10) -> pd.DataFrame:
    """Return predicted and realised bad rate by equal-count bin of the PD.

    Returns
    -------
    DataFrame
        One row for each bin that holds rows: ``bin`` (1 = lowest PD), ``n``, ``bads``,
        ``pd_from``, ``pd_to``, ``mean_pd``, ``bad_rate``, and its Jeffreys interval ``low``,
        ``high``.

    Raises
    ------
    InputRefused
        If the arrays don't match or hold NaN.
    """
    y_, p_ = checked(y, p)
    order = np.argsort(p_, kind="stable")
    y_, p_ = y_[order], p_[order]
    edges = np.unique(bin_edges(len(p_), bins))
    starts, ends = edges[:-1], edges[1:]
    n = ends - starts
    bads = np.add.reduceat(y_, starts)
    low, high = jeffreys(bads, n)
    return pd.DataFrame(
        {
            "bin": np.arange(1, len(n) + 1),
            "n": n,
            "bads": bads,
            "pd_from": p_[starts],
            "pd_to": p_[ends - 1],
            "mean_pd": np.add.reduceat(p_, starts) / n,
            "bad_rate": bads / n,
            "low": low,
            "high": high,
        }
    )


def hosmer_lemeshow(bads: ArrayLike, n: ArrayLike, pd_: ArrayLike) -> HosmerLemeshow:
    """Test whether bad counts by group of PD (or by grade) are what the PDs say.

    Sum over g groups of (bads - n PD)^2 / (n PD (1 - PD)), held against chi-square with g degrees
    of freedom: nothing was fitted to these outcomes. (In sample it would be two fewer.) Sources:
    Hosmer and Lemeshow (1980), Communications in Statistics A9, 1043-1069; Hosmer, Lemeshow and
    Sturdivant (2013), Applied Logistic Regression, chapter 5.

    Parameters
    ----------
    bads, n, pd_
        Bads, rows and mean PD of each group, shape (g,).

    Raises
    ------
    InputRefused
        If there is no group, or a PD is missing or isn't between 0 and 1: there is no chance.
    """
    d, rows, p = (np.asarray(v, dtype=float) for v in (bads, n, pd_))
    if not len(p) or not ((p > 0) & (p < 1)).all():
        raise InputRefused(
            "a group's PD is 0 or 1, or missing" if len(p) else "there is no group",
            expected="PDs between 0 and 1",
            do="leave the group out",
        )
    statistic = float(((d - rows * p) ** 2 / (rows * p * (1 - p))).sum())
    return HosmerLemeshow(statistic, len(p), float(stats.chi2.sf(statistic, len(p))))


def calibration_line(y: ArrayLike, p: ArrayLike) -> CalibrationLine:
    """Fit log-odds(bad) = intercept + slope * margin, each with a 95 % Wald interval.

    A slope below 1 says that the PDs are too extreme, an intercept below 0 (at slope 1) that
    they are too high. Fitted with Jeffreys' prior, so that separated classes stay finite: Firth
    (1993), Biometrika 80, 27-38. Where all PDs are equal the slope can't be told: 1 with an
    infinite interval.

    Raises
    ------
    InputRefused
        If the arrays don't match, hold NaN, or only one class is there.
    """
    y_, p_ = checked(y, p, both_classes=True)
    p_ = np.clip(p_, CLIP, 1 - CLIP)
    margin = np.log(p_ / (1 - p_))
    if np.ptp(margin) == 0:
        bads = float(y_.sum())
        middle = float(np.log(bads / (len(y_) - bads)) - margin[0])
        half = Z * float(np.sqrt(1 / bads + 1 / (len(y_) - bads)))
        return CalibrationLine(
            Estimate(middle, middle - half, middle + half), Estimate(1.0, -np.inf, np.inf)
        )
    # Centred and scaled, Newton's steps need no line search on margins of any size.
    centre, scale = float(margin.mean()), float(margin.std())
    x = np.column_stack([np.ones_like(margin), (margin - centre) / scale])
    beta = np.zeros(2)
    for _ in range(100):
        fitted = 1 / (1 + np.exp(-(x @ beta)))
        weights = fitted * (1 - fitted)
        covariance = np.linalg.inv(x.T @ (x * weights[:, None]))
        leverage = np.einsum("ij,jk,ik->i", x, covariance, x) * weights
        step = covariance @ (x.T @ (y_ - fitted + leverage * (0.5 - fitted)))
        beta = beta + step * min(1.0, 2.0 / float(np.abs(step).max()))
        if np.abs(step).max() < 1e-10:
            break
    back = np.array([[1.0, -centre / scale], [0.0, 1 / scale]])
    values = back @ beta
    halves = Z * np.sqrt(np.diag(back @ covariance @ back.T))
    intercept, slope = (
        Estimate(float(v), float(v - h), float(v + h)) for v, h in zip(values, halves, strict=True)
    )
    return CalibrationLine(intercept, slope)
