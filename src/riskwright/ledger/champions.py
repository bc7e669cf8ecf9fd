"""Champions: promotion, rollback and fallback, each one compare-and-set transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert

from riskwright.account import Account
from riskwright.errors import Conflict, GateRefused, InputRefused
from riskwright.ledger import audit, clock, succession, tables
from riskwright.ledger.eyes import (
    acting,
    approved,
    four_eyes,
    own_refusal,
    unknown_author,
    unverified_refusal,
)
from riskwright.ledger.records import ChampionInfo, Promotion, PromotionKind
from riskwright.ledger.succession import compare, live_version
from riskwright.ledger.tables import number, stamp, text
from riskwright.ledger.versions import Versions, find_version, held_gates, set_version


class Champions(Versions):
    """The part of the ledger about what is live."""

    def promote(
        self,
        use_case: str,
        version: int,
        *,
        expected: int | None,
        actor: str | Account,
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
        self,
        use_case: str,
        *,
        actor: str | Account,
        reason: str,
        expected: int | None,
        to: int | None = None,
    ) -> Promotion:
        """Go back to the former champion: undo the last promotion that still stands.

        A second rollback goes one further back, not to what the first one withdrew. Rejected
        versions are passed over. The gates that let the version go live before still hold.

        Parameters
        ----------
        to
            A version that was champion before the live one; if left out, the last of them.

        Raises
        ------
        Conflict
            As ``promote``.
        GateRefused
            If ``to`` is no former champion, or an unverified account would go to what no second
            person approved.
        InputRefused
            If there is no former champion.
        """
        return self._back(
            use_case, "rollback", actor=actor, reason=reason, expected=expected, to=to
        )

    def fallback(
        self, use_case: str, *, actor: str | Account, reason: str, expected: int | None
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
        actor: str | Account,
        reason: str,
        expected: int | None,
        to: int | None = None,
    ) -> Promotion:
        with self._write() as connection:
            done = back_in(
                connection, use_case, kind, actor=actor, reason=reason, expected=expected, to=to
            )
        return _accepted(done)

    def reject(self, use_case: str, version: int, *, actor: str | Account, reason: str) -> None:
        """Turn a version down for good: it can never go live (again).

        Raises
        ------
        Conflict
            If it is live, or rejected already.
        GateRefused
            If the actor is an author of it, or unverified under four eyes. The attempt is kept as
            an event.
        """
        refusal = self._reject(use_case, version, actor=actor, reason=reason)
        if refusal is not None:
            raise refusal

    def _reject(
        self, use_case: str, version: int, *, actor: str | Account, reason: str
    ) -> GateRefused | None:
        by, reason = acting(actor), text("reason", reason)
        version = number("version", version)
        with self._write() as connection:
            held = find_version(connection, use_case, version)
            if held.status in ("champion", "rejected"):
                live = held.status == "champion"
                raise Conflict(
                    f"version {version} of {use_case} is "
                    + ("the champion" if live else "rejected already"),
                    do="roll back first, then reject it" if live else "",
                )
            said: dict[str, Any] = {"version": version, "reason": reason}
            refusal = own_refusal(held, by, "reject", f"reject {use_case} {version}")
            if refusal is None and four_eyes(connection, held, live_version(connection, use_case)):
                refusal = unverified_refusal(by, "reject")
            kind = "version.rejected" if refusal is None else "rejection.refused"
            said |= {"why": refusal.what} if refusal else {}
            audit.append(connection, kind, actor=by, use_case=use_case, payload=said)
            if refusal is None:
                set_version(connection, use_case, version, status="rejected")
            return refusal

    def champion(self, use_case: str, at: datetime | None = None) -> ChampionInfo | None:
        """Return the champion, now or at a moment; None if there is (was) none.

        Raises
        ------
        InputRefused
            If ``at`` carries no time zone.
        """
        with self._read() as connection:
            moment = None if at is None else stamp(at)
            live = (
                succession.live(connection, use_case)
                if moment is None
                else clock.live_at(connection, use_case, moment)
            )
            if live is None:
                return None
            version = self.as_version(find_version(connection, use_case, live.version))
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
            return succession.history(connection, use_case)

    def live_since(self, use_case: str) -> list[str]:
        """Return since when each of ``history`` counts: its time, or the next that can be right."""
        with self._read() as connection:
            return clock.since(connection, use_case)

    def formers(self, use_case: str) -> list[int]:
        """Return the champions that a rollback may go to, the last one first."""
        with self._read() as connection:
            return succession.formers(connection, use_case)

    def doubtful_times(self, seconds: float) -> list[tuple[int, str]]:
        """Return id and time of the events whose time is off by more than this, by their order."""
        with self._read() as connection:
            return clock.off_by(connection, seconds)

    def doubtful_promotions(self, use_case: str) -> dict[int, str]:
        """Return, by sequence, what is wrong with the time of a promotion that can't be right."""
        with self._read() as connection:
            return clock.doubts(connection, use_case)


