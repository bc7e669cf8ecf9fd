"""Tests of interval coverage."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from riskwright.errors import InputRefused
from riskwright.stats.estimates import wilson
from riskwright.systems.market import coverage


@pytest.mark.parametrize(
    ("n", "rate", "low", "high"),
    [(255, 0.05, 6, 21), (510, 0.05, 16, 36), (1000, 0.05, 37, 65), (1000, 0.01, 4, 17)],
)
def test_kupiec_keeps_what_his_table_keeps(n: int, rate: float, low: int, high: int) -> None:
    """Kupiec (1995), table 3: the rate is kept with more than low misses and fewer than high."""
    p = [coverage.kupiec(np.arange(n) < x, rate) for x in (low, low + 1, high - 1, high)]
    assert [v >= 0.05 for v in p] == [False, True, True, False]


def test_kupiec_without_a_miss_is_finite() -> None:
    expected = stats.chi2.sf(-2 * 100 * np.log(0.95), 1)
    assert coverage.kupiec(np.zeros(100, dtype=bool), 0.05) == pytest.approx(expected)


def test_christoffersen_is_the_g_test_of_the_table_of_successive_misses() -> None:
    misses = np.random.default_rng(0).random(300) < 0.2
    table = pd.crosstab(misses[:-1], misses[1:])
    expected = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood").pvalue
    assert coverage.christoffersen(misses) == pytest.approx(expected)
    assert np.isnan(coverage.christoffersen(np.zeros(50, dtype=bool)))
    assert coverage.christoffersen(np.repeat([True, False] * 10, 10)) < 1e-6


def test_overlap_is_the_sum_of_squared_correlations() -> None:
    for h in (1, 3, 12):
        lags = np.arange(-h, h + 1)
        assert coverage.overlap(h) == pytest.approx(((1 - np.abs(lags) / h) ** 2).sum())


def intervals(
    rng: np.random.Generator, n: int, h: int, width: float = 1.0
) -> tuple[pd.DataFrame, pd.Series]:
    total = np.concatenate([[0.0], np.cumsum(rng.normal(size=n + h - 1))])
    index = pd.period_range("1960-01", periods=n, freq="M")
    ends = {
        f"{side}{level}": np.full(n, sign * width * np.sqrt(h) * stats.norm.ppf(0.5 + level / 200))
        for level in (80, 95)
        for side, sign in (("low", -1), ("high", 1))
    }
    return pd.DataFrame(ends, index), pd.Series(total[h:] - total[:-h], index)


def test_coverage_counts_what_the_interval_held() -> None:
    found, actual = intervals(np.random.default_rng(1), 400, 1)
    table = coverage.coverage_table(found, actual, 1)
    inside = actual.between(found["low80"], found["high80"])
    assert table.loc[80, "coverage"] == pytest.approx(inside.mean())
    assert table.loc[80, "below"] + table.loc[80, "above"] == pytest.approx(1 - inside.mean())
    assert table.loc[80, "kupiec_p"] == pytest.approx(coverage.kupiec(~inside.to_numpy(), 0.2))
    assert table.loc[95, "low"] < table.loc[95, "coverage"] < table.loc[95, "high"]
    decades = coverage.coverage_by_decade(found, actual, 1)
    assert decades["months"].tolist() == [120, 120, 120, 40]
    assert (decades["coverage80"] * decades["months"]).sum() == pytest.approx(inside.sum())


@pytest.mark.parametrize("h", [1, 12])
def test_right_intervals_pass_and_narrow_ones_do_not(h: int) -> None:
    rng = np.random.default_rng(2)
    right = [coverage.coverage_gate(*intervals(rng, 300, h), h)[0] for _ in range(100)]
    assert 100 - sum(right) <= stats.binom.ppf(0.99, 100, 0.05)
    passed, told, figures = coverage.coverage_gate(*intervals(rng, 600, h, width=0.5), h)
    assert not passed
    assert told.startswith("coverage is not as stated: the 80 % interval held")
    assert figures["80"]["p"] < 0.025


def test_few_misses_far_apart_are_not_taken_for_many_outcomes() -> None:
    """Evenly spread misses look as if they never came together; the overlap alone says they do."""
    found, actual = intervals(np.random.default_rng(5), 600, 12)
    actual[:] = np.where(np.arange(600) % 20 == 10, 99.0, 0.0)
    row = coverage.coverage_table(found, actual, 12).loc[95]
    apart = 600 / coverage.overlap(12)
    assert row["coverage"] == pytest.approx(0.95)
    assert row[["low", "high"]].tolist() == pytest.approx(np.array(wilson(0.95 * apart, apart)))


def test_an_interval_that_never_misses_is_found_out_once_there_is_enough() -> None:
    found, actual = intervals(np.random.default_rng(3), 600, 12, width=9)
    table = coverage.coverage_table(found, actual, 12)
    assert table["coverage"].tolist() == [1, 1]
    assert table.loc[80, "p"] < 0.025 < table.loc[95, "p"] < 1


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("column", "no column 'low95'"),
        ("upside down", "1960-04 is missing or upside down"),
        ("missing", "1960-04 is missing or upside down"),
        ("gap", "is followed by"),
        ("short", "10 intervals have an outcome"),
    ],
)
def test_what_cannot_be_judged_is_refused(what: str, words: str) -> None:
    found, actual = intervals(np.random.default_rng(4), 100, 1)
    if what == "column":
        found = found.drop(columns="low95")
    elif what == "upside down":
        found.iloc[3, 0] = 9.0
    elif what == "missing":
        found.iloc[3, 2] = np.nan
    elif what == "gap":
        found = found.drop(found.index[5])
    else:
        found = found.iloc[:10]
    with pytest.raises(InputRefused, match=words):
        coverage.coverage_gate(found, actual, 1)
