"""What the pages of all systems share; ``answer`` prints JSON instead where that was asked for."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.markup import escape

from riskwright.life.alert_advice import advice
from riskwright.terminal import Terminal, clean, write
from riskwright_flows import tables
from riskwright_flows.typed import command

# A pipe or a log has no width of its own: wide enough for the tables, unless COLUMNS says.
WIDTH = None if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit() else 140
out = Terminal(highlight=False, soft_wrap=True, width=WIDTH)
MARKS = {True: "[green]yes[/]", False: "[red]no[/]", None: "[yellow]not enough data[/]"}


def answer(result: Any, as_json: bool, tell: Callable[[], None]) -> None:
    """Print a result as JSON, or let ``tell`` show it to a person."""
    if as_json:
        write(json.dumps(_plain(result), default=str, allow_nan=False))
    else:
        tell()


def _plain(value: Any) -> Any:
    """JSON as its standard has it: no NaN and no infinity, NumPy's numbers as numbers."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(title: str, rows: Sequence[Mapping[str, Any]], *, empty: str = "nothing") -> None:
    """Print rows of plain values as a table."""
    if not rows:
        out.print(f"{title}: {empty}", markup=False)
        return
    columns = [name.replace("_", " ") for name in rows[0]]
    cells = [["" if v is None else escape(str(v)) for v in row.values()] for row in rows]
    tables.show(out, title, columns, cells)


