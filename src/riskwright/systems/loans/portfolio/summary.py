"""What a risk officer reads about a valued book: every table of the report, and where it stands.

Plain tables and numbers, no drawing: ``report`` makes the page of them, and the files beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from riskwright.case.usecase import Loan
from riskwright.systems.loans.portfolio import (
    basel,
    concentration,
    expected,
    losses,
    pricing,
    stress,
    vasicek,
    waterfall,
)
from riskwright.systems.loans.portfolio.checks import FloatArray
from riskwright.systems.loans.portfolio.stress_tables import (
    StressResult,
    outlook_table,
    stress_book,
)

FEWEST_SCENARIOS, MOST_SCENARIOS = 10_000, 50_000
BEYOND = 20  # scenarios wanted beyond the VaR
FEW_NAMES = 0.1  # of the scenarios that one beyond the VaR stands for: fewer names are lumpy
SMALLEST = 1e-12


@dataclass(frozen=True)
class Summary:
    """The figures of one report, in money and shares.

    Attributes
    ----------
    headline
        Single figures by name.
    distribution
        Simulated losses.
    groups
        Title to expected loss by group (``expected.by_group``).
    tables
        Title to any other table, in the order of the page.
    steps
        The waterfall since the last report; None if this is the first.
    notes
        What a reader has to know.
    """

    headline: dict[str, Any]
    distribution: losses.LossDistribution
    groups: dict[str, pd.DataFrame]
    tables: dict[str, pd.DataFrame]
    steps: pd.Series | None
    notes: list[str] = field(default_factory=list)


def summarise(
    loan: Loan,
    loans: pd.DataFrame,
    by: pd.DataFrame,
    *,
    members_el: FloatArray,
    weights: FloatArray,
    errors: Mapping[str, float],
    scenario_ecl: Mapping[str, float],
    confidence: float,
    scenario: stress.Scenario,
    status: str,
    before: pd.DataFrame | None,
    progress: Callable[[float], None] | None = None,
) -> Summary:
    """Work out the report of a valued book.

    Parameters
    ----------
    loan
        The use case's money.
    loans
        ``bundle.valuation.Valued.loans``, and ``rate``, ``effective_maturity`` and ``id``.
    by
        One column for each way to divide the book, of the same rows; the first one divides the
        loss distribution.
    members_el, weights, errors, scenario_ecl
        As ``Valued`` holds them.
    scenario
        The stress in the foreground; the shipped ones are shown beside it.
    status
        Of the model: green, amber or red.
    before
        The last report's main segments (``segments_for_waterfall``); None if there is none.
    progress
        Called with the fraction done.
    """
    rho = _correlation(loan, loans)
    main = by.iloc[:, 0].astype(str)
    found = _bad_years(loans, main, rho, confidence, progress)
    shaken = stress_book(loan, loans, by, rho, confidence, scenario)
    every = {**errors, "level": _level_error(loans, rho)}
    headline = _headline(loan, loans, found, members_el, weights, every, rho)
    alone = expected.el_interval(loans["el"], members_el, weights, errors, most=headline["ead"])
    headline |= {"el_models_low": alone[1], "el_models_high": alone[2], "status": status}
    headline |= {"ecl": float(loans["ecl"].sum())}
    headline |= {f"ecl_{name}": value for name, value in scenario_ecl.items()} | shaken.figures
    notes = [found.warning] if found.warning else _lumpy(headline["effective_names"], confidence)
    return Summary(
        headline,
        found,
        {n: expected.by_group(loans, members_el, weights, by[n], every) for n in by.columns},
        _tables(loan, loans, main, found, shaken, scenario_ecl),
        waterfall.waterfall(before, segments_for_waterfall(loans, main))
        if before is not None
        else None,
        notes + _beyond(shaken.by_scenario, found),
    )


def _correlation(loan: Loan, loans: pd.DataFrame) -> FloatArray:
    """Asset correlation of each loan: the use case's, or by the capital formula."""
    if loan.rho is not None:
        return np.full(len(loans), loan.rho)
    return basel.correlation(loans["pd"], loan.exposure)


