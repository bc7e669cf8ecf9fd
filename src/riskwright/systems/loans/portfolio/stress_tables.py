"""What stress does to a valued book: the scenarios, what carries one, and how far it has to go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from riskwright.case.usecase import Loan
from riskwright.systems.loans.portfolio import basel, stress, vasicek
from riskwright.systems.loans.portfolio.checks import FloatArray

BANDS = 4


@dataclass(frozen=True)
class StressResult:
    """What a scenario in the foreground does to a book, beside the shipped ones.

    Attributes
    ----------
    by_scenario
        One row a scenario.
    carriers
        What carries the rise of the loss, by every division of the book.
    figures
        Single figures of the report's headline.
    """

    by_scenario: pd.DataFrame
    carriers: pd.DataFrame
    figures: dict[str, Any]


def stress_book(
    loan: Loan,
    loans: pd.DataFrame,
    by: pd.DataFrame,
    rho: FloatArray,
    confidence: float,
    scenario: stress.Scenario,
) -> StressResult:
    """Put a valued book under stress, and push one scenario until the loss limit is reached.

    Parameters
    ----------
    loans, by, scenario
        As ``summary.summarise`` takes them.
    rho
        Asset correlation of each loan, shape (n,).
    """
    # A scenario without a shock (the base) breaks nothing: the severe one is pushed instead.
    pushed = scenario if any(scenario.shift()) else stress.SCENARIOS["severe"]
    limit = _limit(loan, loans)
    part = stress.reverse_stress(lambda t: float(stressed(loans, pushed, t)[0].sum()), limit)
    worse, *_ = stressed(loans, pushed, part or 1.0)
    carriers = stress.carriers(loans["el_status"], worse, _bands(loans, by))
    return StressResult(
        _stresses(loan, loans, rho, confidence, scenario),
        carriers,
        {
            "scenario": scenario.name,
            "pushed": pushed.name,
            "stressed_el": float(stressed(loans, scenario)[0].sum()),
            "loss_limit": limit,
            "reverse_part": part,
            "carried": stress.carried(carriers),
        },
    )


def stressed(
    loans: pd.DataFrame, scenario: stress.Scenario, part: float = 1.0
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return expected loss, PD and LGD of valued loans under a part of a scenario, shape (n,)."""
    p, lgd = stress.stressed(loans["pd_status"], loans["lgd"], scenario, part)
    return loans["ead"].to_numpy() * p * lgd, p, lgd


def _stresses(
    loan: Loan,
    loans: pd.DataFrame,
    rho: FloatArray,
    confidence: float,
    chosen: stress.Scenario,
) -> pd.DataFrame:
    rows = {}
    shown = dict(stress.SCENARIOS) | {chosen.name: chosen}
    base = float(stressed(loans, stress.SCENARIOS["base"])[0].sum())
    for name, scenario in shown.items():
        el, p, lgd = stressed(loans, scenario)
        k = basel.capital_requirement(p, lgd, loan.exposure, loans["effective_maturity"])
        rows[name] = {
            "drivers": _drivers(scenario),
            "from": stress.told(scenario),
            "pd": float((p * loans["ead"]).sum() / loans["ead"].sum()),
            "el": float(el.sum()),
            "times_base": float(el.sum()) / base if base else 1.0,
            "bad_year_asymptotic": float(
                vasicek.asymptotic_var(loans["ead"], p, lgd, rho, confidence).sum()
            ),
            "regulatory_capital": float((k * loans["ead"]).sum()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("scenario")


def outlook_table(loan: Loan, loans: pd.DataFrame, ecl: Mapping[str, float]) -> pd.DataFrame:
    """The scenarios of the booked loss: how likely, what moves, and what each would book."""
    rows = {}
    base = float(loans["ecl"].sum())
    for scenario in stress.outlooks(loan):
        p, _ = stress.stressed(loans["pd_status"], loans["lgd"], scenario)
        rows[scenario.name] = {
            "weight": scenario.weight,
            "drivers": _drivers(scenario),
            "from": stress.told(scenario),
            "pd": float((p * loans["ead"]).sum() / loans["ead"].sum()),
            "ecl": ecl.get(scenario.name, float("nan")),
            "of_booked": ecl.get(scenario.name, float("nan")) / base if base else float("nan"),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("scenario")


def _drivers(scenario: stress.Scenario) -> str:
    return ", ".join(f"{d} {v:+g}" for d, v in scenario.shocks.items()) or "none"


def _limit(loan: Loan, loans: pd.DataFrame) -> float:
    """The yearly loss that reverse stress looks for, in money."""
    if loan.loss_limit is not None:
        return loan.loss_limit * float(loans["balance"].sum())
    held = loan.pricing
    earned = loans["balance"] * (loans["rate"] - held.funding - held.cost)
    return max(0.0, float(earned.sum()))


def _bands(loans: pd.DataFrame, by: pd.DataFrame) -> pd.DataFrame:
    """The ways to divide the book, and bands of balance and PD."""
    out = by.astype(str)
    for name in ("balance", "pd"):
        out[f"{name} band"] = pd.qcut(loans[name], BANDS, duplicates="drop").astype(str).to_numpy()
    return out
