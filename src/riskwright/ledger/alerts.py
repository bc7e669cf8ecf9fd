"""Findings, the alerts that they open, and what people decide about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from sqlalchemy import Connection, insert, select, update

from riskwright.account import Account
from riskwright.errors import Conflict, GateRefused, InputRefused, closest
from riskwright.ledger import audit, tables
from riskwright.ledger.champions import Champions, back_in
from riskwright.ledger.eyes import acting, authorship, decision_refusal, refuse_empty_words
from riskwright.ledger.kinds import alerts_of, beyond, decided_on, kinds, merged, open_like
from riskwright.ledger.records import Alert, Choice, Decision, FindingSet, Promotion, Request
from riskwright.ledger.requests import WITHDRAWN, Requests, request_in, withdraw_in, withdrawable
from riskwright.ledger.succession import live_version
from riskwright.ledger.tables import MACHINE, number, plain, text
from riskwright.ledger.versions import seek_version


class Alerts(Champions, Requests):
    """The part of the ledger about alerts."""

    def record_findings(
        self,
        use_case: str,
        batch_hash: str,
        findings: Sequence[Mapping[str, Any]],
        version: int,
    ) -> FindingSet:
        """Keep what a monitor found in a batch, nothing found included.

        The same findings of the same batch again change nothing.
        """
        use_case, batch_hash = text("use case", use_case), text("batch", batch_hash)
        version = number("version", version)
        content = plain(list(findings))
        t = tables.findings
        with self._write() as connection:
            known = _findings(connection, use_case, batch_hash)
            if known and known[-1].version == version and known[-1].findings == content:
                return known[-1]
            key = tables.next_id(connection, t)
            event = audit.append(
                connection,
                "findings.recorded",
                actor=MACHINE,
                use_case=use_case,
                payload={
                    "set": key,
                    "version": version,
                    "batch_hash": batch_hash,
                    "findings": content,
                },
            )
            connection.execute(
                insert(t).values(
                    id=key,
                    use_case=use_case,
                    version=version,
                    batch_hash=batch_hash,
                    findings=content,
                    at=event.at,
                )
            )
            return _findings(connection, use_case, batch_hash)[-1]

    def findings(self, use_case: str, batch_hash: str | None = None) -> list[FindingSet]:
        """Return what monitors found in a use case's batches (or one of them), oldest first."""
        with self._read() as connection:
            return _findings(connection, use_case, batch_hash)

    def open_alert(
        self,
        use_case: str,
        *,
        title: str,
        findings: Sequence[Mapping[str, Any]],
        severity: str,
        batch_hash: str,
        version: int,
        report: str,
    ) -> int:
        """Open an alert, or count one more sight of the same alert while it is open.

        It is the same alert if use case and version are, and the batch is one of the alert's or
        all that was found is of the same kinds at the same severity. A *kind* is ``code``,
        ``column``, ``segment`` and ``direction`` of a finding. The alert then shows the newest
        look, and keeps the findings of kinds that this look didn't see (a look without labels
        takes back no alarm about outcomes).

        A decision covers the kinds that it was taken on, up to their ``band``, in all batches of
        its alert. What a later look at one of these batches finds beyond them opens an alert of
        its own, with these findings alone; if it finds nothing beyond, what was decided stands.

        Returns
        -------
        int
            The id of the alert; of a decided one if its decision covers all that was found.
        """
        use_case, batch_hash = text("use case", use_case), text("batch", batch_hash)
        version = number("version", version)
        new: dict[str, Any] = {
            "version": version,
            "title": text("title", title),
            "severity": text("severity", severity),
            "findings": plain(list(findings)),
            "batch_hash": batch_hash,
            "report": self.short(report),
        }
        with self._write() as connection:
            mine = alerts_of(connection, use_case, version, batch_hash)
            decided = [a for a in mine if a.status != "open"]
            if decided:
                covered = [d for a in decided for d in decided_on(connection, a)]
                new["findings"] = beyond(covered, new["findings"])
                if not new["findings"]:
                    waiting = [a for a in mine if a.status == "open"]
                    return (waiting or decided)[-1].id
            same = open_like(connection, use_case, mine, new)
            return _show(connection, use_case, same, merged(same, new) if same else new)

    def undecided(
        self,
        use_case: str,
        *,
        findings: Sequence[Mapping[str, Any]],
        batch_hash: str,
        version: int,
    ) -> list[dict[str, Any]]:
        """Return those findings of a batch that no decision about it covers (``open_alert``)."""
        found: list[dict[str, Any]] = plain(list(findings))
        version = number("version", version)
        with self._read() as connection:
            mine = alerts_of(connection, use_case, version, batch_hash)
            decided = [a for a in mine if a.status != "open"]
            return beyond([d for a in decided for d in decided_on(connection, a)], found)

    def alerts(self, use_case: str | None = None, open_only: bool = True) -> list[Alert]:
        """Return alerts, oldest first."""
        t = tables.alerts
        query = select(t).order_by(t.c.id)
        if use_case is not None:
            query = query.where(t.c.use_case == use_case)
        if open_only:
            query = query.where(t.c.status == "open")
        with self._read() as connection:
            by = _decisions(connection, use_case)
            rows = connection.execute(query).mappings()
            found = [Alert(**row, **by.get(row["id"], {})) for row in rows]
            return [replace(a, report=self.found(a.report)) for a in found]

    def alert(self, id: int) -> Alert:
        """Return one alert.

        Raises
        ------
        InputRefused
            If there is no such alert.
        """
        with self._read() as connection:
            alert = _alert(connection, id)
            return replace(alert, report=self.found(alert.report))

    def decide_alert(
        self, id: int, decision: Choice, *, actor: str | Account, reason: str
    ) -> Decision:
        """Decide an alert, and act, in one transaction.

        ``accept`` closes it; ``retrain`` also makes a request; ``rollback`` and ``fallback`` also
        change the champion, if that is still the version that the alert is about. Who may decide
        is ``eyes.decision_refusal``'s rule.

        Raises
        ------
        Conflict
            If it is decided already (it says by whom), or the champion changed since.
        GateRefused
            If the actor may not decide it, or the rollback or fallback is refused; the alert stays
            open, and the attempt is an event.
        InputRefused
            For an unknown alert or decision, an empty reason (of a grave alert: one that says
            nothing), or nothing to go back to.
        """
        by, reason, id = acting(actor), text("reason", reason), number("alert", id)
        if decision not in get_args(Choice):
            raise InputRefused(
                f"unknown decision {decision!r}",
                expected=", ".join(get_args(Choice)),
                do=closest(str(decision), get_args(Choice)),
            )
        with self._write() as connection:
            alert = _alert(connection, id)
            if alert.status != "open":
                raise Conflict(
                    f"alert {id} is decided already: {alert.decision}, by {alert.decided_by}",
                    where=f"at {alert.decided_at}: {alert.reason}",
                )
            followed = _act(connection, alert, decision, actor=by, reason=reason)
            if not isinstance(followed, GateRefused):
                refuse_empty_words(reason, alert.severity, by)
                return _close(connection, alert, decision, followed, actor=by, reason=reason)
        raise followed

    def withdraw_request(self, id: int, *, actor: str | Account, reason: str) -> Request:
        """End a request that nobody serves: it is wanted no longer; the same again changes nothing.

        The alert that it came from stays closed, so that nothing is done about it. Hence of such a
        request the rule is that of accepting the alert (``decide_alert``).

        Raises
        ------
        InputRefused
            If there is no such request, or the reason says nothing about a grave alert.
        Conflict
            If it has ended otherwise, or a retrain is at it.
        GateRefused
            If the actor may not accept its alert; the request waits on, the attempt is an event.
        """
        by, reason, id = acting(actor), text("reason", reason), number("request", id)
        with self._write() as connection:
            held = withdrawable(connection, id)
            if held.outcome == WITHDRAWN:
                return held
            if held.alert_id is None:
                return withdraw_in(connection, held, by, reason)
            alert = _alert(connection, held.alert_id)
            refusal = _refusal(connection, alert, "accept", by, reason, request=id)
            if refusal is None:
                refuse_empty_words(reason, alert.severity, by)
                return withdraw_in(connection, held, by, reason)
        raise refusal


