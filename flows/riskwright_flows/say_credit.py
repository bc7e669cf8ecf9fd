"""What the terminal shows of PD models: retrain, challenger, monitor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape

from riskwright_flows import say, tables
from riskwright_flows.say import out

SAID = ("failed", "told", "can't be judged")  # verdicts that a reader wants to know why
TOLD = ("extra_columns",)  # findings that are no alarm but that a reader wants to know
FIGURES = ("roc_auc", "ks", "log_loss", "brier", "ece")


def retrained(result: Mapping[str, Any]) -> None:
    """The one page of a retrain: data, candidates with intervals, gates, champion."""
    report = result["data"]["report"]
    out.print(f"\n[bold]{result['usecase']}[/]")
    quarantine = (
        f", quarantine: {escape(result['data']['quarantine'])}" if report["refused"] else ""
    )
    out.print(
        f"data: {report['read']:,} rows read, {report['accepted']:,} accepted, "
        f"{report['refused']:,} refused{quarantine}; "
        f"test part {result['test_rows']:,} rows with {result['test_bads']:,} bads"
    )
    out.print(f"  read from {escape(result['data']['source'])}")
    for warning in result["data"]["warnings"]:
        out.print(f"  note: {escape(warning)}")
    out.print(f"data-quality report: {result['data']['quality_report']}", markup=False)
    candidates(result["metrics"], result["families"], result["kind"])
    say.gates(result["gates"])
    say.rules_changed(result["rules_changed"])
    out.print(f"\n[bold]{say.verdict(result)}[/]")
    say.waits_for(result)
    if result["note"]:
        out.print(f"  note: {escape(result['note'])}")
    out.print(f"  why: {escape(result['why'])}")
    limits = result["limits"]
    out.print(
        f"  approve below PD {limits['approve_below']:.3f}, decline from "
        f"{limits['decline_from']:.3f}, refer between and where the members disagree most"
        + same_cost(limits)
    )
    out.print(f"  evidence, plots and explanations: {result['evidence']}", markup=False)


def label(result: Mapping[str, Any]) -> str:
    """Which candidate it is."""
    return str(result["kind"])


def candidates(
    metrics: Mapping[str, Any], families: Sequence[Mapping[str, Any]], chosen: str
) -> None:
    """All candidates on the test part, each figure with its interval."""
    rows = []
    for name, found in metrics.items():
        mark = " *" if name == chosen else ""
        rows.append([name + mark, *(say.estimate(found[k]) for k in FIGURES)])
    rows += [[f["name"], f"[dim]{escape(f['skipped'])}[/]"] for f in families if f["skipped"]]
    columns = ("candidate", "ROC AUC", "KS", "log loss", "Brier", "ECE")
    tables.show(out, "\ncandidates on the test part (95 % intervals)", columns, rows)


def challenger(metrics: Mapping[str, Any]) -> str:
    """A challenger's figures in one line."""
    auc, loss = (say.estimate(metrics[k]) for k in ("roc_auc", "log_loss"))
    return f"ROC AUC {auc}, log loss {loss}"


def same_cost(limits: Mapping[str, Any]) -> str:
    """From where to where cut-offs cost the same; empty where a person chose them."""
    if limits.get("cutoff_low") is None:
        return ""
    return (
        f"; by cost {limits['cutoff']:.3f}: cut-offs from {limits['cutoff_low']:.3f} to "
        f"{limits['cutoff_high']:.3f} cost the same to within a standard error"
    )


def monitored(result: Mapping[str, Any]) -> None:
    """Verdicts of the families, the findings that alarm, the alert."""
    out.print(
        f"{result['usecase']}, version {result['version']}: {result['rows_read']:,} rows read, "
        f"{result['refused']:,} refused"
    )
    if "as_of" in result:
        window = result["window"]
        out.print(
            f"  as of {result['as_of']}; quality, columns and score look at the loans issued from "
            f"{window['since']} to {window['until']}"
        )
        out.print(f"  book: {escape(result['book']['words'])}")
    if result["labels"] and result["labels"]["words"]:
        out.print(f"  outcomes: {escape(result['labels']['words'])}")
    if result["judged_by"]:
        out.print(f"  {escape(result['judged_by'])}")
    say.verdicts(result["verdicts"])
    for finding in result["findings"]:
        if finding["alarm"] or finding["verdict"] in SAID or finding["code"] in TOLD:
            out.print(f"    {escape(finding['detail'])}")
    say.alert_line(result)
