"""Tests of forecast skill: against other libraries, closed forms, and their own level."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import fft, signal, stats

from riskwright.errors import InputRefused
from riskwright.stats import comparison
from riskwright.systems.market import skill
from riskwright.systems.market.case import load_market_case
from riskwright.systems.market.panel import build_panel
from riskwright.systems.market.recessions import state
from riskwright.systems.market.walk import walk


def months(n: int, start: str = "1960-01") -> pd.PeriodIndex:
    return pd.period_range(start, periods=n, freq="M")


def overlapping(rng: np.random.Generator, n: int, h: int) -> np.ndarray:
    """Returns over h months of noise, each month anew: shape (n,)."""
    total = np.concatenate([[0.0], np.cumsum(rng.normal(0, 0.04, n + h - 1))])
    return total[h:] - total[:-h]


def persistent(rng: np.random.Generator, n: int, memory: float = 0.97) -> np.ndarray:
    """A predictor like a yield: it takes years to come back."""
    shocks = np.sqrt(1 - memory**2) * rng.normal(size=n + 200)
    return np.asarray(signal.lfilter([1.0], [1.0, -memory], shocks)[200:])


def example(
    seed: int = 0, n: int = 400, h: int = 1, planted: float = 0.0
) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(seed)
    x = persistent(rng, n)
    y = 0.01 + overlapping(rng, n, h) + planted * x
    index = months(n)
    frame = pd.DataFrame(
        {
            "historical_mean": 0.01 + 0.001 * rng.normal(size=n),
            "ensemble": 0.01 + max(planted, 0.01) * x,
            "noise": rng.normal(0, 0.03, n),
        },
        index=index,
    )
    return frame, pd.Series(y, index)


def arrays(seed: int, h: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    frame, actual = example(seed, h=h)
    return actual.to_numpy(), frame["historical_mean"].to_numpy(), frame["ensemble"].to_numpy()


# --- the tests against other libraries and closed forms


def mean_by_statsmodels(z: np.ndarray, lags: int) -> Any:
    from statsmodels.regression.linear_model import OLS

    return OLS(z, np.ones(len(z))).fit(cov_type="HAC", cov_kwds={"maxlags": lags})


@pytest.mark.parametrize("h", [1, 12])
def test_clark_west_is_a_regression_on_a_constant_with_newey_west_errors(h: int) -> None:
    y, mean, f = arrays(1, h)
    z = (y - mean) ** 2 - ((y - f) ** 2 - (mean - f) ** 2)
    other = mean_by_statsmodels(z, h + 2)
    found = comparison.clark_west(y, mean, f, h)
    assert found.statistic == pytest.approx(other.tvalues[0])
    assert found.p == pytest.approx(stats.norm.sf(other.tvalues[0]))


@pytest.mark.parametrize("h", [1, 12])
@pytest.mark.parametrize("absolute", [False, True])
def test_diebold_mariano_has_the_small_sample_correction(h: int, absolute: bool) -> None:
    y, mean, f = arrays(2, h)
    one, two = (abs(y - mean), abs(y - f)) if absolute else ((y - mean) ** 2, (y - f) ** 2)
    other = mean_by_statsmodels(one - two, h + 2)
    n = len(y)
    correction = np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    found = comparison.diebold_mariano(y, mean, f, h, absolute=absolute)
    assert found.statistic == pytest.approx(correction * other.tvalues[0])
    assert found.p == pytest.approx(2 * stats.t.sf(abs(found.statistic), n - 1))
    turned = comparison.diebold_mariano(y, f, mean, h, absolute=absolute)
    assert turned.statistic == pytest.approx(-found.statistic)


@pytest.mark.parametrize("lags", [0, 1, 14, 40, 60])
def test_newey_west_in_closed_form(lags: int) -> None:
    """Autocovariances with Bartlett's weights; lags beyond the series count for nothing."""
    z = np.random.default_rng(5).normal(size=41).cumsum()
    gaps, n = z - z.mean(), 41
    covariance = [float(gaps[k:] @ gaps[: n - k]) / n for k in range(min(lags, n - 1) + 1)]
    weights = [1.0] + [2 * (1 - k / (lags + 1)) for k in range(1, len(covariance))]
    assert comparison.newey_west(z, lags) == pytest.approx(np.dot(weights, covariance))


def test_cosine_variance_is_the_mean_square_of_the_first_cosine_transforms() -> None:
    z = np.random.default_rng(3).normal(size=301)
    expected = np.mean(fft.dct(z, norm="ortho")[1:13] ** 2)
    assert comparison.cosine_variance(z, 12) == pytest.approx(expected)
    assert comparison.cosine_variance(z + 5, 12) == pytest.approx(expected)


