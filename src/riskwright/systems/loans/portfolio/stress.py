"""Stress: macro scenarios shift PD and LGD, and reverse stress asks how much would break a limit.

The mapping is stated, not estimated from the book: each driver moves the log-odds of the PD and of
the LGD by so much a unit (``SENSITIVITIES``). It is cautious by intent: three more points of
unemployment alone double a retail PD, and drivers that move together add up. Unemployment in
the United States rose from 4.4 % in May 2007 to 10.0 % in October 2009 (UNRATE of FRED-MD), and the
charge-off rate of banks' credit cards from 3.9 % in the first quarter of 2007 to 10.7 % in the
second of 2010 (Federal Reserve, "Charge-off and Delinquency Rates on Loans and Leases", the first
not seasonally adjusted, the second as published in August 2010): odds times 2.9. What is stated
here has times 3.8 for these 5.6 points alone, and 'severe', with six points and the fall of output
and house prices beside them, times 11.7: a stress beyond what those years did, and no estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit

from riskwright.case.loan import OUTLOOKS, Loan, Outlook
from riskwright.errors import InputRefused, closest
from riskwright.systems.loans.portfolio.checks import FloatArray, probabilities

SMALL = 0.05  # of the loss before: smaller groups don't carry a stress
CARRIES = 1.2  # lift from which a group does


@dataclass(frozen=True)
class Sensitivity:
    """What one unit of a driver adds to the log-odds of the PD and of the LGD."""

    unit: str
    pd: float
    lgd: float


SENSITIVITIES = {
    "unemployment": Sensitivity("percentage points above today", 0.24, 0.05),
    "gdp_growth": Sensitivity("percentage points above today", -0.10, -0.02),
    "house_prices": Sensitivity("percent above today", -0.010, -0.020),
    "policy_rate": Sensitivity("percentage points above today", 0.06, 0.0),
}


@dataclass(frozen=True)
class Scenario:
    """A named set of shocks, in each driver's unit, and its weight among the scenarios."""

    name: str
    shocks: Mapping[str, float]
    weight: float = 0.0

    def __post_init__(self) -> None:
        for driver, size in self.shocks.items():
            if not np.isfinite(size):
                raise InputRefused(
                    f"the scenario {self.name!r} moves {driver!r} by {size}",
                    expected="a finite number",
                )
            if driver not in SENSITIVITIES:
                raise InputRefused(
                    f"the scenario {self.name!r} names an unknown driver {driver!r}",
                    expected=", ".join(SENSITIVITIES),
                    do=closest(driver, SENSITIVITIES) or "leave it out",
                )

    def shift(self, part: float = 1.0) -> tuple[float, float]:
        """Return what ``part`` of the scenario adds to the log-odds of PD and LGD."""
        held = [(SENSITIVITIES[d], size * part) for d, size in self.shocks.items()]
        return sum(s.pd * v for s, v in held), sum(s.lgd * v for s, v in held)


def _weighed(held: Mapping[str, Outlook]) -> list[Scenario]:
    return [
        Scenario(n, {str(d): v for d, v in o.shocks.items()}, o.weight) for n, o in held.items()
    ]


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        *_weighed(OUTLOOKS),
        Scenario(
            "severe",
            {"unemployment": 6.0, "gdp_growth": -6.5, "house_prices": -25.0, "policy_rate": 2.0},
        ),
    )
}


def outlooks(loan: Loan) -> list[Scenario]:
    """Return the weighted scenarios of the booked loss, as the use case names them."""
    return _weighed(loan.scenarios)


def told(scenario: Scenario) -> str:
    """Say what a scenario does to the odds of the PD, and of which drivers that is made."""
    held = [(SENSITIVITIES[d], d, size) for d, size in scenario.shocks.items()]
    parts = " + ".join(f"{s.pd:g} x {size:+g} ({d})" for s, d, size in held if s.pd)
    factor = float(np.exp(scenario.shift()[0]))
    return f"odds of the PD times {factor:.3g} = exp({parts})" if parts else "the PD stays"


