"""Tests of the deflated Sharpe ratio and of the probability of backtest overfitting."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from riskwright.errors import InputRefused
from riskwright.systems.market import trials
from riskwright.systems.market.strategy import compare


@pytest.mark.parametrize(("count", "best", "expected"), [(100, 0.1132, 0.9004), (46, None, 0.9505)])
def test_the_papers_example(count: int, best: float | None, expected: float) -> None:
    """Bailey and Lopez de Prado (2014): five years of days, a Sharpe ratio of 2.5 a year."""
    found = trials.expected_best(count, 0.5 / 250)
    if best is not None:
        assert found == pytest.approx(best, abs=5e-5)
    above = trials.probability_above(2.5 / np.sqrt(250), found, 1250, -3, 10)
    assert above == pytest.approx(expected, abs=5e-5)


def test_the_best_of_worthless_trials_is_as_good_as_simulated() -> None:
    rng = np.random.default_rng(0)
    for count in (10, 200):
        seen = rng.normal(0, 0.2, (20_000, count)).max(axis=1).mean()
        assert trials.expected_best(count, 0.04) == pytest.approx(seen, rel=0.03)
    assert trials.expected_best(1, 0.04) == 0


def test_normal_returns_of_one_trial_give_the_usual_z() -> None:
    x = np.random.default_rng(1).normal(0.01, 0.04, 4000)
    found = trials.deflated_sharpe(x, 1, 0.0)
    sharpe = x.mean() / x.std(ddof=1)
    expected = stats.norm.cdf(sharpe * np.sqrt(3999) / np.sqrt(1 + sharpe**2 / 2))
    assert found.sharpe == pytest.approx(sharpe)
    assert found.probability == pytest.approx(expected, abs=0.002)


def test_more_trials_leave_less() -> None:
    x = np.random.default_rng(2).normal(0.008, 0.04, 300)
    left = [trials.deflated_sharpe(x, count, 0.001).probability for count in (1, 5, 50, 500)]
    assert left == sorted(left, reverse=True)
    assert left[0] > 0.99
    assert left[-1] < left[0]


def by_hand(x: np.ndarray, parts: int) -> float:
    """The definition, one choice after the other."""
    blocks = np.split(x, parts)
    below = []
    for chosen in combinations(range(parts), parts // 2):
        own = np.concatenate([blocks[i] for i in chosen])
        other = np.concatenate([blocks[i] for i in range(parts) if i not in chosen])
        best = (own.mean(axis=0) / own.std(axis=0)).argmax()
        rank = stats.rankdata(other.mean(axis=0) / other.std(axis=0))[best]
        share = rank / (x.shape[1] + 1)
        below.append(np.log(share / (1 - share)) <= 0)
    return float(np.mean(below))


def test_the_probability_of_overfitting_is_its_definition() -> None:
    x = np.random.default_rng(3).normal(0.005, 0.04, (80, 7))
    assert trials.overfitting(x, 8).probability == pytest.approx(by_hand(x, 8))


def test_a_trial_that_is_better_is_not_overfitted_and_noise_is() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(0, 0.04, (320, 20))
    noise = [trials.overfitting(rng.normal(size=(160, 20)), 8) for _ in range(60)]
    assert 0.4 < np.mean([n.probability for n in noise]) < 0.6
    assert np.mean([n.degradation for n in noise]) < -0.5
    x[:, 5] += 0.04
    found = trials.overfitting(x)
    assert found.probability == 0
    assert found.loss == 0
    assert found.trials == 20


@pytest.mark.parametrize(
    ("x", "parts"),
    [
        (np.ones((100, 1)), 4),
        (np.ones((10, 3)), 4),
        (np.full((100, 3), np.nan), 4),
        (np.random.default_rng(5).normal(size=(100, 3)), 5),
    ],
)
def test_trials_that_cannot_be_judged_are_refused(x: np.ndarray, parts: int) -> None:
    with pytest.raises(InputRefused):
        trials.overfitting(x, parts)


@pytest.mark.parametrize(
    ("x", "count", "variance"),
    [(np.ones(50), 3, 0.1), (np.arange(9.0), 3, 0.1), (np.arange(50.0), 0, 0.1)],
)
def test_a_ratio_that_cannot_be_deflated_is_refused(
    x: np.ndarray, count: int, variance: float
) -> None:
    with pytest.raises(InputRefused):
        trials.deflated_sharpe(x, count, variance)


def test_the_equity_premium_is_not_the_forecasts_merit() -> None:
    """Weights of chance earn the premium: what they earn over the mean's strategy is nothing."""
    rng = np.random.default_rng(6)
    months = pd.period_range("1960-01", periods=480, freq="M")
    equity = pd.Series(rng.normal(0.01, 0.03, 480), months)
    bills = pd.Series(0.002, months)
    weights = pd.DataFrame(rng.uniform(0.5, 1, (480, 6)), months, [*"abcde", "historical_mean"])
    weights["historical_mean"] = 0.75
    found = compare(weights, equity, bills, cost_bp=0)
    excess = found.returns[[*"abcde"]].sub(found.bills, axis=0)
    luck = trials.judge_trials(found, trials.Tried(5, excess), "a")
    assert luck.own.probability > 0.99
    assert luck.active is not None
    assert luck.active.probability < 0.95
    assert luck.overfit is not None
    assert "After 5 trials" in luck.told
    alone = trials.judge_trials(found, trials.Tried(1, excess[["a"]]), "historical_mean")
    assert (alone.active, alone.overfit) == (None, None)
    with pytest.raises(InputRefused, match="don't cover"):
        trials.judge_trials(found, trials.Tried(5, excess.iloc[10:]), "a")
