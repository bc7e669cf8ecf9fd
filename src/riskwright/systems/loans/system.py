"""Loans as a system: what the loans that we hold will lose; their PD is credit's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from riskwright.systems.credit.system import Credit, asked
from riskwright.systems.loans.extension import BookExtension

if TYPE_CHECKING:
    from riskwright.case.usecase import UseCase
    from riskwright.life.system import Columns, Served


class Loans(Credit):
    """What ``life`` asks of the kind ``loans``: LGD and EAD beside credit's PD."""

    kind = "loans"
    extension = BookExtension()

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


SYSTEM = Loans()
