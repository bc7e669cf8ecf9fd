"""What 'riskwright doctor' says of a Prefect server's schedules, and what mends each trouble."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort

from riskwright.ledger import Ledger
from riskwright.life.process import dead
from riskwright_flows.at_work import AT_WORK, LEASE, ours
from riskwright_flows.deployed import FILE, no_flow
from riskwright_flows.typed import command

PATIENCE = timedelta(minutes=10)  # how late a tick may be before it is called missed
BACK = timedelta(days=40)  # as far as ticks are looked at: once a month at least
BAD = "broken: "


def examine(ledger: Ledger | None) -> dict[str, str]:
    """Return, for the server, each work pool and each deployment of ours, how it stands.

    Parameters
    ----------
    ledger
        Whose leases tell the runs that died; None if there is no home yet.
    """
    gone = set() if ledger is None else _gone(ledger)
    with get_client(sync_client=True) as client:
        found = {"leases": _leases(client)}
        deployments = [d for d in client.read_deployments() if ours(d)]
        if not deployments:
            found["deployments"] = f"none; to have schedules: {command('deploy')}"
        for pool in sorted({d.work_pool_name for d in deployments if d.work_pool_name}):
            found[f"work pool {pool}"] = _pool(client, pool)
        for deployment in deployments:
            flow = client.read_flow(deployment.flow_id).name
            found[f"{flow}/{deployment.name}"] = _deployment(client, deployment, gone)
    return found


def _gone(ledger: Ledger) -> set[str]:
    """Ids of the flow runs whose lease ended without a word."""
    return {
        lease.name.removeprefix(LEASE)
        for lease in ledger.leases(LEASE)
        if not lease.live or dead(lease.owner)
    }


def _leases(client: SyncPrefectClient) -> str:
    settings: dict[str, Any] = client.request("GET", "/admin/settings").json()
    kept = settings.get("server", {}).get("concurrency", {}).get("lease_storage", "")
    if str(kept).endswith(".memory"):
        return (
            f"{BAD}the server keeps in memory who is at work: after a power cut no schedule runs "
            "again; start it with PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE="
            "prefect.server.concurrency.lease_storage.filesystem"
        )
    return "kept on disk" if str(kept).endswith(".filesystem") else f"kept by {kept}"


def _pool(client: SyncPrefectClient, name: str) -> str:
    mend = f"prefect worker start --pool {name} --type process"
    pool = client.read_work_pool(name)
    if pool.is_paused:
        return f"{BAD}it is paused; to mend it: prefect work-pool resume {name}"
    if pool.status != "READY":
        status = pool.status.value if pool.status else "no status"
        return f"{BAD}no worker serves it ({status}); to mend it: {mend}"
    return "a worker serves it"


def _deployment(client: SyncPrefectClient, deployment: DeploymentResponse, gone: set[str]) -> str:
    mend = command("deploy")
    if why := no_flow(deployment.entrypoint or ""):
        return f"{BAD}{why}; to mend it: {mend}"
    if unset := _unset(deployment):
        return (
            f"{BAD}{unset} held a variable that was unset when it was deployed; to mend it: set "
            f"the variables that {FILE} names, then: {mend}"
        )
    if deployment.work_pool_name is None:
        return f"{BAD}its work pool is gone; to mend it: start a worker (it makes one), then {mend}"
    runs = _runs(client, deployment.id)
    if stuck := _stuck(deployment, runs, gone):
        return stuck
    if deployment.paused:
        return "paused"
    late, last = _missed(runs)
    if late:
        first = min(str(run.expected_start_time)[:16] for run in late)
        since = f"since its last success on {last:%Y-%m-%d %H:%M}" if last else "and none succeeded"
        return (
            f"{BAD}{len(late)} tick{'s' * (len(late) > 1)} didn't end well {since}, the first of "
            f"{first}: {_why(late[-1])}; to see it: prefect flow-run logs {late[-1].id}"
        )
    return f"last success on {last:%Y-%m-%d %H:%M}" if last else "no tick was due yet"


def _unset(deployment: DeploymentResponse) -> str:
    """Which part of a deployment shows that a variable wasn't set; empty if none does."""
    for name, value in (deployment.parameters or {}).items():
        if isinstance(value, str) and (not value.strip() or "{{" in value):
            return f"parameter {name}"
    for step in deployment.pull_steps or []:
        for values in step.values():
            if any(not str(v).strip() or "{{" in str(v) for v in values.values()):
                return "the folder that runs start in"
    return ""


def _stuck(deployment: DeploymentResponse, runs: list[FlowRun], gone: set[str]) -> str:
    limit = deployment.global_concurrency_limit
    if limit is None or not limit.active_slots:
        return ""
    holders = [run for run in runs if run.state_type in AT_WORK]
    if any(str(run.id) not in gone for run in holders):
        return ""
    held = f"by {holders[0].name}, whose process is gone" if holders else "by nobody"
    return (
        f"{BAD}its slot is held {held}, so that no run of it begins; the next run of any schedule "
        f"frees it; to mend it now: prefect global-concurrency-limit update '{limit.name}' "
        "--active-slots 0"
    )


def _missed(runs: list[FlowRun]) -> tuple[list[FlowRun], datetime | None]:
    """Ticks since the last success that didn't run, and when that was."""
    done = [r for r in runs if r.state_type == StateType.COMPLETED and r.end_time]
    last = max((r.end_time for r in done if r.end_time), default=None)
    before = datetime.now(UTC) - PATIENCE
    late = [
        run
        for run in runs
        if run.auto_scheduled
        and run.expected_start_time is not None
        and run.expected_start_time < before
        and (last is None or run.expected_start_time > last)
        and _is_missed(run)
    ]
    return late, last


def _is_missed(run: FlowRun) -> bool:
    message = (run.state.message if run.state else "") or ""
    if run.state_type == StateType.CANCELLED:
        return "limit reached" in message  # others were cancelled by a person, or are covered
    return run.state_type in (StateType.SCHEDULED, StateType.CRASHED, StateType.FAILED)


def _why(run: FlowRun) -> str:
    message = ((run.state.message if run.state else "") or "").strip().splitlines()
    return f"{run.state_name}, {message[0]}" if message else str(run.state_name)


def _runs(client: SyncPrefectClient, deployment: UUID) -> list[FlowRun]:
    """A deployment's runs that were due in the last weeks, oldest first."""
    chosen = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[deployment]),
        expected_start_time=FlowRunFilterExpectedStartTime(
            after_=datetime.now(UTC) - BACK, before_=datetime.now(UTC)
        ),
    )
    newest = client.read_flow_runs(
        flow_run_filter=chosen, sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=200
    )
    return newest[::-1]
