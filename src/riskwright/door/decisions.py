"""What people decide: who goes live, and what is done about an alert.

Who decides is the account of the process (``account.who``); no argument is an identity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from riskwright.door import page, pictures
from riskwright.door.cases import name_of
from riskwright.door.results import Result
from riskwright.life.alert_advice import advice
from riskwright.life.opened import opened
from riskwright.stats.figures import BLUE, GREY, ORANGE, RED

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from riskwright.door.cases import Of
    from riskwright.ledger import Alert, Promotion, Request

COLOURS = {"critical": RED, "high": RED, "medium": ORANGE, "low": BLUE}
HISTORY = ("version", "at", "kind", "actor", "reason", "previous")


@dataclass(frozen=True, repr=False, eq=False)
class Approved(Result):
    """A challenger that went live.

    Attributes
    ----------
    usecase, version, previous
        What is live now, and what was before (None: nothing).
    actor, at, reason
        Who decided, when (UTC), and why.
    rules_changed
        How its rules differ from those of the version before.
    author
        What nobody knows of who wrote its rules; empty if all is known.
    history
        All champions, oldest first.
    notes
        What is left to do.
    """

    usecase: str
    version: int
    previous: int | None
    actor: str
    at: str
    reason: str
    rules_changed: Mapping[str, Any]
    author: str
    history: tuple[Promotion, ...]
    notes: tuple[str, ...]

    @property
    def headline(self) -> str:
        """What is live."""
        before = "the first" if self.previous is None else f"before: {self.previous}"
        return f"{self.usecase}: version {self.version} is live ({before}), by {self.actor}"

    @property
    def frame(self) -> pd.DataFrame:
        """Which version was live since when, and by whose decision."""
        return _history(self.history)

    def plot(self) -> Figure:
        """Draw which version was live when."""
        return pictures.champions(self.usecase, self.history)

    def _parts(self) -> Iterator[str]:
        yield page.line(self.author)
        differences = self.rules_changed["differences"]
        rows = [{"key": d["key"], "old": str(d["old"]), "new": str(d["new"])} for d in differences]
        yield page.table(rows, "rules that changed")
        yield page.line(f"reason: {self.reason}")
        yield page.lines(self.notes)


def approve(of: Of, version: int, reason: str) -> Approved:
    """Let a challenger go live. Who trained it, asked for it or wrote its rules may not.

    Parameters
    ----------
    of
        The use case.
    version
        The challenger's number (``candidates``).
    reason
        Why; kept in the ledger with the account of this process.

    Raises
    ------
    GateRefused
        If a blocking gate didn't pass, or the account may not approve it (four eyes).
    Conflict
        If another version went live meanwhile.
    InputRefused
        If there is no such version, or no reason.
    """
    from riskwright.life import approval
    from riskwright.life.named import named

    home, ledger = opened(create=False)
    name = named(name_of(of), home, ledger).name
    approved = approval.approve(home, ledger, name, version, reason)
    done = approved.promotion
    return Approved(
        usecase=name,
        version=done.version,
        previous=done.previous,
        actor=done.actor,
        at=str(done.at),
        reason=done.reason,
        rules_changed=approved.rules_changed,
        author=approved.author,
        history=tuple(ledger.history(name)),
        notes=approved.notes,
    )


@dataclass(frozen=True, repr=False, eq=False)
class Alerts(Result):
    """What monitors found that needs a person, oldest first.

    Attributes
    ----------
    found
        The alerts, each with its findings and, once decided, by whom and why.
    requests
        Retrains that were asked for and weren't done yet.
    """

    found: tuple[Alert, ...]
    requests: tuple[Request, ...]

    def __iter__(self) -> Iterator[Alert]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    @property
    def headline(self) -> str:
        """How many are open."""
        count = sum(alert.status == "open" for alert in self.found)
        if not count:
            return "no alert is open"
        return "1 alert is open" if count == 1 else f"{count} alerts are open"

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each alert."""
        import pandas as pd

        names = ["id", "use_case", "version", "opened_at", "severity", "title", "status", "seen"]
        names += ["decision", "decided_by", "reason", "report"]
        rows = [{name: getattr(alert, name) for name in names} for alert in self.found]
        return pd.DataFrame(rows, columns=names)

    def plot(self) -> Figure:
        """Draw how often each alert was seen, coloured by its severity."""
        return pictures.bars(
            [f"{alert.id}: {alert.use_case}: {alert.title}" for alert in self.found],
            [float(alert.seen) for alert in self.found],
            unit="looks that raised it (count)",
            of="alert",
            sentence=self.headline,
            note="red: high or critical, orange: medium, blue: low",
            colours=[COLOURS.get(alert.severity, GREY) for alert in self.found],
        )

    def _parts(self) -> Iterator[str]:
        keep = ("id", "use_case", "opened_at", "severity", "title", "status", "seen")
        yield page.table([{k: getattr(alert, k) for k in keep} for alert in self.found])
        for alert in self.found:
            if alert.status == "open":
                yield page.line(f"alert {alert.id}: {advice(alert.findings).words}")
        yield page.lines(
            f"request {r.id}: {r.kind} of {r.use_case}, asked for by {r.actor}: {r.reason}"
            for r in self.requests
        )


