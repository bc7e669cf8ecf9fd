"""What labels show: calibration breaks, reversed segments, and what a label shift leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from riskwright.data.contract import Contract
from riskwright.stats.paired import auc_with_se
from riskwright.systems.credit import batch_checks
from riskwright.systems.credit.labels import Labels
from riskwright.systems.credit.outcomes import check_labels

ROWS = 2_000


@pytest.fixture
def window(usecase: Any, draw: Any, scored: Any) -> Any:
    drawn = draw(ROWS, 31)
    frame = Contract(usecase, "monitor").apply(drawn.raw).accepted
    return frame, scored(frame), Labels(drawn.y)


def found(findings: Any) -> dict[str, Any]:
    return {f.code: f for f in findings if f.code != "segment_auc"}


def test_nothing_is_found_where_nothing_changed(usecase: Any, reference: Any, window: Any) -> None:
    findings = check_labels(usecase, reference, *window)
    assert not [f.detail for f in findings if f.alarm]
    # quartiles of LIMIT, three levels of EDU, two of SEX
    assert len([f for f in findings if f.code == "segment_auc"]) == 9


def test_figures_equal_their_formulas(usecase: Any, reference: Any, window: Any) -> None:
    _, pds, labels = window
    y = labels.y
    findings = found(check_labels(usecase, reference, *window))
    known, base = (y, pds), (reference.y, reference.pd)
    ratio, ratio_before = (o.sum() / e.sum() for o, e in (known, base))
    spread = np.sqrt(sum((e * (1 - e)).sum() / e.sum() ** 2 for _, e in (known, base)))
    assert findings["observed_expected"].value == pytest.approx((ratio - ratio_before) / spread)
    assert findings["observed_expected"].effect == pytest.approx(ratio)
    now, before = auc_with_se(y.astype(int), pds), auc_with_se(reference.y, reference.pd)
    drop = before[0] - now[0]
    assert findings["auc"].effect == pytest.approx(drop)
    assert findings["auc"].value == pytest.approx(drop / np.hypot(before[1], now[1]))


def test_a_calibration_break_is_found_and_leaves_the_auc(
    usecase: Any, reference: Any, window: Any
) -> None:
    frame, pds, labels = window
    y = labels.y
    rng = np.random.default_rng(1)
    odds = 1.6 * pds / (1 - pds)  # about 22 to 30 %: every applicant's odds rise alike
    worse = (rng.random(ROWS) < odds / (1 + odds)).astype("float64")
    assert worse.mean() / y.mean() > 1.25
    findings = found(check_labels(usecase, reference, frame, pds, Labels(worse)))
    assert findings["observed_expected"].alarm
    assert findings["observed_expected"].effect > 1.2
    assert not findings["auc"].alarm
    fewer = y * (rng.random(ROWS) < 0.6)
    assert found(check_labels(usecase, reference, frame, pds, Labels(fewer)))[
        "observed_expected"
    ].alarm


def test_labels_reversed_in_one_quartile_are_found_there(
    usecase: Any, reference: Any, window: Any
) -> None:
    frame, pds, labels = window
    y = labels.y
    top = np.flatnonzero(frame["LIMIT"] > frame["LIMIT"].quantile(0.75))
    order = top[np.argsort(pds[top])]
    flipped = y.copy()
    flipped[order] = y[order[::-1]]
    findings = check_labels(usecase, reference, frame, pds, Labels(flipped))
    segments = [f for f in findings if f.alarm and f.code == "segment_auc" and f.column == "LIMIT"]
    assert len(segments) == 1
    assert "LIMIT above" in segments[0].detail
    assert segments[0].effect > 0.2
    assert not found(findings)["observed_expected"].alarm  # the count of bads is unchanged


def test_segments_pay_for_their_number(usecase: Any, reference: Any, window: Any) -> None:
    segments = [f for f in check_labels(usecase, reference, *window) if f.code == "segment_auc"]
    judged = [f for f in segments if f.verdict != "not enough data"]
    assert len({f.threshold for f in judged}) == 1
    assert stats.norm.sf(judged[0].threshold) * len(judged) == pytest.approx(stats.norm.sf(3.3))


def test_few_bads_are_not_enough(usecase: Any, reference: Any, window: Any) -> None:
    frame, pds, labels = window
    y = labels.y
    rare = np.zeros(ROWS)
    rare[:19] = 1
    assert [f.verdict for f in check_labels(usecase, reference, frame, pds, Labels(rare))] == [
        "not enough data"
    ]
    unknown = np.where(np.arange(ROWS) < ROWS - 40, np.nan, y)
    (few,) = check_labels(usecase, reference, frame, pds, Labels(unknown))
    assert few.verdict == "not enough data"
    assert few.value == np.nansum(unknown)


def test_no_labels_is_a_verdict_of_its_own(
    usecase: Any, reference: Any, draw: Any, judge: Any
) -> None:
    drawn = draw(500, 32)
    frame, pds = reference.frame[:500], reference.pd[:500]
    assert check_labels(usecase, reference, frame, pds, None) == []
    assert check_labels(usecase, reference, frame, pds, Labels(np.full(500, np.nan))) == []
    assert judge(drawn.raw).verdicts["labels"] == "no labels"
    assert judge(drawn.raw, drawn.y).verdicts["labels"] == "ok"


def test_labels_of_another_length_fail_and_hide_nothing(
    draw: Any, judge: Any, usecase: Any, reference: Any
) -> None:
    raw = draw(500, 33).raw
    checked, header = batch_checks.examine(usecase, raw)
    result = batch_checks.check_batch(
        usecase,
        reference=reference,
        raw=raw,
        checked=checked,
        header=header,
        pd=np.full(3, 0.1),
        labels=Labels(np.zeros(2)),
    )
    assert result.verdicts == {
        "quality": "ok",
        "columns": "ok",
        "score": "failed",
        "labels": "failed",
    }
    assert result.alarm
