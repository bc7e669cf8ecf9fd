"""What the terminal shows of any system: retrain, challengers, requests, check, score, monitor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rich.markup import escape

from riskwright_flows import say, say_credit, say_data, say_market
from riskwright_flows.say import out
from riskwright_flows.typed import command


class Page(Protocol):
    """What a system shows of its models."""

    def retrained(self, result: Mapping[str, Any]) -> None:
        """Show the one page of a retrain."""

    def label(self, result: Mapping[str, Any]) -> str:
        """Return what a retrain's challenger is called."""

    def challenger(self, metrics: Mapping[str, Any]) -> str:
        """Return a challenger's figures in one line."""

    def monitored(self, result: Mapping[str, Any]) -> None:
        """Show what a monitor saw."""


# What each system shows of its own; one from outside has no page, and is shown what all have.
PAGES: Mapping[str, Page] = {"credit": say_credit, "loans": say_credit, "market": say_market}
CASES = ("credit", "loans")  # whose checks and scores have a page


def verdict(result: Mapping[str, Any]) -> str:
    """How a retrain ended, in a line, in the words of its system."""
    page = PAGES.get(result["system"])
    named = "" if page is None or result.get("nothing_new") else page.label(result)
    return say.verdict(result, named)


def retrained(result: Mapping[str, Any]) -> None:
    """The one page of a retrain, in the words of its system."""
    if result.get("nothing_new"):
        out.print(f"{result['usecase']}: {escape(say.verdict(result))}")
    elif (page := PAGES.get(result["system"])) is not None:
        page.retrained(result)
    else:
        _retrained(result)


def _retrained(result: Mapping[str, Any]) -> None:
    """What every kind of use case has: where the data are from, gates, what happens next."""
    out.print(f"\n[bold]{result['usecase']}[/]")
    out.print(f"read from {escape(result['data']['source'])}")
    for warning in result["data"]["warnings"]:
        out.print(f"  note: {escape(warning)}")
    say.gates(result["gates"])
    say.rules_changed(result["rules_changed"])
    out.print(f"\n[bold]{say.verdict(result)}[/]")
    say.waits_for(result)
    if result["note"]:
        out.print(f"  note: {escape(result['note'])}")
    out.print(f"  why: {escape(result['why'])}\n  evidence: {escape(result['evidence'])}")


def challengers(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """What waits, with its gates and what to type."""
    if not rows:
        out.print(f"{name}: no challenger waits")
    for row in rows:
        page = PAGES.get(row["system"])
        figures = f"\n  {page.challenger(row['metrics'])}" if page else ""
        by = escape(str(row["trained_by"]))
        out.print(f"\n[bold]{name} version {row['version']}[/] ({row['kind']}) by {by}")
        say.author(row["author"])
        say.rules_changed(row["rules_changed"])
        if row["asked_by"]:
            out.print(f"  asked for by {', '.join(row['asked_by'])}", markup=False)
        if row["written_by"] and not row["author"]:
            out.print(f"  use case last changed by {row['written_by']}", markup=False)
        out.print(f"  why: {escape(str(row['why']))}{figures}")
        say.gates(row["gates"])
        if any(g["blocking"] and g["passed"] is not True for g in row["gates"]):
            out.print("  a gate said no: it can't be approved; reject it, or retrain")
        else:
            shown = command(f'approve {name} {row["version"]} --reason "gates read"')
            out.print(f"  then: {shown}", markup=False)


def requests(result: Mapping[str, Any]) -> None:
    """What was done for the waiting requests."""
    if not result["requests"]:
        out.print("no request waits")
    for done in result["requests"]:
        if "data" in done:
            retrained(done)
        out.print(escape(done["told"]))


def checked(result: Mapping[str, Any]) -> None:
    """What a check of data found."""
    (say_data.check if result["system"] in CASES else _plainly)(result)


def scored(result: Mapping[str, Any]) -> None:
    """How scoring a file went."""
    (say_data.scored if result["system"] in CASES else _plainly)(result)


def _plainly(result: Mapping[str, Any]) -> None:
    """Every value by its name, then what a reader has to know."""
    for name, value in result.items():
        if name != "warnings" and value is not None:
            out.print(f"{name.replace('_', ' ')}: {value}", markup=False)
    for warning in result.get("warnings", []):
        out.print(f"  note: {escape(warning)}")


def monitored(result: Mapping[str, Any]) -> None:
    """What a monitor saw, in the words of its system."""
    if (page := PAGES.get(result["system"])) is not None:
        page.monitored(result)
        return
    out.print(f"{result['usecase']}, version {result['version']}")
    say.verdicts(result["verdicts"])
    for finding in result["findings"]:
        if finding["alarm"]:
            out.print(f"    {escape(finding['detail'])}")
    say.alert_line(result)
