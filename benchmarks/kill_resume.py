"""Kill -9 the demo's retrain at random moments; each time it must resume to the same result.

    python benchmarks/kill_resume.py --kills 10

For each kill: a fresh home, a retrain killed (its whole process group) at a random moment of its
undisturbed run time, then the same command again to the end. Checked: same champion, metrics
equal to 1e-6, one MLflow parent run, none left RUNNING, no registry version without a ledger
version.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

COMMAND = [
    str(Path(sys.executable).parent / "riskwright"),
    "retrain",
    "credit_assessment",
    "--json",
]


def main() -> int:
    """Print one line of JSON for each kill, and a last one with the verdict."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with home() as folder:
        started = time.monotonic()
        undisturbed = finish(folder)
        length = time.monotonic() - started
    print(json.dumps({"undisturbed_s": round(length, 1), **key_figures(undisturbed)}), flush=True)
    failed = 0
    for number in range(arguments.kills):
        with home() as folder:
            moment = rng.uniform(2, length - 2)
            begun = start(folder)
            try:
                begun.wait(moment)
                told = "ended before the kill"
            except subprocess.TimeoutExpired:
                os.killpg(begun.pid, signal.SIGKILL)
                begun.wait()
                told = f"killed at {moment:.0f} s"
            started = time.monotonic()
            resumed = finish(folder)
            troubles = compare(undisturbed, resumed) + inspect(folder)
            failed += bool(troubles)
            line = {
                "kill": number + 1,
                "what": told,
                "resumed_in_s": round(time.monotonic() - started, 1),
                "troubles": troubles,
            }
            print(json.dumps(line), flush=True)
    print(json.dumps({"kills": arguments.kills, "failed": failed}))
    return 1 if failed else 0


class home:
    """A fresh home that goes away afterwards."""

    def __enter__(self) -> Path:
        self.path = Path(tempfile.mkdtemp(prefix="riskwright-kill-"))
        return self.path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def start(folder: Path) -> subprocess.Popen[str]:
    """Start the retrain in a process group of its own."""
    return subprocess.Popen(
        COMMAND,
        env={**os.environ, "RISKWRIGHT_HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def finish(folder: Path) -> dict[str, Any]:
    """Run the retrain to its end and return its result."""
    process = start(folder)
    out, _ = process.communicate(timeout=900)
    if process.returncode != 0:
        raise SystemExit(f"retrain ended with {process.returncode}: {out[-500:]}")
    found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return found


def key_figures(result: dict[str, Any]) -> dict[str, Any]:
    """What must not change: version, kind, log loss."""
    metrics = result["metrics"][result["kind"]]
    return {
        "version": result["version"],
        "kind": result["kind"],
        "live": result["live"],
        "log_loss": metrics["log_loss"]["value"],
    }


def compare(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """Differences between two results: champion, and every metric of every candidate."""
    troubles = [
        f"{name}: {a[name]} and {b[name]}"
        for name in ("version", "kind", "live", "key")
        if a[name] != b[name]
    ]
    for candidate, metrics in a["metrics"].items():
        for metric, estimate in metrics.items():
            other = b["metrics"][candidate][metric]["value"]
            if not (abs(estimate["value"] - other) <= 1e-6):
                troubles.append(f"{candidate} {metric}: {estimate['value']} and {other}")
    return troubles


def inspect(folder: Path) -> list[str]:
    """What MLflow and the ledger hold after the resumed run."""
    script = """
import json, sys
from riskwright.home import Home, quiet_environment
home = Home(); quiet_environment(home)
from riskwright.ledger import Ledger
from riskwright.life.tracking import connect, PARENT, ROLE
client, ledger = connect(home), Ledger.open(home)
experiment = client.get_experiment_by_name("credit_assessment").experiment_id
runs = client.search_runs([experiment])
parents = [r for r in runs if r.data.tags.get(ROLE) == PARENT]
refs = [ref for v in ledger.versions("credit_assessment") for ref in v.models.values()]
known = {ref.mlflow_version for ref in refs}
versions = client.search_model_versions("name='credit_assessment.pd'")
told = []
if len(parents) != 1: told.append(f"{len(parents)} parent runs")
told += [f"run {r.info.run_id} is {r.info.status}" for r in runs if r.info.status != "FINISHED"]
told += [f"orphan version {v.version}" for v in versions if int(v.version) not in known]
told += [f"version {v.version} is {v.status}" for v in versions if v.status != "READY"]
alias = client.get_model_version_by_alias("credit_assessment.pd", "champion").version
champion = ledger.champion("credit_assessment")
live = ledger.version("credit_assessment", champion.version).models["pd"].mlflow_version
if int(alias) != live: told.append(f"alias {alias}, ledger {live}")
if not ledger.verify().ok: told.append("audit chain broken")
print(json.dumps(told))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "RISKWRIGHT_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return [done.stderr[-500:]]
    found: list[str] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())
