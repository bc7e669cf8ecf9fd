"""What a retrain about credit does after ingestion: fit, join, evaluate."""

from __future__ import annotations

from riskwright.case.usecase import UseCase
from riskwright.home import Home
from riskwright.life.rules import changes
from riskwright.life.steps import At, Made, Step, Work
from riskwright.systems.credit.extension import extension_of
from riskwright.systems.credit.records import (
    CreditEvidence,
    Described,
    Fitted,
    Joined,
    Tables,
)

# CPU seconds, measured with the demo's data.
FITS = {"scorecard": 45, "gru": 35, "mlp": 31, "cnn": 25, "article_mlp": 13, "xgboost": 3}
FIT, JOIN, EVALUATE = 3.0, 10.0, 20.0


def ingest(usecase: UseCase, location: str | None, home: Home) -> Tables:
    """Store what a source holds today as snapshots: raw, clean, train, test."""
    from riskwright.data.ingest import ingest as read
    from riskwright.data.train_test import split

    found = read(usecase, location, home)
    train, test = split(usecase, found.clean, home)
    return Tables(
        raw=found.raw.hash,
        clean=found.clean.hash,
        train=train.hash,
        test=test.hash,
        quarantine=str(found.quarantine) if found.quarantine else None,
        report=found.report,
        warnings=found.warnings,
    )


def steps(usecase: UseCase) -> list[Step]:
    """Return the steps after ingestion; an extension's come between join and evaluation."""
    more = extension_of(usecase).more_steps(usecase)
    fits = [_fit(name, usecase) for name in usecase.families]
    names = tuple(step.name for step in fits)
    added = tuple(step.name for step in more)
    return [
        Step(
            "described",
            "data-quality report",
            Described,
            _describe,
            ("data",),
            beside=True,
            kept=False,
        ),
        *fits,
        Step("joined", "join the ensemble", Joined, _join, ("data", *names), JOIN),
        *more,
        Step(
            "evidence",
            "evaluate and explain",
            CreditEvidence,
            _evaluate,
            ("data", *names, "joined", *added),
            EVALUATE,
        ),
    ]


def _fit(name: str, usecase: UseCase) -> Step:
    from riskwright.learn.families import applicable

    cost = 0.0 if applicable(name, usecase.schema_) else FITS.get(name, FIT)

    def fit(work: Work, at: At, made: Made) -> Fitted:
        from riskwright.systems.credit.candidates import fit_family

        return fit_family(
            of(work),
            work.home,
            train=made.one(Tables).train,
            name=name,
            seed=work.seed,
            folder=at.folder,
            progress=at.progress,
        )

    return Step(f"fit_{name}", f"fit {name}", Fitted, fit, ("data",), cost)


def _describe(work: Work, at: At, made: Made) -> Described:
    """Write the data-quality report, and make sure that MLflow answers, beside the first fits."""
    from riskwright.systems.credit.quality_report import quality_report_beside

    return Described(page=quality_report_beside(of(work), made.one(Tables).clean))


def _join(work: Work, at: At, made: Made) -> Joined:
    from riskwright.systems.credit.candidates import join

    return join(
        of(work),
        work.home,
        train=made.one(Tables).train,
        families=made.every(Fitted),
        folder=at.folder,
    )


def _evaluate(work: Work, at: At, made: Made) -> CreditEvidence:
    """Read the test part (counted), choose the challenger, draw and explain."""
    from riskwright.systems.credit.evidence import gather

    data = made.one(Tables)
    work.ledger.count_reading(data.test, work.case.name, "evaluate", work.key)
    return gather(
        of(work),
        work.home,
        train=data.train,
        test=data.test,
        families=made.every(Fitted),
        joined=made.one(Joined),
        seed=work.seed,
        folder=at.folder,
        loss=extension_of(of(work)).loss(made),
        clean=data.clean,
        changed=changes(work.home, work.ledger, work.case, work.key),
    )


def of(work: Work) -> UseCase:
    """Return the use case of a run about cases."""
    assert isinstance(work.case, UseCase)  # noqa: S101  (its kind says so)
    return work.case
