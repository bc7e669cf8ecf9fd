"""One loan, written as Lending Club has written it over the years, is one loan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskwright.data import maturity
from riskwright.data.contract import Contract
from riskwright.data.ingest import ingest
from riskwright.data.lending_club import canonical, canonical_chunks
from riskwright.data.train_test import split
from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.store import snapshots
from riskwright.systems.credit.case import load_usecase

NEW = {
    "id": "", "loan_amnt": "5000", "term": "36", "int_rate": "0.1065", "revol_util": "0.837",
    "issue_d": "2011-12-01", "earliest_cr_line": "1985-01-01", "emp_length": "10+ years",
    "loan_status": "Fully Paid", "desc": "for my daughter Ann", "last_pymnt_d": "2015-01-01",
}  # fmt: skip
OLD = NEW | {
    "term": " 36 months", "int_rate": " 10.65%", "revol_util": "83.7%", "issue_d": "Dec-2011",
    "earliest_cr_line": "Jan-1985", "last_pymnt_d": "Jan-2015",
}  # fmt: skip


def chunk(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows).astype("str").mask(lambda f: f == "")


def test_both_ways_of_writing_give_the_same_loan() -> None:
    new, old = canonical(chunk(NEW)), canonical(chunk(OLD))
    assert float(old["int_rate"][0]) == pytest.approx(0.1065)
    assert float(old["revol_util"][0]) == pytest.approx(0.837)
    for name in ("term", "issue_d", "earliest_cr_line", "emp_length", "credit_age", "last_pymnt_d"):
        assert str(new[name][0]) == str(old[name][0]), name
    assert new["credit_age"][0] == 323
    assert new["emp_length"][0] == "10"


def test_canonical_cells_stay_what_they_are() -> None:
    once = canonical(chunk(OLD))
    twice = canonical(once.copy())
    pd.testing.assert_frame_equal(once, twice)


def test_what_may_name_a_person_is_dropped() -> None:
    assert "desc" not in canonical(chunk(NEW))


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([NEW | {"int_rate": "10.65"}], "int_rate is 10.65 without a percent sign"),
        ([NEW | {"int_rate": "1.0"}], "int_rate is 1 without"),
        ([NEW, NEW | {"revol_util": "5.3"}], "revol_util is 5.3 without a percent sign"),
        ([NEW, OLD], "int_rate mixes percentages and plain numbers"),
        ([NEW | {"revol_util": "83.7%"}], "one column of rates has percent signs"),
    ],
)
def test_a_percent_is_never_taken_for_a_fraction(rows: list[dict[str, Any]], what: str) -> None:
    with pytest.raises(InputRefused, match=what):
        canonical(chunk(*rows))


@pytest.mark.parametrize("rows", [(NEW, OLD), (OLD, NEW), (OLD, NEW | {"revol_util": ""})])
def test_the_chunks_of_a_file_are_written_in_one_way(rows: tuple[dict[str, Any], ...]) -> None:
    chunks = canonical_chunks(map(chunk, rows))
    assert float(next(chunks)["int_rate"][0]) == pytest.approx(0.1065)
    with pytest.raises(InputRefused, match="int_rate mixes percentages and plain numbers"):
        next(chunks)
    assert len(list(canonical_chunks(map(chunk, (OLD, OLD))))) == 2


def test_numbers_in_their_own_type_are_fractions_or_refused() -> None:
    typed = pd.DataFrame({"int_rate": [0.1065, 0.08], "term": [36, 60]})
    assert canonical(typed)["term"].tolist() == ["36", "60"]
    with pytest.raises(InputRefused, match="int_rate is 10"):
        canonical(pd.DataFrame({"int_rate": [0.1065, 10.65]}))


@pytest.mark.parametrize(
    ("written", "status", "policy"),
    [
        ("Charged Off", "Charged Off", "standard"),
        ("Does not meet the credit policy. Status:Charged Off", "Charged Off", "exception"),
        ("Does not meet the credit policy.  Status:Fully Paid", None, "standard"),
        ("Default", "Charged Off", "standard"),
        ("Late (31-120 days)", "Late (31-120 days)", "standard"),
    ],
)
def test_statuses(written: str, status: str | None, policy: str) -> None:
    found = canonical(chunk(NEW | {"loan_status": written}))
    assert found["policy"][0] == policy
    assert found["loan_status"][0] == (written if status is None else status)


@pytest.mark.parametrize(
    ("written", "years"), [("< 1 year", "0"), ("1 year", "1"), ("7 years", "7"), ("n/a", None)]
)
def test_years_in_the_job(written: str, years: str | None) -> None:
    found = canonical(chunk(NEW | {"emp_length": written}))["emp_length"][0]
    assert found == years if years else pd.isna(found)


def test_ids_are_by_content() -> None:
    one, two, other = canonical(chunk(NEW, NEW, NEW | {"term": "60"}))["id"]
    assert one == two != other
    kept = canonical(chunk(NEW | {"id": "1077501"}))["id"]
    assert kept.tolist() == ["1077501"]
    # A book that lacks the outcomes names the same loan.
    assert canonical(chunk({k: v for k, v in NEW.items() if k != "loan_status"}))["id"][0] == one


def test_the_real_loans(shared_data: Path, home: Home) -> None:
    """The test part is that of the published yardsticks: issued from 2011-10, 16.4 % bad."""
    usecase = load_usecase("loan_book")
    assert len(set(usecase.feature_names) - {"product"}) == 25
    path = shared_data / "lending_club" / "lending_club_2007_2011.csv.gz"
    found = ingest(usecase, str(path), home)
    assert (found.report["rows"], found.report["refused"], found.report["bads"]) == (42535, 0, 6431)
    assert any(
        "2,749 loans are of another population than policy = stand" in w for w in found.warnings
    )
    train, test = (snapshots.read(part, home) for part in split(usecase, found.clean, home))
    assert set(train["policy"]) == set(test["policy"]) == {"standard"}
    all_loans = usecase.loan.model_copy(update={"population": None})
    usecase = usecase.model_copy(update={"loan": all_loans})
    train, test = (snapshots.read(part, home) for part in split(usecase, found.clean, home))
    assert len(test) == 6617
    assert test["issue_d"].min() == pd.Timestamp("2011-10-01")
    assert (test["loan_status"] == "Charged Off").mean() == pytest.approx(0.1644, abs=5e-5)
    assert train["id"].is_unique
    assert (train["policy"] == "exception").sum() == 2749
    assert train["int_rate"].between(0.05, 0.26).all()
    assert not {"desc", "emp_title", "out_prncp"} & set(train)
    # No lines of credit, no dates of recovery: what the loans owed follows from what they repaid.
    assert train[["product", "credit_limit", "recovery_d", "owed_at_default"]].isna().all().all()
    assert np.isnan(maturity.credit_limits(usecase, train)).all()
    assert (maturity.recovery_months(usecase, train) == 12).all()
    lent = (train["funded_amnt"] - train["total_rec_prncp"]).clip(lower=0)
    np.testing.assert_array_equal(maturity.owed_at_default(usecase, train), lent)


def test_a_joint_application_is_refused_with_its_reason(shared_data: Path) -> None:
    path = shared_data / "lending_club" / "lending_club_2007_2011.csv.gz"
    rows = pd.read_csv(path, nrows=20, dtype="str")
    rows.loc[3, "application_type"] = "JOINT"
    checked = Contract(load_usecase("loan_book"), "train").apply(canonical(rows))
    assert checked.refused["reason"].tolist() == [
        "application_type: unknown category 'Joint' (allowed Individual)"
    ]
