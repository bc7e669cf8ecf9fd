"""A challenger goes live by a person's approval: one way, for the command and for Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from riskwright.home import Home
from riskwright.ledger import Ledger, Promotion
from riskwright.ledger.eyes import unknown_author
from riskwright.life.aliases import change_champion
from riskwright.life.rules import version_changes

Show = Callable[[str, Mapping[str, Any]], object]


@dataclass(frozen=True)
class Approval:
    """What an approval did.

    Attributes
    ----------
    promotion
        The ledger's entry.
    rules_changed
        How its rules differ from those of the version before (``rules.Changes.as_dict``).
    author
        What nobody knows of who wrote its rules; empty if all is known.
    notes
        What is left to do.
    """

    promotion: Promotion
    rules_changed: dict[str, Any]
    author: str
    notes: tuple[str, ...]


def approve(
    home: Home,
    ledger: Ledger,
    usecase: str,
    version: int,
    reason: str,
    *,
    show: Show = lambda author, changed: None,
) -> Approval:
    """Let a challenger go live, by the account of this process, against what is live now.

    Parameters
    ----------
    show
        Called with ``author`` and ``rules_changed`` before anything is decided.

    Raises
    ------
    GateRefused
        If a blocking gate didn't pass, or the account may not approve it (four eyes).
    Conflict
        If another version went live meanwhile.
    InputRefused
        If there is no such version, or no reason.
    """
    champion = ledger.champion(usecase)
    asked = ledger.version(usecase, version)
    changed = version_changes(home, ledger, asked).as_dict()
    doubt = unknown_author(asked.evidence)
    show(doubt, changed)
    notes: list[str] = []
    done: Promotion = change_champion(
        home,
        ledger,
        usecase,
        "promote",
        actor=ledger.who(),
        reason=reason,
        tell=notes.append,
        expected=champion.version if champion else None,
        version=version,
    )
    return Approval(done, changed, doubt, tuple(notes))
