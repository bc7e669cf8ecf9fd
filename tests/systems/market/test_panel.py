"""The panel: targets by hand, the purge, what may not be seen, and what can't be built."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from riskwright.errors import InputRefused
from riskwright.systems.market import predictors
from riskwright.systems.market.case import MarketCase, load_market_case
from riskwright.systems.market.forecast_columns import known_cash
from riskwright.systems.market.panel import (
    Panel,
    assemble,
    build_panel,
    changed,
    month_of,
    read_store,
)
from riskwright.systems.market.series_spec import Series

MONTHS = pd.period_range("1980-01", periods=120, freq="M")
SERIES = {
    "price": {
        "source": "p",
        "column": "p",
        "kind": "price_average",
        "lag": "0m",
        "revisions": "none",
    },
    "dividend": {"source": "p", "column": "d", "kind": "flow", "lag": "3m", "revisions": "none"},
    "cpi": {"source": "p", "column": "c", "kind": "index", "lag": "15d", "revisions": "none"},
    "bill_rate": {"source": "p", "column": "b", "kind": "yield", "lag": "1m", "revisions": "none"},
}


def small(**changes: Any) -> MarketCase:
    plain = {
        "name": "small",
        "title": "Small",
        "question": "What next?",
        "series": SERIES,
        "target": {"kind": "real_total"},
        "models": {"m1": {"horizon": 1, "skip": 1}, "m3": {"horizon": 3, "skip": 1}},
        "predictors": {"log_dp": "increasing", "momentum": None},
        "context": ["bill_rate", "inflation"],
        "steps": 6,
        "walk": {"min_train": 24},
        "families": ["mean"],
    }
    return MarketCase.model_validate({**plain, **changes})


def store_of(case: MarketCase, end: dict[str, int] | None = None) -> dict[str, Series]:
    rng = np.random.default_rng(3)
    walks = {name: np.exp(np.cumsum(rng.normal(0.004, 0.02, len(MONTHS)))) for name in case.series}
    walks["bill_rate"] = 0.03 + 0.01 * rng.random(len(MONTHS))
    return {
        name: Series(name, spec, pd.Series(walks[name], index=MONTHS)[: (end or {}).get(name)], 2)
        for name, spec in case.series.items()
    }


@pytest.fixture(scope="module")
def arch() -> tuple[MarketCase, dict[str, Series], Panel]:
    case = load_market_case("market_return")
    store = read_store(case, None)
    return case, store, assemble(case, store)


@pytest.fixture(scope="module")
def shiller(shared_data: Path) -> tuple[MarketCase, dict[str, Series], Panel]:
    case = load_market_case("market_return_shiller")
    store = read_store(case, shared_data / "market")
    return case, store, assemble(case, store)


# ---- targets


def test_targets_are_the_real_returns_after_the_skipped_month() -> None:
    case = small()
    store = store_of(case)
    panel = assemble(case, store)
    p, d, c, b = (store[n].values for n in ("price", "dividend", "cpi", "bill_rate"))
    month = pd.Period("1984-05", "M")
    grown = cash = 1.0
    for m in (month + 2, month + 3, month + 4):
        grown *= (p[m] + d[m] / 12) / p[m - 1] * c[m - 1] / c[m]
        cash *= (1 + b[m - 1] / 12) * c[m - 1] / c[m]
    assert panel.targets["m3"][month] == pytest.approx(grown - 1, rel=1e-9)
    assert panel.cash["m3"][month] == pytest.approx(cash - 1, rel=1e-9)
    assert panel.excess("m3")[month] == pytest.approx(grown - cash, rel=1e-7)
    assert panel.targets["m1"][month] == pytest.approx(panel.returns[month + 2], rel=1e-9)
    pd.testing.assert_series_equal(panel.prices, p, check_names=False)


def test_the_excess_is_what_the_market_returned_above_bills_over_the_same_months() -> None:
    older = SERIES["bill_rate"] | {"lag": "0m"}
    series = SERIES | {"bill_rate": SERIES["bill_rate"] | {"lag": "4m"}, "bill_history": older}
    del series["cpi"]
    case = small(series=series, target={"kind": "excess"}, context=["bill_rate"])
    store = store_of(case)
    early = pd.Period("1982-05", "M")
    cut = store["bill_rate"].values[store["bill_rate"].values.index >= "1983-01"]
    # What came before may end whenever it likes.
    past = store["bill_history"].values[:60]
    store |= {
        "bill_rate": replace(store["bill_rate"], values=cut),
        "bill_history": replace(store["bill_history"], values=past),
    }
    panel = assemble(case, store)
    p, d = (store[n].values for n in ("price", "dividend"))
    for month, b in ((early, past), (pd.Period("1984-05", "M"), cut)):
        grown = cash = 1.0
        for m in (month + 2, month + 3, month + 4):
            grown *= (p[m] + d[m] / 12) / p[m - 1]
            cash *= 1 + b[m - 1] / 12
        assert panel.targets["m3"][month] == pytest.approx(grown - cash, rel=1e-9)
        assert panel.excess("m3")[month] == panel.targets["m3"][month]
        assert panel.known_at["m3"][month] == month + 1 + 3 + 4  # bills come last
    assert (known_cash(panel) == 0).all()
    assert seen_early(case, store, pd.Period("1986-07", "M")) == []


@pytest.mark.parametrize("as_of", [None, "1988-12"])
def test_an_earlier_date_is_advised_only_to_somebody_who_named_one(as_of: str | None) -> None:
    case = small()
    with pytest.raises(InputRefused, match="'cpi' ends before") as no:
        assemble(case, store_of(case, {"cpi": 60}), as_of)
    assert ("--as-of" in no.value.do) is (as_of is not None)


def test_the_first_return_counts_and_the_newest_origin_waits_for_its_own() -> None:
    panel = assemble(small(), store_of(small()))
    assert panel.returns.index[0] == MONTHS[1]
    assert panel.X.index[0] + 2 == MONTHS[1]  # a month is skipped
    assert panel.targets["m1"].notna().iloc[0]
    assert panel.as_of == panel.X.index[-1] == MONTHS[-1]
    assert panel.X.notna().all(axis=1).iloc[-1]
    for model, wait in (("m1", 2), ("m3", 4)):
        target = panel.targets[model]
        # Dividends come three months late: those of September are the newest known.
        assert target.last_valid_index() == MONTHS[-1] - wait - 3
        assert target[: -wait - 3].notna().all()


def test_a_target_is_known_once_its_last_figure_is_published() -> None:
    published = assemble(small(), store_of(small())).known_at
    over = assemble(
        small(target={"kind": "real_total", "known": "over"}), store_of(small())
    ).known_at
    month = pd.Period("1984-05", "M")
    assert published["m3"][month] == month + 1 + 3 + 3
    assert over["m3"][month] == month + 1 + 3
    assert over["m1"][month] == month + 1 + 1


def test_a_panel_as_of_a_date_is_the_past_of_the_full_one() -> None:
    case, month = small(), pd.Period("1986-07", "M")
    full = assemble(case, store_of(case))
    past = assemble(case, store_of(case), month)
    assert past.as_of == past.X.index[-1] == month
    assert changed(past, full, month) == []
    for model, target in past.targets.items():
        known = full.known_at[model] <= month
        assert target[known[:month]].notna().all()
        # What isn't published isn't there, though the month may be over.
        assert target[~known[:month]].isna().all()


def test_sequences_end_with_the_origins_own_row() -> None:
    panel = assemble(small(), store_of(small()))
    table = pd.concat([panel.X, panel.context], axis=1).to_numpy()
    assert panel.sequences is not None
    assert panel.sequences.shape == (len(table), 6, 4)
    np.testing.assert_array_equal(panel.sequences[50], table[45:51])
    np.testing.assert_array_equal(panel.sequences[2, 3:], table[:3])
    assert np.isnan(panel.sequences[2, :3]).all()
    assert assemble(small(steps=0), store_of(small())).sequences is None


@pytest.mark.parametrize(
    ("given", "month"),
    [
        ("2000-02", "2000-02"),
        ("2000-02-29", "2000-02"),
        ("2000-02-28", "2000-01"),
        (date(1999, 12, 31), "1999-12"),
        (date(2000, 1, 1), "1999-12"),
        (pd.Period("2000-02", "M"), "2000-02"),
    ],
)
def test_a_date_stands_for_the_month_that_had_ended(given: Any, month: str) -> None:
    assert month_of(given) == pd.Period(month, "M")


@pytest.mark.parametrize(
    "text", ["soon", "2000-13", "20001", "2000", "", "NaT", "now", "2000-Q1", "2000-02-30"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(InputRefused, match="is no date"):
        month_of(text)


# ---- refusals


@pytest.mark.parametrize(
    ("end", "as_of", "what", "where"),
    [
        ({"price": -1}, "1989-12", "series 'price' ends before the as-of date", "1989-11"),
        ({"dividend": -6}, None, "series 'dividend' ends before the as-of date", "1989-06"),
        ({"cpi": -4}, None, "series 'cpi' ends before the as-of date", "1989-08"),
        ({}, "1990-01", "series 'price' ends before the as-of date", "1989-12"),
        ({}, "1979-01", "series 'price' ends before the as-of date", "nothing"),
        ({}, "1982-02", "can't hold the horizon of 'm1': 22 returns of 1 months", "1982-02"),
    ],
)
def test_a_panel_that_cannot_be_built_is_refused(
    end: dict[str, int], as_of: str | None, what: str, where: str
) -> None:
    case = small()
    with pytest.raises(InputRefused, match=what) as refused:
        assemble(case, store_of(case, end), as_of)
    assert where in refused.value.where


@pytest.mark.parametrize("end", [{"dividend": -5}, {"cpi": -3}, {"bill_rate": -3}])
def test_a_series_may_be_late_up_to_its_limit(end: dict[str, int]) -> None:
    case = small()
    assert assemble(case, store_of(case, end)).X.notna().all(axis=1).iloc[-1]


def test_a_horizon_that_the_data_cannot_hold_is_refused() -> None:
    case = small(models={"m120": {"horizon": 120, "skip": 1}})
    with pytest.raises(InputRefused, match="can't hold the horizon of 'm120': 0 returns"):
        assemble(case, store_of(case))


def test_a_series_that_had_not_begun_is_missing(shiller: Any) -> None:
    case, store, full = shiller
    month = pd.Period("1925-06", "M")  # no FRED-MD, no daily closes, no VIX
    past = assemble(case, store, month)
    assert changed(past, full, month) == []
    assert past.context.isna().all(axis=None)


# ---- nobody sees the future


@settings(max_examples=20, deadline=None, phases=[Phase.generate])
@given(data=st.data())
def test_no_feature_sees_a_value_before_it_is_published(arch: Any, data: st.DataObject) -> None:
    case, store, full = arch
    month = data.draw(st.sampled_from(list(full.X.index[300:])))
    name = data.draw(st.sampled_from(list(store)))
    scrambled = store[name].scrambled(month, data.draw(st.integers(0, 999)))
    assert changed(full, assemble(case, {**store, name: scrambled}), month) == []
    assert changed(full, assemble(case, store, month), month) == []


@settings(max_examples=20, deadline=None, phases=[Phase.generate])
@given(data=st.data())
def test_no_feature_of_shillers_case_does_either(shiller: Any, data: st.DataObject) -> None:
    case, store, full = shiller
    month = data.draw(st.sampled_from(list(full.X.index[500:])))
    name = data.draw(st.sampled_from(list(store)))
    scrambled = store[name].scrambled(month, data.draw(st.integers(0, 999)))
    assert changed(full, assemble(case, {**store, name: scrambled}), month) == []


def seen_early(case: MarketCase, store: dict[str, Series], month: pd.Period) -> list[str]:
    """What changes up to a month when what one series says after it is drawn by chance."""
    full = assemble(case, store)
    return [
        f"{name!r} changes {what}"
        for name, series in store.items()
        for what in changed(
            full, assemble(case, {**store, name: series.scrambled(month, 1)}), month
        )
    ]


def test_nothing_of_the_shipped_case_is_seen_early(arch: Any) -> None:
    case, store, _ = arch
    assert [seen_early(case, store, pd.Period(m, "M")) for m in ("1980-03", "2008-09")] == [[], []]


@pytest.mark.parametrize("leaky", ["inflation", "default_spread", "volatility_daily"])
def test_a_predictor_that_looks_ahead_is_found(
    arch: Any, leaky: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = predictors.PREDICTORS[leaky]
    ahead = predictors.Predictor(
        honest.label, honest.unit, honest.needs, lambda view: honest.compute(view).shift(-1)
    )
    monkeypatch.setitem(predictors.PREDICTORS, leaky, ahead)
    case, store, _ = arch
    found = seen_early(case, store, pd.Period("2008-09", "M"))
    assert f"{honest.needs[0]!r} changes {leaky}" in found
    assert any(line.endswith("changes sequences") for line in found)


def test_targets_learnt_before_they_are_published_are_found() -> None:
    """ANCHORS' protocol learns from a return once its months are over: a lag too early."""
    for known, honest in (("published", True), ("over", False)):
        case = small(target={"kind": "real_total", "known": known})
        seen = seen_early(case, store_of(case), pd.Period("1986-07", "M"))
        assert (seen == []) is honest


