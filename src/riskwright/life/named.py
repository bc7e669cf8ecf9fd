"""Which use case a command means. What was trained once is known by name, wherever its YAML lies.

What is live is enough to run what is live: a version carries the specification that it was trained
with, so a YAML with a typo, or one that is gone, is told and stops nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from riskwright.case.files import is_path, kind_of, known_usecases, refuse_twice
from riskwright.errors import InputRefused, RiskwrightError, closest
from riskwright.home import Home
from riskwright.ledger import Ledger, Version
from riskwright.life.system import load_case


@dataclass(frozen=True)
class Named:
    """A use case, by its own name, and of which kind it is."""

    name: str
    kind: str


def named(usecase: str, home: Home, ledger: Ledger) -> Named:
    """Return what a name or a path means, whether its YAML can be read today or not.

    Raises
    ------
    InputRefused
        If nobody knows it, or a path can't be read from which nothing was trained.
    """
    if not is_path(usecase):
        versions = ledger.versions(usecase)
        if versions:
            return Named(usecase, kind_of_versions(versions, usecase, home))
        refuse_twice(usecase, home)
        files = known_usecases(home)
        if usecase not in files:
            names = list(dict.fromkeys([*files, *ledger.use_cases()]))
            raise InputRefused(
                f"no use case is called {usecase!r}",
                expected=f"one of {', '.join(names)}, or a path to a YAML file",
                do=closest(usecase, names) or "run 'riskwright usecases'",
            )
        return Named(usecase, kind_of(usecase, home))
    try:
        case = load_case(usecase, home)[0]
        return Named(case.name, case.kind)
    except InputRefused:
        for name in ledger.use_cases():
            versions = ledger.versions(name)
            if any(_same_file(path, usecase) for path in _paths(name, versions, home)):
                return Named(name, kind_of_versions(versions, name, home))
        raise


def specification_of(usecase: str, home: Home, ledger: Ledger) -> str:
    """Return what to load a use case by: its name, or the path that it was last trained from."""
    if is_path(usecase) or usecase in known_usecases(home):
        return usecase
    return next(iter(_paths(usecase, reversed(ledger.versions(usecase)), None)), usecase)


def trouble(of: Named, home: Home, ledger: Ledger) -> list[str]:
    """Tell what is wrong with the YAML of today, if anything is: no reason to stop what is live."""
    try:
        load_case(specification_of(of.name, home, ledger), home)
    except RiskwrightError as error:
        where = f" ({error.where})" if error.where else ""
        return [
            f"the YAML of {of.name} can't be read today: {error.what}{where}; what is live runs by "
            "the specification that it was trained with"
        ]
    return []


def kind_of_version(version: Version) -> str:
    """Return the kind of the use case that a version is of.

    Those registered before kinds were told are known by their models.
    """
    if "system" in version.evidence:
        return str(version.evidence["system"])
    return (
        "market" if "pd" not in version.models else "loans" if "lgd" in version.models else "credit"
    )


def kind_of_versions(versions: list[Version], name: str, home: Home) -> str:
    """By what is registered, which doesn't change with a YAML; by the file if nothing is yet."""
    made = next((v for v in reversed(versions) if v.models), None)
    return kind_of(name, home) if made is None else kind_of_version(made)


def _paths(name: str, versions: Iterable[Version], home: Home | None) -> list[str]:
    """The files that a use case was trained from, as they were named; its file in the home."""
    said = [str(v.evidence.get("specification") or "") for v in versions if v.evidence]
    own = [str(home.root / "usecases" / f"{name}.yaml")] if home is not None else []
    return list(dict.fromkeys([path for path in said if is_path(path)] + own))


def _same_file(one: str, other: str) -> bool:
    return Path(one).expanduser().resolve() == Path(other).expanduser().resolve()
