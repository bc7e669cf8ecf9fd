"""The rules of going live that all kinds of use cases share."""

from __future__ import annotations

from riskwright.case.base import Case
from riskwright.errors import GateRefused, InputRefused
from riskwright.ledger import Gate, Ledger
from riskwright.life.rules import Changes, rules_digest

__all__ = ["go_live", "rules_digest", "version_number"]


def go_live(
    usecase: Case,
    ledger: Ledger,
    version: int,
    judged: list[Gate],
    why: str,
    changed: Changes,
) -> tuple[bool, str]:
    """Promote a judged challenger if the policy is automatic; say whether it is live, and why not.

    Parameters
    ----------
    why
        The promotion's reason.
    changed
        How its rules differ from the champion's: whoever trains writes the YAML, so rules that
        differ need a person.
    """
    name = usecase.name
    champion = ledger.champion(name)
    live = champion is not None and champion.version == version
    passed = all(g.passed for g in judged if g.blocking)
    waits = ledger.version(name, version).status == "challenger"
    note = str(changed) if waits else ""
    if usecase.approval.policy != "automatic" or not passed or not waits:
        return live, note
    if doubts := [g.name for g in judged if g.passed is False and g.figures.get("person")]:
        return live, f"a person decides: see {', '.join(doubts)}{'; ' if note else ''}{note}"
    if changed.wait:
        return live, f"the rules of the use case changed: a person decides; {note}"
    against = next(g.figures["against"] for g in judged if g.name == "champion")
    if against is not None and against != changed.against:
        return live, f"version {against} went live meanwhile: a person decides"
    ledger.promote(
        name,
        version,
        expected=against,
        actor=f"policy:automatic:{usecase.digest[:12]}",
        reason=why,
        policy="automatic",
    )
    return True, note


def version_number(ledger: Ledger, usecase: str, which: str) -> int:
    """Return the number of the champion, of the newest challenger, or of a version by number.

    Raises
    ------
    InputRefused
        If there is no such version, or it isn't registered yet.
    GateRefused
        If it was rejected.
    """
    if which == "champion":
        champion = ledger.champion(usecase)
        if champion is None:
            raise InputRefused(
                f"{usecase} has no champion",
                expected="a version that was promoted",
                do=f"run 'riskwright retrain {usecase}', then 'riskwright challengers {usecase}'",
            )
        return champion.version
    if which == "challenger":
        waiting = ledger.challengers(usecase)
        if not waiting:
            raise InputRefused(f"{usecase} has no challenger", do="score with --version champion")
        return waiting[-1].version
    if which.isdecimal():
        number = int(which)
        status = ledger.version(usecase, number).status
        if status == "reserved":
            raise InputRefused(
                f"version {number} of {usecase} isn't registered yet",
                expected="a version whose training ended",
                do=f"run 'riskwright retrain {usecase}' again: it goes on where it was",
            )
        if status == "rejected":
            raise GateRefused(
                f"version {number} of {usecase} was rejected", do="score with the champion"
            )
        return number
    raise InputRefused(
        f"unknown version {which!r}", expected="champion, challenger or a version's number"
    )
