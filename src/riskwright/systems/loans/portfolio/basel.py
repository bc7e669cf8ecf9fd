"""Basel IRB capital: the risk-weight functions of the internal ratings-based approach.

Source: Basel Committee, Basel Framework, CRE31 "IRB approach: risk weight functions" (corporate
CRE31.5, retail CRE31.13 to CRE31.18 in the version effective as of January 2023), and the floors
of PD and LGD in CRE32 "IRB approach: risk components". The scaling factor of 1.06 of Basel II is no
longer part of it.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from riskwright.errors import InputRefused, closest
from riskwright.systems.loans.portfolio.checks import FloatArray, amounts, probabilities
from riskwright.systems.loans.portfolio.vasicek import conditional_pd

Exposure = Literal["corporate", "mortgage", "revolving", "retail"]
CONFIDENCE = 0.999
LEAST_YEARS, MOST_YEARS = 1.0, 5.0  # of effective maturity (CRE32.44 to 32.46; CRR, article 162)

# CRE32, as of January 2023. A line of credit is taken for a revolver's (0.05 % would be a
# transactor's, who repays in full each month); exposures without a mortgage for unsecured ones.
PD_FLOORS: dict[str, float] = {
    "corporate": 0.0005, "mortgage": 0.0005, "revolving": 0.001, "retail": 0.0005,
}  # fmt: skip
LGD_FLOORS: dict[str, float] = {
    "corporate": 0.25, "mortgage": 0.05, "revolving": 0.50, "retail": 0.30,
}  # fmt: skip


def pd_floor(exposure: Exposure) -> float:
    """Return the least PD that the capital formula takes.

    CRE32: 0.05 % (CRE32.4 for corporate exposures, and retail ones), 0.10 % for revolvers among
    qualifying revolving retail exposures.
    """
    _known(exposure)
    return PD_FLOORS[exposure]


def lgd_floor(exposure: Exposure) -> float:
    """Return the least LGD that the capital formula takes.

    CRE32, advanced approach: 25 % for unsecured corporate exposures, 5 % for residential mortgages,
    50 % for qualifying revolving retail and 30 % for other unsecured retail exposures.
    """
    _known(exposure)
    return LGD_FLOORS[exposure]


def correlation(pd: npt.ArrayLike, exposure: Exposure) -> FloatArray:
    """Return the supervisory asset correlation.

    Parameters
    ----------
    exposure
        ``corporate`` (0.12 to 0.24 by PD), ``mortgage`` (0.15), ``revolving`` (qualifying revolving
        retail, 0.04) or ``retail`` (other retail, 0.03 to 0.16 by PD).
    """
    p = np.asarray(pd, dtype=float)
    _known(exposure)
    if exposure == "mortgage":
        return np.full(p.shape, 0.15)
    if exposure == "revolving":
        return np.full(p.shape, 0.04)
    low, high, speed = (0.12, 0.24, 50.0) if exposure == "corporate" else (0.03, 0.16, 35.0)
    weight = (1 - np.exp(-speed * p)) / (1 - np.exp(-speed))
    return np.asarray(low * weight + high * (1 - weight))


def capital_requirement(
    pd: npt.ArrayLike,
    lgd: npt.ArrayLike,
    exposure: Exposure = "retail",
    maturity: npt.ArrayLike = 2.5,
) -> FloatArray:
    """Return K, the capital for unexpected loss for each unit of EAD.

    Parameters
    ----------
    pd, lgd
        Shape (n,); raised to ``pd_floor`` and ``lgd_floor`` of the exposure class.
    maturity
        Effective maturity in years, taken within 1 to 5; corporate exposures alone are adjusted
        for it.
    """
    p = np.maximum(probabilities("pd", np.atleast_1d(pd)), pd_floor(exposure))
    loss = np.maximum(probabilities("lgd", lgd, len(p)), lgd_floor(exposure))
    r = correlation(p, exposure)
    # At a PD of 1 the loss is expected, not unexpected: K is 0.
    k = loss * (conditional_pd(p, r, ndtri(1 - CONFIDENCE)) - p)
    if exposure == "corporate":
        b = (0.11852 - 0.05478 * np.log(p)) ** 2
        years = np.clip(np.asarray(maturity, dtype=float), LEAST_YEARS, MOST_YEARS)
        k = k * (1 + (years - 2.5) * b) / (1 - 1.5 * b)
    return np.asarray(np.maximum(k, 0.0))


def risk_weighted_assets(
    ead: npt.ArrayLike,
    pd: npt.ArrayLike,
    lgd: npt.ArrayLike,
    exposure: Exposure = "retail",
    maturity: npt.ArrayLike = 2.5,
) -> FloatArray:
    """Return 12.5 K EAD for each loan, shape (n,), in money."""
    money = amounts("ead", ead)
    return np.asarray(12.5 * capital_requirement(pd, lgd, exposure, maturity) * money)


def _known(exposure: str) -> None:
    if exposure not in get_args(Exposure):
        raise InputRefused(
            f"no exposure class is called {exposure!r}",
            expected=", ".join(get_args(Exposure)),
            do=closest(exposure, get_args(Exposure)),
        )
