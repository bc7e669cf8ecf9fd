"""Retrain a market forecast: ingest, walk, join, judge, promote. Resumable step by step."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.states import Completed

from riskwright.errors import Conflict
from riskwright.home import Home
from riskwright.life.named import specification_of
from riskwright.life.renewal import learnt_already, place_of
from riskwright.systems.market.case import MarketCase, read_market_case
from riskwright.systems.market.steps import walk_key
from riskwright_flows import progress
from riskwright_flows.at_work import at_work
from riskwright_flows.crashed import mark_failed
from riskwright_flows.promote import finish, unchanged
from riskwright_flows.runtime import alone, owner, prepare, resumed, workplace, world_failed
from riskwright_flows.say import verdict
from riskwright_flows.train import sweep


def frozen(name: str, home: Home) -> str:
    """Read a case's file, this once, and keep what it says: ``riskwright_flows.runtime.frozen``."""
    from riskwright.life.specification import freeze

    case, written = read_market_case(name, home)
    return str(freeze(case, written, name, home))


def specification(path: str) -> MarketCase:
    """Return the case that a run began with, from its frozen file."""
    from riskwright.life.specification import thaw_case

    return thaw_case(path, MarketCase)


@task(retries=2, retry_delay_seconds=[1, 5], retry_condition_fn=world_failed)
def ingest_task(usecase: str, data: str | None) -> dict[str, Any]:
    """Read, check and store the series; the snapshot's name is its hash."""
    from riskwright.systems.market.ingest import ingest

    home, _ = prepare()
    with progress.Step("ingest and check"):
        found = ingest(specification(usecase), Path(data) if data else None, home)
    return {
        "clean": found.snapshot.hash,
        "newest": str(found.panel.as_of),
        "rows": found.snapshot.rows,
        "series": len(found.panel.case.series),
        "warnings": found.notes,
    }


@task
def tried_task(key: str, usecase: str, data: str, seed: int) -> list[str]:
    """Log, beside the walk, what it tries; read what earlier retrains tried."""
    from riskwright.systems.market.evidence import planned
    from riskwright.systems.market.ingest import panel_of
    from riskwright.systems.market.record import declare, tried_before

    home, _ = prepare()
    case = specification(usecase)
    declare(case, home, key=key, log=planned(case, panel_of(case, data, home), seed))
    return tried_before(home, case)


@task
def walk_task(key: str, usecase: str, data: str, model: str, seed: int) -> dict[str, Any]:
    """Forecast one model at every origin, with every family."""
    from riskwright.systems.market.steps import walk_model

    home, _ = prepare()
    case = specification(usecase)
    with progress.Step(f"walk forward, {model}") as step:
        return walk_model(
            case,
            home,
            data=data,
            model=model,
            seed=seed,
            folder=workplace(home, case.name, key) / f"walk_{model}",
            progress=step,
        )


@task
def join_task(
    key: str, usecase: str, data: str, walks: list[dict[str, Any]], seed: int
) -> dict[str, Any]:
    """Ensemble, intervals and weights at each origin; the live members."""
    from riskwright.systems.market.steps import join_models

    home, _ = prepare()
    case = specification(usecase)
    with progress.Step("join the ensemble"):
        folder = workplace(home, case.name, key) / "joined"
        return join_models(case, home, data=data, walks=walks, seed=seed, folder=folder)


@task
def judge_task(
    key: str,
    usecase: str,
    data: str,
    walks: list[dict[str, Any]],
    joined: dict[str, Any],
    tried: list[str],
    seed: int,
) -> dict[str, Any]:
    """Skill and coverage by test, the as-of test, the backtest; the choice (counted)."""
    from riskwright.life.rules import changes
    from riskwright.systems.market.evidence import gather

    home, ledger = prepare()
    case = specification(usecase)
    ledger.count_reading(data, case.name, "evaluate", key)
    with progress.Step("judge the forecasts") as step:
        return gather(
            case,
            home,
            data=data,
            walks=walks,
            joined=joined,
            tried=tried,
            seed=seed,
            folder=workplace(home, case.name, key) / "evidence",
            progress=step,
            changed=changes(home, ledger, case, key),
        )


@task(retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=world_failed)
def log_task(key: str, usecase: str, trained: dict[str, Any]) -> str:
    """Write the parent run and a child for each family; return the parent's id."""
    from riskwright.systems.market.record import record

    home, ledger = prepare()
    case = specification(usecase)
    with progress.Step("log to MLflow"):
        return record(case, home, ledger, key=key, trained=trained, owner=owner())


