"""The population stability index, against its formula and the chi-square law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from riskwright.stats.stability import psi, psi_of_counts, psi_of_values

SHARES = (
    st.lists(st.floats(0.01, 1), min_size=5, max_size=5)
    .map(np.array)
    .map(lambda raw: raw / raw.sum())
)


@given(SHARES, SHARES)
def test_the_index_is_both_divergences(a: np.ndarray, b: np.ndarray) -> None:
    assert psi(a, b) == pytest.approx(stats.entropy(a, b) + stats.entropy(b, a), abs=1e-12)
    assert psi(a, b) == pytest.approx(psi(b, a))
    assert psi(a, np.stack([a, b])) == pytest.approx([0, psi(a, b)])


def test_values_in_closed_form_and_zero_for_equal_shares() -> None:
    before = np.repeat(np.arange(10.0), 100)
    now = np.repeat(np.arange(10.0), [200] + [100] * 8 + [0])
    smooth = np.array([np.full(10, 100.5), np.array([200.5] + [100.5] * 8 + [0.5])])
    share = smooth / smooth.sum(axis=1, keepdims=True)
    closed = ((share[1] - share[0]) * np.log(share[1] / share[0])).sum()
    assert psi_of_values(before, now) == pytest.approx(closed)
    assert psi_of_values(before, before[::-1]) == 0.0


def test_under_no_change_it_is_about_chi_square() -> None:
    rng, n, m = np.random.default_rng(0), 4000, 2000
    tables = [np.stack([rng.multinomial(k, np.full(10, 0.1)) for k in (n, m)]) for _ in range(500)]
    scaled = [psi_of_counts(table) * n * m / (n + m) for table in tables]
    assert stats.kstest(scaled, stats.chi2(9).cdf).pvalue > 0.01
