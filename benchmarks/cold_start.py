"""Cold starts: quick commands, and ``score`` of 1,000 rows against a bare import + load + predict.

    python benchmarks/cold_start.py

Needs a home with a champion of credit_assessment (``riskwright demo`` makes one). Whole-process
wall times, medians of several runs, the two sides of the ratio run in turn.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RISKWRIGHT = str(Path(sys.executable).parent / "riskwright")
BARE = """
import sys
from pathlib import Path
import pandas as pd
from riskwright.systems.credit.bundle import Bundle
bundle = Bundle.load(Path(sys.argv[1]))
frame = pd.read_csv(sys.argv[2])
bundle.predict(frame).to_csv(sys.argv[3], index=False)
"""


def main() -> int:
    """Print medians and the ratio as JSON."""
    rounds = 5
    told: dict[str, float] = {}
    for words in (["--help"], ["alerts"], ["history", "credit_assessment"]):
        told[" ".join(words)] = statistics.median(
            seconds([RISKWRIGHT, *words]) for _ in range(rounds)
        )
    with tempfile.TemporaryDirectory() as folder:
        cases, scores = Path(folder) / "cases.csv", Path(folder) / "scores.csv"
        bundle = prepare(cases)
        ours, bare = [], []
        for _ in range(rounds):
            arguments = ["score", "credit_assessment", "--input", str(cases)]
            ours.append(seconds([RISKWRIGHT, *arguments, "--output", str(scores)]))
            bare.append(seconds([sys.executable, "-c", BARE, bundle, str(cases), str(scores)]))
    told["score 1,000 rows"] = statistics.median(ours)
    told["bare import + load + predict"] = statistics.median(bare)
    told["ratio"] = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
    print(json.dumps({k: round(v, 2) for k, v in told.items()}))
    return 0


def seconds(command: list[str]) -> float:
    """Wall time of a command that must end well."""
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def prepare(cases: Path) -> str:
    """Write 1,000 simulated cases; return the champion's bundle folder."""
    from riskwright.data.simulators import simulate
    from riskwright.home import Home, quiet_environment
    from riskwright.ledger import Ledger
    from riskwright.life.tracking import local_bundle

    simulate("credit_applications", 1000, 7).frame.to_csv(cases, index=False)
    home = Home()
    quiet_environment(home)
    os.environ["RISKWRIGHT_HOME"] = str(home.root)
    ledger = Ledger.open(home)
    champion = ledger.champion("credit_assessment")
    if champion is None:
        raise SystemExit("no champion: run 'riskwright demo' first")
    ref = ledger.version("credit_assessment", champion.version).models["pd"]
    return str(local_bundle(ref.uri, home.root / "bundles" / ref.digest))


if __name__ == "__main__":
    sys.exit(main())
