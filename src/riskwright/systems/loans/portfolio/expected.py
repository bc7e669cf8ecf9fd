"""Expected loss of a book by group, with an interval that carries what the models don't know.

The interval is for what the loans are to lose given the year, not for the luck of single loans
(that, too, is in the loss distribution). Its sources are independent in what they rest on and are
added in variance: the members of the PD ensemble disagree; the level and timing of the PD, the LGD
and the EAD were estimated on so many loans and no more; and the level moves from year to year
(``level_error``), which is most of it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from riskwright.errors import InputRefused
from riskwright.systems.loans.portfolio.checks import FloatArray, amounts
from riskwright.systems.loans.portfolio.vasicek import conditional_pd

LEVEL = 0.95


def el_interval(
    el: npt.ArrayLike,
    members_el: npt.ArrayLike,
    weights: npt.ArrayLike,
    errors: Mapping[str, float],
    *,
    level: float = LEVEL,
    most: float = np.inf,
) -> tuple[float, float, float]:
    """Return the expected loss of loans with its interval.

    Parameters
    ----------
    el
        Expected loss of each loan, in money, shape (n,).
    members_el
        The same by each member of the ensemble, shape (members, n).
    weights
        How much each member counts, shape (members,), summing to one.
    errors
        Relative standard errors of what all loans share: ``pd``, ``lgd``, ``ead`` …
    most
        What the loans can lose, in money.

    Returns
    -------
    Expected loss, low, high. Log-normal with the expected loss as its mean: the middle of the
    interval, the median, lies below the mean by half the variance, since a bad year loses more than
    a good one spares.
    """
    total = float(amounts("expected loss", el).sum())
    if total <= 0:
        return total, total, total
    members = np.asarray(members_el, dtype=float).sum(axis=1)
    w = np.asarray(weights, dtype=float)
    if members.shape != w.shape:
        raise InputRefused(f"{len(members)} members and {len(w)} weights", expected="as many")
    spread = float(np.sqrt(w @ (members - w @ members) ** 2)) / total
    relative = float(np.sqrt(spread**2 + sum(e**2 for e in errors.values())))
    reach = float(ndtri((1 + level) / 2)) * relative
    # Of absurdly large errors the upper end would come down again.
    median = total * float(np.exp(-min(relative**2 / 2, reach / 2)))
    return total, median * float(np.exp(-reach)), min(median * float(np.exp(reach)), most)


def level_error(
    ead: npt.ArrayLike, pd_: npt.ArrayLike, lgd: npt.ArrayLike, rho: npt.ArrayLike
) -> float:
    """Return how far the level of a year's loss lies from its mean, as a relative standard error.

    One Gaussian factor moves all loans of a year (``vasicek``): half the logarithm of the loss's
    95 % range over the factor, by the normal quantile. ``benchmarks/rolling_origins.py`` measured
    on a lender's own history that the correlation of the capital formula covers what came, and
    that what a lender has seen of his own young loans doesn't tell it.

    Parameters
    ----------
    ead, pd_, lgd, rho
        Of each loan, shape (n,).
    """
    money = np.asarray(ead, dtype=float) * np.asarray(lgd, dtype=float)
    reach = float(ndtri((1 + LEVEL) / 2))
    bad, good = (float(money @ conditional_pd(pd_, rho, z)) for z in (-reach, reach))
    return float(np.log(bad / good)) / (2 * reach) if good > 0 else 0.0


def by_group(
    loans: pd.DataFrame,
    members_el: npt.NDArray[np.float64],
    weights: FloatArray,
    group: npt.ArrayLike,
    errors: Mapping[str, float],
) -> pd.DataFrame:
    """Return what each group of loans is expected to lose.

    ``errors`` are those of the whole book: what is special about a small group isn't in its
    interval.

    Parameters
    ----------
    loans
        ``balance``, ``ead``, ``pd``, ``lgd``, ``el``, one row a loan, in money and shares.
    members_el, weights, errors
        As ``el_interval`` takes them.
    group
        Name of each loan's group, shape (n,).

    Returns
    -------
    DataFrame
        By group: ``loans``, ``balance``, ``ead``, ``pd`` (weighted by EAD) and ``lgd`` (so that
        EL = ead x pd x lgd), ``el``, ``el_low``, ``el_high``, ``el_rate`` of the balance; the
        largest loss first.
    """
    names, of = np.unique(np.asarray(group, dtype=str), return_inverse=True)
    rows = []
    for number in range(len(names)):
        mine = of == number
        part = loans[mine]
        ead = float(part["ead"].sum())
        el, low, high = el_interval(part["el"], members_el[:, mine], weights, errors, most=ead)
        pd_ = float((part["pd"] * part["ead"]).sum() / ead) if ead else 0.0
        rows.append(
            {
                "loans": len(part),
                "balance": float(part["balance"].sum()),
                "ead": ead,
                "pd": pd_,
                "lgd": el / (ead * pd_) if ead * pd_ else 0.0,
                "el": el,
                "el_low": low,
                "el_high": high,
            }
        )
    table = pd.DataFrame(rows, index=pd.Index(names, name="group"))
    table["el_rate"] = table["el"] / table["balance"]
    return table.sort_values("el", ascending=False, kind="stable")
