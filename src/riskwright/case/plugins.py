"""What other packages bring by entry points: found by name, and imported only when it is used.

A *gate* judges a challenger, a *check* looks at a batch beside the monitor's own, a *source* reads
what lies under addresses of its scheme. Each is a function.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from riskwright.case.brought import distribution_of, refuse_several
from riskwright.case.sections import Strict
from riskwright.errors import InputRefused, closest

# Groups of entry points: name = module:function.
GATES, CHECKS, SOURCES = "riskwright.gates", "riskwright.checks", "riskwright.sources"
SYSTEMS = "riskwright.systems"  # kind = package, whose module ``system`` holds SYSTEM
# What is read without a plug-in; none may take these.
OWN_SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mariadb", "oracle", "mssql")
WHAT = {GATES: "gate", CHECKS: "check", SOURCES: "source", SYSTEMS: "system"}


class Called(Strict):
    """A plug-in as a use case calls it."""

    params: dict[str, Any] = Field(default_factory=dict)


def _called(value: object) -> object:
    """Let the YAML name plug-ins as a list, or with parameters."""
    if isinstance(value, (list, tuple)):
        return {name: {} for name in value}
    if isinstance(value, dict):
        return {name: {} if called is None else called for name, called in value.items()}
    return value


Calls = Annotated[dict[str, Called], BeforeValidator(_called)]


@dataclass(frozen=True)
class Plugin:
    """A function of another package.

    Attributes
    ----------
    value
        ``module:function``.
    distribution
        Name and version of the package that brings it.
    """

    group: str
    name: str
    value: str
    distribution: str

    def __str__(self) -> str:
        return f"the {WHAT[self.group]} {self.name!r} of {self.distribution}"

    def load(self) -> Any:
        """Return the function (of a system: the object).

        Raises
        ------
        InputRefused
            If it can't be imported, or is no function.
        """
        module, _, attribute = self.value.partition(":")
        try:
            found = getattr(import_module(module), attribute)
        except (Exception, SystemExit) as error:  # (importing it runs what its author wrote)
            raise self.broken(f"can't be loaded: {said(error)}") from error
        if self.group != SYSTEMS and not callable(found):
            raise self.broken("is no function")
        return found

    def broken(self, how: str) -> InputRefused:
        """Return the refusal of what it did."""
        return InputRefused(
            f"{self} {how}",
            where=self.value,
            expected="what docs/reference/plugins.md says",
            do="tell who keeps the package; to go on without it take it out of the use case",
        )

    def failed(self, error: BaseException) -> InputRefused:
        """Return the refusal of a call that raised."""
        return self.broken(f"failed: {said(error)}")


def plugins(group: str) -> dict[str, Plugin]:
    """Return what is installed of a group, by name."""
    return {
        point.name: Plugin(group, point.name, point.value, distribution_of(point))
        for point in entry_points(group=group)
    }


def plugin(group: str, name: str, where: str) -> Plugin:
    """Return a plug-in by name.

    Parameters
    ----------
    where
        What names it.

    Raises
    ------
    InputRefused
        If no installed package brings it, or several do.
    """
    refuse_several(group, name, where)
    known = plugins(group)
    if name not in known:
        raise InputRefused(
            f"no installed package brings a {WHAT[group]} {name!r}",
            where=where,
            expected=", ".join(known) or f"a package with an entry point of the group {group}",
            do=closest(name, known) or "install the package that brings it",
        )
    return known[name]


def source_of(location: str | None) -> set[tuple[str, str]]:
    """Return group and name of the plug-in that would read an address; nothing of what is ours."""
    scheme, found, _ = (location or "").partition("://")
    if not found or scheme.lower().partition("+")[0] in OWN_SCHEMES:
        return set()
    return {(SOURCES, scheme)}


def brought_by(group: str, name: str) -> str:
    """Return name and version of the package that brings a plug-in."""
    found = [point for point in entry_points(group=group) if point.name == name]
    return distribution_of(found[-1]) if found else "an unknown package"


def said(error: BaseException) -> str:
    """Return the first line of what an error says, with its class."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # noqa: BLE001 - its author wrote that too
        lines = []
    return f"{type(error).__name__}: {lines[0] if lines else ''}".rstrip(": ")