def _level_error(loans: pd.DataFrame, rho: FloatArray) -> float:
    """Relative error by good and bad years; what has happened, happens in each year."""
    moves = np.where(loans["stage"] < 3, rho, 0.0)
    return expected.level_error(loans["ead"], loans["pd"], loans["lgd"], moves)


def _bad_years(
    loans: pd.DataFrame,
    segment: pd.Series,
    rho: FloatArray,
    confidence: float,
    progress: Callable[[float], None] | None,
) -> losses.LossDistribution:
    return losses.simulate(
        loans["ead"],
        loans["pd"],
        loans["lgd"],
        rho,
        segment=segment,
        scenarios=round(np.clip(BEYOND / (1 - confidence), FEWEST_SCENARIOS, MOST_SCENARIOS)),
        confidence=confidence,
        progress=progress,
    )


def _tables(
    loan: Loan,
    loans: pd.DataFrame,
    segment: pd.Series,
    found: losses.LossDistribution,
    shaken: StressResult,
    scenario_ecl: Mapping[str, float],
) -> dict[str, pd.DataFrame]:
    """Every table but those by group, in the order of the page."""
    return {
        "Stress": shaken.by_scenario,
        "What carries the stress": shaken.carriers,
        "Booked loss by scenario": outlook_table(loan, loans, scenario_ecl),
        "Contributions to a bad year": found.segments.assign(
            share_of_var=found.segments["var_contribution"] / found.var if found.var else 0.0
        ),
        "Stages": _stages(loans),
        "Price": _price_table(loans, segment),
        "Cut-offs": _cutoffs(loans),
        "Largest loans": concentration.top_names(loans["id"], loans["balance"]),
        "Concentration": concentration.by_segment(segment, loans["balance"]),
    }


def segments_for_waterfall(loans: pd.DataFrame, segment: pd.Series) -> pd.DataFrame:
    """Return each segment's ``ead``, ``pd``, ``lgd`` and ``overlay``: what the next report needs.

    The status's margin on the PD and its overlay are one step, ``overlay``.
    """
    sums = pd.DataFrame(
        {
            "ead": loans["ead"],
            "defaulting": loans["pd"] * loans["ead"],
            "el": loans["el"],
            "overlay": loans["el_status"] - loans["el"] + loans["overlay"],
        }
    )
    sums = sums.groupby(segment.astype(str).to_numpy()).sum().rename_axis("segment")
    table = sums[["ead", "overlay"]].copy()
    table["pd"] = (sums["defaulting"] / sums["ead"]).fillna(0.0)
    table["lgd"] = (sums["el"] / sums["defaulting"]).fillna(0.0)
    return table[["ead", "pd", "lgd", "overlay"]]


def _lumpy(names: float, confidence: float) -> list[str]:
    """Say so where single defaults decide a bad year."""
    if names >= FEW_NAMES / (1 - confidence):
        return []
    return [
        f"the book counts as {names:.0f} equal loans: single defaults decide a year of 1 in "
        f"{1 / (1 - confidence):,.0f}, and simulation error dominates its loss and who carries it"
    ]


def _beyond(stresses: pd.DataFrame, found: losses.LossDistribution) -> list[str]:
    """Say so where a scenario costs more than the bad year of the loss distribution.

    The scenarios' PDs hold the margin for the model's alerts, the distribution's don't: it is put
    on the bad year as it is on the asymptotic one.
    """
    with_margin = float(stresses["bad_year_asymptotic"]["base"])
    margin = with_margin / found.asymptotic_var if found.asymptotic_var else 1.0
    more = stresses.index[stresses["el"] > found.var * margin].astype(str)
    if more.empty:
        return []
    held = f" (times {margin:.2f}, the margin for the model's status)" if margin > 1.005 else ""
    return [
        f"{', '.join(more)}: the expected loss under stress is above the loss of a year of 1 in "
        f"{1 / (1 - found.confidence):,.0f}{held}. The two don't rest on the same thing: what a "
        "scenario does to the PD is stated, and cautious; the bad year rests on the asset "
        "correlation of the capital formula (or loan.rho). Neither is estimated from this book"
    ]


