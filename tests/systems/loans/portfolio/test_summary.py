"""The tables of a report, on books that are easy to count by hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from riskwright.case.usecase import Loan
from riskwright.systems.loans.portfolio import basel, report, stress, vasicek, waterfall
from riskwright.systems.loans.portfolio.summary import Summary, segments_for_waterfall, summarise

LOAN = Loan(
    amount="a", rate="r", term="t", closed="c", repaid="p", recovered="v", recovery_costs="k"
)  # fmt: skip


def book(n: int = 60, seed: int = 1, **changes: Any) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    loans = pd.DataFrame(
        {
            "id": [f"L{i}" for i in range(n)],
            "balance": rng.uniform(1e3, 9e3, n),
            "ead": rng.uniform(1e3, 9e3, n),
            "pd": rng.uniform(0.01, 0.2, n),
            "lgd": rng.uniform(0.4, 0.9, n),
            "rate": rng.uniform(0.05, 0.2, n),
            "months_left": rng.integers(1, 60, n).astype(float),
            "effective_maturity": rng.uniform(0.1, 8, n),
            "stage": rng.integers(1, 4, n),
            "overlay": 0.0,
            "price": 0.12,
            "price_cautious": 0.14,
            "worth": 0.01,
            "ecl": 1.0,
            "ecl_12m": 1.0,
            "ecl_lifetime": 2.0,
        }
    ).assign(**changes)
    loans["pd_lifetime"] = loans["pd"]
    loans["el"] = loans["pd"] * loans["ead"] * loans["lgd"]
    return loans.assign(pd_status=loans["pd"], el_status=loans["el"])


def summary(loans: pd.DataFrame, scenario: str = "base", loan: Loan = LOAN) -> Summary:
    by = pd.DataFrame({"grade": ["A", "B"] * (len(loans) // 2) + ["A"] * (len(loans) % 2)})
    return summarise(
        loan,
        loans,
        by,
        members_el=np.stack([loans["el"] * 0.9, loans["el"] * 1.1]),
        weights=np.array([0.5, 0.5]),
        errors={"pd": 0.02, "lgd": 0.01, "ead": 0.0},
        scenario_ecl={"base": 1.0},
        confidence=0.99,
        scenario=stress.SCENARIOS[scenario],
        status="green",
        before=None,
    )


def test_reverse_stress_makes_the_loss_the_limit_and_says_who_carries_it() -> None:
    loans = book()
    found = summary(loans, loan=LOAN.model_copy(update={"loss_limit": 0.2}))
    h = found.headline
    assert h["pushed"] == "severe"  # the base breaks nothing
    severe = stress.SCENARIOS["severe"]
    p, lgd = stress.stressed(loans["pd"], loans["lgd"], severe, h["reverse_part"])
    assert (loans["ead"] * p * lgd).sum() == pytest.approx(h["loss_limit"], rel=1e-4)
    carried = found.tables["What carries the stress"]
    for _, feature in carried.groupby("feature"):
        assert feature["share"].sum() == pytest.approx(1)
    assert carried["share"].abs().max() <= 1


def test_a_corporate_book_carries_its_own_maturity() -> None:
    """CRE31.5 with M within 1 and 5 years, in a few lines of its own."""
    loans = book()
    found = summary(loans, loan=LOAN.model_copy(update={"exposure": "corporate"})).headline
    p, m = loans["pd"].to_numpy(), np.clip(loans["effective_maturity"], 1, 5)
    part = (1 - np.exp(-50 * p)) / (1 - np.exp(-50))
    r = 0.12 * part + 0.24 * (1 - part)
    bad = norm.cdf((norm.ppf(p) + np.sqrt(r) * norm.ppf(0.999)) / np.sqrt(1 - r))
    b = (0.11852 - 0.05478 * np.log(p)) ** 2
    k = loans["lgd"] * (bad - p) * (1 + (m - 2.5) * b) / (1 - 1.5 * b)
    assert found["regulatory_capital"] == pytest.approx((k * loans["ead"]).sum(), rel=1e-9)
    retail = [summary(book(effective_maturity=y)).headline["regulatory_capital"] for y in (1, 9)]
    assert retail[0] == retail[1]


def test_granularity_is_the_closed_form_and_not_the_simulations_error() -> None:
    loans = book(400)
    h = summary(loans).headline
    rho = basel.correlation(loans["pd"], "retail")
    assert h["granularity"] == pytest.approx(
        vasicek.granularity_adjustment(loans["ead"], loans["pd"], loans["lgd"], rho, 0.99)
    )
    assert summary(book(12, pd=1.0)).headline["granularity"] is None


def test_a_loan_without_a_price_is_counted_and_not_taken_for_free() -> None:
    loans = book(10)
    loans.loc[loans.index % 2 == 0, "price"] = np.nan  # all of grade A
    table = summary(loans).tables["Price"]
    assert np.isnan(table.loc["A", "price"])
    assert table.loc["A", "without_price"] == 5
    assert table.loc["B", "price"] == pytest.approx(0.12)


def test_a_scenario_beyond_the_bad_year_is_explained() -> None:
    """An officer sees a stress that costs more than the year of 1 in 100: why is told."""
    loans = book(300, stage=1, pd=0.06)
    calm = summary(loans, loan=LOAN.model_copy(update={"rho": 0.01}))
    said = [n for n in calm.notes if "under stress is above the loss of a year of 1 in 100" in n]
    worse = calm.tables["Stress"].query("el > @calm.distribution.var").index
    assert said
    assert said[0].startswith(f"{', '.join(worse)}: ")
    assert "base" not in worse
    wild = summary(loans, loan=LOAN.model_copy(update={"rho": 0.9}))
    assert not any("under stress is above" in n for n in wild.notes)
    # A margin for the model's alerts is on both sides: it alone makes no stress.
    loans["pd_status"], loans["el_status"] = 2.2 * loans["pd"], 2.2 * loans["el"]
    warned = summary(loans, loan=LOAN.model_copy(update={"rho": 0.01}))
    assert warned.tables["Stress"].loc["base", "el"] > warned.distribution.var
    (said,) = [n for n in warned.notes if "under stress is above" in n]
    assert "base" not in said.partition(":")[0]
    assert "the margin for the model's status" in said


@pytest.mark.parametrize(
    "loans",
    [book(1), book(12, lgd=0.0), book(12, pd=1.0, stage=3), book(12, price=np.nan)],
    ids=["one loan", "nothing is lost", "all impaired", "no price"],
)
def test_any_book_gets_its_page(loans: pd.DataFrame, tmp_path: Path) -> None:
    found = summary(loans, "adverse")
    page = report.write(tmp_path, found, title="A <book>", facts={"file": "x"})
    text = page.read_text(encoding="utf-8")
    assert "A &lt;book&gt;" in text
    assert not re.search(r">[^<]*\b(nan|inf)\b", text)
    assert found.headline["el_high"] <= loans["ead"].sum() + 1e-6


def test_the_next_report_starts_where_this_one_ends() -> None:
    loans = book()
    halves = pd.Series(["x", "y"] * 30)
    before = segments_for_waterfall(loans, halves)
    steps = waterfall.waterfall(before, segments_for_waterfall(book(seed=2), halves))
    assert steps["before"] == pytest.approx(loans["el"].sum())
    assert steps["after"] == pytest.approx(book(seed=2)["el"].sum())
    assert steps.iloc[:-1].sum() == pytest.approx(steps["after"])


def test_the_base_of_the_stresses_is_the_book_as_it_stands() -> None:
    loans = book()
    found = summary(loans, "mild")
    table = found.tables["Stress"]
    assert table.loc["base", "el"] == pytest.approx(loans["el"].sum())
    assert list(table["times_base"]) == sorted(table["times_base"])
    assert found.headline["stressed_el"] == pytest.approx(table.loc["mild", "el"])
