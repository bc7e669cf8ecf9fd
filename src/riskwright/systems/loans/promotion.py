"""The loss models of a loan book's version: written when it is submitted, loaded by its number."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life.submission import Submission, Writer
from riskwright.life.tracking import local_bundle
from riskwright.systems.credit.promotion import CreditSubmission
from riskwright.systems.loans.loss_bundle import LossBundle, LossModel
from riskwright.systems.loans.records import BookEvidence

LOSS_MODELS: tuple[LossModel, ...] = ("lgd", "ead")


def loss_writers(of: Submission) -> dict[str, Writer]:
    """Return model to what writes its bundle: LGD and EAD."""
    assert isinstance(of, CreditSubmission)  # noqa: S101  (what a use case about loans is submitted by)
    return {model: partial(_write_loss, of, model) for model in LOSS_MODELS}


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


def _write_loss(of: CreditSubmission, model: LossModel, version: int, part: Path) -> str:
    evidence = of.evidence
    assert of.loss is not None and isinstance(evidence, BookEvidence) and evidence.loss  # noqa: S101, PT018
    constant = evidence.loss["lgd"]["constant"]
    return LossBundle.write(part, of.case, model, of.loss.place, version, constant)
