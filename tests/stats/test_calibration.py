from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LogisticRegression

from riskwright.errors import InputRefused
from riskwright.stats.calibration import (
    bin_edges,
    calibration_line,
    calibration_table,
    ece,
    ece_when_calibrated,
    hosmer_lemeshow,
)
from riskwright.stats.estimates import jeffreys


def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-rng.normal(-1.5, 1.2, n)))
    return (rng.random(n) < p).astype(int), p


@given(st.integers(1, 300), st.integers(1, 20))
def test_bins_are_array_splits(n: int, bins: int) -> None:
    sizes = [len(part) for part in np.array_split(np.arange(n), bins)]
    assert np.diff(bin_edges(n, bins)).tolist() == sizes


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(0, 1000))
def test_ece_by_its_definition(n: int, seed: int) -> None:
    y, p = drawn(n, seed)
    p = p.round(1)  # ties: a stable sort decides
    order = np.argsort(p, kind="stable")
    expected = sum(
        len(rows) / n * abs(y[rows].mean() - p[rows].mean())
        for rows in np.array_split(order, 10)
        if len(rows)
    )
    assert ece(y, p) == pytest.approx(expected, abs=1e-12)


def test_ece_of_a_constant_shift() -> None:
    y = np.tile([0, 1], 50)
    assert ece(y, np.full(100, 0.5), bins=2) == 0.0
    assert ece(y, np.full(100, 0.7), bins=2) == pytest.approx(0.2)


def test_chance_ece_is_what_repeated_samples_show() -> None:
    _, p = drawn(500, 1)
    rng = np.random.default_rng(5)
    eces = [ece(rng.random(500) < p, p) for _ in range(400)]
    found = ece_when_calibrated(p, seed=0)
    assert found.draws.shape == (2000,)
    assert found.mean == pytest.approx(np.mean(eces), rel=0.05)
    assert found.p95 == pytest.approx(np.quantile(eces, 0.95), rel=0.1)
    assert found.mean < found.p95 < found.p99
    assert found.quantile(0.95) == found.p95


@settings(deadline=None, max_examples=15)
@given(st.lists(st.floats(0.05, 0.95), min_size=20, max_size=120), st.integers(0, 100))
def test_chance_ece_falls_with_rows(p: list[float], seed: int) -> None:
    few = ece_when_calibrated(p, seed=seed, n=400).mean
    many = ece_when_calibrated(np.tile(p, 9), seed=seed, n=400).mean
    assert few / 4 < many < few * 0.6  # a third, but for the coarseness of few bads


def test_chance_ece_does_not_depend_on_row_order_and_is_chunked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, p = drawn(300, 2)
    whole = ece_when_calibrated(p, seed=1, n=100)
    monkeypatch.setattr("riskwright.stats.calibration.CHUNK", 1000)  # 3 draws at a time
    assert ece_when_calibrated(p[::-1], seed=1, n=100).draws == pytest.approx(whole.draws)


def test_calibration_table() -> None:
    y, p = drawn(103, 3)
    table = calibration_table(y, p, 10)
    assert table["n"].tolist() == [11, 11, 11, *[10] * 7]
    assert table["bads"].sum() == y.sum()
    assert (table["mean_pd"] * table["n"]).sum() == pytest.approx(p.sum())
    assert table["mean_pd"].between(table["pd_from"], table["pd_to"]).all()
    low, high = jeffreys(table["bads"], table["n"])
    assert table["low"].tolist() == low.tolist()
    assert table["high"].tolist() == high.tolist()
    assert len(calibration_table([0, 1], [0.1, 0.2], 10)) == 2


def test_hosmer_lemeshow_by_hand() -> None:
    """3 bads where 2 are expected, 20 where 10 are: 1/1.96 + 100/9.5."""
    found = hosmer_lemeshow([3, 20], [100, 200], [0.02, 0.05])
    assert found.statistic == pytest.approx(1 / 1.96 + 100 / 9.5)
    assert found.degrees == 2
    assert found.p_value == pytest.approx(np.exp(-found.statistic / 2))  # of two degrees
    for none in ([0.0, 0.1], [0.1, 1.0], [0.1, np.nan]):
        with pytest.raises(InputRefused, match="PD is 0 or 1"):
            hosmer_lemeshow([0, 1], [10, 10], none)
    with pytest.raises(InputRefused, match="no group"):
        hosmer_lemeshow([], [], [])


def test_hosmer_lemeshow_of_right_pds_is_uniform() -> None:
    rng = np.random.default_rng(3)
    rates, loans = np.array([0.02, 0.05, 0.1, 0.2, 0.3]), np.array([900, 800, 700, 600, 500])
    p = [hosmer_lemeshow(rng.binomial(loans, rates), loans, rates).p_value for _ in range(2000)]
    assert stats.kstest(p, "uniform").pvalue > 0.001
    tables = [calibration_table(*drawn(600, seed)) for seed in range(300)]
    p = [hosmer_lemeshow(t["bads"], t["n"], t["mean_pd"]).p_value for t in tables]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_calibration_line_is_logistic_regression() -> None:
    y, p = drawn(4000, 4)
    margin = np.log(p / (1 - p))
    fit = LogisticRegression(C=np.inf, tol=1e-8).fit(margin[:, None], y)
    intercept, slope = calibration_line(y, p)
    # Jeffreys' prior moves the estimates by the order of 1 / n.
    assert slope.value == pytest.approx(fit.coef_[0, 0], abs=3e-3)
    assert intercept.value == pytest.approx(fit.intercept_[0], abs=3e-3)


def test_calibration_line_recovers_a_known_distortion() -> None:
    y, p = drawn(20_000, 5)
    margin = np.log(p / (1 - p))
    distorted = 1 / (1 + np.exp(-(0.5 + 2 * margin)))
    intercept, slope = calibration_line(y, distorted)
    assert slope.low < 0.5 < slope.high
    assert intercept.low < -0.25 < intercept.high
    assert slope.high - slope.low < 0.05


def test_coverage_of_the_calibration_line() -> None:
    held = [calibration_line(*drawn(300, seed)) for seed in range(150)]
    for place, truth in ((0, 0.0), (1, 1.0)):
        assert np.mean([line[place].low < truth < line[place].high for line in held]) > 0.9


@pytest.mark.parametrize(
    ("y", "p"),
    [
        ([0, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.8, 0.9]),  # separated
        ([1, 0], [0.9, 0.1]),
        ([1, 0], [1.0, 0.0]),
        ([0, 1] * 20, [0.5, 0.50001] * 20),
    ],
)
def test_calibration_line_stays_finite(y: list, p: list) -> None:
    line = calibration_line(y, p)
    assert np.isfinite(line.slope).all()
    assert np.isfinite(line.intercept).all()


def test_calibration_line_of_a_constant() -> None:
    line = calibration_line([0, 0, 0, 1], [0.5] * 4)
    assert line.slope == (1.0, -np.inf, np.inf)
    assert line.intercept.value == pytest.approx(np.log(1 / 3))


@pytest.mark.parametrize("check", [ece, calibration_table, calibration_line])
def test_nan_is_refused(check) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputRefused):
        check([0, 1], [0.5, np.nan])
    with pytest.raises(InputRefused):
        ece_when_calibrated([0.5, np.nan], seed=0)