def _headline(
    loan: Loan,
    loans: pd.DataFrame,
    found: losses.LossDistribution,
    members_el: FloatArray,
    weights: FloatArray,
    errors: Mapping[str, float],
    rho: FloatArray,
) -> dict[str, Any]:
    most = float(loans["ead"].sum())
    el, low, high = expected.el_interval(loans["el"], members_el, weights, errors, most=most)
    years = loans["effective_maturity"]
    k = basel.capital_requirement(loans["pd"], loans["lgd"], loan.exposure, years)
    k_status = basel.capital_requirement(loans["pd_status"], loans["lgd"], loan.exposure, years)
    balance = float(loans["balance"].sum())
    herfindahl = concentration.herfindahl(loans["balance"])
    with_status = float((loans["el_status"] + loans["overlay"]).sum())
    granularity = vasicek.granularity_adjustment(
        loans["ead"], loans["pd"], loans["lgd"], rho, found.confidence
    )
    return {
        "currency": loan.currency,
        "loans": len(loans),
        "balance": balance,
        "ead": float(loans["ead"].sum()),
        "el": el,
        "el_low": low,
        "el_high": high,
        "el_rate": el / balance,
        "el_rate_low": low / balance,
        "el_rate_high": high / balance,
        "el_with_status": with_status,
        "pd": float((loans["pd"] * loans["ead"]).sum() / loans["ead"].sum()),
        "lgd": float(loans["el"].sum() / max((loans["pd"] * loans["ead"]).sum(), SMALLEST)),
        "confidence": found.confidence,
        "var": found.var,
        "var_low": found.var_low,
        "var_high": found.var_high,
        "shortfall": found.shortfall,
        "shortfall_se": found.shortfall_se,
        "asymptotic_var": found.asymptotic_var,
        "granularity": granularity if np.isfinite(granularity) else None,
        "economic_capital": found.var - found.expected_loss,
        "regulatory_capital": float((k * loans["ead"]).sum()),
        "regulatory_capital_with_status": float((k_status * loans["ead"]).sum()),
        "risk_weighted_assets": float((12.5 * k * loans["ead"]).sum()),
        "herfindahl": herfindahl,
        "effective_names": 1 / herfindahl,
        **{f"error_{name}": value for name, value in errors.items()},
    }


def _stages(loans: pd.DataFrame) -> pd.DataFrame:
    table = loans.groupby("stage").agg(
        loans=("balance", "size"),
        balance=("balance", "sum"),
        ecl_12m=("ecl_12m", "sum"),
        ecl_lifetime=("ecl_lifetime", "sum"),
        ecl=("ecl", "sum"),
    )
    table["coverage"] = table["ecl"] / table["balance"]
    return table


def _price_table(loans: pd.DataFrame, segment: pd.Series) -> pd.DataFrame:
    """Rates and prices by segment, weighted by balance; loans without a price are counted."""
    names = segment.astype(str).to_numpy()

    def mean(column: str) -> pd.Series:
        weight = loans["balance"].where(loans[column].notna())
        total = weight.groupby(names).sum()
        return (loans[column] * weight).groupby(names).sum() / total.where(total > 0)

    return pd.DataFrame(
        {
            "loans": loans.groupby(names).size(),
            "rate": mean("rate"),
            "price": mean("price"),
            "price_cautious": mean("price_cautious"),
            "share_that_earns": (loans["rate"] >= loans["price"]).groupby(names).mean(),
            "without_price": loans["price"].isna().groupby(names).sum(),
        }
    ).rename_axis("segment")


def _cutoffs(loans: pd.DataFrame) -> pd.DataFrame:
    """Approvals and profit by cut-off on the PD: the cut-off is a decision about money."""
    return pricing.cutoff_table(loans["pd"], loans["balance"], loans["worth"])