def test_as_many_cosines_as_the_paper_says_but_none_within_the_overlap() -> None:
    assert comparison.cosine_terms(200, 1) == int(0.4 * 200 ** (2 / 3)) == 13
    assert comparison.cosine_terms(690, 12) == 28
    assert comparison.cosine_terms(240, 12) == 10


def test_pesaran_timmermann_squared_is_the_contingency_tables_chi_square() -> None:
    rng = np.random.default_rng(4)
    y, f = rng.normal(0.3, 1, 150), rng.normal(0.4, 1, 150)
    found = comparison.pesaran_timmermann(y, f, 1)
    table = pd.crosstab(y > 0, f > 0)
    square = stats.chi2_contingency(table, correction=False).statistic
    assert found.statistic**2 == pytest.approx(square * 150 / 149)


def test_pesaran_timmermann_is_the_papers_formula() -> None:
    rng = np.random.default_rng(5)
    y = rng.normal(0.3, 1, 90)
    f = y + rng.normal(0, 2, 90)
    n, py, px = 90, np.mean(y > 0), np.mean(f > 0)
    hits, chance = np.mean((y > 0) == (f > 0)), py * px + (1 - py) * (1 - px)
    variance = (
        chance * (1 - chance) / n
        - (
            (2 * py - 1) ** 2 * px * (1 - px)
            + (2 * px - 1) ** 2 * py * (1 - py)
            + 4 * py * px * (1 - py) * (1 - px) / n
        )
        / n
    )
    found = comparison.pesaran_timmermann(y, f, 1)
    assert found.statistic == pytest.approx((hits - chance) / np.sqrt(variance))


def test_a_sign_that_never_changes_has_no_test() -> None:
    y = np.random.default_rng(6).normal(size=60)
    assert np.isnan(comparison.pesaran_timmermann(y, np.ones(60), 1).p)
    assert np.isnan(comparison.pesaran_timmermann(y, np.ones(60), 12).p)


@given(st.floats(1e-3, 1e3), st.integers(0, 20))
def test_nothing_depends_on_the_unit_of_the_return(scale: float, seed: int) -> None:
    y, mean, f = arrays(seed, 12)
    for test in (comparison.clark_west, comparison.diebold_mariano, comparison.r2_interval):
        assert test(scale * y, scale * mean, scale * f, 12) == pytest.approx(test(y, mean, f, 12))


# --- their level


def rejections(test: Any, h: int, n: int = 400, series: int = 300) -> float:
    """The share of p-values below 0.05 if the forecast knows nothing."""
    rng = np.random.default_rng(8)
    count = 0
    for _ in range(series):
        y, x = overlapping(rng, n, h), persistent(rng, n)
        count += test(y, np.zeros(n), 0.01 * x, h).p < 0.05
    return count / series


def test_the_tests_that_decide_hold_their_level_on_overlapping_returns() -> None:
    most = stats.binom.ppf(0.99, 300, 0.05) / 300

    def robust(y: np.ndarray, mean: np.ndarray, f: np.ndarray, h: int) -> comparison.Tested:
        return comparison.clark_west(y, mean, f, h, robust=True)

    def signs(y: np.ndarray, mean: np.ndarray, f: np.ndarray, h: int) -> comparison.Tested:
        return comparison.pesaran_timmermann(y - mean, f, h)

    for test, h in ((robust, 1), (robust, 12), (signs, 1), (signs, 12)):
        assert rejections(test, h) <= most, (test.__name__, h)


def test_newey_west_with_the_usual_lags_rejects_too_often_on_overlapping_returns() -> None:
    """Why the gate doesn't read it."""
    found = rejections(comparison.clark_west, 12, n=180)
    assert found > stats.binom.ppf(0.99, 300, 0.05) / 300


def test_the_interval_of_r2_holds_the_true_r2() -> None:
    rng = np.random.default_rng(9)
    k, n, held = 0.5, 600, 0
    for _ in range(200):
        known, noise = rng.normal(size=(2, n))
        y = k * known + noise
        _, low, high = comparison.r2_interval(y, np.zeros(n), k * known, 1)
        held += low <= k**2 / (1 + k**2) <= high
    assert 0.90 <= held / 200 <= 0.99


# --- the tables


