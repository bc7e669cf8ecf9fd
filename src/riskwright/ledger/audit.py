"""The audit chain: every event carries the hash of the one before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from riskwright.account import Account
from riskwright.ledger import tables
from riskwright.ledger.records import Event, Verdict
from riskwright.ledger.tables import canonical, events, now

START = "0" * 64  # what stands in the place of a hash before the first event


def event_hash(fields: Mapping[Any, Any]) -> str:
    """Return SHA-256 over the canonical JSON of an event's other seven fields.

    ``payload`` goes in as the text that is stored, so that any byte of it that changes shows.
    """
    names = ("id", "at", "actor", "use_case", "kind", "payload", "prev_hash")
    return hashlib.sha256(canonical({n: fields[n] for n in names}).encode()).hexdigest()


def append(
    connection: Connection,
    kind: str,
    *,
    actor: str | Account,
    use_case: str,
    payload: Mapping[str, Any],
) -> Event:
    """Append an event inside the caller's write transaction.

    Of an account the payload also holds, under ``by``, how its name is known: number, host,
    method, and whether it is verified.
    """
    if isinstance(actor, Account):
        payload = {**payload, "by": actor.record()}
        actor = actor.name
    last = connection.execute(
        select(events.c.id, events.c.hash).order_by(events.c.id.desc()).limit(1)
    ).one_or_none()
    fields: dict[str, Any] = {
        "id": last.id + 1 if last else 1,
        "at": now(),
        "actor": actor,
        "use_case": use_case,
        "kind": kind,
        "payload": canonical(payload),
        "prev_hash": last.hash if last else START,
    }
    fields["hash"] = event_hash(fields)
    connection.execute(events.insert().values(**fields))
    return _event(fields)


def read(connection: Connection, use_case: str | None, kind: str | None) -> list[Event]:
    """Return events in their order."""
    query = select(events).order_by(events.c.id)
    if use_case is not None:
        query = query.where(events.c.use_case == use_case)
    if kind is not None:
        query = query.where(events.c.kind == kind)
    return [_event(row) for row in connection.execute(query).mappings()]


def signed(connection: Connection, use_case: str, kind: str, key: str) -> dict[Any, dict[str, Any]]:
    """Return how each event's actor was known (``by``), by a key of its payload.

    Events of before this was kept are left out.
    """
    found = ((e.payload[key], e.payload.get("by")) for e in read(connection, use_case, kind))
    return {number: by for number, by in found if by is not None}


def head(connection: Connection) -> tuple[int, str]:
    """Return the number of events and the hash of the last one."""
    last = connection.execute(
        select(events.c.id, events.c.hash).order_by(events.c.id.desc()).limit(1)
    ).one_or_none()
    return (last.id, last.hash) if last else (0, START)


def verify(connection: Connection, anchor: tuple[int, str] | None) -> Verdict:
    """Check the chain from its start, then that the tables say what the events say.

    Parameters
    ----------
    anchor
        An earlier ``head()`` that was kept elsewhere. Only with it does a cut-off tail, or a
        chain written anew from some event on, show.
    """
    told = _Told()
    previous, checked = START, 0
    query = select(events).order_by(events.c.id).execution_options(yield_per=1000)
    for row in connection.execute(query).mappings():
        expected = checked + 1
        if row["id"] != expected:
            return Verdict(False, checked, expected, f"event {expected} is missing")
        if event_hash(row) != row["hash"]:
            return Verdict(False, checked, expected, f"event {expected} was altered")
        if row["prev_hash"] != previous:
            # This event is as it was hashed, so the one before it was written anew.
            bad = max(checked, 1)
            return Verdict(False, bad - 1, bad, f"event {bad} was replaced")
        if anchor is not None and expected == anchor[0] and row["hash"] != anchor[1]:
            reason = f"the chain up to event {expected} is not the one that was anchored"
            return Verdict(False, checked, expected, reason)
        previous, checked = row["hash"], expected
        told.read(_event(row))
    if anchor is not None and checked < anchor[0]:
        reason = f"events {checked + 1} to {anchor[0]} were cut off"
        return Verdict(False, checked, checked + 1, reason)
    wrong = told.compare(connection)
    if wrong is not None:
        return Verdict(False, checked, *wrong)
    return Verdict(True, checked)


class _Told:
    """What the events say that the tables must hold, by table and key, with the event's id."""

    def __init__(self) -> None:
        self.rows: dict[tuple[Any, ...], tuple[int, str]] = {}
        self.state: dict[tuple[Any, ...], dict[str, Any]] = {}

    def read(self, event: Event) -> None:
        """Take in one event."""
        says, where = event.payload, event.use_case
        for known in ("by", "author_unknown"):  # of the event alone
            says.pop(known, None)
        match event.kind:
            case "version.reserved":
                self._status(event, says["version"], "reserved")
            case "version.registered":
                content = [event.actor, says["run_id"], says["models"], says["evidence"]]
                self._put(event, ("version", where, says["version"]), content)
                self._status(event, says["version"], "challenger")
            case "version.rejected":
                self._status(event, says["version"], "rejected")
            case "gates.recorded":
                self._put(event, ("gates", where, says["version"]), says["gates"])
            case "promotion":
                entry = {**says, "actor": event.actor, "at": event.at}
                self._put(event, ("promotion", where, says["sequence"]), entry)
                if says["previous"] is not None:
                    self._status(event, says["previous"], "retired")
                self._status(event, says["version"], "champion")
            case "test.read":
                key = (says["snapshot_hash"], where, says["purpose"], says["run_key"])
                self._put(event, ("reading", *key), event.at)
            case "findings.recorded":
                content = [where, says["version"], says["batch_hash"], says["findings"], event.at]
                self._put(event, ("finding", says["set"]), content)
            case "alert.opened" | "alert.seen":
                number = says.pop("alert")
                row = self.state.setdefault(
                    ("alert", number), {"use_case": where, "seen": 0, "opened_at": event.at}
                )
                more = {"status": "open", "seen": row["seen"] + 1, "last_seen": event.at}
                self._update(event, ("alert", number), {**says, **more})
            case "alert.decided":
                more = {"decision": says["decision"], "reason": says["reason"], "status": "closed"}
                more |= {"decided_by": event.actor, "decided_at": event.at}
                self._update(event, ("alert", says["alert"]), more)
            case kind if kind.startswith("request."):
                self._update(event, ("request", says.pop("request")), _request(event))

    def _update(self, event: Event, key: tuple[Any, ...], changed: Mapping[str, Any]) -> None:
        """A row that more than one event writes."""
        self.state.setdefault(key, {}).update(changed)
        self._put(event, key, _filled(self.state[key]))

    def _put(self, event: Event, key: tuple[Any, ...], content: Any) -> None:
        self.rows[key] = (event.id, canonical(content))

    def _status(self, event: Event, version: int, status: str) -> None:
        self._put(event, ("status", event.use_case, version), status)

    def compare(self, connection: Connection) -> tuple[int | None, str] | None:
        """Return the first event whose row differs and what is wrong, or None."""
        found = dict(_held(connection))
        for key, (event, content) in sorted(self.rows.items(), key=lambda item: item[1][0]):
            if found.pop(key, None) != content:
                return event, f"event {event} and the table of {key[0]}s disagree at {key[1:]}"
        for key in found:
            return None, f"no event tells of the {key[0]} at {key[1:]}"
        return None


