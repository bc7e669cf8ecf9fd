"""The monitor of a market forecast: quiet months, an injected change, what opens an alert."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_market import LiveMarket, market_case, series, write_series

from riskwright.errors import InputRefused
from riskwright.systems.market.candidates import read_joined
from riskwright.systems.market.ingest import panel_of
from riskwright.systems.market.life import load_forecast
from riskwright.systems.market.monitoring import (
    Since,
    check_coverage,
    check_errors,
    check_predictors,
    monitor_market,
    since_training,
)
from riskwright.systems.market.panel import assemble, read_store
from riskwright.systems.market.scenario import further_months

NAME = "tiny_market"


def watch(market: LiveMarket, change: bool, months: int = 60, seed: int = 1) -> dict:
    store = read_store(market.case, market.folder)
    further = further_months(store, months, seed=seed, change=change)
    return monitor_market(NAME, market.home, market.ledger, store=further)


def test_right_after_training_there_is_not_enough_data(market: LiveMarket) -> None:
    found = monitor_market(NAME, market.home, market.ledger)
    assert set(found["verdicts"].values()) == {"not enough data"}
    assert (found["alarm"], found["alert"], found["months_since"]) == (False, None, 0)
    assert "0 outcomes since training, 24 needed" in found["findings"][-2]["detail"]
    assert "a clean one" in Path(found["report"]).read_text(encoding="utf-8")


def test_months_like_the_past_are_no_alarm(market: LiveMarket) -> None:
    found = watch(market, change=False, seed=3)
    assert found["verdicts"] == {
        "predictors": "ok",
        "error": "ok",
        "coverage": "ok, not enough data of m12",  # of 60 overlapping years, all could be outside
    }
    assert found["alert"] is None
    assert found["months_since"] == 60
    predictors = [f for f in found["findings"] if f["family"] == "predictors"]
    assert {f["column"] for f in predictors} == set(market.case.predictors)
    judged = [f for f in found["findings"] if f["verdict"] != "not enough data"]
    assert {f["column"] for f in found["findings"]} - {f["column"] for f in judged} == set()
    assert all(0 <= f["p_value"] <= 1 for f in judged)


def test_an_injected_change_opens_one_alert_with_a_page(market: LiveMarket) -> None:
    found = watch(market, change=True)
    assert found["alarm"]
    assert found["verdicts"]["predictors"] == "alarm"
    alarmed = {(f["column"], f["code"]) for f in found["findings"] if f["alarm"]}
    assert ("momentum", "swings") in alarmed
    assert found["severity"] in ("medium", "high")
    alert = market.ledger.alert(found["alert"])
    assert (alert.status, alert.version) == ("open", found["version"])
    assert {f["column"] for f in alert.findings} == {column for column, _ in alarmed}
    page = Path(found["report"]).read_text(encoding="utf-8")
    assert "<svg" in page
    assert "momentum, 12 months" in page
    assert not re.search(r'(src|href)="http', page)
    kept = json.loads((Path(found["report"]).parent / "findings.json").read_text())
    assert kept["alert"] == found["alert"]
    assert market.ledger.findings(NAME, found["batch"])[-1].findings
    again = watch(market, change=True)
    assert (again["alert"], again["batch"]) == (found["alert"], found["batch"])
    assert market.ledger.alert(found["alert"]).seen == 2


def test_a_folder_of_newer_months_is_read_and_cut_at_a_date(
    market: LiveMarket, tmp_path: Path
) -> None:
    folder = write_series(tmp_path, series(planted=True, end="2018-12"))
    found = monitor_market(NAME, market.home, market.ledger, input=str(folder))
    assert (found["origin"], found["months_since"]) == ("2018-11", 95)
    counts = [f["detail"] for f in found["findings"] if f["family"] == "error"]
    assert "over 95 outcomes" in " ".join(counts)
    early = monitor_market(NAME, market.home, market.ledger, input=str(folder), as_of="2011-12-31")
    assert (early["origin"], early["months_since"]) == ("2011-12", 12)
    assert set(early["verdicts"].values()) == {"not enough data"}
    with pytest.raises(InputRefused, match="ends before the as-of date"):
        monitor_market(NAME, market.home, market.ledger, input=str(folder), as_of="2019-06")


def test_returns_that_were_open_in_training_are_watched_too(
    market: LiveMarket, tmp_path: Path
) -> None:
    """Twelve-month forecasts of the year before the newest origin were made, not yet judged."""
    folder = write_series(tmp_path, series(planted=True, end="2011-12"))
    joined = market.joined
    bundle = load_forecast(market.home, market.ledger, NAME, "m12")
    panel = assemble(market.case, read_store(market.case, folder))
    found = since_training(bundle, joined, panel)
    walked = read_joined(joined, "m12", "answers_ensemble")
    open_then = read_joined(joined, "m12", "forecasts").loc[walked.index, "actual"].isna()
    assert list(found.now.index) == list(walked.index[open_then])
    assert found.now.index[-1] == bundle.newest == pd.Period("2010-12")
    np.testing.assert_array_equal(found.now["forecast"], walked.loc[open_then, "forecast"])
    assert not found.before.index.intersection(found.now.index).size


def test_a_missing_month_of_a_predictor_does_not_blind_the_others_nor_it(
    market: LiveMarket,
) -> None:
    store = further_months(read_store(market.case, market.folder), 60, seed=3)
    panel = assemble(market.case, store)
    trained = panel_of(market.case, market.trained.data.clean, market.home)
    panel.X.loc[panel.X.index[-20], "inflation"] = np.nan
    found = check_predictors(market.case, trained, panel)
    assert {f.column for f in found} == set(market.case.predictors)
    assert all(f.p_value is not None for f in found)


def since(mean: float, spread: float, n: int = 240, h: int = 1) -> Since:
    """Outcomes that are off by so many standard deviations, spread so many times as stated."""
    rng = np.random.default_rng(5)

    def table(size: int, mean: float, spread: float, start: str) -> pd.DataFrame:
        months = pd.period_range(start, periods=size, freq="M")
        ends = {f"low{k}": -z * 0.04 for k, z in ((80, 1.2816), (95, 1.96))}
        ends |= {f"high{k}": z * 0.04 for k, z in ((80, 1.2816), (95, 1.96))}
        outcome = 0.04 * (mean + spread * rng.normal(size=size))
        frame = {"forecast": 0.0, "sd": 0.04, **ends, "actual": outcome}
        return pd.DataFrame(frame, months)

    return Since(table(600, 0.0, 1.0, "1950-01"), table(n, mean, spread, "2000-01"), h)


@pytest.mark.parametrize(
    ("mean", "spread", "error", "coverage"),
    [
        (0.0, 1.0, "ok", "ok"),
        (-1.0, 1.0, "alarm", "alarm"),
        (0.0, 1.8, "ok", "alarm"),
        (0.0, 0.2, "ok", "alarm"),  # intervals far too wide mislead the weights as well
    ],
)
def test_errors_and_coverage_each_see_their_own_change(
    mean: float, spread: float, error: str, coverage: str
) -> None:
    one = {"m1": since(mean, spread)}
    case = market_case()
    assert {f.verdict for f in check_errors(case, one)} == {error}
    verdicts = {f.verdict for f in check_coverage(case, one)}
    assert ("alarm" in verdicts) == (coverage == "alarm")


def test_overlapping_outcomes_need_four_horizons() -> None:
    case = market_case()
    few = {"m12": since(-3.0, 1.0, n=47, h=12)}
    assert [f.verdict for f in check_errors(case, few)] == ["not enough data"]
    assert [f.verdict for f in check_coverage(case, few)] == ["not enough data"]
    assert "47 outcomes since training, 48 needed" in check_errors(case, few)[0].detail


def test_coverage_is_only_called_clean_where_it_could_have_been_called_off() -> None:
    case = market_case()
    for n, h, verdicts in ((60, 12, {"not enough data"}), (240, 12, {"alarm"}), (40, 1, {"alarm"})):
        gone = {f"m{h}": since(-9.0, 0.01, n=n, h=h)}  # not one outcome inside
        assert {f.verdict for f in check_coverage(case, gone)} == verdicts


def test_a_date_before_the_training_is_refused(market: LiveMarket) -> None:
    with pytest.raises(InputRefused, match="was trained on what was known in"):
        monitor_market(NAME, market.home, market.ledger, as_of="2009-06")


def test_a_market_without_a_champion_is_refused(market: LiveMarket) -> None:
    with pytest.raises(InputRefused, match="has no champion"):
        monitor_market("market_return", market.home, market.ledger)
