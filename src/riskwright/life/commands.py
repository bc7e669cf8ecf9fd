"""Commands whose work depends on the kind of a use case: each is a method of its system.

A kind that has no such method has no such command: it is refused in words. What all kinds do alike
(``retrain``, ``approve``, ``rollback``, ``history`` and so on) asks no system for a command.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from riskwright.case.files import shipped
from riskwright.case.kinds import SHIPPED
from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life.named import Named, named, trouble
from riskwright.life.system import load_case, system_of

Read = Callable[[int], None]  # is told how many rows were read so far

# Command to how it is typed, and what a kind without it lacks.
COMMANDS = {
    "check": ("--data FILE", "there are no cases to check, score or add up"),
    "score": ("--input FILE --output FILE", "there are no cases to check, score or add up"),
    "monitor": ("--input FILE", "nothing of it is monitored"),
    "portfolio": ("--input FILE --output DIR", "it isn't a loan book"),
    "forecast": ("", "it forecasts no market"),
    "backtest": ("--output DIR", "it forecasts no market"),
}


class Commands(Protocol):
    """What a system does beside training. It leaves out the method of a command it hasn't."""

    def check(self, case: Any, location: str | None, home: Home) -> dict[str, Any]:
        """Hold data against the contract; nothing is trained.

        Parameters
        ----------
        location
            File, folder or address; the use case's own source if None.
        """

    def score(
        self,
        name: str,
        home: Home,
        ledger: Ledger,
        *,
        input: str,
        output: Path,
        version: str,
        reasons: str,
        progress: Read | None,
    ) -> dict[str, Any]:
        """Answer every row of a file with a registered version; refused rows go to quarantine.

        Returns
        -------
        dict
            Plain values: ``output``, ``quarantine``, ``model_version``, the counts of rows, and
            ``warnings``.
        """

    def monitor(
        self,
        name: str,
        home: Home,
        ledger: Ledger,
        *,
        input: str | None,
        labels: str | None,
        as_of: str | None,
        version: str | None,
    ) -> dict[str, Any]:
        """Look at what a version is used on; return what ``look.finish`` returns."""


def command(found: Named, name: str) -> Callable[..., dict[str, Any]]:
    """Return the method of a use case's system that does a command.

    Raises
    ------
    InputRefused
        If its kind hasn't the command, with those that it has.
    """
    system: Any = system_of(found.kind)
    if (method := getattr(system, name, None)) is not None:
        do: Callable[..., dict[str, Any]] = method
        return do
    has = [other for other in COMMANDS if hasattr(system, other) and other != "check"]
    kinds = [kind for kind in SHIPPED if hasattr(system_of(kind), name)]
    example = next(iter(shipped(*kinds)))
    typed = [" ".join(filter(None, (c, found.name, COMMANDS[c][0]))) for c in has]
    raise InputRefused(
        f"{found.name!r} {system.about}: {COMMANDS[name][1]}",
        where=f"riskwright {name} {found.name}",
        expected=f"a use case of the kind {' or '.join(kinds)}, such as {example}",
        do=" or ".join(f"run 'riskwright {text}'" for text in typed),
    )


def check(usecase: str, home: Home, location: str | None = None) -> dict[str, Any]:
    """Hold data against the contract of a use case's YAML as it is today.

    Raises
    ------
    InputRefused
        If the data can't be learnt from, or its kind has no such command.
    """
    case = load_case(usecase, home)[0]
    result = command(Named(case.name, case.kind), "check")(case, location, home.create())
    return {"system": case.kind, **result}


def score(
    usecase: str,
    home: Home,
    ledger: Ledger,
    *,
    input: str,
    output: Path,
    version: str = "champion",
    reasons: str = "adverse",
    progress: Read | None = None,
) -> dict[str, Any]:
    """Score a file with a registered version of a use case, by name or path.

    Parameters
    ----------
    version
        ``champion``, ``challenger`` or a number.
    reasons
        For which rows reasons are worked out, of a kind that has any: ``adverse``, ``all``,
        ``none``.

    Raises
    ------
    InputRefused
        If the file can't be scored, there is no such version, or its kind has no such command.
    """
    if reasons not in ("adverse", "all", "none"):
        raise InputRefused(f"unknown reasons {reasons!r}", expected="adverse, all or none")
    found = named(usecase, home, ledger)
    result = command(found, "score")(
        found.name,
        home,
        ledger,
        input=input,
        output=output,
        version=version,
        reasons=reasons,
        progress=progress,
    )
    warnings = [*result.get("warnings", []), *trouble(found, home, ledger)]
    return {"system": found.kind, **result, "warnings": warnings}


def monitor(
    usecase: str,
    home: Home,
    ledger: Ledger,
    *,
    input: str | None = None,
    labels: str | None = None,
    as_of: str | None = None,
    version: str | None = None,
) -> dict[str, Any]:
    """Look at what is live, by the specification that it was trained with.

    Returns
    -------
    dict
        What the system's ``monitor`` tells, and ``notes``.

    Raises
    ------
    InputRefused
        If the input can't be looked at, or its kind has no such command.
    """
    found = named(usecase, home, ledger)
    result = command(found, "monitor")(
        found.name, home, ledger, input=input, labels=labels, as_of=as_of, version=version
    )
    notes = [*result.get("notes", []), *trouble(found, home, ledger)]
    return {"system": found.kind, **result, "notes": notes}
