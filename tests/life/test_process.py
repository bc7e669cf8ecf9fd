"""Whose process is known to be gone, and whose isn't: unknown never counts as dead."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from riskwright.life import process

HOST, NOBODY = socket.gethostname(), 2**22 - 3  # beyond the largest process id


def test_of_this_very_namespace_and_boot_it_is_known() -> None:
    view = process._view()
    assert process.owner().endswith(f"@{view}")
    assert not process.dead(process.owner())
    assert process.dead(f"{HOST}:{NOBODY}:1@{view}")
    asked = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], check=True, **TEXT
    )
    assert process.dead(f"{HOST}:{asked.stdout.strip()}:1@{view}")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such namespaces")
@pytest.mark.parametrize(
    "holder",
    [
        f"{HOST}:{NOBODY}:1",  # of a release that didn't say where
        f"{HOST}:{NOBODY}:1@",
        f"{HOST}:{NOBODY}:1@{process._view()}9",  # another container of one host name
        f"{HOST}:{NOBODY}:1@another-boot.{process._view().rpartition('.')[2]}",
        f"elsewhere:{NOBODY}:1@{process._view()}",
        "me:2:100",
        "",
    ],
)
def test_what_nobody_can_see_from_here_is_not_dead(holder: str) -> None:
    assert not process.dead(holder)


INITIAL = 4026531836  # the namespace of processes that a machine starts with


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such namespaces")
@pytest.mark.parametrize(
    ("then", "now", "gone"),
    [
        (f"b1.{INITIAL}.m", f"b2.{INITIAL}.m", True),  # this machine was started again
        (f"b1.{INITIAL}.m", f"b2.{INITIAL}.other", False),  # another one of that name
        (f"b1.{INITIAL}.m", "b2.4026532000.m", False),  # seen from a container
        ("b1.4026532000.m", "b2.4026532000.m", False),  # was in a container
        (f"b1.{INITIAL}.", f"b2.{INITIAL}.", False),  # nobody knows which machine
        (f"b1.{INITIAL}", f"b2.{INITIAL}.m", False),  # of a release that didn't say
        (f"b1.{INITIAL}", f"b1.{INITIAL}.m", True),  # the same boot: its process is gone
    ],
)
def test_what_ran_before_this_machine_was_started_again_is_dead(
    then: str, now: str, gone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_view", lambda: now)
    assert process.dead(f"{HOST}:{NOBODY}:1@{then}") is gone
    assert not process.dead(f"elsewhere:{NOBODY}:1@{then}")


def test_of_an_earlier_boot_a_number_in_use_again_is_no_sign_of_life(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "_view", lambda: f"b2.{INITIAL}.m")
    here = process.owner().partition("@")[0]
    assert process.dead(f"{here}@b1.{INITIAL}.m")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such namespaces")
def test_without_proc_nobody_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_view", lambda: "")
    assert not process.dead(f"{HOST}:{NOBODY}:1@")


TEXT = {"capture_output": True, "text": True, "timeout": 30}
