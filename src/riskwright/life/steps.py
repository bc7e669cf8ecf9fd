"""The steps of a retrain as data: each names what it needs and what it gives; ``run`` walks them.

A step leaves a record in the run's workplace, plain JSON beside the folder that it wrote. A run
that is done again reads the records whose folders are intact and works out the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from riskwright.account import Account
from riskwright.case.base import Case
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life.specification import Frozen
from riskwright.life.workplace import Progress, publish
from riskwright.store import writer
from riskwright.store.manifest import folder_digest


def _number(value: object) -> object:
    """A number of NumPy's as a number."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"a record holds plain values, not a {type(value).__name__}")


class Record(BaseModel):
    """What a step hands over. Plain values: it is read back from JSON to the letter."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")

    def plain(self, *without: str) -> dict[str, Any]:
        """Return its values as JSON has them."""
        return self.model_dump(mode="json", exclude=set(without), fallback=_number)

    def text(self) -> str:
        """Return it as JSON."""
        return self.model_dump_json(fallback=_number)

    def whole(self) -> bool:
        """Whether all that it speaks of still is what the step wrote."""
        return True

    def mark(self) -> str:
        """Return what changes with what other steps learn from it."""
        return self.text()


class Kept(Record):
    """What a step hands over that wrote a folder.

    Attributes
    ----------
    folder
        Where it lies.
    sha256
        Hash of its content.
    """

    folder: str
    sha256: str

    @property
    def place(self) -> Path:
        """The folder."""
        return Path(self.folder)

    def whole(self) -> bool:
        """Whether the folder still is what the step wrote."""
        return self.place.is_dir() and folder_digest(self.place) == self.sha256

    def mark(self) -> str:
        """Return the folder's hash: how long it took changes nothing."""
        return self.sha256


class Data(Record):
    """What ingestion made of a source: snapshots, named by their hashes.

    Attributes
    ----------
    clean
        All that was accepted.
    train, test
        What is learnt from and what is judged on; of a walk through time ``train`` is all of it.
    warnings
        What a reader has to know of the data.
    source
        Where they were read, for a person.
    """

    clean: str
    train: str
    test: str | None = None
    warnings: list[str] = Field(default_factory=list)
    source: str = ""

    def mark(self) -> str:
        """Return the snapshots' hashes: the same data may lie elsewhere."""
        return f"{self.clean} {self.train} {self.test}"


class Evidence(Kept):
    """What a retrain gathered on its candidates.

    Attributes
    ----------
    chosen
        Which of them is the challenger.
    why
        The reason, in a sentence.
    rules_changed
        How its rules differ from the champion's, if they do.
    """

    chosen: str
    why: str
    rules_changed: dict[str, Any] | None = None

    def plain(self, *without: str) -> dict[str, Any]:
        """Return its values as JSON has them; nothing of rules where none changed."""
        found = super().plain(*without)
        if self.rules_changed is None:
            found.pop("rules_changed", None)
        return found

    def finished(self, part: Path) -> Self:
        """Write ``evidence.json`` into a finished temporary folder, and move that into place."""
        text = json.dumps(self.plain("folder", "sha256"), indent=1)
        (part / "evidence.json").write_text(text, encoding="utf-8")
        return self.model_copy(update={"sha256": publish(part, self.place)})


R = TypeVar("R", bound=Record)


