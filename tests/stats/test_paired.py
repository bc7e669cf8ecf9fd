from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from riskwright.errors import InputRefused
from riskwright.stats.paired import Paired, auc_with_se, compare_auc, compare_log_loss, placements


def models(
    n: int, seed: int, noise: tuple[float, float] = (0.7, 0.7)
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes and two models that see the truth through their own noise."""
    rng = np.random.default_rng(seed)
    margin = rng.normal(-1.0, 1.2, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-margin))).astype(int)
    y[:2] = 0, 1
    a, b = (1 / (1 + np.exp(-(margin + rng.normal(0, s, n)))) for s in noise)
    return y, a, b


def delong_by_definition(y: np.ndarray, *ps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUCs and their covariance from the m x n kernel itself."""
    bads, goods = [], []
    for p in ps:
        gap = p[y == 1][:, None] - p[y == 0][None, :]
        kernel = (gap > 0) + 0.5 * (gap == 0)
        bads.append(kernel.mean(axis=1))
        goods.append(kernel.mean(axis=0))
    m, n = (y == 1).sum(), (y == 0).sum()
    return np.mean(bads, axis=1), np.cov(bads) / m + np.cov(goods) / n


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 60), st.sampled_from([1, 2, 8]))
def test_delong_equals_its_definition(seed: int, n: int, digits: int) -> None:
    y, a, b = models(n, seed)
    y[:4] = 0, 1, 0, 1
    a, b = a.round(digits), b.round(digits)  # ties
    aucs, covariance = delong_by_definition(y, a, b)
    value, se = auc_with_se(y, a)
    assert value == pytest.approx(roc_auc_score(y, a), abs=1e-12)
    assert value == pytest.approx(placements(y, a)[1].mean(), abs=1e-12)
    assert se**2 == pytest.approx(covariance[0, 0], abs=1e-12)
    found = compare_auc(y, a, b)
    assert found.difference == pytest.approx(aucs[0] - aucs[1], abs=1e-12)
    assert found.se**2 == pytest.approx(
        covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], abs=1e-12
    )


@pytest.mark.slow
def test_delong_se_is_the_bootstraps() -> None:
    y, a, b = models(800, 1, noise=(0.5, 1.0))
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(300):
        rows = rng.integers(len(y), size=len(y))
        draws.append(
            (roc_auc_score(y[rows], a[rows]), roc_auc_score(y[rows], a[rows])
             - roc_auc_score(y[rows], b[rows]))
        )  # fmt: skip
    spread = np.std(draws, axis=0)
    assert auc_with_se(y, a)[1] == pytest.approx(spread[0], rel=0.15)
    assert compare_auc(y, a, b).se == pytest.approx(spread[1], rel=0.15)


@pytest.mark.parametrize("compare", [compare_auc, compare_log_loss])
def test_equal_models_are_equal(compare) -> None:  # type: ignore[no-untyped-def]
    y, a, _ = models(50, 2)
    assert compare(y, a, a.copy()) == Paired(0.0, 0.0, 0.0, 0.5)


def test_equal_rankings_have_equal_auc() -> None:
    y, a, _ = models(200, 3)
    assert compare_auc(y, a, a**2) == Paired(0.0, 0.0, 0.0, 0.5)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_swapping_models_mirrors_the_verdict(seed: int) -> None:
    y, a, b = models(60, seed)
    for compare in (compare_auc, compare_log_loss):
        there, back = compare(y, a, b), compare(y, b, a)
        assert there.difference == pytest.approx(-back.difference, abs=1e-15)
        assert there.se == pytest.approx(back.se, abs=1e-15)
        assert there.p_greater == pytest.approx(1 - back.p_greater, abs=1e-12)


def test_log_loss_difference_is_the_mean_of_the_rows() -> None:
    y, a, b = models(300, 4, noise=(0.2, 1.5))
    found = compare_log_loss(y, a, b)
    assert found.difference == pytest.approx(log_loss(y, a) - log_loss(y, b))
    assert found.difference < 0
    assert found.p_greater < 0.01  # a is better: lower
    assert compare_auc(y, a, b).p_greater < 0.01  # a is better: higher


@pytest.mark.parametrize("compare", [compare_auc, compare_log_loss])
def test_level_of_the_test(compare) -> None:  # type: ignore[no-untyped-def]
    """Two equally good models are told apart in about 5 % of samples."""
    p = [compare(*models(250, seed)).p_greater for seed in range(600)]
    assert 0.03 <= np.mean(np.array(p) < 0.05) <= 0.075
    assert 0.45 <= np.mean(np.array(p) < 0.5) <= 0.55


