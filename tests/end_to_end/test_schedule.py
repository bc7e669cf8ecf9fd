"""A real Prefect server and worker run ``deploy/prefect.yaml`` by its schedules, power cuts too."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import World, deployments


@pytest.fixture
def world(tmp_path: Path, free_port: int) -> Iterator[World]:
    made = World(tmp_path, free_port)
    yield made
    made.close()


def deploy(world: World, file: Path) -> None:
    """Apply every deployment of a file."""
    world.run("prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file))


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.timeout(3000)
def test_scheduled_runs_finish_and_the_next_one_starts_after_a_kill(world: World) -> None:
    file = deployments(world)
    apply = ["prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file)]
    told = world.run(*apply, code=2, RISKWRIGHT_LABELS="")
    assert "not deployed, since RISKWRIGHT_LABELS is unset" in told
    deploy(world, file)
    world.start_worker()

    def ended(name: str) -> list[dict[str, Any]]:
        return [r for r in world.runs(name) if r["state_type"] == "COMPLETED"]

    for name in ("retrain", "monitor", "retrain-requested", "retrain-market", "score"):
        world.until(lambda name=name: ended(name), 600, f"a scheduled {name} to finish")

    def running() -> list[dict[str, Any]]:
        found = [r for r in world.runs("retrain") if r["state_type"] == "RUNNING"]
        return [r for r in found if r["infrastructure_pid"]]

    victim = world.until(running, 300, "a retrain to run")[0]
    os.kill(int(victim["infrastructure_pid"].rpartition(":")[2]), signal.SIGKILL)

    def next_one() -> list[dict[str, Any]]:
        later = [
            r for r in ended("retrain") if r["expected_start_time"] > victim["expected_start_time"]
        ]
        return later

    world.until(next_one, 480, "the next retrain to finish")
    state = next(r["state_type"] for r in world.runs("retrain") if r["id"] == victim["id"])
    assert state == "CRASHED"
    assert world.live.ledger.champion("tiny").version == world.live.version
    assert world.live.ledger.champion("tiny_market") is not None


def ended(world: World, name: str, *, scheduled: bool = True) -> list[dict[str, Any]]:
    """Completed runs of a flow."""
    found = world.runs(name, scheduled=scheduled)
    return [r for r in found if r["state_type"] == "COMPLETED"]


def cut(world: World) -> tuple[dict[str, Any], float]:
    """Cut the power while a retrain runs, start again; the victim, and when that was."""

    def running() -> list[dict[str, Any]]:
        return [r for r in world.runs("retrain", scheduled=False) if r["state_type"] == "RUNNING"]

    victim = world.until(running, 240, "a retrain to run")[0]
    time.sleep(4)
    world.power_cut()
    since = time.monotonic()
    world.start_server()
    world.start_worker()
    return victim, since


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.timeout(1500)
def test_after_a_power_cut_the_next_tick_runs(world: World, record_property: Any) -> None:
    """With one deployment alone: the slot is held by the dead run's lease, and the tick waits."""
    deploy(world, deployments(world, retrain_weekly="* * * * *"))
    world.start_worker()
    victim, since = cut(world)

    def next_one() -> list[dict[str, Any]]:
        return [r for r in ended(world, "retrain") if r["start_time"] > victim["start_time"]]

    world.until(next_one, 600, "the next tick to finish")
    record_property("seconds", time.monotonic() - since)
    runs = {r["id"]: r for r in world.runs("retrain")}
    assert runs[victim["id"]]["state_type"] == "CRASHED"
    assert "slot" not in {r["state"]["message"] for r in runs.values()}
    assert not [r for r in runs.values() if "limit reached" in (r["state"]["message"] or "")]
    covered = [r for r in runs.values() if "covered" in (r["state"]["message"] or "")]
    assert covered, "ticks that piled up are cancelled by the one that ran"
