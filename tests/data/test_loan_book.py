"""The simulated loan book: its shape, its truth, and that scenarios do what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from riskwright.data import maturity
from riskwright.data.contract import Contract
from riskwright.data.credit_applications import Draws
from riskwright.data.loan_book import (
    LINES,
    MONTHS,
    OUTCOMES,
    _happens,
    _loans,
    redraw,
    simulate_book,
)
from riskwright.data.loan_truth import CCF, CURED_AFTER, GRACE, LOST_AFTER
from riskwright.data.simulators import Simulated, simulate
from riskwright.home import Home
from riskwright.systems.credit.case import load_usecase
from riskwright.systems.loans.loss import lgd_of

ROWS = 20_000


@pytest.fixture(scope="module")
def base() -> Simulated:
    return simulate("loan_book", ROWS, 5)


def bad(frame: pd.DataFrame) -> np.ndarray:
    return (frame["loan_status"] == "Charged Off").to_numpy()


def test_the_contract_accepts_every_row(base: Simulated) -> None:
    checked = Contract(load_usecase("loan_book"), "train").apply(base.frame)
    assert checked.refused.empty
    assert base.frame["id"].is_unique


def test_the_contract_refuses_a_date_that_is_still_to_come(base: Simulated) -> None:
    frame = base.frame.head(50).assign(last_pymnt_d=base.frame["last_pymnt_d"].astype("str"))
    frame.loc[3, "last_pymnt_d"] = "2091-01-01"
    checked = Contract(load_usecase("loan_book"), "train").apply(frame)
    assert checked.refused["row"].tolist() == [3]
    assert checked.refused["reason"][0] == "last_pymnt_d: 2091-01-01 is later than today"


def test_margins_are_those_of_the_published_loans(base: Simulated) -> None:
    """Lending Club 2007 to 2011: 15 % charged off, 8 % of the balance recovered, 12 % interest."""
    frame = base.frame
    failed = bad(frame)
    assert failed.mean() == pytest.approx(0.15, abs=0.015)
    assert failed[frame["term"] == 60].mean() > 1.5 * failed[frame["term"] == 36].mean()
    assert frame["int_rate"].mean() == pytest.approx(0.122, abs=0.01)
    assert frame["annual_inc"].mean() == pytest.approx(69_000, rel=0.06)
    left = frame["owed_at_default"][failed]
    assert (frame["recoveries"][failed] / left).mean() == pytest.approx(0.09, abs=0.03)
    by_grade = pd.Series(failed).groupby(frame["grade"]).mean()
    assert by_grade.is_monotonic_increasing


def test_lines_of_credit_are_drawn_down_before_they_fail(base: Simulated) -> None:
    frame = base.frame
    line, failed = (frame["product"] == "revolving").to_numpy(), bad(frame)
    assert line.mean() == pytest.approx(LINES, abs=0.01)
    assert base.true_pd[line].mean() > 1.08 * base.true_pd[~line].mean()
    assert (frame["credit_limit"].notna() == line).all()
    owed = frame["owed_at_default"]
    assert (owed.notna() == failed).all()
    term = failed & ~line
    lent = frame["funded_amnt"] - frame["total_rec_prncp"]
    np.testing.assert_allclose(owed[term], lent[term], atol=0.01)
    assert owed[failed & line].le(frame["credit_limit"][failed & line]).all()
    before = frame["drawn_year_before"]
    known = before.notna().to_numpy()
    assert not (known & ~(failed & line)).any()
    share = (owed - before)[known] / (frame["credit_limit"] - before)[known]
    assert share.mean() == pytest.approx(CCF[0], abs=4 * share.std() / np.sqrt(known.sum()))
    # A default in the first year has no year before it.
    paid = maturity.months_between(frame["issue_d"], frame["last_pymnt_d"])
    np.testing.assert_array_equal(known, failed & line & (np.nan_to_num(paid) + GRACE >= 12))


def test_recoveries_come_after_the_default_and_cured_loans_soon(base: Simulated) -> None:
    frame = base.frame[bad(base.frame)]
    usecase = load_usecase("loan_book")
    after = maturity.recovery_months(usecase, frame)
    cured = (frame["recoveries"] / frame["owed_at_default"] > 0.65).to_numpy()
    assert cured.mean() == pytest.approx(0.06, abs=0.02)
    for rows, (first, last) in ((cured, CURED_AFTER), (~cured, LOST_AFTER)):
        assert after[rows].min() == first
        assert after[rows].max() == last
        error = (last - first) / np.sqrt(12 * rows.sum())
        assert after[rows].mean() == pytest.approx((first + last) / 2, abs=4 * error)
    healthy = base.frame[~bad(base.frame)]
    assert healthy["recovery_d"].isna().all()


def test_outcomes_are_drawn_from_the_true_pd(base: Simulated) -> None:
    failed = bad(base.frame)
    for part in np.array_split(np.argsort(base.true_pd), 5):
        expected = base.true_pd[part].mean()
        error = np.sqrt(expected * (1 - expected) / len(part))
        assert abs(failed[part].mean() - expected) < 4 * error


def test_a_loan_does_not_depend_on_how_many_follow(base: Simulated) -> None:
    few = simulate("loan_book", 300, 5)
    pd.testing.assert_frame_equal(few.frame, base.frame.head(300))
    np.testing.assert_array_equal(few.true_pd, base.true_pd[:300])


@pytest.mark.parametrize("scenario", ["recession", "new_channel", "broken_feed", "concept_change"])
def test_scenarios_change_what_comes_after_their_onset(base: Simulated, scenario: str) -> None:
    found = simulate("loan_book", ROWS, 5, scenario=scenario, onset=24)
    late = np.arange(ROWS) % 48 >= 24
    pd.testing.assert_frame_equal(found.frame[~late], base.frame[~late])
    gap = found.true_pd[late].mean() - base.true_pd[late].mean()
    if scenario in ("recession", "new_channel"):
        assert gap > 0.02
    if scenario == "broken_feed":
        np.testing.assert_array_equal(found.true_pd, base.true_pd)
        assert found.frame["revol_util"][late].isna().mean() == pytest.approx(0.15, abs=0.02)
    if scenario == "concept_change":
        inputs = ["dti", "revol_util", "credit_age", "annual_inc"]
        pd.testing.assert_frame_equal(found.frame[inputs], base.frame[inputs])
        assert np.corrcoef(found.true_pd[late], base.true_pd[late])[0, 1] < 0.97


def test_a_live_book_has_no_outcome_and_a_known_truth(home: Home) -> None:
    book, truth = simulate_book(ROWS, 3)
    assert not set(OUTCOMES) & set(book)
    assert (book["months_on_book"] < book["term"]).all()
    assert book["balance"].between(1, book["funded_amnt"]).all()
    line = (book["product"] == "revolving").to_numpy()
    np.testing.assert_array_equal(book["balance"][line], truth.drawn[line])
    assert np.isnan(truth.drawn[~line]).all()
    assert len(book) == len(truth.lifetime_pd) == len(truth.lgd)
    ages = book["months_on_book"].to_numpy()
    year, life = truth.pd_within(ages), truth.pd_within(ages, 72)
    assert (year <= life + 1e-12).all()
    assert 0.02 < year.mean() < 0.10
    assert 0.85 < truth.lgd.mean() < 0.95
    worse, grim = simulate_book(ROWS, 3, scenario="recession")
    assert grim.pd_within(worse["months_on_book"].to_numpy()).mean() > 1.3 * year.mean()


def test_the_truth_is_what_happens_to_the_loans_that_are_live() -> None:
    """The same loans drawn to their end: of those live on the date, who fails, and at what cost."""
    rows = 40_000
    draws = Draws(6, rows)
    age = 1 + np.arange(rows) % MONTHS
    frame, truth = _loans(draws, MONTHS - age, np.zeros(rows, bool), "none", 1.0)
    last, failed = _happens(frame, truth, draws)
    live = (np.where(failed, last + GRACE, last) > age) & (age < frame["term"])
    frame, age, truth = frame[live], age[live], truth.take(live.to_numpy())
    usecase = load_usecase("loan_book")
    when = maturity.default_month(maturity.loan_of(usecase), frame, "issue_d")
    for months in (12, 60):
        hit = bad(frame) & (when <= age + months)
        p = truth.pd_within(age, months)
        assert hit.mean() == pytest.approx(p.mean(), abs=4 * np.sqrt((p * (1 - p)).sum()) / len(p))
        lgd, owed = lgd_of(usecase, frame[hit]), maturity.owed_at_default(usecase, frame[hit])
        lost = np.zeros(len(frame))
        lost[hit] = lgd * owed
        expected = truth.loss_within(age, months)
        error = (lost - expected).std() / np.sqrt(len(lost))
        assert abs(lost.mean() - expected.mean()) < 4 * error < 0.15 * expected.mean()


def test_redrawn_years_lose_what_the_truth_says() -> None:
    book, truth = simulate_book(8_000, 4)
    age = book["months_on_book"].to_numpy()
    years = np.array([redraw(book, truth, seed, rho=0.0) for seed in range(60)])
    assert (years > 0).mean() == pytest.approx(truth.pd_within(age).mean(), rel=0.03)
    expected = truth.loss_within(age)
    for rows in (book["product"] == "revolving", book["product"] == "term"):
        of_year = years[:, rows].sum(axis=1)
        error = of_year.std() / np.sqrt(len(years))
        assert of_year.mean() == pytest.approx(expected[rows].sum(), abs=4 * error)
    together = np.array([redraw(book, truth, seed, rho=0.2).sum() for seed in range(60)])
    assert together.std() > 2 * years.sum(axis=1).std()
    np.testing.assert_array_equal(redraw(book, truth, 1), redraw(book, truth, 1))
