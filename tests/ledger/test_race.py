"""Many processes at once. The race itself is the benchmark's, so that both tell the same story."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from riskwright.ledger import Ledger

REPOSITORY = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [5, 200])
def test_of_twenty_promoters_one_wins_each_round(url: str, rounds: int) -> None:
    script = REPOSITORY / "benchmarks" / "promotion_race.py"
    command = [sys.executable, str(script), "--rounds", str(rounds)]
    environment = {**ENVIRONMENT, "RISKWRIGHT_LEDGER_URL": url}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["promoters"] == 20
    assert result["winners_per_round"] == {"1": rounds}
    assert result["errors"] == {}
    assert result["rounds_with_alias_as_ledger"] == rounds
    with Ledger(url, create=False) as ledger:  # not taking the benchmark's word for it
        history, champion = ledger.history("race"), ledger.champion("race")
        assert [p.sequence for p in history] == list(range(1, rounds + 1))
        assert [p.previous for p in history] == [None, *(p.version for p in history[:-1])]
        assert champion is not None
        assert champion.version == history[-1].version
        assert [v.version for v in ledger.versions("race", "champion")] == [champion.version]
        assert ledger.verify().ok


# Each process does every kind of idempotent or claiming thing at once with the others.
CROWD = """
import sys
from riskwright.errors import Conflict
from riskwright.ledger import Ledger
url, me = sys.argv[1], sys.argv[2]
ledger = Ledger(url, create=False)
sys.stdin.readline()  # the starting shot
mine = ledger.reserve_version("credit", f"run {me}")
shared = ledger.reserve_version("credit", "shared")
alert = ledger.open_alert("credit", title="t", findings=[], severity="high", batch_hash="b",
                          version=1, report="")
reading = ledger.count_reading("snapshot", "credit", "evaluate", f"run {me}")
lease = ledger.acquire("train", me, 60)
request = ledger.claim_request(me)
try:
    decided = ledger.decide_alert(1, "accept", actor=me, reason="r").actor
except Conflict:
    decided = ""
print(mine, shared, alert, reading, int(lease), request.id if request else 0, decided, sep=",")
"""


def test_a_crowd_gets_every_thing_once(url: str) -> None:
    with Ledger(url) as ledger:
        first = ledger.open_alert(
            "credit", title="t", findings=[], severity="low", batch_hash="a", version=9, report=""
        )
        asked = ledger.request("credit", actor="oscar", reason="drift").id
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", CROWD, url, f"p{n}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
        for n in range(5)
    ]
    for process in crowd:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=60) for process in crowd]
    assert all(process.returncode == 0 for process in crowd), told
    rows = [out.strip().split(",") for out, _ in told]
    mine, shared, alerts, readings, leases, requests, decided = zip(*rows, strict=True)
    assert len({*mine, *shared}) == 6
    assert len(set(shared)) == 1
    assert len(set(alerts)) == 1
    assert sorted(readings) == ["1", "2", "3", "4", "5"]
    assert sorted(leases) == ["0", "0", "0", "0", "1"]
    assert sorted(requests) == ["0", "0", "0", "0", str(asked)]
    assert len([d for d in decided if d]) == 1
    with Ledger(url, create=False) as ledger:
        assert ledger.alert(first).decided_by == max(decided)
        assert ledger.alert(int(alerts[0])).seen == 5
        assert ledger.verify().ok
