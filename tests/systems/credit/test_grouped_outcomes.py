"""A borrower's loans go bad together: outcomes are judged by borrowers where they are declared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from riskwright.case.usecase import UseCase, parse_usecase
from riskwright.systems.credit.labels import Labels
from riskwright.systems.credit.outcomes import check_labels
from riskwright.systems.credit.reference import Reference

EACH = 8
TEXT = """
name: small
title: Small
question: Will it be bad?
source: {location: nowhere.csv}
id: key
group: WHO
target: {column: Y, bad: 1, good: 0}
columns:
  key: {type: text}
  WHO: {type: text}
  X: {type: number}
  Y: {type: category, values: [0, 1]}
"""


def loans(borrowers: int, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Each borrower's loans are alike and share what becomes of them; nothing has changed."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(borrowers), EACH)
    x = rng.normal(-1.4, 1.0, borrowers)
    pds = 1 / (1 + np.exp(-x))
    y = (rng.random(borrowers) < pds).astype(int)
    frame = pd.DataFrame({"key": np.arange(len(who)).astype(str), "X": x[who]})
    frame["WHO"] = pd.Series([f"b{i}" for i in who], dtype="str")
    return frame, pds[who], y[who]


def alarms(usecase: UseCase, seeds: int) -> int:
    count = 0
    for seed in range(seeds):
        before = Reference.build(usecase, *loans(500, 1000 + seed))
        again = Reference.from_frame(before.to_frame())  # as it is stored
        frame, pds, y = loans(250, seed)
        found = check_labels(usecase, again, frame, pds, Labels(y.astype(float)))
        count += any(f.alarm for f in found if f.code in ("observed_expected", "auc"))
    return count


@pytest.mark.parametrize(("declared", "least", "most"), [(False, 5, 30), (True, 0, 1)])
def test_nothing_changed_and_borrowers_have_many_loans(
    declared: bool, least: int, most: int
) -> None:
    """Counted by loans, chance looks like change."""
    text = TEXT if declared else TEXT.replace("group: WHO\n", "")
    assert least <= alarms(parse_usecase(text, where="test"), 30) <= most


def test_a_reference_without_groups_is_read() -> None:
    usecase = parse_usecase(TEXT.replace("group: WHO\n", ""), where="test")
    held = Reference.build(usecase, *loans(50, 1))
    assert "riskwright.group" not in held.to_frame()
    assert Reference.from_frame(held.to_frame()).groups is None


@pytest.mark.parametrize("groups", [1, 2, 5, 19])
def test_a_few_borrowers_are_no_evidence_however_many_loans_they_have(groups: int) -> None:
    """One group's error can't be told: its z was 0, and everything "ok"."""
    usecase = parse_usecase(TEXT, where="test")
    before = Reference.build(usecase, *loans(500, 1000))
    frame, pds, _ = loans(100, 1)
    frame["WHO"] = [f"b{i % groups}" for i in range(len(frame))]
    y = np.tile([1.0, 0.0], len(frame) // 2)  # twice what the PDs expect
    (found,) = check_labels(usecase, before, frame, pds, Labels(y))
    assert found.verdict == "not enough data"
    assert "groups with each by 'WHO' are needed" in found.detail
