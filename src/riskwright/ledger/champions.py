"""Champions: promotion, rollback and fallback, each one compare-and-set transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from riskwright.errors import Conflict, GateRefused, InputRefused
from riskwright.ledger import audit, tables
from riskwright.ledger.records import ChampionInfo, Promotion, PromotionKind
from riskwright.ledger.tables import stamp, text
from riskwright.ledger.versions import (
    Versions,
    as_version,
    find_version,
    held_gates,
    set_version,
)


class Champions(Versions):
    """The part of the ledger about what is live."""

    def promote(
        self,
        use_case: str,
        version: int,
        *,
        expected: int | None,
        actor: str,
        reason: str,
        kind: PromotionKind = "promotion",
        policy: str | None = None,
    ) -> Promotion:
        """Make a version the champion, if the champion is still the expected one.

        Parameters
        ----------
        expected
            The champion that the decision was made against; None: there was none.
        kind
            A rollback or fallback may only name the version that its own rule names.
        policy
            Name of the automatic policy that acts; then, and only then, ``actor`` is
            ``policy:<name>:<hash>``.

        Raises
        ------
        Conflict
            If the champion is another one by now; it says who was first, and when.
        GateRefused
            If a blocking gate didn't pass, no gates are recorded, the actor trained the version,
            or the version is reserved or rejected. The attempt is kept as an event.
        InputRefused
            If there is no such version, or the actor or reason is empty.
        """
        with self._write() as connection:
            done = promote_in(
                connection,
                use_case,
                version,
                expected=expected,
                actor=actor,
                reason=reason,
                kind=kind,
                policy=policy,
            )
        return _accepted(done)

    def rollback(
        self, use_case: str, *, actor: str, reason: str, expected: int | None
    ) -> Promotion:
        """Go back to the former champion: undo the last promotion that still stands.

        A second rollback goes one further back, not to what the first one withdrew. Rejected
        versions are passed over. The gates that let the version go live before still hold.

        Raises
        ------
        Conflict
            As ``promote``.
        InputRefused
            If there is no former champion.
        """
        return self._back(use_case, "rollback", actor=actor, reason=reason, expected=expected)

    def fallback(
        self, use_case: str, *, actor: str, reason: str, expected: int | None
    ) -> Promotion:
        """Let the newest baseline take over. It needs no gates: it must always be able to.

        Raises
        ------
        Conflict
            As ``promote``.
        InputRefused
            If no baseline is registered, or it is live already.
        """
        return self._back(use_case, "fallback", actor=actor, reason=reason, expected=expected)

    def _back(
        self,
        use_case: str,
        kind: PromotionKind,
        *,
        actor: str,
        reason: str,
        expected: int | None,
    ) -> Promotion:
        with self._write() as connection:
            done = back_in(
                connection, use_case, kind, actor=actor, reason=reason, expected=expected
            )
        return _accepted(done)

    def reject(self, use_case: str, version: int, *, actor: str, reason: str) -> None:
        """Turn a version down for good: it can never go live (again).

        Raises
        ------
        Conflict
            If it is live, or rejected already.
        """
        actor, reason = text("actor", actor), text("reason", reason)
        with self._write() as connection:
            held = find_version(connection, use_case, version)
            if held.status in ("champion", "rejected"):
                live = held.status == "champion"
                raise Conflict(
                    f"version {version} of {use_case} is "
                    + ("the champion" if live else "rejected already"),
                    do="roll back first, then reject it" if live else "",
                )
            audit.append(
                connection,
                "version.rejected",
                actor=actor,
                use_case=use_case,
                payload={"version": version, "reason": reason},
            )
            set_version(connection, use_case, version, status="rejected")

    def champion(self, use_case: str, at: datetime | None = None) -> ChampionInfo | None:
        """Return the champion, now or at a moment; None if there is (was) none.

        Raises
        ------
        InputRefused
            If ``at`` carries no time zone.
        """
        with self._read() as connection:
            live = _live(connection, use_case, None if at is None else stamp(at))
            if live is None:
                return None
            version = as_version(find_version(connection, use_case, live.version))
        return ChampionInfo(
            use_case=use_case,
            version=live.version,
            at=live.at,
            actor=live.actor,
            reason=live.reason,
            kind=live.kind,
            sequence=live.sequence,
            models=version.models,
            evidence=version.evidence,
        )

    def history(self, use_case: str) -> list[Promotion]:
        """Return every promotion, rollback and fallback, oldest first."""
        with self._read() as connection:
            return _history(connection, use_case)


def promote_in(
    connection: Connection,
    use_case: str,
    version: int,
    *,
    expected: int | None,
    actor: str,
    reason: str,
    kind: PromotionKind = "promotion",
    policy: str | None = None,
) -> Promotion | GateRefused:
    """Promote inside the caller's write transaction.

    A refusal is returned, not raised: the transaction must commit, for the attempt is an event.
    """
    actor, reason = text("actor", actor), text("reason", reason)
    if (policy is not None) != actor.startswith("policy:"):
        raise InputRefused(
            "an automatic policy, and nobody else, acts as 'policy:…'",
            where=f"actor {actor!r}, policy {policy!r}",
            expected="the policy's name, with the actor policy:<name>:<hash>",
        )
    wanted = find_version(connection, use_case, version)
    live = compare(connection, use_case, expected)
    if live is not None and live.version == version:
        raise Conflict(
            f"version {version} of {use_case} is the champion already",
            where=f"since {live.at}, by {live.actor}",
        )
    refusal = _refusal(connection, wanted, kind, actor)
    if refusal is not None:
        audit.append(
            connection,
            "promotion.refused",
            actor=actor,
            use_case=use_case,
            payload={"version": version, "kind": kind, "reason": reason, "why": refusal.what},
        )
        return refusal
    content: dict[str, Any] = {
        "sequence": live.sequence + 1 if live else 1,
        "version": version,
        "previous": live.version if live else None,
        "reason": reason,
        "kind": kind,
        "policy": policy,
    }
    event = audit.append(connection, "promotion", actor=actor, use_case=use_case, payload=content)
    row = {**content, "use_case": use_case, "actor": actor, "at": event.at}
    connection.execute(insert(tables.promotions).values(**row))
    if live is not None:
        set_version(connection, use_case, live.version, status="retired")
    set_version(connection, use_case, version, status="champion")
    return Promotion(**row)


def back_in(
    connection: Connection,
    use_case: str,
    kind: PromotionKind,
    *,
    actor: str,
    reason: str,
    expected: int | None,
) -> Promotion | GateRefused:
    """Roll or fall back inside the caller's write transaction."""
    compare(connection, use_case, expected)  # the loser of a race is told so before all else
    target = (
        _former(connection, use_case) if kind == "rollback" else _baseline(connection, use_case)
    )
    if target is None or target == expected:
        raise InputRefused(
            f"{use_case} has nothing to go back to: "
            + ("no former champion" if kind == "rollback" else "no baseline")
            + (" but the one that is live" if target is not None else ""),
            do="reject the alert's cause, or approve another challenger",
        )
    return promote_in(
        connection,
        use_case,
        target,
        expected=expected,
        actor=actor,
        reason=reason,
        kind=kind,
    )


