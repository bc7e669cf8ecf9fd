"""A history of loans at a date: nothing of what came later, and no label before its time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from riskwright.case.usecase import UseCase
from riskwright.data import maturity
from riskwright.errors import InputRefused
from riskwright.systems.credit.case import load_usecase
from riskwright.systems.credit.history import (
    as_known,
    cut,
    day_of,
    defaults_by,
    labels_in_time,
    mature_labels,
    seen_until,
)
from riskwright.systems.credit.labels import Labels, read_labels, words

USECASE = load_usecase("loan_book")
START = pd.Timestamp("2010-01-01")
BAD, GOOD, OPEN = "Charged Off", "Fully Paid", "Current"


def month(number: int) -> pd.Timestamp:
    return START + pd.DateOffset(months=number)


def loans(rows: list[tuple[int, int, int | None, str]]) -> pd.DataFrame:
    """Month of issue, term, months to the last payment (None: never paid), status."""
    return pd.DataFrame(
        {
            "issue_d": [month(m) for m, *_ in rows],
            "term": [float(t) for _, t, _, _ in rows],
            "last_pymnt_d": pd.Series(
                [pd.NaT if p is None else month(m + p) for m, _, p, _ in rows],
                dtype="datetime64[us]",
            ),
            "loan_status": pd.Series([s for *_, s in rows], dtype="str"),
        }
    )


@pytest.mark.parametrize(
    ("loan", "at", "seen", "default"),
    [
        ((0, 36, 5, BAD), 8, 8, False),  # three months late
        ((0, 36, 5, BAD), 9, 9, True),  # four: in default
        ((0, 36, None, BAD), 4, 4, True),  # never paid
        ((0, 36, 5, BAD), 39, 35, True),
        ((0, 36, 34, BAD), 37, 35, False),  # its term is over, the grace is not
        ((0, 36, 34, BAD), 40, 36, True),
        ((0, 36, 39, BAD), 41, 36, False),  # it paid on after its term
        ((0, 36, 36, GOOD), 60, 36, False),
        ((0, 36, 5, OPEN), 20, 20, False),  # late perhaps, but nobody says that it failed
        ((3, 60, 2, BAD), 9, 6, True),
    ],
)
def test_how_far_a_loan_is_seen_and_whether_it_is_in_default(
    loan: tuple[int, int, int | None, str], at: int, seen: int, default: bool
) -> None:
    found = defaults_by(USECASE, loans([loan]), month(at))
    assert (found[0].tolist(), found[1].tolist()) == ([seen], [default])


ROWS = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.sampled_from([36, 60]),
        st.one_of(st.none(), st.integers(0, 64)),
        st.sampled_from([BAD, GOOD, OPEN]),
    ),
    min_size=1,
    max_size=30,
)


@drawn(rows=ROWS, at=st.integers(0, 110), later=st.integers(0, 40))
def test_a_default_once_seen_stays_one(
    rows: list[tuple[int, int, int | None, str]], at: int, later: int
) -> None:
    frame = loans([r for r in rows if r[0] <= at] or rows[:1])
    first, second = (defaults_by(USECASE, frame, month(m))[1] for m in (at, at + later))
    assert (second | ~first).all()


@drawn(rows=ROWS, at=st.integers(0, 110))
def test_what_is_known_is_known_without_the_future(
    rows: list[tuple[int, int, int | None, str]], at: int
) -> None:
    """Endings after the day, whatever they are, change nothing of what is seen on it."""
    frame = loans(rows)
    known = as_known(USECASE, frame, month(at))
    later = (frame["last_pymnt_d"] > month(at)).to_numpy()
    other = frame.assign(
        loan_status=frame["loan_status"].mask(later, OPEN),
        last_pymnt_d=frame["last_pymnt_d"].mask(later),
    )
    again = as_known(USECASE, other, month(at))
    assert known["last_pymnt_d"].equals(again["last_pymnt_d"])
    for status in (BAD, GOOD):
        assert ((known["loan_status"] == status) == (again["loan_status"] == status)).all()
    # Not over on the day: open, which a long loan's label may rest on.
    assert not known.loc[later, "loan_status"].isin([BAD, GOOD]).any()


def raw(frame: pd.DataFrame) -> pd.DataFrame:
    """As a file would hold it."""
    text = frame.assign(
        issue_d=frame["issue_d"].dt.strftime("%Y-%m-%d"),
        last_pymnt_d=frame["last_pymnt_d"].dt.strftime("%Y-%m-%d"),
    ).astype("str")
    return text.rename_axis("row")


def test_a_file_is_cut_at_the_date() -> None:
    frame = raw(loans([(0, 36, 5, BAD), (14, 36, 9, GOOD), (25, 36, 2, BAD), (26, 36, 1, GOOD)]))
    frame.loc[1, "issue_d"] = "some day"
    found = cut(USECASE, frame, month(25), "x.csv")
    assert found.raw.index.tolist() == [0, 1, 2]
    assert found.recent.index.tolist() == [1, 2]  # what can't be read is looked at
    assert (found.since, found.until, found.later) == (month(25), month(25), 1)
    assert found.seen == month(25)
    after = cut(USECASE, frame, pd.Timestamp("2099-01-01"), "x.csv")
    assert after.seen == month(27)  # nothing is known beyond the last payment
    assert after.later == 0


def test_the_window_is_twelve_months_of_issue() -> None:
    frame = raw(loans([(m, 36, 1, GOOD) for m in range(30)]))
    found = cut(USECASE, frame, pd.Timestamp("2012-03-15"), "x.csv")
    assert (found.since, found.until) == (month(15), month(26))
    assert len(found.recent) == 12


def test_the_window_holds_the_population_that_is_trained_on() -> None:
    frame = raw(loans([(m, 36, 1, GOOD) for m in range(4)]))
    frame["policy"] = ["standard", "exception", "?", "standard"]
    found = cut(USECASE, frame, month(9), "x.csv")
    assert found.recent.index.tolist() == [0, 2, 3]
    assert len(found.raw) == 4


def test_labels_are_the_mature_ones() -> None:
    rows = [
        (0, 36, 5, BAD),
        (0, 36, 36, GOOD),
        (20, 36, 5, BAD),
        (0, 36, 41, BAD),
        (0, 36, 9, OPEN),
    ]
    frame, accepted = raw(loans(rows)), loans(rows).drop(columns=["last_pymnt_d", "loan_status"])
    found = mature_labels(USECASE, frame, accepted, month(40))
    assert found is not None
    np.testing.assert_array_equal(found.y, [1, 0, np.nan, np.nan, np.nan])
    told = {name: found.counts[name] for name in ("bad", "good", "open", "immature")}
    assert told == {"bad": 1, "good": 1, "open": 1, "immature": 2}
    unknown = frame.assign(loan_status=frame["loan_status"].mask(frame.index == 0, "Written off"))
    counts = mature_labels(USECASE, unknown, accepted, month(40)).counts  # type: ignore[union-attr]
    assert counts["undeclared"] == {"Written off": 1}
    undated = mature_labels(USECASE, frame.drop(columns="last_pymnt_d"), accepted, month(40))
    assert undated is not None
    assert np.isnan(undated.y).all()
    assert undated.counts["undated"] == 4
    assert "4 of loans of which it isn't said when they were last paid" in words(undated)
    assert mature_labels(USECASE, frame, accepted[["issue_d"]], month(40)) is None


def within(months: int | None) -> UseCase:
    held = maturity.loan_of(USECASE).model_copy(update={"window_months": months})
    return USECASE.model_copy(update={"loan": held})


def given(
    folder: Path, usecase: UseCase, rows: list[tuple[int, int, int | None, str]], dated: bool = True
) -> Labels:
    """Labels of loans from a file of ids and outcomes, with or without the last payment."""
    ids = pd.Series([f"L{i}" for i in range(len(rows))], dtype="str")
    batch = loans(rows).drop(columns=["last_pymnt_d", "loan_status"]).assign(id=ids)
    file = raw(loans(rows))[["loan_status", *(["last_pymnt_d"] * dated)]].assign(id=ids)
    path = folder / "labels.csv"
    file.replace("nan", "").to_csv(path, index=False)
    cells = batch.astype("str").rename_axis("row")
    labels = read_labels(usecase, cells, batch, str(path))
    assert labels is not None
    return labels_in_time(usecase, cells, batch, labels, str(path))


LABELLED: list[tuple[int, int, int | None, str]] = [
    (0, 36, 5, BAD),
    (0, 36, 20, BAD),  # a default, but not within a year
    (0, 36, 36, GOOD),
    (0, 36, 38, OPEN),
    (30, 36, 4, BAD),  # the others of its month aren't known yet
    (0, 12, 9, BAD),
]


def test_a_label_in_a_file_is_of_the_months_that_the_pd_is_about(tmp_path: Path) -> None:
    found = given(tmp_path, within(12), LABELLED)
    np.testing.assert_array_equal(found.y, [1, 0, 0, 0, np.nan, 1])
    assert found.excluded is not None
    assert found.excluded.tolist() == [False, False, False, False, True, False]
    told = {name: found.counts[name] for name in ("bad", "good", "open", "immature")}
    assert told == {"bad": 2, "good": 3, "open": 1, "immature": 1}


def test_a_label_without_a_date_counts_only_where_any_month_does(tmp_path: Path) -> None:
    found = given(tmp_path, within(12), LABELLED, dated=False)
    np.testing.assert_array_equal(found.y, [np.nan] * 5 + [1])
    assert found.counts["undated"] == 4
    whole = given(tmp_path, within(None), LABELLED, dated=False)
    np.testing.assert_array_equal(whole.y, [1, 1, 0, np.nan, 1, 1])
    with pytest.raises(InputRefused, match="within 12 months, and a label may be of a later one"):
        given(tmp_path, within(12), LABELLED[:5], dated=False)


@pytest.mark.parametrize("text", ["", "yesterday", "2016-13-01", "nat", "2016"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(InputRefused, match="is not a date"):
        day_of(text)
    assert day_of(" 2016-06-01 ") == pd.Timestamp("2016-06-01")


def test_a_date_without_loans_is_refused() -> None:
    frame: Any = raw(loans([(0, 36, 5, BAD)]))
    with pytest.raises(InputRefused, match="no loan was issued by 2009") as told:
        cut(USECASE, frame, pd.Timestamp("2009-12-31"), "x.csv")
    assert "first issue 2010-01-01" in told.value.where
    with pytest.raises(InputRefused, match="no loan was issued") as told:
        cut(USECASE, frame.assign(issue_d="?"), pd.Timestamp("2020-01-01"), "x.csv")
    assert "holds no date" in told.value.where
    with pytest.raises(InputRefused, match="'issue_d' is absent"):
        cut(USECASE, frame.drop(columns="issue_d"), pd.Timestamp("2020-01-01"), "x.csv")
    with pytest.raises(InputRefused, match="isn't a loan book"):
        cut(load_usecase("german_credit"), frame, pd.Timestamp("2020-01-01"), "x.csv")


LATE: list[tuple[int, int, int | None, str]] = [(0, 36, 20, BAD)] * 4 + [(0, 36, 36, GOOD)] * 6


def labelled(folder: Path, change: Any, window: int | None = 12) -> Labels:
    """Labels of ten loans, none of which failed within a year, after ``change`` of their dates."""
    usecase, file = within(window), raw(loans(LATE)).replace("nan", "")
    ids = pd.Series([f"L{i}" for i in range(len(LATE))], dtype="str")
    batch = loans(LATE).drop(columns=["last_pymnt_d", "loan_status"]).assign(id=ids)
    file = file[["loan_status"]].assign(id=ids, last_pymnt_d=change(file["last_pymnt_d"]))
    path = folder / "labels.csv"
    file.to_csv(path, index=False)
    cells = batch.astype("str").rename_axis("row")
    found = read_labels(usecase, cells, batch, str(path))
    assert found is not None
    return labels_in_time(usecase, cells, batch, found, str(path))


@pytest.mark.parametrize(
    ("change", "words_"),
    [
        (lambda d: pd.to_datetime(d).dt.strftime("%d/%m/%Y"), "10 dates .* can't be read"),
        (lambda d: d.mask(d.index == 9, "2091-01-01"), "1 dates .* later than today"),
        (lambda d: d.mask(d.index >= 0, ""), "the labels don't say when loans failed"),
    ],
)
def test_labels_whose_dates_are_none_are_refused(tmp_path: Path, change: Any, words_: str) -> None:
    assert labelled(tmp_path, lambda d: d).y.tolist() == [0.0] * 10
    with pytest.raises(InputRefused, match=words_):
        labelled(tmp_path, change)


def test_a_loan_without_a_date_is_neither_bad_nor_good_where_the_month_counts(
    tmp_path: Path,
) -> None:
    found = labelled(tmp_path, lambda d: d.mask(d.index.isin([0, 9]), ""))
    np.testing.assert_array_equal(found.y, [np.nan] + [0] * 8 + [np.nan])
    assert found.excluded is not None
    assert np.flatnonzero(found.excluded).tolist() == [0, 9]
    assert (found.counts["undated"], found.counts["immature"]) == (2, 0)


def test_a_loan_without_a_date_counts_where_any_month_does() -> None:
    file, accepted = raw(loans(LATE)).replace("nan", ""), loans(LATE)
    file.loc[[0, 9], "last_pymnt_d"] = ""
    found = mature_labels(within(None), file, accepted, month(40))
    assert found is not None
    assert found.y.tolist() == [1] * 4 + [0] * 6
    history = cut(within(None), file, month(40), "x.csv")
    then = mature_labels(within(None), file, accepted, month(40), history)
    assert then is not None  # on a day in the past nobody can tell whether it was repaid by then
    np.testing.assert_array_equal(then.y, [1] * 4 + [0] * 5 + [np.nan])
    assert then.counts["undated"] == 1


def test_a_batch_with_its_own_outcomes_says_which_dates_are_none() -> None:
    file = raw(loans(LATE)).replace("nan", "")
    accepted = loans(LATE).drop(columns=["last_pymnt_d", "loan_status"])
    file.loc[0, "last_pymnt_d"] = "31/12/2011"
    file.loc[1, "last_pymnt_d"] = "2091-01-01"
    file.loc[9, "last_pymnt_d"] = ""
    found = mature_labels(within(12), file, accepted, month(40))
    assert found is not None
    np.testing.assert_array_equal(found.y, [np.nan] * 2 + [0] * 7 + [np.nan])
    assert {k: found.counts[k] for k in ("undated", "wrong_dates", "immature")} == {
        "undated": 3,
        "wrong_dates": 2,
        "immature": 0,
    }
    assert "2 dates of the last payment can't be read, or are later than today" in words(found)
    assert seen_until(within(12), file) == month(36)  # one slip doesn't ripen the others
    empty = mature_labels(within(12), file.assign(last_pymnt_d=""), accepted, month(40))
    assert empty is not None
    assert np.isnan(empty.y).all()
    assert empty.counts["undated"] == 10
