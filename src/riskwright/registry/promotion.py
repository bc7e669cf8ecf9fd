"""Submit a challenger with its evidence, let it go live, and keep MLflow's aliases in step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskwright.account import Account
from riskwright.bundle.bundle import Bundle
from riskwright.bundle.candidates import load_candidate, load_hazard, slopes_of
from riskwright.bundle.loss_bundle import LossBundle, LossModel
from riskwright.bundle.manifest import finished_bundle, verify
from riskwright.data import snapshots
from riskwright.data.units import clusters, learnt
from riskwright.errors import InputRefused, IntegrityError, RiskwrightError
from riskwright.home import Home
from riskwright.ledger import Gate, Ledger, ModelRef
from riskwright.registry.aliases import follow
from riskwright.registry.choice import Choice
from riskwright.registry.gates import gates, grade_gate, loss_gate, not_compared
from riskwright.registry.policy import go_live, version_number
from riskwright.registry.rules import Changes, changes, rules_digest, rules_set
from riskwright.registry.seals import served_files, version_seals
from riskwright.registry.specification import Frozen, specified
from riskwright.registry.tracking import Tracker, local_bundle, model_folder
from riskwright.usecase import UseCase

MODEL = "pd"
LOSS_MODELS: tuple[LossModel, ...] = ("lgd", "ead")


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


@dataclass(frozen=True)
class Submission:
    """All that a finished training hands to the registry.

    Parameters
    ----------
    run_id
        MLflow's parent run.
    train, test
        Hashes of the training and test snapshots.
    references
        Hash of the monitor's reference for ``ensemble`` and for ``baseline``.
    joined, evidence
        What ``candidates.join`` and ``evidence.gather`` returned.
    folder
        The retrain's workplace.
    data
        Where the rows came from, if not from the use case's own source.
    budget
        Time for tuning that was asked for beside the YAML.
    began
        The specification that the run began with, frozen; None: given as an object, not read.
    loss
        Of a loan book, what ``loss.fit_loss`` returned.
    """

    usecase: UseCase
    home: Home
    ledger: Ledger
    tracker: Tracker
    run_id: str
    train: str
    test: str
    references: dict[str, str]
    joined: dict[str, Any]
    evidence: dict[str, Any]
    folder: Path
    seed: int
    actor: str | Account
    data: str | None = None
    budget: str | None = None
    began: Frozen | None = None
    loss: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Which candidate is the challenger: ``ensemble`` or ``baseline``."""
        return str(self.evidence["chosen"])


def submit(of: Submission) -> Submitted:
    """Register a challenger once, judge it, and promote it if the policy is automatic."""
    usecase, ledger = of.usecase, of.ledger
    if of.kind != "baseline":
        # The interpretable model must be able to take over at any time: it is registered beside.
        _register(of, "baseline", standby=True)
    version = _register(of, of.kind, standby=False)
    judged = ledger.gates(usecase.name, version)
    changed = changes(of.home, ledger, usecase, of.tracker.key)
    if not judged:
        judged = _judge(of, version, changed)
        ledger.record_gates(usecase.name, version, judged)
    live, note = go_live(usecase, ledger, version, judged, of.evidence["why"], changed)
    waiting: list[str] = []
    follow(usecase.name, of.home, ledger, waiting.append)
    note = "; ".join(filter(None, [note, *waiting]))
    return Submitted(version, of.kind, of.evidence["why"], judged, live, note, changed)


