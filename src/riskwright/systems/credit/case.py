"""Find and read the use cases that are about cases: applicants, companies, loans."""

from __future__ import annotations

from pathlib import Path

from riskwright.case.usecase import UseCase
from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.life.system import load_case


def load_usecase(name: str | Path, home: Home | None = None) -> UseCase:
    """Load a use case about cases by shipped name, name in the home, or path to a YAML file.

    Raises
    ------
    InputRefused
        If it isn't found, isn't YAML, breaks the specification, or is about something else.
    """
    found, written = load_case(name, home or Home())
    if isinstance(found, UseCase):
        return found
    of = "forecasts a market" if found.kind == "market" else f"is of the kind {found.kind!r}"
    raise InputRefused(
        f"{str(name)!r} {of}: there are no cases to check, score or add up",
        where=str(written.path),
        expected="a use case about credit",
        do=f"run 'riskwright forecast {name}' or 'riskwright backtest {name} --output DIR'"
        if found.kind == "market"
        else f"run 'riskwright retrain {name}'",
    )
