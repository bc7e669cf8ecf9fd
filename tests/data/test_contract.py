"""Each rule of the contract: which rows go, for which reason, and what refuses the whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskwright.case.usecase import UseCase
from riskwright.data import parsing
from riskwright.data.contract import Contract, target_of
from riskwright.data.sources import FAULT
from riskwright.errors import InputRefused

Make = Callable[..., Any]


@pytest.fixture(scope="session")
def usecase(make_usecase: Make) -> UseCase:
    return make_usecase()


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("AGE", "abc", "AGE: 'abc' is not a number"),
        ("AGE", "12,5", "AGE: '12,5' is not a number"),
        ("AGE", "17", "AGE: 17 is below the minimum 18"),
        ("AGE", "100", "AGE: 100 is above the maximum 99"),
        ("AGE", "30.5", "AGE: 30.5 is not a whole number"),
        ("LIMIT", "-5", "LIMIT: -5 is below the minimum 0 EUR"),
        ("LIMIT", "inf", "LIMIT: infinite value"),
        ("LIMIT", "-Infinity", "LIMIT: infinite value"),
        ("LIMIT", "1e999", "LIMIT: infinite value"),
        ("EDU", "9", "EDU: unknown category '9' (allowed 1, 2, 3)"),
        ("EDU", "", "EDU: unknown category '' (allowed 1, 2, 3)"),
        ("WHEN", "31/12/2020", "WHEN: '31/12/2020' is not a date such as 2024-01-31"),
        ("WHEN", "2020-02-30", "WHEN: '2020-02-30' is not a date such as 2024-01-31"),
        ("Y", "7", "target Y: '7' is neither good ('0') nor bad ('1')"),
        ("Y", None, "target Y: missing"),
        ("key", None, "id missing"),
        ("key", " ", "id missing"),
        ("key", "k3", "id repeated (first seen in row 3)"),
    ],
)
def test_a_bad_cell_refuses_its_row_with_a_reason(
    usecase: UseCase, make_rows: Make, column: str, cell: str | None, reason: str
) -> None:
    raw = make_rows(10)
    raw.loc[5, column] = cell
    checked = Contract(usecase, "train").apply(raw)
    if column == "EDU" and cell == "":  # an empty cell is missing, and that is no fault
        assert checked.refused.empty
        return
    assert checked.refused["row"].tolist() == [5]
    assert checked.refused["reason"].tolist() == [reason]
    assert checked.accepted.index.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        ("AGE", "-1", -1.0),  # a sentinel is exempt from the range and stays a number
        ("AGE", " 30 ", 30.0),
        ("AGE", "3e1", 30.0),
        ("AGE", None, np.nan),
        ("LIMIT", "+5.", 5.0),
        ("LIMIT", "NaN", np.nan),
        ("LIMIT", " NA ", np.nan),
        ("EDU", "1.0", "1"),
        ("EDU", " 2 ", "2"),
        ("EDU", "NA", np.nan),
        ("WHEN", "2020-02-29T10:00:00", pd.Timestamp("2020-02-29 10:00")),
        ("WHEN", "2020-02-29T10:00:00+02:00", pd.Timestamp("2020-02-29 10:00")),
        ("WHEN", "2020-02", pd.Timestamp("2020-02-01")),
        ("Y", "1.0", "1"),
    ],
)
def test_a_good_cell_becomes_canonical(
    usecase: UseCase, make_rows: Make, column: str, cell: str | None, value: Any
) -> None:
    raw = make_rows(10)
    raw.loc[5, column] = cell
    frame = Contract(usecase, "train").apply(raw).accepted
    assert len(frame) == 10
    found = frame.loc[5, column]
    assert (pd.isna(found) and pd.isna(value)) or found == value


def test_canonical_types(usecase: UseCase, make_rows: Make) -> None:
    frame = Contract(usecase, "train").apply(make_rows(5)).accepted
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert kinds == {
        "key": "str",
        "AGE": "float64",
        "LIMIT": "float64",
        "EDU": "str",
        "NOTE": "float64",
        "WHEN": "datetime64[us]",
        "Y": "str",
    }
    assert frame.index.name == "row"
    assert target_of(usecase, frame).dtype == np.int8
    assert target_of(usecase, frame).tolist() == frame["Y"].astype(int).tolist()


def test_text_and_native_cells_give_the_same_frame(usecase: UseCase, make_rows: Make) -> None:
    raw = make_rows(50)
    raw.loc[3, ["AGE", "EDU", "NOTE"]] = None
    native = raw.assign(
        AGE=raw["AGE"].astype("Int64"),
        LIMIT=raw["LIMIT"].astype("float64"),
        EDU=raw["EDU"].astype("float64"),
        NOTE=raw["NOTE"].astype("float64").astype(object),
        WHEN=pd.to_datetime(raw["WHEN"]),
        Y=raw["Y"].astype("int8") == 1,
        key=pd.Categorical(raw["key"]),
    )
    native["Y"] = native["Y"].astype("int64")
    text, typed = (Contract(usecase, "train").apply(f).accepted for f in (raw, native))
    pd.testing.assert_frame_equal(text, typed)


def test_columns_in_another_order_make_no_difference(usecase: UseCase, make_rows: Make) -> None:
    raw = make_rows(20)
    one = Contract(usecase, "train").apply(raw).accepted
    other = Contract(usecase, "train").apply(raw[raw.columns[::-1]]).accepted
    pd.testing.assert_frame_equal(one, other)


def test_several_faults_of_a_row_are_all_named(usecase: UseCase, make_rows: Make) -> None:
    raw = make_rows(10)
    raw.loc[2, ["AGE", "EDU", "LIMIT"]] = ["x", "8", "-1"]
    contract = Contract(usecase, "train")
    (reason,) = contract.apply(raw).refused["reason"]
    assert reason.split("; ") == [
        "AGE: 'x' is not a number",
        "LIMIT: -1 is below the minimum 0 EUR",
        "EDU: unknown category '8' (allowed 1, 2, 3)",
    ]
    assert contract.report()["reasons"] == {
        "AGE: not a number": 1,
        "LIMIT: below the minimum 0": 1,
        "EDU: unknown category": 1,
    }


def test_ragged_rows_have_that_one_reason(usecase: UseCase, make_rows: Make) -> None:
    raw = make_rows(10)
    raw[FAULT] = pd.Series(
        [None] * 4 + ["row has 9 cells, 7 expected"] + [None] * 5, index=raw.index, dtype="str"
    )
    raw.loc[4, "AGE"] = "shifted"
    checked = Contract(usecase, "train").apply(raw)
    assert checked.refused["reason"].tolist() == ["row has 9 cells, 7 expected"]
    assert list(checked.refused.columns) == ["row", "reason", *make_rows(1).columns]


def test_refused_rows_keep_their_raw_cells(usecase: UseCase, make_rows: Make) -> None:
    raw = make_rows(10)
    raw.loc[4, "AGE"] = "abc"
    raw["row"] = "a column called row"
    raw["extra"] = "kept too"
    (refused,) = Contract(usecase, "train").apply(raw).refused.to_dict("records")
    assert refused["AGE"] == "abc"
    assert refused["extra"] == "kept too"
    assert refused["row (cell)"] == "a column called row"


def test_ids_are_watched_over_chunks_and_refused_rows_claim_none(
    usecase: UseCase, make_rows: Make
) -> None:
    raw = make_rows(12)
    raw.loc[2, "AGE"] = "abc"
    raw.loc[[8, 11], "key"] = ["k2", "k3"]  # k2 was refused, k3 was not
    contract = Contract(usecase, "train")
    parts = [contract.apply(raw[:6]), contract.apply(raw[6:])]
    assert parts[0].refused["row"].tolist() == [2]
    assert parts[1].refused["reason"].tolist() == ["id repeated (first seen in row 3)"]
    assert parts[1].refused["row"].tolist() == [11]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.integers(0, 8).map(str)), max_size=30),
    st.integers(1, 30),
)
def test_repeated_ids_agree_with_a_dictionary(ids: list[str | None], size: int) -> None:
    seen: dict[str, int] = {}
    expected = []
    for row, name in enumerate(ids):
        expected.append(-1 if name is None or seen.setdefault(name, row) == row else seen[name])
    watch, found = parsing.SeenIds(), []
    for start in range(0, len(ids), size):
        part = ids[start : start + size]
        rows = np.arange(start, start + len(part))
        found += watch.add(pd.Series(part, dtype="str"), rows).tolist()
    assert found == expected
    assert len(watch) == len(seen)


CELLS = st.one_of(
    st.none(),
    st.floats(width=32).map(str),
    st.integers(-5, 120).map(str),
    st.sampled_from(["abc", " 1 ", "1.0", "NA", "", "inf", "2020-01-01", "k1"]),
)


@settings(max_examples=15, deadline=None)
@given(st.data(), st.sampled_from(["train", "score", "monitor"]), st.integers(4, 20))
def test_accepted_and_refused_are_all_rows_once(
    usecase: UseCase, make_rows: Make, data: st.DataObject, purpose: Any, size: int
) -> None:
    raw = make_rows(20)
    for _ in range(data.draw(st.integers(0, 12))):
        row = data.draw(st.integers(0, 19))
        raw.loc[row, data.draw(st.sampled_from(list(raw.columns)))] = data.draw(CELLS)
    contract = Contract(usecase, purpose)
    parts = [contract.apply(raw[start : start + size]) for start in range(0, 20, size)]
    accepted = pd.concat([p.accepted for p in parts])
    refused = pd.concat([p.refused for p in parts])
    assert sorted([*accepted.index, *refused["row"]]) == list(range(20))
    assert contract.read == 20
    assert contract.refused == len(refused)
    assert (refused["reason"].str.len() > 0).all()
    numeric = accepted[["AGE", "LIMIT", "NOTE"]].to_numpy()
    assert not np.isinf(numeric).any()
    assert set(accepted["EDU"].dropna()) <= {"1", "2", "3"}
    whole = Contract(usecase, purpose).apply(raw)
    pd.testing.assert_frame_equal(whole.accepted, accepted)


def test_header_missing_extra_renamed(usecase: UseCase) -> None:
    names = ["key", "AGE", "LIMIT", "EDU", "Y", "zip"]
    verdict = Contract(usecase, "train").check_header([*names, "LATE"])
    assert verdict.missing == ("NOTE", "WHEN")
    assert verdict.extra == ("zip",)
    assert len(verdict.warnings) == 3
    assert "never a feature: LATE" in verdict.warnings[2]

    with pytest.raises(InputRefused, match="column 'LIMIT' is missing") as refused:
        Contract(usecase, "score").check_header(["key", "AGE", "LIMIT_BAL", "EDU"])
    assert "LIMIT_BAL" in refused.value.do
    with pytest.raises(InputRefused, match="2 columns are missing: AGE, EDU"):
        Contract(usecase, "monitor").check_header(["key", "LIMIT"])
    with pytest.raises(InputRefused, match="target column 'Y' is missing"):
        Contract(usecase, "train").check_header(names[:4])


@pytest.mark.parametrize("purpose", ["score", "monitor"])
def test_scoring_needs_no_target_and_drops_what_is_known_later(
    usecase: UseCase, make_rows: Make, purpose: Any
) -> None:
    raw = make_rows(10).assign(LATE="5")
    raw["Y"] = "rubbish"
    checked = Contract(usecase, purpose).apply(raw)
    assert len(checked.accepted) == 10
    assert list(checked.accepted.columns) == ["key", "AGE", "LIMIT", "EDU", "NOTE", "WHEN"]
    without = Contract(usecase, purpose).apply(raw.drop(columns=["Y", "LATE"]))
    pd.testing.assert_frame_equal(checked.accepted, without.accepted)


def close(usecase: UseCase, raw: pd.DataFrame) -> list[str]:
    contract = Contract(usecase, "train")
    contract.apply(raw)
    return contract.close()


def test_too_many_refused_rows_refuse_the_whole(usecase: UseCase, make_rows: Make) -> None:
    raw = make_rows(100)
    raw.loc[:3, "AGE"] = "abc"
    raw.loc[4:4, "EDU"] = "9"
    assert close(usecase, raw) == []  # 5 of 100: at the limit
    raw.loc[5:6, "LIMIT"] = "-1"
    raw.loc[7:7, "NOTE"] = "x"
    with pytest.raises(InputRefused, match=r"8 of 100 rows \(8.0%\)") as refused:
        close(usecase, raw)
    where = refused.value.where.split(");")
    assert where[0].startswith("AGE: not a number (4 rows, such as ")
    assert where[1].strip().startswith("LIMIT: below the minimum 0 (2 rows")
    assert len(where) == 3


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("Y", "1", "only one class: all 100 rows are bad"),
        ("Y", "0", "only one class: all 100 rows are good"),
        ("key", "k", "all 100 rows have the same id"),
        ("AGE", "text", "100 of 100 rows"),
        ("LIMIT", "inf", "100 of 100 rows"),
        ("LIMIT", None, "required column 'LIMIT' is missing in all 100 rows"),
    ],
)
def test_what_training_refuses_whole(
    usecase: UseCase, make_rows: Make, column: str, value: str | None, what: str
) -> None:
    raw = make_rows(100)
    raw[column] = pd.Series(value, index=raw.index, dtype="str")
    with pytest.raises(InputRefused, match=what):
        close(usecase, raw)


@pytest.mark.parametrize(
    ("column", "value", "warning"),
    [
        ("NOTE", None, "NOTE: missing in every row, so dropped"),
        ("AGE", "40", "AGE: the same value 40.0 in every row"),
        ("EDU", "2", "EDU: the same value '2' in every row"),
    ],
)
def test_what_training_warns_of(
    usecase: UseCase, make_rows: Make, column: str, value: str | None, warning: str
) -> None:
    raw = make_rows(100)
    raw[column] = pd.Series(value, index=raw.index, dtype="str")
    assert close(usecase, raw) == [warning]


def test_a_dead_required_column_refuses_training(usecase: UseCase, make_rows: Make) -> None:
    with pytest.raises(InputRefused, match="'LIMIT' is missing in all 200 rows"):
        close(usecase, make_rows(200).assign(LIMIT=None))


def test_no_rows(usecase: UseCase) -> None:
    with pytest.raises(InputRefused, match="no rows"):
        Contract(usecase, "train").close()


def test_a_missing_time_is_refused_where_the_split_needs_it(
    make_usecase: Make, make_rows: Make
) -> None:
    timed = make_usecase(time="WHEN", split={"kind": "out_of_time"})
    raw = make_rows(10)
    raw.loc[3, "WHEN"] = None
    refused = Contract(timed, "train").apply(raw).refused
    assert refused["reason"].tolist() == ["WHEN: missing, and the split needs it"]
    assert Contract(timed, "score").apply(raw).refused.empty


def test_report_counts(usecase: UseCase, make_rows: Make) -> None:
    raw = make_rows(100)
    raw.loc[[1, 2], "AGE"] = "-1"
    raw.loc[[3, 4, 5], "NOTE"] = None
    raw.loc[6, "EDU"] = "7"
    contract = Contract(usecase, "train")
    contract.apply(raw[:50])
    contract.apply(raw[50:])
    assert contract.report() == {
        "read": 100,
        "accepted": 99,
        "refused": 1,
        "reasons": {"EDU: unknown category": 1},
        "missing": {"NOTE": 3},
        "sentinels": {"AGE": {"-1 (not stated)": 2}},
    }