def promote_in(
    connection: Connection,
    use_case: str,
    version: int,
    *,
    expected: int | None,
    actor: str | Account,
    reason: str,
    kind: PromotionKind = "promotion",
    policy: str | None = None,
) -> Promotion | GateRefused:
    """Promote inside the caller's write transaction.

    A refusal is returned, not raised: the transaction must commit, for the attempt is an event.
    """
    by, reason = acting(actor), text("reason", reason)
    version = number("version", version)
    if (policy is not None) != by.name.startswith("policy:"):
        raise InputRefused(
            "an automatic policy, and nobody else, acts as 'policy:…'",
            where=f"actor {by.name!r}, policy {policy!r}",
            expected="the policy's name, with the actor policy:<name>:<hash>",
        )
    wanted = find_version(connection, use_case, version)
    live = compare(connection, use_case, expected)
    if live is not None and live.version == version:
        raise Conflict(
            f"version {version} of {use_case} is the champion already",
            where=f"since {live.at}, by {live.actor}",
        )
    signed = by if policy is None else by.name
    refusal = _refusal(connection, wanted, kind, by)
    if refusal is not None:
        audit.append(
            connection,
            "promotion.refused",
            actor=signed,
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
    doubt = unknown_author(wanted.evidence)
    said = content | ({"author_unknown": doubt} if doubt else {})
    event = audit.append(connection, "promotion", actor=signed, use_case=use_case, payload=said)
    row = {**content, "use_case": use_case, "actor": by.name, "at": event.at}
    connection.execute(insert(tables.promotions).values(**row))
    if live is not None:
        set_version(connection, use_case, live.version, status="retired")
    set_version(connection, use_case, version, status="champion")
    return Promotion(**row, by=event.payload.get("by"))


def back_in(
    connection: Connection,
    use_case: str,
    kind: PromotionKind,
    *,
    actor: str | Account,
    reason: str,
    expected: int | None,
    to: int | None = None,
) -> Promotion | GateRefused:
    """Roll or fall back inside the caller's write transaction."""
    compare(connection, use_case, expected)  # the loser of a race is told so before all else
    if to is not None:
        target: int | None = number("version", to)
    elif kind == "rollback":
        target = next(iter(succession.formers(connection, use_case)), None)
    else:
        target = succession.baseline(connection, use_case)
    if target is None or target == expected:
        raise InputRefused(
            f"{use_case} has nothing to go back to: "
            + ("no former champion" if kind == "rollback" else "no baseline")
            + (" but the one that is live" if target is not None else ""),
            do="correct what the alert is about, or retrain and approve another version: what is "
            "live stays live until then",
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


def _refusal(
    connection: Connection, wanted: Row[Any], kind: PromotionKind, by: Account
) -> GateRefused | None:
    """Say why a version may not go live, None if it may."""
    use_case, version = wanted.use_case, wanted.version
    name = f"version {version} of {use_case}"
    if wanted.status in ("reserved", "rejected"):
        not_ready = "is not registered yet" if wanted.status == "reserved" else "was rejected"
        return GateRefused(f"{name} {not_ready}", do="choose another version")
    second = four_eyes(connection, wanted, live_version(connection, use_case))
    if kind in ("rollback", "fallback"):
        return _no_way_back(connection, wanted, kind, by, second=second)
    gates = held_gates(connection, use_case, version)
    if not gates and wanted.evidence.get("standby"):
        return GateRefused(
            f"{name} is the baseline that stands by beside a challenger",
            do=f"approve the version that 'riskwright challengers {use_case}' shows",
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
    live = succession.live(connection, use_case)
    now = live.version if live else None
    against = [g.figures["against"] for g in gates if "against" in g.figures]
    if any(judged != now for judged in against):
        return GateRefused(
            f"{name} was judged against {_named(against[0])}, and {_named(now)} is live",
            expected="gates that compare it with the live champion",
            do="run 'riskwright retrain' again, or roll back",
        )
    if second and not by.verified:
        return unverified_refusal(by, "approve")
    return own_refusal(wanted, by, "approve", f"approve {use_case} {version}")


def _no_way_back(
    connection: Connection, wanted: Row[Any], kind: PromotionKind, by: Account, *, second: bool
) -> GateRefused | None:
    """Say why a rollback or fallback may not go there, None if it may."""
    name = f"version {wanted.version} of {wanted.use_case}"
    if kind == "rollback" and wanted.version not in (
        known := succession.formers(connection, wanted.use_case)
    ):
        return GateRefused(
            f"{name} is not the former champion",
            expected="one of " + ", ".join(map(str, known)) if known else "",
        )
    if kind == "fallback" and succession.baseline(connection, wanted.use_case) != wanted.version:
        return GateRefused(f"{name} is not the newest baseline")
    if second and not by.verified and not approved(connection, wanted):
        return unverified_refusal(by, f"go to {name}, which no second person approved")
    return None


def _named(version: int | None) -> str:
    return "no champion" if version is None else f"version {version}"


def _accepted(done: Promotion | GateRefused) -> Promotion:
    if isinstance(done, GateRefused):
        raise done
    return done
