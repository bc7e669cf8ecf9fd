"""A retrain from raw data to a judged challenger, of any kind of use case, without an orchestrator.

``steps_of`` is the list of its steps; an orchestrator wraps them by its own ``perform``.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any, cast

from riskwright.account import Account
from riskwright.case.base import Case
from riskwright.case.plugins import source_of
from riskwright.errors import Conflict, InputRefused
from riskwright.home import Home
from riskwright.ledger import Gate, Ledger, Version
from riskwright.life.crashed import mark_failed
from riskwright.life.process import alone, owner
from riskwright.life.renewal import Place, learnt_already, nothing_new, place_of
from riskwright.life.rules import Changes
from riskwright.life.specification import freeze, is_frozen, thaw
from riskwright.life.steps import (
    At,
    Data,
    Evidence,
    Made,
    Perform,
    Record,
    Step,
    Work,
    check,
    plainly,
    run,
)
from riskwright.life.submission import Submitted, submit
from riskwright.life.system import load_case
from riskwright.life.tracking import PARENT, Tracker
from riskwright.life.training import training_of
from riskwright.store.provenance import code_digest, plugged_in

Bar = Callable[[Mapping[str, float], str], AbstractContextManager[None]]
INGEST, LOG, GATES = 2.0, 3.0, 8.0  # CPU seconds, with the demo's data


class Logged(Record):
    """A retrain's run in MLflow.

    Attributes
    ----------
    run_id
        The parent run's.
    """

    run_id: str


class Standing(Record):
    """A challenger as it stands after its gates; ``submission.Submitted`` as plain values."""

    version: int
    kind: str
    why: str
    passed: bool
    live: bool
    note: str
    rules_changed: dict[str, Any]


@dataclass(frozen=True)
class Retrained:
    """How a retrain ended.

    Attributes
    ----------
    usecase, system
        Name and kind of the use case.
    version, kind, why
        The challenger, which candidate it is, and the reason in a sentence.
    passed, live
        Whether every blocking gate passed, and whether it is the champion now.
    data
        What it learnt from.
    key, run_id
        What makes the retrain the same one; its run in MLflow.
    evidence
        Folder of plots, tables and explanations.
    gates
        What it was judged by.
    made
        What its steps handed over; nothing if there was nothing new.
    told
        If there was nothing new to learn from, the line that says so.
    more
        What its kind of use case tells beside.
    """

    usecase: str
    system: str
    version: int
    kind: str
    why: str
    passed: bool
    live: bool
    data: Data
    key: str
    run_id: str | None
    evidence: Path
    note: str = ""
    told: str = ""
    gates: tuple[Gate, ...] = ()
    made: Made = field(default_factory=lambda: Made({}))
    rules_changed: Mapping[str, Any] = field(default_factory=lambda: Changes().as_dict())
    seconds: float = 0.0
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nothing_new(self) -> bool:
        """Whether an earlier version learnt from the same data already."""
        return bool(self.told)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        plain = {
            k: v for k, v in vars(self).items() if k not in ("data", "evidence", "made", "more")
        }
        plain |= {"data": self.data.plain(), "evidence": str(self.evidence)}
        if self.told:
            without = ("note", "gates", "rules_changed", "seconds")
            return {k: v for k, v in plain.items() if k not in without} | {"nothing_new": True}
        keep = ("name", "passed", "blocking", "detail")
        gates = [{name: getattr(gate, name) for name in keep} for gate in self.gates]
        del plain["told"]
        return {**plain, "gates": gates, **self.more}


def begin(name: str | Path, home: Home, budget: str | None = None) -> Path:
    """Read a use case's file, this once, and keep what it says for all steps of a run.

    Parameters
    ----------
    budget
        Time for tuning that was asked for beside the YAML.

    Returns
    -------
    The file of the frozen specification, which the steps read instead.

    Raises
    ------
    InputRefused
        If the use case isn't found or breaks the specification, or is a frozen one already: that
        says who its author is, which only a run that read the YAML may.
    """
    if is_frozen(name):
        raise InputRefused(
            "the frozen specification of a run is no use case",
            where=str(name),
            expected="a name, or the path of a YAML file",
        )
    case, written = load_case(name, home)
    return freeze(case.within(budget), written, str(name), home)


def run_key(case: Case, data: Data, seed: int, location: str | None = None) -> str:
    """Return what makes a retrain the same one: data, specification, seed, code and lock.

    Parameters
    ----------
    location
        Where the data were read, if not from the use case's own source.
    """
    learnt = [part for part in (data.train, data.test) if part is not None]
    plugged = [str(brought) for brought in plugged_in(case.plugs() | source_of(location))]
    parts = [case.digest, *learnt, str(seed), code_digest(), *plugged]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def steps_of(case: Case) -> list[Step]:
    """Return all steps of a retrain in their order, ingestion first.

    Raises
    ------
    ValueError
        If those of the use case's kind don't fit together, or none gives the evidence.
    """
    of = training_of(case.kind).steps(case)
    if [step for step in of if issubclass(step.gives, Evidence)] != list(of[-1:]):
        raise ValueError(f"the last step of the kind {case.kind}, and no other, gives its evidence")
    made = ("data", *(step.name for step in of))
    steps = [
        Step("data", "ingest and check", Data, _ingest, (), INGEST, kept=False, retried=True),
        *of,
        Step("logged", "log to MLflow", Logged, _log, made, LOG, kept=False, retried=True),
        Step(
            "standing",
            "gates and promotion",
            Standing,
            _submit,
            (*made, "logged"),
            GATES,
            kept=False,
            retried=True,
        ),
    ]
    check(steps)
    return steps


def plan(case: Case) -> dict[str, float]:
    """Return what a person sees of a retrain's steps, in their order, with what each costs."""
    return {step.title: step.cost for step in steps_of(case) if step.cost}


