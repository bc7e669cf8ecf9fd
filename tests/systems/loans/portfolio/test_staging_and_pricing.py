"""Stages, expected credit loss and prices against sums done by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwright.errors import InputRefused
from riskwright.systems.loans.portfolio import pricing, staging

SHARE = st.floats(0.001, 0.9)


@pytest.mark.parametrize(
    ("now", "then", "late", "stage"),
    [
        (0.02, 0.02, 0, 1),
        (0.03, 0.02, 0, 1),  # risen, but not doubled
        (0.004, 0.001, 0, 1),  # quadrupled, but by less than a point
        (0.05, 0.02, 0, 2),
        (0.02, 0.02, 30, 1),
        (0.02, 0.02, 31, 2),
        (0.02, 0.02, 89, 2),
        (0.02, 0.02, 90, 3),
        (0.05, 0.02, 120, 3),
    ],
)
def test_stages(now: float, then: float, late: int, stage: int) -> None:
    assert staging.stages([now], [then], 1.0, [late]).tolist() == [stage]


@given(pd=SHARE, years=st.floats(0.5, 10))
def test_a_rate_a_year_adds_up(pd: float, years: float) -> None:
    assert 1 - (1 - float(staging.annual(pd, years))) ** years == pytest.approx(pd)


@given(hazard=st.floats(0.001, 0.2), months=st.integers(1, 60), lgd=SHARE)
def test_the_loss_of_a_constant_hazard_is_a_geometric_sum(
    hazard: float, months: int, lgd: float
) -> None:
    marginal = hazard * (1 - hazard) ** np.arange(months)[None, :]
    ead = np.full((1, months), 1000.0)

    def loss(stage: int, rate: float = 0.0) -> float:
        return float(staging.expected_credit_loss(marginal, ead, [lgd], [rate], [stage])[0])

    assert loss(2) == pytest.approx(1000 * lgd * (1 - (1 - hazard) ** months))
    assert loss(1) == pytest.approx(1000 * lgd * (1 - (1 - hazard) ** min(12, months)))
    assert loss(3) == pytest.approx(1000 * lgd)
    x = (1 - hazard) * 1.05 ** (-1 / 12)
    factor = 1.05 ** (-1 / 12)
    assert loss(2, 0.05) == pytest.approx(1000 * lgd * hazard * factor * (1 - x**months) / (1 - x))
    assert loss(1) <= loss(2) <= loss(3) + 1e-9


def test_scenarios_are_weighted() -> None:
    found = staging.weighted({"a": 10.0, "b": 30.0}, {"a": 0.75, "b": 0.25})
    assert found == 15.0
    with pytest.raises(InputRefused, match=r"sum to 0.9"):
        staging.weighted({"a": 1.0, "b": 1.0}, {"a": 0.5, "b": 0.4})
    with pytest.raises(InputRefused, match="weights"):
        staging.weighted({"a": 1.0}, {"b": 1.0})


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"marginal_pd": [[0.6, 0.6]]}, "more than 1"),
        ({"ead": [[1.0]]}, "shape"),
        ({"lgd": [1.2]}, "no probability"),
    ],
)
def test_what_expected_credit_loss_refuses(change: dict[str, Any], what: str) -> None:
    given = {"marginal_pd": [[0.1, 0.1]], "ead": [[1.0, 1.0]], "lgd": [0.5]} | change
    with pytest.raises(InputRefused, match=what):
        staging.expected_credit_loss(**given, annual_rate=[0.0], stage=[1])


def test_without_risk_the_price_is_what_the_loan_costs() -> None:
    found = pricing.required_rate(
        np.zeros((2, 60)),
        0.5,
        [12, 60],
        funding=0.03,
        cost=0.01,
        margin=0.02,
        capital=0.08,
        hurdle=0.1,
    )
    np.testing.assert_allclose(found, 0.068, atol=1e-8)


def constant_hazard(annual_pd: Any, term: int) -> np.ndarray:
    """The probability to default in each month at a constant hazard, (n, term)."""
    stays = (1 - np.atleast_1d(annual_pd)[:, None]) ** (1 / 12)
    return np.asarray(stays ** np.arange(term) * (1 - stays))


def test_a_loan_of_one_month_by_hand() -> None:
    """(1 - q) (1 + r/12) + q (1 - LGD) = 1 + c/12, where q is the PD of a month."""
    q = 1 - 0.9 ** (1 / 12)
    wanted = 12 * ((1 + 0.05 / 12 - q * (1 - 0.4)) / (1 - q) - 1)
    found = pricing.required_rate(constant_hazard([0.1], 1), 0.4, 1, funding=0.05, cost=0.0)[0]
    assert found == pytest.approx(wanted, abs=1e-8)


@given(pd=st.floats(0, 0.5), lgd=SHARE, term=st.integers(1, 60), more=st.floats(0.001, 0.2))
def test_the_price_earns_the_margin_and_grows_with_risk(
    pd: float, lgd: float, term: int, more: float
) -> None:
    fails = constant_hazard([pd, pd + more], term)
    rate, dearer = pricing.required_rate(fails, lgd, term, funding=0.03, cost=0.02)
    assert float(pricing.value(rate, fails[:1], lgd, term, 0.05)[0]) == pytest.approx(0, abs=1e-8)
    assert dearer > rate


def test_what_no_rate_pays_for() -> None:
    fails = constant_hazard([1.0], 36)
    assert np.isnan(pricing.required_rate(fails, 1.0, 36, funding=0.03, cost=0.02)).all()


@given(h=st.floats(1e-4, 0.03), lgd=SHARE, n=st.integers(2, 120), out=st.floats(0, 0.2))
def test_a_constant_hazard_without_prepayment_in_closed_form(
    h: float, lgd: float, n: int, out: float
) -> None:
    """Of a unit lent at 12 %: geometric sums of payments, and of what defaults leave."""
    i, v, s = 0.01, 1 / (1 + out / 12), 1 - h
    payment = i / (1 - (1 + i) ** -n)

    def annuity(x: float) -> float:
        return n if abs(x - 1) < 1e-12 else x * (1 - x**n) / (1 - x)

    # The balance before payment k is payment / i (1 - (1 + i)^(k - 1 - n)).
    left = annuity(v * s) / s - (1 + i) ** (-1 - n) * annuity(v * s * (1 + i)) / s
    wanted = payment * annuity(v * s) + h * (1 - lgd) * payment / i * left - 1
    fails = h * s ** np.arange(n)[None, :]
    assert pricing.value(0.12, fails, lgd, n, out)[0] == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("grace", [1, 4])
def test_the_price_against_lives_of_single_loans(grace: int) -> None:
    """Month by month, for each way in which a loan may end, weighted by its probability."""
    rng = np.random.default_rng(3)
    n, rate, lgd, out = 18, 0.15, 0.6, 0.05
    fails, repaid = rng.uniform(0, 0.02, (1, n)), rng.uniform(0, 0.02, (1, n))
    i = rate / 12
    payment = i / (1 - (1 + i) ** -n)

    def after(k: int) -> float:
        return ((1 + i) ** n - (1 + i) ** k) / ((1 + i) ** n - 1)

    def paid(until: int) -> float:
        return sum(payment / (1 + out / 12) ** k for k in range(1, until + 1))

    total = (1 - fails.sum() - repaid.sum()) * paid(n)
    for k in range(1, n + 1):
        last = max(k - grace, 0)
        v = 1 / (1 + out / 12) ** k
        total += fails[0, k - 1] * (paid(last) + v * (1 - lgd) * after(last))
        total += repaid[0, k - 1] * (paid(k) + v * after(k))
    found = pricing.value(rate, fails, lgd, n, out, repaid, grace)[0]
    assert found == pytest.approx(total - 1, abs=1e-12)


def test_early_repayment_makes_a_risky_loan_no_dearer_and_timing_counts() -> None:
    """The same lifetime PD: net of prepayment it stands for a higher hazard on what is there."""
    early, late = np.zeros((1, 36)), np.zeros((1, 36))
    early[0, :6], late[0, 30:] = 0.05, 0.05
    terms = {"funding": 0.02, "cost": 0.01}
    soon, then = (pricing.required_rate(f, 0.7, 36, **terms)[0] for f in (early, late))
    assert soon > 2 * then
    hazard, leaves = 0.012, 0.02
    k = np.arange(36)
    there = ((1 - hazard) * (1 - leaves)) ** k
    fails, repaid = there * hazard, there * (1 - hazard) * leaves
    found = pricing.required_rate(fails[None], 0.7, 36, repaid=repaid[None], **terms)[0]
    alone = pricing.required_rate(hazard * (1 - hazard) ** k[None], 0.7, 36, **terms)[0]
    assert found == pytest.approx(alone, abs=0.004)  # the hazard sets the price, not the sum
    year = 1 - (1 - fails.sum()) ** (1 / 3)
    spread = pricing.required_rate(constant_hazard(year, 36), 0.7, 36, **terms)[0]
    assert found > spread + 0.01  # what was printed before


def test_the_best_cutoff_takes_what_earns() -> None:
    pds = np.array([0.01, 0.02, 0.05, 0.3, 0.5])
    worth = pricing.value(0.12, constant_hazard(pds, 36), 0.6, 36, 0.05)
    table = pricing.cutoff_table(
        pds, np.full(5, 1000.0), worth, cutoffs=[0.01, 0.02, 0.05, 0.3, 0.5]
    )
    each = 1000 * worth
    assert (each[:3] > 0).all()
    assert (each[3:] < 0).all()
    assert table.loc[table["best"], "cutoff"].tolist() == [0.05]
    np.testing.assert_allclose(table["expected_profit"], np.cumsum(each))
    np.testing.assert_allclose(table["approved"], [0.2, 0.4, 0.6, 0.8, 1.0])
