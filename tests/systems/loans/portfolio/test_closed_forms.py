"""The one-factor model, Basel's capital and concentration against closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from riskwright.errors import InputRefused
from riskwright.systems.loans.portfolio import basel, concentration, vasicek

PROBABILITY = st.floats(1e-4, 0.6)
CORRELATION = st.floats(0.01, 0.9)


@given(pd=PROBABILITY, rho=CORRELATION)
def test_the_mean_over_the_factor_is_the_pd(pd: float, rho: float) -> None:
    z = np.linspace(-9, 9, 4001)
    density = stats.norm.pdf(z)
    mean = integrate.trapezoid(vasicek.conditional_pd(pd, rho, z) * density, z)
    assert mean == pytest.approx(pd, rel=1e-3)


@given(pd=PROBABILITY, rho=CORRELATION, level=st.floats(0.5, 0.9999))
def test_quantile_and_distribution_are_inverse(pd: float, rho: float, level: float) -> None:
    found = vasicek.quantile(pd, rho, level)
    if 1e-12 < found < 1 - 1e-9:
        assert float(vasicek.distribution(found, pd, rho)) == pytest.approx(level, abs=1e-6)
    assert vasicek.quantile(pd, rho, 0.99995) >= found


@pytest.mark.parametrize(("pd", "rho", "level"), [(0.02, 0.15, 0.99), (0.1, 0.3, 0.95)])
def test_shortfall_is_the_mean_of_the_quantiles_beyond(pd: float, rho: float, level: float) -> None:
    mean, _ = integrate.quad(lambda u: vasicek.quantile(pd, rho, u), level, 1 - 1e-12, limit=400)
    assert vasicek.expected_shortfall(pd, rho, level) == pytest.approx(mean / (1 - level), rel=1e-3)


def test_the_limits_of_correlation() -> None:
    assert vasicek.quantile(0.03, 0.0, 0.999) == pytest.approx(0.03)
    assert vasicek.quantile(0.03, 1.0, 0.98) == 1.0
    assert vasicek.quantile(0.03, 1.0, 0.96) == 0.0


@pytest.mark.parametrize(
    # Basel II (June 2006), annex 5: illustrative risk weights, LGD 45 %, maturity 2.5 years.
    ("pd", "corporate", "mortgage", "retail", "revolving"),
    [
        (0.0010, 29.65, 10.69, 11.16, 2.71),
        (0.0100, 92.32, 56.40, 45.77, 17.22),
        (0.0500, 149.86, 148.22, 66.42, 54.75),
        (0.1000, 193.09, 204.41, 75.54, 83.89),
    ],
)
def test_capital_against_the_published_risk_weights(
    pd: float, corporate: float, mortgage: float, retail: float, revolving: float
) -> None:
    wanted = {
        "corporate": corporate,
        "mortgage": mortgage,
        "retail": retail,
        "revolving": revolving * 0.50 / 0.45,  # today's floor of its LGD; K is linear in it
    }
    found = {k: 1250 * basel.capital_requirement(pd, 0.45, k)[0] for k in wanted}  # type: ignore[arg-type]
    assert found == pytest.approx(wanted, abs=0.006)


@given(pd=st.floats(0, 1), lgd=st.floats(0, 1), kind=st.sampled_from(["mortgage", "retail"]))
def test_capital_is_between_nothing_and_the_loss(pd: float, lgd: float, kind: Any) -> None:
    k = basel.capital_requirement(pd, lgd, kind)[0]
    assert 0 <= k <= max(lgd, basel.lgd_floor(kind))
    rwa = basel.risk_weighted_assets([1000.0], pd, lgd, kind)[0]
    assert rwa == pytest.approx(12_500 * k)


@pytest.mark.parametrize(
    # CRE32: floors of PD and LGD by exposure class.
    ("kind", "pd", "lgd"),
    [
        ("corporate", 0.0005, 0.25),
        ("mortgage", 0.0005, 0.05),
        ("revolving", 0.0010, 0.50),
        ("retail", 0.0005, 0.30),
    ],
)
def test_capital_takes_no_pd_or_lgd_below_the_floor(kind: Any, pd: float, lgd: float) -> None:
    least = basel.capital_requirement(pd, lgd, kind)[0]
    assert basel.capital_requirement(0.0, 0.0, kind)[0] == least > 0
    assert basel.capital_requirement(pd * 1.01, lgd, kind)[0] > least
    assert basel.capital_requirement(pd, lgd * 1.01, kind)[0] == pytest.approx(1.01 * least)


def test_what_capital_refuses() -> None:
    with pytest.raises(InputRefused, match="exposure class"):
        basel.capital_requirement(0.1, 0.4, "retial")  # type: ignore[arg-type]
    with pytest.raises(InputRefused, match="no probability"):
        basel.capital_requirement(5.0, 0.4)


@given(n=st.integers(1, 50))
def test_equal_names_have_one_over_n(n: int) -> None:
    assert concentration.herfindahl(np.full(n, 3.0)) == pytest.approx(1 / n)


def test_names_and_segments() -> None:
    top = concentration.top_names(["a", "b", "a", "c"], [1.0, 3.0, 4.0, 2.0], count=2)
    assert top.index.tolist() == ["a", "b"]
    assert top["share"].tolist() == [0.5, 0.3]
    assert top["cumulative"].tolist() == [0.5, 0.8]
    table = concentration.by_segment(["x", "y", "x"], [1.0, 6.0, 1.0])
    assert table.index.tolist() == ["y", "x"]
    assert table.loc["x", "share"] == 0.25
    assert table.loc["x", "herfindahl"] == 0.5


@pytest.mark.parametrize(("pd", "rho", "n"), [(0.02, 0.15, 500), (0.05, 0.08, 1000)])
def test_granularity_against_the_exact_quantile_of_a_finite_book(
    pd: float, rho: float, n: int
) -> None:
    """Equal loans: the law of their number of defaults, by quadrature over the factor."""
    z = np.linspace(-8, 8, 4001)
    weight = stats.norm.pdf(z)
    chance = stats.norm.cdf((stats.norm.ppf(pd) - np.sqrt(rho) * z) / np.sqrt(1 - rho))
    k = np.arange(n + 1)
    law = stats.binom.cdf(k[:, None], n, chance[None, :]) @ (weight / weight.sum())
    exact = np.interp(0.999, law, (k + 0.5) / n)  # between steps, as a book of all sizes would
    adjustment = vasicek.granularity_adjustment(np.full(n, 1 / n), pd, 1.0, rho, 0.999)
    assert adjustment == pytest.approx(exact - vasicek.quantile(pd, rho, 0.999), rel=0.1)


@given(
    pd=st.lists(st.floats(0.005, 0.3), min_size=3, max_size=8),
    rho=st.floats(0.02, 0.4),
    seed=st.integers(0, 99),
)
def test_granularity_against_its_formula_by_differences(
    pd: list[float], rho: float, seed: int
) -> None:
    """Martin and Wilde's derivative, taken numerically."""
    ead, p = np.random.default_rng(seed).uniform(1, 9, len(pd)), np.array(pd)

    def inside(z: float) -> float:
        def chance(at: float) -> Any:
            return stats.norm.cdf((stats.norm.ppf(p) - np.sqrt(rho) * at) / np.sqrt(1 - rho))

        h = 1e-5
        slope = (ead * 0.5) @ (chance(z + h) - chance(z - h)) / (2 * h)
        variance = (ead * 0.5) ** 2 @ (chance(z) * (1 - chance(z)))
        return float(stats.norm.pdf(z) * variance / slope)

    z = stats.norm.ppf(0.01)
    wanted = -(inside(z + 1e-3) - inside(z - 1e-3)) / 2e-3 / (2 * stats.norm.pdf(z))
    found = vasicek.granularity_adjustment(ead, p, 0.5, rho, 0.99)
    assert found == pytest.approx(wanted, rel=1e-3)
    assert np.isnan(vasicek.granularity_adjustment(ead, p, 0.5, 0.0, 0.99))


