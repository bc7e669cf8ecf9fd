from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from needed import lacking, needs

from riskwright.errors import InputRefused, IntegrityError, Unavailable
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.ledger.tables import SCHEMA_TABLE, metadata

SRC = str(Path(__file__).parents[2] / "src")


def _file(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://me:secret@host/db", "sqlite://", "sqlite:///:memory:"]
)
def test_an_address_that_holds_no_ledger_is_refused(url: str) -> None:
    with pytest.raises(InputRefused, match="not the address") as refused:
        Ledger(url)
    assert "secret" not in str(refused.value)


def test_a_missing_ledger_is_refused_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "ledger.db"
    with pytest.raises(InputRefused, match="no ledger yet"):
        Ledger(f"sqlite:///{path}", create=False)
    assert not path.parent.exists()


def test_an_empty_postgresql_database_is_no_ledger(postgres_url: str) -> None:
    with pytest.raises(InputRefused, match="no ledger yet"):
        Ledger(postgres_url, create=False)


def test_the_home_says_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RISKWRIGHT_LEDGER_URL", raising=False)
    home = Home(tmp_path / "home")
    with pytest.raises(InputRefused):
        Ledger.open(home)
    with Ledger.open(home, create=True) as made:
        made.reserve_version("credit", "run")
    with Ledger.open(home) as again:
        assert [v.version for v in again.versions("credit")] == [1]
    assert (home.root / "ledger.db").is_file()


def test_the_migrations_make_the_tables_that_the_code_uses(ledger: Ledger) -> None:
    with ledger.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": SCHEMA_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []


