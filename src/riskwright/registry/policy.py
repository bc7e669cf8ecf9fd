"""The rules of going live that all kinds of use cases share."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from riskwright.errors import GateRefused, InputRefused
from riskwright.ledger import Gate, Ledger
from riskwright.usecase import UseCase

if TYPE_CHECKING:
    from riskwright.market.case import MarketCase


def go_live(
    usecase: UseCase | MarketCase,
    ledger: Ledger,
    version: int,
    judged: list[Gate],
    why: str,
    run_id: str,
) -> tuple[bool, str]:
    """Promote a judged challenger if the policy is automatic; say whether it is live, and why not.

    Parameters
    ----------
    why
        The promotion's reason.
    run_id
        The challenger's: its own baseline on standby is no earlier version.
    """
    name = usecase.name
    champion = ledger.champion(name)
    live = champion is not None and champion.version == version
    passed = all(g.passed for g in judged if g.blocking)
    waits = ledger.version(name, version).status == "challenger"
    if usecase.approval.policy != "automatic" or not passed or not waits:
        return live, ""
    if _rules_changed(usecase, ledger, version, run_id):
        return live, "the rules of the use case changed since the champion's: a person decides"
    ledger.promote(
        name,
        version,
        expected=next(g.figures["against"] for g in judged if g.name == "champion"),
        actor=f"policy:automatic:{usecase.digest[:12]}",
        reason=why,
        policy="automatic",
    )
    return True, ""


def rules_digest(usecase: UseCase | MarketCase) -> str:
    """SHA-256 of the rules that a use case's versions live by, whatever its data and families.

    A market forecast's publication lags are rules: a shorter one looks ahead.
    """
    rules = {"approval", "gates", "monitor", "split", "baseline", "quarantine_limit"}
    if not isinstance(usecase, UseCase):
        rules |= {"series", "limits", "walk", "target", "models", "strategy"}
    text = usecase.model_dump_json(include=rules)
    return hashlib.sha256(text.encode()).hexdigest()


def _rules_changed(
    usecase: UseCase | MarketCase, ledger: Ledger, version: int, run_id: str
) -> bool:
    """Whoever trains writes the YAML: rules that differ from the champion's need a person.

    Where nothing is live, from those of any earlier version: else a second retrain under the new
    rules would find them unchanged.
    """
    name, mine = usecase.name, rules_digest(usecase)
    champion = ledger.champion(name)
    earlier = (
        [champion.evidence]
        if champion
        else [
            v.evidence for v in ledger.versions(name) if v.version < version and v.run_id != run_id
        ]
    )
    return any(evidence.get("rules", mine) != mine for evidence in earlier)


def version_number(ledger: Ledger, usecase: str, which: str) -> int:
    """Return the number of the champion, of the newest challenger, or of a version by number.

    Raises
    ------
    InputRefused
        If there is no such version.
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
    if which.isdigit():
        number = int(which)
        if ledger.version(usecase, number).status == "rejected":
            raise GateRefused(
                f"version {number} of {usecase} was rejected", do="score with the champion"
            )
        return number
    raise InputRefused(
        f"unknown version {which!r}", expected="champion, challenger or a version's number"
    )
