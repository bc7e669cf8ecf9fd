"""kill -9 at every step of a transaction, and at any moment: all of it is there, or nothing."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from riskwright.ledger import Ledger
from riskwright.ledger.tables import metadata

SRC = str(Path(__file__).parents[2] / "src")
ENVIRONMENT = {**os.environ, "PYTHONPATH": SRC}

# Forks a child for every step: the child kills itself before its k-th statement or its commit,
# and the parent looks at what is left. No threads here, so that forking is safe.
STEPS = """
import json, os, signal, sys
import sqlalchemy
from riskwright.ledger import Ledger
from riskwright.ledger.tables import metadata

url, act = sys.argv[1], sys.argv[2]

def state():
    with Ledger(url, create=False) as ledger, ledger._read() as connection:
        return {t.name: [list(map(str, row)) for row in connection.execute(t.select())]
                for t in metadata.sorted_tables}

def child(k):
    ledger = Ledger(url, create=False)
    steps = 0
    def step(*_):
        nonlocal steps
        steps += 1
        if steps == k:
            os.kill(os.getpid(), signal.SIGKILL)
    for name in ("before_cursor_execute", "commit"):
        sqlalchemy.event.listen(ledger.engine, name, step)
    eval(act, {"ledger": ledger})
    ledger.close()

before, left, k = state(), [], 0
while True:
    k += 1
    pid = os.fork()
    if pid == 0:
        try:
            child(k)
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    after = state()
    with Ledger(url, create=False) as ledger:
        ok = ledger.verify().ok
    left.append([code, after == before, ok])
    if code != -signal.SIGKILL or k > 60:
        break
print(json.dumps(left))
"""

ACTS = {
    "register": "ledger.register('credit', 3, models={'pd': __import__('riskwright.ledger')"
    ".ledger.ModelRef('pd', 'c', 3, 'd', 'u')}, actor='tess', run_id='r', evidence={})",
    "promote": "ledger.promote('credit', 4, expected=2, actor='oscar', reason='better')",
    "rollback": "ledger.rollback('credit', expected=2, actor='oscar', reason='worse')",
    "decide rollback": "ledger.decide_alert(1, 'rollback', actor='oscar', reason='drift')",
    "decide retrain": "ledger.decide_alert(1, 'retrain', actor='oscar', reason='drift')",
}


@pytest.mark.parametrize(
    ("database", "act"), [*(("sqlite", a) for a in ACTS), ("postgres", "decide rollback")]
)
def test_killed_before_any_step_nothing_is_there(
    request: pytest.FixtureRequest,
    database: str,
    act: str,
    live: Callable[..., int],
    train: Callable[..., int],
) -> None:
    url: str = request.getfixturevalue(f"{database}_url")
    with Ledger(url) as ledger:
        live(ledger)
        live(ledger)
        ledger.reserve_version("credit", "run 2")
        train(ledger, key="run 3")
        ledger.open_alert(
            "credit", title="t", findings=[], severity="high", batch_hash="b", version=2, report=""
        )
    command = [sys.executable, "-c", STEPS, url, ACTS[act]]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    *killed, last = json.loads(done.stdout)
    assert len(killed) >= 5  # lock, reads, event, row, commit
    assert killed == [[-signal.SIGKILL, True, True]] * len(killed), done.stderr
    assert last == [0, False, True], done.stderr


ENDLESS = """
import sys
from riskwright.ledger import Ledger
ledger = Ledger(sys.argv[1], create=False)
print("ready", flush=True)
while True:
    live = ledger.champion("credit").version
    ledger.promote("credit", 3 - live, expected=live, actor="oscar", reason="to and fro")
"""


def test_killed_at_any_moment_the_rest_is_whole(sqlite_url: str, live: Callable[..., int]) -> None:
    moments = random.Random(7)
    with Ledger(sqlite_url) as ledger:
        live(ledger)
        live(ledger)
        grown = 0
        for _ in range(5):
            before = ledger.head()
            command = [sys.executable, "-c", ENDLESS, sqlite_url]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(moments.uniform(0, 0.15))
            process.kill()
            process.wait()
            process.stdout.close()
            assert ledger.verify(anchor=before).ok
            history = ledger.history("credit")
            champion = ledger.champion("credit")
            assert champion is not None
            assert champion.version == history[-1].version
            assert [v.version for v in ledger.versions("credit", "champion")] == [champion.version]
            grown += ledger.head()[0] > before[0]
            done = ledger.promote(  # nobody has to mend anything first
                "credit",
                3 - champion.version,
                expected=champion.version,
                actor="oscar",
                reason="after the crash",
            )
            assert done.sequence == len(history) + 1
        assert grown > 0


def test_the_state_that_is_compared_has_every_table() -> None:
    assert {t.name for t in metadata.sorted_tables} >= {
        "ledger_events",
        "ledger_promotions",
        "ledger_versions",
        "ledger_alerts",
        "ledger_requests",
    }
