"""Stress: macro scenarios shift PD and LGD, and reverse stress asks how much would break a limit.

The mapping is stated, not estimated from the book: each driver moves the log-odds of the PD and of
the LGD by so much a unit (``SENSITIVITIES``). The sizes are of the order that supervisory exercises
use: three more points of unemployment about double a retail PD.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit

from riskwright.errors import InputRefused, closest
from riskwright.portfolio.checks import FloatArray, probabilities


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
    shocks: dict[str, float]
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


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("base", {}, 0.60),
        Scenario("mild", {"unemployment": 1.5, "gdp_growth": -1.5}, 0.25),
        Scenario(
            "adverse",
            {"unemployment": 3.5, "gdp_growth": -4.0, "house_prices": -10.0, "policy_rate": 1.0},
            0.10,
        ),
        Scenario(
            "severe",
            {"unemployment": 6.0, "gdp_growth": -6.5, "house_prices": -25.0, "policy_rate": 2.0},
            0.05,
        ),
    )
}


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


def _shares(money: FloatArray) -> FloatArray:
    total = money.sum()
    return money / total if total else np.zeros(len(money))
