"""Tests of the strategies: no look-ahead, accounting by shares, closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwright.errors import InputRefused
from riskwright.systems.market import strategy


def market(seed: int = 0, n: int = 240) -> tuple[pd.Series, pd.Series, pd.DataFrame]:
    """Return equity, bills and weights of n months."""
    rng = np.random.default_rng(seed)
    months = pd.period_range("1990-01", periods=n, freq="M")
    weights = pd.DataFrame(rng.uniform(0, 1.5, (n, 2)), months, ["ensemble", "historical_mean"])
    return (
        pd.Series(rng.normal(0.008, 0.04, n), months),
        pd.Series(rng.uniform(0, 0.004, n), months),
        weights,
    )


# --- nothing looks ahead


@given(st.integers(25, 200), st.integers(0, 100))
def test_the_past_does_not_change_with_the_future(cut: int, seed: int) -> None:
    """Whatever happens, is expected or is held after month t: what was earned by t stays."""
    equity, bills, weights = market()
    other_equity, other_bills, other_weights = market(seed + 1)
    t = equity.index[cut]
    mixed = [
        pd.concat([a.loc[:t], b.loc[t + 1 :]])
        for a, b in ((equity, other_equity), (bills, other_bills))
    ]
    # The weight of month t itself earns t + 1: from t on weights may change.
    swapped = pd.concat([weights.loc[: t - 1], other_weights.loc[t:]])
    before = strategy.run(weights["ensemble"].iloc[:-1], equity, bills, 20)
    after = strategy.run(swapped["ensemble"].iloc[:-1], *mixed, 20)
    for one, two in zip(before, after, strict=True):
        pd.testing.assert_series_equal(one.loc[:t], two.loc[:t])
        assert one.index[0] == weights.index[0] + 1


def test_a_weight_earns_the_month_after_it_and_no_other() -> None:
    equity, bills, _ = market()
    weight = pd.Series(0.0, equity.index[:-1])
    weight.iloc[10] = 1.0
    earned = strategy.run(weight, equity, bills, 0)[0]
    month = weight.index[10] + 1
    assert earned[month] == pytest.approx(equity[month])
    others = earned.drop(month)
    np.testing.assert_allclose(others, bills.loc[others.index])


# --- accounting


def test_wealth_is_what_counting_shares_and_cash_gives() -> None:
    equity, bills, weights = market(3)
    cost = 0.003
    price, bank = 1.0, 1.0
    shares, cash, wealth = 0.0, 1.0, [1.0]
    for month, w in weights["ensemble"].iloc[:-1].items():
        total = shares * price + cash * bank
        paid = cost * abs(w * total - shares * price)
        total -= paid
        shares, cash = w * total / price, (1 - w) * total / bank
        price *= 1 + equity[month + 1]
        bank *= 1 + bills[month + 1]
        wealth.append(shares * price + cash * bank)
    net, _ = strategy.run(weights["ensemble"].iloc[:-1], equity, bills, 30)
    np.testing.assert_allclose((1 + net).cumprod(), wealth[1:])


def test_buy_and_hold_trades_once() -> None:
    equity, bills, weights = market(4)
    found = strategy.compare(weights, equity, bills, cost_bp=50)
    held = found.returns[strategy.BUY_AND_HOLD]
    np.testing.assert_allclose(held.iloc[1:], equity.loc[held.index[1:]])
    assert held.iloc[0] == pytest.approx((1 + equity[held.index[0]]) * (1 - 0.005) - 1)
    assert found.table.loc[strategy.BUY_AND_HOLD, "turnover"] == pytest.approx(12 / len(held))


def test_costs_only_cost_and_the_curve_has_the_tables_row() -> None:
    equity, bills, weights = market(5)
    found = strategy.compare(weights, equity, bills, cost_bp=15)
    curve = found.curve["annual_return"].unstack()  # noqa: PD010 - an index level, not a long table
    assert curve.index.tolist() == sorted({*strategy.COSTS, 15})
    assert (curve.diff().dropna() < 0).all().all()
    row = found.table[["annual_return", "sharpe", "ce_gain"]]
    pd.testing.assert_frame_equal(found.curve.xs(15.0), row, check_names=False)


def test_the_40_are_bonds_where_there_are_any() -> None:
    equity, bills, weights = market(6)
    bonds = bills + 0.01
    with_bonds = strategy.compare(weights, equity, bills, bonds=bonds, cost_bp=0)
    without = strategy.compare(weights, equity, bills, cost_bp=0)
    apart = with_bonds.returns[strategy.BALANCED] - without.returns[strategy.BALANCED]
    np.testing.assert_allclose(apart, 0.4 * 0.01)


def test_the_last_weight_waits_for_its_month() -> None:
    equity, bills, weights = market(7)
    found = strategy.compare(weights, equity, bills)
    assert found.weights.index[-1] == weights.index[-2]
    assert found.returns.index[-1] == equity.index[-1]


# --- closed forms


def frame(*values: float) -> pd.DataFrame:
    index = pd.period_range("2000-01", periods=1, freq="M")
    return pd.DataFrame([values], index, [f"f{i}" for i in range(len(values))])


@pytest.mark.parametrize(
    ("m", "v", "s", "expected"),
    [
        (0.004, 0.002, 0.0, 0.004 / (3 * 0.002)),
        (0.004, 0.002, 0.004, 0.004 / (3 * 0.002) / 2),
        (0.02, 0.001, 0.0, 1.5),
        (-0.02, 0.001, 0.0, 0.0),
        (0.0, 0.001, 0.0, 0.0),
        (0.004, 0.002, 10.0, 0.0),
    ],
)
def test_the_weight_is_the_formula(m: float, v: float, s: float, expected: float) -> None:
    found = strategy.equity_weight(frame(m), frame(v)["f0"], frame(s))
    assert found.iloc[0, 0] == pytest.approx(expected, abs=1e-6)


@given(st.floats(-0.05, 0.05), st.floats(1e-4, 0.02), st.floats(0, 0.05), st.floats(0, 0.05))
def test_less_certain_is_never_more(m: float, v: float, s: float, more: float) -> None:
    narrow = strategy.equity_weight(frame(m), frame(v)["f0"], frame(s)).iloc[0, 0]
    wide = strategy.equity_weight(frame(m), frame(v)["f0"], frame(s + more)).iloc[0, 0]
    assert 0 <= wide <= narrow <= 1.5


def test_the_shrinkage_is_the_one_that_earns_most_utility() -> None:
    """If m is estimated with error s, the best multiple of m / (g v) is m² / (m² + s²)."""
    rng = np.random.default_rng(8)
    m, v, s, g = 0.005, 0.002, 0.004, 3.0
    estimates = m + s * rng.normal(size=400_000)
    k = np.linspace(0, 1, 101)
    w = estimates[:, None][:20_000] * k / (g * v)
    utility = (w * m - g / 2 * w**2 * v).mean(axis=0)
    assert k[utility.argmax()] == pytest.approx(m**2 / (m**2 + s**2), abs=0.03)


def test_sharpe_interval_is_los_for_independent_normal_returns() -> None:
    x = np.random.default_rng(9).normal(0.01, 0.04, 5000)
    ratio, low, high = strategy.sharpe_interval(x)
    monthly = ratio / np.sqrt(12)
    assert monthly == pytest.approx(x.mean() / x.std(ddof=1))
    se = np.sqrt((1 + monthly**2 / 2) / len(x))
    assert (high - low) / 2 == pytest.approx(1.96 * se * np.sqrt(12), rel=0.2)


def test_sharpe_interval_holds_the_true_ratio() -> None:
    rng = np.random.default_rng(10)
    draws = (strategy.sharpe_interval(rng.normal(0.01, 0.05, 360)) for _ in range(300))
    held = sum(low <= 0.2 * np.sqrt(12) <= high for _, low, high in draws)
    assert 0.91 <= held / 300 <= 0.99


def test_certainty_equivalent_by_its_definition() -> None:
    equity, bills, weights = market(11)
    table = strategy.compare(weights, equity, bills, risk_aversion=5).table
    found = strategy.compare(weights, equity, bills, risk_aversion=5)
    x = found.returns["ensemble"] - found.bills
    b = found.returns["historical_mean"] - found.bills
    value = 12 * (x.mean() - 2.5 * x.var())
    assert table.loc["ensemble", "ce"] == pytest.approx(value)
    gain = value - 12 * (b.mean() - 2.5 * b.var())
    assert table.loc["ensemble", "ce_gain"] == pytest.approx(gain)
    low, high = table.loc["ensemble", ["ce_gain_low", "ce_gain_high"]]
    assert low < gain < high
    assert (
        table.loc["historical_mean", ["ce_gain", "ce_gain_low", "ce_gain_high"]].tolist() == [0] * 3
    )


def test_drawdown_is_the_fall_from_the_highest_so_far() -> None:
    returns = pd.DataFrame({"a": [-0.1, 0.5, -0.2, -0.25, 1.0]})
    found = strategy.drawdown(returns)["a"]
    assert found.tolist() == pytest.approx([-0.1, 0, -0.2, -0.4, 0])


# --- refusals


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("percent", "equity: a monthly return of"),
        ("missing", "bills: a monthly return of nan"),
        ("short", "10 months can be earned"),
        ("begins late", "the bills don't cover 1990-02"),
        ("benchmark", "no column 'historical_mean'"),
        ("gap", "is followed by"),
    ],
)
def test_what_cannot_be_run_is_refused(what: str, words: str) -> None:
    equity, bills, weights = market()
    if what == "percent":
        equity = 100 * equity
    elif what == "missing":
        bills = bills.copy()
        bills.iloc[9] = np.nan
    elif what == "short":
        weights = weights.iloc[:10]
    elif what == "begins late":
        bills = bills.iloc[6:]
    elif what == "benchmark":
        weights = weights[["ensemble"]]
    else:
        weights = weights.drop(weights.index[4])
    with pytest.raises(InputRefused, match=words):
        strategy.compare(weights, equity, bills)


@pytest.mark.parametrize(
    ("m", "v", "s", "words"),
    [
        (np.nan, 0.002, 0.001, "the expected return is nan"),
        (0.01, 0.0, 0.001, "the variance is 0"),
        (0.01, 0.002, -0.1, "the standard error is -0.1"),
    ],
)
def test_weights_of_impossible_inputs_are_refused(m: float, v: float, s: float, words: str) -> None:
    with pytest.raises(InputRefused, match=words):
        strategy.equity_weight(frame(m), frame(v)["f0"], frame(s))
