"""What ends a command before its time: SIGTERM or Ctrl-C, and the one line that it leaves.

Nothing has to be put away: what is written is written whole or not at all, and a run that ended so
is closed by the next one, as after a power cut. What others would wait for is given back all the
same, if that is done in a moment (``on_the_way_out``).
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any, NoReturn

# What is left to do on the way out: to ask for it, and to hear that it is done.
_last: list[tuple[SimpleQueue[bool], SimpleQueue[None]]] = []

PATIENCE = 3.0
LINE = "stopped; run the same command again to go on where it was"


class Stopped(BaseException):
    """A signal asked for the end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = 128 + number  # as a shell tells it


@contextmanager
def by_signal() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does: what is open is closed on the way out."""
    with _handled(_raise, signal.SIGTERM):
        yield


@contextmanager
def at_once() -> Iterator[None]:
    """Let both end the process on the spot, while Prefect's in-process server is in use.

    A signal for the whole group (Ctrl-C, a service manager) ends that server too; Prefect would
    try for a minute to tell it of the crash, and then show its own trouble instead of ours. Prefect
    puts a handler of its own before each flow: that one is replaced.
    """
    from prefect.utilities import engine as prefects

    engine: Any = prefects
    theirs = engine._prefect_sigterm_handler
    with _handled(_leave, signal.SIGTERM, signal.SIGINT):
        engine._prefect_sigterm_handler = _leave
        try:
            yield
        finally:
            engine._prefect_sigterm_handler = theirs


@contextmanager
def _handled(handler: Any, *signals: signal.Signals) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # Python's rule
        yield
        return
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _raise(number: int, _frame: object) -> NoReturn:
    raise Stopped(number)


@contextmanager
def on_the_way_out(act: Callable[[], object]) -> Iterator[None]:
    """Do something also where a signal ends the process on the spot, within ``PATIENCE`` seconds.

    In a thread: what the signal interrupted may hold a lock that is then never given back. It waits
    from the beginning, since that lock may be the one that starting a thread takes; the queues are
    those that Python lets a signal handler use.
    """
    asked: SimpleQueue[bool] = SimpleQueue()
    done: SimpleQueue[None] = SimpleQueue()

    def wait() -> None:
        if asked.get():
            with suppress(Exception):  # as after a power cut: the next run does it
                act()
            done.put(None)

    threading.Thread(target=wait, daemon=True).start()
    mine = (asked, done)
    _last.append(mine)
    try:
        yield
    finally:
        _last.remove(mine)
        asked.put(False)


def _put_away() -> None:
    for asked, done in _last:
        asked.put(True)
        with suppress(Empty):
            done.get(timeout=PATIENCE)


def _leave(number: int, *_: object) -> NoReturn:
    _tell()
    _put_away()
    _end_servers()
    os._exit(128 + number)


def end(code: int) -> NoReturn:
    """End a command that was stopped, with its one line."""
    _tell()
    if _end_servers():  # what Prefect does at exit would miss it, and say so
        os._exit(code)
    sys.exit(code)


def leave(code: int) -> NoReturn:
    """End the process as Python does, without taking its libraries apart.

    Arrow's threads outlive the interpreter: one that is still at a Python file then ends the whole
    process with "terminate called without an active exception" (exit code 134), its work done.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that aren't daemons
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _tell() -> None:
    from riskwright.progress import console

    console.show_cursor()  # a progress bar hides it
    print(f"\n{LINE}" if console.is_terminal else LINE, file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()


def _end_servers() -> bool:
    """End Prefect's in-process servers; whether there were any."""
    module: Any = sys.modules.get("prefect.server.api.server")
    found = list(module.SubprocessASGIServer._instances.values()) if module else []
    started = [server.server_process for server in found if server.server_process is not None]
    for process in started:
        process.terminate()
    return bool(started)
