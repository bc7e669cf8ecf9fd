"""Many processes promote at once: each round must have one winner, and all others be told.

Run ``python benchmarks/promotion_race.py --rounds 200``; it prints one JSON object. The processes
live through all rounds and meet at a barrier, so that what is measured is the race. Each promotes
as ``riskwright approve`` does: the ledger's transaction, then MLflow's aliases; after each round
the ``champion`` alias must be the ledger's champion. All is in a temporary home, the ledger too
unless ``RISKWRIGHT_LEDGER_URL`` names an empty one.
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
from riskwright.home import Home, quiet_environment
from riskwright.ledger import Gate, Ledger, ModelRef

USE_CASE, MODEL = "race", "race.pd"
PATIENCE = 300.0  # seconds until a barrier gives up on a process that died


def prepare(home: Home, ledger: Ledger, versions: int) -> None:
    """Register versions that may all be promoted, in MLflow and in the ledger."""
    from riskwright.life.tracking import connect

    client = connect(home)
    client.create_registered_model(MODEL)
    for i in range(versions):
        version = ledger.reserve_version(USE_CASE, f"run {i}")
        source = (home.folder("models") / str(version)).as_uri()
        assert client.create_model_version(MODEL, source).version == version
        ref = ModelRef("pd", MODEL, version, f"{version:064x}", source)
        ledger.register(
            USE_CASE, version, models={"pd": ref}, actor="trainer", run_id=f"r{i}", evidence={}
        )
        ledger.record_gates(USE_CASE, version, [Gate("calibration", True, "", {})])


def alias(home: Home) -> int | None:
    """The version that MLflow calls champion."""
    from riskwright.life.tracking import connect

    found = connect(home).get_registered_model(MODEL).aliases.get("champion")
    return None if found is None else int(found)


def promoter(root: Path, number: int, rounds: int, barrier: Any, results: Any) -> None:
    """Promote in each round one of two versions of one's own: the one that isn't live."""
    from riskwright.life.aliases import change_champion

    home = Home(root)
    quiet_environment(home)
    ledger = Ledger(home.ledger_url, create=False)
    told = []
    aliases = []
    for _ in range(rounds):
        live = ledger.champion(USE_CASE)
        expected = live.version if live else None
        mine = 2 * number + 1 if expected != 2 * number + 1 else 2 * number + 2
        barrier.wait(PATIENCE)  # all have read the same champion
        start = time.perf_counter()
        try:
            change_champion(
                home,
                ledger,
                USE_CASE,
                "promote",
                version=mine,
                expected=expected,
                actor=f"officer {number}",
                reason="the race",
            )
            outcome = "won"
        except Conflict:
            outcome = "told"
        except Exception as error:  # noqa: BLE001 whatever it is, the report must show it
            outcome = f"{type(error).__name__}: {error}"
        told.append((outcome, mine, time.perf_counter() - start))
        barrier.wait(PATIENCE)  # all are done before anybody reads the next champion
        if number == 0:
            now = ledger.champion(USE_CASE)
            aliases.append(now is not None and alias(home) == now.version)
    ledger.close()
    results.put((number, told, aliases))


def race(home: Home, *, promoters: int, rounds: int) -> dict[str, Any]:
    """Run the race in an empty home and judge it by what processes, ledger and MLflow say."""
    quiet_environment(home.create())
    with Ledger(home.ledger_url) as ledger:
        prepare(home, ledger, 2 * promoters)
    # A fork server imports once; plain spawn would import SQLAlchemy in every process.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["riskwright.systems.credit.promotion", "mlflow"])
    barrier, results = context.Barrier(promoters), context.Queue()
    processes = [
        context.Process(target=promoter, args=(home.root, n, rounds, barrier, results))
        for n in range(promoters)
    ]
    start = time.perf_counter()
    for process in processes:
        process.start()
    answers = [results.get(timeout=PATIENCE + 20 * rounds) for _ in processes]
    told = {number: outcomes for number, outcomes, _ in answers}
    followed = next(aliases for number, _, aliases in answers if number == 0)
    for process in processes:
        process.join()
    seconds = time.perf_counter() - start
    outcomes = [[told[n][r] for n in range(promoters)] for r in range(rounds)]
    winners = [[mine for outcome, mine, _ in row if outcome == "won"] for row in outcomes]
    errors = Counter(o for row in outcomes for o, _, _ in row if o not in ("won", "told"))
    waits = sorted(t for row in outcomes for _, _, t in row)
    with Ledger(home.ledger_url, create=False) as ledger:
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
        "rounds_with_alias_as_ledger": sum(followed),
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
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = race(Home(Path(folder)), promoters=options.promoters, rounds=options.rounds)
    print(json.dumps(result, indent=2))
    kept = (
        result["winners_per_round"] == {1: options.rounds}
        and not result["errors"]
        and result["history_is_the_winners_in_order"]
        and result["champion_is_last_promotion"]
        and result["rounds_with_alias_as_ledger"] == options.rounds
        and result["audit_ok"]
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