def history(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """What was live; an account that stands for no one person, or a clock in doubt, is told."""
    keep = ("version", "since", "kind", "actor", "reason", "previous")
    shown = [{k: r[k] for k in keep} | {"actor": signed(r["actor"], r["by"])} for r in rows]
    table(title, shown, empty="no version was live")
    for row in rows:
        if row["clock"]:
            out.print(f"  version {row['version']}: {row['clock']}", markup=False)


def signed(name: str, by: Mapping[str, Any] | None) -> str:
    """An actor's name, and whether it doesn't stand for one person."""
    return f"{name} (unverified)" if by is not None and not by["verified"] else name


def decided(result: Mapping[str, Any], told: str, as_json: bool) -> None:
    """A decision that was taken, and what didn't follow it yet."""
    by = result.get("by")
    doubt = f", by {signed(result['actor'], by)}" if by and not by["verified"] else ""
    answer(result, as_json, lambda: print(told + doubt))
    for text in () if as_json else result["notes"]:
        note(text)


def note(text: str) -> None:
    """Say something beside the answer."""
    print(f"riskwright: {clean(text)}", file=sys.stderr)


def estimate(metric: Mapping[str, float], digits: int = 3) -> str:
    """A point figure with its 95 % interval."""
    return f"{metric['value']:.{digits}f} ({metric['low']:.{digits}f}–{metric['high']:.{digits}f})"


def author(doubt: str) -> None:
    """Tell whoever approves that nobody knows who wrote the rules."""
    if doubt:
        out.print(f"[bold red]{escape(doubt)}[/]")


def waits_for(result: Mapping[str, Any]) -> None:
    """Whose turn it is, and the commands, where a version waits for approval."""
    if not result["passed"] or result["live"]:
        return
    name, number = result["usecase"], result["version"]
    look, agree = (
        command(f"challengers {name}"),
        command(f'approve {name} {number} --reason "gates read"'),
    )
    out.print(f"  then: {look}; a second person: {agree}", markup=False)


def rules_changed(changed: Mapping[str, Any]) -> None:
    """Old and new rules side by side: the first thing that whoever approves sees."""
    if changed["trouble"]:
        out.print("[bold red]the rules that it would replace can't be read:[/]")
        out.print(f"  {changed['trouble']}", markup=False)
    if changed["differences"]:
        table(
            f"rules that differ from version {changed['against']}'s",
            [{**d, "old": str(d["old"]), "new": str(d["new"])} for d in changed["differences"]],
        )


def verified(result: Mapping[str, Any]) -> None:
    """What isn't as the ledger says, what no hash was kept of, and how much is intact."""
    found = result["findings"]
    for finding in found:
        if finding["state"] not in ("intact", "not sealed"):
            out.print(f"[red]{finding['state']}[/]: {finding['what']} of {escape(finding['of'])}")
            out.print(f"  {escape(finding['where'])}: {escape(finding['detail'])}")
    uncovered: dict[str, list[str]] = {}
    for finding in found:
        if finding["state"] == "not sealed":
            uncovered.setdefault(f"{finding['what']}: {finding['detail']}", []).append(
                finding["of"]
            )
    for told, of in uncovered.items():
        out.print(f"[yellow]not covered[/]: {escape(told)} ({escape('; '.join(of))})")
    intact = sum(f["state"] == "intact" for f in found)
    end = "nothing was touched" if result["ok"] else "see above what isn't"
    out.print(f"{intact} of {len(found)} are what the ledger says; {end}")


def verdict(result: Mapping[str, Any], kind: str = "") -> str:
    """How a retrain ended, in a line.

    Parameters
    ----------
    kind
        What its challenger is called; else as the ledger does.
    """
    if result.get("nothing_new"):
        return str(result["told"])
    told = "is live" if result["live"] else "waits for approval"
    if not result["passed"]:
        first = any(g["detail"].startswith("there is no champion") for g in result["gates"])
        told = f"was refused by a gate; {'nothing is live' if first else 'the champion stays'}"
    return f"version {result['version']} ({kind or result['kind']}) {told}"


def gates(found: Sequence[Mapping[str, Any]]) -> None:
    """The gates with their verdicts."""
    out.print("\ngates")
    for gate in found:
        mark = MARKS[gate["passed"]] if gate["blocking"] else "told"
        out.print(f"  {mark:<12} {gate['name']}: {escape(gate['detail'])}")


def verdicts(found: Mapping[str, str]) -> None:
    """What each family of findings came to."""
    for family, verdict in found.items():
        colour = {"ok": "green", "alarm": "red"}.get(verdict, "yellow")
        out.print(f"  {family:<10} [{colour}]{escape(verdict)}[/]")


def alert_line(result: Mapping[str, Any]) -> None:
    """The alert that a monitor opened, if it did; the page, and whether MLflow has it."""
    for note in result.get("notes", []):
        out.print(f"  note: {escape(note)}")
    if result["alert"]:
        shown = command(f"alerts show {result['alert']}")
        out.print(f"[bold]{alert_words(result)}[/]: {shown}")
    if result["alert_open"] and result["decided_before"]:
        out.print(
            f"  {result['decided_before']} of these findings were decided with an earlier alert"
        )
    out.print(f"  report: {result['report']}", markup=False)
    if "mlflow" in result:
        out.print(f"  note: {escape(result['mlflow'])}")


def alert_words(result: Mapping[str, Any]) -> str:
    """What a monitor's look has to say of an alert, in a few words."""
    if not result["alert"]:
        return "no alert"
    status = "is open" if result["alert_open"] else "of this batch was decided already"
    return f"alert {result['alert']} {status}"


def alerts(rows: Sequence[Mapping[str, Any]], waiting: Sequence[Mapping[str, Any]]) -> None:
    """Open alerts, a line each, and the retrains that were asked for and weren't done yet."""
    keep = ("id", "use_case", "opened_at", "severity", "title", "status", "seen")
    table("Alerts", [{k: r.get(k) for k in keep} for r in rows], empty="none is open")
    for request in waiting:
        out.print(f"{request['use_case']}: {escape(request_words(request))}")


def alert(found: Mapping[str, Any]) -> None:
    """One alert with its findings and how to decide it."""
    out.print(f"[bold]alert {found['id']}[/] {found['use_case']}: {escape(found['title'])}")
    for name in ("status", "severity", "opened_at", "version", "seen", "report"):
        out.print(f"  {name.replace('_', ' ')}: {found.get(name)}", markup=False)
    for finding in found["findings"]:
        out.print(f"    {escape(str(finding.get('detail', finding)))}")
    if found["decision"]:
        out.print(
            f"  decided: {found['decision']} by {signed(found['decided_by'], found['by'])}, "
            f"{found['decided_at']}: {escape(found['reason'])}"
        )
        if found["own_model"]:
            out.print("  who decided is an author of the model")
    if request := found["request"]:
        out.print(f"  {escape(request_words(request))}")
    if found["status"] == "open":
        what = advice(found["findings"])
        out.print(f"  {what.words}")
        out.print("  then (or another decision: accept, retrain, fallback, rollback):")
        shown = command(f'alerts decide {found["id"]} {what.decision} --reason "{what.reason}"')
        out.print(f"    {shown}", markup=False)


def request_words(request: Mapping[str, Any]) -> str:
    """How a request stands, in a line."""
    detail = f": {request['detail']}" if request["detail"] else ""
    if request["outcome"]:
        return f"request {request['id']} is {request['outcome']}{detail}"
    if request["status"] == "claimed":
        return f"request {request['id']} is being served since {request['claimed_at']}"
    return f"request {request['id']} waits{detail}"


def doctor(result: Mapping[str, Any]) -> None:
    """Versions, home, servers, telemetry."""
    for part, rows in result.items():
        if isinstance(rows, Mapping) and rows:
            table(f"\n{part}", [{"what": k, "found": v} for k, v in rows.items()])
    out.print("\nhealthy" if result["healthy"] else "\n[red]not healthy: see above[/]")
