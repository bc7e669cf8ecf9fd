"""How far a weight may move: the variance an investor bears, and what moving was worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from riskwright.systems.market.case_sections import Strategy
from riskwright.systems.market.moving import SHARES, moved, worth_moving
from riskwright.systems.market.strategy import certainty_gain, compare, months_of_variance, run

MONTHS = pd.period_range("1950-01", periods=720, freq="M")


@pytest.mark.parametrize("horizon", [1, 3, 12])
def test_a_change_between_averages_has_a_third_of_a_month_less_variance(horizon: int) -> None:
    # Exactly, for n steps a month: the weights of the steps in the change of two averages.
    n = 2000
    ramp = np.concatenate([np.arange(1, n + 1) / n, np.full((horizon - 1) * n, 1.0)])
    steps = np.concatenate([ramp, np.arange(n - 1, -1, -1) / n])
    exact = float((steps**2).sum() / n)
    assert months_of_variance(horizon, averaged=True) == pytest.approx(exact, abs=1e-3)
    assert months_of_variance(horizon, averaged=False) == horizon


def paths(seed: int = 0, *, foresight: float = 0.0) -> tuple[pd.Series, pd.Series, pd.Series]:
    """A rule's weights, what equities return in the month after, and bills."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=720)
    noise = rng.normal(size=720)
    equity = pd.Series(0.006 + 0.04 * (foresight * signal + noise), MONTHS + 1)
    weights = pd.Series(np.clip(0.6 + 0.4 * signal, 0, 1.5), MONTHS)
    return weights, equity, pd.Series(0.002, MONTHS + 1)


def test_a_rule_that_knows_something_is_followed_and_noise_is_not() -> None:
    knows = worth_moving(*paths(foresight=0.3), 0.6, alpha=0.025)
    assert knows["share"] == 1
    assert [step["share"] for step in knows["tested"]] == list(SHARES)
    noise = worth_moving(*paths(), 0.6, alpha=0.025)
    assert (noise["share"], len(noise["tested"])) == (0, 1)
    assert noise["tested"][0]["low"] <= 0


def test_on_noise_it_moves_no_more_often_than_its_level() -> None:
    moves = sum(worth_moving(*paths(seed), 0.6, alpha=0.05)["share"] > 0 for seed in range(200))
    assert moves <= 18  # 10 are expected at most; more than 18 of 200 have a chance below 1 %


def test_the_gain_is_that_of_the_strategy_moved_by_the_share() -> None:
    weights, equity, bills = paths(foresight=0.3)
    found = worth_moving(weights, equity, bills, 0.4, alpha=0.025, cost_bp=25, averaged=True)
    half, held = (
        run(moved(weights, 0.4, share), equity, bills, 25)[0].to_numpy() - 0.002
        for share in (0.5, 0.0)
    )
    by_hand = 12 * (half.mean() - held.mean() - 3 * 1.5 / 2 * (half.var(ddof=1) - held.var(ddof=1)))
    assert found["tested"][1]["gain"] == pytest.approx(by_hand, rel=1e-9)
    assert found["tested"][1]["low"] == pytest.approx(certainty_gain(half, held, 4.5)[1], rel=1e-9)


def test_a_weight_at_the_strategic_one_and_too_few_months_prove_nothing() -> None:
    weights, equity, bills = paths()
    same = worth_moving(pd.Series(0.6, MONTHS), equity, bills, 0.6, alpha=0.025)
    assert same["share"] == 0
    few = worth_moving(weights.iloc[:6], equity, bills, 0.6, alpha=0.025)
    assert few == {"share": 0.0, "months": 6, "tested": []}


def test_averages_flatter_no_strategy() -> None:
    weights, equity, bills = paths(foresight=0.1)
    table = {"historical_mean": weights, "ensemble": weights / 2}
    plain = compare(pd.DataFrame(table), equity, bills).table
    real = compare(pd.DataFrame(table), equity, bills, averaged=True).table
    assert (real["volatility"] / plain["volatility"]).to_numpy() == pytest.approx(np.sqrt(1.5))
    assert (plain["sharpe"] / real["sharpe"]).to_numpy() == pytest.approx(np.sqrt(1.5))
    assert (real["annual_return"] == plain["annual_return"]).all()
    assert (real["ce"] < plain["ce"]).all()


@pytest.mark.parametrize(
    ("said", "weight"),
    [
        ({}, 0.6),
        ({"max_weight": 0.5}, 0.5),
        ({"min_weight": 0.8}, 0.8),
        ({"max_weight": 1.0}, 0.6),
        ({"max_weight": 0.5, "strategic_weight": 0.2}, 0.2),
    ],
)
def test_a_case_that_says_no_strategic_weight_stays_within_its_bounds(
    said: dict[str, float], weight: float
) -> None:
    assert Strategy.model_validate(said).strategic_weight == weight


def test_a_stated_strategic_weight_beyond_the_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="strategic_weight"):
        Strategy.model_validate({"max_weight": 0.5, "strategic_weight": 0.6})
