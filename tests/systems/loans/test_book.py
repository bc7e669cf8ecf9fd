"""The loans that are held on a date: what is read, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from riskwright.case.usecase import UseCase
from riskwright.data.loan_book import simulate_book
from riskwright.data.simulators import simulate
from riskwright.errors import InputRefused
from riskwright.systems.credit.case import load_usecase
from riskwright.systems.loans.book import read_book

Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def spec() -> UseCase:
    return load_usecase("loan_book")


@pytest.fixture(scope="module")
def live() -> pd.DataFrame:
    return simulate_book(300, 4)[0]


def written(frame: pd.DataFrame, folder: Path) -> str:
    path = folder / "book.csv"
    frame.to_csv(path, index=False)
    return str(path)


def test_a_snapshot_is_read_as_it_stands(spec: UseCase, live: pd.DataFrame, tmp_path: Path) -> None:
    book = read_book(spec, written(live, tmp_path))
    assert len(book.frame) == len(live)
    assert book.frame["balance"].to_numpy() == pytest.approx(live["balance"].to_numpy())
    assert book.as_of == pd.Timestamp("2016-01-01")
    assert (book.frame["months_left"] >= 1).all()
    assert (book.frame["days_past_due"] == 0).all()
    assert book.left_out == 0
    assert not len(book.quarantine)


def test_a_history_is_cut_at_the_date(spec: UseCase, tmp_path: Path) -> None:
    history = simulate("loan_book", 600, 2).frame
    book = read_book(spec, written(history, tmp_path), date(2014, 6, 1))
    assert (book.frame["issue_d"] <= "2014-06-01").all()
    assert "loan_status" not in book.frame
    assert any("schedule" in note for note in book.notes)


def test_a_row_that_the_model_cannot_read_is_told_with_what_it_owes(
    spec: UseCase, live: pd.DataFrame, tmp_path: Path
) -> None:
    spoilt = live.copy()
    spoilt.loc[2, "purpose"] = "moon landing"
    book = read_book(spec, written(spoilt, tmp_path))
    assert len(book.quarantine) == 1
    assert book.left_out == pytest.approx(live["balance"][2], rel=1e-6)
    assert len(book.frame) + len(book.quarantine) == len(live)


def test_amounts_in_another_currency_are_converted(
    spec: UseCase, live: pd.DataFrame, tmp_path: Path
) -> None:
    assert spec.loan is not None
    loan = spec.loan.model_copy(update={"rates": {"EUR": 1.1}})
    mixed = live.assign(currency=["EUR" if i % 2 else "USD" for i in range(len(live))])
    mixed.loc[1, "purpose"] = "moon landing"  # left out, with what it owes in dollars
    book = read_book(spec.model_copy(update={"loan": loan}), written(mixed, tmp_path))
    rate = mixed["currency"].map({"EUR": 1.1, "USD": 1.0})
    kept = book.frame.index
    for name in ("balance", "annual_inc", "loan_amnt", "credit_limit"):
        expected = (live[name] * rate).loc[kept].to_numpy()
        assert book.frame[name].to_numpy() == pytest.approx(expected, nan_ok=True)
    assert book.frame["dti"].to_numpy() == pytest.approx(live["dti"].loc[kept].to_numpy())
    assert book.left_out == pytest.approx(1.1 * live["balance"][1], rel=1e-6)


def test_a_loan_past_its_term_keeps_a_month_and_an_empty_one_is_left_out(
    spec: UseCase, live: pd.DataFrame, tmp_path: Path
) -> None:
    late = live.assign(maturity=pd.Timestamp("2030-01-01"))
    late.loc[0, "maturity"] = pd.Timestamp("2015-12-01")
    late.loc[0, "issue_d"] = pd.Timestamp("2012-01-01")
    late.loc[1, "balance"] = 0
    book = read_book(spec, written(late, tmp_path))
    assert book.frame["months_left"].iloc[0] == 1
    assert len(book.frame) == len(live) - 1
    assert len(book.notes) == 2


def cell(column: str, value: object) -> Change:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{column: [value, *frame.get(column, frame["id"]).iloc[1:]]})

    return change


def all_of(column: str, value: object) -> Change:
    return lambda frame: frame.assign(**{column: value})


def times(column: str, factor: float, part: float = 1.0) -> Change:
    """Write the first ``part`` of a column in another unit."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        factors = np.where(np.arange(len(frame)) < part * len(frame), factor, 1.0)
        return frame.assign(**{column: frame[column] * factors})

    return change


