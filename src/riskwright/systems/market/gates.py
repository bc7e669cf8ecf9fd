"""The gates of a market challenger: what it must pass, each with the figures it was judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from riskwright.ledger import Gate
from riskwright.stats.comparison import cosine_terms, cosine_variance, same
from riskwright.systems.market.case import MarketCase
from riskwright.systems.market.records import MarketEvidence

FEWEST_COMMON = 48  # months with an outcome, or four horizons, to compare with the champion


@dataclass(frozen=True)
class Rival:
    """The live champion, as a challenger meets it.

    Attributes
    ----------
    version
        Its number.
    forecasts
        By model: what its walk-forward forecast, of the kind that is live.
    renewed
        Whether the challenger is the same specification and seed on newer data; which kind that
        deploys is for its own test of skill to say.
    broken
        Why its forecasts can't be compared with, if they are gone or altered.
    other
        What makes its question another one: nothing is compared, a person decides.
    """

    version: int
    forecasts: dict[str, pd.Series]
    renewed: bool
    broken: str = ""
    other: str = ""


def gates(
    case: MarketCase,
    evidence: MarketEvidence,
    challenger: dict[str, pd.DataFrame],
    rival: Rival | None,
    golden: dict[str, float],
    readings: int,
) -> list[Gate]:
    """Judge a challenger.

    Parameters
    ----------
    evidence
        What ``evidence.gather`` returned.
    challenger
        By model: ``forecast`` and ``actual`` by origin.
    rival
        The champion; None if there is none.
    golden
        By model: how far the registered bundle's forecast of the newest origin is from the walk's.
    readings
        How often these data were judged, this time included.

    Returns
    -------
    list of Gate
        ``passed`` None means "not enough data", which blocks like a no.
    """
    return [
        _skill(evidence),
        _champion(case, challenger, rival),
        _coverage(evidence),
        _as_of(evidence.as_of),
        _golden(golden),
        _trials(evidence.trials, readings),
    ]


def _skill(evidence: MarketEvidence) -> Gate:
    """Told, not blocking: without skill the historical mean itself is the challenger."""
    found = {name: one["skill"] for name, one in evidence.models.items()}
    passed = any(kind == "ensemble" for kind in evidence.deployed.values())
    return Gate("skill", passed, evidence.why, {"deployed": evidence.deployed, **found}, False)


def _champion(case: MarketCase, challenger: dict[str, pd.DataFrame], rival: Rival | None) -> Gate:
    if rival is None:
        return Gate("champion", True, "there is no champion yet", {"against": None})
    figures: dict[str, Any] = {"against": rival.version, "renewed": rival.renewed}
    if rival.broken:
        detail = (
            f"version {rival.version} can't be compared with: {rival.broken}; restore it, or roll "
            "back to another version"
        )
        return Gate("champion", None, detail, figures)
    if rival.other:
        detail = (
            f"version {rival.version} can't be compared with: {rival.other}; it answers another "
            "question, so a person decides"
        )
        return Gate("champion", None, detail, {**figures, "question": rival.other}, False)
    said, better, worse, unknown = [], False, False, False
    alpha = case.gates.alpha / len(challenger)
    for name, table in challenger.items():
        h, theirs = case.models[name].horizon, rival.forecasts.get(name)
        if theirs is None:
            said.append(f"{name}: the champion has none")
            continue
        both = table.assign(theirs=theirs.reindex(table.index)).dropna()
        if len(both) < max(FEWEST_COMMON, 4 * h):
            unknown = True
            said.append(f"{name}: too few common forecasts with an outcome")
            continue
        actual, champion, mine = both[["actual", "theirs", "forecast"]].to_numpy(dtype=float).T
        found = compare_squared_error(actual, champion, mine, h)
        figures[name] = found
        if found["statistic"] is None:
            said.append(f"{name}: the same forecasts at {len(both)} origins")
            continue
        better |= found["p_better"] < alpha
        worse |= found["p_worse"] < case.gates.alpha
        said.append(
            f"{name}: squared error {found['reduction']:+.2%} lower, p {found['p_better']:.3f}, "
            f"{len(both)} common origins"
        )
    detail = "; ".join(said)
    if worse:
        return Gate("champion", False, f"worse than the champion by test: {detail}", figures)
    if unknown:
        return Gate("champion", None, f"not enough data: {detail}", figures)
    if better:
        return Gate("champion", True, f"better than the champion: {detail}", figures)
    if rival.renewed:
        words = "a renewal: the champion's own specification on newer data, no worse by test"
        return Gate("champion", True, f"{words}; {detail}", figures)
    return Gate("champion", False, f"not better by test: the champion stays; {detail}", figures)


def compare_squared_error(
    actual: np.ndarray, champion: np.ndarray, challenger: np.ndarray, h: int
) -> dict[str, Any]:
    """Test which of two forecasts has the smaller squared error, one-sided each way.

    Diebold and Mariano (1995) with the equal-weighted cosine variance and its t distribution, which
    overlapping targets don't inflate (``market.comparison``).

    Parameters
    ----------
    actual, champion, challenger
        Shape (n,), consecutive months.
    h
        Months over which the target runs.

    Returns
    -------
    dict
        ``reduction`` of the mean squared error, ``statistic`` (None: the forecasts are the same),
        ``p_better``, ``p_worse`` (of the challenger) and ``months``.
    """
    z = (actual - champion) ** 2 - (actual - challenger) ** 2
    n, terms = len(z), cosine_terms(len(z), h)
    variance = cosine_variance(z, terms)
    reduction = float(z.mean() / np.mean((actual - champion) ** 2))
    if same(champion, challenger, actual) or variance <= 0:
        return {"reduction": reduction, "statistic": None, "months": n}
    statistic = float(z.mean() / np.sqrt(variance / n))
    return {
        "reduction": reduction,
        "statistic": statistic,
        "p_better": float(stats.t.sf(statistic, terms)),
        "p_worse": float(stats.t.cdf(statistic, terms)),
        "months": n,
    }


def _coverage(evidence: MarketEvidence) -> Gate:
    found = {
        name: evidence.models[name]["coverage"][kind] for name, kind in evidence.deployed.items()
    }
    off = [name for name, one in found.items() if not one["passed"]]
    detail = "; ".join(f"{name}: {one['detail']}" for name, one in found.items())
    return Gate("coverage", not off, detail, found)


def _as_of(found: dict[str, Any]) -> Gate:
    scrambled = f"{len(found['series'])} series scrambled after each of {len(found['dates'])} dates"
    changed = found["changed"]
    if changed:
        detail = f"{scrambled}: {len(changed)} things said before changed: {'; '.join(changed[:3])}"
    else:
        detail = (
            f"{scrambled}: no predictor, known return, forecast ({len(found['families'])} "
            f"families; networks at {found['networks']}), ensemble or interval of before changed"
        )
    return Gate("as-of", not changed, detail, found)


def _golden(found: dict[str, float]) -> Gate:
    gap = max(found.values())
    detail = (
        f"loaded back, {', '.join(found)} forecast the newest origin within {gap:.1e} of what the "
        "walk-forward did"
    )
    return Gate("golden set", bool(gap < 1e-6), detail, dict(found))


def _trials(found: dict[str, int], readings: int) -> Gate:
    again = "once" if readings == 1 else f"{readings} times"
    detail = (
        f"{found['now']} configurations in this retrain, {found['ever']} ever; these data were "
        f"judged {again}"
    )
    return Gate("trials", True, detail, {**found, "readings": readings}, blocking=False)