def test_r2_is_one_less_the_ratio_of_squared_errors() -> None:
    frame, actual = example(10)
    table = skill.skill_table(frame, actual, 1)
    for name in frame:
        sse = ((actual - frame[name]) ** 2).sum()
        expected = 1 - sse / ((actual - frame["historical_mean"]) ** 2).sum()
        assert table.loc[name, "r2"] == pytest.approx(expected)
        assert table.loc[name, "rmse"] == pytest.approx(np.sqrt(sse / len(actual)))
    assert table.index[0] == "historical_mean"
    assert table.loc["historical_mean", ["r2", "r2_low", "r2_high"]].tolist() == [0, 0, 0]
    assert (table["r2_low"] <= table["r2"]).all()
    assert (table["r2"] <= table["r2_high"]).all()


def test_decembers_alone_are_the_december_rows() -> None:
    frame, actual = example(11, h=12)
    rows = frame.index.month == 12
    alone = skill.skill_table(
        frame[rows].set_axis(months(rows.sum())), actual[rows].set_axis(months(rows.sum())), 1
    )
    table = skill.skill_table(frame, actual, 12)
    assert table["r2_december"].tolist() == pytest.approx(alone["r2"].tolist())


def test_periods_weighted_by_the_means_errors_give_the_whole() -> None:
    frame, actual = example(12)
    for labels in (
        pd.Series(frame.index.year // 10, frame.index),
        state(frame.index),
    ):
        parts = skill.by_period(frame, actual, 1, labels)["r2"].unstack()  # noqa: PD010 - an index level, not a long table
        base = ((actual - frame["historical_mean"]) ** 2).groupby(labels).sum()
        whole = (parts["ensemble"] * base).sum() / base.sum()
        assert whole == pytest.approx(skill.skill_table(frame, actual, 1).loc["ensemble", "r2"])
    assert set(parts.index) == {"expansion", "recession"}


def test_a_period_of_a_few_months_has_no_interval() -> None:
    frame, actual = example(12, n=365, h=12)
    decades = pd.Series(frame.index.year // 10, frame.index)
    found = skill.by_period(frame, actual, 12, decades)
    last = found.loc[(199, "noise")]
    assert last["months"] == 5
    assert np.isfinite(last["r2"])
    assert last[["r2_low", "r2_high"]].isna().all()
    assert found.drop(index=199)["r2_low"].notna().all()


def test_the_worst_block_is_the_worst_of_all_blocks() -> None:
    frame, actual = example(13)
    found = skill.worst_blocks(frame, actual, 1, years=5).loc["noise"]
    e0, e1 = (actual - frame["historical_mean"]) ** 2, (actual - frame["noise"]) ** 2
    every = [1 - e1[i : i + 60].sum() / e0[i : i + 60].sum() for i in range(len(e0) - 59)]
    assert found["r2"] == pytest.approx(min(every))
    assert found["first"] == frame.index[int(np.argmin(every))]
    assert found["last"] - found["first"] == pd.offsets.MonthEnd(59)
    assert found["r2_low"] < found["r2"] < found["r2_high"]
    assert skill.worst_blocks(frame, actual, 1, years=50).empty


@pytest.mark.parametrize(
    ("first", "last", "count"),
    [("2008-01", "2009-06", 18), ("2020-03", "2020-04", 2), ("1929-09", "1933-03", 43)],
)
def test_recessions_run_from_after_the_peak_to_the_trough(
    first: str, last: str, count: int
) -> None:
    found = state(pd.period_range(pd.Period(first, "M") - 1, pd.Period(last, "M") + 1, freq="M"))
    assert found.tolist() == ["expansion", *["recession"] * count, "expansion"]
    assert state(pd.period_range("1925-12", "1925-12", freq="M")).isna().all()


# --- all of it


def test_a_forecast_that_knows_is_told_from_one_that_does_not() -> None:
    frame, actual = example(14, planted=0.03)
    frame["copy"], frame["mean_again"] = frame["ensemble"], frame["historical_mean"]
    found = skill.judge(frame, actual, 1)
    assert found.passed is True
    assert found.detail.startswith("skill beyond the historical mean: R²")
    assert found.spa_p is not None
    assert found.spa_p < 0.05
    p = found.table["mcs_p"]
    assert p["ensemble"] == p["copy"] == 1
    assert p["noise"] < 0.1
    assert p["historical_mean"] == p["mean_again"] < 0.1
    assert np.isnan(found.table.loc["mean_again", "robust_p"])
    assert found.figures["p"] < 0.01
    assert found.origins == (frame.index[0], frame.index[-1])


def test_noise_is_no_skill_and_the_benchmark_is_itself() -> None:
    frame, actual = example(15)
    passed, detail, figures = skill.skill_gate(frame, actual, 1, family="noise")
    assert passed is False
    assert "no skill beyond the mean" in detail
    assert figures["r2"] < 0
    alone = frame[["historical_mean"]].assign(ensemble=frame["historical_mean"])
    found = skill.judge(alone, actual, 1)
    assert found.passed is False
    assert "is the historical mean" in found.detail
    assert found.spa_p is None
    assert found.table["mcs_p"].tolist() == [1, 1]


def test_a_significant_forecast_with_larger_errors_is_no_skill() -> None:
    """Clark and West's test alone would let through what costs money to use."""
    frame, actual = example(16, planted=0.02)
    frame["ensemble"] = 0.01 + 4 * (frame["ensemble"] - 0.01)
    passed, _, figures = skill.skill_gate(frame, actual, 1)
    assert figures["p"] < 0.01
    assert figures["r2"] < 0
    assert passed is False


def test_few_independent_outcomes_are_not_enough_data() -> None:
    frame, actual = example(17, n=60, h=12, planted=0.1)
    passed, detail, _ = skill.skill_gate(frame, actual, 12)
    assert passed is None
    assert detail.startswith("not enough data")


def test_forecasts_that_are_not_over_are_left_out() -> None:
    frame, actual = example(18)
    open_ = actual.copy()
    open_.iloc[-12:] = np.nan
    _, _, figures = skill.skill_gate(frame, open_, 1)
    assert figures == skill.skill_gate(frame.iloc[:-12], actual.iloc[:-12], 1)[2]


def broken(what: str) -> tuple[pd.DataFrame, pd.Series]:
    frame, actual = example(19)
    if what == "gap":
        frame = frame.drop(frame.index[7])
    elif what == "twice":
        frame = pd.concat([frame.iloc[:9], frame.iloc[8:]])
    elif what == "order":
        frame = frame[::-1]
    elif what == "dates":
        frame.index = frame.index.to_timestamp()
    elif what == "benchmark":
        frame = frame.rename(columns={"historical_mean": "historic_mean"})
    elif what == "hole":
        actual = actual.copy()
        actual.iloc[50] = np.nan
    elif what == "infinite":
        frame.iloc[5, 1] = np.inf
    elif what == "short":
        frame, actual = frame.iloc[:20], actual.iloc[:20]
    elif what == "family":
        frame = frame.drop(columns="ensemble")
    return frame, actual


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("gap", "1960-07 is followed by 1960-09"),
        ("twice", "1960-09 is followed by 1960-09"),
        ("order", "is followed by"),
        ("dates", "aren't labelled by months"),
        ("benchmark", "no column 'historical_mean'"),
        ("hole", "outcome: no number at 1964-03"),
        ("infinite", "ensemble: no number at 1960-06"),
        ("short", "20 forecasts have an outcome"),
        ("family", "no forecasts of 'ensemble'"),
    ],
)
def test_what_cannot_be_judged_is_refused(what: str, words: str) -> None:
    with pytest.raises(InputRefused, match=words):
        skill.judge(*broken(what), 1)