def _show(connection: Connection, use_case: str, same: Alert | None, new: dict[str, Any]) -> int:
    """Open an alert, or count one more sight of the same one; return its id."""
    t = tables.alerts
    key = same.id if same else tables.next_id(connection, t)
    kind = "alert.seen" if same else "alert.opened"
    said = {"alert": key, **new}
    event = audit.append(connection, kind, actor=MACHINE, use_case=use_case, payload=said)
    values = new | {"seen": same.seen + 1 if same else 1, "last_seen": event.at}
    if same:
        connection.execute(update(t).where(t.c.id == key).values(**values))
    else:
        values |= {"id": key, "use_case": use_case, "status": "open", "opened_at": event.at}
        connection.execute(insert(t).values(**values))
    return key


def _refusal(
    connection: Connection,
    alert: Alert,
    decision: Choice,
    actor: Account,
    reason: str,
    request: int | None = None,
) -> GateRefused | None:
    """Refuse who may not decide an alert, or withdraw the request that it led to; an event."""
    command = (
        f"alerts decide NUMBER {decision}" if request is None else f"alerts withdraw {request}"
    )
    refusal = decision_refusal(
        connection,
        decision=decision,
        severity=alert.severity,
        version=seek_version(connection, alert.use_case, alert.version),
        live=live_version(connection, alert.use_case),
        by=actor,
        command=command,
    )
    if refusal is not None:
        said = {"alert": alert.id, "decision": decision, "reason": reason, "why": refusal.what}
        said |= {} if request is None else {"request": request, "decision": "withdraw"}
        audit.append(
            connection, "decision.refused", actor=actor, use_case=alert.use_case, payload=said
        )
    return refusal


