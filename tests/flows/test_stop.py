"""SIGTERM and Ctrl-C end a command with one plain line, whatever it was at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tiny import tiny_text

from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright_flows import stop
from riskwright_flows.cli import app


def test_a_signal_between_flows_is_one_line_and_a_shells_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Home
) -> None:
    def interrupted() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)  # the handler runs before the next line of Python
        pytest.fail("not stopped")

    monkeypatch.setattr("riskwright.life.system.json_schema", interrupted)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        app(["usecases", "--schema"])
    assert ended.value.code == 143
    assert capsys.readouterr().err == stop.LINE + "\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_prefects_own_handler_is_the_one_that_is_replaced() -> None:
    """A private name of Prefect 3.8.8: if it moves, this says so."""
    from prefect.utilities import engine

    theirs = engine._prefect_sigterm_handler
    with stop.at_once():
        with engine.capture_sigterm():
            assert signal.getsignal(signal.SIGTERM) is stop._leave
        assert signal.getsignal(signal.SIGINT) is stop._leave
    assert engine._prefect_sigterm_handler is theirs


LEFT_ON_THE_SPOT = """
import os, signal, sys, threading
from riskwright_flows import stop

stop.PATIENCE, held = 0.5, threading.Lock()
held.acquire()
with stop._handled(stop._leave, signal.SIGTERM):
    with (
        stop.on_the_way_out(lambda: 1 / 0),
        stop.on_the_way_out(lambda: print("given back", flush=True)),
        stop.on_the_way_out(held.acquire),  # never ends
    ):
        os.kill(os.getpid(), signal.SIGTERM)
"""


def test_what_others_wait_for_is_given_back_on_the_spot() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEFT_ON_THE_SPOT],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "given back\n")
    assert done.stderr.splitlines() == [stop.LINE]


LEFT_WHILE_A_THREAD_STARTS = """
import os, signal, threading
from riskwright_flows import stop

with stop._handled(stop._leave, signal.SIGTERM):
    with stop.on_the_way_out(lambda: print("given back", flush=True)):
        with threading._active_limbo_lock:  # what Thread.start holds for a moment
            os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_signal_while_the_main_thread_starts_another_ends_it_all_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEFT_WHILE_A_THREAD_STARTS],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "given back\n")


def test_what_ended_well_does_nothing_on_the_way_out() -> None:
    done: list[int] = []
    before = threading.active_count()
    with stop.on_the_way_out(lambda: done.append(1)):
        assert threading.active_count() == before + 1
    until = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert (done, threading.active_count()) == ([], before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "group"),
    [(signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGINT, True)],
    ids=["SIGTERM", "SIGTERM to the group", "Ctrl-C"],
)
def test_a_retrain_that_is_stopped(
    number: signal.Signals, group: bool, home: Home, tmp_path: Path
) -> None:
    """Also where the in-process Prefect server is ended by the same signal."""
    (home.folder("usecases") / "tiny.yaml").write_text(tiny_text(), encoding="utf-8")
    environment = {
        **os.environ,
        "RISKWRIGHT_HOME": str(home.root),
        "MLFLOW_TRACKING_URI": home.mlflow_uri,
        "PREFECT_HOME": str(home.root / "prefect"),
    }
    environment.pop("PREFECT_API_URL", None)
    told = tmp_path / "err"
    with told.open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "riskwright_flows.cli", "retrain", "tiny"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=err,
            start_new_session=True,
        )
    until = time.monotonic() + 200
    while "fit " not in told.read_text():
        assert process.poll() is None, told.read_text()
        assert time.monotonic() < until, told.read_text()
        time.sleep(0.05)
    asked = time.monotonic()
    (os.killpg if group else os.kill)(process.pid, number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert time.monotonic() - asked < 20
    assert out == b""
    lines = [line for line in told.read_text().splitlines() if not line.endswith("…")]
    assert lines == [stop.LINE]
    ledger = Ledger.open(home)
    assert ledger.verify().ok
    assert ledger.versions("tiny") == []


LEFT_AT_WORK = """
import os
import riskwright.life.system
from pyarrow import csv

def schema():
    global reader  # Arrow's thread reads on, in a Python file, while the process ends
    reader = csv.open_csv(open(os.environ["TO_READ"], "rb"), csv.ReadOptions(block_size=1 << 18))
    next(iter(reader))
    return "done"

riskwright.life.system.json_schema = schema
from riskwright_flows.cli import app
app()
"""


@pytest.mark.slow
def test_no_thread_of_arrow_ends_a_command_with_an_abort(tmp_path: Path) -> None:
    """Eight of 25 such processes ended with 134 while the interpreter was taken apart."""
    path = tmp_path / "many.csv"
    path.write_text("\n".join([",".join(["0.123456789012345"] * 20)] * 60_000))

    def run(_: int) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-c", LEFT_AT_WORK, "usecases", "--schema"],
            env={**os.environ, "TO_READ": str(path)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(run, range(12))) == {(0, "done\n", "")}
