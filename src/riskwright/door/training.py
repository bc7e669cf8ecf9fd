"""Retrains, and what waits for a decision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riskwright.case.files import is_path
from riskwright.door import frames, given, page, pictures
from riskwright.door.cases import name_of, use_case
from riskwright.door.results import Result
from riskwright.life.opened import opened
from riskwright.stats.figures import BLUE, GREY, plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from riskwright.door.cases import Of, UseCase
    from riskwright.ledger import Gate
    from riskwright.life.steps import Record, Step
    from riskwright.life.waiting import Waiting

FIRST = ("log_loss", "auc")  # the figures that a picture of candidates shows, if there
DECIDE = ("roc_auc", "ks", "log_loss", "brier", "ece")  # what the command shows of PDs


@dataclass(frozen=True, repr=False, eq=False)
class Retrained(Result):
    """How a retrain ended.

    Attributes
    ----------
    usecase, kind
        Name and kind of the use case.
    version, candidate, why
        The challenger's number, which candidate it is, and the reason in a sentence.
    passed, live, nothing_new
        Whether every blocking gate passed; whether it is the champion now; whether an earlier
        version learnt from the same data already.
    gates
        What it was judged by.
    figures
        Rows ``candidate``, ``figure``, ``value``, ``low``, ``high`` (95 % intervals, where there
        are any), as far as the kind tells its candidates apart.
    source
        Where the data were read.
    notes
        What a reader has to know.
    evidence
        Folder of plots, tables and explanations.
    seconds
        It took.
    """

    usecase: str
    kind: str
    version: int
    candidate: str
    why: str
    passed: bool
    live: bool
    nothing_new: bool
    told: str
    gates: tuple[Gate, ...]
    figures: tuple[Mapping[str, Any], ...]
    rules_changed: Mapping[str, Any]
    source: str
    notes: tuple[str, ...]
    evidence: Path
    seconds: float

    @property
    def headline(self) -> str:
        """The verdict."""
        if self.told:
            return f"{self.usecase}: {self.told}"
        told = "is live" if self.live else "waits for approval"
        if not self.passed:
            told = "was refused by a gate"
        return f"{self.usecase}: version {self.version} ({self.candidate}) {told}"

    @property
    def frame(self) -> pd.DataFrame:
        """The gates: ``gate``, ``passed`` (None: not enough data), ``blocking``, ``detail``."""
        import pandas as pd

        return pd.DataFrame(_gates(self.gates), columns=["gate", "passed", "blocking", "detail"])

    @property
    def candidates(self) -> pd.DataFrame:
        """The candidates' figures (``figures``), with their intervals."""
        import pandas as pd

        return pd.DataFrame(
            list(self.figures), columns=["candidate", "figure", "value", "low", "high"]
        )

    def plot(self) -> Figure:
        """Draw the candidates with their 95 % intervals; the gates where there are no figures."""
        names = [row["figure"] for row in self.figures if row["low"] is not None]
        shown = next((name for name in FIRST if name in names), names[0] if names else None)
        rows = [row for row in self.figures if row["figure"] == shown]
        if not rows:
            return pictures.gates([(str(self.version), self.gates)], self.headline)
        words = str(shown).replace("_", " ")
        figure, axes = pictures.new(self.headline, f"{words}, 95 % intervals", len(rows))
        for at, row in enumerate(rows):
            low, high = (row[k] if row[k] is not None else row["value"] for k in ("low", "high"))
            colour = BLUE if row["candidate"] == self.candidate else GREY
            axes.plot([low, high], [at, at], color=colour, lw=2)
            axes.plot(row["value"], at, "o", color=colour)
        axes.set_yticks(range(len(rows)), [plain(str(r["candidate"])) for r in rows])
        axes.invert_yaxis()
        axes.set(xlabel=f"{words} on the test part", ylabel="candidate")
        return figure

    def _parts(self) -> Iterator[str]:
        yield page.line(f"read from {self.source}")
        yield page.line(f"why: {self.why}")
        yield page.table(_by_candidate(self.figures), "candidates")
        yield page.table(_gates(self.gates), "gates")
        yield page.table(_differences(self.rules_changed), "rules that changed")
        yield page.lines(self.notes)
        yield page.line(f"evidence: {self.evidence}")


