"""What a book of loans adds to credit: LGD, EAD, the timing of defaults, grades by vintage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riskwright.case.usecase import UseCase
from riskwright.systems.credit.extension import Extension

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
    from riskwright.systems.loans.records import BookEvidence, LossFit


class BookExtension(Extension):
    """LGD and EAD beside credit's PD."""

    def more_steps(self, usecase: UseCase) -> Sequence[Step]:
        """Fit LGD and EAD."""
        from riskwright.systems.loans.steps import steps

        return steps()

    def loss(self, made: Made) -> LossFit | None:
        """Return LGD and EAD, of what the steps made."""
        from riskwright.systems.loans.records import LossFit

        return made.maybe(LossFit)

    def evidence(self) -> type[BookEvidence]:
        """Return the class of a training's evidence."""
        from riskwright.systems.loans.records import BookEvidence

        return BookEvidence

    def timing(self, usecase: UseCase, frame: pd.DataFrame, p: np.ndarray) -> Hazard | None:
        """Return when defaults come, fitted on training loans (n,) and their PDs (n,)."""
        from riskwright.systems.loans.loss import fit_hazard

        return fit_hazard(usecase, frame, p)

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
        """Judge LGD, EAD, timing and grades on test loans (n,) and their PDs (n,)."""
        from riskwright.data import maturity
        from riskwright.systems.loans.loss_evidence import judge_loss
        from riskwright.systems.loans.vintages import judge_vintages

        judged: dict[str, Any] = {}
        loans = every()
        if loss is not None:
            seen = maturity.recoveries_until(usecase, loans) if loans is not None else None
            judged["loss"] = judge_loss(usecase, frame, p, hazard, loss, folder, seen)
        judged["grades"] = judge_vintages(usecase, learnt_from, frame, p, folder, loans)
        return judged

    def more_writers(self, of: Submission) -> dict[str, Writer]:
        """Return what writes the bundles of LGD and EAD."""
        from riskwright.systems.loans.promotion import loss_writers

        return loss_writers(of)

    def more_gates(self, evidence: CreditEvidence) -> list[Gate]:
        """Return the gates of LGD and EAD, and of the grades."""
        from riskwright.systems.loans.gates import grade_gate, loss_gate
        from riskwright.systems.loans.records import BookEvidence

        assert isinstance(evidence, BookEvidence)  # noqa: S101  (``evidence`` says so)
        found = [loss_gate(evidence.loss)] if evidence.loss is not None else []
        return found + ([grade_gate(evidence.grades)] if evidence.grades else [])

    def judge_history(
        self,
        bundle: Bundle,
        reference: Reference,
        history: History,
        trained: Callable[[], pd.DataFrame],
    ) -> Judged | None:
        """Judge the defaults so far of the loans that were issued."""
        from riskwright.systems.loans.book_checks import judge_book

        return judge_book(bundle, reference, history, trained)

    def pricer(
        self, home: Home, ledger: Ledger, bundle: Bundle
    ) -> Callable[[pd.DataFrame], pd.DataFrame] | None:
        """Return what says the rate that an application has to bear."""
        from riskwright.systems.loans.prices import pricer

        return pricer(home, ledger, bundle)
