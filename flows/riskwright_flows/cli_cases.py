"""Commands about use cases and data: demo, usecases, data, check, score, doctor."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from riskwright.terminal import write
from riskwright_flows import say, say_models
from riskwright_flows.say import answer

UseCaseName = Annotated[str, typer.Argument(metavar="USECASE", help="name, or path to a YAML")]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON")]

data = typer.Typer(
    help="Public data sets by name: source, licence, checksum.\n\nExample: riskwright data list"
)


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (demo, usecases, check, score, doctor):
        app.command()(command)
    app.add_typer(data, name="data", no_args_is_help=True)


def demo(
    usecase: Annotated[
        str,
        typer.Argument(
            metavar="[USECASE]", help="one of credit_assessment, loan_book, market_return"
        ),
    ] = "credit_assessment",
    as_json: Json = False,
) -> int:
    """Run the whole life of a model with the network off: simulated cases, or real US returns.

    Example: riskwright demo loan_book
    """
    from riskwright.errors import InputRefused, closest

    if usecase == "loan_book":
        from riskwright_flows.demo_loans import run_demo as run_loans

        return run_loans(as_json)
    if usecase == "market_return":
        from riskwright_flows.demo_market import run_demo as run_market

        return run_market(as_json)
    if usecase != "credit_assessment":
        demos = ("credit_assessment", "loan_book", "market_return")
        raise InputRefused(
            f"there is no demo of {usecase!r}",
            expected=" or ".join(demos),
            do=closest(usecase, demos),
        )
    from riskwright_flows.demo import run_demo

    return run_demo(as_json)


def usecases(
    schema: Annotated[bool, typer.Option(help="print the JSON schema of the YAML")] = False,
    as_json: Json = False,
) -> None:
    """List the use cases.

    Example: riskwright usecases --schema > usecase.schema.json
    """
    from riskwright.case.files import known_usecases
    from riskwright.home import Home
    from riskwright.life.system import json_schema, load_case

    if schema:
        write(json_schema())
        return
    home = Home()
    rows = []
    for name, path in known_usecases(home).items():
        found = load_case(path, home)[0]
        rows.append(
            {"name": name, "kind": found.kind, "title": found.title, "question": found.question}
        )
    rows += _trained_elsewhere(home, {row["name"] for row in rows})
    answer(rows, as_json, lambda: say.table("Use cases", rows))


def _trained_elsewhere(home: Any, known: set[str]) -> list[dict[str, str]]:
    """Use cases that were trained from a path: commands know them by name, from then on."""
    from riskwright.errors import InputRefused, RiskwrightError
    from riskwright.ledger import Ledger
    from riskwright.life.named import kind_of_version
    from riskwright.life.rules import kept_case

    rows: list[dict[str, str]] = []
    try:
        ledger = Ledger.open(home.existing())
        names = [name for name in ledger.use_cases() if name not in known]
        versions = {name: [v for v in ledger.versions(name) if v.evidence] for name in names}
    except InputRefused:  # nothing was trained yet
        return rows
    except RiskwrightError as error:  # the YAML files are there all the same
        say.note(f"use cases that were trained from a path aren't listed: {error.what}")
        return rows
    for name, trained in versions.items():
        if not trained:
            continue
        try:
            case = kept_case(home, trained[-1])
            said = {"title": case.title, "question": case.question}
        except (RiskwrightError, OSError, ValueError):
            said = {"title": "", "question": ""}
        rows.append({"name": name, "kind": kind_of_version(trained[-1]), **said})
    return rows


@data.command("list")
def data_list(as_json: Json = False) -> None:
    """List the public data sets.

    Example: riskwright data list
    """
    from riskwright.data.public import CATALOGUE

    rows = [
        {"name": name, **asdict(entry), "comes_from": entry.comes_from}
        for name, entry in CATALOGUE.items()
    ]
    keep = ("name", "title", "page", "licence", "comes_from", "sha256")
    shown = [{k: r[k] for k in keep} for r in rows]
    answer(rows, as_json, lambda: say.table("Public data sets", shown))


@data.command("fetch")
def data_fetch(name: Annotated[str, typer.Argument(metavar="NAME")], as_json: Json = False) -> None:
    """Download a data set (or copy it from the mirror RISKWRIGHT_DATA), check it, keep it.

    Example: riskwright data fetch statlog-german-credit
    """
    from riskwright.data.public import fetch
    from riskwright.home import Home

    path = fetch(name, Home().create())
    answer({"name": name, "path": str(path)}, as_json, lambda: print(path))


def check(
    usecase: UseCaseName,
    data: Annotated[str | None, typer.Option(help="file or URL")] = None,
    as_json: Json = False,
) -> None:
    """Hold data against the contract and report on its quality; nothing is trained.

    Example: riskwright check german_credit --data german.data
    """
    from riskwright.errors import RiskwrightError
    from riskwright.home import Home, quiet_environment
    from riskwright.ledger import Ledger
    from riskwright.life import commands
    from riskwright.life.named import specification_of

    home = Home()
    quiet_environment(home)
    with suppress(RiskwrightError):  # there may be no home yet, or no ledger in it
        usecase = specification_of(usecase, home, Ledger.open(home.existing()))
    result = commands.check(usecase, home, data)
    answer(result, as_json, lambda: say_models.checked(result))


def score(
    usecase: UseCaseName,
    input: Annotated[str, typer.Option(help="file or URL of cases")],
    output: Annotated[Path, typer.Option(help=".csv or .parquet")],
    version: Annotated[str, typer.Option(help="champion, challenger or a number")] = "champion",
    reasons: Annotated[str, typer.Option(help="adverse, all or none")] = "adverse",
    as_json: Json = False,
) -> None:
    """Score a file: PD, spread of the members, decision and reasons, in the input's order.

    Loans also get the rate a year that they have to bear: price and price_cautious.

    Example: riskwright score credit_assessment --input new.csv --output scores.csv
    """
    from riskwright.life import commands
    from riskwright.progress import console
    from riskwright_flows.runtime import prepare

    home, ledger = prepare(create=False)
    with console.status("scoring") as status:

        def told(rows: int) -> None:
            status.update(f"scored {rows:,} rows")

        result = commands.score(
            usecase,
            home,
            ledger,
            input=input,
            output=output,
            version=version,
            reasons=reasons,
            progress=told,
        )
    answer(result, as_json, lambda: say_models.scored(result))


def doctor(
    deep: Annotated[bool, typer.Option("--deep", help="also every file's hash: 'verify'")] = False,
    mend: Annotated[
        bool, typer.Option("--mend", help="first set MLflow's aliases and the files' modes right")
    ] = False,
    as_json: Json = False,
) -> int:
    """Show versions, the home and its live models, which servers answer, and what mends trouble.

    Example: riskwright doctor --deep
    """
    from riskwright_flows.doctor import examine

    result = examine(deep=deep, mend=mend)
    answer(result, as_json, lambda: say.doctor(result))
    return 0 if result["healthy"] else 1