def compare(connection: Connection, use_case: str, expected: int | None) -> Row[Any] | None:
    """Return the last promotion; raise Conflict if its version isn't the expected one."""
    live = _live(connection, use_case)
    if (live.version if live else None) != expected:
        now = f"version {live.version}" if live else "none"
        raise Conflict(
            f"the champion of {use_case} is {now}, no longer what this decision was made against",
            where=f"since {live.at}, by {live.actor}: {live.reason}" if live else "",
            expected=f"version {expected}" if expected is not None else "no champion",
            do="look at the new champion, then decide anew",
        )
    return live


def _refusal(
    connection: Connection, wanted: Row[Any], kind: PromotionKind, actor: str
) -> GateRefused | None:
    """Say why a version may not go live, None if it may."""
    use_case, version = wanted.use_case, wanted.version
    name = f"version {version} of {use_case}"
    if wanted.status in ("reserved", "rejected"):
        not_ready = "is not registered yet" if wanted.status == "reserved" else "was rejected"
        return GateRefused(f"{name} {not_ready}", do="choose another version")
    if kind == "rollback":
        allowed = _former(connection, use_case) == version
        return None if allowed else GateRefused(f"{name} is not the former champion")
    if kind == "fallback":
        allowed = _baseline(connection, use_case) == version
        return None if allowed else GateRefused(f"{name} is not the newest baseline")
    gates = held_gates(connection, use_case, version)
    if not gates and wanted.evidence.get("standby"):
        return GateRefused(
            f"{name} is the baseline that stands by beside a challenger",
            do="approve the version that 'riskwright challengers' shows",
        )
    if not gates:
        return GateRefused(f"{name} has no gates on record", do="run 'riskwright retrain'")
    failed = [g for g in gates if g.blocking and g.passed is not True]
    if failed:
        told = "; ".join(f"{g.name}: {g.detail}" for g in failed)
        return GateRefused(
            f"{name} didn't pass {len(failed)} of {len(gates)} gates",
            where=told,
            expected="every blocking gate passed ('not enough data' is not a pass)",
        )
    live = _live(connection, use_case)
    now = live.version if live else None
    against = [g.figures["against"] for g in gates if "against" in g.figures]
    if any(judged != now for judged in against):
        return GateRefused(
            f"{name} was judged against {_named(against[0])}, and {_named(now)} is live",
            expected="gates that compare it with the live champion",
            do="run 'riskwright retrain' again, or roll back",
        )
    if actor.casefold() == str(wanted.trained_by).casefold():
        return GateRefused(
            f"{name} was trained by {wanted.trained_by}, who may not approve it",
            expected="approval by a second person",
            do="ask a colleague to run 'riskwright approve'",
        )
    return None


