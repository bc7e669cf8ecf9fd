"""Submit a challenger: registered once, judged by its gates, live if the policy lets it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from riskwright.account import Account
from riskwright.case.base import Case
from riskwright.case.plugins import source_of
from riskwright.home import Home
from riskwright.ledger import Gate, Ledger, ModelRef
from riskwright.life.aliases import follow
from riskwright.life.plugged import own_gates
from riskwright.life.policy import go_live
from riskwright.life.rules import Changes, changes, rules_digest, rules_set
from riskwright.life.specification import Frozen, specified
from riskwright.life.steps import Evidence, Work
from riskwright.life.tracking import Tracker, model_folder
from riskwright.store.manifest import finished_bundle
from riskwright.store.provenance import plugged_in
from riskwright.store.seals import served_files, version_seals

# Writes a model's bundle of a version into an empty folder; returns the manifest's digest.
Writer = Callable[[int, Path], str]


@dataclass(frozen=True)
class Submitted:
    """A challenger as it stands after its gates."""

    version: int
    kind: str
    why: str
    gates: list[Gate]
    live: bool
    note: str = ""
    changed: Changes = field(default_factory=Changes)

    @property
    def passed(self) -> bool:
        """Whether every blocking gate passed."""
        return all(g.passed for g in self.gates if g.blocking)


@dataclass(frozen=True, kw_only=True)
class Submission(ABC):
    """All that a finished retrain hands to the registry; a system's own adds what its steps made.

    Parameters
    ----------
    run_id
        MLflow's parent run.
    evidence
        What the system gathered.
    folder
        The retrain's workplace.
    data
        Where the data came from, if not from the use case's own source.
    budget
        Time for tuning that was asked for beside the YAML.
    began
        The specification that the run began with, frozen; None: given as an object, not read.
    """

    case: Case
    home: Home
    ledger: Ledger
    tracker: Tracker
    run_id: str
    evidence: Evidence
    folder: Path
    seed: int
    actor: str | Account
    data: str | None = None
    budget: str | None = None
    began: Frozen | None = None

    @classmethod
    def common(cls, work: Work, run_id: str) -> dict[str, Any]:
        """Return the parameters that every system's submission has from the run's work."""
        return {
            "case": work.case,
            "home": work.home,
            "ledger": work.ledger,
            "tracker": Tracker(work.home, work.case, work.key),
            "run_id": run_id,
            "folder": work.place,
            "seed": work.seed,
            "actor": work.actor or work.ledger.who(),
            "data": work.location,
            "budget": work.budget,
            "began": work.began,
        }

    @property
    def kind(self) -> str:
        """Which candidate is the challenger."""
        return self.evidence.chosen

    @property
    @abstractmethod
    def baseline(self) -> str:
        """The candidate that can take over at any time: it is registered beside any other."""

    @abstractmethod
    def writers(self, kind: str) -> Mapping[str, Writer]:
        """Return model to what writes its bundle, of a candidate."""

    @abstractmethod
    def told(self, kind: str) -> dict[str, Any]:
        """Return what the ledger keeps of a candidate beside what it keeps of every one."""

    @abstractmethod
    def snapshots(self, kind: str) -> tuple[str, ...]:
        """Return the hashes of the tables that a candidate rests on."""

    @abstractmethod
    def judge(self, version: int, changed: Changes) -> list[Gate]:
        """Return the challenger's gates.

        One is named ``champion``; its figures' ``against`` is the version that it was compared
        with, or None: a promotion refuses what was compared with another than the live one.

        Parameters
        ----------
        changed
            How its rules differ from the champion's.
        """


def submit(of: Submission) -> Submitted:
    """Register a challenger once, judge it, and promote it if the policy is automatic."""
    name, ledger, why = of.case.name, of.ledger, of.evidence.why
    if of.kind != of.baseline:
        _register(of, of.baseline, standby=True)
    version = _register(of, of.kind, standby=False)
    judged = ledger.gates(name, version)
    changed = changes(of.home, ledger, of.case, of.tracker.key)
    if not judged:
        judged = of.judge(version, changed)
        if not any(g.name == "champion" and "against" in g.figures for g in judged):
            raise TypeError(
                f"the kind {of.case.kind!r} gave no gate 'champion' that says 'against'"
            )
        judged = [*judged, *own_gates(of.case, of, judged)]
        ledger.record_gates(name, version, judged)
    live, note = go_live(of.case, ledger, version, judged, why, changed)
    waiting: list[str] = []
    follow(name, of.home, ledger, waiting.append)
    note = "; ".join(filter(None, [note, *waiting]))
    return Submitted(version, of.kind, why, judged, live, note, changed)


def _register(of: Submission, kind: str, *, standby: bool) -> int:
    """Bundle, log and register one candidate, once; return its version."""
    name = of.case.name
    version = of.ledger.reserve_version(name, f"{of.tracker.key}:{kind}")
    # The same data from another place, or the use case by another path: what was said first stays.
    held = of.ledger.version(name, version).evidence
    used = plugged_in(of.case.plugs() | source_of(of.data))
    models: dict[str, ModelRef] = {}
    served = {}
    for model, write in of.writers(kind).items():
        place = of.folder / kind / model / "bundle"
        bundle, digest = finished_bundle(place, partial(write, version))
        logged = of.tracker.log_model(of.run_id, model, bundle, version)
        models[model] = ModelRef(
            model, logged["registered"], logged["version"], digest, logged["uri"]
        )
        with model_folder(models[model], of.home) as folder:
            served[model] = served_files(folder)
    of.ledger.register(
        name,
        version,
        models=models,
        actor=of.actor,
        run_id=of.run_id,
        evidence={
            "system": of.case.kind,
            "kind": kind,
            "baseline": kind == of.baseline,
            "standby": standby,
            "why": of.evidence.why,
            **of.told(kind),
            "folder": of.evidence.folder,
            "sha256": of.evidence.sha256,
            "served": held.get("served") or served,
            "seals": held.get("seals") or _seals(of, kind),
            "usecase": of.case.digest,
            "seed": of.seed,
            "rules": rules_digest(of.case),
            "rules_set": rules_set(of.case),
            "approval": of.case.approval.policy,
            "alert_policy": of.case.alert_policy,
            "data": held.get("data", of.data),
            "budget": of.budget,
            **specified(held, of.began),
            **({"plugins": used} if used else {}),
        },
    )
    return version


def _seals(of: Submission, kind: str) -> dict[str, str]:
    folder, frozen = of.evidence.place, of.began.sha256 if of.began else None
    return version_seals(of.home, of.case.name, folder, of.snapshots(kind), frozen)
