"""The simulated loan book: its shape, its truth, and that scenarios do what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from riskwright.data.contract import Contract
from riskwright.data.loan_book import OUTCOMES, redraw, simulate_book
from riskwright.data.simulators import Simulated, simulate
from riskwright.home import Home
from riskwright.usecase import load_usecase

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


def test_margins_are_those_of_the_published_loans(base: Simulated) -> None:
    """Lending Club 2007 to 2011: 15 % charged off, 8 % of the balance recovered, 12 % interest."""
    frame = base.frame
    failed = bad(frame)
    assert failed.mean() == pytest.approx(0.15, abs=0.015)
    assert failed[frame["term"] == 60].mean() > 1.5 * failed[frame["term"] == 36].mean()
    assert frame["int_rate"].mean() == pytest.approx(0.122, abs=0.01)
    assert frame["annual_inc"].mean() == pytest.approx(69_000, rel=0.06)
    left = (frame["funded_amnt"] - frame["total_rec_prncp"])[failed]
    assert (frame["recoveries"][failed] / left).mean() == pytest.approx(0.09, abs=0.03)
    by_grade = pd.Series(failed).groupby(frame["grade"]).mean()
    assert by_grade.is_monotonic_increasing


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
    assert len(book) == len(truth.lifetime_pd) == len(truth.lgd)
    ages = book["months_on_book"].to_numpy()
    year, life = truth.pd_within(ages), truth.pd_within(ages, 72)
    assert (year <= life + 1e-12).all()
    assert 0.02 < year.mean() < 0.10
    assert 0.85 < truth.lgd.mean() < 0.95
    worse, grim = simulate_book(ROWS, 3, scenario="recession")
    assert grim.pd_within(worse["months_on_book"].to_numpy()).mean() > 1.3 * year.mean()


def test_redrawn_years_lose_what_the_truth_says() -> None:
    book, truth = simulate_book(8_000, 4)
    years = np.array([redraw(book, truth, seed, rho=0.0) for seed in range(60)])
    rate = (years > 0).mean()
    expected = truth.pd_within(book["months_on_book"].to_numpy()).mean()
    assert rate == pytest.approx(expected, rel=0.03)
    together = np.array([redraw(book, truth, seed, rho=0.2).sum() for seed in range(60)])
    assert together.std() > 2 * years.sum(axis=1).std()
    np.testing.assert_array_equal(redraw(book, truth, 1), redraw(book, truth, 1))
