"""Predictors: each against its definition, with its lags, and against other sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskwright.systems.market.case import load_market_case
from riskwright.systems.market.panel import read_store
from riskwright.systems.market.predictors import PREDICTORS, SERIES, View, features
from riskwright.systems.market.series import load_series
from riskwright.systems.market.series_spec import Series, SeriesSpec

MONTHS = pd.period_range("1990-01", periods=180, freq="M")
ORIGINS = pd.period_range("1990-06", "2004-12", freq="M")
LAGS = {"dividend": 3, "earnings": 5, "cpi": 1}


def series(name: str, values: Any, index: pd.Index = MONTHS, stale: int = 0, **spec: Any) -> Series:
    kind = spec.pop("kind", SERIES[name][0][0])
    lag = f"{LAGS.get(name, 0)}m"
    made = SeriesSpec(**{"source": "x", "column": name, "kind": kind, "lag": lag, **spec})
    return Series(name, made, pd.Series(np.asarray(values, dtype=float), index=index), stale)


def random_store() -> dict[str, Series]:
    rng = np.random.default_rng(7)
    level = {
        name: np.exp(np.cumsum(rng.normal(0.003, 0.03, len(MONTHS))))
        for name in ("price", "dividend", "earnings", "cpi")
    }
    rate = {
        name: 0.05 + 0.01 * rng.normal(size=len(MONTHS)).cumsum() / 10
        for name in ("long_rate", "bill_rate", "aaa", "baa")
    }
    days = pd.bdate_range("1990-01-01", "2004-12-31")
    daily = np.exp(np.cumsum(rng.normal(0, 0.01, len(days))))
    found = {name: series(name, values) for name, values in (level | rate).items()}
    found["daily_price"] = series("daily_price", daily, days, frequency="daily")
    found["implied_volatility"] = series("implied_volatility", daily, days, frequency="daily")
    for name in ("size", "value", "production"):
        found[name] = series(name, rng.normal(0, 0.03, len(MONTHS)))
    return found


def by_hand(store: dict[str, Series], a: pd.Period) -> dict[str, float]:
    """Every predictor at one origin, from its definition, value by value."""
    v = {name: s.values for name, s in store.items()}
    cape = np.mean([v["earnings"][a - 5 - k] / v["cpi"][a - 5 - k] for k in range(120)])
    cape *= v["cpi"][a - 1] / v["price"][a]
    yearly = (v["cpi"][a - 1] / v["cpi"][a - 121]) ** 0.1 - 1
    changes = [np.log(v["price"][a - k] / v["price"][a - k - 1]) for k in range(12)]
    closes = v["daily_price"]
    daily = np.log(closes / closes.shift(1))[closes.index.to_period("M") == a]
    last_day = v["implied_volatility"][closes.index.to_period("M") == a].iloc[-1]
    return {
        "log_dp": np.log(v["dividend"][a - 3] / v["price"][a]),
        "log_ep": np.log(v["earnings"][a - 5] / v["price"][a]),
        "log_de": np.log(v["dividend"][a - 3] / v["earnings"][a - 5]),
        "log_cape_yield": np.log(cape),
        "long_rate": v["long_rate"][a],
        "aaa_yield": v["aaa"][a],
        "bill_rate": v["bill_rate"][a],
        "term_spread": v["long_rate"][a] - v["bill_rate"][a],
        "default_spread": v["baa"][a] - v["aaa"][a],
        "inflation": np.log(v["cpi"][a - 1] / v["cpi"][a - 13]),
        "momentum": np.log(v["price"][a] / v["price"][a - 12]),
        "volatility": np.std(changes, ddof=1) * np.sqrt(12),
        "volatility_daily": np.sqrt(252 * np.mean(daily**2)),
        "implied_volatility": last_day,
        "production_growth": sum(v["production"][a - k] for k in range(12)),
        "real_rate_gap": cape - (v["long_rate"][a] - yearly),
        "size": sum(np.log1p(v["size"][a - k]) for k in range(12)),
        "value": sum(np.log1p(v["value"][a - k]) for k in range(12)),
    }


@pytest.mark.parametrize("month", ["2001-03", "2002-11", "2004-12"])
def test_every_predictor_is_what_its_definition_says(month: str) -> None:
    store, origin = random_store(), pd.Period(month, "M")
    expected = by_hand(store, origin)
    assert set(expected) == set(PREDICTORS)
    table = features(View(store, ORIGINS), PREDICTORS)
    assert list(table.columns) == list(PREDICTORS)
    for name, value in expected.items():
        assert table.loc[origin, name] == pytest.approx(value, rel=1e-9), name


def test_a_predictor_is_missing_until_its_window_is_full() -> None:
    table = features(View(random_store(), ORIGINS), ["momentum", "log_dp", "log_cape_yield"])
    first = {name: column.first_valid_index() for name, column in table.items()}
    assert first["momentum"] == MONTHS[12]
    assert first["log_dp"] == ORIGINS[0]
    assert first["log_cape_yield"] == MONTHS[119] + 5


def test_returns_serve_where_there_is_no_price() -> None:
    store = {"returns": series("returns", np.full(len(MONTHS), 0.01))}
    table = features(View(store, ORIGINS), ["momentum", "volatility"])
    assert table["momentum"].iloc[-1] == pytest.approx(12 * np.log(1.01))
    assert table["volatility"].iloc[-1] == pytest.approx(0, abs=1e-12)


def test_a_bill_given_by_its_monthly_return_becomes_a_rate_a_year() -> None:
    store = {"bill_rate": series("bill_rate", np.full(len(MONTHS), 0.002), kind="return")}
    assert features(View(store, ORIGINS), ["bill_rate"]).iloc[-1, 0] == pytest.approx(0.024)


def test_production_may_be_a_level() -> None:
    store = {"production": series("production", 1.01 ** np.arange(len(MONTHS)), kind="index")}
    found = features(View(store, ORIGINS), ["production_growth"])
    assert found.iloc[-1, 0] == pytest.approx(12 * np.log(1.01))


def test_a_monthly_implied_volatility_is_taken_as_it_is() -> None:
    store = {"implied_volatility": series("implied_volatility", np.arange(1.0, 181.0))}
    assert features(View(store, ORIGINS), ["implied_volatility"]).iloc[-1, 0] == 180.0


def test_a_loss_has_no_logarithm() -> None:
    earnings = np.ones(len(MONTHS))
    earnings[100] = -1.0
    store = {
        "earnings": series("earnings", earnings, lag="0m"),
        "price": series("price", np.ones(len(MONTHS))),
    }
    table = features(View(store, ORIGINS), ["log_ep"])
    assert np.flatnonzero(table["log_ep"].isna()) == ORIGINS.get_loc(MONTHS[100])


@pytest.mark.parametrize(("stale", "filled"), [(0, 0), (2, 2), (3, 3)])
def test_a_late_value_stands_in_no_longer_than_its_limit(stale: int, filled: int) -> None:
    short = series("cpi", np.ones(100), MONTHS[:100], stale=stale)
    seen = View({"cpi": short}, MONTHS).level("cpi")
    assert seen.last_valid_index() == MONTHS[99] + 1 + filled  # its lag is one month


def test_a_daily_lag_moves_the_last_days_into_the_next_month() -> None:
    days = pd.bdate_range("2000-01-03", "2000-03-31")
    vix = series("implied_volatility", range(len(days)), days, frequency="daily", lag="1d")
    seen = View({"implied_volatility": vix}, pd.period_range("2000-01", "2000-03", freq="M"))
    table = features(seen, ["implied_volatility"])
    # Published on 1 February: the close of 31 January isn't seen at January's end.
    assert table.iloc[0, 0] == days.get_loc("2000-01-28")


# ---- real data, against other sources


def test_shillers_own_cape_is_met(shared_data: Path) -> None:
    """His PE10 uses the month's own figures: with no lags ours is the same ratio."""
    folder = shared_data / "market"
    case = load_market_case("market_return_shiller")
    names = ("price", "earnings", "cpi")
    specs = {
        n: case.series[n].model_copy(
            update={"lag": "0m", "published_late": False, "revisions": "none"}
        )
        for n in names
    }
    store = load_series(specs, folder)
    pe10 = SeriesSpec(
        source="shiller_monthly.csv", column="PE10", kind="flow", zero_is_missing=True
    )
    published = load_series({"x": pe10}, folder)["x"].values
    ours = features(View(store, published.index), ["log_cape_yield"])["log_cape_yield"]
    both = (-ours - np.log(published)).dropna()
    assert len(both) > 1700
    assert both.abs().median() < 0.005
    assert both.abs().quantile(0.99) < 0.02


