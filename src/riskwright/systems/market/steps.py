"""What a market's retrain does after ingestion: walk, join, judge."""

from __future__ import annotations

from pathlib import Path

from riskwright.home import Home
from riskwright.life.rules import changes
from riskwright.life.steps import At, Made, Step, Work
from riskwright.systems.market.case import MarketCase
from riskwright.systems.market.records import Joined, MarketEvidence, SeriesData, Tried, Walked

# CPU seconds, measured with the demo's data.
WALK, JOIN, JUDGE = 60.0, 10.0, 20.0


def ingest(case: MarketCase, location: str | None, home: Home) -> SeriesData:
    """Read, check and store the series; the snapshot's name is its hash."""
    from riskwright.systems.market.ingest import ingest as read

    found = read(case, Path(location) if location else None, home)
    return SeriesData(
        clean=found.snapshot.hash,
        train=found.snapshot.hash,
        newest=str(found.panel.as_of),
        rows=found.snapshot.rows,
        series=len(found.panel.case.series),
        warnings=found.notes,
    )


def steps(case: MarketCase) -> list[Step]:
    """Return the steps after ingestion."""
    walks = [_walk(model) for model in case.models]
    names = tuple(step.name for step in walks)
    return [
        Step("tried", "log what is tried", Tried, _try, ("data",), beside=True, kept=False),
        *walks,
        Step("joined", "join the ensemble", Joined, _join, ("data", *names), JOIN),
        Step(
            "evidence",
            "judge the forecasts",
            MarketEvidence,
            _judge,
            ("data", "tried", *names, "joined"),
            JUDGE,
        ),
    ]


def _try(work: Work, at: At, made: Made) -> Tried:
    """Log, beside the walk, what it tries; read what earlier retrains tried."""
    from riskwright.systems.market.evidence import planned
    from riskwright.systems.market.ingest import panel_of
    from riskwright.systems.market.record import declare, tried_before

    case = of(work)
    panel = panel_of(case, made.one(SeriesData).clean, work.home)
    declare(case, work.home, key=work.key, log=planned(case, panel, work.seed))
    return Tried(keys=tried_before(work.home, case))


def _walk(model: str) -> Step:
    def walk(work: Work, at: At, made: Made) -> Walked:
        """Forecast one model at every origin, with every family."""
        from riskwright.systems.market.candidates import walk_model

        return walk_model(
            of(work),
            work.home,
            data=made.one(SeriesData).clean,
            model=model,
            seed=work.seed,
            folder=at.folder,
            progress=at.progress,
        )

    return Step(f"walk_{model}", f"walk forward, {model}", Walked, walk, ("data",), WALK)


def _join(work: Work, at: At, made: Made) -> Joined:
    """Ensemble, intervals and weights at each origin; the live members."""
    from riskwright.systems.market.candidates import join_models

    return join_models(
        of(work),
        work.home,
        data=made.one(SeriesData).clean,
        walks=made.every(Walked),
        seed=work.seed,
        folder=at.folder,
    )


def _judge(work: Work, at: At, made: Made) -> MarketEvidence:
    """Skill and coverage by test, the as-of test, the backtest; the choice (counted)."""
    from riskwright.systems.market.evidence import gather

    data = made.one(SeriesData).clean
    work.ledger.count_reading(data, work.case.name, "evaluate", work.key)
    return gather(
        of(work),
        work.home,
        data=data,
        walks=made.every(Walked),
        joined=made.one(Joined),
        tried=made.one(Tried).keys,
        seed=work.seed,
        folder=at.folder,
        progress=at.progress,
        changed=changes(work.home, work.ledger, work.case, work.key),
    )


def of(work: Work) -> MarketCase:
    """Return the case of a market's run."""
    assert isinstance(work.case, MarketCase)  # noqa: S101  (its kind says so)
    return work.case
