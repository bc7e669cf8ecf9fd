"""Dividends and earnings of a year, whatever span the file gives them for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from riskwright.errors import InputRefused
from riskwright.systems.market.series import load_series
from riskwright.systems.market.series_spec import SeriesSpec
from riskwright.systems.market.yearly import over_a_year

MONTHS = pd.period_range("1990-01", periods=120, freq="M")


def test_sums_over_a_year_come_out_whatever_the_span() -> None:
    monthly = pd.Series(np.linspace(1, 2, 120), MONTHS)
    year = monthly.rolling(12).sum()
    quarter = monthly.rolling(3).sum()
    pd.testing.assert_series_equal(over_a_year(monthly, "month"), year)
    pd.testing.assert_series_equal(over_a_year(quarter, "quarter").dropna(), year.dropna())
    sparse = quarter[2::3]
    found = over_a_year(sparse, "quarter").dropna()
    np.testing.assert_allclose(found[year.index[11::3]], year[11::3])
    assert found.loc["1991-01"] == found.loc["1990-12"]  # it holds until the next one
    assert over_a_year(year, None) is year


def test_a_gap_makes_a_year_missing_not_longer() -> None:
    monthly = pd.Series(1.0, MONTHS).drop(MONTHS[40])
    assert set(over_a_year(monthly, "month").dropna()) == {12.0}
    assert over_a_year(monthly, "month")[MONTHS[41:52]].isna().all()
    quarters = pd.Series(np.arange(40.0), MONTHS[2::3]).drop(MONTHS[47])
    found = over_a_year(quarters, "quarter").dropna()
    np.testing.assert_array_equal(found[MONTHS[11]], 0 + 1 + 2 + 3)
    np.testing.assert_array_equal(found[MONTHS[59]], 16 + 17 + 18 + 19)
    assert not set(MONTHS[47:57]) & set(found.index)


def load(folder: Path, scale: float, **spec: str) -> pd.Series:
    rng = np.random.default_rng(0)
    price = 100 * np.exp(np.cumsum(rng.normal(0.004, 0.03, 120)))
    lines = ["Date,price,dividend,earnings"]
    lines += [
        f"{m}-01,{p:.4f},{0.03 * scale * p:.6f},{0.06 * p:.6f}"
        for m, p in zip(MONTHS, price, strict=True)
    ]
    (folder / "file.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    flow = {"source": "file.csv", "kind": "flow", "lag": "3m"}
    specs = {
        "price": SeriesSpec(source="file.csv", column="price", kind="price_close"),
        "dividend": SeriesSpec(**flow, column="dividend", **spec),
        "earnings": SeriesSpec(**flow, column="earnings"),
    }
    return load_series(specs, folder)["dividend"].values


@pytest.mark.parametrize(("scale", "words"), [(0.25, "0.75% of the price"), (12, "of the price")])
def test_a_quarters_or_a_months_dividends_are_no_years(
    tmp_path: Path, scale: float, words: str
) -> None:
    assert len(load(tmp_path, 1.0)) == 120
    with pytest.raises(InputRefused, match="doesn't look like sums over a year") as no:
        load(tmp_path, scale)
    assert words in str(no.value)
    assert "state 'per: quarter'" in no.value.do
    assert len(load(tmp_path, scale, per="year")) == 120  # whoever says so is believed


def test_a_stated_quarter_is_summed_over_a_year(tmp_path: Path) -> None:
    year, quarter = load(tmp_path, 1.0), load(tmp_path, 0.25, per="quarter")
    assert len(quarter) == 111
    assert quarter.mean() == pytest.approx(year.mean(), rel=0.1)


def test_only_a_flow_has_a_span() -> None:
    with pytest.raises(ValueError, match="'per' is for a flow"):
        SeriesSpec(source="file.csv", column="price", kind="price_close", per="quarter")