def test_yields_from_arch_and_from_fred_md_are_the_same(shared_data: Path) -> None:
    arch = read_store(load_market_case("market_return"), None)
    fred = read_store(load_market_case("market_return_shiller"), shared_data / "market")
    for name in ("aaa", "baa"):
        both = pd.concat([arch[name].values, fred[name].values], axis=1, join="inner")
        assert len(both) == 720
        assert (both.iloc[:, 0] - both.iloc[:, 1]).abs().max() < 0.0002, name
    months = arch["bill_rate"].values * 12
    apart = (months - fred["bill_rate"].values.shift(1)).dropna()
    assert apart.abs().median() < 0.005  # one-month and three-month bills


def test_volatility_peaks_in_the_months_that_are_known_for_it(shared_data: Path) -> None:
    store = read_store(load_market_case("market_return_shiller"), shared_data / "market")
    origins = pd.period_range("1928-01", "2023-12", freq="M")
    found = features(View(store, origins), ["volatility_daily", "implied_volatility"])
    assert [str(m) for m in sorted(found["volatility_daily"].nlargest(4).index)] == [
        "1929-10", "1987-10", "2008-10", "2020-03",
    ]  # fmt: skip
    assert str(found["implied_volatility"].idxmax()) in ("2008-10", "2008-11", "2020-03")
    both = found.dropna()
    assert both.corr().iloc[0, 1] > 0.8
