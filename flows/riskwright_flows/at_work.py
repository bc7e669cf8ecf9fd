"""Who is at work: a flow run says so in the ledger, so that one that died is seen, and made up for.

A run killed with -9 says nothing more: Prefect has it "Running" for ever, and its deployment's slot
taken until Prefect's own lease ends. Each run of ours holds a lease of the ledger under its id
(``flow-run:ID``), which works across hosts and containers that come back under another name. Every
run begins by closing those whose lease ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.logging import get_run_logger
from prefect.states import Cancelled, Crashed

from riskwright.home import refuse_relative
from riskwright.ledger import Lease, Ledger
from riskwright.life.crashed import close_runs
from riskwright.life.process import LEASE_SECONDS, dead, owner
from riskwright_flows.runtime import prepare

LEASE = "flow-run:"
BY_FILE = {  # what earlier releases deployed: anybody else may have files of such names
    "flows/retrain.py:retrain_flow",
    "flows/retrain.py:retrain_requested_flow",
    "flows/market.py:retrain_market_flow",
    "flows/monitor.py:monitor_flow",
    "flows/score.py:score_flow",
}
AT_WORK = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
BEGINS_WITHIN = timedelta(minutes=10)  # a run of our pool that took no lease by then never will
NOW = timedelta(0)
SOON = timedelta(hours=1)  # a tick that comes sooner needs no run before it
MAKES_UP = "makes-up:"  # tag of a run in place of one that died, and how many died before it
MOST = 3  # what dies again and again isn't a power cut: a person has to look

P = ParamSpec("P")
R = TypeVar("R")


def at_work(*, create: bool = True) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a flow say that it is at work while it is, and begin by clearing up after the dead.

    Parameters
    ----------
    create
        Whether the flow may make a home.
    """

    def around(body: Callable[P, R]) -> Callable[P, R]:
        @wraps(body)
        def flow(*arguments: P.args, **named: P.kwargs) -> R:
            context = FlowRunContext.get()
            run = context.flow_run if context else None
            if run is None or run.parent_task_run_id is not None:
                return body(*arguments, **named)  # a part of one that says it
            if run.deployment_id is not None:
                refuse_relative()
            home, ledger = prepare(create=create)
            with ledger.held(f"{LEASE}{run.id}", owner(), LEASE_SECONDS):
                try:
                    with get_client(sync_client=True) as client:
                        clear_up(client, ledger, client.read_flow_run(run.id))
                except (PrefectException, HTTPError) as error:  # the next run tries again
                    get_run_logger().warning("what died before wasn't cleared up: %s", error)
                close_runs(home, ledger)
                return body(*arguments, **named)

        return flow

    return around


def clear_up(client: SyncPrefectClient, ledger: Ledger, current: FlowRun) -> None:
    """Mark the dead crashed, free what they held, and make up for them.

    Parameters
    ----------
    current
        The run that does it. Ticks of its deployment that are due already are cancelled: what they
        would do, it does.
    """
    leases = ledger.leases()
    ended = _ended(client, leases, current)
    ours = current.work_pool_name is not None
    if ours:  # first: closing a dead run opens this run's slot for a moment, to whoever waits
        _cancel_covered(client, current)
    for run in ended:
        if run.state_type in AT_WORK:
            _close(client, run)
    if ours:
        _free_slots(client, current)
    names = {f"{LEASE}{run.id}" for run in ended}
    owners = {lease.owner for lease in leases if lease.name in names}
    for lease in leases:  # what else they held; another server's runs are for that one to close
        if lease.owner in owners or (dead(lease.owner) and not lease.name.startswith(LEASE)):
            ledger.release(lease.name, lease.owner)
    if ours:
        for run in ended:
            _make_up(client, run, current)


def _ended(client: SyncPrefectClient, leases: list[Lease], current: FlowRun) -> list[FlowRun]:
    """Runs whose process is gone and didn't say so, whatever state they are in by now."""
    mine = [lease for lease in leases if lease.name.startswith(LEASE)]
    found = []
    for lease in mine:
        if lease.live and not dead(lease.owner):
            continue
        with suppress(ObjectNotFound):  # it was another server's
            found.append(client.read_flow_run(UUID(lease.name.removeprefix(LEASE))))
    if current.work_pool_name is not None:
        known = {lease.name for lease in mine}
        before = datetime.now(UTC) - BEGINS_WITHIN
        for deployment in deployments(client, current.work_pool_name):
            found += [
                run
                for run in _runs(client, AT_WORK, deployment=deployment.id)
                if f"{LEASE}{run.id}" not in known and run.state and run.state.timestamp < before
            ]
    return [run for run in found if run.id != current.id]


