"""Retrain: ingest, train, promote. Resumable; each step is a task with a key and a hash."""

from __future__ import annotations

import time
from typing import Any

from prefect import flow
from prefect.states import Completed

from riskwright.errors import Conflict, InputRefused
from riskwright.life.named import specification_of
from riskwright.life.renewal import learnt_already, place_of
from riskwright.life.specification import is_frozen
from riskwright.systems.credit.candidates import run_key
from riskwright_flows import progress
from riskwright_flows.at_work import at_work
from riskwright_flows.ingest import describe_task, ingest_flow
from riskwright_flows.promote import promote_flow, unchanged
from riskwright_flows.runtime import alone, frozen, prepare, specification
from riskwright_flows.say import verdict
from riskwright_flows.train import train_flow


@flow(name="retrain", validate_parameters=False)
@at_work()
def retrain_flow(
    usecase: str, data: str | None = None, budget: str | None = None, seed: int = 0
) -> Any:
    """Take a use case from raw rows to a judged challenger (and a champion, by its policy).

    The state's message says how it ended, or that there is nothing new to learn from.

    Parameters
    ----------
    usecase
        A shipped name, a name in the home, or a path to a YAML file.
    data
        File or URL; if left out the use case's own source, as it is now.
    budget
        Time for tuning, such as ``10m``.
    seed
        Of everything drawn at random; never of the split.
    """
    from riskwright.learn.families import applicable

    home, ledger = prepare()
    if is_frozen(usecase):  # it says who its author is: only a run that read the YAML may
        raise InputRefused(
            "the frozen specification of a run is no use case",
            where=usecase,
            expected="a name, or the path of a YAML file",
        )
    usecase = specification_of(usecase, home, ledger)
    usecase = frozen(usecase, home, budget)  # nothing below reads the YAML again
    spec = specification(usecase)
    place = place_of(spec, ledger, data)
    started = time.monotonic()
    with alone(ledger, f"retrain:{spec.name}") as lost:
        fits = [name for name in spec.families if not applicable(name, spec.schema_)]
        plan = progress.retrain_plan(fits, loans=spec.loan is not None)
        with progress.bar(plan, f"retrain {spec.name}"):
            data_step = {**ingest_flow(usecase, place.location), "source": place.words}
            key = run_key(spec, data_step["train"], data_step["test"], seed)
            if (known := learnt_already(ledger, spec.name, key)) is not None:
                return unchanged(ledger, place, data_step, known)
            described = describe_task.submit(usecase, data_step["clean"])
            trained = train_flow(usecase, data_step, seed)
            data_step["quality_report"] = described.result()
            if lost.is_set():
                raise Conflict(
                    f"another process took over the retrain of {spec.name}",
                    do="wait for it; nothing of this one was registered",
                )
            given = {"from": place.location, "budget": budget}
            result = promote_flow(usecase, {**trained, **given}, seed)
    seconds = round(time.monotonic() - started, 1)
    result = {**result, "seconds": seconds, "data": data_step}
    return Completed(message=verdict(result), data=result)