def _held(connection: Connection) -> Iterator[tuple[tuple[Any, ...], str]]:
    """The same keys and contents as the events give, from the tables."""
    for v in connection.execute(select(tables.versions)):
        yield ("status", v.use_case, v.version), canonical(v.status)
        if v.trained_by is not None:
            content = [v.trained_by, v.run_id, v.models, v.evidence]
            yield ("version", v.use_case, v.version), canonical(content)
    for g in connection.execute(select(tables.gates)):
        yield ("gates", g.use_case, g.version), canonical(g.gates)
    for p in connection.execute(select(tables.promotions)).mappings():
        entry = {k: v for k, v in p.items() if k != "use_case"}
        yield ("promotion", p["use_case"], p["sequence"]), canonical(entry)
    for r in connection.execute(select(tables.readings)):
        yield ("reading", r.snapshot_hash, r.use_case, r.purpose, r.run_key), canonical(r.at)
    for f in connection.execute(select(tables.findings)):
        content = [f.use_case, f.version, f.batch_hash, f.findings, f.at]
        yield ("finding", f.id), canonical(content)
    for kind, table in (("alert", tables.alerts), ("request", tables.requests)):
        for row in connection.execute(select(table)).mappings():
            entry = {k: v for k, v in row.items() if k != "id"}
            yield (kind, row["id"]), canonical(_filled(entry))


def _request(event: Event) -> dict[str, Any]:
    """What an event changes in its request's row."""
    says = event.payload
    match event.kind:
        case "request.made":
            made = {"use_case": event.use_case, "actor": event.actor, "at": event.at}
            return {**says, **made, "status": "pending"}
        case "request.claimed":
            return {"status": "claimed", "owner": event.actor, "claimed_at": event.at}
        case "request.finished":
            ended = {k: says[k] for k in ("outcome", "detail")}
            return {**ended, "status": "finished", "finished_at": event.at}
        case "request.returned":
            # Older events say why as "why", which the table didn't keep.
            kept = {k: says[k] for k in ("detail",) if k in says}
            return {**kept, "status": "pending", "owner": None, "claimed_at": None}
    return {"detail": says["detail"]}  # request.waits


def _filled(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without what isn't known of it yet."""
    return {k: v for k, v in row.items() if v is not None}


def _event(fields: Mapping[Any, Any]) -> Event:
    return Event(**{**fields, "payload": json.loads(fields["payload"])})
