"""Splits: a row never moves to another part, and no fold trains on the future."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from riskwright.case.usecase import UseCase
from riskwright.data import splits, units
from riskwright.data.contract import Contract, target_of
from riskwright.errors import InputRefused

Make = Callable[..., Any]
COLUMNS: dict[str, Any] = {
    "key": {"type": "text"},
    "AGE": {"type": "integer"},
    "LIMIT": {"type": "number"},
    "EDU": {"type": "category", "values": [1, 2, 3]},
    "NOTE": {"type": "number", "required": False},
    "WHEN": {"type": "date", "required": False},
    "Y": {"type": "category", "values": [0, 1]},
}


def canonical(usecase: UseCase, raw: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    frame = Contract(usecase, "train").apply(raw).accepted
    assert len(frame) == len(raw)
    return frame, target_of(usecase, frame)


@pytest.mark.parametrize("named", [True, False], ids=["id", "content"])
def test_membership_ignores_seed_order_and_later_rows(
    make_usecase: Make, make_rows: Make, named: bool
) -> None:
    usecase = make_usecase(**({} if named else {"id": None}))
    frame, _ = canonical(usecase, make_rows(400))
    early = pd.Series(splits.test_mask(usecase, frame[:250]), frame.index[:250])
    shuffled = frame.sample(frac=1, random_state=1)
    late = pd.Series(splits.test_mask(usecase, shuffled), shuffled.index)
    assert (late.sort_index()[:250] == early).all()
    assert 0.1 < late.mean() < 0.3


@settings(max_examples=40, deadline=None)
@given(
    ids=st.lists(st.text(min_size=1, max_size=6), min_size=2, max_size=40, unique=True),
    share=st.floats(0.05, 0.9),
    key=st.text(max_size=80),
    data=st.data(),
)
def test_hash_membership_is_of_the_id_alone(
    make_usecase: Make, ids: list[str], share: float, key: str, data: st.DataObject
) -> None:
    usecase = make_usecase(split={"test_share": share, "key": key})
    frame = pd.DataFrame({"key": pd.Series(ids, dtype="str")})
    inside = dict(zip(ids, splits.test_mask(usecase, frame), strict=True))
    some = data.draw(st.lists(st.sampled_from(ids), min_size=1))
    again = splits.test_mask(usecase, pd.DataFrame({"key": pd.Series(some, dtype="str")}))
    assert again.tolist() == [inside[name] for name in some]
    wider = make_usecase(split={"test_share": min(0.99, share + 0.05), "key": key})
    grown = splits.test_mask(wider, frame)
    assert all(grown[list(inside.values())])  # a larger share only adds rows


def test_the_key_changes_the_membership_and_the_share_is_met(make_usecase: Make) -> None:
    frame = pd.DataFrame({"key": pd.Series(range(20_000)).astype("str")})
    one = splits.test_mask(make_usecase(), frame)
    other = splits.test_mask(make_usecase(split={"key": "another"}), frame)
    # 20 % of 20,000: standard error 57 rows; the overlap of independent halves is 4 %.
    assert abs(one.sum() - 4000) < 4 * 57
    assert abs(other.sum() - 4000) < 4 * 57
    assert abs((one & other).sum() - 800) < 4 * 28


def test_this_membership_never_changes(make_usecase: Make) -> None:
    """Frozen: another result would move rows from test to train between versions."""
    frame = pd.DataFrame({"key": pd.Series(range(30)).astype("str")})
    mask = splits.test_mask(make_usecase(), frame)
    assert np.flatnonzero(mask).tolist() == [0, 1, 3, 6, 8, 9, 10, 14, 20, 24, 27, 29]


def test_equal_rows_without_id_stay_together(make_usecase: Make, make_rows: Make) -> None:
    usecase = make_usecase(id=None, split={"folds": 3})
    raw = make_rows(100)
    twice = pd.concat([raw, raw]).reset_index(drop=True)
    twice.index.name = "row"
    frame, y = canonical(usecase, twice)
    mask = splits.test_mask(usecase, frame)
    assert (mask[:100] == mask[100:]).all()
    for _, validation in splits.folds(usecase, frame, y):
        inside = np.isin(np.arange(200), validation)
        assert (inside[:100] == inside[100:]).all()


@pytest.mark.parametrize("named", [True, False], ids=["id", "content"])
def test_rows_alike_in_all_features_stay_together_whatever_became_of_them(
    make_usecase: Make, make_rows: Make, named: bool
) -> None:
    """Named by their outcome, twins of both outcomes fell apart, and the fold told which is bad."""
    usecase = make_usecase(split={"folds": 3}, **({} if named else {"id": None}))
    raw = make_rows(150)
    turned = raw.assign(key=raw["key"] + "x", Y=raw["Y"].map({"0": "1", "1": "0"}))
    both = pd.concat([raw, turned]).reset_index(drop=True)
    both.index.name = "row"
    frame, y = canonical(usecase, both)
    mask = splits.test_mask(usecase, frame)
    assert (mask[:150] == mask[150:]).all()
    assert 0.1 < mask.mean() < 0.3, "twins are no likelier to be tested than others"
    parts = splits.folds(usecase, frame, y)
    assert sorted(np.concatenate([v for _, v in parts])) == list(range(300))
    for _, validation in parts:
        inside = np.isin(np.arange(300), validation)
        assert (inside[:150] == inside[150:]).all()
    # What became of a row doesn't move it.
    again, _ = canonical(usecase, both.assign(Y=both["Y"].map({"0": "1", "1": "0"})))
    assert (splits.test_mask(usecase, again) == mask).all()


def test_a_twin_that_comes_later_joins_the_older_one(make_usecase: Make, make_rows: Make) -> None:
    usecase = make_usecase()
    raw = make_rows(300)
    before = splits.test_mask(usecase, canonical(usecase, raw)[0])
    later = raw.assign(key="later" + raw["key"])
    frame, _ = canonical(usecase, pd.concat([raw, later], ignore_index=True).rename_axis("row"))
    after = splits.test_mask(usecase, frame)
    assert (after[:300] == before).all()
    assert (after[300:] == before).all()


GROUPED: dict[str, Any] = {
    "group": "WHO",
    "columns": {**COLUMNS, "WHO": {"type": "integer", "required": False}},
}


def borrowers(raw: pd.DataFrame, each: int) -> pd.DataFrame:
    who = pd.Series(np.arange(len(raw)) // each + 1000, index=raw.index).astype("str")
    who[::11] = ""
    return raw.assign(WHO=who)


@pytest.mark.parametrize("named", [True, False], ids=["id", "content"])
def test_a_declared_group_stays_together(make_usecase: Make, make_rows: Make, named: bool) -> None:
    usecase = make_usecase(split={"folds": 4}, **GROUPED, **({} if named else {"id": None}))
    assert "WHO" not in usecase.feature_names
    raw = borrowers(make_rows(600), 5)
    frame, y = canonical(usecase, raw)
    mask = splits.test_mask(usecase, frame)
    assert 0.1 < mask.mean() < 0.3
    known = frame["WHO"].notna().to_numpy()
    test, train = set(frame["WHO"][mask & known]), set(frame["WHO"][~mask & known])
    assert test
    assert not test & train
    for training, validation in splits.folds(usecase, frame, y):
        assert not set(frame["WHO"].iloc[training].dropna()) & set(
            frame["WHO"].iloc[validation].dropna()
        )
    # Further loans of known borrowers don't move the old ones.
    fewer, _ = canonical(usecase, raw[:400])
    assert (splits.test_mask(usecase, fewer) == mask[:400]).all()
    assert units.kin(usecase, frame[mask], frame[~mask]).any.sum() == 0


def test_units_join_through_a_third_row(make_usecase: Make, make_rows: Make) -> None:
    """Borrower 1's loan is like one of borrower 2's: all of both stay together."""
    usecase = make_usecase(**GROUPED)
    raw = make_rows(5).assign(WHO=["1", "1", "2", "2", ""])
    alike = ["AGE", "LIMIT", "EDU", "NOTE"]
    raw.loc[2, alike] = raw.loc[1, alike]
    frame, _ = canonical(usecase, raw)
    assert units.units(usecase, frame).tolist() == [0, 0, 0, 0, 1]
    assert len(set(units.unit_names(usecase, frame))) == 2
    kin = units.kin(usecase, frame[:2], frame[2:])
    assert kin.twin.tolist() == [False, True]
    assert kin.relative.tolist() == [False, False]
    kin = units.kin(usecase, frame[:1], frame[1:])
    assert (kin.twin.tolist(), kin.relative.tolist()) == ([False], [True])


def test_missing_cells_and_the_sign_of_zero_make_no_difference_between_twins(
    make_usecase: Make,
) -> None:
    usecase = make_usecase(id=None)
    frame = pd.DataFrame(
        {
            "AGE": [np.nan, np.nan, 1.0],
            "LIMIT": [0.0, -0.0, 0.0],
            "EDU": pd.array([None, None, None], "str"),
            "NOTE": [np.nan] * 3,
        }
    )
    assert units.units(usecase, frame).tolist() == [0, 0, 1]
    names = units.row_keys(usecase, frame)
    assert names[0] == names[1] != names[2]


def test_listed_test_ids_take_their_twins_and_relatives_out_of_training(
    make_usecase: Make, make_rows: Make, tmp_path: Path
) -> None:
    (tmp_path / "ids.txt").write_text("k0\nk7\n")
    usecase = make_usecase(split={"kind": "file", "file": str(tmp_path / "ids.txt")}, **GROUPED)
    raw = make_rows(12).assign(WHO=[str(i // 2) for i in range(12)])
    alike = ["AGE", "LIMIT", "EDU", "NOTE"]
    raw.loc[11, alike] = raw.loc[7, alike]
    frame, _ = canonical(usecase, raw)
    assert np.flatnonzero(splits.test_mask(usecase, frame)).tolist() == [0, 7]
    # 1 and 6 are relatives, 11 is the twin of 7, and 10 the relative of 11.
    assert np.flatnonzero(splits.train_mask(usecase, frame)).tolist() == [2, 3, 4, 5, 8, 9]


def test_a_champion_has_learnt_of_twins_and_relatives_too(
    make_usecase: Make, make_rows: Make
) -> None:
    usecase = make_usecase(**GROUPED)
    raw = make_rows(6).assign(WHO=["1", "2", "1", "3", "4", ""])
    alike = ["AGE", "LIMIT", "EDU", "NOTE"]
    raw.loc[4, alike] = raw.loc[1, alike]
    frame, _ = canonical(usecase, raw)
    found = units.learnt(usecase, frame[1:], frame[:2])
    assert found.tolist() == [True, True, False, True, False]
    # In time a known borrower's later loan is what the model will meet.
    timed = make_usecase(**GROUPED, time="WHEN", split={"kind": "out_of_time"})
    assert units.learnt(timed, frame[1:], frame[:2]).tolist() == [True] + [False] * 4


@pytest.mark.parametrize(
    ("group", "columns", "match"),
    [
        ("key", {}, "is the id"),
        ("Y", {}, "is the id, target"),
        ("NOBODY", {}, "not in 'columns'"),
        ("WHO", {"WHO": {"type": "integer", "feature": True}}, "not a feature"),
        ("WHO", {"WHO": {"type": "text", "after_decision": True}}, "after_decision"),
    ],
)
def test_a_group_that_is_something_else_is_refused(
    make_usecase: Make, group: str, columns: dict[str, Any], match: str
) -> None:
    with pytest.raises(InputRefused, match=match):
        make_usecase(group=group, columns=COLUMNS | columns)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(40, 200), count=st.integers(2, 6), seed=st.integers(0, 99))
def test_hash_folds_are_a_stratified_partition(
    make_usecase: Make, make_rows: Make, n: int, count: int, seed: int
) -> None:
    usecase = make_usecase(split={"folds": count})
    frame, y = canonical(usecase, make_rows(n, seed))
    assume(min(y.sum(), n - y.sum()) >= 2 * count)
    parts = splits.folds(usecase, frame, y)
    assert sorted(np.concatenate([v for _, v in parts])) == list(range(n))
    for train, validation in parts:
        assert sorted([*train, *validation]) == list(range(n))
    for value in (0, 1):
        sizes = [int((y[v] == value).sum()) for _, v in parts]
        assert max(sizes) - min(sizes) <= 1
    order = np.random.default_rng(seed).permutation(n)
    moved = splits.folds(usecase, frame.iloc[order], y[order])
    for (_, one), (_, other) in zip(parts, moved, strict=True):
        assert set(frame.index[one]) == set(frame.iloc[order].index[other])


def test_rows_added_later_move_few_rows_to_another_fold(
    make_usecase: Make, make_rows: Make
) -> None:
    usecase = make_usecase()
    frame, y = canonical(usecase, make_rows(2000))

    def numbers(n: int) -> np.ndarray:
        fold = np.empty(n, int)
        for k, (_, validation) in enumerate(splits.folds(usecase, frame[:n], y[:n])):
            fold[validation] = k
        return fold

    moved = numbers(2000)[:1800] != numbers(1800)
    assert moved.mean() < 0.1


TIMED: dict[str, Any] = {"time": "WHEN"}


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["out_of_time", "walk_forward"]),
    count=st.integers(2, 5),
    purge=st.integers(0, 20),
    embargo=st.integers(0, 10),
    window=st.one_of(st.none(), st.integers(60, 200)),
    seed=st.integers(0, 20),
)
def test_no_fold_trains_on_the_future(
    *,
    make_usecase: Make,
    make_rows: Make,
    kind: str,
    count: int,
    purge: int,
    embargo: int,
    window: int | None,
    seed: int,
) -> None:
    split = {"kind": kind, "folds": count, "purge_days": purge, "embargo_days": embargo}
    usecase = make_usecase(**TIMED, split=split | {"window_days": window})
    frame, y = canonical(usecase, make_rows(400, seed))
    test = splits.test_mask(usecase, frame)
    train = splits.train_mask(usecase, frame)
    times = frame["WHEN"]
    gap = pd.Timedelta(days=purge + embargo)
    assert not (test & train).any()
    assert test.mean() <= usecase.split.test_share
    assert times[~test].max() < times[test].min()
    assert times[train].max() < times[test].min() - gap
    if purge + embargo == 0 and window is None:
        assert (train == ~test).all()

    whole = frame[~test]
    parts = splits.folds(usecase, whole, y[~test])
    assert len(parts) == count
    days = whole["WHEN"].to_numpy()
    last = None
    for training, validation in parts:
        start = days[validation].min()
        assert days[training].max() < start - gap.to_numpy()
        if window is not None:
            assert days[training].min() >= start - np.timedelta64(window, "D")
        if last is not None:
            assert start > last  # blocks follow one another and share no date
        last = days[validation].max()
    covered = np.concatenate([v for _, v in parts])
    assert len(set(covered)) == len(covered)
    assert (days[covered].min() > np.delete(days, covered)).all()  # all but the first block


def test_the_latest_dates_that_fit_are_the_test_part(make_usecase: Make) -> None:
    usecase = make_usecase(**TIMED, split={"kind": "out_of_time", "test_share": 0.3})
    days = ["2020-01-01"] * 6 + ["2020-01-02"] * 2 + ["2020-01-03"] * 2
    frame = pd.DataFrame({"WHEN": pd.to_datetime(days)})
    assert splits.test_mask(usecase, frame).tolist() == [False] * 8 + [True] * 2
    given_day = make_usecase(
        **TIMED, split={"kind": "out_of_time", "test_from": pd.Timestamp("2020-01-02").date()}
    )
    assert splits.test_mask(given_day, frame).tolist() == [False] * 6 + [True] * 4
    with pytest.raises(InputRefused, match="latest one alone holds 10 of 10 rows"):
        splits.test_mask(usecase, frame.assign(WHEN=pd.Timestamp("2020-01-01")))


def test_too_few_dates(make_usecase: Make, make_rows: Make) -> None:
    usecase = make_usecase(**TIMED, split={"kind": "out_of_time", "folds": 5})
    raw = make_rows(100)
    raw["WHEN"] = pd.Series(["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"] * 25)
    frame, y = canonical(usecase, raw.astype({"WHEN": "str"}))
    with pytest.raises(InputRefused, match="has 4 different dates") as refused:
        splits.folds(usecase, frame, y)
    assert "at least 6" in refused.value.expected


def test_a_file_of_test_ids(make_usecase: Make, make_rows: Make, tmp_path: Path) -> None:
    listed = tmp_path / "ids.txt"
    usecase = make_usecase(split={"kind": "file", "file": str(listed)})
    frame, _ = canonical(usecase, make_rows(10))
    with pytest.raises(InputRefused, match="can't be read"):
        splits.test_mask(usecase, frame)
    listed.write_text("\ufeffk3\n\n k7 \n", encoding="utf-8")
    assert np.flatnonzero(splits.test_mask(usecase, frame)).tolist() == [3, 7]
    listed.write_text("k3\nx\ny\n")
    with pytest.raises(InputRefused, match="2 of 3 test ids are not in the data") as refused:
        splits.test_mask(usecase, frame)
    assert refused.value.where.endswith(": x, y")
    listed.write_text("\n")
    with pytest.raises(InputRefused, match="is empty"):
        splits.test_mask(usecase, frame)
    nameless = make_usecase(id=None, split={"kind": "file", "file": str(listed)})
    with pytest.raises(InputRefused, match="needs an id column"):
        splits.test_mask(nameless, frame)


@pytest.mark.parametrize(
    ("goods", "bads", "test_goods", "test_bads", "what"),
    [
        (5, 4, 1, 1, "11 rows are too few: 9 are left"),
        (90, 9, 20, 5, r"training part \(5 folds\).* 90 good and 9 bad"),
        (90, 10, 20, 1, "the test part has too few rows of a class: 20 good and 1 bad"),
        (9, 90, 20, 5, r"training part \(5 folds\).* 9 good and 90 bad"),
        (90, 10, 20, 2, None),
    ],
)
def test_check_enough(
    *, make_usecase: Make, goods: int, bads: int, test_goods: int, test_bads: int, what: str | None
) -> None:
    y = np.repeat(np.array([0, 1, 0, 1], np.int8), [goods, bads, test_goods, test_bads])
    mask = np.arange(len(y)) >= goods + bads
    if what is None:
        splits.check_enough(make_usecase(), y, mask)
        return
    with pytest.raises(InputRefused, match=what):
        splits.check_enough(make_usecase(), y, mask)


def test_a_fold_without_bads_is_refused(make_usecase: Make, make_rows: Make) -> None:
    usecase = make_usecase(**TIMED, split={"kind": "out_of_time", "folds": 3})
    raw = make_rows(200)
    raw.loc[raw["WHEN"] > "2020-06-01", "Y"] = "0"
    frame, y = canonical(usecase, raw)
    with pytest.raises(InputRefused, match=r"validation part of fold 2 of 3 .* 0 bad"):
        splits.folds(usecase, frame, y)


def test_listed_test_ids_are_read_as_the_data_are(
    make_usecase: Make, make_rows: Make, tmp_path: Path
) -> None:
    (tmp_path / "ids.txt").write_text("1000.0\n 007\nmu\u0308\n", encoding="utf-8")
    usecase = make_usecase(split={"kind": "file", "file": str(tmp_path / "ids.txt")})
    raw = make_rows(5)
    raw["key"] = ["1000", "007", "m\u00fc", "7", "1000.5"]
    frame, _ = canonical(usecase, raw)
    assert splits.test_mask(usecase, frame).tolist() == [True, True, True, False, False]
