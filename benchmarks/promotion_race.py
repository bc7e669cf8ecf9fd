"""Many processes promote at once: each round must have one winner, and all others be told.

Run ``python benchmarks/promotion_race.py --rounds 200``; it prints one JSON object. The processes
live through all rounds and meet at a barrier, so that what is measured is the race.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from riskwright.errors import Conflict
from riskwright.ledger import Gate, Ledger, ModelRef

USE_CASE = "race"
PATIENCE = 120.0  # seconds until a barrier gives up on a process that died


def prepare(ledger: Ledger, versions: int) -> None:
    """Register versions that may all be promoted."""
    for i in range(versions):
        version = ledger.reserve_version(USE_CASE, f"run {i}")
        ref = ModelRef("pd", f"{USE_CASE}-pd", version, f"{version:064x}", f"models:/m-{version}")
        ledger.register(
            USE_CASE, version, models={"pd": ref}, actor="trainer", run_id=f"r{i}", evidence={}
        )
        ledger.record_gates(USE_CASE, version, [Gate("calibration", True, "", {})])


def promoter(url: str, number: int, rounds: int, barrier: Any, results: Any) -> None:
    """Promote in each round one of two versions of one's own: the one that isn't live."""
    ledger = Ledger(url, create=False)
    told = []
    for _ in range(rounds):
        live = ledger.champion(USE_CASE)
        expected = live.version if live else None
        mine = 2 * number + 1 if expected != 2 * number + 1 else 2 * number + 2
        barrier.wait(PATIENCE)  # all have read the same champion
        start = time.perf_counter()
        try:
            ledger.promote(
                USE_CASE, mine, expected=expected, actor=f"officer {number}", reason="the race"
            )
            outcome = "won"
        except Conflict:
            outcome = "told"
        except Exception as error:  # noqa: BLE001 whatever it is, the report must show it
            outcome = f"{type(error).__name__}: {error}"
        told.append((outcome, mine, time.perf_counter() - start))
        barrier.wait(PATIENCE)  # all are done before anybody reads the next champion
    ledger.close()
    results.put((number, told))


def race(url: str, *, promoters: int, rounds: int) -> dict[str, Any]:
    """Run the race on an empty ledger and judge it by what the processes and the ledger say."""
    with Ledger(url) as ledger:
        prepare(ledger, 2 * promoters)
    # A fork server imports once; plain spawn would import SQLAlchemy in every process.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["riskwright.ledger"])
    barrier, results = context.Barrier(promoters), context.Queue()
    processes = [
        context.Process(target=promoter, args=(url, n, rounds, barrier, results))
        for n in range(promoters)
    ]
    start = time.perf_counter()
    for process in processes:
        process.start()
    told = dict(results.get(timeout=PATIENCE + rounds) for _ in processes)
    for process in processes:
        process.join()
    seconds = time.perf_counter() - start
    outcomes = [[told[n][r] for n in range(promoters)] for r in range(rounds)]
    winners = [[mine for outcome, mine, _ in row if outcome == "won"] for row in outcomes]
    errors = Counter(o for row in outcomes for o, _, _ in row if o not in ("won", "told"))
    waits = sorted(t for row in outcomes for _, _, t in row)
    with Ledger(url, create=False) as ledger:
        history = ledger.history(USE_CASE)
        champion = ledger.champion(USE_CASE)
        live = [v.version for v in ledger.versions(USE_CASE, status="champion")]
        verdict = ledger.verify()
    linear = [p.version for p in history] == [w for row in winners for w in row] and all(
        later.previous == earlier.version for earlier, later in pairwise(history)
    )
    return {
        "rounds": rounds,
        "promoters": promoters,
        "winners_per_round": dict(Counter(len(w) for w in winners)),
        "errors": dict(errors),
        "history_is_the_winners_in_order": linear,
        "champion_is_last_promotion": champion is not None
        and champion.version == history[-1].version
        and live == [champion.version],
        "audit_ok": verdict.ok,
        "events": verdict.checked,
        "seconds": round(seconds, 2),
        "wait_seconds": {
            "median": round(waits[len(waits) // 2], 4),
            "p99": round(waits[int(len(waits) * 0.99)], 4),
            "worst": round(waits[-1], 4),
        },
    }


def main() -> int:
    """Read the options, run the race, print the result; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--promoters", type=int, default=20)
    parser.add_argument("--url", help="an empty ledger; a temporary SQLite file if left out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{Path(folder) / 'ledger.db'}"
        result = race(url, promoters=options.promoters, rounds=options.rounds)
    print(json.dumps(result, indent=2))
    kept = (
        result["winners_per_round"] == {1: options.rounds}
        and not result["errors"]
        and result["history_is_the_winners_in_order"]
        and result["champion_is_last_promotion"]
        and result["audit_ok"]
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
