"""The one-factor Gaussian model in closed form.

A borrower defaults if ``sqrt(rho) z + sqrt(1 - rho) e`` falls below ``N^-1(pd)``, where the factor
``z`` is shared by all and ``e`` is the borrower's own; both are standard normal. A low ``z`` is a
bad year. Source: Vasicek, "Loan portfolio value", Risk 15 (2002); Gordy, "A risk-factor model
foundation for ratings-based bank capital rules", J. Financial Intermediation 12 (2003).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri
from scipy.stats import multivariate_normal

from riskwright.systems.loans.portfolio.checks import (
    FloatArray,
    amounts,
    confidence_level,
    probabilities,
)


def conditional_pd(pd: npt.ArrayLike, rho: npt.ArrayLike, z: npt.ArrayLike) -> FloatArray:
    """Return the PD once the factor is known.

    Parameters
    ----------
    pd, rho, z
        PD, asset correlation (below 1) and factor, of shapes that broadcast.
    """
    p, r, factor = (np.asarray(v, dtype=float) for v in (pd, rho, z))
    return np.asarray(ndtr((ndtri(p) - np.sqrt(r) * factor) / np.sqrt(1 - r)))


def quantile(pd: float, rho: float, confidence: float) -> float:
    """Return the default rate that an infinitely fine homogeneous book passes with 1 - confidence.

    With ``rho`` 0 it is the PD, with ``rho`` 1 the two-point law's: everybody or nobody.
    """
    level = confidence_level(confidence)
    p = float(probabilities("pd", pd, 1)[0])
    if float(probabilities("rho", rho, 1)[0]) == 1:
        return float(p > 1 - level)
    return float(conditional_pd(p, rho, ndtri(1 - level)))


def distribution(x: npt.ArrayLike, pd: float, rho: float) -> FloatArray:
    """Return the probability that the default rate of that book stays at or below ``x``."""
    share = np.asarray(x, dtype=float)
    inside = (np.sqrt(1 - rho) * ndtri(share) - ndtri(pd)) / np.sqrt(rho)
    return np.asarray(ndtr(inside))


def expected_shortfall(pd: float, rho: float, confidence: float) -> float:
    """Return the mean default rate of that book beyond its quantile.

    ``Phi2(N^-1(pd), N^-1(1 - confidence); sqrt(rho)) / (1 - confidence)``: the probability that a
    borrower defaults and the year is that bad (Gordy 2003).
    """
    level = confidence_level(confidence)
    root = np.sqrt(rho)
    both = multivariate_normal(mean=[0, 0], cov=[[1, root], [root, 1]], allow_singular=True)
    return float(both.cdf([ndtri(pd), ndtri(1 - level)])) / (1 - level)


def asymptotic_var(
    ead: npt.ArrayLike,
    pd: npt.ArrayLike,
    lgd: npt.ArrayLike,
    rho: npt.ArrayLike,
    confidence: float,
) -> FloatArray:
    """Return each loan's part of the VaR if no single loan mattered (ASRF), in money, shape (n,).

    The sum is the VaR that a book of the same mix, but infinitely many loans, would have;
    ``granularity_adjustment`` is what the finite number adds.
    """
    money = amounts("ead", ead)
    n = len(money)
    p, loss, r = (
        probabilities("pd", pd, n),
        probabilities("lgd", lgd, n),
        probabilities("rho", rho, n),
    )
    bad_year = ndtri(1 - confidence_level(confidence))
    return np.asarray(money * loss * conditional_pd(p, r, bad_year))


def granularity_adjustment(
    ead: npt.ArrayLike,
    pd: npt.ArrayLike,
    lgd: npt.ArrayLike,
    rho: npt.ArrayLike,
    confidence: float,
) -> float:
    """Return what the VaR gains because the book has finitely many loans, in money.

    To first order ``-1 / (2 h(z)) d/dz [h(z) s2(z) / m'(z)]`` at the factor's quantile, with mean
    ``m`` and variance ``s2`` of the loss once the factor is known and the normal density ``h``
    (Martin and Wilde, "Unsystematic credit risk", Risk 15, 2002; Gordy and Luetkebohmert,
    "Granularity adjustment for regulatory capital assessment", Int. J. Central Banking 9, 2013,
    apply it to CreditRisk+). The loss given default is taken as known.

    Parameters
    ----------
    ead, pd, lgd, rho
        As ``asymptotic_var`` takes them.

    Returns
    -------
    Money; NaN if no loan depends on the factor.
    """
    money = amounts("ead", ead)
    n = len(money)
    p, share, r = (
        probabilities(name, v, n) for name, v in (("pd", pd), ("lgd", lgd), ("rho", rho))
    )
    z = float(ndtri(1 - confidence_level(confidence)))
    unsure = (p > 0) & (p < 1)  # others lose what they lose, whatever the factor
    loss, p, r = (money * share)[unsure], p[unsure], r[unsure]
    u = (ndtri(p) - np.sqrt(r) * z) / np.sqrt(1 - r)
    slope, density = np.sqrt(r / (1 - r)), np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)
    chance = ndtr(u)
    first = -slope * density  # of the conditional PD, by the factor
    second = -(slope**2) * u * density
    mean_1, mean_2 = float(loss @ first), float(loss @ second)
    if mean_1 == 0:
        return float("nan")
    variance = float(loss**2 @ (chance * (1 - chance)))
    variance_1 = float(loss**2 @ (first * (1 - 2 * chance)))
    return (z * variance - variance_1 + variance * mean_2 / mean_1) / (2 * mean_1)
