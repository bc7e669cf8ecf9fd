"""Requests: work that a person asked for and a flow claims, each once."""

from __future__ import annotations

from sqlalchemy import Connection, RowMapping, insert, select, update

from riskwright.account import Account
from riskwright.errors import Conflict, InputRefused
from riskwright.ledger import audit, tables
from riskwright.ledger.eyes import acting
from riskwright.ledger.leases import Leases, alive, assure
from riskwright.ledger.records import Request
from riskwright.ledger.tables import MACHINE, now, number, text

WITHDRAWN = "withdrawn"


class Requests(Leases):
    """The part of the ledger about requests."""

    def request(
        self,
        use_case: str,
        kind: str = "retrain",
        *,
        actor: str | Account,
        reason: str,
        alert_id: int | None = None,
    ) -> Request:
        """Ask for work; a flow claims it later."""
        with self._write() as connection:
            return request_in(
                connection, use_case, kind, actor=actor, reason=reason, alert_id=alert_id
            )

    def requests(self, use_case: str | None = None, open_only: bool = True) -> list[Request]:
        """Return requests, oldest first: those not finished, or all."""
        t = tables.requests
        query = select(t).order_by(t.c.id)
        if use_case is not None:
            query = query.where(t.c.use_case == use_case)
        if open_only:
            query = query.where(t.c.status != "finished")
        with self._read() as connection:
            return [_record(connection, row) for row in connection.execute(query).mappings()]

    def claim_request(
        self, owner: str, use_case: str | None = None, *, id: int | None = None
    ) -> Request | None:
        """Claim the oldest request that waits, or whose claimer is dead; None if there is none.

        Parameters
        ----------
        id
            This one and no other.

        A claimer is alive while it holds any lease. One that holds none is given two minutes to
        take one (``held``).
        """
        owner = text("owner", owner)
        t = tables.requests
        query = select(t).where(t.c.status != "finished").order_by(t.c.id)
        if use_case is not None:
            query = query.where(t.c.use_case == use_case)
        if id is not None:
            query = query.where(t.c.id == number("request", id))
        with self._write() as connection:
            for row in connection.execute(query):
                if row.status == "claimed" and alive(connection, row.owner, now()):
                    continue
                assure(connection, owner)
                event = audit.append(
                    connection,
                    "request.claimed",
                    actor=owner,
                    use_case=row.use_case,
                    payload={"request": row.id, "dead_owner": row.owner},
                )
                connection.execute(
                    update(t)
                    .where(t.c.id == row.id)
                    .values(status="claimed", owner=owner, claimed_at=event.at)
                )
                return _request(connection, row.id)
        return None

    def note_request(self, id: int, why: str) -> None:
        """Write down why a request goes on waiting; the same as before again changes nothing."""
        t, id = tables.requests, number("request", id)
        with self._write() as connection:
            held = _request(connection, id)
            if held.status != "pending" or held.detail == why:
                return
            audit.append(
                connection,
                "request.waits",
                actor=MACHINE,
                use_case=held.use_case,
                payload={"request": id, "detail": why},
            )
            connection.execute(update(t).where(t.c.id == id).values(detail=why))

    def return_request(self, id: int, owner: str, why: str) -> None:
        """Give a claim back, so that the next claimer serves it: trouble loses nothing."""
        t, id = tables.requests, number("request", id)
        with self._write() as connection:
            held = _request(connection, id)
            if held.status != "claimed" or held.owner != owner:
                return
            audit.append(
                connection,
                "request.returned",
                actor=owner,
                use_case=held.use_case,
                payload={"request": id, "detail": why},
            )
            values = {"status": "pending", "owner": None, "claimed_at": None, "detail": why}
            connection.execute(update(t).where(t.c.id == id).values(**values))

    def finish_request(
        self, id: int, outcome: str, detail: str = "", *, owner: str | None = None
    ) -> Request:
        """Write down how a claimed request ended; the same again changes nothing.

        Parameters
        ----------
        owner
            Who finishes it; if given, the claim must still be theirs.

        Raises
        ------
        Conflict
            If it isn't claimed, ended otherwise, or was claimed by another since.
        """
        outcome, id = text("outcome", outcome), number("request", id)
        t = tables.requests
        with self._write() as connection:
            held = _request(connection, id)
            if held.status == "finished" and held.outcome == outcome:
                return held
            if held.status != "claimed" or owner not in (None, held.owner):
                raise Conflict(
                    f"request {id} is {held.status}" + (f" by {held.owner}" if held.owner else ""),
                    where=held.outcome or "",
                    expected=f"claimed by {owner}" if owner else "claimed",
                )
            event = audit.append(
                connection,
                "request.finished",
                actor=str(held.owner),
                use_case=held.use_case,
                payload={"request": id, "outcome": outcome, "detail": detail},
            )
            connection.execute(
                update(t)
                .where(t.c.id == id)
                .values(status="finished", outcome=outcome, detail=detail, finished_at=event.at)
            )
            return _request(connection, id)


