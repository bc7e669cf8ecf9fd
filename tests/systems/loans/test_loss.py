"""What a live loan owes if it fails, now and in each month ahead, against the simulator's truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwright.data.loan_book import simulate_book
from riskwright.data.loan_truth import CCF
from riskwright.data.losses import known_losses
from riskwright.data.simulators import simulate
from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.store import snapshots
from riskwright.systems.credit.case import load_usecase
from riskwright.systems.loans.exposure import Exposure
from riskwright.systems.loans.loss import (
    fit_loss,
    lgd_of,
    owed_later,
    owed_now,
    owed_within_the_year,
)
from riskwright.systems.loans.loss_bundle import LossBundle

USECASE = load_usecase("loan_book")
TRUE = Exposure(1.0, 0.0, ccf=CCF[0], ccf_error=0.0, used=0.7)
GRACE = 4


def loans(**columns: object) -> pd.DataFrame:
    plain: dict[str, object] = {"funded_amnt": 1000.0, "int_rate": 0.12, "term": 36.0}
    return pd.DataFrame({**plain, **columns}, index=[7])


def test_a_live_book_owes_what_the_truth_says_in_every_month() -> None:
    """But for arrears that a balance doesn't show: no instalment loan owes more than today."""
    book, truth = simulate_book(4000, 3)
    assert book["product"].value_counts()["revolving"] > 200
    age = book["months_on_book"].to_numpy(dtype=int)
    found = owed_later(USECASE, TRUE, book, 60)
    ahead = truth.ahead(age, 60)
    line = (book["product"] == "revolving").to_numpy()
    most = np.where(line, np.inf, book["balance"])
    checked = 0
    for j in range(60):
        last = age + j + 1 - GRACE  # so that the default is in month j + 1
        may = (last >= 0) & (last < 60)
        may[may] = ahead[np.flatnonzero(may), last[may]] > 0
        wanted = np.minimum(truth.owed(last), most)[may]
        np.testing.assert_allclose(found[may, j], wanted, rtol=1e-9)
        checked += may.sum()
    assert checked == (ahead > 0).sum()
    over = np.arange(1, 61)[None, :] > (book["term"].to_numpy() - age)[:, None]
    assert (found[over] == 0).all()
    assert (found[~over & (np.arange(60) < 30)] > 0).all()


def test_what_a_loan_owes_today_is_its_balance_and_a_line_may_draw_the_rest() -> None:
    book, truth = simulate_book(2000, 4)
    now = owed_now(USECASE, TRUE, book)
    line = (book["product"] == "revolving").to_numpy()
    np.testing.assert_allclose(now[~line], book["balance"][~line])
    np.testing.assert_allclose(now[line], truth.owed(0)[line])
    # Without a balance the schedule tells, and of a line the usual use of limits.
    bare = owed_now(USECASE, TRUE, book.drop(columns="balance"))
    np.testing.assert_allclose(bare[~line], now[~line])
    np.testing.assert_allclose(bare[line], 0.7 * book["credit_limit"][line])
    new = owed_now(USECASE, TRUE, book[["funded_amnt", "int_rate", "term"]])
    np.testing.assert_allclose(new, book["funded_amnt"])


@given(
    age=st.integers(0, 35),
    rate=st.floats(0.0, 0.4),
    behind=st.floats(0.3, 1.0),
    months=st.integers(1, 48),
)
def test_a_loan_owes_less_and_less_and_never_more_than_today(
    age: int, rate: float, behind: float, months: int
) -> None:
    balance = behind * 1000.0
    book = loans(int_rate=rate, months_on_book=float(age), balance=balance)
    found = owed_later(USECASE, TRUE, book, months)[0]
    assert found.shape == (months,)
    live = np.arange(1, months + 1) <= 36 - age
    assert (found[~live] == 0).all()
    assert (np.diff(found[live]) <= 1e-9).all()
    assert (found <= balance * (1 + 1e-12)).all()
    if live.sum() >= GRACE:  # then the last payment is today's
        assert found[GRACE - 1] == pytest.approx(balance)


