"""Markets as a system: what will US equities return, and how much we should hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from riskwright.life.system import Columns, Served
    from riskwright.systems.market.case import MarketCase


class Market:
    """What ``life`` asks of the kind ``market``. Its modules bring pandas: loaded when needed."""

    kind = "market"

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

    def logged_metrics(
        self, evidence: Mapping[str, Any], roles: Collection[str]
    ) -> dict[str, dict[str, float]]:
        """Return what each of a retrain's runs in MLflow was given, by role, from its evidence."""
        from riskwright.life.tracking import PARENT
        from riskwright.systems.market.record import logged_metrics

        return logged_metrics(dict(evidence), set(roles) - {PARENT})


SYSTEM = Market()