def test_a_sure_difference_stays_finite() -> None:
    y = np.array([0, 0, 1, 1])
    found = compare_auc(y, y * 0.5 + 0.1, 0.9 - y * 0.5)
    assert found.difference == 1.0
    assert np.isfinite(found.z)
    assert found.p_greater == pytest.approx(0.0)


def test_a_single_bad_says_nothing() -> None:
    assert compare_auc([0, 0, 1], [0.1, 0.2, 0.9], [0.9, 0.2, 0.1]) == Paired(1.0, np.inf, 0.0, 0.5)
    assert astuple(compare_log_loss([1], [0.9], [0.1]))[1:] == (np.inf, 0.0, 0.5)


def test_nan_one_class_and_lengths_are_refused() -> None:
    for y, a, b in (
        ([0, 1], [0.1, np.nan], [0.1, 0.2]),
        ([0, 1], [0.1, 0.2], [0.1, np.nan]),
        ([0, 1], [0.1, 0.2], [0.1]),
        ([0, 0], [0.1, 0.2], [0.1, 0.2]),
    ):
        with pytest.raises(InputRefused):
            compare_auc(y, a, b)
    with pytest.raises(InputRefused):
        compare_log_loss([0, 1], [0.1, np.nan], [0.1, 0.2])


def grouped(groups: int, each: int, seed: int) -> tuple[np.ndarray, ...]:
    """Borrowers whose loans share their outcome and what either model sees of them."""
    rng = np.random.default_rng(seed)
    margin = rng.normal(-1.0, 1.2, groups)
    y = (rng.random(groups) < 1 / (1 + np.exp(-margin))).astype(int)
    y[:2] = 0, 1
    a, b = (1 / (1 + np.exp(-(margin + rng.normal(0, 0.7, groups)))) for _ in range(2))
    who = np.repeat(np.arange(groups), each)
    return y[who], a[who], b[who], who


@pytest.mark.parametrize("compare", [compare_auc, compare_log_loss])
def test_a_borrowers_loans_are_no_independent_evidence(compare) -> None:  # type: ignore[no-untyped-def]
    """Five equal rows a borrower: the error is that of one row each, not sqrt(5) smaller."""
    y, a, b, who = grouped(300, 5, 1)
    one = compare(y[::5], a[::5], b[::5])
    rows, clustered = compare(y, a, b), compare(y, a, b, who)
    assert clustered.difference == pytest.approx(one.difference)
    assert clustered.se == pytest.approx(one.se, rel=1e-9)
    assert rows.se == pytest.approx(one.se / 5**0.5, rel=0.01)
    # Rows that are all of their own group are what they were; the groups' numbers say nothing.
    alone = np.random.default_rng(0).permutation(len(y)) * 3
    assert astuple(compare(y, a, b, alone)) == pytest.approx(astuple(rows))


@pytest.mark.parametrize("compare", [compare_auc, compare_log_loss])
def test_level_of_the_test_of_grouped_rows(compare) -> None:  # type: ignore[no-untyped-def]
    """By rows, two equally good models were told apart in one sample of four."""
    p, by_rows = [], []
    for seed in range(300):
        y, a, b, who = grouped(120, 4, seed)
        p.append(compare(y, a, b, who).p_greater)
        by_rows.append(compare(y, a, b).p_greater)
    assert np.mean(np.array(by_rows) < 0.05) > 0.15
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.09


def test_clustered_auc_error_is_the_bootstraps_over_groups() -> None:
    """Groups that hold both classes tie the two parts together (Obuchowski 1997)."""
    rng = np.random.default_rng(8)
    who = np.repeat(np.arange(200), rng.integers(1, 7, 200))
    shared = rng.normal(-0.5, 1.0, 200)[who]
    y = (rng.random(len(who)) < 1 / (1 + np.exp(-shared))).astype(int)
    p = 1 / (1 + np.exp(-(shared + rng.normal(0, 0.3, len(who)))))
    draws, members = [], [np.flatnonzero(who == g) for g in range(200)]
    for _ in range(300):
        rows = np.concatenate([members[g] for g in rng.integers(200, size=200)])
        draws.append(roc_auc_score(y[rows], p[rows]))
    assert auc_with_se(y, p, who)[1] == pytest.approx(np.std(draws), rel=0.15)
    assert auc_with_se(y, p)[1] < 0.85 * np.std(draws)
