"""The ledger's database: how it is opened, locked, migrated, and how its failures are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy
from sqlalchemy import Connection, Engine, event, exc
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

from riskwright import account
from riskwright.account import Account
from riskwright.errors import InputRefused, IntegrityError, Unavailable
from riskwright.ledger import audit
from riskwright.ledger.records import Event, Verdict
from riskwright.ledger.tables import SCHEMA, SCHEMA_TABLE

if TYPE_CHECKING:
    from riskwright.home import Home

BUSY_SECONDS = 30
DAMAGED = ("malformed", "not a database", "corrupt")


class Store:
    """One ledger, in an SQLite file or a PostgreSQL database.

    Writers come one at a time: each write transaction takes the lock before its first read
    (``BEGIN IMMEDIATE``; in PostgreSQL a lock on the table of events), waits up to 30 s for it,
    and so decides on what it then reads. Readers see one consistent state.

    Parameters
    ----------
    url
        SQLAlchemy URL, ``sqlite:///path`` or ``postgresql://user@host/database``.
    create
        Make the ledger if it isn't there; else a missing one is refused.

    Raises
    ------
    InputRefused
        For another kind of URL, or a missing ledger that may not be made.
    Unavailable
        If the database can't be reached, or was written by a newer riskwright.
    """

    home: Home | None = None

    def __init__(self, url: str, *, create: bool = True) -> None:
        parsed = _parse(url)
        self.name = parsed.database if _is_sqlite(parsed) else parsed.render_as_string()
        if _is_sqlite(parsed):
            file = Path(str(parsed.database))
            with self._told():
                there = file.exists()
                if create:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    from riskwright.home import make_database  # its settings need pydantic

                    make_database(file)
            if not there and not create:
                raise self._missing()
        self.engine = _engine(parsed)
        with self._read() as connection:
            found = self._schema(connection)
        if found is None and not create:
            raise self._missing()
        if found is None or found < SCHEMA:
            self._migrate()

    @classmethod
    def open(cls, home: Home, *, create: bool = False) -> Self:
        """Open the ledger of a home; ``create`` makes both."""
        if create:
            home.create()
        opened = cls(home.ledger_url, create=create)
        opened.home = home
        return opened

    def short(self, value: Any) -> Any:
        """Return what is to be recorded, without the place of the home in it."""
        return self.home.shorten(value) if self.home else value

    def found(self, value: Any) -> Any:
        """Return what was recorded, with paths as they are in the home today."""
        return self.home.find(value) if self.home else value

    def close(self) -> None:
        """Give back the connections."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def who(self) -> Account:
        """Return who acts: the account of this process; of PostgreSQL, the role that signed in.

        A superuser is unverified there (he can take any name), and so is everybody where the server
        lets in whoever knocks (``trust`` in ``pg_hba.conf``; PostgreSQL tells from 16 on).
        """
        here = account.who()
        if self.engine.dialect.name != "postgresql":
            return here
        with self._read() as connection:
            role, superuser = connection.exec_driver_sql(
                "SELECT session_user, rolsuper FROM pg_roles WHERE rolname = session_user"
            ).one()
            signed: object = "told from version 16 on"
            if connection.dialect.server_version_info >= (16,):  # type: ignore[operator]
                signed = connection.exec_driver_sql("SELECT system_user").scalar_one()
        doubt = "a superuser of the database can be anyone" if superuser else ""
        if signed is None:
            doubt = "the database lets in whoever knocks ('trust' in pg_hba.conf)"
        return Account(role, here.uid, here.host, "postgresql-role", not doubt, doubt)

    def events(self, use_case: str | None = None, kind: str | None = None) -> list[Event]:
        """Return the audit chain's events, oldest first."""
        with self._read() as connection:
            return audit.read(connection, use_case, kind)

    def head(self) -> tuple[int, str]:
        """Return the number of events and the last one's hash: an anchor to keep elsewhere."""
        with self._read() as connection:
            return audit.head(connection)

    def verify(self, anchor: tuple[int, str] | None = None) -> Verdict:
        """Check the audit chain, and that the tables say what it says.

        Parameters
        ----------
        anchor
            An earlier ``head()``, kept where nobody who can write the ledger can write.
            Without it a cut-off tail can't be seen.
        """
        with self._read() as connection:
            return audit.verify(connection, anchor)

    def seal(self, use_case: str, of: str, files: Mapping[str, str]) -> None:
        """Keep the SHA-256 of files in the chain, by their names in the home.

        A newer seal of the same file takes the place of an earlier one.
        """
        with self._write() as connection:
            audit.append(
                connection,
                "files.sealed",
                actor="riskwright",
                use_case=use_case,
                payload={"of": of, "files": dict(files)},
            )

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        """One write transaction, which waits for its turn before it reads anything."""
        with self._told(), self.engine.connect() as connection:
            connection.execution_options(riskwright_write=True)
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    _lock_postgresql(connection)
                yield connection

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        """One read transaction, which sees a single state of all tables."""
        with self._told(), self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    def _schema(self, connection: Connection) -> int | None:
        """Return the revision of the schema, None if there is none."""
        if not connection.dialect.has_table(connection, SCHEMA_TABLE):
            return None
        query = sqlalchemy.text(f"SELECT version_num FROM {SCHEMA_TABLE}")  # noqa: S608 a constant
        found = connection.execute(query).scalar_one_or_none()
        if found is None:
            return None
        if not str(found).isdigit() or int(found) > SCHEMA:
            raise Unavailable(
                f"the ledger was written by a newer riskwright: its schema is {found}",
                where=str(self.name),
                expected=f"schema {SCHEMA:04d} or older",
                do="upgrade riskwright",
            )
        return int(found)

    def _migrate(self) -> None:
        """Bring the schema to the newest revision, in one transaction."""
        # Imported here: a ledger that is up to date, the usual case, doesn't pay for alembic.
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self._told(), self.engine.connect() as connection:
            connection.execution_options(riskwright_write=True)
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    # There may be no table to lock yet; any number of our own will do.
                    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(8244231075)")
                if self._schema(connection) != SCHEMA:  # another process may have been first
                    config.attributes["connection"] = connection
                    command.upgrade(config, "head")

    def _missing(self) -> InputRefused:
        return InputRefused(
            "there is no ledger yet",
            where=str(self.name),
            expected="a ledger that 'riskwright retrain' or 'riskwright demo' has made",
            do="run one of them first, or set RISKWRIGHT_HOME or RISKWRIGHT_LEDGER_URL",
        )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn the database's failures into ours, with the ledger's name."""
        try:
            yield
        except (exc.DatabaseError, OSError) as error:
            cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            if any(word in cause for word in DAMAGED):
                raise IntegrityError(
                    f"the ledger's file is damaged: {cause}",
                    where=str(self.name),
                    do="restore it from a backup, then verify it against an anchor",
                ) from error
            read_only = "read-only transaction" in cause
            if not (read_only or isinstance(error, (exc.OperationalError, OSError))):
                raise
            raise Unavailable(
                f"the ledger can't be used: {cause}",
                where=str(self.name),
                expected="a database that can be reached and written; nothing was changed",
                do=_remedy(cause),
            ) from error


def _remedy(cause: str) -> str:
    for sign, remedy in {
        "full": "free some space, then run the command again",
        "No space": "free some space, then run the command again",
        "readonly": "check the permissions of the file and its folder",
        "read-only": "check the permissions, or whether the server is a standby",
        "locked": f"another process has kept it locked for {BUSY_SECONDS} s: see which",
        "lock timeout": f"another process has kept it locked for {BUSY_SECONDS} s: see which",
    }.items():
        if sign in cause:
            return remedy
    return "check the path or the server, then run the command again"


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        parsed = None
    in_memory = parsed is not None and parsed.database in (None, "", ":memory:")
    known = parsed is not None and parsed.get_backend_name() in ("sqlite", "postgresql")
    if parsed is None or not known or (_is_sqlite(parsed) and in_memory):
        raise InputRefused(
            "this is not the address of a ledger",
            where=parsed.render_as_string() if parsed else "RISKWRIGHT_LEDGER_URL",
            expected="sqlite:///path/to/ledger.db or postgresql://user@host/database",
        )
    return parsed


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _engine(url: URL) -> Engine:
    if not _is_sqlite(url):
        return sqlalchemy.create_engine(url, pool_pre_ping=True)
    # A connection for each transaction: opening a file is cheap, and nothing stays open that
    # a fork, a thread or a copy of the file could trip over.
    engine = sqlalchemy.create_engine(
        url, poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS}
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        # The rollback journal (not WAL): the ledger at rest is one file, so that a copy of it is
        # complete, and it works on network folders and read-only disks. EXTRA syncs the folder
        # too: a commit that was reported survives a power cut.
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = EXTRA")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("riskwright_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _lock_postgresql(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'")
    connection.exec_driver_sql("LOCK TABLE ledger_events IN EXCLUSIVE MODE")