# --- real data


@pytest.mark.parametrize(
    ("model", "h", "r2", "p", "dm", "hits"),
    [("m12", 12, 0.0454, 0.037, 1.11, 0.710), ("m1", 1, 0.0066, 0.022, 1.36, 0.596)],
)
def test_the_yardsticks_of_shillers_series_are_met(
    model: str, h: int, r2: float, p: float, dm: float, hits: float, shared_data: Path
) -> None:
    """The restricted mean combination, scored by other code (without the small-sample factor)."""
    panel = build_panel(load_market_case("market_return_shiller"), shared_data / "market")
    first = pd.Period("1964-12", "M")
    found = walk(panel, model, ["mean", "combination_ct"], first=first).forecasts
    forecasts = found.drop(columns="actual").rename(columns={"mean": "historical_mean"})
    row = skill.skill_table(forecasts, found["actual"], h).loc["combination_ct"]
    n = found["actual"].notna().sum()
    correction = np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    assert row["r2"] == pytest.approx(r2, abs=2e-4)
    assert row["clark_west_p"] == pytest.approx(p, abs=6e-4)
    assert row["dm"] / correction == pytest.approx(dm, abs=0.02)
    assert row["hit_rate"] == pytest.approx(hits, abs=6e-4)
    assert row["robust_p"] > row["clark_west_p"]
