"""Write the champion's backtest into a folder, and keep it under its version."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from riskwright.errors import RiskwrightError
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life.output import new_folder, refuse_taken
from riskwright.life.policy import version_number
from riskwright.life.tracking import log_report
from riskwright.systems.market.backtest_report import (
    horizon_of,
    steering,
    strategies_of,
    write_backtest,
)
from riskwright.systems.market.case import MarketCase
from riskwright.systems.market.coverage import coverage_gate
from riskwright.systems.market.ingest import panel_of
from riskwright.systems.market.life import kept_walk, load_forecast
from riskwright.systems.market.record import tried_before
from riskwright.systems.market.records import Joined
from riskwright.systems.market.report import PAGE
from riskwright.systems.market.trials import Tried, judge_trials


def backtest(name: str, home: Home, ledger: Ledger, output: Path) -> dict[str, Any]:
    """Write the report of the champion's walk-forward.

    Parameters
    ----------
    name
        Of the use case.
    output
        Folder for the report; new or empty, and complete or not there at all.

    Returns
    -------
    dict
        The headline figures, and where the report is.

    Raises
    ------
    InputRefused
        If there is no champion, or the output can't be used; nothing is written.
    IntegrityError
        If what the walk-forward kept isn't what it was.
    """
    refuse_taken(output)
    version = version_number(ledger, name, "champion")
    held = ledger.version(name, version)
    evidence = held.evidence
    case = load_forecast(home, ledger, name, next(iter(held.models))).case
    joined, panel = kept_walk(evidence), panel_of(case, evidence["train"], home)
    trials, told = _trials(home, case, Path(evidence["folder"]))
    kinds = {"ensemble": "the ensemble", "mean": "the historical mean"}
    live = ", ".join(f"{model} {kinds[kind]}" for model, kind in evidence["deployed"].items())
    with new_folder(output) as part:
        strategies = write_backtest(
            case,
            panel,
            joined,
            part,
            trials=trials,
            more=[f"Version {version} is live: {live}.", *told],
            seed=evidence["seed"],
        )
    excess = strategies_of(case, panel, joined)[1]
    luck = judge_trials(strategies, Tried(trials, excess))
    result = {
        "usecase": name,
        "title": case.title,
        "version": version,
        "models": {m: _judged(case, joined, evidence, m) for m in held.models},
        "steered_by": steering(case),
        "cost_bp": strategies.cost_bp,
        "strategy": strategies.table.to_dict("index"),
        "luck": luck.told,
        "trials": trials,
        "report": str(output / PAGE),
    }
    return result | _to_mlflow(case, home, held.run_id, output, result)


def _judged(
    case: MarketCase, joined: Joined, evidence: dict[str, Any], model: str
) -> dict[str, Any]:
    """Skill as it was judged, coverage, and what is deployed at one horizon."""
    one = horizon_of(case, joined, model)
    passed, words, _ = coverage_gate(one.intervals, one.actual, one.h, case.gates.coverage_p)
    return {
        "skill": evidence["skill"][model],
        "coverage": {"passed": passed, "detail": words},
        "deployed": evidence["deployed"][model],
    }


def _trials(home: Home, case: MarketCase, evidence: Path) -> tuple[int, list[str]]:
    """Return how many configurations were ever tried, and what a reader must know of the count."""
    mine = json.loads((evidence / "trials.json").read_text(encoding="utf-8"))
    keys = {entry["key"] for entry in mine}
    try:
        keys |= set(tried_before(home, case))
    except RiskwrightError as error:
        return len(keys), [f"Trials of other retrains aren't counted, MLflow is away: {error.what}"]
    return len(keys), []


def _to_mlflow(
    case: MarketCase, home: Home, parent: str | None, output: Path, told: dict[str, Any]
) -> dict[str, str]:
    """Keep the report under the champion's version; its absence is told, never the end."""
    plain = json.dumps(
        {k: v for k, v in told.items() if k != "report"}, sort_keys=True, default=str
    )
    key = f"backtest-{hashlib.sha256(plain.encode()).hexdigest()[:12]}"
    figures = {
        f"{strategy}.{k}": v
        for strategy, row in told["strategy"].items()
        for k, v in row.items()
        if strategy in ("ensemble", "historical_mean") and v == v  # noqa: PLR0124  (not NaN)
    }
    return log_report(
        home,
        case,
        key,
        "backtest",
        output,
        parent=parent,
        params={"version": told["version"], "trials": told["trials"]},
        metrics=figures,
        tags={"riskwright.version": str(told["version"])},
    )