# ---- the real panels


def test_arch_total_return_is_the_market(arch: Any) -> None:
    _, _, panel = arch
    yearly = (1 + panel.returns).groupby(panel.returns.index.year).prod() - 1
    # Ibbotson's and CRSP's well-known years, to a point: 1931, 1954, 1974, 2008, 2013.
    for year, value in ((1931, -0.44), (1954, 0.50), (1974, -0.28), (2008, -0.37), (2013, 0.35)):
        assert yearly[year] == pytest.approx(value, abs=0.015), year
    assert panel.targets["m12"].iloc[0] == pytest.approx(np.prod(1 + panel.returns.iloc[:12]) - 1)
    assert panel.as_of == pd.Period("2018-11", "M")
    assert panel.X.iloc[-1].notna().all()


def test_build_panel_reads_the_case_itself(arch: Any) -> None:
    case, _, full = arch
    panel = build_panel(case, None, "2010-12-31")
    assert panel.as_of == pd.Period("2010-12", "M")
    assert changed(panel, full, panel.as_of) == []
    with pytest.raises(InputRefused, match="no folder is given"):
        build_panel(load_market_case("market_return_shiller"), None)


def test_shillers_panel_has_the_rows_of_the_protocol(shiller: Any) -> None:
    _, _, panel = shiller
    # The protocol's row t is our origin t - 1: its last rows are 2022-06 and 2023-05.
    last = {model: str(target.last_valid_index() + 1) for model, target in panel.targets.items()}
    assert last == {"m1": "2023-05", "m12": "2022-06"}
    assert panel.X.loc["1900-01":].notna().all(axis=None)
    assert str(panel.X.index[0]) == "1870-12"
    assert panel.cash["m12"].loc["1964-12":"2022-05"].notna().all()
