"""Each seeded fault is found at 1,000 rows, by the right check, in the right column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from riskwright.data.textfiles import FAULT
from riskwright.life.findings import Result
from riskwright.systems.credit import batch_checks
from riskwright.systems.credit.cells import rise
from riskwright.systems.credit.quality import check_quality

ROWS = 1_000
Raw = pd.DataFrame


def put(column: str, value: Any, share: float = 1.0, start: int = 0) -> Callable[[Raw], Raw]:
    """Overwrite the first cells (from ``start``) of a column."""

    def change(raw: Raw) -> Raw:
        cells = raw[column].astype("object")
        cells.iloc[start : start + round(share * len(raw))] = value
        return raw.assign(**{column: cells.astype("str")})

    return change


def times(column: str, factor: float, share: float = 1.0) -> Callable[[Raw], Raw]:
    """Multiply the first cells of a column."""

    def change(raw: Raw) -> Raw:
        values = raw[column].astype("float64")
        values.iloc[: round(share * len(raw))] *= factor
        return raw.assign(**{column: values.map("{:.10g}".format).astype("str")})

    return change


def swapped(raw: Raw) -> Raw:
    return raw.assign(LIMIT=raw["PAID"], PAID=raw["LIMIT"])


def ragged(raw: Raw) -> Raw:
    told = pd.Series(np.nan, index=raw.index, dtype="object")
    told.iloc[:20] = "9 cells, 8 expected"
    return raw.assign(**{FAULT: told})


# name: change, code of the finding, its column
FAULTS: dict[str, tuple[Callable[[Raw], Raw], str, str | None]] = {
    "absent column": (lambda r: r.drop(columns="PAID"), "missing_column", "PAID"),
    "renamed column": (lambda r: r.rename(columns={"PAID": "paid"}), "missing_column", "PAID"),
    "absent category": (lambda r: r.drop(columns="EDU"), "missing_column", "EDU"),
    "absent id": (lambda r: r.drop(columns="key"), "missing_column", "key"),
    "optional column gone": (lambda r: r.drop(columns="WHEN"), "missing_column", "WHEN"),
    "numbers as words": (put("AGE", "forty"), "retyped", "AGE"),
    "codes as words": (put("EDU", "university"), "retyped", "EDU"),
    "dates as words": (put("WHEN", "yesterday"), "retyped", "WHEN"),
    "some unreadable": (put("LIMIT", "n/k", 0.02), "unreadable", "LIMIT"),
    "infinity 2 %": (put("INCOME", "inf", 0.02), "infinity", "INCOME"),
    "one infinity": (put("INCOME", "-inf", 0.001), "infinity", "INCOME"),
    "new category 2 %": (put("EDU", "d", 0.02), "unknown_category", "EDU"),
    "out of range 2 %": (put("AGE", "7", 0.02), "out_of_range", "AGE"),
    "broken whole numbers": (put("LATE", "1.5", 0.02), "not_whole", "LATE"),
    "missing 5 to 15 %": (put("INCOME", np.nan, 0.10), "missing_rate", "INCOME"),
    "missing 0 to 4 %": (put("AGE", np.nan, 0.04), "missing_rate", "AGE"),
    "all missing": (put("LIMIT", np.nan), "all_missing", "LIMIT"),
    "constant number": (put("LIMIT", "8000"), "constant", "LIMIT"),
    "constant category": (put("EDU", "b"), "constant", "EDU"),
    "x1000 on 5 %": (times("PAID", 1_000, 0.05), "unit_jump", "PAID"),
    "x100 everywhere": (times("LIMIT", 100), "unit_jump", "LIMIT"),
    "/1000 everywhere": (times("LIMIT", 0.001), "unit_jump", "LIMIT"),
    "beyond all seen": (put("INCOME", "-50", 0.02), "below_support", "INCOME"),
    "ids repeated": (put("key", "k1", 0.05), "duplicate_ids", "key"),
    "ids missing": (put("key", np.nan, 0.05), "missing_ids", "key"),
    "quarantine past its limit": (put("AGE", "300", 0.06), "quarantine_share", None),
    "everything refused": (put("AGE", "300"), "nothing_accepted", None),
    "ragged rows": (ragged, "ragged_rows", None),
    "no rows": (lambda r: r.iloc[:0], "empty_batch", None),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found(name: str, draw: Any, judge: Callable[..., Result]) -> None:
    change, code, column = FAULTS[name]
    result = judge(change(draw(ROWS, 11).raw))
    found = {(f.code, f.column): f for f in result.alarms if f.family == "quality"}
    assert (code, column) in found, sorted(found)
    assert result.verdicts["quality"] == "alarm"
    assert result.alarm
    assert result.severity in ("high", "critical")
    finding = found[code, column]
    assert finding.detail
    if column is not None:
        assert column in finding.detail
    assert not [f for f in result.findings if f.verdict == "failed"]


def test_what_is_told_counts_and_points_at_a_row(draw: Any, judge: Any) -> None:
    raw = put("AGE", "7", 0.02, start=100)(draw(ROWS, 11).raw)
    raw.index = raw.index + 500  # a later part of a file
    finding = next(f for f in judge(raw).alarms if f.code == "out_of_range")
    assert "20 of 1,000" in finding.detail
    assert "row 600" in finding.detail
    assert finding.value == pytest.approx(0.02)


def test_a_renamed_column_is_offered(draw: Any, judge: Any) -> None:
    result = judge(draw(ROWS, 11).raw.rename(columns={"INCOME": "INCOMES"}))
    assert "did you mean 'INCOMES'?" in result.alarms[0].detail
    assert result.severity == "critical"
    assert result.verdicts["columns"] == "ok"  # the others were looked at all the same


def test_columns_in_another_order_are_the_same(draw: Any, judge: Any) -> None:
    raw = draw(ROWS, 11).raw
    assert judge(raw[raw.columns[::-1]]).as_dict() == judge(raw).as_dict()


def test_swapped_columns_are_found_by_the_column_tests(draw: Any, judge: Any) -> None:
    alarms = judge(swapped(draw(ROWS, 11).raw)).alarms
    assert {"LIMIT", "PAID"} <= {f.column for f in alarms if f.family == "columns"}


def test_a_batch_of_one_day_is_no_constant(usecase: Any, reference: Any, draw: Any) -> None:
    raw = draw(ROWS, 11).raw
    days = pd.date_range("2023-01-01", periods=len(reference), freq="h")
    varied = replace(reference, frame=reference.frame.assign(WHEN=days))
    checked, header = batch_checks.examine(usecase, raw)
    found = check_quality(usecase, varied, raw, checked, header)
    assert not [f.detail for f in found if f.alarm]


def test_extra_columns_are_told_and_are_no_alarm(draw: Any, judge: Any) -> None:
    result = judge(draw(ROWS, 11).raw.assign(CAMPAIGN="x", RECOVERED="1", Y="1"))
    extra = next(f for f in result.findings if f.code == "extra_columns")
    assert "CAMPAIGN" in extra.detail
    assert "RECOVERED" not in extra.detail
    assert "Y" not in extra.detail.split(": ")[1]
    assert not result.alarm


def test_native_cells_are_judged_as_text_cells_are(draw: Any, judge: Any) -> None:
    raw = draw(ROWS, 11).raw
    native = raw.assign(
        **{n: raw[n].astype("float64") for n in ("LIMIT", "PAID", "AGE", "LATE", "INCOME")},
        SEX=raw["SEX"].astype("int64"),
        WHEN=pd.to_datetime(raw["WHEN"]),
    )
    assert judge(native).as_dict() == judge(raw).as_dict()


def test_one_slip_is_no_fault(draw: Any, judge: Any) -> None:
    raw = draw(ROWS, 11).raw
    for change in (put("AGE", "7", 0.001), put("EDU", "d", 0.001), put("LIMIT", "?x", 0.001)):
        result = judge(change(raw))
        assert result.refused == 1
        assert not result.alarm, [f.detail for f in result.alarms]


def test_under_the_minimum_nothing_is_called_ok(draw: Any, judge: Any) -> None:
    raw = draw(50, 11).raw
    clean, faulty = judge(raw), judge(put("INCOME", "inf", 0.02)(raw))
    assert clean.verdicts == {
        "quality": "not enough data",
        "columns": "not enough data",
        "score": "not enough data",
        "labels": "no labels",
    }
    assert not clean.alarm
    assert faulty.verdicts["quality"] == "alarm"


def test_a_single_row_never_alarms_by_chance(draw: Any, judge: Any) -> None:
    rows = draw(20, 12).raw
    results = [judge(rows.iloc[[i]]) for i in range(20)]
    assert [r.title for r in results if r.alarm] == []
    assert {r.verdicts["quality"] for r in results} == {"not enough data"}


def test_x1000_on_five_per_cent_is_found_at_200_rows(draw: Any, judge: Any) -> None:
    hits = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        raw = draw(200, 5_000 + seed).raw
        paid = raw["PAID"].astype("float64") * np.where(rng.random(200) < 0.05, 1_000.0, 1.0)
        hits += judge(raw.assign(PAID=paid.astype("str"))).verdicts["quality"] == "alarm"
    assert hits >= 36


def test_one_failing_column_hides_no_other(usecase: Any, reference: Any, draw: Any) -> None:
    raw = put("EDU", "d", 0.02)(draw(ROWS, 11).raw)
    checked, header = batch_checks.examine(usecase, raw)
    twice = pd.concat([raw, raw[["PAID"]]], axis=1)  # raw["PAID"] is now a table, no column
    result = batch_checks.check_batch(
        usecase,
        reference=reference,
        raw=twice,
        checked=checked,
        header=header,
        pd=None,
        labels=None,
    )
    failed = [f for f in result.findings if f.verdict == "failed"]
    assert [f.column for f in failed] == ["PAID"]
    assert failed[0].alarm
    assert ("unknown_category", "EDU") in {(f.code, f.column) for f in result.alarms}
    assert result.verdicts["columns"] == "ok"


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 40), st.integers(1, 60))
def test_rise_is_fishers_exact_test(k: int, n: int, k_ref: int, m: int) -> None:
    k, k_ref = min(k, n), min(k_ref, m)
    table = [[k, n - k], [k_ref, m - k_ref]]
    expected = stats.fisher_exact(table, alternative="greater").pvalue
    assert rise(k, n, k_ref, m) == pytest.approx(expected, rel=1e-9, abs=1e-300)