def request_in(
    connection: Connection,
    use_case: str,
    kind: str,
    *,
    actor: str | Account,
    reason: str,
    alert_id: int | None,
) -> Request:
    """Write a request inside the caller's write transaction."""
    content = {
        "kind": text("kind", kind),
        "reason": text("reason", reason),
        "alert_id": None if alert_id is None else number("alert", alert_id),
    }
    by, use_case = acting(actor), text("use case", use_case)
    key = tables.next_id(connection, tables.requests)
    event = audit.append(
        connection,
        "request.made",
        actor=by,
        use_case=use_case,
        payload={"request": key, **content},
    )
    connection.execute(
        insert(tables.requests).values(
            **content, id=key, use_case=use_case, actor=by.name, at=event.at, status="pending"
        )
    )
    return _request(connection, key)


def withdrawable(connection: Connection, id: int) -> Request:
    """Return a request that may be ended, or that was withdrawn already.

    Raises
    ------
    InputRefused
        If there is no such request.
    Conflict
        If it has ended otherwise, or a retrain is at it.
    """
    held = _request(connection, id)
    if (held.status, held.outcome) == ("finished", WITHDRAWN):
        return held
    if held.status == "finished" or (
        held.status == "claimed" and alive(connection, held.owner, now())
    ):
        raise Conflict(
            f"request {id} is {held.outcome or 'being served'}",
            where=held.detail or held.owner or "",
            expected="a request that waits",
        )
    return held


def withdraw_in(connection: Connection, held: Request, actor: Account, reason: str) -> Request:
    """End a ``withdrawable`` request inside the caller's write transaction."""
    t = tables.requests
    event = audit.append(
        connection,
        "request.finished",
        actor=actor,
        use_case=held.use_case,
        payload={"request": held.id, "outcome": WITHDRAWN, "detail": reason},
    )
    values = {"outcome": WITHDRAWN, "detail": reason, "finished_at": event.at}
    connection.execute(update(t).where(t.c.id == held.id).values(status="finished", **values))
    return _request(connection, held.id)


def claimed_in(connection: Connection, use_case: str) -> list[Request]:
    """Return the requests of a use case that are being served."""
    t = tables.requests
    query = select(t).where(t.c.use_case == use_case, t.c.status == "claimed").order_by(t.c.id)
    return [_record(connection, row) for row in connection.execute(query).mappings()]


def _request(connection: Connection, id: int) -> Request:
    t, id = tables.requests, number("request", id)
    row = connection.execute(select(t).where(t.c.id == id)).mappings().one_or_none()
    if row is None:
        raise InputRefused(f"there is no request {id}")
    return _record(connection, row)


def _record(connection: Connection, row: RowMapping) -> Request:
    by = audit.signed(connection, row["use_case"], "request.made", "request").get(row["id"])
    return Request(**row, by=by)