def retrain(
    of: Of,
    data: pd.DataFrame | str | Path | None = None,
    *,
    budget: str | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Retrained:
    """Train every family, judge the challenger, and promote it as the use case's policy says.

    A retrain that was stopped goes on where it was when the same call is made again.

    Parameters
    ----------
    of
        The use case: a name, the path of a YAML file, or a dictionary, which is kept in the home as
        the YAML of its name, written by the account of this process.
    data
        A frame (kept in the home), or the path or address of a file (of a market: of a folder),
        this once; the use case's own source if None.
    budget
        Time for tuning, such as ``10m``.
    seed
        Of everything drawn at random; never of the split.
    progress
        Whether a bar shows the steps, and the time left.

    Returns
    -------
    Retrained
        Candidates, gates and verdict. A gate that said no is an answer, not an error.

    Raises
    ------
    InputRefused
        If the use case or the data can't be used.
    Unavailable
        If the source isn't there, or a server fails.
    Conflict
        If another process is at it.
    """
    return _retrain(of, use_case(of), data, budget, seed, progress)


def _retrain(
    of: Of, loaded: UseCase, data: object, budget: str | None, seed: int, progress: bool
) -> Retrained:
    """Do it, once it is known that the use case can be read: else no home is made."""
    from riskwright import progress as shown
    from riskwright.life.crashed import close_runs
    from riskwright.life.named import specification_of
    from riskwright.life.retrain import begin
    from riskwright.life.retrain import retrain as run

    loaded.case.within(budget)  # refused before anything is written
    home, ledger = opened(create=True)
    close_runs(home, ledger)
    named = str(of) if isinstance(of, (str, Path)) else loaded.source
    if not named:
        given.refuse_taken(loaded.case, home, ledger)
    place = frames.kept(data, loaded.name, home)
    named = specification_of(named or given.keep(loaded.plain, home, ledger), home, ledger)
    began = begin(str(Path(named).resolve()) if is_path(named) else named, home, budget)
    with frames.called_the_frame(str(place) if frames.is_frame(data) else ""):
        done = run(
            began,
            home,
            ledger,
            data=place,
            budget=budget,
            seed=seed,
            perform=_perform,
            bar=shown.bar if progress else lambda plan, title: nullcontext(),
        )
    return _answer(done, given.said_of(done.usecase, home))


def _answer(done: Any, origin: str) -> Retrained:
    """Bring how a retrain ended (``life.retrain.Retrained``) to what a notebook shows."""
    told = done.as_dict()
    notes = (*done.data.warnings, done.note, origin)
    return Retrained(
        usecase=done.usecase,
        kind=done.system,
        version=done.version,
        candidate=done.kind,
        why=done.why,
        passed=done.passed,
        live=done.live,
        nothing_new=done.nothing_new,
        told=done.told,
        gates=done.gates,
        figures=tuple(_figures(told.get("metrics") or _of_models(told.get("models") or {}))),
        rules_changed=done.rules_changed,
        source=done.data.source,
        notes=tuple(note for note in notes if note),
        evidence=done.evidence,
        seconds=done.seconds,
    )


def _perform(step: Step, go: Any) -> Record:
    from riskwright import progress as shown

    found: Record = shown.told(step.title, step.cost, go)
    return found


@dataclass(frozen=True, repr=False, eq=False)
class Candidates(Result):
    """What waits for a decision, oldest first.

    Attributes
    ----------
    usecase
        Its name.
    waiting
        The challengers: gates, who trained them, whose rules changed (``life.waiting.Waiting``).
    """

    usecase: str
    waiting: tuple[Waiting, ...] = field(default=())

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self.waiting)

    def __len__(self) -> int:
        return len(self.waiting)

    @property
    def headline(self) -> str:
        """Which versions wait."""
        if not self.waiting:
            return f"{self.usecase}: no challenger waits"
        told = ", ".join(
            f"version {w.version}" + ("" if w.ready else " (a gate said no)") for w in self.waiting
        )
        return f"{self.usecase}: {told} {'waits' if len(self.waiting) == 1 else 'wait'}"

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each gate of each version, and who trained it."""
        import pandas as pd

        rows = [
            {"version": w.version, "candidate": w.kind, "trained_by": w.trained_by, **gate}
            for w in self.waiting
            for gate in _gates(w.gates)
        ]
        names = ["version", "candidate", "trained_by", "gate", "passed", "blocking", "detail"]
        return pd.DataFrame(rows, columns=names)

    def plot(self) -> Figure:
        """Draw which gates said yes to which version."""
        return pictures.gates([(str(w.version), w.gates) for w in self.waiting], self.headline)

    def _parts(self) -> Iterator[str]:
        for found in self.waiting:
            by = [f"trained by {found.trained_by}"]
            by += [f"asked for by {', '.join(found.asked_by)}"] if found.asked_by else []
            by += [f"use case last changed by {found.written_by}"] if found.written_by else []
            yield page.line(f"version {found.version} ({found.kind}): {'; '.join(by)}")
            yield page.line(found.author)
            yield page.line(found.why)
            yield page.table(_differences(found.rules_changed), "rules that changed")
            yield page.table(_gates(found.gates), "gates")


def candidates(of: Of) -> Candidates:
    """Show what waits for a decision, with its gates.

    Parameters
    ----------
    of
        The use case.

    Raises
    ------
    InputRefused
        If nobody knows it, or there is no home yet.
    """
    from riskwright.life.named import named
    from riskwright.life.waiting import waiting

    home, ledger = opened(create=False)
    name = named(name_of(of), home, ledger).name
    return Candidates(name, tuple(waiting(home, ledger, name)))


def _gates(found: Iterable[Gate]) -> list[dict[str, Any]]:
    return [
        {"gate": g.name, "passed": g.passed, "blocking": g.blocking, "detail": g.detail}
        for g in found
    ]


def _differences(changed: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"rule": d["rule"], "old": str(d["old"]), "new": str(d["new"]), "note": d["note"]}
        for d in changed.get("differences", [])
    ]


def _figures(told: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The figures of each candidate: plain numbers, or estimates with their interval."""
    for candidate, found in told.items():
        for name, value in found.items() if isinstance(found, Mapping) else ():
            if isinstance(value, Mapping) and isinstance(value.get("value"), (int, float)):
                low, high = value.get("low"), value.get("high")
                row = {"value": float(value["value"]), "low": low, "high": high}
            elif isinstance(value, (int, float)) and not isinstance(value, bool):
                row = {"value": float(value), "low": None, "high": None}
            else:
                continue
            yield {"candidate": candidate, "figure": name, **row}


def _of_models(models: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of each family of each model, where a use case has several models."""
    return {
        f"{model} {family}": figures
        for model, found in models.items()
        for family, figures in found.get("metrics", {}).items()
    }


def _by_candidate(figures: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each candidate: its figures, those with an interval if any has one."""
    rows = [row for row in figures if row["low"] is not None] or list(figures)
    there = dict.fromkeys(row["figure"] for row in rows)
    names = [name for name in DECIDE if name in there] or list(there)[:6]
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        mine = found.setdefault(
            row["candidate"], {"candidate": row["candidate"]} | dict.fromkeys(names, "")
        )
        if row["figure"] in names:
            ends = [page.number(row[k]) for k in ("low", "high") if row["low"] is not None]
            interval = f" ({' to '.join(ends)})" if ends else ""
            mine[row["figure"]] = f"{page.number(row['value'])}{interval}"
    return list(found.values())
