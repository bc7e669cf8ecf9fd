"""Use cases from Python: by name, by path, or as a dictionary; and data held against them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riskwright.door import frames, given, page, pictures
from riskwright.door.results import Result
from riskwright.errors import InputRefused, RiskwrightError
from riskwright.home import Home, quiet_environment

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from riskwright.case.base import Case


@dataclass(frozen=True, repr=False)
class UseCase:
    """A use case that was read and checked. It has nothing to plot.

    Attributes
    ----------
    name, kind, title, question
        As it says.
    source
        How it was named: a name, the path of its file, or empty if it was given as a dictionary.
    case
        All that it says, typed; of the class of its kind.
    """

    name: str
    kind: str
    title: str
    question: str
    source: str
    case: Case
    plain: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return what its file says, to change and to give back under another name."""
        from copy import deepcopy

        return deepcopy(dict(self.plain))

    @property
    def frame(self) -> pd.DataFrame:
        """Its keys: ``key``, ``value``, and whether each is a rule (``case.base``)."""
        import pandas as pd

        return pd.DataFrame(self._rows(), columns=["key", "value", "rule"])

    def _rows(self) -> list[dict[str, Any]]:
        return [
            {"key": key, "value": value, "rule": self.case.is_rule(key)}
            for key, value in _flat(self.case.model_dump(mode="json", exclude_unset=True))
        ]

    def __repr__(self) -> str:
        return f"<UseCase: {self.name} ({self.kind}): {self.question}>"

    def _repr_html_(self) -> str:
        where = self.source or "given in Python"
        rows = [{**row, "value": str(row["value"])[:120]} for row in self._rows()]
        return page.page(
            f"{self.name}: {self.title}",
            page.line(self.question),
            page.line(f"kind {self.kind}; read from {where}"),
            page.table(rows),
        )


Of = str | Path | Mapping[str, Any] | UseCase


def use_case(of: Of) -> UseCase:
    """Load a use case: read it, check it, keep nothing.

    Parameters
    ----------
    of
        A shipped name (``riskwright usecases``), a name in the home, the name of one that was
        trained before, the path of a YAML file, or a dictionary with what such a file says. In a
        dictionary relative paths are seen from the working directory.

    Returns
    -------
    UseCase
        Its name, kind, title and question; ``as_dict()`` to make another of it.

    Raises
    ------
    InputRefused
        If it isn't found, breaks the specification (the key, what was expected there, and the
        closest known key), or nobody knows its kind.
    """
    if isinstance(of, UseCase):
        return of
    home = Home()
    quiet_environment(home)
    if isinstance(of, Mapping):
        plain = given.plain(of)
        return _loaded(given.parse(plain), "", plain)
    from riskwright.case.files import read_yaml
    from riskwright.life.system import load_case

    named = known_as(name_of(of), home)
    case, written = load_case(named, home)
    said = read_yaml(written.text, str(written.path))
    return _loaded(case, named, given.absolute(said, written.path.absolute().parent))


def known_as(of: str, home: Home) -> str:
    """Return what to load a use case by: what was trained from a path is known by name."""
    from riskwright.ledger import Ledger
    from riskwright.life.named import specification_of

    with suppress(RiskwrightError):  # there may be no home yet, or no ledger in it
        return specification_of(of, home, Ledger.open(home.existing()))
    return of


def name_of(of: Of) -> str:
    """Return how a command would name a use case whose versions are meant.

    Raises
    ------
    InputRefused
        If it is a dictionary without a name, or nothing that names one.
    """
    if isinstance(of, UseCase):
        return of.name
    if isinstance(of, Mapping):
        return str(given.plain(of).get("name"))
    if not isinstance(of, (str, Path)):
        raise InputRefused(
            f"a {type(of).__name__} names no use case",
            expected="a name, the path of a YAML file, a dictionary, or what 'use_case' returned",
        )
    return str(of)


