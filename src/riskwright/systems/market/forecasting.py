"""What the live version says of a market, now or at an earlier date, and why."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.systems.market.backtest_report import horizon_of, level, moving_of
from riskwright.systems.market.bundle import ForecastBundle
from riskwright.systems.market.candidates import read_joined
from riskwright.systems.market.case import MarketCase
from riskwright.systems.market.checks import BENCHMARK, fewest
from riskwright.systems.market.forecast_columns import COLUMNS
from riskwright.systems.market.ingest import notes, panel_of
from riskwright.systems.market.life import kept_walk, load_forecast
from riskwright.systems.market.moving import UNTESTED, moved
from riskwright.systems.market.panel import Panel, assemble, month_of, read_store
from riskwright.systems.market.predictors import PREDICTORS
from riskwright.systems.market.recommendation import sentence, strength, words_of
from riskwright.systems.market.series_spec import Series
from riskwright.systems.market.skill import skill_gate
from riskwright.systems.market.tables import at

YEAR = 12  # months after which a version's age is told
LIVE, WALKED = "live version", "walk-forward"


@dataclass(frozen=True)
class Said:
    """A forecast of one origin: ``COLUMNS``, the historical mean, and what each predictor adds."""

    origin: pd.Period
    row: pd.Series
    mean: float
    parts: pd.Series
    source: str


def forecast_of(
    name: str,
    home: Home,
    ledger: Ledger,
    *,
    horizon: str | None = None,
    as_of: str | None = None,
    data: str | None = None,
) -> dict[str, Any]:
    """Answer with the champion's forecast.

    Before the champion's newest origin it is the one that the walk-forward made there, never one of
    a bundle that was fitted later, with the evidence that there was by then; from then on the
    bundle's, on the data as they are today.

    Parameters
    ----------
    name
        Of the use case.
    horizon
        ``1m``, ``12m``; the longest of the use case if left out.
    as_of
        Month, or date (then the month that had ended by it); the newest if left out.
    data
        Folder of the series' files; where the champion's came from if left out.

    Raises
    ------
    InputRefused
        If there is no champion, no such horizon, no forecast at that date, or the series can't be
        used.
    """
    month = None if as_of is None else month_of(as_of)
    bundle = load_forecast(home, ledger, name, _model(ledger, name, horizon))
    evidence = ledger.version(name, bundle.version).evidence
    case, model = bundle.case, bundle.state.model
    said, stand_ins = _said(bundle, evidence, month, data)
    if said.source == LIVE:
        skill = evidence["skill"][model]
        moving = evidence.get("moving", {}).get(model, UNTESTED)
    else:
        skill = _skill_by(case, evidence, model, said.origin)
        moving = _moving_by(bundle, evidence, home, said.origin)
    if bundle.state.deployed == "mean" and skill["passed"]:
        # The ensemble's skill is no evidence for the historical mean.
        skill = {**skill, "passed": False, "figures": {}}
    told = _told(bundle, said, skill, moving)
    return told | {"notes": [*notes(case), *_limits(case, bundle, said), *stand_ins]}


def _said(
    bundle: ForecastBundle, evidence: dict[str, Any], month: pd.Period | None, data: str | None
) -> tuple[Said, list[str]]:
    """The forecast of a month, by the bundle or as the walk made it, and which series lack some."""
    case, asked = bundle.case, month
    if month is None or month >= bundle.newest:
        folder = data or evidence["data"]
        store = read_store(case, Path(folder) if folder else None)
        panel = assemble(case, store, month)
        month = panel.as_of
    if month < bundle.newest and data is not None:
        raise InputRefused(
            f"what was said at the end of {month} is kept with version {bundle.version}",
            where="--data",
            expected=f"series that reach {bundle.newest}, or no folder",
            do="leave --data out, or bring newer series",
        )
    if month < bundle.newest:
        return _from_walk(bundle, evidence, month), []
    stand_ins = _stand_ins(case, store, month)
    if asked is None and (behind := _behind(month)) > case.limits.stale_months:
        stand_ins.append(f"The series end in {month}, {behind} months ago: bring newer ones.")
    return _from_bundle(bundle, panel), stand_ins


def _told(
    bundle: ForecastBundle, said: Said, skill: dict[str, Any], moving: dict[str, Any]
) -> dict[str, Any]:
    """What is answered of a forecast, but for the notes."""
    case = bundle.case
    answer = {key: _number(said.row[key]) for key in COLUMNS}
    rule, strategic = answer["weight"], case.strategy.strategic_weight
    held = None if rule is None else moved(rule, strategic, moving["share"])
    return {
        "usecase": case.name,
        "title": case.title,
        "version": bundle.version,
        "model": bundle.state.model,
        "horizon": bundle.spec.horizon,
        "skip": bundle.spec.skip,
        "target": case.target.kind,
        "origin": str(said.origin),
        "source": said.source,
        "deployed": bundle.state.deployed,
        **answer,
        "weight": held,
        "rule_weight": rule,
        "strategic_weight": strategic,
        "moving": moving,
        "historical_mean": said.mean,
        "reasons": _reasons(said.parts),
        "evidence": skill,
        "sentence": _sentence(bundle, said, answer, skill, moving),
    }


def _limits(case: MarketCase, bundle: ForecastBundle, said: Said) -> list[str]:
    """What the answer's weight and evidence do not rest on."""
    told = []
    if said.source == WALKED:
        told.append(
            "The forecast is the one that was made then, and the evidence is what was known by "
            f"then; that version {bundle.version} is asked, and the families it is made of, was "
            f"decided with outcomes up to {bundle.newest}."
        )
    if (age := _age(bundle, said)) > YEAR:
        told.append(
            f"Version {bundle.version} learnt from what was known in {bundle.newest}, {age} months "
            "before: retrain it."
        )
    return told


