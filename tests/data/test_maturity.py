"""Label maturity: what was known when, and what was on the book."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwright.case.usecase import UseCase
from riskwright.data import maturity, train_test
from riskwright.data.contract import target_of
from riskwright.data.plausible import check_outcomes
from riskwright.errors import InputRefused
from riskwright.systems.credit.case import load_usecase

START = pd.Timestamp("2008-01-01")
LOANS = st.lists(
    st.tuples(
        st.integers(0, 40),  # month of issue
        st.sampled_from([36, 60]),
        st.integers(0, 60),  # last payment, months after it
        st.sampled_from(["Charged Off", "Fully Paid", "Current"]),
    ),
    min_size=1,
    max_size=30,
)


def loans(rows: list[tuple[int, int, int, str]]) -> pd.DataFrame:
    issued = [START + pd.DateOffset(months=m) for m, *_ in rows]
    paid = [
        i + pd.DateOffset(months=min(p, t)) for i, (_, t, p, _) in zip(issued, rows, strict=True)
    ]
    return pd.DataFrame(
        {
            "issue_d": issued,
            "term": [float(t) for _, t, _, _ in rows],
            "last_pymnt_d": paid,
            "loan_status": [s for *_, s in rows],
            "funded_amnt": 1000.0,
            "int_rate": 0.12,
            "total_rec_prncp": 0.0,
            "recoveries": 0.0,
            "collection_recovery_fee": 0.0,
        }
    )


SPEC = load_usecase("loan_book")


@pytest.fixture(scope="module")
def usecase() -> UseCase:
    return SPEC


@given(rows=LOANS, month=st.integers(0, 120), later=st.integers(0, 60))
def test_a_label_once_mature_stays_so_and_an_open_loan_never_is(
    rows: list[tuple[int, int, int, str]], month: int, later: int
) -> None:
    spec, frame = SPEC, loans(rows)
    first = maturity.mature(spec, frame, START + pd.DateOffset(months=month))
    second = maturity.mature(spec, frame, START + pd.DateOffset(months=month + later))
    assert (second | ~first).all()
    assert not second[(frame["loan_status"] == "Current").to_numpy()].any()


@given(rows=LOANS, month=st.integers(0, 120))
def test_mature_means_that_the_whole_life_is_over(
    rows: list[tuple[int, int, int, str]], month: int
) -> None:
    """Whatever became of it: else early bads would be counted without the goods beside them."""
    spec, frame = SPEC, loans(rows)
    done = maturity.mature(spec, frame, START + pd.DateOffset(months=month))
    for (issue, term, _, status), known in zip(rows, done, strict=True):
        assert known == (status != "Current" and month - issue >= term + 4)


@given(rows=LOANS, month=st.integers(0, 120))
def test_no_loan_is_live_and_mature(rows: list[tuple[int, int, int, str]], month: int) -> None:
    spec, frame = SPEC, loans(rows)
    day = START + pd.DateOffset(months=month)
    assert not (maturity.live(spec, frame, day) & maturity.mature(spec, frame, day)).any()


@pytest.mark.parametrize(
    ("window", "term", "months"),
    [(None, 36, 36), (None, 84, 84), (None, 360, 24), (12, 36, 12), (48, 36, 36), (36, 360, 36)],
)
def test_the_months_that_count(
    usecase: UseCase, window: int | None, term: int, months: int
) -> None:
    assert usecase.loan is not None
    loan = usecase.loan.model_copy(update={"window_months": window})
    frame = loans([(0, 36, 9, "Current")]).assign(term=float(term))
    spec = usecase.model_copy(update={"loan": loan})
    assert maturity.outcome_months(spec, frame).tolist() == [months]


def test_what_ended_is_known_and_what_is_open_is_censored(usecase: UseCase) -> None:
    """Thirty-year loans, seen for 60 months: each case of a life."""
    rows = [
        (0, 60, 10, "Charged Off"),  # in default in month 14: bad
        (0, 60, 30, "Charged Off"),  # in default in month 34: good within two years
        (0, 60, 20, "Fully Paid"),
        (0, 60, 60, "Current"),
        (31, 60, 29, "Current"),  # seen for 29 months
        (33, 60, 27, "Current"),  # seen for 27: not yet
        (33, 60, 5, "Charged Off"),  # failed already, but its month isn't over
        (0, 60, 40, "Current"),  # silent since
    ]
    frame = loans(rows).assign(term=360.0)
    frame.loc[4, "last_pymnt_d"] = pd.NaT  # an open loan may have no last payment
    seen = maturity.observed_until(usecase, frame)
    assert seen == START + pd.DateOffset(months=60)
    known = maturity.mature(usecase, frame, seen)
    assert known.tolist() == [True, True, True, True, True, False, False, True]
    assert target_of(usecase, frame)[known].tolist() == [1, 0, 0, 0, 0, 0]
    month, ended = maturity.endings(usecase, frame)
    assert month.tolist() == [14, 34, 20, 60, 29, 27, 9, 40]
    f, r, o = maturity.FAILED, maturity.REPAID, maturity.RAN_OUT
    assert ended.tolist() == [f, f, r, o, o, o, f, o]


def test_an_open_loan_that_fell_silent_within_its_months_is_not_known_to_be_good(
    usecase: UseCase,
) -> None:
    """Seen once and never again: by the rule it would be in default, its status says open."""
    rows = [(0, 60, 3, "Current"), (0, 60, 19, "Current"), (0, 60, 21, "Current")]
    frame = loans([*rows, (0, 60, 60, "Current")]).assign(term=360.0)
    seen = maturity.observed_until(usecase, frame)
    assert maturity.silent(usecase, frame).tolist() == [True, True, False, False]
    assert maturity.mature(usecase, frame, seen).tolist() == [False, False, True, True]


def test_a_date_that_is_still_to_come_ripens_no_label(usecase: UseCase) -> None:
    frame = loans([(0, 36, 36, "Fully Paid"), (20, 36, 9, "Current")])
    seen = maturity.observed_until(usecase, frame)
    frame.loc[1, "last_pymnt_d"] = pd.Timestamp("2091-01-01")
    assert maturity.observed_until(usecase, frame) == seen
    frame["recovery_d"] = frame["last_pymnt_d"]
    assert maturity.recoveries_until(usecase, frame) == seen


def test_failed_loans_without_a_date_are_told_and_all_of_them_refused(usecase: UseCase) -> None:
    frame = loans([(0, 36, 5, "Charged Off"), (0, 36, 9, "Charged Off"), (0, 36, 36, "Fully Paid")])
    frame["policy"] = "standard"
    assert "no date" not in " ".join(train_test.unused(usecase, frame, frame))
    frame.loc[0, "last_pymnt_d"] = pd.NaT
    assert "1 of 2 loans that failed have no date" in " ".join(
        train_test.unused(usecase, frame, frame)
    )
    frame["last_pymnt_d"] = frame["last_pymnt_d"].where(frame["loan_status"] == "Fully Paid")
    with pytest.raises(InputRefused, match="none of 2 loans that failed says when"):
        check_outcomes(usecase, frame.assign(total_rec_prncp=1000.0))


@pytest.mark.parametrize(("term", "history", "window"), [(84, 40, 24), (60, 40, 24), (84, 24, 12)])
def test_a_history_too_short_for_its_terms_is_told_which_window_would_do(
    usecase: UseCase, term: int, history: int, window: int
) -> None:
    rng, n = np.random.default_rng(5), 4000
    made, life = rng.integers(0, history, n), rng.geometric(0.02, n)
    bad = life + 4 <= history - made
    frame = loans(
        [
            (int(m), 200, int(min(k, history - m)), "Charged Off" if b else "Current")
            for m, k, b in zip(made, life, bad, strict=True)
        ]
    ).assign(term=float(term), policy="standard")
    with pytest.raises(InputRefused, match="have a known outcome: it is that of their first") as no:
        train_test.divided(usecase, frame, train_test.usable(usecase, frame))
    assert f"{term} months, and the oldest loan was seen for {history}" in no.value.what
    assert f"set loan.window_months: {window} in the use case" in no.value.do
    loan = maturity.loan_of(usecase).model_copy(update={"window_months": window})
    other = usecase.model_copy(update={"loan": loan})
    counted = train_test.divided(other, frame, train_test.usable(other, frame))
    assert f"then {counted['rows']:,} loans count" in no.value.do
    young = frame[frame["issue_d"] >= START + pd.DateOffset(months=history - 10)]
    with pytest.raises(InputRefused) as no:
        train_test.divided(usecase, young, train_test.usable(usecase, young))
    assert "not even loan.window_months: 12 would leave enough" in no.value.do


def test_the_calendar_counts_every_loan_once(usecase: UseCase) -> None:
    frame = loans([(0, 36, 10, "Charged Off"), (0, 36, 36, "Fully Paid"), (0, 60, 2, "Charged Off"),
                   (5, 36, 36, "Current")])  # fmt: skip
    table = maturity.calendar(usecase, frame, START + pd.DateOffset(months=45))
    assert table.loc["2008-01", ["loans", "mature", "immature", "bads"]].tolist() == [3, 2, 1, 1]
    assert table.loc["2008-01", "rate"] == 0.5
    assert table.loc["2008-01", "low"] < 0.5 < table.loc["2008-01", "high"]
    assert table.loc["2008-06", ["loans", "mature"]].tolist() == [1, 0]
    assert np.isnan(table.loc["2008-06", "rate"])


def test_the_book_at_a_date(usecase: UseCase) -> None:
    frame = loans(
        [
            (0, 36, 36, "Fully Paid"),  # live in month 10
            (0, 36, 5, "Fully Paid"),  # repaid early
            (0, 36, 8, "Charged Off"),  # missed two payments, in default from month 12
            (0, 36, 3, "Charged Off"),  # in default from month 7
            (12, 36, 36, "Fully Paid"),  # not issued yet
            (0, 36, 9, "Current"),
        ]
    )
    book = maturity.book_at(usecase, frame, START + pd.DateOffset(months=10))
    assert book.index.tolist() == [0, 2, 5]
    assert (book["months_on_book"] == 10).all()
    assert (book["months_left"] == 26).all()
    assert not set(book) & {"loan_status", "last_pymnt_d", "recoveries", "total_rec_prncp"}
    with pytest.raises(InputRefused, match="no loan is live on 2030"):
        maturity.book_at(usecase, frame, pd.Timestamp("2030-01-01"))


def test_what_was_owed_and_when_it_came_back(usecase: UseCase) -> None:
    rows = [(0, 36, 8, "Charged Off")] * 4
    frame = loans(rows).assign(total_rec_prncp=[100.0, 100.0, np.nan, 1500.0])
    np.testing.assert_array_equal(maturity.owed_at_default(usecase, frame), [900, 900, np.nan, 0])
    np.testing.assert_array_equal(maturity.recovery_months(usecase, frame), [12] * 4)
    day = START + pd.DateOffset(months=8 + 4)
    told = frame.assign(
        owed_at_default=[950.0, np.nan, 700.0, np.nan],
        recovery_d=[day + pd.DateOffset(months=5), pd.NaT, day, day - pd.DateOffset(months=2)],
    )
    np.testing.assert_array_equal(maturity.owed_at_default(usecase, told), [950, 900, 700, 0])
    np.testing.assert_array_equal(maturity.recovery_months(usecase, told), [5, 12, 0, 0])


def test_limits_of_lines_of_credit(usecase: UseCase) -> None:
    frame = loans([(0, 36, 9, "Current")] * 4)
    assert np.isnan(maturity.credit_limits(usecase, frame)).all()
    frame = frame.assign(product=["term", "revolving", "revolving", None])
    found = maturity.credit_limits(usecase, frame)
    np.testing.assert_array_equal(found, [np.nan, 1000, 1000, np.nan])
    frame = frame.assign(credit_limit=[700.0, 700.0, np.nan, 700.0])
    found = maturity.credit_limits(usecase, frame)
    np.testing.assert_array_equal(found, [np.nan, 700, 1000, np.nan])
    # A history doesn't say how far a line was drawn on a date in its midst.
    book = maturity.book_at(usecase, frame, START + pd.DateOffset(months=5))
    assert book["balance"].isna().tolist() == [False, True, True, False]


@given(
    amount=st.floats(1, 1e6),
    rate=st.floats(0, 0.5),
    term=st.integers(1, 120),
)
def test_the_schedule_repays_the_loan_payment_by_payment(
    amount: float, rate: float, term: int
) -> None:
    months = np.arange(term + 1)
    balance = maturity.schedule_balance(amount, rate, term, months)
    assert balance[0] == pytest.approx(amount)
    assert balance[-1] == pytest.approx(0, abs=1e-6 * amount)
    payments = balance[:-1] * (1 + rate / 12) - balance[1:]
    np.testing.assert_allclose(payments, payments[0], rtol=1e-6, atol=1e-9 * amount)


def test_other_use_cases_are_told(usecase: UseCase) -> None:
    other: Any = load_usecase("german_credit")
    with pytest.raises(InputRefused, match="isn't a loan book"):
        maturity.calendar(other, pd.DataFrame(), START)