@pytest.mark.parametrize(
    ("columns", "wanted"),
    [
        # Past its term, with a month left: it owes what it owes.
        ({"months_on_book": 40.0, "months_left": 1.0, "balance": 90.0}, [90, 0, 0]),
        # Prolonged: by the schedule of the life that is left.
        ({"months_on_book": 36.0, "months_left": 6.0, "balance": 600.0, "int_rate": 0.0},
         [600, 600, 600, 600, 500, 400, 0]),
        # A new loan: nothing is paid in the first months of one that soon fails.
        ({"int_rate": 0.0, "term": 10.0}, [1000, 1000, 1000, 1000, 900]),
        # More is drawn than the limit allows.
        ({"product": "revolving", "credit_limit": 500.0, "months_on_book": 34.0, "balance": 600.0},
         [600, 600, 0]),
        # A line without a stated limit: what was lent.
        ({"product": "revolving", "months_on_book": 34.0, "balance": 600.0}, [820, 820, 0]),
        ({"product": None, "credit_limit": 500.0, "int_rate": 0.0, "term": 10.0}, [1000]),
    ],
)  # fmt: skip
def test_loans_that_do_not_run_to_plan(columns: dict[str, object], wanted: list[float]) -> None:
    found = owed_later(USECASE, TRUE, loans(**columns), len(wanted))
    np.testing.assert_allclose(found[0], wanted)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    folder = tmp_path_factory.mktemp("loss")
    home = Home(folder / "home").create()
    spec = USECASE.model_copy(update={"families": {"logistic": USECASE.families["logistic"]}})
    train = snapshots.write(simulate("loan_book", 9000, 2).frame, home, kind="train")
    return fit_loss(spec, home, train=train.hash, seed=0, folder=folder / "fit"), folder


def test_the_bundles_find_the_truth(learnt: tuple[dict, Path], tmp_path: Path) -> None:
    told, folder = learnt
    book, truth = simulate_book(3000, 8)
    for model, constant in (("ead", False), ("lgd", True)):
        digest = LossBundle.write(tmp_path / model, USECASE, model, folder / "fit", 3, constant)
        assert LossBundle.load(tmp_path / model, digest).digest == digest
    ead, lgd = LossBundle.load(tmp_path / "ead"), LossBundle.load(tmp_path / "lgd")
    assert abs(ead.fitted.ccf - CCF[0]) < 4 * ead.fitted.ccf_error < 0.15
    assert ead.fitted.ratio == pytest.approx(1, abs=1e-4)
    assert 0 < ead.relative_error < 0.02
    assert abs(lgd.score(book).mean() - truth.lgd.mean()) < 4 * lgd.relative_error
    assert told.lgd_weights == {"linear": 1.0}
    # By month of the last payment in the truth, by month of the default in the profile.
    age = book["months_on_book"].to_numpy(dtype=int)
    last = age[:, None] + np.arange(1, 13) - GRACE
    p = np.where(last < 0, 0, np.take_along_axis(truth.ahead(age), np.maximum(last, 0), axis=1))
    expected = (p * ead.profile(book, 12)).sum(axis=1) * lgd.score(book)
    assert expected.sum() == pytest.approx(truth.loss_within(age).sum(), rel=0.03)
    with pytest.raises(TypeError, match="lgd"):
        lgd.profile(book, 12)


def test_a_raw_book_is_scored_by_its_balances(learnt: tuple[dict, Path], tmp_path: Path) -> None:
    _, folder = learnt
    book, _ = simulate_book(300, 8)
    LossBundle.write(tmp_path / "ead", USECASE, "ead", folder / "fit", 3, False)
    bundle = LossBundle.load(tmp_path / "ead")
    raw = book.astype({"balance": "str", "months_on_book": "str"})
    raw.loc[4, "grade"] = "Z"
    scored = bundle.predict(raw)
    assert scored["ead"].isna().tolist() == [i == 4 for i in range(len(book))]
    np.testing.assert_allclose(scored["ead"].drop(4), np.delete(bundle.score(book), 4), rtol=1e-12)


def test_recoveries_are_discounted_by_their_dates() -> None:
    frame = simulate("loan_book", 4000, 2).frame
    frame = frame[frame["loan_status"] == "Charged Off"]
    dated = lgd_of(USECASE, frame)
    stated = lgd_of(USECASE, frame.assign(recovery_d=pd.NaT))
    years = (
        (frame["recovery_d"] - frame["last_pymnt_d"].fillna(frame["issue_d"])).dt.days / 365.25
    ) - GRACE / 12
    back = (frame["recoveries"] - frame["collection_recovery_fee"]) / frame["owed_at_default"]
    np.testing.assert_allclose(dated, 1 - back * (1 + frame["int_rate"]) ** -years, atol=2e-3)
    np.testing.assert_allclose(stated, 1 - back / (1 + frame["int_rate"]), atol=1e-9)


def failures() -> pd.DataFrame:
    """Six failed loans and a good one of January 2008, last paid in their eighth month."""
    frame = pd.DataFrame(
        {
            "issue_d": pd.Timestamp("2008-01-01"),
            "last_pymnt_d": pd.Timestamp("2008-09-01"),
            "loan_status": ["Charged Off"] * 6 + ["Fully Paid"],
            "term": 36.0,
            "funded_amnt": 1000.0,
            "int_rate": 0.12,
            "total_rec_prncp": 300.0,
            "recoveries": 100.0,
            "collection_recovery_fee": 10.0,
        }
    )
    frame.loc[1, "total_rec_prncp"] = np.nan
    frame.loc[2, "total_rec_prncp"] = 1000.0
    frame.loc[3, "recoveries"] = np.nan
    frame.loc[4, "collection_recovery_fee"] = np.nan
    frame.loc[5, "last_pymnt_d"] = pd.Timestamp("2009-09-01")
    return frame


