"""Which findings are of one kind, and which of them a decision about an alert covers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from riskwright.ledger import tables
from riskwright.ledger.records import Alert
from riskwright.ledger.tables import canonical

KIND = ("code", "column", "segment", "direction")  # what makes two findings one kind
SEVERITIES = ("none", "low", "medium", "high", "critical")


def alerts_of(connection: Connection, use_case: str, version: int, batch_hash: str) -> list[Alert]:
    """Return the alerts about a version that a batch opened or joined, oldest first."""
    e, t = tables.events, tables.alerts
    query = select(e.c.payload).where(
        e.c.use_case == use_case,
        e.c.kind.in_(("alert.opened", "alert.seen")),
        e.c.payload.contains(canonical({"batch_hash": batch_hash})[1:-1], autoescape=True),
    )
    seen = {json.loads(payload)["alert"] for payload in connection.execute(query).scalars()}
    rows = select(t).where(t.c.id.in_(seen), t.c.version == version).order_by(t.c.id)
    return [Alert(**row) for row in connection.execute(rows).mappings()]


def kinds(connection: Connection, alert: Alert) -> list[dict[str, Any]]:
    """Return the kinds that an alert shows, each with the highest band of all its looks."""
    e = tables.events
    query = select(e.c.payload).where(
        e.c.kind.in_(("alert.opened", "alert.seen")),
        e.c.payload.startswith(f'{{"alert":{alert.id},'),
    )
    found: dict[str, dict[str, Any]] = {}
    for payload in connection.execute(query).scalars():
        for finding in json.loads(payload)["findings"]:
            kind = {k: finding[k] for k in (*KIND, "band") if k in finding}
            kind = kind if "code" in finding else finding
            known = found.setdefault(_kind(finding), kind)
            if (kind.get("band") or 0) > (known.get("band") or 0):
                found[_kind(finding)] = kind
    return list(found.values())


def decided_on(connection: Connection, alert: Alert) -> list[dict[str, Any]]:
    """Return the kinds that an alert was decided on; earlier versions kept its findings alone."""
    e = tables.events
    query = select(e.c.payload).where(
        e.c.kind == "alert.decided", e.c.payload.startswith(f'{{"alert":{alert.id},')
    )
    decided: dict[str, Any] = json.loads(connection.execute(query).scalars().one())
    covers: list[dict[str, Any]] = decided.get("covers", alert.findings)
    return covers


def beyond(
    covered: Sequence[Mapping[str, Any]], findings: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the findings that no kind of those decided covers."""
    return [f for f in findings if not any(_covers(kind, f) for kind in covered)]


def _covers(kind: Mapping[str, Any], finding: Mapping[str, Any]) -> bool:
    """Whether a decision on a kind is one on a finding: one of a higher band is another."""
    band = kind.get("band")
    return _matches(kind, finding) and (band is None or (finding.get("band") or 0) <= band)


def _matches(kind: Mapping[str, Any], finding: Mapping[str, Any]) -> bool:
    """Whether a finding is of a kind; what earlier versions didn't keep of it isn't asked."""
    if "code" not in kind:
        return canonical(kind) == canonical(finding)
    return all(finding.get(name) == kind[name] for name in KIND if name in kind)


def open_like(
    connection: Connection, use_case: str, mine: Sequence[Alert], new: Mapping[str, Any]
) -> Alert | None:
    """Return the open alert that a look belongs to: one of its batch's, else one of like kinds."""
    t = tables.alerts
    query = select(t).where(
        t.c.use_case == use_case, t.c.status == "open", t.c.version == new["version"]
    )
    opened = [Alert(**row) for row in connection.execute(query).mappings()]
    return next((a for a in opened if a in mine), None) or next(
        (a for a in opened if alike(a, new)), None
    )


def alike(alert: Alert, new: Mapping[str, Any]) -> bool:
    """Whether an open alert shows the same kinds at the same severity."""
    was, now = alert.findings, new["findings"]
    return (
        alert.severity == new["severity"]
        and all(any(_matches(f, n) for n in now) for f in was)
        and all(any(_matches(f, n) for f in was) for n in now)
    )


def merged(alert: Alert, new: dict[str, Any]) -> dict[str, Any]:
    """Return what an open alert shows after one more look: nothing found earlier is taken back."""
    was, now = alert.findings, new["findings"]
    unseen = [f for f in was if not any(_matches(f, n) for n in now)]
    if not unseen:
        return new
    worse = max(alert.severity, new["severity"], key=SEVERITIES.index)
    if not beyond(was, now):
        # This look saw nothing new or worse: what another one saw, and its page, stay.
        return {
            **new,
            "findings": was,
            "severity": worse,
            "title": alert.title,
            "report": alert.report,
        }
    return {**new, "findings": [*now, *unseen], "severity": worse}


def _kind(finding: Mapping[str, Any]) -> str:
    """What was found, where and which way, without the figures; without a code it is its own."""
    if "code" not in finding:
        return canonical(finding)
    return canonical([finding.get(name) for name in KIND])
