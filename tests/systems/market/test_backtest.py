"""The strategies of a backtest are paid for the months that their forecasts are about."""

from __future__ import annotations

import pytest
from tiny_market import LiveMarket

from riskwright.systems.market.backtest_report import steering, strategies_of
from riskwright.systems.market.checks import BENCHMARK
from riskwright.systems.market.ingest import panel_of


@pytest.mark.parametrize("skip", [0, 1, 3])
def test_a_forecast_that_skips_months_earns_the_month_it_is_about(
    market: LiveMarket, skip: int
) -> None:
    of = market.submission
    panel, model = panel_of(of.case, of.series, of.home), steering(of.case)
    found = {}
    for months in (0, skip):
        spec = of.case.models[model].model_copy(update={"skip": months})
        case = of.case.model_copy(update={"models": {**of.case.models, model: spec}})
        found[months] = strategies_of(case, panel, of.joined)[0].weights[BENCHMARK].dropna()
    late, at_once = found[skip], found[0]
    assert late.index[0] == at_once.index[0] + skip
    assert late.iloc[:60].tolist() == at_once.iloc[:60].tolist()
