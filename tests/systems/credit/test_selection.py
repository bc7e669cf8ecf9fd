"""Outcomes of a part that was selected by score are compared with the reference's like part."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from riskwright.data.contract import Contract
from riskwright.systems.credit.labels import Labels
from riskwright.systems.credit.outcomes import check_labels
from riskwright.systems.credit.selection import part_of

APPROVE, DECLINE = 0.20, 0.25


def decide(pds: Any) -> Any:
    return np.select(
        [pds < APPROVE, pds >= DECLINE], ["approve", "decline"], default="refer"
    ).astype(object)


@pytest.fixture
def window(usecase: Any, draw: Any, scored: Any) -> Any:
    """Canonical rows of an unchanged window, their PDs and their outcomes."""

    def drawn(rows: int, seed: int) -> Any:
        made = draw(rows, seed)
        frame = Contract(usecase, "monitor").apply(made.raw).accepted
        return frame, scored(frame), made.y

    return drawn


def labelled(y: Any, pds: Any, reference: Any, known: Any) -> Labels:
    return Labels(
        np.where(known, y, np.nan),
        decision=decide(pds),
        reference_decisions=lambda: decide(reference.pd),
    )


def judged(usecase: Any, reference: Any, frame: Any, pds: Any, labels: Labels) -> dict[str, Any]:
    findings = check_labels(usecase, reference, frame, pds, labels)
    return {f.code: f for f in findings if f.code != "segment_auc" or f.alarm}


def test_approved_cases_alone_raise_no_false_alarm(
    usecase: Any, reference: Any, window: Any
) -> None:
    """Alarms stay within what a 2 % rate allows; compared with all cases nearly all would."""
    cut = uncut = 0
    for seed in range(15):
        frame, pds, y = window(3_000, 200 + seed)
        found = judged(usecase, reference, frame, pds, labelled(y, pds, reference, pds < APPROVE))
        cut += any(f.alarm for f in found.values())
        assert found["auc"].verdict in ("ok", "alarm")
        assert "the decision 'approve'" in found["selected_outcomes"].detail
        known = pds < APPROVE
        alone = judged(usecase, reference, frame[known], pds[known], Labels(y[known]))
        uncut += alone["auc"].alarm
    assert cut <= stats.binom.ppf(0.999, 15, 0.02)
    assert uncut >= 10  # what the cut is for: no decision is known here, and all have an outcome


def test_a_real_change_among_approved_cases_is_found(
    usecase: Any, reference: Any, window: Any
) -> None:
    frame, pds, y = window(3_000, 300)
    known = pds < APPROVE
    rng = np.random.default_rng(2)
    odds = 2.0 * pds / (1 - pds)
    worse = (rng.random(len(pds)) < odds / (1 + odds)).astype(float)
    found = judged(usecase, reference, frame, pds, labelled(worse, pds, reference, known))
    assert found["observed_expected"].alarm
    assert found["observed_expected"].direction == "up"
    order = np.flatnonzero(known)[np.argsort(pds[known])]
    turned = y.copy()
    turned[order] = y[order[::-1]]
    found = judged(usecase, reference, frame, pds, labelled(turned, pds, reference, known))
    assert found["auc"].alarm


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (lambda pds, rng: np.full(len(pds), True), ""),
        (lambda pds, rng: rng.random(len(pds)) < 0.6, ""),
        (lambda pds, rng: pds < APPROVE, "'approve'"),
        (lambda pds, rng: pds < DECLINE, "'approve' and 'refer'"),
        # Approved by another cut-off than the version's: the scores themselves tell it.
        (lambda pds, rng: pds < 0.10, "PDs from"),
        # Some declined cases were approved by hand.
        (lambda pds, rng: (pds < APPROVE) | (rng.random(len(pds)) < 0.05), "are left out"),
    ],
    ids=["all", "a random part", "approved", "not declined", "a lower cut-off", "overrides"],
)
def test_which_part_it_is(
    known: Any, words: str, usecase: Any, reference: Any, window: Any
) -> None:
    _, pds, _ = window(3_000, 400)
    mask = known(pds, np.random.default_rng(5))
    part = part_of(
        usecase, reference, pds, np.full(len(pds), True), mask, decide(pds),
        lambda: decide(reference.pd),
    )  # fmt: skip
    assert part.trouble == ""
    assert words in part.words
    assert bool(part.words) == bool(words)
    assert part.before.all() == (not words)
    if words == "'approve'":
        np.testing.assert_array_equal(part.before, reference.pd < APPROVE)
    assert not (part.now & part.waiting).any()
    assert (part.now <= mask).all()


def test_a_file_of_approved_cases_alone_is_cut_alike_too(
    usecase: Any, reference: Any, window: Any
) -> None:
    """No row without an outcome is there to tell it: the decisions that are absent do."""
    frame, pds, y = window(4_000, 500)
    some = pds < APPROVE
    labels = labelled(y[some], pds[some], reference, np.full(int(some.sum()), True))
    found = judged(usecase, reference, frame[some], pds[some], labels)
    assert found["auc"].verdict == "ok"
    assert f"{int((reference.pd < APPROVE).sum()):,} of {len(reference):,} rows" in (
        found["selected_outcomes"].detail
    )


def test_what_cant_be_told_is_not_judged(usecase: Any, reference: Any, window: Any) -> None:
    """The higher the PD the rarer an outcome, without a cut-off."""
    frame, pds, y = window(5_000, 600)
    known = np.random.default_rng(6).random(len(pds)) > np.sqrt(np.clip(2 * pds, 0, 1))
    found = judged(usecase, reference, frame, pds, Labels(np.where(known, y, np.nan)))
    assert set(found) == {"outcomes"}
    assert found["outcomes"].verdict == "can't be judged"
    assert not found["outcomes"].alarm
    assert "chosen by something that goes with the score" in found["outcomes"].detail


def test_bads_that_are_known_before_the_goods_raise_no_alarm(
    usecase: Any, reference: Any, window: Any
) -> None:
    frame, pds, y = window(1_000, 700)
    known = (y == 1) | (np.random.default_rng(7).random(len(y)) < 0.7)
    found = judged(usecase, reference, frame, pds, Labels(np.where(known, y, np.nan)))
    assert not any(f.alarm for f in found.values())
    told = found.get("observed_expected") or found["outcomes"]
    assert told.verdict == "can't be judged"
    # A loan's calendar says when both are known: nothing is waited for.
    calendar = replace(Labels(np.where(known, y, np.nan)), by_calendar=True)
    assert judged(usecase, reference, frame, pds, calendar)["observed_expected"].alarm


def test_rows_that_say_nothing_of_the_version_are_left_out(
    usecase: Any, reference: Any, window: Any
) -> None:
    frame, pds, y = window(2_000, 800)
    wrong = np.arange(2_000) < 600
    turned = np.where(wrong, 1 - y, y)
    labels = Labels(turned, excluded=wrong)
    assert not any(f.alarm for f in judged(usecase, reference, frame, pds, labels).values())
    assert judged(usecase, reference, frame, pds, Labels(turned))["auc"].alarm
    everything = replace(labels, excluded=np.full(2_000, True))
    found = judged(usecase, reference, frame, pds, everything)
    assert [f.verdict for f in found.values()] == ["not enough data"]


def test_recorded_pds_count(usecase: Any, reference: Any, window: Any) -> None:
    frame, pds, y = window(2_000, 900)
    found = judged(usecase, reference, frame, pds, Labels(y, pd=np.full(2_000, pds.mean() / 2)))
    assert found["observed_expected"].alarm
    assert found["auc"].alarm  # they don't tell cases apart
