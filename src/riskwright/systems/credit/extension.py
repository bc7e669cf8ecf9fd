"""What a kind of use case that stands on credit adds to it, such as loans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riskwright.case.usecase import UseCase
from riskwright.life.system import system_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from riskwright.home import Home
    from riskwright.learn.hazard import Hazard
    from riskwright.ledger import Gate, Ledger
    from riskwright.life.steps import Kept, Made, Step
    from riskwright.life.submission import Submission, Writer
    from riskwright.systems.credit.bundle import Bundle
    from riskwright.systems.credit.history import History, Judged
    from riskwright.systems.credit.records import CreditEvidence
    from riskwright.systems.credit.reference import Reference


class Extension:
    """Of an application alone there is no more: every method returns nothing."""

    def more_steps(self, usecase: UseCase) -> Sequence[Step]:
        """Return steps between the join and the evaluation."""
        return ()

    def loss(self, made: Made) -> Kept | None:
        """Return what further models were fitted, of what the steps made."""
        return None

    def evidence(self) -> type[CreditEvidence]:
        """Return the class of a training's evidence."""
        from riskwright.systems.credit.records import CreditEvidence

        return CreditEvidence

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
        loss: Kept | None,
        learnt_from: pd.DataFrame,
        every: Callable[[], pd.DataFrame | None],
    ) -> dict[str, Any]:
        """Judge what a kind has beside the PD, on test rows (n,) and their PDs (n,).

        Parameters
        ----------
        folder
            Where its tables go.
        loss
            What ``loss`` returned of the steps.
        learnt_from
            The training part.
        every
            Gives all clean rows, of whatever age, if they are kept.
        """
        return {}

    def more_writers(self, of: Submission) -> dict[str, Writer]:
        """Return further models to what writes their bundles."""
        return {}

    def more_gates(self, evidence: CreditEvidence) -> list[Gate]:
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

    def pricer(
        self, home: Home, ledger: Ledger, bundle: Bundle
    ) -> Callable[[pd.DataFrame], pd.DataFrame] | None:
        """Return what says the price of accepted rows; None where there is none."""
        return None


def extension_of(usecase: UseCase) -> Extension:
    """Return what the kind of a use case about cases adds."""
    found = getattr(system_of(usecase.kind), "extension", None)
    assert isinstance(found, Extension)  # noqa: S101  (the kinds of a UseCase have one)
    return found
