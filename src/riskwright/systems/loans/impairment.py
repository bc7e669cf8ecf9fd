"""IFRS 9: the stage of each loan and its expected credit loss, weighted over the scenarios.

All scenarios rest on one term structure: a scenario moves the log-odds of the PD within twelve
months and of the rest of the loan's life, and of the LGD (``portfolio.stress``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskwright.systems.loans.portfolio import staging, stress
from riskwright.systems.loans.portfolio.checks import FloatArray
from riskwright.systems.loans.portfolio.status import Status, pd_with_margin

YEAR = 12
SMALLEST = 1e-9


@dataclass(frozen=True)
class Outlook:
    """What is expected of loans, before any scenario.

    Attributes
    ----------
    marginal, owed
        Chance of failing in each month to come and what is owed then, shape (n, months).
    share
        LGD, shape (n,).
    years
        To maturity, shape (n,).
    """

    marginal: FloatArray
    owed: FloatArray
    share: FloatArray
    years: FloatArray

    @property
    def pd(self) -> FloatArray:
        """PD within a year, shape (n,)."""
        found: FloatArray = self.marginal[:, :YEAR].sum(axis=1)
        return found

    @property
    def pd_lifetime(self) -> FloatArray:
        """PD over the rest of the life, shape (n,)."""
        return np.asarray(np.minimum(self.marginal.sum(axis=1), 1.0))


@dataclass(frozen=True)
class Impairment:
    """Stages and expected credit losses of loans, shape (n,) each.

    Attributes
    ----------
    stage
        1, 2 or 3.
    ecl, ecl_12m, ecl_lifetime
        Weighted over the scenarios: that of the loan's stage, and of stages 1 and 2 for all.
    by_scenario
        Scenario to that of the loan's stage.
    """

    stage: npt.NDArray[np.signedinteger]
    ecl: FloatArray
    ecl_12m: FloatArray
    ecl_lifetime: FloatArray
    by_scenario: dict[str, FloatArray]


def impair(
    outlook: Outlook,
    *,
    pd_then: FloatArray,
    days_past_due: FloatArray,
    discount: FloatArray,
    status: Status,
    scenarios: Sequence[stress.Scenario],
) -> Impairment:
    """Stage loans by how their lifetime PD rose, and book what each stage expects to lose.

    Parameters
    ----------
    pd_then
        Lifetime PD over the rest of the life as it was seen when the loan was made, shape (n,).
    days_past_due, discount
        And the yearly rate that losses are discounted at, shape (n,).
    status
        Of the model: its margin is on every PD.
    scenarios
        With weights that sum to one.
    """
    year, life, share = outlook.pd, outlook.pd_lifetime, outlook.share
    pd_status, life_status = pd_with_margin(year, status), pd_with_margin(life, status)
    now, then = np.zeros(len(year)), np.zeros(len(year))
    moved: dict[str, tuple[FloatArray, FloatArray]] = {}
    for scenario in scenarios:
        soon, lost = stress.stressed(pd_status, share, scenario)
        ever, _ = stress.stressed(life_status, share, scenario)
        moved[scenario.name] = (_scale(outlook.marginal, year, life, soon, ever), lost)
        now += scenario.weight * ever
        # Like with like: the scenarios weigh on both sides.
        then += scenario.weight * stress.stressed(pd_then, share, scenario)[0]
    stage = staging.stages(np.clip(now, 0, 1), np.clip(then, 0, 1), outlook.years, days_past_due)
    ecl = {}
    one_year, lifetime = np.zeros(len(year)), np.zeros(len(year))
    for scenario in scenarios:
        marginal, lost = moved[scenario.name]
        by_stage = [
            staging.expected_credit_loss(
                marginal, outlook.owed, lost, discount, np.full(len(year), s)
            )
            for s in (1, 2, 3)
        ]
        ecl[scenario.name] = np.choose(stage - 1, by_stage)
        one_year += scenario.weight * by_stage[0]
        lifetime += scenario.weight * by_stage[1]
    booked = sum(s.weight * v for s, v in zip(scenarios, ecl.values(), strict=True))
    return Impairment(stage, np.asarray(booked), one_year, lifetime, ecl)


def _scale(
    marginal: FloatArray, year: FloatArray, life: FloatArray, soon: FloatArray, ever: FloatArray
) -> FloatArray:
    """The term structure, moved so that the year's PD is ``soon`` and the lifetime's ``ever``."""
    moved = marginal.copy()
    ever = np.maximum(ever, soon)
    moved[:, :YEAR] *= (soon / np.maximum(year, SMALLEST))[:, None]
    moved[:, YEAR:] *= ((ever - soon) / np.maximum(life - year, SMALLEST))[:, None]
    return moved