def test_failed_loans_without_a_known_loss_are_left_out_by_reason() -> None:
    # In default four months after the last payment; recoveries take a year from there.
    known, left_out = known_losses(USECASE, failures(), pd.Timestamp("2010-01-01"))
    assert known.tolist() == [True] + [False] * 6
    assert left_out == {
        "what they owed is unknown": 1,
        "they owed nothing": 1,
        "recoveries is blank": 1,
        "collection_recovery_fee is blank": 1,
        "recoveries were seen for less than 12 months after the default": 1,
    }
    later, _ = known_losses(USECASE, failures(), pd.Timestamp("2011-01-01"))
    assert later.tolist() == [True] + [False] * 4 + [True, False]
    # By default up to the frame's own last date: a year too early, unless recoveries came later.
    assert not known_losses(USECASE, failures())[0].any()
    dated = failures().assign(recovery_d=pd.NaT)
    dated.loc[0, "recovery_d"] = pd.Timestamp("2010-02-01")
    assert known_losses(USECASE, dated)[0].tolist() == known.tolist()


def test_a_blank_recovery_does_not_stop_training(home: Home, tmp_path: Path) -> None:
    spec = USECASE.model_copy(update={"families": {"logistic": USECASE.families["logistic"]}})
    frame = simulate("loan_book", 3000, 2).frame
    hit = frame.index[frame["loan_status"] == "Charged Off"][:2]
    frame.loc[hit[0], "recoveries"] = np.nan
    frame.loc[hit[1], ["owed_at_default", "total_rec_prncp"]] = np.nan
    train = snapshots.write(frame, home, kind="train")
    told = fit_loss(spec, home, train=train.hash, seed=0, folder=tmp_path / "fit")
    assert told.left_out["recoveries is blank"] == 1
    assert told.left_out["what they owed is unknown"] == 1
    assert (
        told.failed + sum(told.left_out.values()) == (frame["loan_status"] == "Charged Off").sum()
    )
    # Seen up to a date on which hardly any recovery was over, there is nothing to learn from.
    early = frame.assign(recovery_d=pd.NaT)
    early["last_pymnt_d"] = early["issue_d"].max()
    short = snapshots.write(early, home, kind="train")
    with pytest.raises(InputRefused, match="failed and owed") as caught:
        fit_loss(spec, home, train=short.hash, seed=0, folder=tmp_path / "none")
    assert "less than 12 months after the default" in str(caught.value.where)


def test_what_is_owed_is_foretold_without_the_month_of_the_default() -> None:
    frame = failures().assign(int_rate=0.0, term=[36.0] * 6 + [10.0]).iloc[[0, 5, 6]]
    # In default in months 12, 24 and (good: repaid in) 8: seen from months 0, 12 and 0.
    paid = [np.maximum(np.arange(1, 13) - GRACE, 0), np.arange(13, 25) - GRACE]
    short = np.maximum(np.arange(1, 11) - GRACE, 0)
    wanted = [*(1000 * (1 - p / 36).mean() for p in paid), 1000 * (1 - short / 10).mean()]
    np.testing.assert_allclose(owed_within_the_year(USECASE, TRUE, frame), wanted)
    last = np.zeros((3, 12))
    last[:, 9] = 1
    found = owed_within_the_year(USECASE, TRUE, frame, last)
    np.testing.assert_allclose(found, [1000 * (1 - p / 36) for p in (6, 18)] + [400])


def test_the_error_of_the_exposure_holds_how_far_newer_loans_were_off(
    home: Home, tmp_path: Path
) -> None:
    spec = USECASE.model_copy(update={"families": {"logistic": USECASE.families["logistic"]}})
    frame = simulate("loan_book", 6000, 2).frame
    newer = frame["issue_d"] > frame["issue_d"].median()
    frame.loc[newer, "owed_at_default"] *= 0.8  # the newer half pays ahead of its schedule
    train = snapshots.write(frame, home, kind="train")
    fit_loss(spec, home, train=train.hash, seed=0, folder=tmp_path / "fit")
    found = Exposure.load(tmp_path / "fit" / "ead.json")
    assert found.relative_error == pytest.approx(1 / 0.8 - 1, rel=0.2)
    assert found.error < 0.02


def test_too_few_failed_loans(home: Home, tmp_path: Path) -> None:
    frame = simulate("loan_book", 150, 2).frame
    train = snapshots.write(frame, home, kind="train")
    with pytest.raises(InputRefused, match="loans of the training part failed"):
        fit_loss(USECASE, home, train=train.hash, seed=0, folder=tmp_path / "fit")
