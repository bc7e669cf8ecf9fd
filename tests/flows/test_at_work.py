"""A run that died is seen by its lease, closed, made up for; the doctor tells what stands still."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import (
    GlobalConcurrencyLimitUpdate,
    WorkPoolCreate,
)
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions, FlowRun
from prefect.states import Cancelled, Cancelling, Completed, Crashed, Late, Pending, Running
from prefect.testing.utilities import prefect_test_harness

from riskwright.errors import InputRefused, Unavailable
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright_flows import at_work, deployed, schedules
from riskwright_flows.at_work import LEASE, clear_up
from riskwright_flows.typed import command

GONE = "a-container-that-was-made-anew:1:100"
ALIVE = "another-machine:1:100"
ONE = ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=180):
        yield


class Schedules:
    """A pool with deployments, and a ledger that says who is at work."""

    def __init__(self, client: SyncPrefectClient, home: Home, pool: str) -> None:
        self.client, self.pool = client, pool
        self.ledger = Ledger.open(home, create=True)
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"))

    def deploy(self, name: str, **changes: Any) -> UUID:
        asked: dict[str, Any] = {
            "entrypoint": "riskwright_flows.retrain.retrain_flow",
            "parameters": {"usecase": "tiny"},
            "concurrency_limit": 1,
            "concurrency_options": ONE,
            "work_pool_name": self.pool,
        }
        flow = self.client.create_flow_from_name("retrain")
        return self.client.create_deployment(flow, f"{self.pool}-{name}", **(asked | changes))

    def run(self, deployment: UUID | None, state: Any, lease: str | None = None) -> FlowRun:
        """A run in a state, whose process says in the ledger that it is at work."""
        made = self.client.create_flow_run_from_deployment(deployment)
        if state is not None:
            self.client.set_flow_run_state(made.id, Pending())
            self.client.set_flow_run_state(made.id, Running())
            if not isinstance(state, Running().__class__) or state.type.value != "RUNNING":
                self.client.set_flow_run_state(made.id, state, force=True)
        if lease is not None:
            live = lease != GONE
            assert self.ledger.acquire(f"{LEASE}{made.id}", lease, 60 if live else 1e-6)
        return self.client.read_flow_run(made.id)

    def state(self, run: FlowRun) -> str:
        return str(self.client.read_flow_run(run.id).state_type.value)

    def slots(self, deployment: UUID) -> int:
        limit = self.client.read_deployment(deployment).global_concurrency_limit
        assert limit is not None
        return limit.active_slots

    def set_slots(self, deployment: UUID, slots: int) -> None:
        name = f"deployment:{deployment}"
        asked = GlobalConcurrencyLimitUpdate(active_slots=slots)
        self.client.update_global_concurrency_limit(name, asked)

    def waiting(self, deployment: UUID) -> list[FlowRun]:
        return at_work._runs(
            self.client,
            [at_work.StateType.SCHEDULED],
            deployment=deployment,
            due=timedelta(minutes=1),
        )


@pytest.fixture
def world(server: None, home: Home, tmp_path: Path) -> Iterator[Schedules]:
    with get_client(sync_client=True) as client:
        yield Schedules(client, home, tmp_path.name.replace("_", "-"))


def test_a_run_whose_lease_ended_is_closed_and_made_up_for(world: Schedules) -> None:
    """Its host name is unknown: a container that was made anew has another one."""
    weekly, other, requested = world.deploy("weekly"), world.deploy("b"), world.deploy("requested")
    dead = world.run(weekly, Running(), lease=GONE)
    alive = world.run(other, Running(), lease=ALIVE)
    assert world.ledger.acquire("retrain:tiny", GONE, 600)
    assert (world.slots(weekly), world.slots(other)) == (1, 1)
    current = world.run(requested, Running(), lease="me:2:100")
    clear_up(world.client, world.ledger, current)
    assert (world.state(dead), world.state(alive)) == ("CRASHED", "RUNNING")
    assert (world.slots(weekly), world.slots(other), world.slots(requested)) == (0, 1, 1)
    assert world.ledger.holder("retrain:tiny") is None, "what else it held comes free too"
    again = world.waiting(weekly)
    assert [(r.parameters, r.tags) for r in again] == [({"usecase": "tiny"}, ["makes-up:1"])]
    clear_up(world.client, world.ledger, current)
    assert [r.id for r in world.waiting(weekly)] == [again[0].id], "made up for once"


def test_what_dies_again_and_again_is_left_to_a_person(world: Schedules) -> None:
    weekly, requested = world.deploy("weekly"), world.deploy("requested")
    current = world.run(requested, Running(), lease="me:2:100")
    world.run(weekly, Running(), lease=GONE)
    for number in range(1, at_work.MOST + 1):
        clear_up(world.client, world.ledger, current)
        (again,) = world.waiting(weekly)
        assert again.tags == [f"makes-up:{number}"]
        world.client.set_flow_run_state(again.id, Pending())
        world.client.set_flow_run_state(again.id, Running())
        assert world.ledger.acquire(f"{LEASE}{again.id}", GONE, 1e-6)
    clear_up(world.client, world.ledger, current)
    assert world.waiting(weekly) == []


@pytest.mark.parametrize(
    ("state", "becomes", "made_up"),
    [
        (Crashed(message="exit code -9"), "CRASHED", True),  # the worker saw it and said so
        (Cancelling(), "CANCELLED", False),
        (Completed(), "COMPLETED", False),
    ],
)
def test_what_somebody_else_closed_is_kept(
    world: Schedules, state: Any, becomes: str, made_up: bool
) -> None:
    weekly, requested = world.deploy("weekly"), world.deploy("requested")
    run = world.run(weekly, state, lease=GONE)
    clear_up(world.client, world.ledger, world.run(requested, Running(), lease="me:2:100"))
    assert world.state(run) == becomes
    assert bool(world.waiting(weekly)) is made_up
    assert world.slots(weekly) == 0
    assert [lease.owner for lease in world.ledger.leases(LEASE)] == ["me:2:100"]


def test_ticks_that_piled_up_are_covered_by_the_run_that_begins(world: Schedules) -> None:
    daily = world.deploy("daily")
    ticks = [world.client.create_flow_run_from_deployment(daily, tags=["makes-up:1"])]
    by_hand = [
        world.client.create_flow_run_from_deployment(daily),
        world.client.create_flow_run_from_deployment(
            daily, parameters={"usecase": "other"}, tags=["makes-up:1"]
        ),
    ]
    clear_up(world.client, world.ledger, world.run(daily, Running(), lease="me:2:100"))
    assert [world.state(r) for r in ticks] == ["CANCELLED"]
    assert {world.state(r) for r in by_hand} == {"SCHEDULED"}, "what a person asked for stays"


def test_a_slot_that_nobody_holds_is_freed(world: Schedules) -> None:
    """As a server leaves it that kept its leases in memory and was killed."""
    daily, requested = world.deploy("daily"), world.deploy("requested")
    world.set_slots(daily, 1)
    current = world.run(requested, Running(), lease="me:2:100")
    world.set_slots(requested, 0)  # closing a dead run whose lease had ended does this
    clear_up(world.client, world.ledger, current)
    assert (world.slots(daily), world.slots(requested)) == (0, 1)


def test_no_tick_takes_the_slot_that_closing_a_dead_run_opens(
    world: Schedules, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own lease had ended, so Prefect frees the slot a second time: that of the live run."""
    daily = world.deploy("daily")
    dead = world.run(daily, Running(), lease=GONE)
    world.set_slots(daily, 0)
    current = world.run(daily, Running(), lease="me:2:100")
    tick = world.client.create_flow_run_from_deployment(daily, tags=["makes-up:1"])
    close, seen = at_work._close, []

    def closed(client: SyncPrefectClient, run: FlowRun) -> None:
        close(client, run)
        seen.append((world.slots(daily), world.state(tick)))

    monkeypatch.setattr(at_work, "_close", closed)
    clear_up(world.client, world.ledger, current)
    assert (world.state(dead), seen) == ("CRASHED", [(0, "CANCELLED")])
    assert world.slots(daily) == 1


