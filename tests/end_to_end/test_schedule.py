"""A real Prefect server and worker run ``prefect.yaml`` by its schedules, power cuts too."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
import yaml
from servers import World, deployments


@pytest.fixture
def world(tmp_path: Path, free_port: int) -> Iterator[World]:
    made = World(tmp_path, free_port)
    yield made
    made.close()


def deploy(world: World, file: Path) -> None:
    """Apply every deployment of a file."""
    world.run(*world.prefect, "--no-prompt", "deploy", "--all", "--prefect-file", str(file))


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.timeout(3000)
def test_scheduled_runs_finish_and_the_next_one_starts_after_a_kill(world: World) -> None:
    file = deployments(world)
    apply = [*world.prefect, "--no-prompt", "deploy", "--all", "--prefect-file", str(file)]
    told = world.run(*apply, code=2, RISKWRIGHT_LABELS="")
    assert "not deployed, since RISKWRIGHT_LABELS is unset" in told
    deploy(world, file)
    world.start_worker()

    plan = yaml.safe_load(file.read_text(encoding="utf-8"))
    for name in {resolve_name(d["entrypoint"]).name for d in plan["deployments"]}:
        world.until(lambda name=name: ended(world, name), 900, f"a scheduled {name} to finish")
    assert world.live.ledger.versions("tiny")[-1].version == world.live.version
    world.new_cases(seed=1)

    victim = at_work(world, 900)
    os.kill(int(victim["infrastructure_pid"].rpartition(":")[2]), signal.SIGKILL)

    def next_one() -> list[dict[str, Any]]:
        later = victim["expected_start_time"]
        return [r for r in ended(world, "retrain") if r["expected_start_time"] > later]

    world.until(next_one, 900, "the next retrain to finish")
    state = next(r["state_type"] for r in world.runs("retrain") if r["id"] == victim["id"])
    assert state == "CRASHED"
    learnt_from_new_cases(world)
    world.until(lambda: world.live.ledger.champion("tiny_market"), 300, "the market's champion")


def at_work(world: World, seconds: float) -> dict[str, Any]:
    """Wait until a retrain trains; return its run."""

    def training() -> list[dict[str, Any]]:
        if not [r for r in world.runs("train", scheduled=False) if r["state_type"] == "RUNNING"]:
            return []
        found = world.runs("retrain", scheduled=False)
        return [r for r in found if r["state_type"] == "RUNNING" and r["infrastructure_pid"]]

    (run,) = world.until(training, seconds, "a retrain to train")
    return run


def learnt_from_new_cases(world: World) -> None:
    """One run registered what it learnt, whole: the one after the retrain that was killed.

    Live is what it made if its gates passed (the policy is automatic), else what was live before.
    """
    ledger = world.live.ledger
    made = [v for v in ledger.versions("tiny") if v.version > world.live.version]
    assert len({v.run_id for v in made}) == 1, made
    (new,) = [v for v in made if not v.evidence.get("standby")]
    gates = ledger.gates("tiny", new.version)
    assert gates
    passed = all(g.passed for g in gates if g.blocking)
    passed &= not any(g.passed is False and g.figures.get("person") for g in gates)
    expected = [world.live.version, *([new.version] if passed else [])]
    assert [p.version for p in ledger.history("tiny")] == expected
    champion = ledger.champion("tiny")
    assert champion is not None
    assert champion.version == expected[-1]
    assert ledger.verify().ok


def ended(world: World, name: str, *, scheduled: bool = True) -> list[dict[str, Any]]:
    """Completed runs of a flow."""
    found = world.runs(name, scheduled=scheduled)
    return [r for r in found if r["state_type"] == "COMPLETED"]


def cut(world: World) -> tuple[dict[str, Any], float]:
    """Cut the power while a retrain trains, start again; the victim, and when that was."""
    victim = at_work(world, 400)
    world.power_cut()
    since = time.time()
    world.start_server()
    world.start_worker()
    return victim, since


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.timeout(2400)
def test_after_a_power_cut_the_next_tick_runs(world: World, record_property: Any) -> None:
    """With one deployment alone: the slot is held by the dead run's lease, and the tick waits."""
    world.new_cases(seed=1)
    deploy(world, deployments(world, weekly="* * * * *"))
    world.start_worker()
    victim, since = cut(world)

    def next_one() -> list[dict[str, Any]]:
        return [r for r in ended(world, "retrain") if r["start_time"] > victim["start_time"]]

    (done, *_) = world.until(next_one, 900, "the next tick to finish")
    for word in ("start_time", "end_time"):
        at = datetime.fromisoformat(done[word]).timestamp()
        record_property(f"seconds from the cut to {word}", round(at - since, 1))
    runs = {r["id"]: r for r in world.runs("retrain")}
    assert runs[victim["id"]]["state_type"] == "CRASHED"
    assert "slot" not in {r["state"]["message"] for r in runs.values()}
    assert not [r for r in runs.values() if "limit reached" in (r["state"]["message"] or "")]
    covered = [r for r in runs.values() if "covered" in (r["state"]["message"] or "")]
    assert covered, "ticks that piled up are cancelled by the one that ran"
    assert not [r for r in runs.values() if r["state_type"] == "FAILED"], "two at once"
    learnt_from_new_cases(world)
