"""Start real servers and wait for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Start = Callable[[list[str], str, dict[str, str]], "subprocess.Popen[bytes]"]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Give a function that starts a module and returns when its address answers."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(
        arguments: list[str], url: str, environment: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        log = tmp_path / f"server{len(started)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=tmp_path,
                env=os.environ | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that its workers end with it
            )
        started.append(process)
        until = time.monotonic() + 180
        while time.monotonic() < until:
            if _answers(url):
                return process
            if process.poll() is not None:
                break
            time.sleep(0.3)
        pytest.fail(f"{arguments[0]} did not answer at {url}:\n{log.read_text()[-3000:]}")

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(20)
