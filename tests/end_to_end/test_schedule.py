"""A real Prefect server and worker run ``deploy/prefect.yaml`` by its schedules."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import httpx
import pytest
import yaml
from tiny import applications, make_live
from tiny_market import market_plain, series, write_series

REPOSITORY = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
EVERY_MINUTE = {"cron": "* * * * *", "timezone": "UTC", "active": True, "slug": "test"}


class World:
    """A server, a worker and a home, all on loopback and in temporary folders."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.api = folder, f"http://127.0.0.1:{port}/api"
        self.live = make_live(folder / "home")
        self.environment = {
            **os.environ,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "RISKWRIGHT_HOME": str(self.live.home.root),
            "RISKWRIGHT_CHECKOUT": str(REPOSITORY),
            "MLFLOW_TRACKING_URI": self.live.home.mlflow_uri,
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_LOCAL_STORAGE_PATH": str(folder / "prefect" / "results"),
            "PREFECT_API_URL": self.api,
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "PREFECT_LOGGING_LEVEL": "INFO",
        }
        self.processes: list[subprocess.Popen[bytes]] = []
        self.logs: list[BinaryIO] = []
        self.start(["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)])
        self.until(lambda: self.get("/health") is not None, 120, "the server to answer")

    def start(self, command: list[str]) -> None:
        log = (self.folder / f"{command[1]}.log").open("wb")
        self.logs.append(log)
        self.processes.append(
            subprocess.Popen(
                command,
                env=self.environment,
                cwd=REPOSITORY,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        )

    def run(self, *command: str) -> None:
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def get(self, path: str) -> Any:
        try:
            return httpx.get(self.api + path, timeout=5).json()
        except (httpx.HTTPError, ValueError):
            return None

    def runs(self, name: str) -> list[dict[str, Any]]:
        """Scheduled runs of a deployment's flow, oldest first."""
        body = {"flows": {"name": {"any_": [name]}}, "sort": "EXPECTED_START_TIME_ASC"}
        found = httpx.post(f"{self.api}/flow_runs/filter", json=body, timeout=10).json()
        return [r for r in found if r["auto_scheduled"]]

    def until(self, true: Callable[[], Any], seconds: float, what: str) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := true():
                return found
            time.sleep(1)
        logs = "\n".join(p.read_text(errors="replace")[-3000:] for p in self.folder.glob("*.log"))
        pytest.fail(f"waited {seconds} s for {what}\n{logs}")

    def close(self) -> None:
        for process in reversed(self.processes):
            os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for log in self.logs:
            log.close()


@pytest.fixture
def world(tmp_path: Path, free_port: int) -> Iterator[World]:
    made = World(tmp_path, free_port)
    yield made
    made.close()


def deployments(world: World) -> Path:
    """The shipped file, on the tiny use cases and every minute."""
    plain = yaml.safe_load((REPOSITORY / "deploy" / "prefect.yaml").read_text(encoding="utf-8"))
    batch = world.folder / "batch.csv"
    applications(400).to_csv(batch, index=False)
    folder = write_series(world.folder / "series", series())
    case = world.live.home.folder("usecases") / "tiny_market.yaml"
    case.write_text(yaml.safe_dump(market_plain()), encoding="utf-8")
    for deployment in plain["deployments"]:
        deployment["schedules"] = [EVERY_MINUTE]
        parameters = deployment["parameters"]
        if market := parameters.get("usecase") == "market_return":
            parameters["usecase"] = "tiny_market"
        elif parameters.get("usecase"):
            parameters["usecase"] = "tiny"
        if "input" in parameters:
            parameters["input"] = str(batch)
        parameters.pop("data", None)
        parameters.pop("labels", None)
        if market and "monitor" not in deployment["entrypoint"]:
            parameters["data"] = str(folder)
    path = world.folder / "prefect.yaml"
    path.write_text(yaml.safe_dump(plain), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.timeout(900)
def test_scheduled_runs_finish_and_the_next_one_starts_after_a_kill(world: World) -> None:
    world.run("prefect", "--no-prompt", "work-pool", "create", "riskwright", "--type", "process")
    file = str(deployments(world))
    world.run("prefect", "--no-prompt", "deploy", "--all", "--prefect-file", file)
    world.start(["prefect", "worker", "start", "--pool", "riskwright", "--type", "process"])

    def ended(name: str) -> list[dict[str, Any]]:
        return [r for r in world.runs(name) if r["state_type"] == "COMPLETED"]

    for name in ("retrain", "monitor", "retrain-requested", "retrain-market"):
        world.until(lambda name=name: ended(name), 300, f"a scheduled {name} to finish")

    def running() -> list[dict[str, Any]]:
        found = [r for r in world.runs("retrain") if r["state_type"] == "RUNNING"]
        return [r for r in found if r["infrastructure_pid"]]

    victim = world.until(running, 180, "a retrain to run")[0]
    os.kill(int(victim["infrastructure_pid"].rpartition(":")[2]), signal.SIGKILL)

    def next_one() -> list[dict[str, Any]]:
        later = [
            r for r in ended("retrain") if r["expected_start_time"] > victim["expected_start_time"]
        ]
        return later

    world.until(next_one, 300, "the next retrain to finish")
    state = next(r["state_type"] for r in world.runs("retrain") if r["id"] == victim["id"])
    assert state == "CRASHED"
    assert world.live.ledger.champion("tiny").version == world.live.version
    assert world.live.ledger.champion("tiny_market") is not None