def test_a_run_that_never_began_is_closed(
    world: Schedules, monkeypatch: pytest.MonkeyPatch
) -> None:
    daily, requested = world.deploy("daily"), world.deploy("requested")
    theirs = world.deploy("theirs", entrypoint="elsewhere.py:flow")
    pending = [world.client.create_flow_run_from_deployment(d) for d in (daily, theirs)]
    for run in pending:
        world.client.set_flow_run_state(run.id, Pending())
    current = world.run(requested, Running(), lease="me:2:100")
    clear_up(world.client, world.ledger, current)
    assert [world.state(r) for r in pending] == ["PENDING", "PENDING"], "it may just be slow"
    monkeypatch.setattr(at_work, "BEGINS_WITHIN", timedelta(seconds=-1))
    clear_up(world.client, world.ledger, current)
    assert [world.state(r) for r in pending] == ["CRASHED", "PENDING"]


def test_this_month(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from riskwright_flows import monitor

    asked: dict[str, Any] = {}
    watch = "riskwright.systems.credit.monitoring.monitor_batch"
    monkeypatch.setattr(watch, lambda *_, **k: asked.update(k) or {})
    monitor.monitor_task.fn("tiny", "batch.csv", None, monitor.THIS_MONTH, None)
    assert asked["as_of"] == f"{datetime.now(UTC):%Y-%m}-01"


# The doctor


def told(world: Schedules, name: str) -> str:
    return schedules.examine(world.ledger)[f"retrain/{world.pool}-{name}"]


def test_the_doctor_sees_where_leases_are_kept(world: Schedules) -> None:
    assert schedules.examine(world.ledger)["leases"] == "kept on disk"


def test_the_doctor_sees_a_pool_that_nobody_serves(world: Schedules) -> None:
    world.deploy("daily")
    said = schedules.examine(world.ledger)[f"work pool {world.pool}"]
    assert said.startswith("broken: no worker serves it (NOT_READY)")
    assert f"prefect worker start --pool {world.pool}" in said
    world.client.send_worker_heartbeat(world.pool, "a worker", 30)
    assert schedules.examine(world.ledger)[f"work pool {world.pool}"] == "a worker serves it"
    world.client.delete_work_pool(world.pool)
    # Prefect takes the pool from its deployments, which then run nowhere.
    assert told(world, "daily").startswith("broken: its work pool is gone")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"parameters": {"usecase": "tiny", "input": ""}}, "parameter input"),
        ({"parameters": {"usecase": "{{ $USECASE }}"}}, "parameter usecase"),
        (
            {
                "pull_steps": [
                    {
                        "prefect.deployments.steps.set_working_directory": {
                            "directory": "{{ $RISKWRIGHT_CHECKOUT }}"
                        }
                    }
                ]
            },
            "the folder that runs start in",
        ),
    ],
)
def test_the_doctor_sees_a_variable_that_was_unset(
    world: Schedules, changes: dict[str, Any], what: str
) -> None:
    world.deploy("daily", **changes)
    said = told(world, "daily")
    assert said.startswith(f"broken: {what} held a variable that was unset")
    assert said.endswith(f"then: {command('deploy')}")


