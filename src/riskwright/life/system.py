"""What a kind of use case brings along: ``life`` does the rest, once for all kinds."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from pydantic.json_schema import models_json_schema

from riskwright.case.base import Case
from riskwright.case.brought import refuse_several
from riskwright.case.files import Written, find, known_usecases, read_yaml, refuse_other_name
from riskwright.case.kinds import DEFAULT, SHIPPED, package_of, packages, said_kind
from riskwright.case.plugins import CHECKS, GATES, SYSTEMS, Plugin, brought_by, plugin, said
from riskwright.errors import RiskwrightError
from riskwright.home import Home

if TYPE_CHECKING:
    import pandas as pd

Reasons = Literal["adverse", "all", "none"]
# What a system of another package has to have; its commands it may leave out (life.commands).
ASKED = (
    *("kind", "about", "case", "parse", "open", "columns"),
    *("ingest", "steps", "log", "logged_metrics", "submission", "told"),
)
SPECIFICATIONS = ("usecase.json", "case.json")  # a bundle holds one of them


class Served(Protocol):
    """A model that was opened from its bundle, every file checked."""

    version: int
    digest: str

    def predict(self, raw: pd.DataFrame, reasons: Reasons = "adverse") -> pd.DataFrame:
        """Answer raw rows; a model without reasons gives none, whatever is asked."""


@dataclass(frozen=True)
class Columns:
    """What a model is asked, and what it answers with.

    Attributes
    ----------
    inputs
        Name: whether a request has to have it.
    outputs
        Name: what its cells are.
    reasons
        Whether a request may ask for which rows it wants reasons.
    """

    inputs: Mapping[str, bool]
    outputs: Mapping[str, Literal["number", "whole", "text"]]
    reasons: bool = False


class System(Protocol):
    """A kind of use case. ``SYSTEM`` in the module ``system`` of its package is one.

    Attributes
    ----------
    about
        What follows a use case's name in a refusal, such as ``is about credit``.
    """

    kind: str
    about: str

    def case(self) -> type[Case]:
        """Return the class of its use cases."""

    def parse(self, text: str, *, where: str, folder: Path | None = None) -> Case:
        """Read the YAML text of a use case; relative paths in it are seen from ``folder``."""

    def open(self, folder: Path, digest: str | None) -> Served:
        """Read a bundle whose files were checked."""

    def columns(self, case: Any, model: str) -> Columns:
        """Return what one of its models is asked, and answers with."""

    def logged_metrics(
        self, evidence: Mapping[str, Any], roles: Collection[str]
    ) -> dict[str, dict[str, float]]:
        """Return what each of a retrain's runs in MLflow was given, by role, from its evidence.

        Parameters
        ----------
        roles
            Those that have a run.
        """


def system_of(kind: str, where: str = "kind") -> System:
    """Return the system of a kind.

    Parameters
    ----------
    where
        Which file says it.

    Raises
    ------
    InputRefused
        If there is none, or the package that brings it doesn't hold what it has to.
    """
    package = package_of(kind, where)
    if kind not in SHIPPED:
        return _from_outside(kind, package)
    found: System = import_module(f"{package}.system").SYSTEM
    return found


def _from_outside(kind: str, package: str) -> System:
    """Return another package's system once it is known to have all that is asked of one."""
    brought = Plugin(SYSTEMS, kind, f"{package}.system:SYSTEM", brought_by(SYSTEMS, kind))
    found = brought.load()
    if lacking := [name for name in ASKED if not hasattr(found, name)]:
        raise brought.broken(f"lacks {', '.join(lacking)}")
    if found.kind != kind:
        raise brought.broken(f"says that its kind is {found.kind!r}")
    return cast(System, _Outside(found, brought))


class _Outside:
    """Another package's system: what its methods raise is told with its name and package."""

    def __init__(self, system: Any, brought: Plugin) -> None:
        self._system, self._brought = system, brought

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._system, name)
        return self._told(found) if callable(found) else found

    def steps(self, case: Case) -> list[Any]:
        """Return a retrain's steps; of what a server may fail in, outages stay what they are."""
        given = self._told(lambda: [replace(step) for step in self._system.steps(case)])()
        return [
            step if step.retried else replace(step, do=self._told(step.do, f"{step.name}: "))
            for step in given
        ]

    def _told(self, call: Callable[..., Any], where: str = "") -> Callable[..., Any]:
        def told(*given: Any, **named: Any) -> Any:
            try:
                return call(*given, **named)
            except (RiskwrightError, OSError):
                raise
            except (Exception, SystemExit) as error:
                raise self._brought.broken(f"failed: {where}{said(error)}") from error

        return told


def json_schema() -> str:
    """Return the JSON schema of a use case's YAML, as text: ``kind`` says which keys it has."""
    cases = {kind: system_of(kind).case() for kind in packages()}
    of, shared = models_json_schema([(case, "validation") for case in {*cases.values()}])
    described = {
        "title": "A use case",
        "type": "object",
        "properties": {"kind": {"enum": [*cases, None], "default": DEFAULT}},
        "allOf": [
            {"if": _says(kind), "then": of[case, "validation"]} for kind, case in cases.items()
        ],
    }
    return json.dumps(described | shared, indent=2)


def _says(kind: str) -> dict[str, Any]:
    """Return the condition that a use case says a kind; the default is said by nothing, too."""
    if kind == DEFAULT:
        return {"properties": {"kind": {"enum": [kind, None]}}}
    return {"properties": {"kind": {"const": kind}}, "required": ["kind"]}


def case_in(bundle: Path) -> Case:
    """Return the specification that lies in a bundle.

    Raises
    ------
    ValueError
        If this release can't read it.
    """
    path = next(p for name in SPECIFICATIONS if (p := bundle / name).is_file())
    text = path.read_text(encoding="utf-8")
    return system_of(said_kind(json.loads(text))).case().model_validate_json(text)


def refuse_lacking(case: Case, where: str) -> None:
    """Refuse a use case that names a gate or a check that no installed package brings.

    Raises
    ------
    InputRefused
        With those that there are.
    """
    for group, calls in ((GATES, case.own_gates), (CHECKS, case.own_checks)):
        for called in calls:
            plugin(group, called, where)
    for group, named in sorted(case.plugs()):
        refuse_several(group, named, where)


def load_case(name: str | Path, home: Home) -> tuple[Case, Written]:
    """Load a use case of any kind by name or path; return the file that it was read from as well.

    Raises
    ------
    InputRefused
        If it isn't found, isn't YAML, breaks the specification, or nobody knows its kind, or a
        plug-in that it names.
    """
    written = find(str(name), home)
    kind = said_kind(read_yaml(written.text, str(written.path)))
    system = system_of(kind, f"{written.path}: kind")
    case = system.parse(written.text, where=str(written.path), folder=written.path.parent)
    refuse_lacking(case, str(written.path))
    if str(name) in known_usecases(home):
        refuse_other_name(str(name), case.name, written.path)
    return case, written
