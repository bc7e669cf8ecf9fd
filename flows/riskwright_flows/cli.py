"""The command line. Each command's library is imported when it runs: ``--help`` stays fast."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from riskwright.errors import InputRefused, RiskwrightError
from riskwright.terminal import clean
from riskwright.version import __version__
from riskwright_flows import (
    cli_cases,
    cli_deploy,
    cli_loans,
    cli_market,
    cli_models,
    cli_watch,
    stop,
)
from riskwright_flows.typed import typed

HELP = """Train, promote and watch the financial models that a lender or an asset manager runs.

USECASE is a shipped name (see 'riskwright usecases'), a name in the home, or a path to a YAML
file. Exit codes: 0 done, 1 failed, 2 input refused, 3 a gate said no or an alert is open.

Example: riskwright demo
"""

STOPPED = 130  # what typer makes of Ctrl-C, as a shell does; 143 is SIGTERM

commands = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        print(f"riskwright {__version__}")
        raise typer.Exit


@commands.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    pass


for module in (cli_cases, cli_models, cli_watch, cli_loans, cli_market, cli_deploy):
    module.add_to(commands)


def app(arguments: Sequence[str] | None = None) -> None:
    """Run a command line and exit with its code; an error is a message, never a traceback."""
    if arguments is not None:
        _run(list(arguments))
    try:
        _run(sys.argv[1:])
    except SystemExit as ended:
        stop.leave(ended.code if isinstance(ended.code, int) else 0)


def _run(arguments: list[str]) -> NoReturn:
    if not os.environ.get("RISKWRIGHT_DEBUG"):
        # Prefect logs the traceback of what this function turns into a message.
        os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    # The in-process server has no automations to trigger, and its database one writer fewer.
    os.environ.setdefault("PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED", "false")
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    try:
        with stop.by_signal():
            code = commands(arguments, standalone_mode=False)
    except stop.Stopped as stopped:
        stop.end(stopped.code)
    except RiskwrightError as error:
        sys.exit(_tell(error, "--json" in arguments))
    except (KeyboardInterrupt, typer.Abort):
        code = STOPPED
    except Exception as error:
        if hasattr(error, "format_message"):  # a wrong option or argument
            refused = InputRefused(error.format_message(), do="see 'riskwright --help'")
            sys.exit(_tell(refused, "--json" in arguments))
        if os.environ.get("RISKWRIGHT_DEBUG"):
            raise
        if isinstance(error, OSError) and (full := _full_disk(error)):
            sys.exit(_tell(full, "--json" in arguments))
        first = (str(error).strip() or "no message").splitlines()[0]
        unexpected = RiskwrightError(
            f"something failed that riskwright didn't foresee: {type(error).__name__}: {first}",
            do="set RISKWRIGHT_DEBUG=1 and run it again for the details, and report them",
        )
        sys.exit(_tell(unexpected, "--json" in arguments))
    if code == STOPPED:
        stop.end(code)
    sys.exit(code if isinstance(code, int) else 0)


def _full_disk(error: OSError) -> RiskwrightError | None:
    """What a library met that wrote for us."""
    from riskwright.home import Home
    from riskwright.store.writer import is_full, trouble

    return trouble(error, Path(error.filename or Home().root)) if is_full(error) else None


def _tell(error: RiskwrightError, as_json: bool) -> int:
    if as_json:
        print(json.dumps({key: typed(text) for key, text in error.as_dict().items()}))
    else:
        print(f"riskwright: {clean(typed(str(error)))}", file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    app()
