"""What waits for a decision: challengers with their gates, and what whoever approves must know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from riskwright.home import Home
from riskwright.ledger import Gate, Ledger, Version
from riskwright.ledger.eyes import unknown_author
from riskwright.life.named import kind_of_version
from riskwright.life.rules import version_changes

GATE = ("name", "passed", "blocking", "detail")


@dataclass(frozen=True)
class Waiting:
    """A challenger.

    Attributes
    ----------
    version, system, kind, why
        Its number, the kind of its use case, which candidate it is, and the reason in a sentence.
    trained_by, asked_by, written_by
        Who trained it, who asked for that, and who owned the use case's file (None: it came with
        the package).
    author
        What nobody knows of who wrote its rules; empty if all is known.
    rules_changed
        How its rules differ from the champion's (``rules.Changes.as_dict``).
    metrics
        Its figures, as its system keeps them.
    gates
        What it was judged by.
    """

    version: int
    system: str
    kind: str | None
    why: str | None
    trained_by: str | None
    asked_by: list[str]
    written_by: str | None
    author: str
    rules_changed: Mapping[str, Any]
    metrics: Any
    gates: tuple[Gate, ...]

    @property
    def ready(self) -> bool:
        """Whether every blocking gate passed: it can be approved."""
        return all(gate.passed is True for gate in self.gates if gate.blocking)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        gates = [{name: getattr(gate, name) for name in GATE} for gate in self.gates]
        return {**vars(self), "gates": gates}


def waiting(home: Home, ledger: Ledger, name: str) -> list[Waiting]:
    """Return the challengers of a use case, oldest first."""
    return [_waiting(home, ledger, version) for version in ledger.challengers(name)]


def _waiting(home: Home, ledger: Ledger, version: Version) -> Waiting:
    told = version.evidence
    author = told.get("author")
    return Waiting(
        version=version.version,
        system=kind_of_version(version),
        kind=told.get("kind"),
        why=told.get("why"),
        trained_by=version.trained_by,
        asked_by=[asked["name"] for asked in told.get("asked", [])],
        written_by=str(author["name"]) if author and not author.get("shipped") else None,
        author=unknown_author(told),
        rules_changed=version_changes(home, ledger, version).as_dict(),
        metrics=told.get("metrics"),
        gates=tuple(ledger.gates(version.use_case, version.version)),
    )
