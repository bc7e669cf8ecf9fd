"""Column and score tests against scipy and closed forms, their alarms, and their silence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from riskwright.case.usecase import UseCase
from riskwright.systems.credit.drift import (
    check_columns,
    check_referred,
    check_score,
    chi_square,
    counts,
    ks,
)
from riskwright.systems.credit.reference import Reference

NUMBERS = ["LIMIT", "PAID", "AGE", "LATE", "INCOME"]


@pytest.fixture
def accepted(usecase: Any, draw: Any) -> pd.DataFrame:
    from riskwright.data.contract import Contract

    return Contract(usecase, "monitor").apply(draw(1_000, 21).raw).accepted


def by_name(findings: Any, code: str | None = None) -> dict[str, Any]:
    return {f.column: f for f in findings if code is None or f.code == code}


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(30, 300), st.integers(30, 300), st.integers(1, 40))
def test_ks_is_the_largest_gap_between_the_two_curves(
    seed: int, n: int, m: int, levels: int
) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, levels, n) * 1.0, rng.integers(0, levels + 1, m) * 1.0
    at = np.union1d(a, b)
    curves = [np.searchsorted(np.sort(s), at, side="right") / len(s) for s in (a, b)]
    d, p = ks(a, b)
    assert d == pytest.approx(np.abs(curves[0] - curves[1]).max(), abs=1e-12)
    assert p == pytest.approx(stats.ks_2samp(a, b, method="asymp").pvalue)


def test_chi_square_and_total_variation_in_closed_form() -> None:
    table = np.array([[30.0, 70.0], [50.0, 50.0]])
    n, (a, b), (c, d) = table.sum(), table[0], table[1]
    closed = n * (a * d - b * c) ** 2 / ((a + b) * (c + d) * (a + c) * (b + d))
    effect, p = chi_square(table)
    assert effect == pytest.approx(0.2)
    assert p == pytest.approx(stats.chi2.sf(closed, 1))
    assert chi_square(np.array([[10.0], [20.0]])) == (0.0, 1.0)


def test_counts_keep_missing_apart_and_pool_what_is_rare() -> None:
    before = pd.Series(["a"] * 60 + ["b"] * 30 + ["c"] * 4 + ["d"] * 3 + [np.nan] * 20, dtype="str")
    now = pd.Series(["a"] * 40 + ["b"] * 60 + ["d"] * 2 + ["e"], dtype="str")
    table = counts(before, now)
    assert table.sum(axis=1).tolist() == [117, 103]
    assert sorted(map(tuple, table.T)) == sorted([(60, 40), (30, 60), (20, 0), (7, 3)])


def test_the_findings_are_the_tests_with_benjamini_hochberg(
    usecase: Any, reference: Reference, accepted: pd.DataFrame
) -> None:
    findings = check_columns(usecase, reference, accepted)
    values = by_name(findings, "distribution")
    assert set(values) == set(NUMBERS)
    for name in NUMBERS:
        sides = [f[name].dropna().to_numpy() for f in (reference.frame, accepted)]
        expected = stats.ks_2samp(*[s[s != 96] for s in sides], method="asymp")
        assert values[name].p_value == pytest.approx(expected.pvalue)
        assert values[name].value == pytest.approx(expected.statistic)
    assert set(by_name(findings, "categories")) == {"EDU", "SEX"}
    # LATE has a sentinel code, INCOME has missing cells: masses apart from the values.
    assert set(by_name(findings, "special_values")) == {"LATE", "INCOME"}
    adjusted = stats.false_discovery_control([f.p_value for f in findings])
    for finding, q in zip(findings, adjusted, strict=True):
        assert f"adjusted p {q:.2g} " in finding.detail


def test_an_alarm_needs_both_the_test_and_the_floor(
    usecase: Any, reference: Reference, accepted: pd.DataFrame
) -> None:
    age = accepted["AGE"]
    moved = accepted.assign(AGE=age + 5)
    found = by_name(check_columns(usecase, reference, moved), "distribution")["AGE"]
    assert found.alarm
    assert found.effect > 0.06
    high = usecase.model_copy(
        update={"monitor": usecase.monitor.model_copy(update={"column_effect": 0.5})}
    )
    assert not any(f.alarm for f in check_columns(high, reference, moved))
    strict = usecase.model_copy(
        update={"monitor": usecase.monitor.model_copy(update={"column_fdr": 1e-300})}
    )
    assert not any(f.alarm for f in check_columns(strict, reference, moved))


@pytest.mark.parametrize(
    ("column", "change", "code"),
    [
        ("EDU", lambda f: f["EDU"].where(np.arange(len(f)) % 5 > 0, "a"), "categories"),
        ("LATE", lambda f: f["LATE"].where(np.arange(len(f)) % 8 > 0, 96.0), "special_values"),
        ("INCOME", lambda f: f["INCOME"].where(np.arange(len(f)) % 5 > 0), "special_values"),
        ("PAID", lambda f: f["PAID"] * 1.5, "distribution"),
        ("SEX", lambda f: f["SEX"].where(np.arange(len(f)) % 4 > 0, "1"), "categories"),
    ],
)
def test_changes_are_found_in_their_column_alone(
    column: str, change: Any, code: str, usecase: Any, reference: Any, accepted: pd.DataFrame
) -> None:
    findings = check_columns(usecase, reference, accepted.assign(**{column: change(accepted)}))
    assert {(f.column, f.code) for f in findings if f.alarm} == {(column, code)}
    assert findings[0].alarm  # alarms come first


def test_columns_without_values_are_not_enough_data(
    usecase: Any, reference: Reference, accepted: pd.DataFrame
) -> None:
    thin = accepted.assign(INCOME=np.nan)
    found = by_name(check_columns(usecase, reference, thin))["INCOME"]
    assert found.verdict == "not enough data"
    few = check_columns(usecase, reference, accepted[:199])
    assert [f.verdict for f in few] == ["not enough data"]


def test_a_column_that_breaks_the_statistic_hides_no_other(
    usecase: Any, reference: Reference, accepted: pd.DataFrame
) -> None:
    poisoned = accepted.assign(
        AGE=pd.Series([{"no": "number"}] * len(accepted), index=accepted.index),
        PAID=accepted["PAID"] * 2,
    )
    findings = check_columns(usecase, reference, poisoned)
    assert [f.column for f in findings if f.verdict == "failed"] == ["AGE"]
    assert {f.column for f in findings if f.alarm} == {"AGE", "PAID"}


def test_score_alarms_when_pds_move_and_says_by_how_much(
    usecase: Any, reference: Reference
) -> None:
    rng = np.random.default_rng(5)
    same = rng.choice(reference.pd, 1_000)
    assert [f.verdict for f in check_score(usecase, reference, same, 1_000)] == ["ok"]
    worse = np.clip(same * 1.3, 0, 1)
    (finding,) = check_score(usecase, reference, worse, 1_000)
    assert finding.alarm
    assert finding.effect == pytest.approx(worse.mean() - reference.pd.mean())
    expected = stats.ks_2samp(reference.pd, worse, method="asymp")
    assert (finding.value, finding.p_value) == pytest.approx(tuple(expected))


def test_unusable_scores_are_an_alarm_and_too_few_are_not_ok(usecase: Any, reference: Any) -> None:
    pds = np.full(300, 0.2)
    pds[7] = np.nan
    found = check_score(usecase, reference, pds, 300)
    assert found[0].code == "unusable_scores"
    assert "accepted row 7" in found[0].detail
    assert [f.verdict for f in check_score(usecase, reference, pds[:100], 100)][-1] == (
        "not enough data"
    )
    assert check_score(usecase, reference, None, 300)[0].verdict == "not enough data"


def test_a_score_of_one_value_is_found(usecase: Any, reference: Reference) -> None:
    flat = np.full(500, float(reference.pd.mean()))
    assert check_score(usecase, reference, flat, 500)[0].alarm
    constant = replace(reference, pd=np.full(len(reference), 0.2))
    (same,) = check_score(usecase, constant, np.full(500, 0.2), 500)
    assert same.verdict == "ok"
    assert same.p_value == 1.0


@pytest.mark.parametrize(
    ("now", "before", "rows", "verdict"),
    [
        (0.05, 0.05, 1000, "ok"),
        (0.206, 0.05, 1000, "alarm"),
        (0.09, 0.05, 5000, "ok"),  # beyond chance, below the floor
        (0.206, 0.12, 1000, "ok"),  # the reference's own share is large
        (0.13, 0.05, 300, "alarm"),
        (0.5, 0.05, 100, None),  # too few rows to say
    ],
)
def test_a_share_of_referrals_beyond_chance_and_plan_is_a_finding(
    usecase: UseCase, now: float, before: float, rows: int, verdict: str | None
) -> None:
    masks = (np.arange(n) < share * n for share, n in ((now, rows), (before, 2000)))
    found = check_referred(usecase, *masks)
    assert [f.verdict for f in found] == ([verdict] if verdict else [])
    for finding in found:
        assert f"({now:.1%})" in finding.detail
        assert "5% planned" in finding.detail
        assert finding.alarm == (verdict == "alarm")