def _act(
    connection: Connection, alert: Alert, decision: Choice, *, actor: Account, reason: str
) -> Promotion | Request | GateRefused | None:
    refusal = _refusal(connection, alert, decision, actor, reason)
    if refusal is not None:
        return refusal
    if decision == "accept":
        return None
    if decision == "retrain":
        return request_in(
            connection, alert.use_case, "retrain", actor=actor, reason=reason, alert_id=alert.id
        )
    return back_in(
        connection, alert.use_case, decision, actor=actor, reason=reason, expected=alert.version
    )


def _close(
    connection: Connection,
    alert: Alert,
    decision: Choice,
    followed: Promotion | Request | None,
    *,
    actor: Account,
    reason: str,
) -> Decision:
    version = seek_version(connection, alert.use_case, alert.version)
    own = version is not None and authorship(version, actor) != ""
    promotion = followed if isinstance(followed, Promotion) else None
    request = followed if isinstance(followed, Request) else None
    event = audit.append(
        connection,
        "alert.decided",
        actor=actor,
        use_case=alert.use_case,
        payload={
            "alert": alert.id,
            "decision": decision,
            "reason": reason,
            "covers": kinds(connection, alert),
            "promotion": promotion.sequence if promotion else None,
            "request": request.id if request else None,
            "own_model": own,
        },
    )
    t = tables.alerts
    connection.execute(
        update(t)
        .where(t.c.id == alert.id)
        .values(
            status="closed",
            decision=decision,
            decided_by=actor.name,
            decided_at=event.at,
            reason=reason,
        )
    )
    return Decision(
        alert.id,
        alert.use_case,
        decision,
        actor.name,
        reason,
        event.at,
        promotion,
        request,
        actor.record(),
        own,
    )


def _findings(connection: Connection, use_case: str, batch_hash: str | None) -> list[FindingSet]:
    t = tables.findings
    query = select(t).where(t.c.use_case == use_case).order_by(t.c.id)
    if batch_hash is not None:
        query = query.where(t.c.batch_hash == batch_hash)
    return [FindingSet(**row) for row in connection.execute(query).mappings()]


def _alert(connection: Connection, id: int) -> Alert:
    t, id = tables.alerts, number("alert", id)
    row = connection.execute(select(t).where(t.c.id == id)).mappings().one_or_none()
    if row is None:
        raise InputRefused(
            f"there is no alert {id}", do="run 'riskwright alerts' for those that are open"
        )
    return Alert(**row, **_decisions(connection, row["use_case"]).get(id, {}))


def _decisions(connection: Connection, use_case: str | None) -> dict[int, dict[str, Any]]:
    """How it is known who decided each alert, and whether it was about his own model."""
    return {
        e.payload["alert"]: {
            "by": e.payload.get("by"),
            "own_model": e.payload.get("own_model", False),
        }
        for e in audit.read(connection, use_case, "alert.decided")
    }
