"""Close what ended badly: runs that failed, and those whose process died without a word."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import State, StateType
from prefect.context import FlowRunContext
from prefect.states import Crashed

from flows.runtime import dead, owner
from riskwright.errors import Unavailable
from riskwright.home import Home
from riskwright.ledger import Ledger

_RUNNING = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING]))


def mark_crashed(home: Home, ledger: Ledger) -> list[str]:
    """Close every run whose process is gone; return the ids of the Prefect runs closed.

    A process killed with -9 leaves its runs "Running" for ever in all three stores.
    """
    from riskwright.registry.tracking import connect

    stale = [r for r in ledger.reap() if r.mlflow_run_id]
    if stale:
        client = connect(home)
        for run in stale:
            if client.get_run(run.mlflow_run_id).info.status == "RUNNING":
                client.set_terminated(run.mlflow_run_id, status="KILLED")
    return _mark_prefect_runs()


def mark_failed(home: Home, ledger: Ledger, usecase: str, key: str, error: BaseException) -> None:
    """Close the run of this key as failed, in the ledger and in MLflow."""
    from riskwright.registry.tracking import connect

    detail = str(error) or type(error).__name__
    for run in ledger.runs(usecase, status="running"):
        if run.run_key == key:
            ledger.finish_run(run.id, "failed", detail)
            if run.mlflow_run_id:
                with suppress(Unavailable):  # MLflow itself may be what failed
                    connect(home).set_terminated(run.mlflow_run_id, status="FAILED")


def _mark_prefect_runs() -> list[str]:
    """Our flow runs carry their process as a tag; those of dead ones, and their subflows, crashed.

    Tasks carry no tag: each would ask the server for a concurrency slot of that name first.
    """
    context = FlowRunContext.get()
    current = context.flow_run if context else None
    closed: list[UUID] = []
    with get_client(sync_client=True) as client:
        if current is not None:
            client.update_flow_run(current.id, tags=sorted({*current.tags, f"owner:{owner()}"}))
        tagged = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=_RUNNING, tags=FlowRunFilterTags(is_null_=False))
        )
        for run in tagged:
            owners = [t.removeprefix("owner:") for t in run.tags if t.startswith("owner:")]
            if owners and run.id != getattr(current, "id", None) and dead(owners[0]):
                closed.append(run.id)
        parents = closed
        while parents:
            below = FlowRunFilterParentFlowRunId(any_=parents)
            children = client.read_flow_runs(
                flow_run_filter=FlowRunFilter(state=_RUNNING, parent_flow_run_id=below)
            )
            parents = [run.id for run in children]
            closed = [*closed, *parents]
        for gone in closed:
            state: State[Any] = Crashed(message="its process is gone")
            client.set_flow_run_state(gone, state, force=True)
    return [str(run) for run in closed]
