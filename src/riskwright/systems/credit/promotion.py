"""Submit a challenger with its evidence, let it go live, and keep MLflow's aliases in step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskwright.case.usecase import UseCase, sealed_usecase
from riskwright.data.units import clusters, learnt
from riskwright.errors import InputRefused, IntegrityError, RiskwrightError
from riskwright.home import Home
from riskwright.ledger import Gate, Ledger
from riskwright.life.policy import version_number
from riskwright.life.rules import Changes
from riskwright.life.steps import Kept, Made, Work
from riskwright.life.submission import Submission, Writer
from riskwright.life.tracking import local_bundle
from riskwright.store import snapshots
from riskwright.store.manifest import verify
from riskwright.systems.credit.bundle import Bundle
from riskwright.systems.credit.candidates import load_candidate, load_hazard
from riskwright.systems.credit.choice import Choice
from riskwright.systems.credit.extension import extension_of
from riskwright.systems.credit.gates import gates, not_compared
from riskwright.systems.credit.records import CreditEvidence, Joined, Tables
from riskwright.systems.credit.reference import make_reference
from riskwright.systems.credit.steps import of

MODEL = "pd"


@dataclass(frozen=True, kw_only=True)
class CreditSubmission(Submission):
    """What a training about credit, or about loans, hands to the registry.

    Parameters
    ----------
    train, test
        Hashes of the training and test snapshots.
    references
        Hash of the monitor's reference for ``ensemble`` and for ``baseline``.
    joined, evidence
        What ``candidates.join`` and ``evidence.gather`` returned.
    loss
        What a kind about loans fitted beside the PD.
    """

    case: UseCase
    evidence: CreditEvidence
    train: str
    test: str
    references: dict[str, str]
    joined: Joined
    loss: Kept | None = None

    @property
    def baseline(self) -> str:
        """The interpretable model alone."""
        return "baseline"

    def writers(self, kind: str) -> dict[str, Writer]:
        """Return model to what writes its bundle: the PD, and of a loan book LGD and EAD."""
        ensemble, limits = load_candidate(self.joined, kind)
        hazard = load_hazard(self.joined, kind)

        def write_pd(version: int, part: Path) -> str:
            return Bundle.write(part, self.case, ensemble, limits, version, hazard)

        return {MODEL: write_pd, **extension_of(self.case).more_writers(self)}

    def told(self, kind: str) -> dict[str, Any]:
        """Return the data and figures of a candidate."""
        return {
            "train": self.train,
            "test": self.test,
            "reference": self.references[kind],
            "metrics": self.evidence.plain()["metrics"][kind],
        }

    def snapshots(self, kind: str) -> tuple[str, ...]:
        """Return the hashes of training part, test part and the monitor's reference."""
        return (self.train, self.test, self.references[kind])

    def judge(self, version: int, changed: Changes) -> list[Gate]:
        """Return the challenger's gates."""
        return _judge(self, version, changed)


def submission(work: Work, run_id: str, made: Made) -> CreditSubmission:
    """Return what the registry needs of what a retrain's steps made; the references are stored."""
    data, evidence = made.one(Tables), made.one(CreditEvidence)
    case = of(work)
    references = {
        kind: make_reference(case, work.home, test=data.test, folder=evidence.place, kind=kind).hash
        for kind in ("ensemble", "baseline")
    }
    return CreditSubmission(
        **CreditSubmission.common(work, run_id),
        train=data.train,
        test=data.test,
        references=references,
        joined=made.one(Joined),
        evidence=evidence,
        loss=extension_of(case).loss(made),
    )


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
    return sealed_usecase(folder)


def _judge(of: CreditSubmission, version: int, changed: Changes) -> list[Gate]:
    usecase, ledger, evidence = of.case, of.ledger, of.evidence
    predictions = pd.read_parquet(evidence.place / "predictions.parquet")
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
        choice=Choice(of.kind, evidence.why, evidence.figures),
        y=y,
        pd_challenger=p,
        against=champion.version if champion else None,
        unseen_by_champion=unseen,
        pd_champion=theirs,
        fairness=pd.read_csv(evidence.place / "approval_ratios.csv"),
        readings=len(ledger.readings(of.test)),
        seed=of.seed,
        slopes=of.joined.candidates[of.kind].slopes,
        kin=evidence.kin,
        telltales=evidence.telltales,
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
    more = extension_of(usecase).more_gates(evidence)
    return [*judged, *more, _golden(of, frame, p, version)]


def _renamed(of: CreditSubmission, train: str, version: int) -> str:
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


def _golden(of: CreditSubmission, frame: pd.DataFrame, p: np.ndarray, version: int) -> Gate:
    """The registered files, loaded back, give the PDs that were evaluated."""
    rows = min(200, len(frame))
    bundle = load_version(of.home, of.ledger, of.case.name, str(version))
    again = bundle.score(frame[:rows], "none")
    gap = float(np.abs(again["pd"].to_numpy() - p[:rows]).max())
    detail = f"loaded back, {rows} rows score within {gap:.1e} of what was evaluated"
    return Gate("golden set", gap < 1e-6, detail, {"rows": rows, "largest_difference": gap})
