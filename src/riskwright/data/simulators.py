"""Simulated data sets with a known true PD and named changes with a known onset.

``docs/reference/simulator.md`` describes the process, the figures it is calibrated to, and what
each scenario changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from riskwright.data import credit_applications, loan_book
from riskwright.errors import InputRefused, closest

SCENARIOS = ("none", "recession", "new_channel", "broken_feed", "concept_change")


class _Simulator(Protocol):
    def __call__(
        self, rows: int, seed: int, *, scenario: str, months: int, onset: int, strength: float
    ) -> tuple[pd.DataFrame, np.ndarray]: ...


SIMULATORS: dict[str, _Simulator] = {
    "credit_applications": credit_applications.simulate,
    "loan_book": loan_book.simulate,
}
MONTHS = {"credit_applications": 6, "loan_book": loan_book.MONTHS}  # cohorts, if not said


@dataclass(frozen=True)
class Simulated:
    """Simulated rows and what only a simulator knows.

    Attributes
    ----------
    frame
        The rows, canonical, with the target and the cohort month.
    true_pd
        Shape (rows,): the exact probability each label was drawn from.
    scenario
        What changed.
    onset
        Number of the first changed cohort (0 is the first month); None if nothing changed.
    """

    frame: pd.DataFrame
    true_pd: np.ndarray
    scenario: str
    onset: int | None


def simulate(
    name: str,
    rows: int,
    seed: int,
    *,
    scenario: str = "none",
    months: int | None = None,
    onset: int | None = None,
    strength: float = 1.0,
) -> Simulated:
    """Simulate a data set.

    Row i of a seed is the same whatever ``rows`` is, and rows in cohorts before the onset are the
    same in every scenario.

    Parameters
    ----------
    name
        A name in ``SIMULATORS``.
    rows
        How many rows.
    seed
        A whole number from 0 up; the same seed gives the same rows.
    scenario
        A name in ``SCENARIOS``: ``none``; ``recession`` (PDs rise, statuses worsen);
        ``new_channel`` (a mix shift to younger applicants with lower limits); ``broken_feed``
        (a unit fault in PAY_AMT1, missing limits, an unknown education code; PDs unchanged);
        ``concept_change`` (the signs of all effects turn round in the top quartile of limits;
        the inputs are unchanged). Of loans, see ``loan_book``.
    months
        Number of monthly cohorts (6 for applications, 48 for loans if left out); row i belongs to
        cohort ``i % months``.
    onset
        Number of the first changed cohort; ``months // 2`` if left out.
    strength
        Size of the change; 0 is no change, 1 what the documentation describes.

    Raises
    ------
    InputRefused
        If the name, the scenario or a number can't be used.
    """
    _known("simulator", name, tuple(SIMULATORS))
    _known("scenario", scenario, SCENARIOS)
    months = MONTHS[name] if months is None else months
    first = months // 2 if onset is None else onset
    for what, bad, expected in (
        (f"{rows} rows", rows < 1, "1 or more"),
        (f"seed {seed}", seed < 0, "0 or more"),
        (f"{months} months", months < 1, "1 or more"),
        (f"onset {first}", not 0 <= first < max(months, 1), f"0 to {months - 1}"),
        (f"strength {strength}", not 0 <= strength < np.inf, "0 or more"),
    ):
        if bad:
            raise InputRefused(f"the simulator can't use {what}", expected=expected)
    frame, true_pd = SIMULATORS[name](
        rows, seed, scenario=scenario, months=months, onset=first, strength=strength
    )
    return Simulated(frame, true_pd, scenario, None if scenario == "none" else first)


def _known(what: str, name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        raise InputRefused(
            f"no {what} is called {name!r}",
            expected=", ".join(names),
            do=closest(name, names) or f"choose one of them as the {what}",
        )
