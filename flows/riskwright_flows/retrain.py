"""Retrain: the steps of a use case's kind, each a task. Resumable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed

from riskwright import progress
from riskwright.life.named import specification_of
from riskwright.life.retrain import begin, retrain
from riskwright.life.steps import Record, Step
from riskwright.life.workplace import Progress
from riskwright_flows.at_work import at_work
from riskwright_flows.runtime import prepare, world_failed
from riskwright_flows.say_models import verdict

DELAYS = [1, 5]  # seconds before another try


def as_task(step: Step, go: Callable[[Progress], Record]) -> Record:
    """Do a step of a run inside a task of its name, with a place in the progress bar."""
    again: dict[str, Any] = {}
    if step.retried:
        again = {
            "retries": len(DELAYS),
            "retry_delay_seconds": DELAYS,
            "retry_condition_fn": world_failed,
        }

    # Beside Prefect, which looks into what a task returns and takes a record that has a field
    # called "keys" for a mapping.
    made: list[Record] = []

    @task(name=step.title, cache_policy=NO_CACHE, **again)
    def work() -> None:
        made.append(progress.told(step.title, step.cost, go))

    work()
    return made[-1]


@flow(name="retrain", validate_parameters=False)
@at_work()
def retrain_flow(
    usecase: str, data: str | None = None, budget: str | None = None, seed: int = 0
) -> Any:
    """Take a use case from raw data to a judged challenger (and a champion, by its policy).

    The state's message says how it ended, or that there is nothing new to learn from.

    Parameters
    ----------
    usecase
        A shipped name, a name in the home, or a path to a YAML file.
    data
        File, folder or address; if left out the use case's own source, as it is now.
    budget
        Time for tuning, such as ``10m``.
    seed
        Of everything drawn at random; never of the split.
    """
    home, ledger = prepare()
    done = retrain(
        begin(specification_of(usecase, home, ledger), home, budget),
        home,
        ledger,
        data=data,
        budget=budget,
        seed=seed,
        perform=as_task,
        bar=progress.bar,
    ).as_dict()
    return Completed(message=verdict(done), data=done)
