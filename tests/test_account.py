"""Who acts: from the kernel, never from what a client says about itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from needed import lacking, needs

from riskwright import account
from riskwright.account import Account, person

SAY = "from riskwright.account import who; w = who(); print(w.name, w.uid, w.method, w.verified)"
REAL = account.who


def said(*before: str, **variables: str) -> list[str]:
    done = subprocess.run(
        [*before, sys.executable, "-c", SAY],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode and before:
        lacking("users", f"{before[0]} doesn't work here: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_no_variable_makes_somebody_else() -> None:
    plain = said()
    assert plain == [account.name_of(os.getuid()), str(os.getuid()), "os-account", plain[3]]
    claims = dict.fromkeys(("LOGNAME", "USER", "USERNAME", "SUDO_USER", "LNAME"), "colleague")
    assert said(**claims, SUDO_UID="1", SUDO_GID="1", HOME="/home/colleague") == plain


def test_root_and_namespaces_are_unverified_and_a_person_is_verified(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, other = tmp_path / "first", tmp_path / "other"
    first.write_text("         0          0 4294967295\n")
    monkeypatch.setattr(account, "_on_procfs", lambda path: True)
    other.write_text("         0      61001          1\n")
    found = {}
    for platform in ("linux", "darwin"):
        for uid in (0, 4711):
            for name, uid_map in (("first", first), ("other", other), ("none", tmp_path / "none")):
                monkeypatch.setattr(account, "UID_MAP", uid_map)
                monkeypatch.setattr(account.sys, "platform", platform)
                monkeypatch.setattr(account.os, "getuid", lambda uid=uid: uid)
                here = REAL()
                assert here.verified == (not here.doubt)
                found[platform, uid, name] = here.verified
    assert {k for k, verified in found.items() if verified} == {
        ("linux", 4711, "first"),
        *(("darwin", 4711, name) for name in ("first", "other", "none")),
    }


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
def test_a_file_laid_over_proc_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    laid = tmp_path / "uid_map"
    laid.write_text("         0          0 4294967295\n")
    monkeypatch.setattr(account.os, "getuid", lambda: 4711)
    real = REAL().verified
    monkeypatch.setattr(account, "UID_MAP", laid)
    assert not REAL().verified
    assert real == (Path("/proc/self/uid_map").read_text().split() == account.FIRST_NAMESPACE)


@needs("users", shutil.which("unshare") is not None, "no unshare command")
@pytest.mark.parametrize("into", ["--map-root-user", "--map-user=4711"])
def test_a_user_namespace_is_unverified_whatever_it_says(into: str) -> None:
    name, uid, method, verified = said("unshare", "--user", into, SUDO_UID="1")
    assert (method, verified) == ("os-account", "False")
    assert uid == ("0" if into == "--map-root-user" else "4711")
    assert name


def test_accounts_of_one_person_are_the_same() -> None:
    ann = Account("ann", 1001, "desk", "os-account")
    for name, uid, host, method, same in [
        ("Ann", 9, "elsewhere", "postgresql-role", True),
        ("anna", 1001, "desk", "os-account", True),
        ("anna", 1001, "desk", "file-owner", True),
        ("anna", 1001, "elsewhere", "os-account", False),
        ("anna", 1001, "desk", "program", False),
        ("ben", 1002, "desk", "os-account", False),
    ]:
        other = {"name": name, "uid": uid, "host": host, "method": method}
        assert ann.same(other) is same, other


def test_a_program_answers_for_a_name() -> None:
    by = person("oscar")
    assert (by.name, by.uid, by.method) == ("oscar", os.getuid(), "program")
    assert person(by) is by