@dataclass(frozen=True, repr=False, eq=False)
class Checked(Result):
    """What came of holding data against a use case; nothing was trained.

    Attributes
    ----------
    read, accepted, refused
        Rows; None where the kind of use case doesn't count any.
    reasons
        Why rows were refused: reason and how many.
    warnings
        What a reader has to know of the data.
    quarantine, quality_report
        Files, if there are any.
    snapshot
        Hash of what was accepted.
    """

    usecase: str
    read: int | None
    accepted: int | None
    refused: int | None
    reasons: Mapping[str, int]
    warnings: tuple[str, ...]
    quarantine: Path | None
    quality_report: Path | None
    snapshot: str

    @property
    def headline(self) -> str:
        """How many rows can be learnt from."""
        if self.read is None:
            return f"{self.usecase}: the data can be learnt from"
        return f"{self.usecase}: {self.accepted:,} of {self.read:,} rows accepted"

    @cached_property
    def _accepted(self) -> pd.DataFrame:
        from riskwright.store import snapshots

        return snapshots.read(self.snapshot, Home())

    @property
    def frame(self) -> pd.DataFrame:
        """The accepted rows, canonical, as a retrain would learn from them."""
        return self._accepted.copy()

    @property
    def refusals(self) -> pd.DataFrame:
        """The refused rows: ``row``, ``reason`` and the cells as they were, all as text."""
        import pandas as pd

        if self.quarantine is None:
            return pd.DataFrame(columns=["row", "reason"])
        return pd.read_csv(self.quarantine, dtype="str")

    def plot(self) -> Figure:
        """Draw which columns have missing cells, in percent of the accepted rows."""
        share = 100 * self._accepted.isna().mean()
        share = share[share > 0].sort_values(ascending=False).head(20)
        worst = f"{share.index[0]} is missing most" if len(share) else "no cell is missing"
        return pictures.bars(
            [str(name) for name in share.index],
            [float(value) for value in share],
            unit="missing cells (% of rows)",
            of="column",
            sentence=f"{self.usecase}: {worst}",
            note=f"{len(self._accepted):,} rows, {len(self._accepted.columns)} columns",
        )

    def _parts(self) -> Iterable[str]:
        yield page.lines(self.warnings)
        yield page.table(
            [{"refused for": reason, "rows": count} for reason, count in self.reasons.items()]
        )
        for what, path in (("refused rows", self.quarantine), ("quality", self.quality_report)):
            yield page.line(f"{what}: {path}") if path else ""


def check(of: Of, data: pd.DataFrame | str | Path | None = None) -> Checked:
    """Hold data against a use case's contract and report on their quality; nothing is trained.

    Parameters
    ----------
    of
        The use case (``use_case``).
    data
        A frame, or the path or address of a file (of a market: the folder of its series); the use
        case's own source if None.

    Raises
    ------
    InputRefused
        If the data can't be learnt from: the verdict that ``retrain`` would give.
    Unavailable
        If the source isn't there.
    """
    from riskwright.life.training import training_of

    case = use_case(of).case
    home = Home().create()
    system: Any = training_of(case.kind)
    with frames.as_file(data, case) as place:
        if hasattr(system, "check"):
            return _counted(case.name, system.check(case, place, home))
        found = system.ingest(case, place, home)
    return Checked(case.name, None, None, None, {}, tuple(found.warnings), None, None, found.clean)


def _counted(name: str, told: Mapping[str, Any]) -> Checked:
    report = told.get("report", told)
    read, refused = report.get("read"), report.get("refused")
    return Checked(
        usecase=name,
        read=read,
        accepted=None if read is None else read - (refused or 0),
        refused=refused,
        reasons=report.get("reasons", {}),
        warnings=tuple(told.get("warnings", ())),
        quarantine=_path(told.get("quarantine")),
        quality_report=_path(told.get("quality_report")),
        snapshot=told["clean"],
    )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _loaded(case: Case, source: str, plain: Mapping[str, Any]) -> UseCase:
    return UseCase(case.name, case.kind, case.title, case.question, source, case, plain)


def _flat(value: Any, key: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, value
