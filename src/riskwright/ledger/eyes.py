"""Four eyes: who is an author of a version, and so may not approve, reject or decide about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, select

from riskwright.account import Account, person
from riskwright.errors import GateRefused, InputRefused
from riskwright.ledger import audit, tables
from riskwright.ledger.tables import text

FOUR_EYES = "approval"
GRAVE = ("high", "critical")
GOING_BACK = ("rollback", "fallback")
SHORTEST, FEWEST = 8, 4  # characters of a reason about a grave alert, and unlike ones among them

ROLES = {
    "trained": "was trained by",
    "asked": "was asked for by",
    "wrote": "comes from a use case that was last changed by",
    "owns": "comes from a use case whose file belongs to",
}


def acting(actor: str | Account) -> Account:
    """Return who acts, with a name that can be stored."""
    by = person(actor)
    return replace(by, name=text("actor", by.name))


def authorship(version: Row[Any], by: Account) -> str:
    """Say what makes an account an author of a version; empty if it is none.

    Authors are who ran the training, who asked for it, and who owned the use case's file when the
    run began: who changed it last, unless it came with the package, or others may write it
    (``unknown_author``).
    """
    evidence, people = version.evidence, []
    if version.trained_by:
        how = evidence.get("trainer", {"method": "program"})
        people.append({**how, "role": "trained", "name": version.trained_by})
    people += [{**asker, "role": "asked"} for asker in evidence.get("asked", [])]
    author = evidence.get("author")
    if author and not author.get("shipped"):
        role = "owns" if author.get("others") else "wrote"
        people.append({"host": by.host, **author, "role": role, "method": "file-owner"})
    for found in people:
        if by.same(found):
            name = f"version {version.version} of {version.use_case}"
            return f"{name} {ROLES[found['role']]} {found['name']}"
    return ""


def unknown_author(evidence: Mapping[str, Any]) -> str:
    """Say why nobody knows who changed a version's use case last; empty if its owner did."""
    author = evidence.get("author") or {}
    if not author.get("others"):
        return ""
    return (
        f"who last changed its use case's file isn't known: besides its owner {author['name']} "
        f"{author['others']} may write it"
    )


def own_refusal(version: Row[Any], by: Account, act: str, command: str) -> GateRefused | None:
    """Refuse an author of a version."""
    why = authorship(version, by)
    if not why:
        return None
    return GateRefused(
        f"{why}, who may not {act} it",
        expected=f"{'approval' if act == 'approve' else 'a decision'} by a second person",
        do=f"ask a colleague to run 'riskwright {command} --reason WHY'",
    )


def unverified_refusal(by: Account, act: str) -> GateRefused | None:
    """Refuse an account that doesn't stand for one person."""
    if by.verified:
        return None
    return GateRefused(
        f"{by.name} is unverified and may not {act}: this use case wants a second person",
        where=by.doubt,
        expected="the account of a person: not root, not inside a user namespace",
        do="log in as yourself and run the command again, without sudo",
    )


def four_eyes(connection: Connection, *held: Row[Any] | None) -> bool:
    """Whether any of these versions lives under the policy ``approval``.

    A version of before the policy was recorded does, unless a policy promoted it.
    """
    t = tables.promotions
    for version in held:
        if version is None:
            continue
        policy = version.evidence.get("approval")
        if policy is None:
            query = select(t.c.policy).where(
                t.c.use_case == version.use_case, t.c.version == version.version
            )
            by_machine = [p for p in connection.execute(query).scalars() if p is not None]
            policy = "automatic" if by_machine else FOUR_EYES
        if policy == FOUR_EYES:
            return True
    return False


def approved(connection: Connection, version: Row[Any]) -> bool:
    """Whether a second person let a version go live, or the one that it stands by for."""
    events = audit.read(connection, version.use_case, "promotion")
    numbers = {
        e.payload["version"]
        for e in events
        if e.payload["kind"] == "promotion"
        and e.payload["policy"] is None
        and e.payload.get("by", {}).get("verified", True)
    }
    if version.version in numbers:
        return True
    t = tables.versions
    runs = select(t.c.run_id).where(t.c.use_case == version.use_case, t.c.version.in_(numbers))
    standby = bool(version.evidence.get("standby"))
    return standby and version.run_id in set(connection.execute(runs).scalars())


def decision_refusal(
    connection: Connection,
    *,
    decision: str,
    severity: str,
    version: Row[Any] | None,
    live: Row[Any] | None,
    by: Account,
    command: str,
) -> GateRefused | None:
    """Say why somebody may not decide an alert about a version, None if he may.

    Going back to what was approved is open to everybody at any hour: it only takes off what is
    doubted. Under four eyes an unverified account may do nothing else; nor may an author of the
    version where the use case's ``alert_policy`` is ``second_person``, its default for severity
    high and critical.
    """
    if decision in GOING_BACK:
        return None
    second = four_eyes(connection, version, live)
    refusal = unverified_refusal(by, "decide") if second else None
    if refusal is not None or version is None:
        return refusal
    policy = version.evidence.get("alert_policy")
    if policy == "second_person" or (policy is None and second and severity in GRAVE):
        return own_refusal(version, by, f"decide a {severity} alert about", command)
    return None


def refuse_empty_words(reason: str, severity: str, by: Account) -> None:
    """Refuse a person's reason that says nothing about a grave alert.

    A program that calls the library answers for its reasons as for its names.

    Raises
    ------
    InputRefused
        If it has fewer than eight characters, or fewer than four unlike ones.
    """
    if severity not in GRAVE or by.method == "program":
        return
    if len(reason) < SHORTEST or len(set(reason.casefold())) < FEWEST:
        raise InputRefused(
            f"the reason says nothing: {reason!r}",
            expected=f"at least {SHORTEST} characters on why, for an alert of severity {severity}",
        )