def retrain(
    of: Path | Case,
    home: Home,
    ledger: Ledger,
    *,
    data: str | None = None,
    budget: str | None = None,
    seed: int = 0,
    actor: str | Account | None = None,
    perform: Perform = plainly,
    bar: Bar = lambda plan, title: nullcontext(),
) -> Retrained:
    """Take a use case from raw data to a judged challenger (and a champion, by its policy).

    A run that was stopped goes on where it was when it is called again.

    Parameters
    ----------
    of
        What ``begin`` returned, or a use case that was made here.
    data
        File, folder or address; the use case's own source if None.
    budget
        Time for tuning that was asked for beside the YAML, as ``begin`` was told; it is kept in the
        evidence, so that a retrain that somebody asks for later has as much.
    seed
        Of everything drawn at random; never of the split.
    actor
        Who trains; whose account the process runs under if None.
    perform
        How a step is done.
    bar
        Shows progress through a plan while the work is done.

    Raises
    ------
    InputRefused
        If the data can't be learnt from.
    Unavailable
        If the source isn't there, or a server fails.
    Conflict
        If another process is at it.
    """
    began = thaw(of) if isinstance(of, Path) else None
    case = began.case if began else cast(Case, of).within(budget)
    place = place_of(case, ledger, data)
    started = time.monotonic()
    folder, me = home.folder("work", case.name), owner()
    work = Work(case, home, ledger, "", folder, seed, place.location, budget, began, me, actor)
    with alone(ledger, f"retrain:{case.name}") as lost, bar(plan(case), f"retrain {case.name}"):
        ingest, *steps = steps_of(case)
        found = run([ingest], work, perform=perform).one(Data)
        found = found.model_copy(update={"source": place.words})
        key = run_key(case, found, seed, place.location)
        if (known := learnt_already(ledger, case.name, key)) is not None:
            return _unchanged(ledger, case, place, found, known)
        work = replace(work, key=key, place=home.folder("work", case.name, key[:16]))
        made = _through(steps, work, found, perform, lost)
    return _ended(work, made, round(time.monotonic() - started, 1))


def _through(steps: list[Step], work: Work, data: Data, perform: Perform, lost: Event) -> Made:
    """Walk the steps after ingestion; nothing is registered once the lease was lost."""
    *of, log, last = steps
    made = run(of, work, made={"data": data}, perform=perform)
    if lost.is_set():  # the run of this key, if there is one, is that process's
        raise Conflict(
            f"another process took over the retrain of {work.case.name}",
            do="wait for it; nothing of this one was registered",
        )
    try:
        return run([log, last], work, made=made.by_name(), perform=perform)
    except BaseException as error:
        mark_failed(work.home, work.ledger, work.case.name, work.key, error)
        raise


def _ingest(work: Work, at: At, made: Made) -> Data:
    return training_of(work.case.kind).ingest(work.case, work.location, work.home)


def _log(work: Work, at: At, made: Made) -> Logged:
    """Write the parent run, and what the system adds: a child run for each family."""
    tracker = Tracker(work.home, work.case, work.key)
    parent = tracker.run(PARENT)
    work.ledger.start_run(work.case.name, "retrain", work.key, work.owner, parent)
    training_of(work.case.kind).log(work, tracker, parent, made)
    return Logged(run_id=parent)


def _submit(work: Work, at: At, made: Made) -> Standing:
    """Register the challenger, record its gates, promote it if the policy says so."""
    run_id = made.one(Logged).run_id
    done = submit(training_of(work.case.kind).submission(work, run_id, made))
    for open_run in work.ledger.runs(work.case.name, status="running"):
        if open_run.run_key == work.key:
            work.ledger.finish_run(open_run.id)
    Tracker(work.home, work.case, work.key).log(
        run_id,
        tags={"riskwright.version": str(done.version), "riskwright.live": str(done.live)},
        metrics={f"gate.{g.name.replace(' ', '_')}": float(bool(g.passed)) for g in done.gates},
    )
    return _standing(done)


def _standing(done: Submitted) -> Standing:
    return Standing(
        version=done.version,
        kind=done.kind,
        why=done.why,
        passed=done.passed,
        live=done.live,
        note=done.note,
        rules_changed=done.changed.as_dict(),
    )


def _ended(work: Work, made: Made, seconds: float) -> Retrained:
    standing = made.one(Standing)
    system = training_of(work.case.kind)
    return Retrained(
        usecase=work.case.name,
        system=work.case.kind,
        version=standing.version,
        kind=standing.kind,
        why=standing.why,
        passed=standing.passed,
        live=standing.live,
        data=made.one(Data),
        key=work.key,
        run_id=made.one(Logged).run_id,
        evidence=made.one(Evidence).place,
        note=standing.note,
        gates=tuple(work.ledger.gates(work.case.name, standing.version)),
        made=made,
        rules_changed=standing.rules_changed,
        seconds=seconds,
        more=system.told(made),
    )


def _unchanged(ledger: Ledger, case: Case, place: Place, data: Data, known: Version) -> Retrained:
    """End a retrain that has nothing new to learn from; say how the version that has stands."""
    champion = ledger.champion(case.name)
    gates = ledger.gates(case.name, known.version)
    return Retrained(
        usecase=case.name,
        system=case.kind,
        version=known.version,
        kind=known.evidence["kind"],
        why=known.evidence["why"],
        passed=all(gate.passed for gate in gates if gate.blocking),
        live=champion is not None and champion.version == known.version,
        data=data,
        key=known.run_key.partition(":")[0],
        run_id=known.run_id,
        evidence=Path(known.evidence["folder"]),
        gates=tuple(gates),
        told=nothing_new(place, data.clean, known),
    )
