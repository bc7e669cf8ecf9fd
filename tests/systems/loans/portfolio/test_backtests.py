"""Backtests of PDs by grade, migration and stability."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from riskwright.errors import InputRefused
from riskwright.stats.several import holm
from riskwright.systems.loans.portfolio import backtests, vasicek


def test_each_test_is_what_its_formula_says() -> None:
    default = np.repeat([1, 0, 1, 0], [3, 97, 20, 180])
    grade = np.repeat(["A", "B"], [100, 200])
    table = backtests.by_grade(grade, np.repeat([0.02, 0.05], [100, 200]), default, rho=0.12)
    assert table["defaults"].tolist() == [3, 20]
    assert table.loc["A", "binomial_p"] == pytest.approx(
        stats.binomtest(3, 100, 0.02, alternative="greater").pvalue
    )
    assert table.loc["B", "jeffreys_p"] == pytest.approx(stats.beta(20.5, 180.5).cdf(0.05))
    assert table["light"].tolist() == ["green", "amber"]
    assert table.loc["B", "correlated_p"] > table.loc["B", "binomial_p"]
    assert table["correlated_light"].tolist() == ["green", "green"]


@pytest.mark.parametrize("means", [[0.03, 0.09], [0.02, 0.06]])
def test_grades_that_are_off_are_told_beside_the_level(means: list[float]) -> None:
    """Nothing is said of the level but what the table shows: the issue's kind of tilt."""
    loans, defaults = np.array([4950, 350]), np.array([101, 49])
    table = pd.DataFrame(
        {"loans": loans, "defaults": defaults, "mean_pd": means, "rate": defaults / loans},
        index=["A", "G"],
    )
    said = backtests.off_by_grade(table)
    assert f"A {means[0]:.2%} for 2.04%, G {means[1]:.2%} for 14.00% observed" in said
    expected = (loans @ np.array(means)) / loans.sum()
    assert f"all loans together {expected:.2%} for {150 / 5300:.2%}" in said
    assert backtests.off_by_grade(table.assign(mean_pd=table["rate"])) == ""


@pytest.mark.parametrize(("rate", "rho"), [(0.02, 0.05), (0.1, 0.15)])
def test_the_correlated_tail_is_the_vasicek_law_for_many_loans(rate: float, rho: float) -> None:
    n = 200_000
    share = vasicek.quantile(rate, rho, 0.95)
    found = float(backtests.correlated_p([round(n * share)], [n], [rate], rho)[0])
    assert found == pytest.approx(0.05, abs=0.004)
    alone = backtests.correlated_p([30], [100], [0.2], 0.0)[0]
    assert alone == pytest.approx(stats.binom.sf(29, 100, 0.2))


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_stated() -> None:
    """Seven right grades, 400 independent years: an amber light at most 5 % of the time."""
    rng = np.random.default_rng(7)
    rates = np.repeat([0.01, 0.02, 0.04, 0.06, 0.1, 0.15, 0.2], 300)
    grade = np.repeat(list("ABCDEFG"), 300)
    alarms = sum(
        (backtests.by_grade(grade, rates, rng.random(2100) < rates)["light"] != "green").any()
        for _ in range(400)
    )
    assert alarms <= stats.binom.ppf(0.999, 400, 0.05)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_against_its_definition(p: list[float]) -> None:
    found = holm(p)
    order = np.argsort(p)
    running = 0.0
    for place, at in enumerate(order):
        running = max(running, min(1.0, (len(p) - place) * p[at]))
        assert found[at] == pytest.approx(running)


def test_migration_counts_every_loan_once() -> None:
    before = pd.Series({"1": "A", "2": "A", "3": "B", "4": "B"})
    after = pd.Series({"1": "A", "2": "B", "3": "default", "5": "A"})
    table = backtests.migration(before, after)
    assert table.loc["A", "B"] == 1
    assert table.loc["B", "default"] == 1
    assert table.loc["B", "gone"] == 1
    assert table.loc["new", "A"] == 1
    assert int(table.to_numpy().sum()) == 5
    with pytest.raises(InputRefused, match="twice before"):
        backtests.migration(pd.Series(["A", "A"], index=["1", "1"]), after)


def test_stability_by_hand() -> None:
    found = backtests.stability(
        ["a"] * 5 + ["b"] * 5 + ["a"] * 8 + ["b"] * 2, ["2010"] * 10 + ["2011"] * 10, "2010"
    )
    wanted = 0.3 * np.log(0.8 / 0.5) - 0.3 * np.log(0.2 / 0.5)
    assert found.to_dict() == pytest.approx({"2010": 0.0, "2011": wanted})
    with pytest.raises(InputRefused, match="no vintage '1999'"):
        backtests.stability(["a"], ["2010"], "1999")


def test_outcomes_that_are_none() -> None:
    with pytest.raises(InputRefused, match="outcomes"):
        backtests.by_grade(["A", "B"], [0.1, 0.2], [0, 2])
