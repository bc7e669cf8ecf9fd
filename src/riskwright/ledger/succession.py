"""Who followed whom: what is and was live, and where a rollback or fallback may go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from riskwright.errors import Conflict
from riskwright.ledger import audit, tables
from riskwright.ledger.records import Promotion
from riskwright.ledger.tables import number
from riskwright.ledger.versions import seek_version


def live(connection: Connection, use_case: str) -> Row[Any] | None:
    """Return the last promotion: what is live."""
    t = tables.promotions
    query = select(t).where(t.c.use_case == use_case).order_by(t.c.sequence.desc()).limit(1)
    return connection.execute(query).one_or_none()


def live_version(connection: Connection, use_case: str) -> Row[Any] | None:
    """Return the row of the live version."""
    found = live(connection, use_case)
    return seek_version(connection, use_case, found.version) if found else None


def compare(connection: Connection, use_case: str, expected: int | None) -> Row[Any] | None:
    """Return the last promotion; raise Conflict if its version isn't the expected one."""
    expected = None if expected is None else number("expected champion", expected)
    found = live(connection, use_case)
    if (found.version if found else None) != expected:
        now = f"version {found.version}" if found else "none"
        raise Conflict(
            f"the champion of {use_case} is {now}, no longer what this decision was made against",
            where=f"since {found.at}, by {found.actor}: {found.reason}" if found else "",
            expected=f"version {expected}" if expected is not None else "no champion",
            do="look at the new champion, then decide anew",
        )
    return found


def history(connection: Connection, use_case: str) -> list[Promotion]:
    """Return every promotion, rollback and fallback, oldest first."""
    t = tables.promotions
    query = select(t).where(t.c.use_case == use_case).order_by(t.c.sequence)
    by = audit.signed(connection, use_case, "promotion", "sequence")
    rows = connection.execute(query).mappings()
    return [Promotion(**row, by=by.get(row["sequence"])) for row in rows]


def formers(connection: Connection, use_case: str) -> list[int]:
    """Return the champions that a rollback may go to, the last one first.

    As a stack: a rollback takes off what it withdraws. Rejected versions are passed over.
    """
    t = tables.promotions
    query = select(t.c.version, t.c.kind).where(t.c.use_case == use_case).order_by(t.c.sequence)
    stack: list[int] = []
    for version, kind in connection.execute(query):
        if kind == "rollback":
            while stack[-1] != version:
                stack.pop()
        else:
            stack.append(version)
    rejected = set(_numbers(connection, use_case, "rejected"))
    found = (v for v in reversed(stack) if v != stack[-1] and v not in rejected)
    return list(dict.fromkeys(found))


def baseline(connection: Connection, use_case: str) -> int | None:
    """Return the newest baseline that may be trusted.

    One that was itself a challenger counts once it was promoted: else a fallback would let in what
    the gates or a reviewer turned down. One that stands by beside an ensemble counts once that
    ensemble has been promoted: it was trained on the same rows.
    """
    t, p = tables.versions, tables.promotions
    query = select(p.c.version).where(p.c.use_case == use_case)
    promoted = set(connection.execute(query).scalars())
    columns = select(t.c.version, t.c.status, t.c.evidence, t.c.run_id)
    newest = columns.where(t.c.use_case == use_case).order_by(t.c.version.desc())
    versions = connection.execute(newest).all()
    trusted = {v.run_id for v in versions if v.version in promoted}
    found = (
        v.version
        for v in versions
        if v.status not in ("reserved", "rejected")
        and v.evidence.get("baseline") is True
        and (v.run_id in trusted if v.evidence.get("standby") else v.version in promoted)
    )
    return next(found, None)


def _numbers(connection: Connection, use_case: str, status: str) -> Sequence[int]:
    t = tables.versions
    query = select(t.c.version).where(t.c.use_case == use_case, t.c.status == status)
    return connection.execute(query).scalars().all()
