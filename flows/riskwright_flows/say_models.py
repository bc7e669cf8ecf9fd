"""What the terminal shows of the models of any system: a retrain, challengers, requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape

from riskwright_flows import say, say_credit, say_market
from riskwright_flows.say import out
from riskwright_flows.typed import command


def retrained(result: Mapping[str, Any]) -> None:
    """The one page of a retrain, in the words of its system."""
    if result.get("nothing_new"):
        out.print(f"{result['usecase']}: {escape(say.verdict(result))}")
    elif "deployed" in result:
        say_market.retrained(result)
    else:
        say_credit.retrained(result)


def challengers(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """What waits, with its gates and what to type."""
    if not rows:
        out.print(f"{name}: no challenger waits")
    for row in rows:
        figures = row["metrics"]
        of = say_credit if "roc_auc" in figures else say_market
        by = escape(str(row["trained_by"]))
        out.print(f"\n[bold]{name} version {row['version']}[/] ({row['kind']}) by {by}")
        say.author(row["author"])
        say.rules_changed(row["rules_changed"])
        if row["asked_by"]:
            out.print(f"  asked for by {', '.join(row['asked_by'])}", markup=False)
        if row["written_by"] and not row["author"]:
            out.print(f"  use case last changed by {row['written_by']}", markup=False)
        out.print(f"  why: {escape(str(row['why']))}\n  {of.challenger(figures)}")
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
