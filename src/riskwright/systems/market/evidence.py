"""The evidence for a market challenger: skill and coverage by test, the as-of test, the choice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from riskwright.home import Home, cores
from riskwright.life.rules import Changes, told_changes, write_changes
from riskwright.life.workplace import Progress, new_part
from riskwright.store import snapshots
from riskwright.systems.market import lookahead
from riskwright.systems.market.backtest_report import horizon_of, level, moving_of, write_backtest
from riskwright.systems.market.candidates import read_joined
from riskwright.systems.market.case import MarketCase
from riskwright.systems.market.coverage import coverage_gate
from riskwright.systems.market.ensemble import trial
from riskwright.systems.market.model_forecasts import KINDS, Kind, members_of
from riskwright.systems.market.panel import Panel, assemble
from riskwright.systems.market.recommendation import moving_told
from riskwright.systems.market.records import Joined, MarketEvidence, Walked
from riskwright.systems.market.series_spec import Series
from riskwright.systems.market.skill import skill_gate
from riskwright.systems.market.tables import from_table, read_months
from riskwright.systems.market.walk import make_families, trials

SHOWN = ("r2", "r2_low", "r2_high", "robust_p", "mae", "rmse", "hit_rate")
MODELLING = {
    "series", "target", "models", "predictors", "context", "steps", "limits", "walk", "families",
    "ensemble", "strategy",
}  # fmt: skip


def gather(
    case: MarketCase,
    home: Home,
    *,
    data: str,
    walks: Sequence[Walked],
    joined: Joined,
    tried: list[str],
    seed: int,
    folder: Path,
    progress: Progress | None = None,
    changed: Changes | None = None,
) -> MarketEvidence:
    """Judge each model's ensemble against the historical mean, prove the as-of rule, choose.

    Parameters
    ----------
    data
        Hash of the snapshot of series.
    walks, joined
        What ``candidates`` returned.
    tried
        Keys of the configurations that earlier retrains tried.
    changed
        How the rules differ from those of the version that it would replace.
    """
    store = from_table(case, snapshots.read(data, home))
    panel = assemble(case, store)
    part = new_part(folder)
    models = {name: _judge(case, panel, joined, name) for name in case.models}
    deployed: dict[str, Kind] = {
        name: "ensemble" if found["skill"]["passed"] and found["coverage"]["ensemble"]["passed"]
        else "mean"
        for name, found in models.items()
    }  # fmt: skip
    as_of = _as_of(case, store, panel, walks, joined, seed, progress)
    log = trial_log(case, joined, seed)
    every = sorted({*tried, *(entry["key"] for entry in log)})
    found = write_backtest(
        case,
        panel,
        joined,
        part / "backtest",
        trials=len(every),
        more=[
            *told_changes(changed),
            _live(deployed),
            *_weights_told(case, models, deployed),
            *_leaks_told(as_of["changed"]),
        ],
        seed=seed,
    )
    for name in case.models:
        models[name]["metrics"] = _metrics(part / "backtest" / f"skill_{name}.csv")
    for name, content in (("trials.json", log), ("as_of.json", as_of)):
        (part / name).write_text(json.dumps(content, indent=1), encoding="utf-8")
    return MarketEvidence(
        folder=str(folder),
        sha256="",
        **write_changes(part, changed),
        deployed=deployed,
        chosen="ensemble" if "ensemble" in deployed.values() else "mean",
        why="; ".join(_why(name, models[name], kind) for name, kind in deployed.items()),
        models=models,
        as_of=as_of,
        trials={"now": len(log), "ever": len(every)},
        strategy=found.table.to_dict("index"),
        origins={
            name: (str(months[0]), str(months[-1]))
            for name in case.models
            if len(months := read_joined(joined, name, "answers_ensemble").index)
        },
    ).finished(part)


def _as_of(
    case: MarketCase,
    store: Mapping[str, Series],
    panel: Panel,
    walks: Sequence[Walked],
    joined: Joined,
    seed: int,
    progress: Progress | None,
) -> dict[str, Any]:
    """Scramble every series after some origins; which forecasts changed, and what was looked at."""
    origins = lookahead.dates(case, panel, seed)
    leaks = lookahead.prove(case, store, origins, seed=seed, progress=progress)
    walked = {s.model: read_months(s.place / "forecasts.parquet") for s in walks}
    leaks += lookahead.prove_networks(case, store, walked, origins[-1], workers=cores(), seed=seed)
    for model, table in walked.items():
        garch = read_joined(joined, model, "basis")["garch"]
        leaks += lookahead.prove_answers(case, panel, model, table, garch, origins, seed=seed)
    return {
        "dates": [str(origin) for origin in origins],
        "series": list(store),
        "families": lookahead.quick_families(case, panel),
        "networks": str(origins[-1]),
        "changed": leaks,
    }


def trial_log(case: MarketCase, joined: Joined, seed: int) -> list[dict[str, Any]]:
    """Return every configuration that a retrain tried, each with a key that names it for ever.

    Another seed, predictor, lag or window makes another trial of each family.
    """
    entries = []
    for model in case.models:
        path = joined.place / model / "trials.json"
        entries += json.loads(path.read_text(encoding="utf-8"))
    return _keyed(case, entries, seed)


def planned(case: MarketCase, panel: Panel, seed: int) -> list[dict[str, Any]]:
    """Return the trial log of a retrain that is about to begin: ``trial_log`` before its walk."""
    families, rules = make_families(list(case.families), panel, case.refit), case.ensemble
    entries = []
    for model in case.models:
        entries += trials(families, model, case.window)
        entries.append(trial(model, members_of(case), rules.learn_after, rules.weight))
    return _keyed(case, entries, seed)


def _keyed(case: MarketCase, entries: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    setting, log = f"{case.model_dump_json(include=MODELLING)}|{seed}", []
    for entry in entries:
        plain = json.dumps(entry, sort_keys=True)
        key = hashlib.sha256(f"{setting}|{plain}".encode()).hexdigest()
        log.append({"key": key[:16], **entry})
    return log


def _judge(case: MarketCase, panel: Panel, joined: Joined, model: str) -> dict[str, Any]:
    one = horizon_of(case, joined, model)
    passed, detail, figures = skill_gate(one.forecasts, one.actual, one.h, level(case))
    coverage = {}
    for kind in KINDS:
        bounds = read_joined(joined, model, f"answers_{kind}")
        held = coverage_gate(bounds, one.actual, one.h, case.gates.coverage_p)
        coverage[kind] = dict(zip(("passed", "detail", "figures"), held, strict=True))
    return {
        "h": one.h,
        "skill": {"passed": passed, "detail": detail, "figures": figures},
        "coverage": coverage,
        "moving": {kind: moving_of(case, panel, joined, model, kind) for kind in KINDS},
    }


def _metrics(path: Path) -> dict[str, dict[str, float | None]]:
    """Return what a page shows of each family, from the table of skill."""
    table = pd.read_csv(path, index_col="family")
    plain = table.astype(object).where(table.notna(), None)
    return {str(name): {k: row[k] for k in SHOWN} for name, row in plain.iterrows()}


def _why(name: str, found: dict[str, Any], kind: Kind) -> str:
    skill, held = found["skill"], found["coverage"]["ensemble"]
    if kind == "ensemble":
        return f"{name}: {skill['detail']}: the ensemble is taken"
    if skill["passed"]:
        return f"{name}: {skill['detail']}, but {held['detail']}: the historical mean is taken"
    return f"{name}: {skill['detail']}: the historical mean is taken"


def _live(deployed: dict[str, Kind]) -> str:
    words = {"ensemble": "the ensemble", "mean": "the historical mean"}
    named = ", ".join(f"{words[kind]} at {name}" for name, kind in deployed.items())
    return f"By the tests of skill and coverage, what may go live is {named}."


def _weights_told(case: MarketCase, models: dict[str, Any], deployed: dict[str, Kind]) -> list[str]:
    strategic = case.strategy.strategic_weight
    return [
        f"Weights by {name}: {moving_told(models[name]['moving'][kind], strategic)}"
        for name, kind in deployed.items()
    ]


def _leaks_told(leaks: list[str]) -> list[str]:
    if not leaks:
        return ["As-of test: no forecast changed when every series was scrambled after it."]
    return [f"AS-OF TEST FAILED, the figures below look ahead: {leak}" for leak in leaks[:5]]