def _model(ledger: Ledger, name: str, horizon: str | None) -> str:
    """Return the model of a horizon; the longest if none is named."""
    champion = ledger.champion(name)
    if champion is None:
        raise InputRefused(
            f"{name} has no champion",
            expected="a version that was promoted",
            do=f"run 'riskwright retrain {name}', then 'riskwright challengers {name}'",
        )
    months = sorted(int(model[1:]) for model in champion.models)
    if horizon is None:
        return f"m{months[-1]}"
    found = re.fullmatch(r"0*(\d+)m", horizon)
    if found is None or int(found[1]) not in months:
        raise InputRefused(
            f"{horizon!r} is no horizon of {name}",
            where="--horizon",
            expected=" or ".join(f"{count}m" for count in months),
        )
    return f"m{int(found[1])}"


def _behind(month: pd.Period) -> int:
    """Return how many months have ended since."""
    now = pd.Period(datetime.now(UTC).strftime("%Y-%m"), "M")
    return int((now - month).n) - 1


def _stand_ins(case: MarketCase, store: Mapping[str, Series], month: pd.Period) -> list[str]:
    """Name the series whose newest value stands in for one that isn't there yet."""
    told = []
    for name, series in store.items():
        newest = series.published[series.published <= month].max()
        if newest < month:
            told.append(f"{name} of {newest - case.series[name].lag_months}")
    return [f"Not there yet, and stood in for by the last value: {', '.join(told)}."] * bool(told)


def _from_bundle(bundle: ForecastBundle, panel: Panel) -> Said:
    row = at(bundle.forecast(panel), panel.as_of)
    parts = at(bundle.reasons(panel), panel.as_of)
    return Said(panel.as_of, row, bundle.state.mean, parts, LIVE)


def _from_walk(bundle: ForecastBundle, evidence: dict[str, Any], month: pd.Period) -> Said:
    joined, state = kept_walk(evidence), bundle.state
    answers = read_joined(joined, state.model, f"answers_{state.deployed}")
    if month not in answers.index:
        raise InputRefused(
            f"no forecast was made at the end of {month}",
            where="--as-of",
            expected=f"{answers.index[0]} to {answers.index[-1]}, or later if the data are",
        )
    mean = at(read_joined(joined, state.model, "forecasts"), month)[BENCHMARK]
    parts = at(read_joined(joined, state.model, "contributions"), month)
    added = parts * (state.deployed == "ensemble")
    return Said(month, at(answers, month), float(mean), added, WALKED)


def _skill_by(
    case: MarketCase, evidence: dict[str, Any], model: str, month: pd.Period
) -> dict[str, Any]:
    """Return the gate of skill from the outcomes that were known at the end of a month."""
    one = horizon_of(case, kept_walk(evidence), model)
    known_at = read_joined(kept_walk(evidence), model, "forecasts")["known_at"]
    over = pd.PeriodIndex(known_at.reindex(one.actual.index), freq="M") <= month
    if int((over & one.actual.notna()).sum()) < fewest(one.h):
        told = f"too few outcomes were known at the end of {month} to tell skill"
        return {"passed": None, "detail": told, "figures": {}}
    passed, detail, figures = skill_gate(one.forecasts, one.actual.where(over), one.h, level(case))
    return {"passed": passed, "detail": detail, "figures": figures}


def _moving_by(
    bundle: ForecastBundle, evidence: dict[str, Any], home: Home, month: pd.Period
) -> dict[str, Any]:
    """Return what moving from the strategic weight was worth, by what was known then."""
    case, state = bundle.case, bundle.state
    panel = panel_of(case, evidence["train"], home)
    late = max(case.series[name].lag_months for name in case.target_series)
    known = panel.returns.index + late <= month
    panel = replace(panel, returns=panel.returns[known])
    return moving_of(case, panel, kept_walk(evidence), state.model, state.deployed)


def _reasons(parts: pd.Series) -> list[dict[str, Any]]:
    """What each predictor adds to the historical mean, largest first; zeros are left out."""
    order = parts.abs().sort_values(ascending=False, kind="stable").index
    return [
        {
            "predictor": str(name),
            "label": PREDICTORS[str(name)].label if name in PREDICTORS else "what belongs to none",
            "adds": float(parts[name]),
        }
        for name in order
        if abs(parts[name]) >= 1e-6  # a ten-thousandth of a percentage point
    ]


def _age(bundle: ForecastBundle, said: Said) -> int:
    """Return how many months the origin lies after what the version learnt from."""
    return int((said.origin - bundle.newest).n) if said.source == LIVE else 0


def _sentence(
    bundle: ForecastBundle,
    said: Said,
    answer: dict[str, Any],
    skill: dict[str, Any],
    moving: dict[str, Any],
) -> str:
    figures, passed = skill["figures"], skill["passed"]
    age = _age(bundle, said)
    old = f" The version learnt {age} months before: retrain first." if age > YEAR else ""
    expected, low, high = (answer[k] for k in ("forecast", "low80", "high80"))
    target = bundle.case.target.kind
    if answer["weight"] is None:
        return (
            f"Expected {words_of(target)} {expected:+.1%} (80 % interval {low:+.1%} to "
            f"{high:+.1%}). What cash returns isn't known at this date, so that no weight is "
            f"given. {strength(figures, passed)}{old}"
        )
    told = sentence(
        h=bundle.spec.horizon,
        skip=bundle.spec.skip,
        target=target,
        expected=expected,
        low=low,
        high=high,
        above_cash=answer["p_above_cash"],
        rule_weight=answer["weight"],
        strategic_weight=bundle.case.strategy.strategic_weight,
        moving=moving,
        figures=figures,
        passed=passed,
    )
    return told + old


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
