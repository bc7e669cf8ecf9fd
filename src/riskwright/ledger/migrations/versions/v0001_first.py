"""The first schema, frozen: later changes are later revisions.

What is written once (events, gates, promotions, readings) is kept from UPDATE and DELETE by
triggers. They stop a slip, not the owner of the file; the hash chain shows what got past them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

WRITTEN_ONCE = ("ledger_events", "ledger_gates", "ledger_promotions", "ledger_readings")


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


def _number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=null)


def upgrade() -> None:
    op.create_table(
        "ledger_events",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        *map(_text, ("at", "actor", "use_case", "kind", "payload")),
        sa.Column("prev_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_table(
        "ledger_versions",
        _text("use_case"),
        _number("version"),
        *map(_text, ("status", "run_key")),
        _text("trained_by", null=True),
        _text("run_id", null=True),
        *map(_text, ("models", "evidence", "at")),
        sa.PrimaryKeyConstraint("use_case", "version"),
        sa.UniqueConstraint("use_case", "run_key", name="ledger_versions_run_key"),
    )
    op.create_table(
        "ledger_gates",
        _text("use_case"),
        _number("version"),
        *map(_text, ("gates", "at")),
        sa.PrimaryKeyConstraint("use_case", "version"),
    )
    op.create_table(
        "ledger_promotions",
        _text("use_case"),
        _number("sequence"),
        _number("version"),
        _number("previous", null=True),
        *map(_text, ("actor", "at", "reason", "kind")),
        _text("policy", null=True),
        sa.PrimaryKeyConstraint("use_case", "sequence"),
    )
    op.create_table(
        "ledger_readings",
        *map(_text, ("snapshot_hash", "use_case", "purpose", "run_key", "at")),
        sa.PrimaryKeyConstraint("snapshot_hash", "use_case", "purpose", "run_key"),
    )
    op.create_table(
        "ledger_findings",
        sa.Column("id", sa.Integer, primary_key=True),
        _text("use_case"),
        _number("version"),
        *map(_text, ("batch_hash", "findings", "at")),
    )
    op.create_table(
        "ledger_alerts",
        sa.Column("id", sa.Integer, primary_key=True),
        _text("use_case"),
        _number("version"),
        *map(_text, ("title", "severity", "findings", "batch_hash", "report", "status")),
        _number("seen"),
        *map(_text, ("opened_at", "last_seen")),
        *(_text(n, null=True) for n in ("decision", "decided_by", "decided_at", "reason")),
    )
    op.create_table(
        "ledger_requests",
        sa.Column("id", sa.Integer, primary_key=True),
        *map(_text, ("use_case", "kind", "actor", "reason")),
        _number("alert_id", null=True),
        *map(_text, ("at", "status")),
        *(_text(n, null=True) for n in ("owner", "claimed_at", "outcome", "detail", "finished_at")),
    )
    op.create_table(
        "ledger_leases",
        _text("name"),
        *map(_text, ("owner", "expires")),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "ledger_runs",
        sa.Column("id", sa.Integer, primary_key=True),
        *map(_text, ("use_case", "kind", "run_key", "owner")),
        _text("mlflow_run_id", null=True),
        _text("status"),
        _number("attempt"),
        _text("started"),
        _text("finished", null=True),
        _text("detail"),
        sa.UniqueConstraint("use_case", "kind", "run_key", name="ledger_runs_run_key"),
    )
    op.create_index("ledger_findings_batch", "ledger_findings", ["use_case", "batch_hash"])
    op.create_index("ledger_alerts_status", "ledger_alerts", ["status", "use_case"])
    op.create_index("ledger_requests_status", "ledger_requests", ["status", "use_case"])
    op.create_index("ledger_leases_owner", "ledger_leases", ["owner"])
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def _guard_sqlite() -> None:
    for table in WRITTEN_ONCE:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is written once'); END"
            )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION ledger_written_once() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is written once', TG_TABLE_NAME; END $$"
    )
    for table in WRITTEN_ONCE:
        op.execute(
            f"CREATE TRIGGER {table}_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger_written_once()"
        )