def _register(of: Submission, kind: str, *, standby: bool) -> int:
    """Bundle, log and register one candidate, once; return its version."""
    name = of.usecase.name
    version = of.ledger.reserve_version(name, f"{of.tracker.key}:{kind}")
    # The same rows from another file, or the use case by another path: what was said first stays.
    held = of.ledger.version(name, version).evidence
    ensemble, limits = load_candidate(of.joined, kind)
    hazard = load_hazard(of.joined, kind)

    def write_pd(part: Path) -> str:
        return Bundle.write(part, of.usecase, ensemble, limits, version, hazard)

    writers: dict[str, Callable[[Path], str]] = {MODEL: write_pd}
    for model in LOSS_MODELS if of.usecase.loan else ():
        writers[model] = partial(_write_loss, of, model, version)
    models: dict[str, ModelRef] = {}
    served = {}
    for part_of, write in writers.items():
        bundle, digest = finished_bundle(of.folder / kind / part_of / "bundle", write)
        logged = of.tracker.log_model(of.run_id, part_of, bundle, version)
        models[part_of] = ModelRef(
            part_of, logged["registered"], logged["version"], digest, logged["uri"]
        )
        with model_folder(models[part_of], of.home) as folder:
            served[part_of] = served_files(folder)
    of.ledger.register(
        name,
        version,
        models=models,
        actor=of.actor,
        run_id=of.run_id,
        evidence={
            "kind": kind,
            "baseline": kind == "baseline",
            "standby": standby,
            "why": of.evidence["why"],
            "train": of.train,
            "test": of.test,
            "reference": of.references[kind],
            "metrics": of.evidence["metrics"][kind],
            "folder": of.evidence["folder"],
            "sha256": of.evidence["sha256"],
            "served": held.get("served") or served,
            "seals": held.get("seals") or _seals(of, kind),
            "usecase": of.usecase.digest,
            "seed": of.seed,
            "rules": rules_digest(of.usecase),
            "rules_set": rules_set(of.usecase),
            "approval": of.usecase.approval.policy,
            "alert_policy": of.usecase.alert_policy,
            "data": held.get("data", of.data),
            "budget": of.budget,
            **specified(held, of.began),
        },
    )
    return version


def _seals(of: Submission, kind: str) -> dict[str, str]:
    folder, frozen = Path(of.evidence["folder"]), of.began.sha256 if of.began else None
    parts = (of.train, of.test, of.references[kind])
    return version_seals(of.home, of.usecase.name, folder, parts, frozen)


def load_version(home: Home, ledger: Ledger, usecase: str, which: str = "champion") -> Bundle:
    """Load the champion, the newest challenger, or a version by number; digests are checked.

    Raises
    ------
    InputRefused
        If there is no such version.
    GateRefused
        If it was rejected.
    IntegrityError
        If a file of the bundle is not what was registered.
    """
    return load_registered(home, ledger, usecase, version_number(ledger, usecase, which))


def load_registered(home: Home, ledger: Ledger, usecase: str, number: int) -> Bundle:
    """Load a version by number, a rejected one too: what it scored is still judged by it.

    Raises
    ------
    InputRefused
        If there is no such version, or it has no bundle.
    IntegrityError
        If a file of the bundle is not what was registered.
    """
    ref = ledger.version(usecase, number).models.get(MODEL)
    if ref is None:
        raise InputRefused(
            f"version {number} of {usecase} isn't registered yet", expected="a registered version"
        )
    cache = home.root / "bundles" / ref.digest
    bundle = Bundle.load(local_bundle(ref.uri, cache), ref.digest)
    if bundle.version != number:
        raise IntegrityError(f"the bundle of version {number} says it is {bundle.version}")
    return bundle


def trained_usecase(home: Home, ledger: Ledger, usecase: str, which: str = "champion") -> UseCase:
    """Return the specification that a version was trained with, from its bundle.

    Raises
    ------
    InputRefused
        If there is no such version.
    IntegrityError
        If a file of the bundle is not what was registered.
    """
    ref = ledger.version(usecase, version_number(ledger, usecase, which)).models[MODEL]
    folder = local_bundle(ref.uri, home.root / "bundles" / ref.digest)
    verify(folder, ref.digest)
    return UseCase.model_validate_json((folder / "usecase.json").read_text(encoding="utf-8"))


def load_loss(
    home: Home, ledger: Ledger, usecase: str, version: int, model: LossModel
) -> LossBundle:
    """Load the LGD or EAD of a version; digests are checked.

    Raises
    ------
    InputRefused
        If the version has no such model.
    IntegrityError
        If a file of the bundle is not what was registered.
    """
    held = ledger.version(usecase, version).models
    if model not in held:
        raise InputRefused(
            f"version {version} of {usecase} has no {model}",
            expected="a use case with models: [pd, lgd, ead]",
        )
    ref = held[model]
    return LossBundle.load(local_bundle(ref.uri, home.root / "bundles" / ref.digest), ref.digest)


