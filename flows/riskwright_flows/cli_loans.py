"""Commands about a book of loans: portfolio."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from riskwright_flows import say_loans
from riskwright_flows.cli_cases import Json, UseCaseName
from riskwright_flows.say import answer

# Rough relative costs: they only shape the bar.
STAGES = {"read the book": 1, "value the loans": 4, "simulate bad years": 4, "write the report": 2}


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(portfolio)


def portfolio(
    usecase: UseCaseName,
    input: Annotated[str, typer.Option(help="file or URL: live loans, or a history of loans")],
    output: Annotated[Path, typer.Option(help="folder for the report; a new or empty one")],
    as_of: Annotated[
        str | None, typer.Option(help="date of the book, where the file doesn't say it")
    ] = None,
    scenario: Annotated[
        str, typer.Option(help="base, mild, adverse, severe, or a YAML file of shocks")
    ] = "base",
    confidence: Annotated[float, typer.Option(help="of the bad year, such as 0.999")] = 0.999,
    as_json: Json = False,
) -> None:
    """Say what the loans that we hold will lose: expected loss, bad years, stress, stages, prices.

    Example: riskwright portfolio loan_book --input book.csv --output report
    """
    from riskwright.life.commands import command
    from riskwright.life.named import named, trouble
    from riskwright.progress import bar, move
    from riskwright_flows.runtime import prepare

    home, ledger = prepare(create=False)
    found = named(usecase, home, ledger)
    do = command(found, "portfolio")
    with bar(STAGES, f"portfolio {found.name}"):
        result = do(
            found.name,
            home,
            ledger,
            input=input,
            output=output,
            as_of=as_of,
            scenario=scenario,
            confidence=confidence,
            progress=move,
        )
    result["notes"] += trouble(found, home, ledger)
    answer(result, as_json, lambda: say_loans.portfolio(result))
