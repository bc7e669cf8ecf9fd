"""What usually helps, by what alarmed: one answer for the page, the terminal and the demo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from riskwright.life.findings import CRITICAL

MENDED = "the feed is mended, the batch was sent again"


@dataclass(frozen=True)
class Advice:
    """What an alert is usually decided as, a reason to begin with, and words for a person."""

    decision: Literal["accept", "retrain"]
    reason: str
    words: str


# By family of findings, the most serious first.
BY_FAMILY = {
    "quality": Advice(
        "accept",
        MENDED,
        "Have the feed mended and send the batch again; then accept. Retraining would teach the "
        "model the fault.",
    ),
    "labels": Advice(
        "retrain",
        "the PDs no longer fit the outcomes",
        "The PDs no longer fit the outcomes. Retrain on recent cases; until then fall back to the "
        "baseline if its calibration holds, or roll back if the former champion's did.",
    ),
    "book": Advice(
        "retrain",
        "the PDs no longer fit the outcomes",
        "The PDs no longer fit the outcomes. Retrain on recent cases; until then fall back to the "
        "baseline if its calibration holds, or roll back if the former champion's did.",
    ),
    "score": Advice(
        "retrain",
        "the change is here to stay",
        "The PDs have moved with the applicants. If the change is here to stay (a channel, a "
        "policy), retrain; if it passes, accept. Check outcomes as soon as they are known.",
    ),
    "error": Advice(
        "retrain",
        "the forecasts are off",
        "The forecasts are off by more than chance. Retrain on what came since; until then fall "
        "back to the historical mean, if it isn't what is live already.",
    ),
    "coverage": Advice(
        "retrain",
        "the intervals don't hold",
        "The intervals don't hold what they state, so the weights rest on a wrong risk. Retrain: "
        "the intervals follow the errors of the past.",
    ),
    "predictors": Advice(
        "retrain",
        "the series are right, and the change stays",
        "Predictors have left what the forecasts were learnt from. Find out whether the series are "
        "right; if they are and the change stays, retrain. Until then read forecasts with care.",
    ),
    "own": Advice(
        "accept",
        "known, and it stays",
        "A check that the use case names beside the monitor's own alarmed, or broke. Find out why; "
        "if it is known and stays, accept.",
    ),
    "columns": Advice(
        "accept",
        "known, and it stays",
        "Inputs have changed and the PDs hardly moved. Find out why; if it is known and stays, "
        "accept, and let the next retrain renew the reference.",
    ),
}
NO_FEED = Advice(
    "accept",
    MENDED,
    "Don't score with this feed: have it mended and send the batch again. If cases can't wait, "
    "fallback to the baseline does not help, since it reads the same columns.",
)


def advice(alarms: Iterable[Mapping[str, Any]]) -> Advice:
    """Return what to do about alarms of one look, as findings give them (``family``, ``code``)."""
    alarms = list(alarms)
    if any(finding.get("code") in CRITICAL for finding in alarms):
        return NO_FEED
    families = {finding.get("family") for finding in alarms}
    return next((a for name, a in BY_FAMILY.items() if name in families), BY_FAMILY["columns"])
