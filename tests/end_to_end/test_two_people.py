"""Two real accounts share a home by the README's lines: one trains, another decides."""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import shutil
import site
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from needed import lacking, needs
from tiny import applications, tiny_text

from riskwright.home import Home
from riskwright.ledger import Ledger

REPOSITORY = Path(__file__).resolve().parents[2]
NEEDED = ("useradd", "groupadd", "userdel", "groupdel", "setpriv", "install")
TAG = f"rw{os.getpid()}"
ANN, BEN, GROUP = f"{TAG}ann", f"{TAG}ben", f"{TAG}risk"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    needs("users", os.getuid() == 0, "making two accounts needs root"),
    needs("users", all(map(shutil.which, NEEDED)), f"needs the commands {', '.join(NEEDED)}"),
]


def readme_lines(home: Path) -> tuple[str, str]:
    """The README's lines for a shared home, for this group and folder: once, and by each person."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    block = re.search(r"```\n(sudo install .*\n(?:.+\n)*?)```", text)
    assert block is not None, "the README's shared home is no block of its own"
    once, *both = block[1].replace("/srv/riskwright", str(home)).splitlines()
    assert "-g risk " in once, once
    # We are root: sudo would change nothing here, and isn't on every system.
    return once.removeprefix("sudo ").replace("-g risk ", f"-g {GROUP} "), "\n".join(both)


@dataclass(frozen=True)
class Office:
    """A folder that both may read, a home that they share, and a Python that they can run."""

    place: Path
    python: Path
    path: str
    login: str

    @property
    def home(self) -> Path:
        """The shared home."""
        return self.place / "riskwright"

    def run(
        self, name: str, *arguments: str, later: str = "", before: str = ""
    ) -> tuple[int, str, str]:
        """Run a command line as an account that typed the README's lines after logging in."""
        line = f'{self.login}\n{later}\nexec {before} "$0" -m riskwright_flows.cli "$@"'
        account = pwd.getpwnam(name)
        done = subprocess.run(
            [
                *("setpriv", "--reuid", name, "--regid", str(account.pw_gid), "--init-groups"),
                *("sh", "-c", line, str(self.python), *arguments),
            ],
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "HOME": str(self.place / name),
                "PYTHONPATH": self.path,
                "LD_LIBRARY_PATH": str(self.python.parents[1] / "lib"),
            },
            cwd=self.place / name,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def json(self, name: str, *arguments: str, code: int = 0) -> Any:
        """Run a command that must end with this code; return what it answers."""
        found, out, err = self.run(name, *arguments, "--json")
        assert found == code, f"{arguments}: exit {found}\n{out[-3000:]}\n{err[-3000:]}"
        return json.loads(out)


def _may_read(path: Path) -> bool:
    asked = ["setpriv", "--reuid", ANN, "--clear-groups", "test", "-r", path]
    done = subprocess.run(asked, check=False)
    return done.returncode == 0


def _linked(source: Path, place: Path) -> Path:
    """Return the folder, or a copy by hard links where its parents keep others out."""
    if _may_read(source):
        return source
    done = subprocess.run(["cp", "-al", source, place], capture_output=True, check=False)
    if done.returncode or not _may_read(place):
        lacking("users", f"other accounts can't read {source}, nor a copy of it by hard links")
    return place


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    """Make the accounts, their group, and the home as the README says."""
    place = Path(tempfile.mkdtemp(prefix="riskwright-two-", dir="/tmp"))
    place.chmod(0o755)
    try:
        subprocess.run(["groupadd", GROUP], check=True)
        for name in (ANN, BEN):
            subprocess.run(["useradd", "-M", "-N", "-g", "nogroup", "-G", GROUP, name], check=True)
            subprocess.run(["install", "-d", "-m", "700", "-o", name, place / name], check=True)
        code = place / "code"
        for part in ("src", "flows"):
            shutil.copytree(
                REPOSITORY / part, code / part, ignore=shutil.ignore_patterns("__pycache__")
            )
        for path in [code, *code.rglob("*")]:
            path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o444))
        base = _linked(Path(sys.base_prefix), place / "python")
        python = base / "bin" / f"python3.{sys.version_info.minor}"
        packages = _linked(Path(site.getsitepackages()[0]), place / "packages")
        once, both = readme_lines(place / "riskwright")
        subprocess.run(["sh", "-c", once], check=True)
        path = os.pathsep.join(map(str, (code / "src", code / "flows", packages)))
        yield Office(place, python, path, both)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        for name in (ANN, BEN):
            subprocess.run(["userdel", name], check=False, capture_output=True)
        subprocess.run(["groupdel", GROUP], check=False, capture_output=True)


