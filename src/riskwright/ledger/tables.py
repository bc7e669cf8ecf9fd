"""The tables as SQLAlchemy sees them. The migrations create them; a test holds the two together.

Every name starts with ``ledger_``: MLflow and Prefect have tables called ``runs`` and ``events``,
and a team may put all three in one PostgreSQL database.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    select,
)
from sqlalchemy.types import TypeDecorator

from riskwright.errors import InputRefused

SCHEMA = 1  # the newest revision in migrations/versions
SCHEMA_TABLE = "ledger_schema"
MACHINE = "riskwright"  # the actor of what no person decides
LONGEST = 2000  # characters of a name or a reason


def now() -> str:
    """Return the present, UTC, as fixed-width ISO text: its order as text is its order in time."""
    return stamp(datetime.now(UTC))


def stamp(moment: datetime) -> str:
    """Return a moment as the ledger writes it.

    Raises
    ------
    InputRefused
        If it carries no time zone.
    """
    if moment.tzinfo is None:
        raise InputRefused(
            "the time carries no zone", where=str(moment), expected="for example 12:00+00:00"
        )
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def canonical(value: Any) -> str:
    """Return JSON text that is the same for the same content: sorted, without blanks, ASCII.

    NumPy scalars become numbers; NaN and infinity, which JSON lacks, become null.
    """
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def plain(value: Any) -> Any:
    """Return dictionaries, lists, text, numbers, booleans and None, and nothing else."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, (date, Path)):
        return value.isoformat() if isinstance(value, date) else str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if hasattr(value, "tolist"):  # a NumPy scalar or array; NumPy itself isn't imported here
        return plain(value.tolist())
    raise InputRefused(
        f"the ledger can't keep a {type(value).__name__}",
        expected="text, numbers, booleans, None, and lists and dictionaries of them",
    )


def number(name: str, value: Any) -> int:
    """Return the number of a version, an alert, a request or a run as a plain int.

    What isn't a whole number by its type is refused: SQLite would find ``"2"`` and ``1.0``, and the
    event that names them would be no event about version 2 for who verifies the chain.

    Raises
    ------
    InputRefused
        If it is a boolean, a text, a fraction, or nothing.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        return int(operator.index(value))
    except TypeError:
        raise InputRefused(
            f"the {name} is no whole number: {ascii(value)[:60]} ({type(value).__name__})",
            expected="an integer, such as 2",
        ) from None


def text(name: str, value: Any) -> str:
    """Return a name or a reason, stripped.

    Raises
    ------
    InputRefused
        If it is no text, empty, too long, or holds what a database can't store.
    """
    if not isinstance(value, str):
        raise InputRefused(
            f"the {name} is no text: {ascii(value)[:60]} ({type(value).__name__})",
            expected=f"text of 1 to {LONGEST} characters",
        )
    stripped = value.strip()
    if not stripped or len(stripped) > LONGEST or not _storable(stripped):
        raise InputRefused(
            f"the {name} is empty" if not stripped else f"the {name} can't be stored",
            where=ascii(stripped[:60]) if stripped else "",
            expected=f"text of 1 to {LONGEST} characters",
        )
    return stripped


def _storable(value: str) -> bool:
    try:
        return b"\x00" not in value.encode()
    except UnicodeEncodeError:
        return False


class Json(TypeDecorator[Any]):
    """JSON kept as canonical text: both databases return it exactly as it was hashed."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Write."""
        return None if value is None else canonical(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Read."""
        return None if value is None else json.loads(value)


metadata = MetaData()


def _column(name: str, *, null: bool = False) -> Column[str]:
    return Column(name, Text, nullable=null)


def _key(name: str) -> Column[int]:
    return Column(name, Integer, primary_key=True, autoincrement=False)


events = Table(
    "ledger_events",
    metadata,
    _key("id"),
    _column("at"),
    _column("actor"),
    _column("use_case"),
    _column("kind"),
    _column("payload"),  # canonical JSON, hashed as it stands
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

versions = Table(
    "ledger_versions",
    metadata,
    Column("use_case", Text, primary_key=True),
    _key("version"),
    _column("status"),
    _column("run_key"),
    _column("trained_by", null=True),
    _column("run_id", null=True),
    Column("models", Json, nullable=False),
    Column("evidence", Json, nullable=False),
    _column("at"),
    UniqueConstraint("use_case", "run_key", name="ledger_versions_run_key"),
)

gates = Table(
    "ledger_gates",
    metadata,
    Column("use_case", Text, primary_key=True),
    _key("version"),
    Column("gates", Json, nullable=False),
    _column("at"),
)

promotions = Table(
    "ledger_promotions",
    metadata,
    Column("use_case", Text, primary_key=True),
    _key("sequence"),
    Column("version", Integer, nullable=False),
    Column("previous", Integer),
    _column("actor"),
    _column("at"),
    _column("reason"),
    _column("kind"),
    _column("policy", null=True),
)

readings = Table(
    "ledger_readings",
    metadata,
    Column("snapshot_hash", Text, primary_key=True),
    Column("use_case", Text, primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("run_key", Text, primary_key=True),
    _column("at"),
)

findings = Table(
    "ledger_findings",
    metadata,
    Column("id", Integer, primary_key=True),
    _column("use_case"),
    Column("version", Integer, nullable=False),
    _column("batch_hash"),
    Column("findings", Json, nullable=False),
    _column("at"),
    Index("ledger_findings_batch", "use_case", "batch_hash"),
)

alerts = Table(
    "ledger_alerts",
    metadata,
    Column("id", Integer, primary_key=True),
    _column("use_case"),
    Column("version", Integer, nullable=False),
    _column("title"),
    _column("severity"),
    Column("findings", Json, nullable=False),
    _column("batch_hash"),
    _column("report"),
    _column("status"),
    Column("seen", Integer, nullable=False),
    _column("opened_at"),
    _column("last_seen"),
    _column("decision", null=True),
    _column("decided_by", null=True),
    _column("decided_at", null=True),
    _column("reason", null=True),
    Index("ledger_alerts_status", "status", "use_case"),
)

requests = Table(
    "ledger_requests",
    metadata,
    Column("id", Integer, primary_key=True),
    _column("use_case"),
    _column("kind"),
    _column("actor"),
    _column("reason"),
    Column("alert_id", Integer),
    _column("at"),
    _column("status"),
    _column("owner", null=True),
    _column("claimed_at", null=True),
    _column("outcome", null=True),
    _column("detail", null=True),
    _column("finished_at", null=True),
    Index("ledger_requests_status", "status", "use_case"),
)

leases = Table(
    "ledger_leases",
    metadata,
    Column("name", Text, primary_key=True),
    _column("owner"),
    _column("expires"),
    Index("ledger_leases_owner", "owner"),
)

runs = Table(
    "ledger_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    _column("use_case"),
    _column("kind"),
    _column("run_key"),
    _column("owner"),
    _column("mlflow_run_id", null=True),
    _column("status"),
    Column("attempt", Integer, nullable=False),
    _column("started"),
    _column("finished", null=True),
    _column("detail"),
    UniqueConstraint("use_case", "kind", "run_key", name="ledger_runs_run_key"),
)


def next_id(connection: Connection, table: Table) -> int:
    """Return the next row's id, so that its event can name it; in a write transaction only."""
    return int(connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()) + 1