BAD: list[tuple[str, Change, str]] = [
    ("balances in cents", times("balance", 100), "aren't in one unit"),
    ("balances in thousands", times("balance", 0.001), "of what the schedule leaves"),
    ("some balances in cents", times("balance", 100, 0.1), "aren't in one unit"),
    ("some balances in thousands", times("balance", 0.001, 0.2), "0.02 of what the schedule"),
    ("balances in another currency", times("balance", 7), "half of the loans owe more than"),
    ("amounts in cents", times("funded_amnt", 100), "of what the schedule leaves"),
    ("amounts in thousands", times("funded_amnt", 0.001), "aren't in one unit"),
    ("late by a status that nobody explains", all_of("loan_status", "In Grace Period"),
     "is called|are called 'In Grace Period', and how many days they are late isn't said"),
    ("a negative balance", cell("balance", -5.0), "balance -5.0 is no amount"),
    ("a balance that is no number", cell("balance", "much"), "balance much is not a number"),
    ("a balance that is missing", cell("balance", None), "is no amount"),
    ("maturity before issue", all_of("maturity", "2010-01-01"), "the maturity 2010-01-01 lies"),
    ("outcome before issue", all_of("default_date", "2010-01-01"), "lies before the loan's issue"),
    ("issued later", cell("issue_d", "2019-01-01"), "is after the book's date"),
    ("a PD above 1", all_of("pd_at_origination", 5.0), "pd_at_origination 5.0 is no probability"),
    ("an LGD below 0", all_of("lgd_assessed", -0.1), "lgd_assessed -0.1 is no probability"),
    ("an unknown currency", all_of("currency", "XYZ"), "the currency 'XYZ' has no rate to USD"),
    ("a loan twice", lambda f: pd.concat([f, f.head(1)]), "is there twice"),
    ("no live loan", all_of("balance", 0.0), "no live loan"),
    ("a term that is missing", cell("term", None), "term nan is missing"),
    ("a rate that is missing", cell("int_rate", None), "int_rate nan is missing"),
    ("a date of issue that is missing", cell("issue_d", None), "issue_d NaT is missing"),
    ("an age below 0", all_of("months_on_book", -5), "months_on_book -5.0 is negative"),
    ("arrears below 0", all_of("days_past_due", -3), "days_past_due -3.0 is negative"),
    ("charged off, yet performing", all_of("loan_status", "Charged Off"), "as if it were perf"),
    ("two dates", cell("as_of", "2015-01-01"), "the book has 2 dates"),
    ("unknown categories", all_of("purpose", "moon"), "break the contract"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "told"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_books_are_refused(
    spec: UseCase, live: pd.DataFrame, tmp_path: Path, change: Change, told: str
) -> None:
    assert spec.loan is not None
    spec = spec.model_copy(update={"loan": spec.loan.model_copy(update={"arrears": {}})})
    with pytest.raises(InputRefused, match=told) as refused:
        read_book(spec, written(change(live), tmp_path))
    assert refused.value.exit_code == 2
    assert refused.value.expected


def test_a_known_default_is_impaired(spec: UseCase, live: pd.DataFrame, tmp_path: Path) -> None:
    failed = live.assign(default_date=pd.Timestamp("2016-01-01"), loan_status="Charged Off")
    book = read_book(spec, written(failed, tmp_path))
    assert (book.frame["days_past_due"] == 90).all()
    late = live.assign(days_past_due=45)
    assert any("in arrears" in n for n in read_book(spec, written(late, tmp_path)).notes)


def test_days_past_due_come_from_the_status_where_the_file_is_silent(
    spec: UseCase, live: pd.DataFrame, tmp_path: Path
) -> None:
    status = np.resize(["Current", "In Grace Period", "Late (16-30 days)", "Late (31-120 days)"],
                       len(live))  # fmt: skip
    book = read_book(spec, written(live.assign(loan_status=status), tmp_path))
    found = book.frame["days_past_due"].to_numpy()
    assert found[:4].tolist() == [0, 1, 16, 31]
    late = int((found > 0).sum())
    assert book.notes[0].startswith(f"{late:,} loans are late by their status")
    said = live.assign(loan_status=status, days_past_due=40.0)
    book = read_book(spec, written(said, tmp_path))
    assert (book.frame["days_past_due"] == 40).all()
    assert not any("by their status" in n for n in book.notes)


@pytest.mark.parametrize("zone", [None, "+02:00", "-08:00", "Z", "Europe/Berlin"])
def test_the_zone_of_a_date_moves_no_loan_a_month(
    spec: UseCase, live: pd.DataFrame, tmp_path: Path, zone: str | None
) -> None:
    first = live.assign(
        issue_d=live["issue_d"].dt.to_period("M").dt.to_timestamp(),
        as_of=pd.Timestamp("2016-01-01"),
    ).drop(columns=["months_on_book", "months_left"])
    plain = read_book(spec, written(first, tmp_path)).frame
    path = tmp_path / "zoned.parquet"
    if zone == "Europe/Berlin":
        for name in ("issue_d", "as_of"):
            first[name] = first[name].dt.tz_localize(zone)
    elif zone is not None:
        for name in ("issue_d", "as_of"):
            first[name] = first[name].dt.strftime(f"%Y-%m-%dT00:00:00{zone}")
    first.to_parquet(path, index=False)
    book = read_book(spec, str(path))
    assert book.as_of == pd.Timestamp("2016-01-01")
    pd.testing.assert_frame_equal(book.frame, plain)


def test_another_date_than_the_files_is_refused(
    spec: UseCase, live: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(InputRefused, match="--as-of says 2020-01-01, the file 2016-01-01"):
        read_book(spec, written(live, tmp_path), date(2020, 1, 1))
    undated = live.drop(columns=["as_of", "months_on_book", "months_left"])
    book = read_book(spec, written(undated, tmp_path), date(2016, 1, 1))
    assert book.frame["months_on_book"].tolist() == live["months_on_book"].tolist()


def test_a_history_needs_a_date_and_its_outcomes(spec: UseCase, tmp_path: Path) -> None:
    history = simulate("loan_book", 300, 2).frame
    with pytest.raises(InputRefused, match="needs a date"):
        read_book(spec, written(history, tmp_path))
    with pytest.raises(InputRefused, match="neither what the loans owe"):
        read_book(spec, written(history.drop(columns=["recoveries"]), tmp_path), date(2014, 1, 1))
    backwards = history.assign(last_pymnt_d=pd.Timestamp("2011-01-01"))
    with pytest.raises(InputRefused, match="the last payment 2011-01-01 lies before"):
        read_book(spec, written(backwards, tmp_path), date(2014, 1, 1))
    twice = pd.concat([history, history.head(1)])
    with pytest.raises(InputRefused, match="there twice"):
        read_book(spec, written(twice, tmp_path), date(2014, 1, 1))
    with pytest.raises(InputRefused, match="no loan is live"):
        read_book(spec, written(history, tmp_path), date(1999, 1, 1))


def test_a_use_case_without_loans_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="isn't a loan book"):
        read_book(load_usecase("german_credit"), str(tmp_path / "no.csv"))
