"""The simulated loss distribution against closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from riskwright.errors import InputRefused
from riskwright.systems.loans.portfolio import basel, losses, vasicek
from riskwright.systems.loans.portfolio.losses import LossDistribution, simulate

LGD = 0.45


def homogeneous(n: int, pd: float, rho: float, **more: Any) -> LossDistribution:
    """A book of equal loans; losses in units of what one default costs."""
    return simulate(np.full(n, 1 / LGD), pd, LGD, rho, **more)


@pytest.mark.parametrize(("pd", "rho"), [(0.01, 0.1), (0.05, 0.15), (0.2, 0.05)])
def test_many_equal_loans_have_the_quantile_of_the_closed_form(pd: float, rho: float) -> None:
    n = 50_000
    found = homogeneous(n, pd, rho, scenarios=20_000, confidence=0.99, seed=3)
    wanted = n * vasicek.quantile(pd, rho, 0.99)
    assert found.cells == 1
    assert found.var_low <= wanted <= found.var_high
    assert (found.var_high - found.var_low) / wanted < 0.1
    shortfall = n * vasicek.expected_shortfall(pd, rho, 0.99)
    assert abs(found.shortfall - shortfall) < 3 * found.shortfall_se
    assert abs(found.simulated_mean - found.expected_loss) < 3 * found.simulated_mean_se
    assert found.asymptotic_var == pytest.approx(wanted)


def test_without_correlation_defaults_are_binomial() -> None:
    found = homogeneous(200, 0.03, 0.0, scenarios=20_000, seed=1)
    counts = np.bincount(np.round(found.losses).astype(int), minlength=25)[:25]
    wanted = stats.binom.pmf(np.arange(25), 200, 0.03) * 20_000
    keep = wanted > 5
    statistic = ((counts - wanted)[keep] ** 2 / wanted[keep]).sum()
    assert stats.chi2.sf(statistic, keep.sum() - 1) > 1e-3
    assert found.var == pytest.approx(stats.binom.ppf(0.999, 200, 0.03), abs=1)


def test_full_correlation_is_everybody_or_nobody() -> None:
    found = homogeneous(100, 0.05, 1 - 1e-9, scenarios=5_000, confidence=0.9, seed=2)
    assert set(np.round(found.losses).astype(int)) == {0, 100}
    share = float((found.losses > 50).mean())
    assert abs(share - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 5_000)


def book(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "ead": rng.lognormal(9, 1, n),
        "pd_": rng.beta(1, 20, n),
        "lgd": rng.uniform(0.2, 0.9, n),
        "rho": rng.choice([0.05, 0.15], n),
        "segment": rng.choice(["car", "card", "home"], n),
    }


@settings(max_examples=15, deadline=None)
@given(n=st.integers(2, 300), seed=st.integers(0, 10), level=st.sampled_from([0.9, 0.99, 0.999]))
def test_contributions_sum_to_the_book(n: int, seed: int, level: float) -> None:
    found = simulate(**book(n, seed), scenarios=1000, confidence=level, seed=seed)
    for column, whole in (
        ("expected_loss", found.expected_loss),
        ("var_contribution", found.var),
        ("shortfall_contribution", found.shortfall),
    ):
        assert found.segments[column].sum() == pytest.approx(whole, rel=1e-9)
    assert found.segments["loans"].sum() == n
    assert found.var_low <= found.var <= found.var_high
    assert found.shortfall >= found.var


def test_cells_give_what_loan_by_loan_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    loans = book(15_000)
    alone = simulate(**loans, scenarios=4_000, confidence=0.99, seed=1)
    monkeypatch.setattr(losses, "LOAN_BY_LOAN", 0)
    grouped = simulate(**loans, scenarios=4_000, confidence=0.99, seed=2)
    assert grouped.cells < alone.cells == 15_000
    assert grouped.expected_loss == pytest.approx(alone.expected_loss, rel=1e-12)
    assert stats.ks_2samp(alone.losses, grouped.losses).pvalue > 1e-3
    assert grouped.var_low <= alone.var_high
    assert alone.var_low <= grouped.var_high
    np.testing.assert_allclose(
        alone.segments["expected_loss"], grouped.segments["expected_loss"], rtol=1e-9
    )


@pytest.mark.parametrize("z", [-4.5, -3.0, -1.0, 0.0, 2.0, 4.0])
def test_in_no_year_do_cells_change_what_a_segment_is_expected_to_lose(z: float) -> None:
    n = 60_000
    rng = np.random.default_rng(1)
    pd = np.exp(rng.normal(-3.7, 0.8, n)).clip(0.0003, 0.6)
    loss, rho = rng.lognormal(8, 1, n), basel.correlation(pd, "retail")
    of = rng.integers(0, 3, n)
    cells = losses._cells(pd, loss, rho, of)
    assert len(cells) < n / 4
    assert cells["n"].sum() == n
    wanted = np.bincount(of, loss * vasicek.conditional_pd(pd, rho, z))
    found = np.bincount(
        cells["segment"],
        cells["n"] * cells["loss"] * vasicek.conditional_pd(cells["p"], cells["rho"], z),
    )
    np.testing.assert_allclose(found, wanted, rtol=2e-3)


def test_a_large_loan_stays_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "LOAN_BY_LOAN", 0)
    ead = np.full(30_001, 1.0)
    ead[7] = 10_000.0
    found = simulate(ead, 0.02, 1.0, 0.0, scenarios=2_000, confidence=0.99, seed=0)
    assert found.cells == 2
    # 2 % of the years are those in which the one large loan defaults.
    share = float((found.losses > 8_000).mean())
    assert abs(share - 0.02) < 4 * np.sqrt(0.02 * 0.98 / 2_000)


def test_the_seed_decides_and_the_order_of_threads_does_not() -> None:
    one, two = (simulate(**book(500), scenarios=1500, seed=4).losses for _ in range(2))
    np.testing.assert_array_equal(one, two)
    longer = simulate(**book(500), scenarios=2500, seed=4).losses
    np.testing.assert_array_equal(one, longer[:1500])
    assert (simulate(**book(500), scenarios=1500, seed=5).losses != one).any()


@pytest.mark.parametrize(("loans", "pd_", "level"), [(1, 0.005, 0.99), (10, 0.002, 0.95)])
def test_the_shortfall_is_the_mean_of_the_worst_scenarios(
    loans: int, pd_: float, level: float
) -> None:
    found = simulate(np.full(loans, 880.0), pd_, 1.0, 0.1, scenarios=10_000, confidence=level)
    worst = np.sort(found.losses)[-round(10_000 * (1 - level)) :]
    assert found.shortfall == pytest.approx(worst.mean())
    assert found.segments["shortfall_contribution"].sum() == pytest.approx(found.shortfall)


def test_ten_loans_are_answered_with_a_warning() -> None:
    few = simulate(**book(10), scenarios=2_000, confidence=0.999)
    assert "simulation error dominates" in few.warning
    many = homogeneous(5_000, 0.05, 0.1, scenarios=20_000, confidence=0.99)
    assert many.warning == ""


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"pd_": 1.5}, "pd is 1.5, which is no probability"),
        ({"lgd": -0.1}, "lgd is -0.1"),
        ({"pd_": np.nan}, "pd is nan"),
        ({"rho": 1.0}, "rho is 1"),
        ({"ead": [-5.0, 1.0]}, "ead is -5"),
        ({"ead": []}, "no loan"),
        ({"lgd": [0.1, 0.2, 0.3]}, "shape"),
        ({"confidence": 1.0}, "confidence of 1"),
        ({"confidence": 99.9}, "confidence of 99.9"),
        ({"scenarios": 10}, "10 scenarios"),
        ({"segment": ["a"]}, "segments have the shape"),
    ],
)
def test_what_is_refused(change: dict[str, Any], what: str) -> None:
    given = {"ead": [1.0, 2.0], "pd_": 0.1, "lgd": 0.5, "rho": 0.1} | change
    with pytest.raises(InputRefused, match=what):
        simulate(**given)