def load_scenario(name: str) -> Scenario:
    """Return a shipped scenario by name, or read one from a YAML file of ``name`` and ``shocks``.

    Raises
    ------
    InputRefused
        If there is no such name or file, or the file names an unknown driver.
    """
    if name in SCENARIOS:
        return SCENARIOS[name]
    path = Path(name)
    if not path.is_file():
        raise InputRefused(
            f"no scenario is called {name!r}",
            expected=f"{', '.join(SCENARIOS)}, or a YAML file with 'name' and 'shocks'",
            do=closest(name, SCENARIOS) or "check the path",
        )
    import yaml

    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
        if unknown := sorted(set(plain) - {"name", "shocks"}):
            raise ValueError(f"unknown keys {', '.join(map(str, unknown))}")
        if plain.get("name") in SCENARIOS:
            raise ValueError(f"{plain['name']!r} is the name of a shipped scenario")
        shocks = {str(k): float(v) for k, v in plain["shocks"].items()}
        return Scenario(str(plain.get("name", path.stem)), shocks)
    except InputRefused as error:
        raise InputRefused(
            error.what, where=str(path), expected=error.expected, do=error.do
        ) from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        raise InputRefused(
            f"the scenario can't be read: {error}",
            where=str(path),
            expected="a YAML mapping with 'name' and 'shocks' (driver: number)",
        ) from None


def stressed(
    pd_: npt.ArrayLike, lgd: npt.ArrayLike, scenario: Scenario, part: float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """Return PD and LGD under ``part`` of a scenario; 0 and 1 stay what they are."""
    for_pd, for_lgd = scenario.shift(part)
    p, loss = probabilities("pd", pd_), probabilities("lgd", lgd)
    return np.asarray(expit(logit(p) + for_pd)), np.asarray(expit(logit(loss) + for_lgd))


def reverse_stress(
    loss: Callable[[float], float], limit: float, *, furthest: float = 5.0
) -> float | None:
    """Return the part of a scenario at which the loss reaches a limit.

    Parameters
    ----------
    loss
        Money lost under a part of the scenario; grows with the part.
    limit
        Money.
    furthest
        The largest part that is tried.

    Returns
    -------
    The part (0: reached today already); None if even ``furthest`` doesn't reach it.
    """
    if loss(0.0) >= limit:
        return 0.0
    if loss(furthest) < limit:
        return None
    return float(brentq(lambda part: loss(part) - limit, 0.0, furthest, xtol=1e-6))


def carriers(
    base_loss: npt.ArrayLike, stressed_loss: npt.ArrayLike, by: pd.DataFrame
) -> pd.DataFrame:
    """Return which values of which features carry the extra loss of a stress.

    Parameters
    ----------
    base_loss, stressed_loss
        Expected loss of each loan before and after, shape (n,).
    by
        Shape (n, k): the features, categories or bands.

    Returns
    -------
    DataFrame
        ``feature``, ``value``, ``share`` of the extra loss, ``share_of_base`` of the loss before,
        and ``lift``, their ratio; the strongest first.
    """
    before = np.asarray(base_loss, dtype=float)
    extra = np.asarray(stressed_loss, dtype=float) - before
    parts = []
    for name in by:
        groups = pd.DataFrame({"extra": extra, "base": before}).groupby(by[name].to_numpy())
        sums = groups.sum()
        part = pd.DataFrame(
            {
                "feature": name,
                "value": sums.index.astype(str),
                "share": _shares(sums["extra"].to_numpy()),
                "share_of_base": _shares(sums["base"].to_numpy()),
            }
        )
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    table["lift"] = table["share"] / table["share_of_base"].where(table["share_of_base"] > 0)
    return table.sort_values("share", ascending=False, ignore_index=True)


def carried(table: pd.DataFrame) -> str:
    """Say which group carries a stress more than its loss before, or that none does.

    Parameters
    ----------
    table
        Of ``carriers``. Groups below ``SMALL`` of the loss aren't named.
    """
    large = table[table["share_of_base"] >= SMALL]
    if large.empty:
        return "no group is large enough to carry the stress"
    low, high = float(large["lift"].min()), float(large["lift"].max())
    if high < CARRIES:
        return (
            "nothing carries the stress: it moves all loans alike, so each group's part of the "
            f"extra loss is about its part of the loss before (lifts {low:.2f} to {high:.2f})"
        )
    most = large.iloc[int(large["lift"].argmax())]
    return (
        f"{most['feature']} {most['value']} carries the stress: {most['share']:.0%} of the extra "
        f"loss for {most['share_of_base']:.0%} of the loss before (lift {high:.2f})"
    )


def _shares(money: FloatArray) -> FloatArray:
    total = money.sum()
    return money / total if total else np.zeros(len(money))