def test_the_doctor_sees_a_deployment_of_an_earlier_release(world: Schedules) -> None:
    world.deploy("daily", entrypoint="flows/retrain.py:retrain_flow")
    world.deploy("gone", entrypoint="riskwright_flows.retrain_all.retrain_flow")
    said, other = told(world, "daily"), told(world, "gone")
    assert said.startswith("broken: it names a flow by its file")
    assert said.endswith(f"to mend it: {command('deploy')}")
    assert other.startswith("broken: it names riskwright_flows.retrain_all.retrain_flow, which")


def test_nothing_is_deployed_where_there_is_no_work_pool(server: None) -> None:
    with pytest.raises(InputRefused, match="the server has no work pool 'riskwright'") as refused:
        deployed.deploy([])
    assert refused.value.do == "prefect work-pool create riskwright --type process"


def test_what_no_worker_can_run_is_removed_and_told(world: Schedules) -> None:
    """Only in the pool that is deployed to: another may be an older release's."""
    world.client.create_work_pool(WorkPoolCreate(name=f"{world.pool}-older", type="process"))
    world.deploy("kept")
    world.deploy("mine", entrypoint="my.own.flow")
    world.deploy("theirs", entrypoint="flows/market.py:nightly")  # a file of somebody else's
    elsewhere = world.deploy(
        "old",
        entrypoint="flows/market.py:retrain_market_flow",
        work_pool_name=f"{world.pool}-older",
    )
    old = world.deploy("older", entrypoint="flows/market.py:retrain_market_flow")
    (removed,) = deployed.remove_gone(world.client, world.pool)
    said = f"removed retrain/{world.pool}-older {{'usecase': 'tiny'}} "
    assert removed.startswith(said)
    assert ": it names" in removed
    left = {d.id: d.name for d in world.client.read_deployments()}
    assert old not in left
    assert elsewhere in left
    assert {f"{world.pool}-{name}" for name in ("kept", "mine", "theirs")} <= set(left.values())