def alerts(of: Of | None = None, *, decided: bool = False) -> Alerts:
    """Show the open alerts.

    Parameters
    ----------
    of
        Of this use case alone.
    decided
        Whether those are shown too that were decided.

    Raises
    ------
    InputRefused
        If nobody knows the use case, or there is no home yet.
    """
    from riskwright.life.named import named

    home, ledger = opened(create=False)
    name = None if of is None else named(name_of(of), home, ledger).name
    found = ledger.alerts(name, open_only=not decided)
    return Alerts(tuple(found), tuple(ledger.requests(name)))


@dataclass(frozen=True, repr=False, eq=False)
class Decided(Result):
    """What was decided about an alert, and what followed from it at once.

    Attributes
    ----------
    alert, usecase
        Which.
    decision, actor, at, reason
        What, by whom, when (UTC), and why.
    own_model
        Whether who decided is an author of the model.
    request
        The retrain that waits now, if that was the decision.
    live
        The version that is live now, if the decision changed it.
    history
        All champions of the use case, oldest first.
    notes
        What is left to do.
    """

    alert: int
    usecase: str
    decision: str
    actor: str
    at: str
    reason: str
    own_model: bool
    request: int | None
    live: int | None
    history: tuple[Promotion, ...]
    notes: tuple[str, ...]

    @property
    def headline(self) -> str:
        """What follows."""
        follows = "the champion stays"
        if self.request is not None:
            follows = f"request {self.request} for a retrain waits"
        if self.live is not None:
            follows = f"version {self.live} is live"
        return f"alert {self.alert} of {self.usecase}: {self.decision}; {follows}"

    @property
    def frame(self) -> pd.DataFrame:
        """The decision, in one row."""
        import pandas as pd

        names = ("alert", "usecase", "decision", "actor", "at", "reason", "own_model", "request")
        return pd.DataFrame([{name: getattr(self, name) for name in (*names, "live")}])

    def plot(self) -> Figure:
        """Draw which version was live when, up to this decision."""
        return pictures.champions(self.usecase, self.history)

    def _parts(self) -> Iterator[str]:
        own = ", an author of the model" if self.own_model else ""
        yield page.line(f"by {self.actor}{own}, {self.at}: {self.reason}")
        yield page.lines(self.notes)


def decide(
    alert: int, decision: Literal["accept", "retrain", "fallback", "rollback"], reason: str
) -> Decided:
    """Decide an alert, and act: accept, retrain, fallback or rollback.

    Parameters
    ----------
    alert
        Its number (``alerts``).
    decision
        ``accept``: the champion stays. ``retrain``: a request waits for ``riskwright retrain
        --requested``. ``fallback``: the baseline goes live. ``rollback``: the former champion does.
    reason
        Why; kept in the ledger with the account of this process.

    Raises
    ------
    GateRefused
        If the account may not decide it (an author of the model may not accept a grave alert).
    Conflict
        If it is decided already, or the champion changed since.
    InputRefused
        If there is no such alert or decision, or no reason.
    """
    from riskwright.life.aliases import follow

    home, ledger = opened(create=False)
    done = ledger.decide_alert(alert, decision, actor=ledger.who(), reason=reason)
    notes: list[str] = []
    if done.promotion is not None:
        follow(done.use_case, home, ledger, notes.append)
    return Decided(
        alert=done.alert_id,
        usecase=done.use_case,
        decision=done.decision,
        actor=done.actor,
        at=done.at,
        reason=done.reason,
        own_model=done.own_model,
        request=done.request.id if done.request else None,
        live=done.promotion.version if done.promotion else None,
        history=tuple(ledger.history(done.use_case)),
        notes=tuple(notes),
    )


def _history(found: tuple[Promotion, ...]) -> pd.DataFrame:
    import pandas as pd

    rows = [{name: getattr(entry, name) for name in HISTORY} for entry in found]
    return pd.DataFrame(rows, columns=list(HISTORY))