def _former(connection: Connection, use_case: str) -> int | None:
    """The champion before the live one, as a stack: a rollback takes off what it withdraws."""
    stack: list[int] = []
    for p in _history(connection, use_case):
        if p.kind == "rollback":
            while stack[-1] != p.version:
                stack.pop()
        else:
            stack.append(p.version)
    rejected = set(_numbers(connection, use_case, "rejected"))
    former = (v for v in reversed(stack) if v != stack[-1] and v not in rejected)
    return next(former, None)


def _named(version: int | None) -> str:
    return "no champion" if version is None else f"version {version}"


def _baseline(connection: Connection, use_case: str) -> int | None:
    """The newest baseline that may be trusted.

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


def _live(connection: Connection, use_case: str, until: str | None = None) -> Row[Any] | None:
    t = tables.promotions
    query = select(t).where(t.c.use_case == use_case)
    if until is not None:
        query = query.where(t.c.at <= until)
    return connection.execute(query.order_by(t.c.sequence.desc()).limit(1)).one_or_none()


def _history(connection: Connection, use_case: str) -> list[Promotion]:
    t = tables.promotions
    query = select(t).where(t.c.use_case == use_case).order_by(t.c.sequence)
    return [Promotion(**row) for row in connection.execute(query).mappings()]


def _numbers(connection: Connection, use_case: str, status: str) -> Sequence[int]:
    t = tables.versions
    query = select(t.c.version).where(t.c.use_case == use_case, t.c.status == status)
    return connection.execute(query).scalars().all()


def _accepted(done: Promotion | GateRefused) -> Promotion:
    if isinstance(done, GateRefused):
        raise done
    return done
