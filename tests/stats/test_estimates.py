from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from riskwright.errors import InputRefused
from riskwright.stats.estimates import (
    LEVEL,
    Z,
    checked,
    jeffreys,
    losses,
    mean,
    proportion,
    wilson,
)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(counts: tuple[int, int]) -> None:
    hits, n = counts
    expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_z_belongs_to_the_level() -> None:
    assert pytest.approx(stats.norm.ppf(0.5 + LEVEL / 2), abs=1e-15) == Z


def test_wilson_of_nothing_says_nothing() -> None:
    assert proportion(0, 0) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("hits", "n", "expected"),
    # Equal tails of Beta(hits + 1/2, n - hits + 1/2), but for a bound at 0 and at n hits.
    [(0, 10, (0.0, 0.2172)), (10, 10, (0.7828, 1.0)), (5, 10, (0.2235, 0.7765))],
)
def test_jeffreys_by_table(hits: int, n: int, expected: tuple[float, float]) -> None:
    assert jeffreys(hits, n) == pytest.approx(expected, abs=5e-5)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_jeffreys_mirrors(counts: tuple[int, int]) -> None:
    hits, n = counts
    low, high = jeffreys(hits, n)
    mirrored = jeffreys(n - hits, n)
    assert low <= hits / n <= high
    assert [1 - mirrored[1], 1 - mirrored[0]] == pytest.approx([float(low), float(high)], abs=1e-9)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_jeffreys_is_of_the_beta_law(counts: tuple[int, int]) -> None:
    hits, n = counts
    low, high = (special.betaincinv(hits + 0.5, n - hits + 0.5, q) for q in (0.025, 0.975))
    expected = (low if hits else 0.0, high if hits < n else 1.0)
    assert jeffreys(hits, n) == pytest.approx(expected, abs=1e-12)


def test_intervals_of_arrays_and_of_parts_of_rows() -> None:
    hits, n = np.array([0.0, 4.5, 10.0, 0.0]), np.array([10.0, 9.5, 10.0, 0.0])
    low, high = wilson(hits, n)
    share, z2 = 4.5 / 9.5, stats.norm.ppf(0.975) ** 2
    half = np.sqrt(z2 * (share * (1 - share) / 9.5 + z2 / (4 * 9.5**2))) / (1 + z2 / 9.5)
    middle = (share + z2 / (2 * 9.5)) / (1 + z2 / 9.5)
    assert [low[1], high[1]] == pytest.approx([middle - half, middle + half], abs=1e-12)
    assert (low[[0, 3]].tolist(), high[[2, 3]].tolist()) == ([0.0, 0.0], [1.0, 1.0])
    assert [float(bound) for bound in jeffreys(np.array(0), np.array(0))] == [0.0, 1.0]


def test_mean_and_its_normal_interval() -> None:
    found = mean(np.array([1.0, 2.0, 3.0, 4.0]))
    half = 1.959964 * np.sqrt(5 / 3) / 2
    assert found == pytest.approx((2.5, 2.5 - half, 2.5 + half), abs=1e-6)
    assert mean(np.array([2.0])) == (2.0, -np.inf, np.inf)
    assert str(found).startswith("2.5000 (1.23")


def test_losses_are_clipped() -> None:
    found = losses(np.array([1, 0, 1]), np.array([0.0, 0.0, 0.5]))
    assert found == pytest.approx([-np.log(1e-6), -np.log1p(-1e-6), np.log(2)])


@pytest.mark.parametrize(
    ("y", "p", "what"),
    [
        ([0, 1], [0.1], "don't match"),
        ([[0, 1]], [[0.1, 0.2]], "don't match"),
        ([], [], "no rows"),
        ([0, 2], [0.1, 0.2], "neither 0 nor 1"),
        ([0.0, np.nan], [0.1, 0.2], "neither 0 nor 1"),
        ([0, 1], [0.1, np.nan], "missing or outside"),
        ([0, 1], [0.1, 1.5], "missing or outside"),
        ([0, 1], [0.1, np.inf], "missing or outside"),
        ([0, 0], [0.1, 0.2], "all 2 outcomes are good"),
        ([1, 1], [0.1, 0.2], "all 2 outcomes are bad"),
    ],
)
def test_what_can_not_be_evaluated_is_refused(y: list, p: list, what: str) -> None:
    with pytest.raises(InputRefused, match=what):
        checked(y, p, both_classes=True)
