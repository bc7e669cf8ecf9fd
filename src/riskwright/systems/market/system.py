"""Markets as a system: what will US equities return, and how much we should hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from riskwright.home import Home
    from riskwright.ledger import Ledger
    from riskwright.life.steps import Made, Step, Work
    from riskwright.life.submission import Submission
    from riskwright.life.system import Columns, Served
    from riskwright.life.tracking import Tracker
    from riskwright.systems.market.case import MarketCase
    from riskwright.systems.market.records import SeriesData


class Market:
    """What ``life`` asks of the kind ``market``. Its modules bring pandas: loaded when needed."""

    kind = "market"
    about = "forecasts a market"

    def case(self) -> type[MarketCase]:
        """Return the class of its use cases."""
        from riskwright.systems.market.case import MarketCase

        return MarketCase

    def parse(self, text: str, *, where: str, folder: Path | None = None) -> MarketCase:
        """Read the YAML text of a market case; its series name files of the data folder."""
        from riskwright.systems.market.case import parse_market_case

        return parse_market_case(text, where=where)

    def open(self, folder: Path, digest: str | None) -> Served:
        """Read a bundle whose files were checked."""
        from riskwright.systems.market.bundle import ForecastBundle

        return ForecastBundle.load(folder, digest)

    def columns(self, case: MarketCase, model: str) -> Columns:
        """Predictors month by month in, the forecast and the weight out."""
        from riskwright.life.system import Columns
        from riskwright.systems.market.bundle import COLUMNS

        given = ("origin", *case.predictors, *case.context, "change", "cash")
        outputs: Any = dict.fromkeys(COLUMNS, "number") | {"model_version": "whole"}
        return Columns(dict.fromkeys(given, True), outputs)

    def ingest(self, case: MarketCase, location: str | None, home: Home) -> SeriesData:
        """Read, check and store the series."""
        from riskwright.systems.market.steps import ingest

        return ingest(case, location, home)

    def steps(self, case: MarketCase) -> Sequence[Step]:
        """Walk forward with each model, join the ensemble, judge by test."""
        from riskwright.systems.market.steps import steps

        return steps(case)

    def log(self, work: Work, tracker: Tracker, parent: str, made: Made) -> None:
        """Write figures, the report and the trials, and a child run for each family."""
        from riskwright.systems.market.record import record
        from riskwright.systems.market.steps import of

        record(of(work), tracker, parent, made)

    def submission(self, work: Work, run_id: str, made: Made) -> Submission:
        """Return the models, as one set, with their evidence."""
        from riskwright.systems.market.life import MarketSubmission
        from riskwright.systems.market.records import Joined, MarketEvidence, SeriesData

        return MarketSubmission(
            **MarketSubmission.common(work, run_id),
            series=made.one(SeriesData).clean,
            joined=made.one(Joined),
            evidence=made.one(MarketEvidence),
        )

    def told(self, made: Made) -> dict[str, Any]:
        """Return each model's skill, what is deployed of it, and the backtest."""
        from riskwright.systems.market.records import MarketEvidence, Walked

        evidence = made.one(MarketEvidence)
        keep = ("deployed", "models", "origins", "trials", "strategy")
        return {
            **{name: value for name, value in evidence.plain().items() if name in keep},
            "walk_seconds": {walk.model: walk.seconds for walk in made.every(Walked)},
            "report": str(evidence.place / "backtest" / "report.html"),
        }

    def logged_metrics(
        self, evidence: Mapping[str, Any], roles: Collection[str]
    ) -> dict[str, dict[str, float]]:
        """Return what each of a retrain's runs in MLflow was given, by role, from its evidence."""
        from riskwright.life.tracking import PARENT
        from riskwright.systems.market.record import logged_metrics

        return logged_metrics(dict(evidence), set(roles) - {PARENT})

    def monitor(
        self,
        name: str,
        home: Home,
        ledger: Ledger,
        *,
        input: str | None,
        labels: str | None,
        as_of: str | None,
        version: str | None,
    ) -> dict[str, Any]:
        """Hold the live forecast against what came since its training."""
        from riskwright.errors import InputRefused
        from riskwright.systems.market.monitoring import monitor_market

        if labels is not None:
            raise InputRefused(
                "the outcomes of a market forecast are in its series", expected="no --labels"
            )
        if version is not None:
            raise InputRefused(
                "a market's live forecast is watched, from its own training on",
                expected="no --version",
            )
        return monitor_market(name, home, ledger, input=input, as_of=as_of)

    def forecast(
        self,
        name: str,
        home: Home,
        ledger: Ledger,
        *,
        horizon: str | None,
        as_of: str | None,
        data: str | None,
    ) -> dict[str, Any]:
        """Say what the market will return, how sure that is, what to hold, and why."""
        from riskwright.systems.market.forecasting import forecast_of

        return forecast_of(name, home, ledger, horizon=horizon, as_of=as_of, data=data)

    def backtest(self, name: str, home: Home, ledger: Ledger, *, output: Path) -> dict[str, Any]:
        """Report on all forecasts of the live version's walk-forward."""
        from riskwright.systems.market.backtest import backtest

        return backtest(name, home, ledger, output)


SYSTEM = Market()