@pytest.mark.parametrize(("years", "taken"), [(0.2, 1), (1, 1), (3.7, 3.7), (5, 5), (30, 5)])
def test_effective_maturity_is_one_to_five_years(years: float, taken: float) -> None:
    """CRE31.5: (1 + (M - 2.5) b) / (1 - 1.5 b), by hand."""
    p, loss = 0.02, 0.45
    part = (1 - np.exp(-50 * p)) / (1 - np.exp(-50))
    r = 0.12 * part + 0.24 * (1 - part)
    b = (0.11852 - 0.05478 * np.log(p)) ** 2
    bad = stats.norm.cdf((stats.norm.ppf(p) + r**0.5 * stats.norm.ppf(0.999)) / (1 - r) ** 0.5)
    wanted = loss * (bad - p) * (1 + (taken - 2.5) * b) / (1 - 1.5 * b)
    assert basel.capital_requirement(p, loss, "corporate", years)[0] == pytest.approx(wanted)


@pytest.mark.parametrize("months", [6, 18, 60, 120, 240])
def test_the_time_left_is_never_below_the_maturity_of_the_payments(months: int) -> None:
    """CRE32: M = sum t CF_t / sum CF_t; the time left stands in where a book doesn't say M."""
    payments, t = np.full(months, 100.0), np.arange(1, months + 1) / 12
    annuity = float(t @ payments / payments.sum())
    assert annuity == pytest.approx((months + 1) / 24)
    payments[-1] += 5000.0  # with a last instalment, as corporate loans have
    balloon = float(t @ payments / payments.sum())
    k = [
        basel.capital_requirement(0.01, 0.45, "corporate", m)[0]
        for m in (annuity, balloon, months / 12)
    ]
    assert k == sorted(k)
    b = (0.11852 - 0.05478 * np.log(0.01)) ** 2
    clamped = np.clip([annuity, balloon, months / 12], 1, 5)
    assert np.array(k) / k[0] == pytest.approx(
        (1 + (clamped - 2.5) * b) / (1 + (clamped[0] - 2.5) * b)
    )
