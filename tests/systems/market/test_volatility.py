"""The interval: the volatility model against arch, the quantiles by hand, coverage where known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from riskwright.errors import InputRefused
from riskwright.systems.market.volatility import FEWEST_ERRORS, HALF_LIFE, intervals, predictive_sd

MONTHS = pd.period_range("1900-01", periods=960, freq="M", name="origin")


def garch(seed: int = 0, count: int = 960) -> tuple[pd.Series, pd.Series]:
    """Return simulated GARCH(1,1) changes and their true standard deviations."""
    rng = np.random.default_rng(seed)
    omega, alpha, beta = 0.04**2 * 0.05, 0.15, 0.8
    variance, changes = np.full(count, 0.04**2), np.empty(count)
    for t in range(count):
        if t:
            variance[t] = omega + alpha * changes[t - 1] ** 2 + beta * variance[t - 1]
        changes[t] = np.sqrt(variance[t]) * rng.standard_normal()
    return pd.Series(changes, MONTHS[:count]), pd.Series(np.sqrt(variance), MONTHS[:count])


def test_the_deviation_is_archs_own_forecast() -> None:
    from arch import arch_model

    changes, _ = garch(count=600)
    december = MONTHS[599]  # 1949-12: parameters of this very month
    model = arch_model(100 * changes.to_numpy(), mean="Constant", vol="GARCH", rescale=False)
    steps = model.fit(disp="off").forecast(horizon=13).variance.to_numpy()[0] / 100**2
    origins = pd.PeriodIndex([december])
    for horizon, skip in ((1, 0), (1, 1), (12, 0), (12, 1)):
        found = predictive_sd(changes, origins, horizon=horizon, skip=skip)
        expected = np.sqrt(steps[skip : skip + horizon].sum())
        # The start of the recursion differs, and is forgotten after so many months.
        assert found.iloc[0] == pytest.approx(expected, rel=1e-3), (horizon, skip)


def test_the_deviation_follows_the_true_one_and_knows_no_future() -> None:
    changes, true = garch(count=600)
    origins = MONTHS[240:599]
    found = predictive_sd(changes, origins, horizon=1)
    ahead = true.shift(-1).loc[origins]
    assert np.corrcoef(found, ahead)[0, 1] > 0.9
    assert found.mean() == pytest.approx(ahead.mean(), rel=0.1)
    late = MONTHS[450]
    other = changes.where(changes.index <= late, 9.0)
    again = predictive_sd(other, origins, horizon=1)
    pd.testing.assert_series_equal(found.loc[:late], again.loc[:late], check_exact=True)
    assert again.loc[late + 1] > 2 * found.loc[late + 1]


def test_a_short_history_has_a_constant_variance() -> None:
    changes, _ = garch(count=100)
    found = predictive_sd(changes, MONTHS[30:100], horizon=12)
    december = MONTHS[95]
    assert found[december] == pytest.approx(np.sqrt(12) * changes.loc[:december].std(ddof=0))


def simulated(horizon: int, seed: int = 1) -> tuple[pd.Series, pd.Series, pd.Series, pd.Series]:
    """Return forecast, actual, known_at and a deviation that is half of the true one."""
    rng = np.random.default_rng(seed)
    monthly = rng.standard_normal(len(MONTHS) + horizon)
    total = np.convolve(monthly, np.ones(horizon), "valid")[: len(MONTHS)] / np.sqrt(horizon)
    scale = 0.1 * np.exp(0.5 * rng.standard_normal(len(MONTHS)))
    forecast = pd.Series(0.05, MONTHS)
    return (
        forecast,
        forecast + scale * total,
        pd.Series(MONTHS.shift(horizon), MONTHS),
        pd.Series(scale / 2, MONTHS),
    )


@pytest.mark.parametrize("horizon", [1, 12])
def test_intervals_hold_what_they_promise_although_the_deviation_is_wrong(horizon: int) -> None:
    held, sizes = [], []
    for seed in range(8):
        forecast, actual, known, sd = simulated(horizon, seed)
        table = intervals(forecast, actual, known, sd, horizon=horizon).iloc[240:]
        later = actual.iloc[240:]
        held.append([later.between(table[f"low_{k}"], table[f"high_{k}"]).mean() for k in (80, 95)])
        sizes.append((table["sd"] / sd.iloc[240:]).mean())
    # Within what chance leaves: overlapping errors count as one a horizon.
    free = 8 * len(later) / horizon
    for level, found in zip((0.8, 0.95), np.mean(held, axis=0), strict=True):
        assert found == pytest.approx(level, abs=3 * np.sqrt(level * (1 - level) / free))
    assert np.mean(sizes) == pytest.approx(2, rel=0.1)


def test_quantiles_are_those_of_weighted_known_errors() -> None:
    forecast, actual, known, sd = simulated(12)
    origin = MONTHS[700]
    errors = ((actual - forecast) / sd)[known <= origin]
    months = origin.ordinal - pd.PeriodIndex(known[errors.index]).asi8
    weights = 0.5 ** (months / HALF_LIFE)
    order = np.argsort(errors.to_numpy())
    share = np.cumsum(weights[order]) / weights.sum()
    free = weights.sum() ** 2 / (weights**2).sum() / 12
    low = errors.to_numpy()[order][np.searchsorted(share, 0.1 - 0.4 / free)]
    found = intervals(forecast, actual, known, sd, horizon=12).loc[origin]
    assert found["low_80"] == pytest.approx(forecast[origin] + sd[origin] * low, rel=0.05)
    rms = np.sqrt((weights * errors**2).sum() / weights.sum())
    assert found["sd"] == pytest.approx(sd[origin] * rms)


def test_errors_that_were_not_known_do_not_count() -> None:
    forecast, actual, known, sd = simulated(12)
    origin = MONTHS[500]
    other = actual.where(known <= origin, 99.0)
    one, two = (intervals(forecast, a, known, sd, horizon=12).loc[:origin] for a in (actual, other))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_before_there_are_errors_the_normal_law_stands_in() -> None:
    forecast, actual, known, sd = simulated(1)
    cash = pd.Series(0.01, MONTHS)
    cash.iloc[1] = np.nan
    table = intervals(forecast, actual, known, sd, horizon=1, levels=(0.5, 0.95), cash=cash)
    first = table.iloc[0]
    reach = norm.ppf([0.25, 0.75, 0.025, 0.975]) * sd.iloc[0]
    np.testing.assert_allclose(first.iloc[1:5], 0.05 + reach, atol=1e-4)
    expected = norm.sf((0.01 - 0.05) / sd.iloc[0])
    assert first["p_above_cash"] == pytest.approx(expected, abs=0.005)
    assert np.isnan(table["p_above_cash"].iloc[1])
    inside = table.iloc[1:FEWEST_ERRORS]
    np.testing.assert_allclose(inside["sd"], sd.iloc[1:FEWEST_ERRORS], rtol=0.02)


def test_the_chance_to_beat_cash_is_the_share_of_times_it_did() -> None:
    forecast, actual, known, sd = simulated(1)
    cash = actual.mean() + 0 * actual + 0.05
    table = intervals(forecast, actual, known, sd, horizon=1, cash=cash).iloc[400:]
    happened = (actual > cash).iloc[400:].mean()
    assert table["p_above_cash"].mean() == pytest.approx(happened, abs=0.05)


@pytest.mark.parametrize("level", [0.0, 1.0, 80])
def test_a_coverage_that_is_none_is_refused(level: float) -> None:
    with pytest.raises(InputRefused, match="a coverage of"):
        intervals(*simulated(1), horizon=1, levels=(level,))


def test_bad_deviations_and_changes_are_refused() -> None:
    forecast, actual, known, sd = simulated(1)
    with pytest.raises(InputRefused, match="isn't above 0"):
        intervals(forecast, actual, known, sd.where(sd.index != MONTHS[3], 0.0), horizon=1)
    changes, _ = garch(count=100)
    with pytest.raises(InputRefused, match="5 monthly changes were known"):
        predictive_sd(changes, MONTHS[4:100], horizon=1)
    changes.iloc[50] = np.nan
    with pytest.raises(InputRefused, match="change of the price is missing"):
        predictive_sd(changes, MONTHS[40:100], horizon=1)
