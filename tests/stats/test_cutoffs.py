from __future__ import annotations

import subprocess
import sys
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from riskwright.errors import InputRefused
from riskwright.stats.cutoffs import choose, confusion, cost, decide

rows = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 12).map(lambda k: k / 12)), min_size=1, max_size=40
)


@settings(deadline=None)
@given(rows, st.integers(0, 13))
def test_confusion_is_scikit_learns(rows: list, twelfth: int) -> None:
    y, p = map(np.array, zip(*rows, strict=True))
    cutoff = twelfth / 12
    expected = confusion_matrix(y, p >= cutoff, labels=[0, 1]).ravel()
    assert astuple(confusion(y, p, cutoff)) == tuple(expected)


@settings(deadline=None)
@given(rows, st.floats(0.2, 20), st.floats(0.2, 20))
def test_chosen_cutoff_costs_least_to_within_a_standard_error(
    rows: list, bad: float, good: float
) -> None:
    y, p = map(np.array, zip(*rows, strict=True))
    costs = {"bad_approved": bad, "good_declined": good}
    chosen, low, high = choose(y, p, **costs)
    assert 0 <= low <= chosen <= high <= 1

    def by_row(cutoff: float) -> np.ndarray:
        return np.where(p >= cutoff, (1 - y) * good, y * bad)

    every = np.linspace(0, 1, 241)  # finer than the grid of PDs
    least = min(every, key=lambda c: by_row(c).mean())
    limit = by_row(least).mean() + by_row(least).std() / len(y) ** 0.5
    # Of several that cost the least the errors differ: any of them will do.
    limits = [
        by_row(c).mean() + by_row(c).std() / len(y) ** 0.5
        for c in every
        if by_row(c).mean() <= by_row(least).mean() + 1e-9
    ]
    assert by_row(chosen).mean() <= max(limit, *limits, 0.0) + 1e-9
    for c in every:  # what costs the least lies in the range
        assert low <= c <= high or by_row(c).mean() > by_row(least).mean()


@settings(deadline=None)
@given(rows, st.floats(0.2, 20))
def test_the_theoretical_cutoff_wins_a_tie(rows: list, bad: float) -> None:
    y, p = map(np.array, zip(*rows, strict=True))
    costs = {"bad_approved": bad, "good_declined": 1.0}
    theory = 1 / (1 + bad)
    chosen = choose(y, p, **costs).cutoff
    theirs = cost(y, p, theory, **costs)
    assert chosen == pytest.approx(theory) or theirs > min(
        cost(y, p, c, **costs) for c in np.linspace(0, 1, 241)
    ) * (1 - 1e-13)


def test_a_flat_minimum_is_a_range_and_the_theoretical_cutoff_is_taken_in_it() -> None:
    """The empirical minimum lies where chance put it, up to .06 from 1/6 on 1,000 rows."""
    rng = np.random.default_rng(4)
    widths, at_theory = [], []
    for _ in range(60):
        p = 1 / (1 + np.exp(-rng.normal(-1.5, 1.0, 1000)))
        found = choose(rng.random(1000) < p, p, bad_approved=5, good_declined=1)
        at_theory.append(found.cutoff == 1 / 6)
        widths.append(found.high - found.low)
    assert np.mean(at_theory) > 0.75
    assert 0.02 < np.median(widths) < 0.2
    # The same PDs doubled: the cut-off of theory isn't where they cost least, and isn't taken.
    p = 1 / (1 + np.exp(-rng.normal(-1.5, 1.0, 20_000)))
    y = rng.random(20_000) < p
    doubled = choose(y, np.minimum(2 * p, 1), bad_approved=5, good_declined=1)
    assert doubled.cutoff == pytest.approx(1 / 3, abs=0.06)
    assert doubled.low > 1 / 6


@pytest.mark.parametrize(
    ("y", "p", "expected"),
    [
        ([0, 1], [0.1, 0.4], 1 / 6),  # anything in (0.1, 0.4] is right: the theoretical one
        ([0, 1], [0.3, 0.5], 0.4),  # nearest gap to 1/6: its middle
        ([0, 0], [0.3, 0.5], 0.75),  # approve all
        ([1, 1], [0.3, 0.5], 1 / 6),  # decline all
        ([0, 0], [0.3, 1.0], 0.65),  # a PD of 1 is declined by every cut-off
        ([1, 1], [0.0, 0.5], 0.0),  # declining a PD of 0 needs a cut-off of 0
    ],
)
def test_choose_by_hand(y: list, p: list, expected: float) -> None:
    assert choose(y, p, bad_approved=5, good_declined=1).cutoff == pytest.approx(expected)


def test_choose_finds_the_theoretical_cutoff_of_right_pds() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(200_000)
    y = rng.random(200_000) < p
    chosen = choose(y, p, bad_approved=4, good_declined=1)
    assert chosen.cutoff == pytest.approx(0.2)
    assert chosen.low < 0.2 < chosen.high


pds = st.one_of(st.floats(0, 1), st.just(float("nan")))


@settings(deadline=None)
@given(
    st.lists(st.tuples(pds, st.one_of(st.floats(0, 5), st.just(float("nan")))), max_size=30),
    st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
    st.floats(0, 5),
)
def test_decide_partitions(rows: list, limits: list, refer_above: float) -> None:
    p, spread = np.array(rows, dtype=float).reshape(-1, 2).T
    below, above = limits
    found = decide(p, spread, approve_below=below, decline_from=above, refer_above=refer_above)
    assert found.shape == p.shape
    for pd_, s, decision in zip(p, spread, found, strict=True):
        if np.isnan(pd_) or np.isnan(s) or s > refer_above:
            assert decision == "refer"
        elif pd_ < below:
            assert decision == "approve"
        else:
            assert decision == ("decline" if pd_ >= above else "refer")


def test_faults_are_refused() -> None:
    with pytest.raises(InputRefused, match="positive"):
        choose([0, 1], [0.1, 0.2], bad_approved=0, good_declined=1)
    with pytest.raises(InputRefused):
        choose([0, 1], [0.1, np.nan], bad_approved=5, good_declined=1)
    limits = {"approve_below": 0.1, "decline_from": 0.2, "refer_above": 1.0}
    with pytest.raises(InputRefused, match="match"):
        decide([0.1], [0.1, 0.2], **limits)
    with pytest.raises(InputRefused, match="above"):
        decide([0.1], [0.1], **{**limits, "approve_below": 0.3})


def test_scoring_imports_nothing_heavy() -> None:
    code = (
        "import sys, riskwright.stats.cutoffs, riskwright.explanations.reasons; "
        "print(sorted({'scipy', 'sklearn', 'matplotlib', 'shap'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
