"""Ledgers to test on: a fresh SQLite file, a fresh PostgreSQL database, or each in turn."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy
from needed import lacking

from riskwright.ledger import Gate, Ledger, ModelRef

PASSED = (Gate("baseline", True, "better by test", {"p": 0.01}),)


def _binaries() -> Path | None:
    """Folder of initdb and postgres; Debian keeps it off the PATH."""
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if found:
        return Path(found).resolve().parent
    return next((f for f in reversed(folders) if (f / "initdb").is_file()), None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL server of our own, on a Unix socket only."""
    binaries = _binaries()
    if binaries is None:
        lacking("postgres", "no PostgreSQL on this machine (initdb not found)")
    folder = Path(tempfile.mkdtemp(prefix="ledger-pg-"))  # short: a socket's path is limited
    other: dict[str, object] = {}
    if os.geteuid() == 0:  # initdb refuses to run as root
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        other = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    data, quiet = folder / "data", {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "ledger", "-A", "trust", "-E", "UTF8", "-N"],
        check=True,
        cwd=folder,
        **other,
        **quiet,
    )
    start = [binaries / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses="]
    start += ["-c", "fsync=off", "-c", "max_connections=60"]
    url = f"postgresql://ledger@/postgres?host={folder}"
    server = subprocess.Popen(start, cwd=folder, **other, **quiet)
    try:
        _wait_for(url)
        yield url
    finally:
        server.send_signal(signal.SIGQUIT)  # PostgreSQL's "immediate": nothing here is kept
        server.wait(60)
        shutil.rmtree(folder)


def _wait_for(url: str) -> None:
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
    deadline = time.monotonic() + 60
    while True:
        try:
            engine.connect().close()
            return
        except sqlalchemy.exc.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger's file, to be copied: cheaper than a migration for each test."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    Ledger(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def sqlite_url(template: Path, tmp_path: Path) -> str:
    path = tmp_path / "ledger.db"
    shutil.copyfile(template, path)
    return f"sqlite:///{path}"


_numbers = count()


@pytest.fixture
def postgres_url(postgres: str) -> str:
    """Address of a schema of its own: lighter than a database."""
    name = f"ledger_{next(_numbers)}"
    engine = sqlalchemy.create_engine(postgres, poolclass=sqlalchemy.pool.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    return f"{postgres}&options=-csearch_path%3D{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Address of an empty ledger, once in each database."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    found: str = request.getfixturevalue(name)
    return found


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """An empty ledger, once in each database."""
    with Ledger(url) as opened:
        _hurry(opened)
        yield opened


@pytest.fixture
def lite(sqlite_url: str) -> Iterator[Ledger]:
    """An empty ledger in SQLite, for what doesn't differ between databases."""
    with Ledger(sqlite_url) as opened:
        _hurry(opened)
        yield opened


def _hurry(ledger: Ledger) -> None:
    """Don't wait for the disk: that a commit survives a power cut isn't what is tested here."""
    if ledger.engine.dialect.name == "sqlite":

        @sqlalchemy.event.listens_for(ledger.engine, "connect")
        def _off(connection: sqlite3.Connection, record: object) -> None:
            connection.execute("PRAGMA synchronous = OFF")


Train = Callable[..., int]


@pytest.fixture
def train() -> Train:
    """Register a version with gates, as a retrain does; the trainer is tess."""

    def _train(
        ledger: Ledger,
        *,
        use_case: str = "credit",
        gates: tuple[Gate, ...] = PASSED,
        baseline: bool = False,
        key: str | None = None,
    ) -> int:
        run_key = key or f"run {len(ledger.versions(use_case))}"
        version = ledger.reserve_version(use_case, run_key)
        ref = ModelRef("pd", f"{use_case}-pd", version, f"{version:064x}", f"models:/m-{version}")
        ledger.register(
            use_case,
            version,
            models={"pd": ref},
            actor="tess",
            run_id=f"mlflow {version}",
            evidence={"baseline": baseline, "auc": 0.75},
        )
        if gates:
            ledger.record_gates(use_case, version, gates)
        return version

    return _train


@pytest.fixture
def live(train: Train) -> Train:
    """Train a version and promote it; the officer is oscar."""

    def _live(ledger: Ledger, *, use_case: str = "credit", baseline: bool = False) -> int:
        version = train(ledger, use_case=use_case, baseline=baseline)
        champion = ledger.champion(use_case)
        ledger.promote(
            use_case,
            version,
            expected=champion.version if champion else None,
            actor="oscar",
            reason="gates read",
        )
        return version

    return _live
