"""How good forecasts of a return are, against the historical mean, with their uncertainty.

All tables are by origin: the month at whose end the forecast was made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from riskwright.errors import InputRefused, closest
from riskwright.stats.comparison import (
    Floats,
    block_length,
    clark_west,
    cosine_terms,
    diebold_mariano,
    pesaran_timmermann,
    r2_interval,
    same,
)
from riskwright.systems.market.checks import BENCHMARK, matched
from riskwright.systems.market.recessions import state

REPS = 999  # bootstrap samples of the model confidence set and of SPA
WORST_YEARS = 20
DECEMBER = 12


@dataclass(frozen=True)
class Skill:
    """The skill of all families at one horizon.

    Attributes
    ----------
    h
        Horizon in months.
    origins
        First and last origin whose outcome is known.
    table
        One row a family, the benchmark first; see ``skill_table``.
    by_decade, by_state
        R² of each family by decade and in recession and expansion, with intervals; see
        ``by_period``.
    worst
        Each family's worst 20 consecutive years: ``first``, ``last``, ``r2``, ``r2_low``,
        ``r2_high``; empty if there are fewer years. Chosen for being the worst: a block named
        beforehand would look better.
    spa_p
        Chance of as good a best family if none were better than the benchmark (Hansen's test of
        superior predictive ability, J. of Business & Economic Statistics 23, 2005; consistent p).
    passed, detail, figures
        The gate's verdict about ``family``, see ``skill_gate``.
    """

    h: int
    origins: tuple[pd.Period, pd.Period]
    family: str
    table: pd.DataFrame
    by_decade: pd.DataFrame
    by_state: pd.DataFrame
    worst: pd.DataFrame
    spa_p: float | None
    passed: bool | None
    detail: str
    figures: dict[str, Any] = field(default_factory=dict)


def judge(
    forecasts: pd.DataFrame,
    actual: pd.Series,
    h: int,
    *,
    family: str = "ensemble",
    alpha: float = 0.05,
    seed: int = 0,
) -> Skill:
    """Judge forecasts against the historical mean.

    Parameters
    ----------
    forecasts, actual, h
        See ``checks.matched``.
    family
        The column that the gate judges.
    seed
        Of the bootstraps of the model confidence set and of SPA.

    Raises
    ------
    InputRefused
        What ``checks.matched`` refuses; an unknown family.
    """
    passed, detail, figures = skill_gate(forecasts, actual, h, alpha, family=family)
    found, known, _ = matched(forecasts, actual, h)
    origins = pd.PeriodIndex(found.index)
    confidence, spa_p = _compare_all(found, known, h, seed)
    table = skill_table(forecasts, actual, h).assign(mcs_p=confidence)
    decades = pd.Series((origins.year // 10 * 10).astype(str) + "s", index=origins)
    return Skill(
        h=h,
        origins=(origins[0], origins[-1]),
        family=family,
        table=table,
        by_decade=by_period(forecasts, actual, h, decades),
        by_state=by_period(forecasts, actual, h, state(origins)),
        worst=worst_blocks(forecasts, actual, h),
        spa_p=spa_p,
        passed=passed,
        detail=detail,
        figures=figures,
    )


def skill_gate(
    forecasts: pd.DataFrame,
    actual: pd.Series,
    h: int,
    alpha: float = 0.05,
    *,
    family: str = "ensemble",
) -> tuple[bool | None, str, dict[str, Any]]:
    """Decide whether a family has skill beyond the historical mean.

    It has if its R² out of sample is above zero and Clark and West's test, with the equal-weighted
    cosine variance, rejects at ``alpha``. On shuffled targets this says yes in at most ``alpha`` of
    the cases (benchmarks/market_placebo.py); Newey-West with h + 2 lags says it more often.

    Returns
    -------
    passed
        None if there are too few independent outcomes to tell, which is no yes.
    detail
        The verdict in words.
    figures
        What it rests on, ready for JSON; NaN is None.

    Raises
    ------
    InputRefused
        What ``checks.matched`` refuses; an unknown family.
    """
    found, known, mean = matched(forecasts, actual, h)
    if family not in found:
        raise InputRefused(
            f"there are no forecasts of {family!r}", do=closest(family, found.columns)
        )
    y, f = known.to_numpy(), found[family].to_numpy()
    terms = cosine_terms(len(y), h)
    figures: dict[str, Any] = {
        "family": family,
        "h": h,
        "months": len(y),
        "independent": len(y) // h,
        "alpha": alpha,
        "degrees_of_freedom": terms,
    }
    if same(mean, f, y):
        return False, f"the {family} is the historical mean: no skill beyond it", figures
    r2 = r2_interval(y, mean, f, h)
    test = clark_west(y, mean, f, h, robust=True)
    figures |= dict(zip(("r2", "r2_low", "r2_high"), r2, strict=True)) | {
        "statistic": _number(test.statistic),
        "p": _number(test.p),
        "p_newey_west": _number(clark_west(y, mean, f, h).p),
    }
    told = _skill_words(r2, test.p, len(y), h)
    if terms < 4:
        return None, f"not enough data to tell skill: {told}", figures
    passed = bool(r2[0] > 0 and test.p < alpha)
    verdict = "skill beyond the historical mean" if passed else "no skill beyond the mean"
    return passed, f"{verdict}: {told}", figures


def _skill_words(r2: tuple[float, float, float], p: float, months: int, h: int) -> str:
    told = (
        f"R² out of sample {r2[0]:+.1%} ({r2[1]:+.1%} to {r2[2]:+.1%}), Clark-West p by cosines "
        f"{p:.3f}, {months} months"
    )
    return told + (f", about {months // h} independent outcomes" if h > 1 else "")


def skill_table(forecasts: pd.DataFrame, actual: pd.Series, h: int) -> pd.DataFrame:
    """Return one row a family, the benchmark first.

    Columns: ``r2``, ``r2_low``, ``r2_high`` (out of sample, 95 % interval); ``clark_west_p``
    (one-sided, Newey-West h + 2) and ``robust_p`` (the same by cosines: what the gate reads);
    ``mae``, ``rmse`` (in units of the return); ``dm``, ``dm_p`` (Diebold-Mariano of the squared
    errors, two-sided, positive is better than the mean) and ``dm_mae``, ``dm_mae_p`` (of the
    absolute ones); ``hit_rate`` and ``pt_p`` (share of right signs,
    Pesaran-Timmermann; NaN if the sign never changes); ``r2_december`` at h = 12: from the
    Decembers alone, whose targets don't overlap.
    """
    found, known, mean = matched(forecasts, actual, h)
    y = known.to_numpy()
    rows = {}
    december = pd.PeriodIndex(found.index).month == DECEMBER
    for name in [BENCHMARK, *(c for c in found if c != BENCHMARK)]:
        f = found[name].to_numpy()
        r2, low, high = r2_interval(y, mean, f, h)
        dm = diebold_mariano(y, mean, f, h)
        dm_mae = diebold_mariano(y, mean, f, h, absolute=True)
        rows[name] = {
            "r2": r2,
            "r2_low": low,
            "r2_high": high,
            "clark_west_p": clark_west(y, mean, f, h).p,
            "robust_p": clark_west(y, mean, f, h, robust=True).p,
            "mae": float(np.mean(np.abs(y - f))),
            "rmse": float(np.sqrt(np.mean((y - f) ** 2))),
            "dm": dm.statistic,
            "dm_p": dm.p,
            "dm_mae": dm_mae.statistic,
            "dm_mae_p": dm_mae.p,
            "hit_rate": float(np.mean((y > 0) == (f > 0))),
            "pt_p": pesaran_timmermann(y, f, h).p,
        }
        if h == DECEMBER:
            # One outcome a year: a horizon of one row.
            rows[name]["r2_december"] = r2_interval(y[december], mean[december], f[december], 1)[0]
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("family")


def by_period(
    forecasts: pd.DataFrame, actual: pd.Series, h: int, labels: pd.Series
) -> pd.DataFrame:
    """Return R² and its interval of each family in each period.

    Parameters
    ----------
    labels
        The period of each origin; missing: none.

    Returns
    -------
    One row a period and family: ``months``, ``r2``, ``r2_low``, ``r2_high``. Where a period's
    months follow each other, the interval is from them alone (few of them: a wide one).
    """
    found, known, mean = matched(forecasts, actual, h)
    y = known.to_numpy()
    labels = labels.reindex(found.index)
    rows = []
    for period in labels.dropna().unique():
        inside = (labels == period).to_numpy()
        where = np.flatnonzero(inside)
        whole = bool(where[-1] - where[0] + 1 == len(where))
        for name in found.columns.drop(BENCHMARK):
            f = found[name].to_numpy()
            part: tuple[float, float, float] = (
                r2_interval(y[inside], mean[inside], f[inside], h)
                if whole
                else r2_interval(y, mean, f, h, only=inside)
            )
            rows.append((period, name, len(where), *part))
    columns = ["period", "family", "months", "r2", "r2_low", "r2_high"]
    return pd.DataFrame(rows, columns=columns).set_index(["period", "family"])


def worst_blocks(
    forecasts: pd.DataFrame, actual: pd.Series, h: int, *, years: int = WORST_YEARS
) -> pd.DataFrame:
    """Return each family's worst block of consecutive years, with the interval of its R²."""
    found, known, mean = matched(forecasts, actual, h)
    y, length = known.to_numpy(), 12 * years
    rows = {}
    if len(y) >= length:
        for name in found.columns.drop(BENCHMARK):
            f = found[name].to_numpy()
            start = int(
                np.argmin(1 - _rolling((y - f) ** 2, length) / _rolling((y - mean) ** 2, length))
            )
            block = slice(start, start + length)
            r2, low, high = r2_interval(y[block], mean[block], f[block], h)
            rows[name] = {
                "first": found.index[start],
                "last": found.index[start + length - 1],
                "r2": r2,
                "r2_low": low,
                "r2_high": high,
            }
    columns = ["first", "last", "r2", "r2_low", "r2_high"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("family")


def _rolling(values: Floats, length: int) -> Floats:
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(total[length:] - total[:-length])


def _compare_all(
    found: pd.DataFrame, known: pd.Series, h: int, seed: int
) -> tuple[pd.Series, float | None]:
    """Return each family's p in the model confidence set, and SPA's p against the benchmark.

    Model confidence set: Hansen, Lunde and Nason, Econometrica 79, 2011. A family is in the 90 %
    set if its p is at least 0.1. Forecasts that equal an earlier one share its p: a difference of
    zero has no variance.
    """
    from arch.bootstrap import MCS, SPA

    y = known.to_numpy()
    names = [BENCHMARK, *found.columns.drop(BENCHMARK)]
    twin: dict[str, str] = {}
    for name in names:
        f = found[name].to_numpy()
        earlier = (o for o in dict.fromkeys(twin.values()) if same(found[o].to_numpy(), f, y))
        twin[name] = next(earlier, name)
    kept = list(dict.fromkeys(twin.values()))
    if len(kept) == 1:
        return pd.Series(1.0, index=names), None
    losses = pd.DataFrame({n: (y - found[n].to_numpy()) ** 2 for n in kept})
    block = block_length(losses.to_numpy(), h)
    confidence = MCS(losses, 0.1, REPS, block, seed=seed)
    confidence.compute()
    spa = SPA(losses[BENCHMARK], losses[kept[1:]], block, REPS, seed=seed)
    spa.compute()
    of_kept = confidence.pvalues["Pvalue"]
    p = pd.Series({name: float(of_kept[twin[name]]) for name in names})
    return p, float(spa.pvalues["consistent"])


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
