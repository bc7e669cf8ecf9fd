"""Wall time of ``retrain`` over a bare script with the same fits, evaluation and explanations.

    python benchmarks/overhead.py german --data ../shared/data

The bare side has no Prefect, MLflow, ledger or Evidently. One run each, fresh homes; the
orchestrator's start (an empty flow in a process of its own) is taken off the retrain's side.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SETS = {
    "german": ("german_credit", "german_credit/german.data"),
    "taiwan": ("credit_assessment", "taiwan_credit_card/UCI_Credit_Card.csv"),
}
BARE = """
import sys
from pathlib import Path
from riskwright.home import Home, quiet_environment
home = Home(); quiet_environment(home); home.create()
from riskwright.systems.credit.candidates import fit_family, join
from riskwright.data.ingest import ingest
from riskwright.data.train_test import split
from riskwright.systems.credit.evidence import gather
from riskwright.systems.credit.case import load_usecase
spec = load_usecase(sys.argv[1])
train, test = split(spec, ingest(spec, sys.argv[2], home).clean, home)
place = home.folder("work")
common = {"train": train.hash, "seed": 0}
families = [
    fit_family(spec, home, name=n, folder=place / n, **common) for n in spec.families
]
joined = join(spec, home, train=train.hash, families=families, folder=place / "joined")
gather(spec, home, train=train.hash, test=test.hash, families=families, joined=joined, seed=0,
       folder=place / "evidence")
"""
EMPTY = """
from riskwright.home import Home, quiet_environment
home = Home(); quiet_environment(home); home.create()
from prefect import flow
@flow
def empty(): pass
empty()
"""


def main() -> int:
    """Print the times and the ratio as JSON, a line for each set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--data", default=os.environ.get("RISKWRIGHT_SHARED", "../shared/data"))
    arguments = parser.parse_args()
    start = timed([sys.executable, "-c", EMPTY])
    for name in arguments.sets:
        usecase, file = SETS[name]
        data = str(Path(arguments.data) / file)
        bare = timed([sys.executable, "-c", BARE, usecase, data])
        command = str(Path(sys.executable).parent / "riskwright")
        ours = timed([command, "retrain", usecase, "--data", data])
        ratio = (ours - start) / bare
        told = {"set": name, "retrain_s": ours, "orchestrator_start_s": start, "bare_s": bare}
        print(
            json.dumps(
                {
                    **{k: v if isinstance(v, str) else round(v, 1) for k, v in told.items()},
                    "ratio": round(ratio, 3),
                }
            ),
            flush=True,
        )
    return 0


def timed(command: list[str]) -> float:
    """Wall seconds in a fresh home; exit code 3 (a gate said no) counts as done."""
    with tempfile.TemporaryDirectory(prefix="riskwright-bench-") as home:
        started = time.monotonic()
        done = subprocess.run(
            command,
            env={**os.environ, "RISKWRIGHT_HOME": home},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode not in (0, 3):
            raise SystemExit(f"{command[:3]} ended with {done.returncode}: {done.stderr[-800:]}")
        return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
