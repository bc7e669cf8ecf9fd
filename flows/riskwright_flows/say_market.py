"""What the terminal shows of a market forecast: retrain, forecast, backtest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich.markup import escape

from riskwright_flows import say, tables
from riskwright_flows.say import out

MOST_REASONS = 6


def retrained(result: Mapping[str, Any]) -> None:
    """The one page of a retrain: data, families with intervals, gates, champion."""
    out.print(f"\n[bold]{result['usecase']}[/]")
    data = result["data"]
    out.print(
        f"data: {data['rows']:,} values of {data['series']} series, newest origin {data['newest']}"
    )
    out.print(f"  read from {escape(data['source'])}")
    for warning in data["warnings"]:
        out.print(f"  note: {escape(warning)}")
    for model, found in result["models"].items():
        skill(model, found, result["deployed"][model], result["origins"][model])
    say.gates(result["gates"])
    say.rules_changed(result["rules_changed"])
    out.print(f"\n[bold]{say.verdict(result, label(result))}[/]")
    say.waits_for(result)
    if result["note"]:
        out.print(f"  note: {escape(result['note'])}")
    for line in str(result["why"]).split("; m"):
        out.print(f"  why: {escape(line if line.startswith('m') else f'm{line}')}")
    out.print(f"  evidence: {result['evidence']}\n  report: {result['report']}", markup=False)


def label(result: Mapping[str, Any]) -> str:
    """What is deployed for each horizon."""
    return ", ".join(f"{m}: {kind_words(kind)}" for m, kind in result["deployed"].items())


def kind_words(kind: str) -> str:
    """What answers at one horizon."""
    return "the historical mean" if kind == "mean" else "the ensemble"


def skill(model: str, found: Mapping[str, Any], deployed: str, origins: list[str]) -> None:
    """Every family's skill at one model, the deployed one marked."""
    months = "month" if found["h"] == 1 else f"{found['h']} months"
    mine = "historical_mean" if deployed == "mean" else "ensemble"
    rows = []
    for name, row in found["metrics"].items():
        r2 = f"{_percent(row['r2'])} ({_percent(row['r2_low'])} to {_percent(row['r2_high'])})"
        p = "" if row["robust_p"] is None else f"{row['robust_p']:.3f}"
        cells = (f"{row['rmse']:.4f}", f"{row['mae']:.4f}", f"{row['hit_rate']:.0%}")
        rows.append((name + (" *" if name == mine else ""), "" if p == "" else r2, p, *cells))
    title = f"\n{model}: next {months}, judged {origins[0]} to {origins[1]} (95 % intervals)"
    columns = ("family", "R² out of sample, %", "p", "RMSE", "MAE", "right sign")
    tables.show(out, title, columns, rows)


def challenger(metrics: Mapping[str, Any]) -> str:
    """A challenger's figures in one line."""
    return "; ".join(
        f"{model}: R² out of sample {_percent(row['r2'])} % over {row['months']} months"
        for model, row in metrics.items()
    )


def forecast(result: Mapping[str, Any]) -> None:
    """Return, interval, chance of beating cash, weight, reasons, and what to do."""
    months = "month" if result["horizon"] == 1 else f"{result['horizon']} months"
    skipped = f", after {result['skip']} that is skipped" if result["skip"] else ""
    out.print(
        f"[bold]{escape(result['title'])}[/], over the next {months}{skipped}, as of the end of "
        f"{result['origin']}"
    )
    out.print(
        f"  by the {result['source']} (version {result['version']}, "
        f"{kind_words(result['deployed'])})"
    )
    over = " over bills" if result["target"] == "excess" else ""
    out.print(f"  expected return     [bold]{_signed(result['forecast'])}[/]{over}")
    for level in (80, 95):
        low, high = (_signed(result[f"{end}{level}"]) for end in ("low", "high"))
        out.print(f"  {level} % interval       {low} to {high}")
    chance, weight = result["p_above_cash"], result["weight"]
    if chance is not None:
        out.print(f"  P(return > cash)    {chance:.2f}")
    if weight is not None:
        out.print(
            f"  weight in equities  {weight:.0%} (strategic {result['strategic_weight']:.0%}; the "
            f"forecast taken at its word {result['rule_weight']:.0%})"
        )
    if result["disagreement"]:
        low, high = _signed(result["member_min"]), _signed(result["member_max"])
        out.print(
            f"  members             {low} to {high}; historical mean "
            f"{_signed(result['historical_mean'])}"
        )
    if result["reasons"]:
        out.print("  what moves it away from the historical mean, in percentage points")
    else:
        out.print("  it is the historical mean: no predictor moves it")
    for reason in result["reasons"][:MOST_REASONS]:
        out.print(f"    {100 * reason['adds']:+.3f}  {escape(reason['label'])}")
    for note in result["notes"]:
        out.print(f"  note: {escape(note)}")
    out.print(f"[bold]{escape(result['sentence'])}[/]")


def monitored(result: Mapping[str, Any]) -> None:
    """Verdicts of the families, what alarms or can't be judged, the alert."""
    out.print(
        f"{result['usecase']}, version {result['version']}: trained to {result['trained_to']}, "
        f"data to {result['origin']}, {result['months_since']} months later"
    )
    say.verdicts(result["verdicts"])
    told = [f["detail"] for f in result["findings"] if f["alarm"] or f["family"] != "predictors"]
    for detail in dict.fromkeys(told):
        out.print(f"    {escape(detail)}")
    say.alert_line(result)


def backtest(result: Mapping[str, Any]) -> None:
    """The headline of a backtest, and where the report is."""
    out.print(f"\n[bold]{escape(result['title'])}[/]: backtest, version {result['version']}")
    for model, found in result["models"].items():
        out.print(
            f"  {model}: live is {kind_words(found['deployed'])}; what follows is of the ensemble"
        )
        out.print(f"    {escape(found['skill']['detail'])}")
        out.print(f"    {escape(found['coverage']['detail'])}")
    keep = ("annual_return", "volatility", "sharpe", "max_drawdown", "turnover", "ce_gain")
    rows = [
        {"strategy": name, **{k: _cell(k, row[k]) for k in keep}}
        for name, row in result["strategy"].items()
    ]
    cost = f"after {result['cost_bp']:g} basis points, weights by {result['steered_by']}"
    say.table(f"strategies, {cost}", rows)
    out.print(f"  {escape(result['luck'])}.")
    for note in result.get("notes", []):
        out.print(f"  note: {escape(note)}")
    out.print(f"  report: {result['report']}", markup=False)


def _cell(name: str, value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return ""
    return f"{value:.2f}" if name in ("sharpe", "turnover") else f"{value:+.2%}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.2f}"


def _signed(value: float) -> str:
    return f"{value:+.1%}"