def _close(client: SyncPrefectClient, run: FlowRun) -> None:
    """Mark a dead run and the flows below it: cancelled if somebody had asked for that."""
    asked = run.state_type == StateType.CANCELLING
    state: State[Any] = (
        Cancelled(message="cancelled, and its process is gone")
        if asked
        else Crashed(message="its process is gone")
    )
    level = [run.id]
    while level:
        for id in level:
            client.set_flow_run_state(id, state, force=True)
        below = FlowRunFilter(
            state=_in(AT_WORK), parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=level)
        )
        level = [child.id for child in client.read_flow_runs(flow_run_filter=below)]


def _cancel_covered(client: SyncPrefectClient, current: FlowRun) -> None:
    """Ticks that wait since before this run began: it does now what they would do later."""
    for run in _runs(client, [StateType.SCHEDULED], deployment=current.deployment_id, due=NOW):
        ours = run.auto_scheduled or any(t.startswith(MAKES_UP) for t in run.tags)
        if ours and run.parameters == current.parameters and run.id != current.id:
            state: State[Any] = Cancelled(message=f"covered by {current.name}, which ran instead")
            client.set_flow_run_state(run.id, state, force=True)


def _free_slots(client: SyncPrefectClient, current: FlowRun) -> None:
    """A slot belongs to a run that is at work; without one nothing would ever free it."""
    for deployment in deployments(client, str(current.work_pool_name)):
        limit = deployment.global_concurrency_limit
        if limit is None:
            continue
        holders = min(len(_runs(client, AT_WORK, deployment=deployment.id)), limit.limit)
        # Closing a dead run whose lease had ended frees a slot twice: this run's own, set again.
        mine = deployment.id == current.deployment_id and holders > limit.active_slots
        if holders < limit.active_slots or mine:
            held = GlobalConcurrencyLimitUpdate(active_slots=holders)
            client.update_global_concurrency_limit(limit.name, held)


def _make_up(client: SyncPrefectClient, run: FlowRun, current: FlowRun) -> None:
    """Let a dead run of a deployment go on in a new one, unless one comes soon anyway."""
    before = [int(t.removeprefix(MAKES_UP)) for t in run.tags if t.startswith(MAKES_UP)]
    was = max(before, default=0)
    died = run.state_type in (StateType.PENDING, StateType.RUNNING, StateType.CRASHED)
    covered = (run.deployment_id, run.parameters) == (current.deployment_id, current.parameters)
    if run.deployment_id is None or not died or covered or was >= MOST:
        return
    waiting = _runs(client, [StateType.SCHEDULED], deployment=run.deployment_id, due=SOON)
    if any(other.parameters == run.parameters for other in waiting):
        return
    client.create_flow_run_from_deployment(
        run.deployment_id,
        parameters=run.parameters,
        tags=[f"{MAKES_UP}{was + 1}"],
        idempotency_key=f"{MAKES_UP}{run.id}",
    )


def _in(states: Iterable[StateType]) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states)))


def ours(deployment: DeploymentResponse) -> bool:
    """Whether a deployment runs a flow of this package; earlier releases named its file."""
    entrypoint = deployment.entrypoint or ""
    return entrypoint in BY_FILE or entrypoint.startswith(f"{__package__}.")


def deployments(client: SyncPrefectClient, pool: str) -> list[DeploymentResponse]:
    """Our deployments in a work pool: others may share it."""
    chosen = WorkPoolFilter(name=WorkPoolFilterName(any_=[pool]))
    found = client.read_deployments(work_pool_filter=chosen)
    return [d for d in found if ours(d)]


def _runs(
    client: SyncPrefectClient,
    states: Iterable[StateType],
    *,
    deployment: UUID | None,
    due: timedelta | None = None,
) -> list[FlowRun]:
    """Runs of a deployment in these states; with ``due`` those that start within that time."""
    until = None if due is None else datetime.now(UTC) + due
    chosen = FlowRunFilter(
        state=_in(states),
        deployment_id=FlowRunFilterDeploymentId(any_=[deployment] if deployment else []),
        expected_start_time=FlowRunFilterExpectedStartTime(before_=until) if until else None,
    )
    return client.read_flow_runs(flow_run_filter=chosen)