def test_the_doctor_sees_a_slot_that_is_stuck(world: Schedules) -> None:
    daily = world.deploy("daily")
    run = world.run(daily, Running(), lease=ALIVE)
    assert told(world, "daily") == "no tick was due yet"
    world.ledger.release(f"{LEASE}{run.id}", ALIVE)
    assert world.ledger.acquire(f"{LEASE}{run.id}", GONE, 1e-6)
    said = told(world, "daily")
    assert said.startswith(f"broken: its slot is held by {run.name}, whose process is gone")
    assert f"prefect global-concurrency-limit update 'deployment:{daily}' --active-slots 0" in said
    world.client.set_flow_run_state(run.id, Crashed(), force=True)
    world.set_slots(daily, 1)
    assert told(world, "daily").startswith("broken: its slot is held by nobody")


def tick(minutes_ago: float, state: Any) -> FlowRun:
    """A run as the server tells it; only its own scheduler makes ticks."""
    due = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return FlowRun(
        flow_id=UUID(int=1),
        name="one",
        state=state,
        state_type=state.type,
        state_name=state.name,
        auto_scheduled=True,
        expected_start_time=due,
        end_time=due if state.type.value in ("COMPLETED", "CANCELLED") else None,
    )


LIMIT = Cancelled(message="Deployment concurrency limit reached.")


@pytest.mark.parametrize(
    ("ticks", "missed"),
    [
        ([], 0),
        ([(90, Completed()), (30, LIMIT), (15, LIMIT)], 2),
        ([(30, LIMIT), (20, Completed())], 0),
        ([(90, Completed()), (30, Late())], 1),
        ([(90, Completed()), (5, Late())], 0),  # it may still begin
        ([(90, Completed()), (30, Cancelled(message="covered by one"))], 0),
        ([(90, Completed()), (30, Crashed())], 1),
        ([(30, Running())], 0),
    ],
)
def test_ticks_that_were_missed_since_the_last_success(
    ticks: list[tuple[float, Any]], missed: int
) -> None:
    runs = [tick(*one) for one in ticks]
    assert len(schedules._missed(runs)[0]) == missed
    by_hand = [run.model_copy(update={"auto_scheduled": False}) for run in runs]
    assert schedules._missed(by_hand)[0] == []


def test_a_dead_run_that_mlflow_lost_stops_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from riskwright.life import tracking
    from riskwright.life.crashed import close_runs

    ledger = Ledger.open(home, create=True)
    ledger.start_run("tiny", "retrain", "key", "somewhere:1:1", mlflow_run_id="gone")
    dead = ledger.runs("tiny")
    monkeypatch.setattr(Ledger, "reap", lambda _: dead)
    close_runs(home, ledger)  # deleted there
    monkeypatch.setattr(tracking, "connect", lambda _: (_ for _ in ()).throw(Unavailable("down")))
    close_runs(home, ledger)