@task(retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=world_failed)
def submit_task(
    key: str, usecase: str, source: str | None, trained: dict[str, Any], run_id: str, seed: int
) -> dict[str, Any]:
    """Register the challenger, record its gates, promote it if the policy says so."""
    from riskwright.life.specification import thaw
    from riskwright.life.submission import submit
    from riskwright.life.tracking import Tracker
    from riskwright.systems.market.life import MarketSubmission

    home, ledger = prepare()
    case = specification(usecase)
    with progress.Step("gates and promotion"):
        tracker = Tracker(home, case, key)
        submission = MarketSubmission(
            case=case,
            home=home,
            ledger=ledger,
            tracker=tracker,
            run_id=run_id,
            series=trained["data"]["clean"],
            joined=trained["joined"],
            evidence=trained["evidence"],
            folder=workplace(home, case.name, key),
            seed=seed,
            actor=ledger.who(),
            data=source,
            began=thaw(usecase),
        )
        return finish(ledger, tracker, run_id, submit(submission))


@flow(name="retrain-market", validate_parameters=False)
@at_work()
def retrain_market_flow(usecase: str, data: str | None = None, seed: int = 0) -> Any:
    """Take a market forecast from series to a judged challenger (and a champion, by its policy).

    The state's message says how it ended, or that there is nothing new to learn from.

    Parameters
    ----------
    usecase
        A shipped name, a name in the home, or a path to a YAML file.
    data
        Folder of its files; if left out the one that was named last, as it is now.
    seed
        Of the families that draw, and of the bootstraps.
    """
    home, ledger = prepare()
    usecase = specification_of(usecase, home, ledger)
    usecase = frozen(usecase, home)  # nothing below reads the YAML again
    case = specification(usecase)
    place = place_of(case, ledger, data)
    started = time.monotonic()
    with alone(ledger, f"retrain:{case.name}") as lost:
        plan = progress.market_plan(list(case.models))
        with progress.bar(plan, f"retrain {case.name}"):
            data_step = {**ingest_task(usecase, place.location), "source": place.words}
            key = walk_key(case, data_step["clean"], seed)
            if (known := learnt_already(ledger, case.name, key)) is not None:
                return unchanged(ledger, place, data_step, known)
            trained = _train(usecase, data_step, key, seed)
            if lost.is_set():
                raise Conflict(
                    f"another process took over the retrain of {case.name}",
                    do="wait for it; nothing of this one was registered",
                )
            try:
                run_id = log_task(key, usecase, trained)
                done: dict[str, Any] = submit_task(
                    key, usecase, place.location, trained, run_id, seed
                )
            except BaseException as error:
                mark_failed(home, ledger, case.name, key, error)
                raise
    evidence = trained["evidence"]
    result = {
        **done,
        "usecase": case.name,
        "key": key,
        "run_id": run_id,
        "seconds": round(time.monotonic() - started, 1),
        "walk_seconds": {step["model"]: step["seconds"] for step in trained["walks"]},
        "data": data_step,
        "deployed": evidence["deployed"],
        "models": evidence["models"],
        "origins": evidence["origins"],
        "trials": evidence["trials"],
        "strategy": evidence["strategy"],
        "evidence": evidence["folder"],
        "report": str(Path(evidence["folder"]) / "backtest" / "report.html"),
    }
    return Completed(message=verdict(result), data=result)


def _train(usecase: str, data_step: dict[str, Any], key: str, seed: int) -> dict[str, Any]:
    """Walk, join and judge on a stored snapshot; each step resumed if it was done."""
    from riskwright.life.workplace import intact

    home, _ = prepare()
    case = specification(usecase)
    data = data_step["clean"]
    place = workplace(home, case.name, key)
    sweep(place)
    tried = tried_task.submit(key, usecase, data, seed)
    common = {"key": key, "usecase": usecase, "data": data, "seed": seed}
    walks = [
        resumed(walk_task, place / f"walk_{model}.json", intact, **common, model=model)
        for model in case.models
    ]
    joined = resumed(join_task, place / "joined.json", intact, **common, walks=walks)
    evidence = resumed(
        judge_task,
        place / "evidence.json",
        intact,
        **common,
        walks=walks,
        joined=joined,
        tried=tried.result(),
    )
    return {"key": key, "data": data_step, "walks": walks, "joined": joined, "evidence": evidence}
