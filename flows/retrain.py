"""Retrain: ingest, train, promote. Resumable; each step is a task with a key and a hash."""

from __future__ import annotations

import time
from typing import Any

from prefect import flow

from flows import progress
from flows.at_work import at_work
from flows.ingest import describe_task, ingest_flow
from flows.market import retrain_market_flow
from flows.promote import promote_flow
from flows.runtime import alone, frozen, owner, prepare, specification
from flows.train import train_flow
from riskwright.errors import Conflict, InputRefused
from riskwright.registry.promotion import remembered_data
from riskwright.usecase_files import is_market


@flow(name="retrain", validate_parameters=False)
@at_work()
def retrain_flow(
    usecase: str, data: str | None = None, budget: str | None = None, seed: int = 0
) -> dict[str, Any]:
    """Take a use case from raw rows to a judged challenger (and a champion, by its policy).

    Parameters
    ----------
    usecase
        A shipped name, a name in the home, or a path to a YAML file.
    data
        File or URL; if left out where the champion's rows came from, else the use case's source.
    budget
        Time for tuning, such as ``10m``.
    seed
        Of everything drawn at random; never of the split.
    """
    home, ledger = prepare()
    usecase = frozen(usecase, home, budget)  # nothing below reads the YAML again
    spec = specification(usecase)
    data = data or remembered_data(ledger, spec.name)
    started = time.monotonic()
    with alone(ledger, f"retrain:{spec.name}") as lost:
        costs = sum(progress.COSTS.get(name, 1) for name in spec.families)
        with progress.bar(costs + 10, f"retrain {spec.name}"):
            data_step = ingest_flow(usecase, data)
            described = describe_task.submit(usecase, data_step["clean"])
            trained = train_flow(usecase, data_step, seed)
            data_step["quality_report"] = described.result()
            if lost.is_set():
                raise Conflict(
                    f"another process took over the retrain of {spec.name}",
                    do="wait for it; nothing of this one was registered",
                )
            result = promote_flow(usecase, {**trained, "from": data}, seed)
    return {**result, "seconds": round(time.monotonic() - started, 1), "data": data_step}


@flow(name="retrain-requested", validate_parameters=False)
@at_work()
def retrain_requested_flow(usecase: str | None = None) -> dict[str, Any]:
    """Claim every waiting request once and retrain for it."""
    home, ledger = prepare()
    done: list[dict[str, Any]] = []
    while (request := ledger.claim_request(owner(), usecase)) is not None:
        champion = ledger.champion(request.use_case)
        named = (champion.evidence.get("specification") if champion else None) or request.use_case
        run = retrain_market_flow if is_market(named, home) else retrain_flow
        try:
            seed = champion.evidence.get("seed", 0) if champion else 0
            result = run(named, seed=seed)
        except InputRefused as error:
            ledger.finish_request(request.id, "failed", str(error))
            done.append({"request": request.id, "failed": str(error)})
            continue
        except BaseException as error:
            # Passing trouble, or a stop: the person's decision waits for the next run.
            ledger.return_request(request.id, owner(), str(error))
            raise
        told = f"version {result['version']}, {'live' if result['live'] else 'waits'}"
        ledger.finish_request(request.id, "done", told)
        done.append({"request": request.id, **result})
    return {"requests": done}
