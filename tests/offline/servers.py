"""A real Prefect server and worker on loopback, with the shipped deployments on tiny use cases."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tiny import ROWS, applications, make_live
from tiny_market import market_plain, series, write_series

from riskwright_flows.deployed import FILE

EVERY_MINUTE = {"cron": "* * * * *", "timezone": "UTC", "active": True, "slug": "test"}


class Servers:
    """A server and a worker on loopback, which start in a temporary folder.

    Parameters
    ----------
    environment
        Of the server, the worker and the commands.
    python
        Whose packages they run.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        environment: dict[str, str],
        python: Path = Path(sys.executable),
    ) -> None:
        self.folder, self.port, self.api = folder, port, f"http://127.0.0.1:{port}/api"
        self.prefect = (str(python), "-m", "prefect")
        self.environment = environment | {
            "PATH": f"{python.parent}{os.pathsep}{environment['PATH']}",
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_LOCAL_STORAGE_PATH": str(folder / "prefect" / "results"),
            "PREFECT_API_URL": self.api,
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "PREFECT_LOGGING_LEVEL": "INFO",
        }
        self.processes: list[subprocess.Popen[bytes]] = []
        self.start_server()
        self.run(*self.prefect, "work-pool", "create", "riskwright", "--type", "process")

    def start_server(self) -> None:
        """Start the server and wait until it answers."""
        port = str(self.port)
        self.start("server", "start", "--host", "127.0.0.1", "--port", port)
        self.until(lambda: self.get("/health") is not None, 180, "the server to answer")

    def start_worker(self) -> None:
        """Start a worker of the pool."""
        self.start("worker", "start", "--pool", "riskwright", "--type", "process")

    def start(self, *command: str) -> None:
        """Start a process of Prefect's that stays; its output is appended to a log."""
        with (self.folder / f"{command[0]}.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    [*self.prefect, *command],
                    env=self.environment,
                    cwd=self.folder,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def run(self, *command: str, code: int = 0, **changes: str) -> str:
        """Run a command to its end; with variables changed, "" for one that is unset."""
        environment = {k: v for k, v in {**self.environment, **changes}.items() if v}
        done = subprocess.run(
            command,
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def get(self, path: str) -> Any:
        """What the server answers, or None."""
        try:
            return httpx.get(self.api + path, timeout=5).json()
        except (httpx.HTTPError, ValueError):
            return None

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """What the server answers to a question."""
        return httpx.post(self.api + path, json=body, timeout=120).json()

    def runs(self, name: str, *, scheduled: bool = True) -> list[dict[str, Any]]:
        """Runs of a flow, oldest first: those of its schedule, or all."""
        body = {"flows": {"name": {"any_": [name]}}, "sort": "EXPECTED_START_TIME_ASC"}
        found = self.post("/flow_runs/filter", body)
        return [r for r in found if r["auto_scheduled"] or not scheduled]

    def until(self, true: Callable[[], Any], seconds: float, what: str) -> Any:
        """Wait for something; fail with what the servers logged."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := true():
                return found
            time.sleep(1)
        logs = "\n".join(p.read_text(errors="replace")[-3000:] for p in self.folder.glob("*.log"))
        pytest.fail(f"waited {seconds} s for {what}\n{logs}")

    def power_cut(self) -> None:
        """Kill the server, the worker and every engine at once, as a power cut does."""
        for pid in [p for process in self.processes for p in _family(process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self.processes:
            process.wait()
        self.processes.clear()

    def close(self) -> None:
        """End what was started, and what that started."""
        for process in reversed(self.processes):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
        self.power_cut()


class World(Servers):
    """A server, a worker and a home with a champion of the tiny use case."""

    def __init__(self, folder: Path, port: int) -> None:
        self.cases = folder / "cases.csv"
        applications(ROWS).to_csv(self.cases, index=False)
        self.live = make_live(folder / "home", source={"location": str(self.cases)})
        batch = folder / "batch.csv"
        applications(400).to_csv(batch, index=False)
        environment = os.environ | {
            "RISKWRIGHT_HOME": str(self.live.home.root),
            "RISKWRIGHT_BATCH": str(batch),
            "RISKWRIGHT_SCORES": str(folder / "scores.csv"),
            "RISKWRIGHT_SEASONED": str(batch),
            "RISKWRIGHT_LABELS": str(batch),
            "RISKWRIGHT_LOANS": str(folder / "loans.csv"),
            "MLFLOW_TRACKING_URI": self.live.home.mlflow_uri,
        }
        super().__init__(folder, port, environment)

    def new_cases(self, seed: int) -> None:
        """Add cases to the source: a retrain on what was learnt already ends in seconds."""
        more = applications(ROWS // 2, seed)
        more["ID"] = [f"{seed}-{number}" for number in more["ID"]]
        more.to_csv(self.cases, index=False, header=False, mode="a")


def _family(pid: int) -> list[int]:
    """A process and all below it, the lowest last."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def deployments(world: World, **crons: str | None) -> Path:
    """The shipped file on the tiny use cases: every three minutes, or those named by their cron.

    A name is the deployment's, such as ``weekly``; one whose cron is None keeps its own.
    """
    plain = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    folder = write_series(world.folder / "series", series())
    case = world.live.home.folder("usecases") / "tiny_market.yaml"
    case.write_text(yaml.safe_dump(market_plain()), encoding="utf-8")
    tiny = {"market_return": "tiny_market", "credit_assessment": "tiny"}
    kept = []
    for deployment in plain["deployments"]:
        name = deployment["name"]
        parameters = deployment["parameters"]
        if parameters.get("usecase") == "loan_book" or (crons and name not in crons):
            continue
        if cron := crons.get(name, "*/3 * * * *"):
            deployment["schedules"] = [{**EVERY_MINUTE, "cron": cron}]
        if parameters.get("usecase"):
            parameters["usecase"] = tiny[parameters["usecase"]]
        if name == "monthly":
            parameters["data"] = str(folder)
        kept.append(deployment)
    path = world.folder / "prefect.yaml"
    path.write_text(yaml.safe_dump(plain | {"deployments": kept}), encoding="utf-8")
    return path
