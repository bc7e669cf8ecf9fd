"""The demo of a market forecast: real US returns, what may be said of the next year, a watch."""

from __future__ import annotations

import shutil
import time
from typing import Any

from riskwright.progress import console
from riskwright_flows import say, say_market
from riskwright_flows.runtime import prepare, run
from riskwright_flows.typed import command

USECASE = "market_return"
CRISIS = "2008-09"
MONTHS = 60  # further ones, for the monitor: five years


def run_demo(as_json: bool) -> int:
    """Retrain, forecast now and before a crisis, backtest, monitor further years of two kinds.

    Returns
    -------
    int
        0, or 1 if it didn't end as it should: no champion, or the injected change not found.
    """
    started = time.monotonic()
    home, ledger = prepare()
    from riskwright_flows.retrain import retrain_flow

    trained: dict[str, Any] = run(retrain_flow, USECASE)

    from riskwright.systems.market.backtest import backtest
    from riskwright.systems.market.case import load_market_case
    from riskwright.systems.market.forecasting import forecast_of
    from riskwright.systems.market.monitoring import monitor_market
    from riskwright.systems.market.panel import read_store
    from riskwright.systems.market.scenario import further_months

    said = {
        "now": forecast_of(USECASE, home, ledger),
        "month": forecast_of(USECASE, home, ledger, horizon="1m"),
        "crisis": forecast_of(USECASE, home, ledger, as_of=CRISIS),
    }
    with console.status("backtest"):
        place = home.folder("demo") / "backtest"
        shutil.rmtree(place, ignore_errors=True)
        tested = backtest(USECASE, home, ledger, place)
    with console.status("monitor five further years, without and with an injected change"):
        store = read_store(load_market_case(USECASE, home), None)
        watched = {
            kind: monitor_market(
                USECASE,
                home,
                ledger,
                store=further_months(store, MONTHS, seed=2026, change=kind == "changed"),
            )
            for kind in ("calm", "changed")
        }
    result = {
        "retrain": trained,
        "forecast": said,
        "backtest": tested,
        "monitor_calm": watched["calm"],
        "monitor_changed": watched["changed"],
        "seconds": round(time.monotonic() - started, 1),
    }
    say.answer(result, as_json, lambda: _page(result))
    return 0 if ledger.champion(USECASE) is not None and watched["changed"]["alert"] else 1


def _page(result: dict[str, Any]) -> None:
    say_market.retrained(result["retrain"])
    said = result["forecast"]
    for title, one in (
        ("the next year", said["now"]),
        ("the next month", said["month"]),
        (f"what was said at the end of {CRISIS}", said["crisis"]),
    ):
        say.out.print(f"\n[bold]{title}[/]")
        say_market.forecast(one)
    say_market.backtest(result["backtest"])
    for title, one in (
        ("five further years, drawn from the past", result["monitor_calm"]),
        (
            "the same with an injected change: yields and prices rise, the market falls and swings",
            result["monitor_changed"],
        ),
    ):
        say.out.print(f"\n[bold]{title}[/]")
        say_market.monitored(one)
    alert = result["monitor_changed"]["alert"]
    say.out.print(f"\nDone in {result['seconds']:.0f} s. What to type next:")
    for arguments in (
        f"forecast {USECASE} --as-of 1999-12 --horizon 12m",
        f"history {USECASE}",
        f"alerts show {alert}",
        f'alerts decide {alert} accept --reason "drawn, not real"',
    ):
        say.out.print(f"  {command(arguments)}", markup=False)
    say.out.print(f"The report to open: {result['backtest']['report']}", markup=False)
