"""Whose process is known to be gone, and whose isn't: unknown never counts as dead."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from flows import runtime

HOST, NOBODY = socket.gethostname(), 2**22 - 3  # beyond the largest process id


def test_of_this_very_namespace_and_boot_it_is_known() -> None:
    view = runtime._view()
    assert runtime.owner().endswith(f"@{view}")
    assert not runtime.dead(runtime.owner())
    assert runtime.dead(f"{HOST}:{NOBODY}:1@{view}")
    asked = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], check=True, **TEXT
    )
    assert runtime.dead(f"{HOST}:{asked.stdout.strip()}:1@{view}")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such namespaces")
@pytest.mark.parametrize(
    "holder",
    [
        f"{HOST}:{NOBODY}:1",  # of a release that didn't say where
        f"{HOST}:{NOBODY}:1@",
        f"{HOST}:{NOBODY}:1@{runtime._view()}9",  # another container of one host name
        f"{HOST}:{NOBODY}:1@another-boot.{runtime._view().rpartition('.')[2]}",
        f"elsewhere:{NOBODY}:1@{runtime._view()}",
        "me:2:100",
        "",
    ],
)
def test_what_nobody_can_see_from_here_is_not_dead(holder: str) -> None:
    assert not runtime.dead(holder)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such namespaces")
def test_without_proc_nobody_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_view", lambda: "")
    assert not runtime.dead(f"{HOST}:{NOBODY}:1@")


TEXT = {"capture_output": True, "text": True, "timeout": 30}
