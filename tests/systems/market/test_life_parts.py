"""What the life of a market forecast is made of: tables, ingest, answers, proofs, scenarios."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_market import market_case, series, write_series

from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.store import snapshots
from riskwright.systems.market import forecast_columns, lookahead
from riskwright.systems.market.case import MarketCase
from riskwright.systems.market.ingest import check, evaluated, ingest, notes, panel_of
from riskwright.systems.market.model_forecasts import join, learnt
from riskwright.systems.market.panel import Panel, assemble, read_store
from riskwright.systems.market.refit_schedule import RefitSchedule
from riskwright.systems.market.scenario import further_months
from riskwright.systems.market.series_spec import Series
from riskwright.systems.market.tables import at, from_table, read_months, to_table, write_months
from riskwright.systems.market.walk import walk

CASE = market_case(models={"m1": {"horizon": 1}}, walk={"min_train": 720})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_series(tmp_path_factory.mktemp("series"), series())


@pytest.fixture(scope="module")
def store(folder: Path) -> dict[str, Series]:
    return read_store(CASE, folder)


@pytest.fixture(scope="module")
def panel(store: dict[str, Series]) -> Panel:
    return assemble(CASE, store)


@pytest.fixture(scope="module")
def walked(panel: Panel) -> pd.DataFrame:
    return walk(panel, "m1", list(CASE.families), min_train=720).forecasts


# ---- tables and ingest


def test_series_survive_a_snapshot_to_the_last_bit(
    folder: Path, store: dict[str, Series], panel: Panel, home: Home
) -> None:
    back = from_table(CASE, to_table(store))
    for name, one in store.items():
        pd.testing.assert_series_equal(back[name].values, one.values, check_names=False)
        assert back[name].stale == one.stale
    found = ingest(CASE, folder, home)
    again = panel_of(CASE, found.snapshot.hash, home)
    pd.testing.assert_frame_equal(again.X, panel.X)
    pd.testing.assert_series_equal(again.targets["m1"], panel.targets["m1"])
    assert ingest(CASE, folder, home).snapshot.hash == found.snapshot.hash
    manifest = snapshots.chain(found.snapshot.hash, home)[0]
    assert manifest["meta"]["newest_origin"] == "2018-11"
    assert manifest["meta"]["sources"]["series.csv"].startswith("sha256 ")
    early = panel_of(CASE, found.snapshot.hash, home, "2010-12")
    assert early.as_of == pd.Period("2010-12")


def test_a_daily_series_survives_too() -> None:
    days = pd.date_range("2000-01-03", periods=30, freq="B", name="date")
    spec = {
        "source": "x.csv", "column": "c", "kind": "price_close", "frequency": "daily",
        "lag": "0d", "revisions": "none",
    }  # fmt: skip
    plain = CASE.model_dump()
    plain["series"]["daily_price"] = spec
    plain["context"] = ["volatility_daily"]
    case = MarketCase.model_validate(plain)
    one = Series("daily_price", case.series["daily_price"], pd.Series(range(1, 31), days), 3)
    table = to_table({"daily_price": one})
    others = {n: table.iloc[:0] for n in case.series if n != "daily_price"}
    back = from_table(case, pd.concat([table, *others.values()]))["daily_price"]
    assert (back.values.index == days).all()
    assert back.values.tolist() == list(range(1, 31))


def test_months_survive_parquet(tmp_path: Path, panel: Panel) -> None:
    write_months(tmp_path / "x.parquet", panel.X)
    back = read_months(tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(back, panel.X, check_freq=False)
    assert at(back, panel.as_of).equals(panel.X.iloc[-1])


def case(**changes: Any) -> MarketCase:
    return market_case(**({"models": {"m1": {"horizon": 1}}} | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"families": ["mean", "ridge"]}, "the family 'combination_ct' is missing"),
        ({"families": ["mean", "combination_ct", "gru"]}, "the panel has no sequences"),
        ({"walk": {"min_train": 480, "first": "1950-01"}}, "can't be forecast at 1950-01"),
        ({"walk": {"min_train": 480, "first": "2017-01"}}, "22 of its forecasts have an outcome"),
        ({"walk": {"min_train": 480, "first": "2030-01"}}, "0 of its forecasts have an outcome"),
        ({"walk": {"min_train": 720}, "models": {"m120": {"horizon": 120}}}, "the data can't hold"),
    ],
)
def test_what_would_fail_later_is_refused_first(
    folder: Path, home: Home, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputRefused) as refused:
        ingest(case(**changes), folder, home)
    assert words in str(refused.value)
    assert not (home.root / "snapshots").exists()


def test_forecasts_are_judged_from_the_first_stated_origin(panel: Panel) -> None:
    assert str(evaluated(CASE, panel, "m1")[0]) == "1986-06"
    later = case(walk={"min_train": 720, "first": "1990-01"})
    assert str(evaluated(later, panel, "m1")[0]) == "1990-01"
    check(later, replace(panel, case=later))
    assert "Their lag makes the time honest" in notes(CASE)[0]


# ---- answers


def test_every_forecast_is_answered_with_what_was_known(panel: Panel, walked: pd.DataFrame) -> None:
    found = join(CASE, panel, "m1", walked, 0)
    for kind, table in found.answers.items():
        assert list(table.columns) == forecast_columns.COLUMNS
        assert not table.isna().any(axis=None)
        assert table["weight"].between(0, 1.5).all()
        assert (table["low95"] < table["low80"]).all()
        assert (table["low80"] < table["high80"]).all()
        spread = table["member_max"] - table["member_min"]
        assert (spread >= 0).all()
        assert (spread == 0).all() == (kind == "mean")
    ensemble, weights = found.answers["ensemble"], found.weights.loc[walked.index]
    mean = walked["mean"]
    by_hand = mean + (weights * walked[list(weights)].sub(mean, axis=0)).sum(axis=1)
    np.testing.assert_allclose(ensemble["forecast"], by_hand.clip(lower=0), atol=1e-15)
    moved = ensemble["forecast"] - mean
    np.testing.assert_allclose(found.contributions.sum(axis=1), moved, atol=1e-15)
    assert found.trial["family"] == "ensemble"
    past = (panel.known_at["m1"] <= pd.Period("2000-06")) & panel.targets["m1"].notna()
    assert learnt(CASE, panel, "m1")[pd.Period("2000-06")] == past.sum()


def test_weights_fall_with_risk_and_doubt_and_keep_their_bounds() -> None:
    months = pd.period_range("2000-01", periods=3, freq="M")

    def weight(**changes: float) -> pd.DataFrame:
        given = {"sd": 0.15, "cash": 0.02, "learnt": 600.0, "disagreement": 0.01} | changes
        columns = {name: pd.Series(value, months) for name, value in given.items()}
        forecasts = pd.DataFrame({"ensemble": 0.08, "historical_mean": 0.07}, months)
        return forecast_columns.weights(CASE, 12, forecasts, mean="historical_mean", **columns)

    base = weight()["ensemble"].iloc[0]
    assert 0 < base < 1.5
    assert weight(sd=0.3)["ensemble"].iloc[0] < base
    assert weight(disagreement=0.1)["ensemble"].iloc[0] < base
    assert weight(learnt=30.0)["ensemble"].iloc[0] < base
    # The members' disagreement is no doubt about the historical mean.
    assert weight(disagreement=0.1)["historical_mean"].equals(weight()["historical_mean"])
    assert weight(cash=0.2)["ensemble"].iloc[0] == 0
    assert weight(sd=0.02)["ensemble"].iloc[0] == 1.5
    assert weight(cash=np.nan).isna().all(axis=None)


def test_cash_is_what_was_known_of_it(panel: Panel) -> None:
    known = forecast_columns.known_cash(panel)
    assert known[panel.as_of] == panel.risk_free.iloc[-1]
    np.testing.assert_allclose(forecast_columns.over_horizon(known, 1), known, atol=1e-15)
    assert forecast_columns.over_horizon(known, 12)[panel.as_of] > 12 * known[panel.as_of]
    real = market_case(target={"kind": "real_total"})
    cash = forecast_columns.known_cash(replace(panel, case=real))
    # The mean of twelve months, two of which the consumer prices' lag hides.
    assert cash[panel.as_of] == pytest.approx(panel.risk_free.iloc[-13:-1].mean())


# ---- the as-of test


def test_nothing_said_before_changes(
    store: dict[str, Series], panel: Panel, walked: pd.DataFrame
) -> None:
    origins = lookahead.dates(CASE, panel, 0)
    assert len(origins) == CASE.gates.as_of_dates
    told: list[float] = []
    assert lookahead.prove(CASE, store, origins, progress=told.append) == []
    assert told == [0.5, 1.0]
    garch = join(CASE, panel, "m1", walked, 0).basis["garch"]
    assert lookahead.prove_answers(CASE, panel, "m1", walked, garch, origins) == []
    leaky = garch.shift(-1).ffill()
    found = lookahead.prove_answers(CASE, panel, "m1", walked, leaky, origins)
    assert "the volatility model of m1" in found[0]


def test_a_family_that_learns_from_the_future_is_caught(
    store: dict[str, Series], panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = RefitSchedule._usable
    monkeypatch.setattr(RefitSchedule, "_usable", lambda self, at: honest(self, min(at + 2, 1109)))
    found = lookahead.prove(CASE, store, [pd.Period("2000-06")])
    assert any("'returns' changes the forecast of m1, ridge" in line for line in found)


def test_an_ensemble_that_learns_from_the_future_is_caught(
    panel: Panel, walked: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    from riskwright.systems.market import ensemble

    garch = join(CASE, panel, "m1", walked, 0).basis["garch"]
    monkeypatch.setattr(ensemble, "trainable", lambda known, *_: np.ones(len(known), dtype=bool))
    found = lookahead.prove_answers(CASE, panel, "m1", walked, garch, [pd.Period("2000-06")])
    assert any("the ensemble of m1" in line for line in found)


# ---- scenarios


def test_further_months_continue_every_series(store: dict[str, Series]) -> None:
    calm = further_months(store, 36, seed=1)
    changed = further_months(store, 36, seed=1, change=True)
    for name, one in store.items():
        assert calm[name].values.index[-1] == pd.Period("2021-11")
        assert calm[name].values.loc[one.values.index].equals(one.values)
        assert len(calm[name].values) == len(changed[name].values)
    assert further_months(store, 36, seed=1)["aaa"].values.equals(calm["aaa"].values)
    new = pd.period_range("2019-01", "2021-11", freq="M")
    assert changed["aaa"].values[new].mean() > calm["aaa"].values[new].mean() + 0.01
    assert changed["returns"].values[new].std() > 1.5 * calm["returns"].values[new].std()
    assert assemble(CASE, changed).as_of == pd.Period("2021-11")


def test_too_short_a_past_is_no_source_of_months(store: dict[str, Series]) -> None:
    short = {**store, "cpi": store["cpi"].cut(pd.Period("1960-01"))}
    with pytest.raises(InputRefused, match="in common"):
        further_months(short, 12, seed=0)
