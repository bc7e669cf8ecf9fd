"""What the terminal shows of a book of loans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape

from flows.say import out, table


def portfolio(result: Mapping[str, Any]) -> None:
    """The headline of a book's report, its worst groups and stresses, and where the report is."""
    money = result["currency"]
    out.print(
        f"\n[bold]{result['usecase']} on {result['as_of']}[/], version {result['version']}: "
        f"{result['loans']:,} live loans owe {result['balance']:,.0f} {money}"
    )
    out.print(
        f"  expected loss, next twelve months: [bold]{result['el']:,.0f}[/], "
        f"{result['el_rate']:.2%} of the balance; 95 % interval {result['el_low']:,.0f} to "
        f"{result['el_high']:,.0f}, good and bad years in it ({result['el_models_low']:,.0f} to "
        f"{result['el_models_high']:,.0f} were the year known)"
    )
    out.print(
        f"  with the margin of the model status ({result['status']}): "
        f"{result['el_with_status']:,.0f}"
    )
    out.print(
        f"  loss in a bad year (1 in {1 / (1 - result['confidence']):,.0f}): {result['var']:,.0f} "
        f"({result['var_low']:,.0f} to {result['var_high']:,.0f} by the simulation's error alone); "
        f"capital by the Basel formula {result['regulatory_capital']:,.0f}; booked loss (IFRS 9 "
        f"manner) {result['ecl']:,.0f}"
    )
    if result["scenario"] != "base":
        out.print(
            f"  under the scenario {result['scenario']}: expected loss {result['stressed_el']:,.0f}"
        )
    keep = ("scenario", "el", "times_base", "bad_year_asymptotic")
    table("stress", [{k: _figure(r[k]) for k in keep} for r in result["stress"]])
    worst = ("group", "loans", "balance", "pd", "lgd", "el", "el_rate")
    table("where it is lost", [{k: _figure(r[k]) for k in worst} for r in result["worst"]])
    if result["steps"]:
        moved = ", ".join(f"{k} {v:+,.0f}" for k, v in list(result["steps"].items())[1:-1])
        out.print(f"since the last report: {moved}. {escape(result['compared'])}")
    for note in result["notes"]:
        out.print(f"  note: {escape(note)}")
    out.print(f"  report: {result['report']}", markup=False)


def _figure(value: Any) -> str:
    if not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"
