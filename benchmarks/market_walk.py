"""Wall time of a walk-forward: over a bare loop of the same fits, and of two processes over one.

    python benchmarks/market_walk.py --rounds 3
    python benchmarks/market_walk.py --case market_return_shiller --data ../shared/data/market

The bare loop knows beforehand which rows each fit learns from and which origins it serves: it
chooses, fits and forecasts, no more. Each run is a process of its own, pinned to one thread a
process, in turn; the medians of the rounds are compared. Wants an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
    os.environ[name] = "1"

from riskwright.home import Home, quiet_environment  # noqa: E402  (the environment comes first)

os.environ.setdefault("RISKWRIGHT_HOME", tempfile.mkdtemp(prefix="riskwright-bench-"))
quiet_environment(Home())

import numpy as np  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402

from riskwright.systems.market.case import MarketCase, load_market_case  # noqa: E402
from riskwright.systems.market.ingest import schedule_of  # noqa: E402
from riskwright.systems.market.panel import Panel, build_panel  # noqa: E402
from riskwright.systems.market.refit_schedule import DECEMBER, TUNING  # noqa: E402
from riskwright.systems.market.walk import make_families, walk  # noqa: E402

RUNS = ("bare", "one", "two")


def bare(case: MarketCase, panel: Panel, model: str) -> float:
    """Return the seconds of the fits alone."""
    schedule = schedule_of(case, panel, model)
    positions = np.arange(schedule.first, len(schedule.y))
    month = schedule.month
    fits: list[tuple] = []
    rows: dict[tuple[bool, int], dict] = {}
    for family in make_families(list(case.families), panel, case.refit):
        cycles: dict[int, list[int]] = {}
        for position in positions:
            begins = DECEMBER + (month[position] - DECEMBER) // family.refit * family.refit
            start = max(int(np.searchsorted(month, begins)), schedule.first)
            cycles.setdefault(start, []).append(int(position))
        tuned = -1
        for start, served in cycles.items():
            year = (month[start] - DECEMBER) // max(TUNING, family.refit)
            key = (family.sequences, start)
            if key not in rows:
                rows[key] = schedule.past(family, start)
            past, now = rows[key], schedule.now(family, np.array(served))
            fits.append((family, past, now, year != tuned, start))
            tuned = year
    began = time.perf_counter()
    params: dict = {}
    with threadpool_limits(limits=1):
        for family, past, now, choose, seed in fits:
            once = family.changed(seed=seed)
            if choose:
                params = once.choose(**past)
            once.changed(**params).fit(**past).predict(now)
    return time.perf_counter() - began


def run(kind: str, case: MarketCase, panel: Panel, model: str) -> float:
    """Return the seconds of one run."""
    if kind == "bare":
        return bare(case, panel, model)
    began = time.perf_counter()
    walk(
        panel,
        model,
        list(case.families),
        min_train=case.walk.min_train,
        window=case.window,
        embargo=case.walk.embargo,
        refit=case.refit,
        workers=RUNS.index(kind),
    )
    return time.perf_counter() - began


def main() -> None:
    """Print each run, then the ratios of the medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--case", default="market_return")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", default="m12")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--run", choices=RUNS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        case = load_market_case(args.case)
        print(run(args.run, case, build_panel(case, args.data), args.model))
        return
    seconds: dict[str, list[float]] = {kind: [] for kind in RUNS}
    for _ in range(args.rounds):
        for kind in RUNS:
            done = subprocess.run(
                [sys.executable, *sys.argv, "--run", kind],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(done.stderr[-800:])
            seconds[kind].append(float(done.stdout))
            print(json.dumps({"run": kind, "seconds": round(seconds[kind][-1], 1)}), flush=True)
    middle = {kind: statistics.median(found) for kind, found in seconds.items()}
    print(
        json.dumps(
            {
                "case": args.case,
                "model": args.model,
                "rounds": args.rounds,
                "walk_over_bare": round(middle["one"] / middle["bare"], 3),
                "two_processes_over_one": round(middle["one"] / middle["two"], 2),
            }
        )
    )


if __name__ == "__main__":
    main()
