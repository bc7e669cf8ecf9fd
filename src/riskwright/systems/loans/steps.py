"""What a retrain of a loan book does beside credit's: LGD and EAD."""

from __future__ import annotations

from riskwright.life.steps import At, Made, Step, Work
from riskwright.systems.credit.records import Tables
from riskwright.systems.credit.steps import of
from riskwright.systems.loans.records import LossFit

LOSS = 25.0  # CPU seconds, measured with the demo's data


def steps() -> list[Step]:
    """Return the steps between the join and the evaluation."""
    return [Step("loss", "fit LGD and EAD", LossFit, _fit, ("data",), LOSS)]


def _fit(work: Work, at: At, made: Made) -> LossFit:
    from riskwright.systems.loans.loss import fit_loss

    data = made.one(Tables)
    return fit_loss(
        of(work),
        work.home,
        train=data.train,
        seed=work.seed,
        folder=at.folder,
        progress=at.progress,
        clean=data.clean,
    )