def strangers(home: Path) -> list[str]:
    """What in the home doesn't follow its group and mode, but each one's own YAML and notes."""
    group = grp.getgrnam(GROUP).gr_gid
    found = []
    for path in [home, *home.rglob("*")]:
        if path.suffix == ".yaml" or path.match("prefect/memo_store.*.toml"):
            continue
        mode, gid = path.stat().st_mode, path.stat().st_gid
        wanted = 0o2770 if path.is_dir() else 0o660
        if gid != group or stat.S_IMODE(mode) & ~0o111 != wanted & ~0o111:
            found.append(f"{path.relative_to(home)} {stat.filemode(mode)} {gid}")
    return found


def test_one_trains_and_another_approves_scores_monitors_and_decides(office: Office) -> None:
    mine = office.place / ANN / "tiny.yaml"
    mine.write_text(tiny_text(approval={"policy": "approval"}), encoding="utf-8")
    os.chown(mine, pwd.getpwnam(ANN).pw_uid, -1)
    copied = f"{office.login}\nmkdir -p {office.home}/usecases && cp {mine} {office.home}/usecases/"
    account = ("setpriv", "--reuid", ANN, "--regid", "nogroup", "--init-groups")
    subprocess.run([*account, "sh", "-c", copied], check=True)
    trained = office.json(ANN, "retrain", "tiny")
    version = str(trained["version"])
    assert (trained["passed"], trained["live"]) == (True, False)
    assert strangers(office.home) == []

    why = ("--reason", "gates read, limits agreed")
    (waiting,) = office.json(BEN, "challengers", "tiny")
    assert (waiting["trained_by"], waiting["written_by"]) == (ANN, ANN)
    for before, told in (
        ("", f"was trained by {ANN}"),
        (f"env SUDO_UID={pwd.getpwnam(BEN).pw_uid} USER={BEN} LOGNAME={BEN}", "was trained by"),
        (f"unshare -r env SUDO_UID={pwd.getpwnam(BEN).pw_uid}", "root is unverified"),
        (f"unshare --map-user={pwd.getpwnam(BEN).pw_uid}", f"{BEN} is unverified"),
    ):
        code, _, err = office.run(ANN, "approve", "tiny", version, *why, before=before)
        if "unshare failed" in err:
            continue  # a system without user namespaces for everybody
        assert (code, told in err) == (3, True), (before, err)
    code, _, err = office.run(ANN, "reject", "tiny", str(int(version) - 1), *why)
    assert (code, "who may not reject it" in err) == (3, True), err
    approved = office.json(BEN, "approve", "tiny", version, *why)
    assert (approved["actor"], approved["by"]["method"]) == (BEN, "os-account")
    assert approved["by"]["uid"] == pwd.getpwnam(BEN).pw_uid

    batch = office.place / BEN / "batch.csv"
    frame = applications(600).drop(columns=["default.payment.next.month"])
    frame["LIMIT_BAL"] *= 40
    frame.to_csv(batch, index=False)
    os.chown(batch, pwd.getpwnam(BEN).pw_uid, -1)
    office.json(BEN, "score", "tiny", "--input", str(batch), "--output", "scores.csv")
    looked = office.json(BEN, "monitor", "tiny", "--input", str(batch), code=3)
    alert = str(looked["alert"])
    severity = office.json(ANN, "alerts", "show", alert)["severity"]
    code, _, err = office.run(ANN, "alerts", "decide", alert, "accept", *why)
    if severity in ("high", "critical"):
        assert (code, "who may not decide" in err) == (3, True), err
    done = office.json(BEN, "alerts", "decide", alert, "retrain", *why)
    assert (done["actor"], done["own_model"]) == (BEN, False)
    # Another umask changes nothing: the home's own mode is what counts.
    code, out, err = office.run(BEN, "retrain", "tiny", later="umask 022")
    assert code == 0, (out, err)
    for name in (ANN, BEN):
        assert office.json(name, "history", "tiny")[0]["actor"] == BEN
        assert office.json(name, "doctor")["healthy"] is True
    assert strangers(office.home) == []
    assert Ledger(f"sqlite:///{office.home / 'ledger.db'}").verify().ok
    assert Home(office.home).root.is_dir()