def test_many_may_make_the_same_ledger_at_once(tmp_path: Path, postgres_url: str) -> None:
    for url in (f"sqlite:///{tmp_path / 'new.db'}", postgres_url):
        failed: list[Exception] = []

        def make(url: str = url, failed: list[Exception] = failed) -> None:
            try:
                with Ledger(url) as made:
                    made.reserve_version("credit", f"run {threading.get_ident()}")
            except Exception as error:  # noqa: BLE001 whatever it is, the test must see it
                failed.append(error)

        threads = [threading.Thread(target=make) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        with Ledger(url, create=False) as made:
            assert [v.version for v in made.versions("credit")] == [1, 2, 3, 4]
            assert made.verify().ok


@pytest.mark.parametrize("found", ["0002", "9999", "a1b2c3"])
def test_a_newer_schema_is_refused(sqlite_url: str, found: str) -> None:
    with sqlite3.connect(_file(sqlite_url)) as raw:
        raw.execute(f"UPDATE {SCHEMA_TABLE} SET version_num = ?", (found,))
    raw.close()
    with pytest.raises(Unavailable, match="newer riskwright") as refused:
        Ledger(sqlite_url)
    assert found in str(refused.value)
    assert "upgrade" in refused.value.do


def test_opening_and_reading_is_light(sqlite_url: str) -> None:
    script = f"""
import sys
from riskwright.ledger import Ledger
with Ledger({sqlite_url!r}, create=False) as ledger:
    assert ledger.history("credit") == []
heavy = {{"alembic", "mlflow", "prefect", "pandas", "numpy", "psycopg2", "pydantic"}}
print(sorted(heavy & set(sys.modules)))
"""
    run = [sys.executable, "-c", script]
    env = {**os.environ, "PYTHONPATH": SRC}
    done = subprocess.run(run, check=True, capture_output=True, text=True, env=env)
    assert done.stdout == "[]\n"


def test_a_full_disk_is_named_and_changes_nothing(lite: Ledger) -> None:
    lite.reserve_version("credit", "first")

    @sqlalchemy.event.listens_for(lite.engine, "connect")
    def _no_more_pages(connection: sqlite3.Connection, record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # as small as it may get: what it is now

    written = _fill(lite)
    sqlalchemy.event.remove(lite.engine, "connect", _no_more_pages)
    assert lite.verify().ok
    assert len(lite.versions("credit")) == written
    assert lite.reserve_version("credit", "after") == written + 1


def _done(command: list[str]) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _fill(ledger: Ledger) -> int:
    """Write until the disk is full; return how many versions were reported as written."""
    written = len(ledger.versions("credit"))
    error: Unavailable | None = None
    while error is None and written < 1000:
        try:
            ledger.reserve_version("credit", f"run {written} {'x' * 1000}")
            written += 1
        except Unavailable as raised:
            error = raised
    assert error is not None, "the disk never filled"
    assert "database or disk is full" in error.what
    assert error.where.endswith("ledger.db")
    assert "space" in error.do
    return written


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 512 KiB, where this user may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if not shutil.which("mount") or not _done(mount):
        lacking("users", "a small disk can't be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_real_full_disk(small_disk: Path, template: Path) -> None:
    shutil.copyfile(template, small_disk / "ledger.db")
    with Ledger(f"sqlite:///{small_disk / 'ledger.db'}") as ledger:
        ledger.reserve_version("credit", "first")
        ballast = small_disk / "ballast"
        size = shutil.disk_usage(small_disk).free - 20_000
        ballast.write_bytes(b"0" * size)
        written = _fill(ledger)
        ballast.unlink()
        assert len(ledger.versions("credit")) == written
        assert ledger.verify().ok


@needs("users", os.geteuid() == 0, "root may write any file: the mount must be read-only")
def test_a_read_only_disk_is_read_but_not_written(small_disk: Path, template: Path) -> None:
    shutil.copyfile(template, small_disk / "ledger.db")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with Ledger(f"sqlite:///{small_disk / 'ledger.db'}", create=False) as ledger:
        assert ledger.history("credit") == []
        with pytest.raises(Unavailable, match="readonly") as refused:
            ledger.reserve_version("credit", "run")
    assert "permissions" in refused.value.do


def test_a_locked_ledger_is_named(lite: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    @sqlalchemy.event.listens_for(lite.engine, "connect")
    def _impatient(connection: sqlite3.Connection, record: object) -> None:
        connection.execute("PRAGMA busy_timeout = 50")

    other = sqlite3.connect(str(lite.name), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert lite.versions("credit") == []  # readers don't wait for a writer at work
    with pytest.raises(Unavailable, match="locked"):
        lite.reserve_version("credit", "run")
    other.execute("ROLLBACK")
    other.close()
    assert lite.reserve_version("credit", "run") == 1


def test_a_locked_postgresql_ledger_is_named(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("riskwright.ledger.store.BUSY_SECONDS", 0.1)
    with Ledger(postgres_url) as ledger, Ledger(postgres_url) as other:
        with other._write(), pytest.raises(Unavailable, match="lock timeout"):
            ledger.reserve_version("credit", "run")
        assert ledger.reserve_version("credit", "run") == 1


def test_a_read_only_postgresql_ledger_is_named(postgres_url: str) -> None:
    Ledger(postgres_url).close()
    with (
        Ledger(postgres_url + "%20-cdefault_transaction_read_only%3Don") as ledger,
        pytest.raises(Unavailable, match="read-only"),
    ):
        ledger.reserve_version("credit", "run")


def test_an_unreachable_server_is_named_without_its_password(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(Unavailable, match="can't be used") as refused:
        Ledger(f"postgresql://me:secret@/ledger?host={tmp_path}")
    assert time.monotonic() - start < 5
    assert "secret" not in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_a_file_that_is_no_ledger_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"this is a text file, and long enough to be looked at\n" * 30)
    before = path.read_bytes()
    with pytest.raises(IntegrityError, match="damaged"):
        Ledger(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_the_ledger_at_rest_is_one_file(lite: Ledger) -> None:
    for i in range(5):
        lite.reserve_version("credit", f"run {i}")
    path = Path(str(lite.name))
    assert [p.name for p in path.parent.iterdir()] == ["ledger.db"]
    copy = path.with_name("copy.db")
    shutil.copyfile(path, copy)
    with Ledger(f"sqlite:///{copy}", create=False) as copied:
        assert copied.head() == lite.head()
        assert copied.verify().ok


def test_a_reported_commit_is_on_the_disk(sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger, ledger._read() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 3  # EXTRA
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "delete"
