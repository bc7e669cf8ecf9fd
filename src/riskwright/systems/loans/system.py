"""Loans as a system: what the loans that we hold will lose; their PD is credit's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riskwright.systems.credit.system import Credit, asked

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from riskwright.case.usecase import UseCase
    from riskwright.learn.hazard import Hazard
    from riskwright.ledger import Gate
    from riskwright.life.submission import Submission, Writer
    from riskwright.life.system import Columns, Served
    from riskwright.systems.credit.bundle import Bundle
    from riskwright.systems.credit.history import History, Judged
    from riskwright.systems.credit.reference import Reference


class Loans(Credit):
    """What ``life`` asks of the kind ``loans``: LGD and EAD beside credit's PD."""

    kind = "loans"

    def open(self, folder: Path, digest: str | None) -> Served:
        """Read a bundle whose files were checked."""
        from riskwright.systems.loans.loss_bundle import LossBundle

        settings = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
        if "model" not in settings:
            return super().open(folder, digest)
        return LossBundle.load(folder, digest)

    def columns(self, case: UseCase, model: str) -> Columns:
        """Any cell type in (the contract checks and says more), the score's columns out."""
        from riskwright.life.system import Columns

        if model == "pd":
            return super().columns(case, model)
        return Columns(asked(case), {model: "number", "model_version": "whole"})

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
        loss: dict[str, Any] | None,
        learnt_from: pd.DataFrame,
        every: Callable[[], pd.DataFrame | None],
    ) -> dict[str, Any]:
        """Judge LGD, EAD, timing and grades on test loans (n,) and their PDs (n,)."""
        from riskwright.data import maturity
        from riskwright.systems.loans.loss_evidence import judge_loss
        from riskwright.systems.loans.vintages import judge_vintages

        judged: dict[str, Any] = {}
        loans = every()
        if loss:
            seen = maturity.recoveries_until(usecase, loans) if loans is not None else None
            judged["loss"] = judge_loss(usecase, frame, p, hazard, loss, folder, seen)
        judged["grades"] = judge_vintages(usecase, learnt_from, frame, p, folder, loans)
        return judged

    def more_writers(self, of: Submission) -> dict[str, Writer]:
        """Return what writes the bundles of LGD and EAD."""
        from riskwright.systems.loans.promotion import loss_writers

        return loss_writers(of)

    def more_gates(self, evidence: Mapping[str, Any]) -> list[Gate]:
        """Return the gates of LGD and EAD, and of the grades."""
        from riskwright.systems.loans.gates import grade_gate, loss_gate

        found = [loss_gate(evidence["loss"])] if "loss" in evidence else []
        return found + ([grade_gate(evidence["grades"])] if evidence.get("grades") else [])

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


SYSTEM = Loans()
