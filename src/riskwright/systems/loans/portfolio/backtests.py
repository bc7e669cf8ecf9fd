"""Whether realised defaults contradict the PDs of the grades.

Tests of the PD of a rating grade: exact binomial; Jeffreys (European Central Bank, "Instructions
for reporting the validation results of internal models", 2019, section 2.5.3.1); Hosmer-Lemeshow
over all grades. Traffic lights with a correction for the number of grades (Holm, Scandinavian J.
of Statistics 6, 1979) and for defaults that come together (Basel Committee, Working Paper 14,
2005, chapter on the granularity-adjusted Vasicek test): in a bad year every grade has more
defaults, which a binomial test takes for a wrong PD.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from scipy.special import ndtri

from riskwright.errors import InputRefused
from riskwright.stats.calibration import hosmer_lemeshow
from riskwright.stats.several import holm
from riskwright.stats.stability import psi
from riskwright.systems.loans.portfolio.checks import FloatArray, probabilities
from riskwright.systems.loans.portfolio.vasicek import conditional_pd

YELLOW, RED = 0.05, 0.001  # corrected p-values from which a light is amber, and red
OFF = 0.01  # p-value of all grades together, below which a report says so
NODES = 4000  # equally likely years in the mean over the common factor


def by_grade(
    grade: npt.ArrayLike, pd_: npt.ArrayLike, default: npt.ArrayLike, *, rho: float = 0.0
) -> pd.DataFrame:
    """Test each grade's PD against its realised defaults.

    Parameters
    ----------
    grade, pd_, default
        Grade, PD and outcome (1 = default) of each loan, shape (n,).
    rho
        Asset correlation that the corrected light allows for.

    Returns
    -------
    DataFrame
        One row a grade, in the order of their PDs: ``loans``, ``defaults``, ``mean_pd``, ``rate``,
        ``binomial_p`` and ``jeffreys_p`` (one-sided: small says that the PD is too low),
        ``correlated_p`` (the binomial test if defaults share a factor), ``light`` by the binomial
        test and ``correlated_light`` by the correlated one, both corrected for the number of
        grades.
    """
    p = probabilities("pd", pd_)
    y = np.asarray(default)
    if y.shape != p.shape or not np.isin(y, (0, 1)).all():
        raise InputRefused("the outcomes aren't one 0 or 1 for each loan", expected="0 or 1")
    table = (
        pd.DataFrame({"grade": np.asarray(grade, dtype=str), "pd": p, "default": y.astype(int)})
        .groupby("grade")
        .agg(loans=("pd", "size"), defaults=("default", "sum"), mean_pd=("pd", "mean"))
        .sort_values("mean_pd")
    )
    n, d, rate = (table[c].to_numpy() for c in ("loans", "defaults", "mean_pd"))
    table["rate"] = d / n
    table["binomial_p"] = stats.binom.sf(d - 1, n, rate)
    table["jeffreys_p"] = stats.beta.cdf(rate, d + 0.5, n - d + 0.5)
    table["correlated_p"] = correlated_p(d, n, rate, rho)
    table["light"] = lights(table["binomial_p"].to_numpy())
    table["correlated_light"] = lights(table["correlated_p"].to_numpy())
    return table


def correlated_p(
    defaults: npt.ArrayLike, loans: npt.ArrayLike, pd_: npt.ArrayLike, rho: float
) -> FloatArray:
    """Return the probability of as many defaults or more, if they share one Gaussian factor.

    The binomial tail, averaged over equally likely years (in a large book the tail is a step in
    the factor, which Gauss-Hermite nodes would miss).
    """
    years = ndtri((np.arange(NODES) + 0.5) / NODES)
    p = conditional_pd(np.asarray(pd_)[:, None], rho, years[None, :])
    tail = stats.binom.sf(np.asarray(defaults)[:, None] - 1, np.asarray(loans)[:, None], p)
    return np.asarray(tail.mean(axis=1))


def off_by_grade(table: pd.DataFrame) -> str:
    """Say how far the grades' PDs are off, if that is no chance (``OFF``), and all loans together.

    Parameters
    ----------
    table
        Of ``by_grade``: ``loans``, ``defaults``, ``mean_pd``, ``rate``.

    Returns
    -------
    One sentence; empty if the grades aren't off. Loans are taken for independent.
    """
    n, d, mean = (table[c].to_numpy(dtype=float) for c in ("loans", "defaults", "mean_pd"))
    p = hosmer_lemeshow(d, n, mean).p_value
    if p >= OFF:
        return ""
    expected, came, all_ = float(n @ mean), float(d.sum()), float(n.sum())
    spread = float(np.sqrt(n @ (mean * (1 - mean))))
    level = float(2 * stats.norm.sf(abs(came - expected) / spread))
    grades = ", ".join(
        f"{name} {row['mean_pd']:.2%} for {row['rate']:.2%}"
        for name, row in table.iloc[[0, -1]].iterrows()
    )
    return (
        f"on the test loans the PDs of the lender's grades are off (p {p:.2g}), and with them "
        f"loss, stage and price by grade: {grades} observed; all loans together "
        f"{expected / all_:.2%} for {came / all_:.2%} (p {level:.2g}, loans taken for independent)"
    )


def lights(p_values: npt.ArrayLike) -> list[str]:
    """Return green, amber or red for each p-value, corrected for their number (Holm)."""
    adjusted = holm(p_values)
    return ["red" if p < RED else "amber" if p < YELLOW else "green" for p in adjusted]


def migration(before: pd.Series, after: pd.Series) -> pd.DataFrame:
    """Count how loans moved between grades.

    Parameters
    ----------
    before, after
        Grade by loan id at two dates; ``after`` may hold ``default`` and ``repaid``. Loans that
        are in one of them alone are counted as ``new`` and ``gone``.

    Returns
    -------
    DataFrame
        Counts, grades before as rows and after as columns.
    """
    for name, found in (("before", before), ("after", after)):
        if not found.index.is_unique:
            raise InputRefused(
                f"a loan is there twice {name}",
                where=str(found.index[found.index.duplicated()][0]),
                expected="one grade for each loan",
            )
    both = pd.DataFrame({"before": before, "after": after})
    return pd.crosstab(both["before"].fillna("new"), both["after"].fillna("gone"))


def stability(
    segment: npt.ArrayLike, vintage: npt.ArrayLike, base: object, *, floor: float = 1e-4
) -> pd.Series:
    """Return the population stability index of each vintage's mix against a base vintage.

    Above 0.25 is called a shift, by convention. Shares below ``floor`` count as ``floor``.
    """
    shares = pd.crosstab(np.asarray(vintage), np.asarray(segment), normalize="index")
    if base not in shares.index:
        raise InputRefused(
            f"there is no vintage {base!r}", expected=", ".join(map(str, shares.index[:12]))
        )
    held = np.maximum(shares.to_numpy(), floor)
    found = psi(held[shares.index.get_loc(base)], held)
    return pd.Series(found, index=shares.index.rename("vintage"), name="psi")
