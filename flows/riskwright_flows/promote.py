"""Promote: log to MLflow, register, judge by the gates, go live by the use case's policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import flow, task
from prefect.client.schemas.objects import State
from prefect.states import Completed

from riskwright.ledger import Ledger, Version
from riskwright.life.renewal import Place, nothing_new
from riskwright_flows import progress
from riskwright_flows.crashed import mark_failed
from riskwright_flows.runtime import frozen, owner, prepare, specification, workplace, world_failed

if TYPE_CHECKING:
    from riskwright.life.submission import Submitted
    from riskwright.life.tracking import Tracker


@task(retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=world_failed)
def log_task(key: str, usecase: str, trained: dict[str, Any]) -> str:
    """Write the parent run and a child for each family; return the parent's id."""
    from riskwright.systems.credit.record import record

    home, ledger = prepare()
    spec = specification(usecase)
    with progress.Step("log to MLflow"):
        return record(spec, home, ledger, key=key, trained=trained, owner=owner())


@task(retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=world_failed)
def submit_task(
    key: str, usecase: str, trained: dict[str, Any], run_id: str, seed: int
) -> dict[str, Any]:
    """Register the challenger, record its gates, promote it if the policy says so."""
    from riskwright.life.specification import thaw
    from riskwright.life.submission import submit
    from riskwright.life.tracking import Tracker
    from riskwright.systems.credit.promotion import CreditSubmission
    from riskwright.systems.credit.reference import make_reference

    home, ledger = prepare()
    began = thaw(usecase)
    spec = specification(usecase)
    evidence, data = trained["evidence"], trained["data"]
    with progress.Step("gates and promotion"):
        references = {
            kind: make_reference(
                spec, home, test=data["test"], folder=Path(evidence["folder"]), kind=kind
            ).hash
            for kind in ("ensemble", "baseline")
        }
        tracker = Tracker(home, spec, key)
        submission = CreditSubmission(
            case=spec,
            home=home,
            ledger=ledger,
            tracker=tracker,
            run_id=run_id,
            train=data["train"],
            test=data["test"],
            references=references,
            joined=trained["joined"],
            evidence=evidence,
            folder=workplace(home, spec.name, key),
            seed=seed,
            actor=ledger.who(),
            data=trained["from"],
            budget=trained.get("budget"),
            began=began,
            loss=trained["loss"] or {},
        )
        return finish(ledger, tracker, run_id, submit(submission))


def finish(ledger: Ledger, tracker: Tracker, run_id: str, done: Submitted) -> dict[str, Any]:
    """Close the run of a retrain, and say how its challenger stands."""
    for run in ledger.runs(tracker.usecase.name, status="running"):
        if run.run_key == tracker.key:
            ledger.finish_run(run.id)
    tracker.log(
        run_id,
        tags={"riskwright.version": str(done.version), "riskwright.live": str(done.live)},
        metrics={f"gate.{g.name.replace(' ', '_')}": float(bool(g.passed)) for g in done.gates},
    )
    return {
        "version": done.version,
        "kind": done.kind,
        "why": done.why,
        "passed": done.passed,
        "live": done.live,
        "note": done.note,
        "rules_changed": done.changed.as_dict(),
        "gates": [
            {"name": g.name, "passed": g.passed, "blocking": g.blocking, "detail": g.detail}
            for g in done.gates
        ],
    }


def unchanged(
    ledger: Ledger, place: Place, data_step: dict[str, Any], known: Version
) -> State[dict[str, Any]]:
    """End a retrain that has nothing new to learn from; say how the version that has stands."""
    champion = ledger.champion(known.use_case)
    gates = ledger.gates(known.use_case, known.version)
    told = nothing_new(place, data_step["clean"], known)
    result = {
        "usecase": known.use_case,
        "version": known.version,
        "kind": known.evidence["kind"],
        "why": known.evidence["why"],
        "passed": all(g.passed for g in gates if g.blocking),
        "live": champion is not None and champion.version == known.version,
        "nothing_new": True,
        "told": told,
        "key": known.run_key.partition(":")[0],
        "run_id": known.run_id,
        "data": data_step,
        "evidence": known.evidence["folder"],
    }
    return Completed(message=told, data=result)


@flow(name="promote", validate_parameters=False)
def promote_flow(usecase: str, trained: dict[str, Any], seed: int = 0) -> dict[str, Any]:
    """Take what was trained to the registry and, by policy, live."""
    from riskwright.life.specification import thaw

    home, ledger = prepare()
    usecase, key = frozen(usecase, home), trained["key"]
    try:
        run_id = log_task(key, usecase, trained)
        submitted: dict[str, Any] = submit_task(key, usecase, trained, run_id, seed)
    except BaseException as error:
        mark_failed(home, ledger, specification(usecase).name, key, error)
        raise
    evidence = trained["evidence"]
    return {
        **submitted,
        "usecase": thaw(usecase).named,
        "key": key,
        "run_id": run_id,
        "metrics": evidence["metrics"],
        "limits": evidence["limits"],
        "decisions": evidence["decisions"],
        "test_rows": evidence["test_rows"],
        "test_bads": evidence["test_bads"],
        "evidence": evidence["folder"],
        "families": [
            {k: f.get(k) for k in ("name", "skipped", "seconds", "members")}
            for f in trained["families"]
        ],
    }
