"""Cumulative sums: the law of the largest, its level on persistent months, and its power."""

from __future__ import annotations

import numpy as np
import pytest

from riskwright.stats.cusum import drift, sup_p, surprises


@pytest.mark.parametrize(
    # Of sup |W| on [0, 1]: Brown, Durbin and Evans's bounds are for lines; these are for a level.
    ("statistic", "p"),
    [(1.9600, 0.10), (2.2414, 0.05), (2.8070, 0.01), (0.0, 1.0)],
)
def test_the_law_has_its_known_quantiles(statistic: float, p: float) -> None:
    assert sup_p(statistic) == pytest.approx(p, abs=2e-4)


def test_the_law_is_that_of_random_walks() -> None:
    rng = np.random.default_rng(0)
    walks = np.abs(np.cumsum(rng.normal(size=(2000, 1000)), axis=1)).max(axis=1) / np.sqrt(1000)
    for limit in (1.0, 1.5, 2.0):
        assert sup_p(limit) == pytest.approx(np.mean(walks > limit), abs=0.04)


def persistent(rng: np.random.Generator, n: int, slope: float) -> np.ndarray:
    x = np.zeros(n)
    for t in range(1, n):
        x[t] = slope * x[t - 1] + rng.normal()
    return x


@pytest.mark.parametrize("slope", [0.0, 0.9, 0.99])
def test_surprises_of_a_persistent_series_alarm_at_their_level(slope: float) -> None:
    alarms = []
    for seed in range(200):
        x = persistent(np.random.default_rng(seed), 860, slope)
        alarms.append(drift(*surprises(x[:800], x[800:]), 12).p < 0.05)
    assert np.mean(alarms) < 0.10  # 0.05 and three standard errors


def test_a_level_that_moves_is_found_and_where() -> None:
    rng = np.random.default_rng(1)
    before, now = rng.normal(size=600), rng.normal(size=60)
    now[30:] += 2.0
    found = drift(before, now, 1)
    assert found.p < 1e-4
    assert found.at >= 57  # it goes on to the end
    assert drift(before, now[:30], 1).p > 0.05
    back = np.concatenate([now[30:], rng.normal(size=30) - 2.0])
    assert 25 <= drift(before, back, 1).at <= 33


def test_a_missing_month_costs_two_surprises_and_no_more() -> None:
    rng = np.random.default_rng(2)
    before, now = persistent(rng, 300, 0.9), persistent(rng, 40, 0.9)
    gap = now.copy()
    gap[7] = np.nan
    whole, holed = surprises(before, now)[1], surprises(before, gap)[1]
    kept = np.isfinite(holed)
    assert np.flatnonzero(~kept).tolist() == [7, 8]
    np.testing.assert_array_equal(whole[kept], holed[kept])


def test_a_series_that_never_changes_is_no_alarm() -> None:
    still = np.full(100, 3.0)
    assert drift(*surprises(still, still[:30]), 12) == (0.0, 1.0, 0)