class Made:
    """The records of steps that were done, found by what they are."""

    def __init__(self, records: Mapping[str, Record]) -> None:
        self._records = dict(records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def of(self, names: Iterable[str]) -> Made:
        """Return those of the steps of these names."""
        return Made({name: self._records[name] for name in names})

    def by_name(self) -> dict[str, Record]:
        """Return them by the names of their steps."""
        return dict(self._records)

    def every(self, kind: type[R]) -> list[R]:
        """Return all records of a kind, in the order of their steps."""
        return [record for record in self if isinstance(record, kind)]

    def maybe(self, kind: type[R]) -> R | None:
        """Return the record of a kind that one step at most leaves."""
        found = self.every(kind)
        if len(found) > 1:
            raise LookupError(f"{len(found)} steps gave a {kind.__name__}")
        return found[0] if found else None

    def one(self, kind: type[R]) -> R:
        """Return the record of a kind that just one step leaves."""
        found = self.maybe(kind)
        if found is None:
            raise LookupError(f"no step gave a {kind.__name__}: {', '.join(self._records)}")
        return found


@dataclass(frozen=True)
class Work:
    """What each step of a run is given beside what other steps made.

    Attributes
    ----------
    case
        The use case as the run found it.
    began
        The specification that the run began with, frozen; None: given as an object, not read.
    key
        What makes the run the same one; empty before its data are known.
    place
        The run's workplace.
    location
        Where the data are read, if not from the use case's own source.
    budget
        Time for tuning that was asked for beside the YAML.
    owner
        The process at work, as leases name it.
    actor
        Who is at work; whose account the process runs under if None.
    """

    case: Case
    home: Home
    ledger: Ledger
    key: str
    place: Path
    seed: int = 0
    location: str | None = None
    budget: str | None = None
    began: Frozen | None = None
    owner: str = ""
    actor: str | Account | None = None


@dataclass(frozen=True)
class At:
    """Where a step writes, and how it says how far it is."""

    folder: Path
    progress: Progress


Do = Callable[[Work, At, Made], Record]


@dataclass(frozen=True)
class Step:
    """A step of a retrain.

    Attributes
    ----------
    name
        Of its record and its folder.
    title
        What a person sees while it is at work.
    gives
        What it hands over.
    needs
        Names of the steps whose records it is given.
    do
        What it does, with the work, where it writes, and what those steps made.
    cost
        CPU seconds with the demo's data: the costs' proportions make the progress bar.
    kept
        Whether a run that is done again takes over what it left.
    retried
        Whether a server, disk or network may fail in it, so that it is worth another try.
    beside
        Whether it goes on in the background while the steps after it are at work.
    """

    name: str
    title: str
    gives: type[Record]
    do: Do
    needs: tuple[str, ...] = ()
    cost: float = 0.0
    kept: bool = True
    retried: bool = False
    beside: bool = False


class Perform(Protocol):
    """Does what a step does, such as inside an orchestrator's task."""

    def __call__(self, step: Step, go: Callable[[Progress], Record]) -> Record:
        """Call ``go`` with what is told of its progress, and return what it returns."""


def plainly(step: Step, go: Callable[[Progress], Record]) -> Record:
    """Do a step here and now."""
    return go(lambda fraction: None)


def check(steps: Sequence[Step], given: Iterable[str] = ()) -> None:
    """Raise ``ValueError`` if a step's name is taken, or it needs what no step before it gives.

    Parameters
    ----------
    given
        Names of steps that were done already.
    """
    known = set(given)
    for step in steps:
        if step.name in known:
            raise ValueError(f"two steps are named {step.name}")
        if lacking := set(step.needs) - known:
            raise ValueError(f"{step.name} needs {', '.join(sorted(lacking))}: no step before it")
        known.add(step.name)


def run(
    steps: Sequence[Step],
    work: Work,
    *,
    made: Mapping[str, Record] | None = None,
    perform: Perform = plainly,
) -> Made:
    """Walk steps in their order; take over what an earlier run of this key left whole.

    Parameters
    ----------
    made
        What steps before these gave, by name.
    perform
        How a step is done.

    Returns
    -------
    Made
        What was given and what the steps made.

    Raises
    ------
    ValueError
        If the steps don't fit together.
    Exception
        Whatever a step raises.
    """
    found: dict[str, Record] = dict(made or {})
    check(steps, found)
    writer.sweep(work.place)
    waiting: dict[str, Future[Record]] = {}
    with ThreadPoolExecutor(max(1, sum(step.beside for step in steps))) as pool:
        for step in steps:
            for name in step.needs:
                if name in waiting:
                    found[name] = waiting.pop(name).result()
            given = Made(found).of(step.needs)
            if step.beside:
                waiting[step.name] = pool.submit(
                    copy_context().run, _one, step, work, given, perform
                )
            else:
                found[step.name] = _one(step, work, given, perform)
        found |= {name: future.result() for name, future in waiting.items()}
    return Made(found)


def _one(step: Step, work: Work, given: Made, perform: Perform) -> Record:
    """Read what the step left of the same makings, or do it and keep its record."""
    path = work.place / f"{step.name}.json"
    makings = sha256("\n".join(record.mark() for record in given).encode()).hexdigest()
    if step.kept and (before := _left(step, path, makings)) is not None:
        return before

    def go(progress: Progress) -> Record:
        return step.do(work, At(work.place / step.name, progress), given)

    done = perform(step, go)
    if not isinstance(done, step.gives):
        raise TypeError(f"{step.name} gave a {type(done).__name__}, not a {step.gives.__name__}")
    text = done.text()
    if step.kept:
        writer.write_json(path, {"made_from": makings, "record": json.loads(text)})
    return type(done).model_validate_json(text)  # what a run done again would read, to the letter


def _left(step: Step, path: Path, makings: str) -> Record | None:
    """Return what a step recorded if it was made from the same, and its folder is what it wrote.

    An orchestrator's own result cache isn't used: such files name their deserialiser themselves, so
    that a tampered one runs code when it is read.
    """
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["made_from"] != makings:
            return None
        found = step.gives.model_validate_json(json.dumps(kept["record"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there yet, or not whole: the step is done again
    folder = getattr(found, "folder", "")
    inside = not folder or Path(folder).is_relative_to(path.parent)
    # A home that was moved: the record's own paths are of before.
    return found if inside and found.whole() else None
