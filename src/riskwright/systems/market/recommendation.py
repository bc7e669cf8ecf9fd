"""The last sentence of a forecast: what to hold, and how strong the evidence behind it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from riskwright.systems.market.moving import moved

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


def words_of(target: str) -> str:
    """Return what a target is called in a sentence."""
    return {"excess": "return over bills", "real_total": "real return"}.get(target, "return")


def moving_told(moving: Mapping[str, Any], strategic: float) -> str:
    """Return what the test of moving from the strategic weight found, as a sentence.

    Parameters
    ----------
    moving
        What ``moving.worth_moving`` returned.
    """
    none = f"there is no evidence for moving from the strategic weight of {strategic:.0%}"
    if not moving["tested"]:
        few = f"{moving['months']} months are too few to test it"
        return f"{none} ({few if moving['months'] else 'this version holds no test: retrain'})"
    passed = [step for step in moving["tested"] if step["share"] <= moving["share"]]
    step = passed[-1] if passed else moving["tested"][0]
    way = "all" if step["share"] == 1 else f"{step['share']:.0%}"
    found = (
        f"going {way} of the way to the rule's weight would have been worth {step['gain']:+.2%} of "
        f"certain return a year ({step['low']:+.2%} to {step['high']:+.2%}, {moving['months']} "
        "months, after costs)"
    )
    if passed:
        return f"a move from the strategic weight of {strategic:.0%} was worth it: {found}"
    return f"{none}: {found}"


def sentence(
    *,
    h: int,
    skip: int = 0,
    target: str = "nominal_total",
    expected: float,
    low: float,
    high: float,
    above_cash: float,
    rule_weight: float,
    strategic_weight: float,
    moving: Mapping[str, Any],
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
    rule_weight, strategic_weight, moving
        Weight of equities by this forecast, the investor's own, and what ``moving.worth_moving``
        found: what is held lies between the two, as far as that allows.
    figures, passed
        What ``skill.skill_gate`` returned.
    """
    weight = moved(rule_weight, strategic_weight, moving["share"])
    rest = f"borrow {weight - 1:.0%}" if weight > 1 else f"{1 - weight:.0%} in bills"
    span = "the next month" if h == 1 else f"the next {h} months"
    if skip:
        span = f"the {'month' if h == 1 else f'{h} months'} after the next {_months(skip)}"
    hold = "Hold" if moving["share"] else "Keep"
    told = (
        f"{hold} {weight:.0%} in equities and {rest}: expected {words_of(target)} {expected:+.1%} "
        f"over {span} (80 % interval {low:+.1%} to {high:+.1%}), more than bills with probability "
        f"{above_cash:.2f}."
    )
    way = moving_told(moving, strategic_weight)
    return (
        f"{told} The forecast taken at its word says {rule_weight:.0%}; {way}. "
        f"{strength(figures, passed)}"
    )
