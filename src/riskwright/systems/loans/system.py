"""Loans as a system: what the loans that we hold will lose; their PD is credit's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riskwright.systems.credit.system import Credit, asked
from riskwright.systems.loans.extension import BookExtension

if TYPE_CHECKING:
    from riskwright.case.usecase import UseCase
    from riskwright.home import Home
    from riskwright.ledger import Ledger
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

    def portfolio(
        self,
        name: str,
        home: Home,
        ledger: Ledger,
        *,
        input: str,
        output: Path,
        as_of: str | None,
        scenario: str,
        confidence: float,
        progress: Callable[[str, float], None],
    ) -> dict[str, Any]:
        """Say what the loans that we hold will lose (``valued.report_on``)."""
        from riskwright.systems.credit.history import day_of
        from riskwright.systems.credit.promotion import trained_usecase
        from riskwright.systems.loans.valued import report_on

        return report_on(
            trained_usecase(home, ledger, name),
            home,
            ledger,
            input=input,
            output=output,
            as_of=day_of(as_of) if as_of else None,
            scenario=scenario,
            confidence=confidence,
            progress=progress,
        )


SYSTEM = Loans()
