"""The last sentence of a forecast: what to hold, and how strong the evidence behind it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NONE, SOME, FIRM = "none", "some", "firm"


def evidence(figures: Mapping[str, Any], passed: bool | None) -> str:
    """Return ``none``, ``some`` or ``firm``, from what the skill gate found.

    Parameters
    ----------
    figures, passed
        What ``skill.skill_gate`` returned. Firm: Clark-West p below 0.01 and an interval of R² that
        lies above zero.
    """
    if not passed:
        return NONE
    return FIRM if figures["p"] < 0.01 and figures["r2_low"] > 0 else SOME


def _months(count: int) -> str:
    return "one" if count == 1 else f"{count} months"


def strength(figures: Mapping[str, Any], passed: bool | None) -> str:
    """Return the strength of the evidence as a sentence."""
    grade = evidence(figures, passed)
    if "r2" not in figures:
        why = (
            "too few outcomes are known"
            if passed is None
            else "the forecast is the historical mean"
        )
        return f"Evidence: none; {why}."
    if passed is None:
        return f"Evidence: none; {figures['months']} months are too few to tell."
    p = f"{figures['p']:.3f}" if figures["p"] is not None else "undefined"
    found = (
        f"out-of-sample R² {figures['r2']:+.1%} ({figures['r2_low']:+.1%} to "
        f"{figures['r2_high']:+.1%}), p {p}, {figures['months']} months"
    )
    if figures["h"] > 1:
        found += f", about {figures['independent']} independent outcomes"
    if grade == NONE:
        return f"Evidence: no skill beyond the historical mean ({found})."
    share = "most of what will happen stays unknown"
    return f"Evidence: {grade}, of skill beyond the historical mean ({found}); {share}."


def sentence(
    *,
    h: int,
    skip: int = 0,
    expected: float,
    low: float,
    high: float,
    above_cash: float,
    weight: float,
    mean_weight: float,
    figures: Mapping[str, Any],
    passed: bool | None,
) -> str:
    """Return what to hold, what to expect, and the strength of the evidence.

    Parameters
    ----------
    h, skip
        Horizon in months, and months between the origin and its first one.
    expected, low, high
        Forecast and its 80 % interval, as fractions.
    above_cash
        Probability that equities return more than bills.
    weight, mean_weight
        Weight of equities by this forecast, and by the historical mean.
    figures, passed
        What ``skill.skill_gate`` returned.
    """
    rest = f"borrow {weight - 1:.0%}" if weight > 1 else f"{1 - weight:.0%} in bills"
    span = "the next month" if h == 1 else f"the next {h} months"
    if skip:
        span = f"the {'month' if h == 1 else f'{h} months'} after the next {_months(skip)}"
    told = (
        f"Hold {weight:.0%} in equities and {rest}: expected return {expected:+.1%} over {span} "
        f"(80 % interval {low:+.1%} to {high:+.1%}), more than bills with probability "
        f"{above_cash:.2f}."
    )
    apart = abs(weight - mean_weight) >= 0.01
    if apart and evidence(figures, passed) == NONE:
        told += (
            f" The historical mean alone says {mean_weight:.0%}; the difference rests on no "
            "evidence."
        )
    elif apart:
        told += f" The historical mean alone says {mean_weight:.0%}."
    return f"{told} {strength(figures, passed)}"
