"""What the terminal shows of a book of loans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape

from riskwright_flows.say import out, table


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
    what = "stress, with the status's margin (bad year: 1 in {:,.0f}, no single loan matters)"
    table(
        what.format(1 / (1 - result["confidence"])),
        [
            {
                "scenario": row["scenario"],
                "expected loss": f"{row['el']:,.0f}",
                "times base": f"{row['times_base']:.2f}",
                "bad year": f"{row['bad_year_asymptotic']:,.0f}",
            }
            for row in result["stress"]
        ],
    )
    table(
        f"where it is lost, by {result['worst_by']} (95 % interval, good and bad years in it)",
        [
            {
                "group": row["group"],
                "balance": f"{row['balance']:,.0f}",
                "PD": f"{row['pd']:.2%}",
                "LGD": f"{row['lgd']:.0%}",
                "expected loss": f"{row['el']:,.0f}",
                "interval": f"{row['el_low']:,.0f}–{row['el_high']:,.0f}",
            }
            for row in result["worst"]
        ],
    )
    if result["steps"]:
        moved = ", ".join(f"{k} {v:+,.0f}" for k, v in list(result["steps"].items())[1:-1])
        out.print(f"since the last report: {moved}. {escape(result['compared'])}")
    for note in result["notes"]:
        out.print(f"  note: {escape(note)}")
    out.print(f"  report: {result['report']}", markup=False)
