"""Credit as a system: how likely is this applicant or company to default."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riskwright.case.usecase import UseCase, parse_usecase

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from riskwright.learn.hazard import Hazard
    from riskwright.ledger import Gate
    from riskwright.life.submission import Submission, Writer
    from riskwright.life.system import Columns, Served
    from riskwright.systems.credit.bundle import Bundle
    from riskwright.systems.credit.history import History, Judged
    from riskwright.systems.credit.reference import Reference

NUMBERS = {"pd", "member_min", "member_max", "disagreement"}


class Credit:
    """What ``life`` asks of the kind ``credit``."""

    kind = "credit"

    def case(self) -> type[UseCase]:
        """Return the class of its use cases."""
        return UseCase

    def parse(self, text: str, *, where: str, folder: Path | None = None) -> UseCase:
        """Read the YAML text of a use case; relative paths in it are seen from ``folder``."""
        return parse_usecase(text, where=where, folder=folder)

    def open(self, folder: Path, digest: str | None) -> Served:
        """Read a bundle whose files were checked."""
        from riskwright.systems.credit.bundle import Bundle

        return Bundle.load(folder, digest)

    def columns(self, case: UseCase, model: str) -> Columns:
        """Any cell type in (the contract checks and says more), the score's columns out."""
        from riskwright.life.system import Columns
        from riskwright.systems.credit.bundle import COLUMNS

        kinds = dict.fromkeys(NUMBERS, "number") | {"model_version": "whole"}
        outputs: Any = {name: kinds.get(name, "text") for name in COLUMNS}
        return Columns(asked(case), outputs, reasons=True)

    # What a kind about loans adds to a training; of an application alone there is no more.

    def timing(self, usecase: UseCase, frame: pd.DataFrame, p: np.ndarray) -> Hazard | None:
        """Return when defaults come, fitted on training rows (n,) and their PDs (n,)."""
        return None

    def more_evidence(
        self,
        usecase: UseCase,
        frame: pd.DataFrame,
        p: np.ndarray,
        folder: Path,
        *,
        hazard: Hazard | None,
        loss: dict[str, Any] | None,
        learnt_from: pd.DataFrame,
        every: Callable[[], pd.DataFrame | None],
    ) -> dict[str, Any]:
        """Judge what a kind has beside the PD, on test rows (n,) and their PDs (n,).

        Parameters
        ----------
        folder
            Where its tables go.
        loss
            What ``loans.loss.fit_loss`` returned.
        learnt_from
            The training part.
        every
            Gives all clean rows, of whatever age, if they are kept.
        """
        return {}

    def more_writers(self, of: Submission) -> dict[str, Writer]:
        """Return further models to what writes their bundles."""
        return {}

    def more_gates(self, evidence: Mapping[str, Any]) -> list[Gate]:
        """Return the gates of further models."""
        return []

    def judge_history(
        self,
        bundle: Bundle,
        reference: Reference,
        history: History,
        trained: Callable[[], pd.DataFrame],
    ) -> Judged | None:
        """Judge the outcomes so far of what was lent; None where there is no history."""
        return None

    def logged_metrics(
        self, evidence: Mapping[str, Any], roles: Collection[str]
    ) -> dict[str, dict[str, float]]:
        """Return what each of a retrain's runs in MLflow was given, by role, from its evidence."""
        from riskwright.systems.credit.record import logged_metrics

        return logged_metrics(dict(evidence))


def of_kind(usecase: UseCase) -> Credit:
    """Return the system of a use case about cases: credit's own, or one that adds to it."""
    from riskwright.life.system import system_of

    found = system_of(usecase.kind)
    assert isinstance(found, Credit)  # noqa: S101  (the kinds of a UseCase are of this class)
    return found


def asked(case: UseCase) -> dict[str, bool]:
    """Return the columns that a case to score may have: all that is known before the decision."""
    return {
        name: False
        for name, column in case.columns.items()
        if name != case.target.column and not column.after_decision
    }


SYSTEM = Credit()
