"""Commands about a market: forecast, backtest; and what retrain does for one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from riskwright_flows import say_market
from riskwright_flows.cli_cases import Json, UseCaseName
from riskwright_flows.say import answer

Folder = Annotated[
    str | None, typer.Option(help="folder of the series; else where the champion's came from")
]


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (forecast, backtest):
        app.command()(command)


def forecast(
    usecase: UseCaseName,
    as_of: Annotated[
        str | None, typer.Option(metavar="DATE", help="2008-09 or 2008-09-30; else the newest")
    ] = None,
    horizon: Annotated[str | None, typer.Option(help="1m or 12m; the longest if left out")] = None,
    data: Folder = None,
    as_json: Json = False,
) -> None:
    """Say what a market will return, how sure that is, what to hold, and why.

    Example: riskwright forecast market_return --as-of 2008-09 --horizon 12m
    """
    from riskwright.life.commands import command
    from riskwright.life.named import named, trouble
    from riskwright_flows.runtime import prepare

    home, ledger = prepare(create=False)
    found = named(usecase, home, ledger)
    do = command(found, "forecast")
    result = do(found.name, home, ledger, horizon=horizon, as_of=as_of, data=data)
    result["notes"] += trouble(found, home, ledger)
    answer(result, as_json, lambda: say_market.forecast(result))


def backtest(
    usecase: UseCaseName,
    output: Annotated[Path, typer.Option(help="folder for the report; a new or empty one")],
    as_json: Json = False,
) -> None:
    """Report on all forecasts of the live version's walk-forward: skill, coverage, a strategy.

    Example: riskwright backtest market_return --output report
    """
    from riskwright.life.commands import command
    from riskwright.life.named import named, trouble
    from riskwright.progress import console
    from riskwright_flows.runtime import prepare

    home, ledger = prepare(create=False)
    found = named(usecase, home, ledger)
    do = command(found, "backtest")
    with console.status("backtest"):
        result = do(found.name, home, ledger, output=output)
    result |= {"notes": trouble(found, home, ledger)}
    answer(result, as_json, lambda: say_market.backtest(result))