def _judge(of: Submission, version: int, changed: Changes) -> list[Gate]:
    usecase, ledger, evidence = of.usecase, of.ledger, of.evidence
    predictions = pd.read_parquet(Path(evidence["folder"]) / "predictions.parquet")
    y, p = predictions["y"].to_numpy(), predictions[of.kind].to_numpy()
    frame = snapshots.read(of.test, of.home)
    champion = ledger.champion(usecase.name)
    unseen = theirs = None
    trouble = ""
    if champion is not None and not changed.question:
        try:
            unseen, theirs = _champion_pds(usecase, of.home, ledger, frame, champion.version)
        except (RiskwrightError, KeyError) as error:
            trouble = str(error)
    judged = gates(
        usecase,
        choice=Choice(of.kind, evidence["why"], evidence["figures"]),
        y=y,
        pd_challenger=p,
        against=champion.version if champion else None,
        unseen_by_champion=unseen,
        pd_champion=theirs,
        fairness=pd.read_csv(Path(evidence["folder"]) / "approval_ratios.csv"),
        readings=len(ledger.readings(of.test)),
        seed=of.seed,
        slopes=slopes_of(of.joined, of.kind),
        kin=evidence.get("kin"),
        telltales=evidence.get("telltales", ()),
        groups=clusters(usecase, frame),
    )
    if champion is not None and changed.question:
        judged = [
            not_compared(champion.version, changed.question) if g.name == "champion" else g
            for g in judged
        ]
    if champion is not None and not trouble and not changed.question:
        trouble = _renamed(of, champion.evidence["train"], champion.version)
    if trouble:
        judged = [
            replace(g, detail=f"{g.detail}: {trouble}") if g.name == "champion" else g
            for g in judged
        ]
    more = [loss_gate(evidence["loss"])] if "loss" in evidence else []
    more += [grade_gate(evidence["grades"])] if evidence.get("grades") else []
    return [*judged, *more, _golden(of, frame, p, version)]


def _renamed(of: Submission, train: str, version: int) -> str:
    """Say that rows are parted otherwise than for the champion, if they are; else nothing."""
    new, old = (snapshots.made_from(h, of.home).get("naming") for h in (of.train, train))
    if new is None or new == old:
        return ""
    before = f"by {', '.join(old['by'])}" if old else "by an earlier version of riskwright"
    return (
        f"rows are named anew (by {', '.join(new['by'])}; for version {version} {before}), so some "
        f"moved between training and test part; only rows that version {version} never learnt count"
    )


def _champion_pds(
    usecase: UseCase, home: Home, ledger: Ledger, frame: pd.DataFrame, version: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mask of the rows that the champion wasn't trained on, and its PDs of them."""
    trained = snapshots.read(ledger.version(usecase.name, version).evidence["train"], home)
    unseen = ~learnt(usecase, frame, trained)
    bundle = load_version(home, ledger, usecase.name, str(version))
    lost = [name for name in bundle.schema.names if name not in frame]
    if lost:
        raise InputRefused(
            f"the champion reads {', '.join(lost)}, which the use case no longer declares",
            do="declare them with 'feature: false' until it is replaced, and retrain",
        )
    scored = bundle.score(frame[unseen], reasons="none")
    return unseen, scored["pd"].to_numpy()


def _golden(of: Submission, frame: pd.DataFrame, p: np.ndarray, version: int) -> Gate:
    """The registered files, loaded back, give the PDs that were evaluated."""
    rows = min(200, len(frame))
    bundle = load_version(of.home, of.ledger, of.usecase.name, str(version))
    again = bundle.score(frame[:rows], "none")
    gap = float(np.abs(again["pd"].to_numpy() - p[:rows]).max())
    detail = f"loaded back, {rows} rows score within {gap:.1e} of what was evaluated"
    return Gate("golden set", gap < 1e-6, detail, {"rows": rows, "largest_difference": gap})


def _write_loss(of: Submission, model: LossModel, version: int, part: Path) -> str:
    source, constant = Path(of.loss["folder"]), of.evidence["loss"]["lgd"]["constant"]
    return LossBundle.write(part, of.usecase, model, source, version, constant)
