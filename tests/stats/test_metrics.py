from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from sklearn import metrics as reference

from riskwright.errors import InputRefused
from riskwright.stats.calibration import ece
from riskwright.stats.metrics import METRICS, _Sorted, evaluate


def sample(n: int, seed: int, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes, and PDs that are right where the slope is 1."""
    rng = np.random.default_rng(seed)
    margin = rng.normal(-1.5, 1.2, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-margin))).astype(np.int8)
    return y, 1 / (1 + np.exp(-slope * margin))


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Few rows with many ties, both classes."""
    n = draw(st.integers(2, 60))
    y = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    y[0], y[1] = 0, 1
    p = draw(st.lists(st.integers(0, 20), min_size=n, max_size=n))
    return np.array(y), np.array(p) / 20


@pytest.mark.filterwarnings("ignore:ks_2samp")  # of its p-value, which isn't asked for
@settings(max_examples=60, deadline=None)
@given(cases(), st.integers(1, 20))
def test_values_are_scikit_learns_and_scipys(case: tuple, twentieth: int) -> None:
    y, p = case
    cutoff = twentieth / 20
    found = {k: e.value for k, e in evaluate(y, p, cutoff=cutoff, n_boot=3).items()}
    hard = (p >= cutoff).astype(int)
    assert tuple(found) == METRICS
    expected = {
        "accuracy": reference.accuracy_score(y, hard),
        "precision": reference.precision_score(y, hard, zero_division=0),
        "recall": reference.recall_score(y, hard),
        "f1": reference.f1_score(y, hard, zero_division=0),
        "roc_auc": reference.roc_auc_score(y, p),
        "gini": 2 * reference.roc_auc_score(y, p) - 1,
        "ks": ks_2samp(p[y == 1], p[y == 0]).statistic,
        "pr_auc": reference.average_precision_score(y, p),
        "brier": reference.brier_score_loss(y, p),
        "log_loss": reference.log_loss(y, np.clip(p, 1e-6, 1 - 1e-6)),
        "ece": ece(y, p),
    }
    assert {k: found[k] for k in expected} == pytest.approx(expected, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_intervals_hold_values_and_ranking_metrics_ignore_scale(
    case: tuple, random: object
) -> None:
    y, p = case
    found = evaluate(y, p, cutoff=0.5, n_boot=5)
    for name, e in found.items():
        assert e.low <= e.value <= e.high, name
        assert np.isfinite(e).all(), name
    assert 0 <= found["ks"].low <= found["ks"].high <= 1
    ranked = evaluate(y, p**3 / 2, cutoff=0.5, n_boot=5)  # strictly increasing on this grid
    order = np.arange(len(y))
    random.shuffle(order)  # type: ignore[attr-defined]
    moved = evaluate(y[order], p[order], cutoff=0.5, n_boot=5)
    for name in ("roc_auc", "ks", "pr_auc", "lift_10", "gini"):
        assert ranked[name].value == pytest.approx(found[name].value, abs=1e-12), name
    for name in set(METRICS) - {"ece"}:  # its bins split ties by row order
        assert moved[name].value == pytest.approx(found[name].value, abs=1e-12), name


def test_rows_may_be_permuted() -> None:
    y, p = sample(400, 3)
    order = np.random.default_rng(0).permutation(400)
    a, b = evaluate(y, p, cutoff=0.2, n_boot=5), evaluate(y[order], p[order], cutoff=0.2, n_boot=5)
    assert {k: e.value for k, e in a.items()} == pytest.approx({k: e.value for k, e in b.items()})


@settings(max_examples=60, deadline=None)
@given(cases(), st.integers(0, 10_000))
def test_a_weighted_resample_equals_the_resampled_rows(case: tuple, seed: int) -> None:
    y, p = case
    n = len(y)
    weights = np.bincount(np.random.default_rng(seed).integers(n, size=n), minlength=n)
    rows = _Sorted(y, p, 0.4)
    order = np.argsort(p, kind="stable")
    drawn = np.repeat(order, weights)
    if y[drawn].min() == y[drawn].max():
        return
    fast = rows.statistics(weights.astype(float))
    slow = _Sorted(y[drawn], p[drawn], 0.4).statistics(np.ones(n))
    assert fast == pytest.approx(slow, abs=1e-12)


def test_lift_by_hand() -> None:
    p = np.arange(20) / 20
    y = np.zeros(20, int)
    y[[0, 1, 19, 18]] = 1
    assert evaluate(y, p, cutoff=0.5, n_boot=3)["lift_10"].value == pytest.approx(1.0 / 0.2)
    tied = np.full(20, 0.3)  # no ranking: the worst tenth is any tenth
    assert evaluate(y, tied, cutoff=0.5, n_boot=3)["lift_10"].value == pytest.approx(1.0)


def test_a_perfect_model_of_few_rows_is_not_certain() -> None:
    y = np.array([0] * 30 + [1] * 5)
    found = evaluate(y, y * 0.8 + 0.1, cutoff=0.5, n_boot=20)
    assert found["roc_auc"].value == 1.0
    assert found["roc_auc"].low == pytest.approx(0.5655, abs=1e-4)  # Wilson, 5 of 5
    single = evaluate([0, 0, 1], [0.1, 0.2, 0.3], cutoff=0.5, n_boot=20)
    assert single["roc_auc"].low < 0.25


def test_no_row_predicted_bad() -> None:
    found = evaluate([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], cutoff=0.9, n_boot=5)
    assert found["precision"] == (0.0, 0.0, 1.0)
    assert found["f1"].value == 0.0


def test_coverage_of_the_intervals() -> None:
    """95 % intervals hold the truth in at least 85 % of samples, KS and ECE included."""
    y, p = sample(400_000, 99, slope=1.3)
    truth = {k: e.value for k, e in evaluate(y, p, cutoff=0.25, n_boot=1).items()}
    held = dict.fromkeys(METRICS, 0)
    runs = 80
    for run in range(runs):
        y, p = sample(400, run, slope=1.3)
        for name, e in evaluate(y, p, cutoff=0.25, seed=run, n_boot=100).items():
            held[name] += e.low <= truth[name] <= e.high
    del held["ece_calibrated_p95"]  # depends on the number of rows
    assert min(held.values()) >= 0.85 * runs, held


def test_ece_interval_of_a_calibrated_model_starts_at_zero() -> None:
    zero = sum(
        evaluate(*sample(400, run), cutoff=0.25, n_boot=50)["ece"].low == 0 for run in range(60)
    )
    assert zero >= 53  # 95 % of 60, less chance


def test_seed_fixes_intervals_and_more_rows_narrow_them() -> None:
    widths = []
    for n in (200, 800, 3200):
        y, p = sample(n, 5)
        found = evaluate(y, p, cutoff=0.2, seed=1, n_boot=100)
        assert found == evaluate(y, p, cutoff=0.2, seed=1, n_boot=100)
        widths.append({k: e.high - e.low for k, e in found.items()})
    for wide, narrow in pairwise(widths):
        assert all(narrow[k] < wide[k] for k in ("roc_auc", "ks", "pr_auc", "lift_10", "f1"))


def test_thirty_thousand_rows_are_fast() -> None:
    y, p = sample(30_000, 1)
    start = time.process_time()
    evaluate(y, p, cutoff=0.2, n_boot=100)
    assert time.process_time() - start < 1.5  # 0.15 on a quiet core; 500 resamples in 0.5


@pytest.mark.parametrize(
    ("y", "p"), [([0, 0, 0], [0.1, 0.2, 0.3]), ([0, 1, 0], [0.1, np.nan, 0.3])]
)
def test_one_class_and_nan_are_refused(y: list, p: list) -> None:
    with pytest.raises(InputRefused):
        evaluate(y, p, cutoff=0.5)


def test_the_bads_of_one_borrower_bound_no_auc() -> None:
    """Forty rows, one borrower: what is known of AUC is what one bad tells."""
    rng = np.random.default_rng(3)
    y = np.repeat([1, 0], [40, 400])
    p = np.clip(rng.normal(np.where(y == 1, 0.5, 0.2), 0.15), 0.01, 0.99)
    groups = np.where(y == 1, 0, np.arange(440))
    found = evaluate(y, p, cutoff=0.5, seed=0, n_boot=20, groups=groups)["roc_auc"]
    assert found.low < 0.3
    alone = evaluate(y, p, cutoff=0.5, seed=0, n_boot=20)["roc_auc"]
    assert alone.high - alone.low < 0.15
