"""Every label is good, bad, open or told: read from the batch, and from a file of ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskwright.case.usecase import UseCase
from riskwright.errors import InputRefused
from riskwright.systems.credit import batch_checks
from riskwright.systems.credit.labels import Labels, read_labels, words
from riskwright.systems.credit.outcomes import check_labels

ROWS = 400


@pytest.fixture
def batch(usecase: UseCase, draw: Any) -> Any:
    """Raw rows with ids that begin with zeros, the accepted ones, and the outcomes."""
    drawn = draw(ROWS, 77)
    raw = drawn.raw.assign(key=[f"{i:06}" for i in range(ROWS)])
    return raw, batch_checks.examine(usecase, raw)[0].accepted, drawn.y


def file(folder: Path, **columns: Any) -> str:
    path = folder / "labels.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize(
    ("bad", "good", "rest"),
    [("1", "0", ""), ("1.0", "0.0", ""), (" 1 ", "0", ""), ("1", "0.0", "?")],
    ids=["plain", "as pandas writes gaps", "blanks", "mixed"],
)
def test_an_outcome_means_the_same_in_the_batch_and_in_a_file(
    usecase: UseCase, batch: Any, tmp_path: Path, bad: str, good: str, rest: str
) -> None:
    raw, accepted, y = batch
    cells = np.where(np.arange(ROWS) % 10 == 0, rest, np.where(y == 1, bad, good))
    expected = np.where(np.arange(ROWS) % 10 == 0, np.nan, y)
    own = read_labels(usecase, raw.assign(Y=pd.Series(cells, dtype="str")), accepted, None)
    other = read_labels(usecase, raw, accepted, file(tmp_path, key=raw["key"], Y=cells))
    assert own is not None
    assert other is not None
    np.testing.assert_array_equal(own.y, other.y)
    np.testing.assert_array_equal(own.y, expected)
    told = {name: own.counts[name] for name in ("bad", "good", "open", "empty", "undeclared")}
    assert told == {
        "bad": int(np.nansum(expected)),
        "good": int((expected == 0).sum()),
        "open": 0,
        "empty": ROWS // 10,
        "undeclared": {},
    }
    assert told == {name: other.counts[name] for name in told}


@pytest.mark.parametrize(
    "source",
    [{"delimiter": ";"}, {"encoding": "utf-16"}, {"format": "parquet"}, {"format": "arff"}],
    ids=lambda source: next(iter(source.values())),
)
def test_labels_beside_the_scores_are_read_however_the_use_case_writes_its_files(
    usecase: UseCase, batch: Any, tmp_path: Path, source: dict[str, Any]
) -> None:
    raw, accepted, y = batch
    written = usecase.model_copy(update={"source": usecase.source.model_copy(update=source)})
    scores = file(tmp_path, key=raw["key"], pd=0.1, decision="approve", model_version=2, Y=y)
    labels = read_labels(written, raw, accepted, scores)
    assert labels is not None
    np.testing.assert_array_equal(labels.y, y)
    assert labels.version is not None
    np.testing.assert_array_equal(labels.version, 2.0)


def test_labels_of_neither_kind_are_refused_by_the_use_cases_own_delimiter(
    usecase: UseCase, batch: Any, tmp_path: Path
) -> None:
    raw, accepted, y = batch
    own = usecase.model_copy(
        update={"source": usecase.source.model_copy(update={"delimiter": ";"})}
    )
    path = tmp_path / "labels.csv"
    pd.DataFrame({"key": raw["key"], "Y": y}).to_csv(path, sep="|", index=False)
    with pytest.raises(InputRefused, match="with ';' the first line has 1 column"):
        read_labels(own, raw, accepted, str(path))


def test_codes_that_nobody_declared_are_told_and_alarm(
    usecase: UseCase, reference: Any, batch: Any, scored: Any
) -> None:
    raw, accepted, y = batch

    def looked(codes: Any) -> tuple[Labels, dict[str, Any]]:
        own = read_labels(usecase, raw.assign(Y=pd.Series(codes, dtype="str")), accepted, None)
        assert own is not None
        findings = check_labels(usecase, reference, accepted, scored(accepted), own)
        return own, {f.code: f for f in findings}

    # Half of the bads are written off, in a code of their own: 1 of 2 bads would go unseen.
    off = np.flatnonzero(y == 1)[::2]
    codes = np.where(np.isin(np.arange(ROWS), off), "W", np.where(y == 1, "1", "0"))
    own, found = looked(codes)
    assert own.counts["undeclared"] == {"W": len(off)}
    assert found["undeclared_outcomes"].alarm
    assert f"{len(off):,} of {ROWS:,} outcomes" in found["undeclared_outcomes"].detail
    assert found["outcomes"].verdict == "can't be judged"
    assert "observed_expected" not in found
    assert f"{len(off):,} in codes that nobody declared ('W': {len(off)})" in words(own)

    codes = np.where(np.arange(ROWS) == 7, "W", np.where(y == 1, "1", "0"))
    own, found = looked(codes)
    assert (found["undeclared_outcomes"].verdict, found["undeclared_outcomes"].alarm) == (
        "told",
        False,
    )
    assert found["observed_expected"].verdict == "ok"

    own, found = looked(np.full(ROWS, "yes"))
    assert not np.isfinite(own.y).any()
    assert found["undeclared_outcomes"].alarm


def test_labels_without_a_row_are_told_both_ways(
    usecase: UseCase, reference: Any, batch: Any, scored: Any, tmp_path: Path
) -> None:
    """A spreadsheet dropped the leading zeros of half of the ids."""
    raw, accepted, y = batch
    ids = raw["key"].where(np.arange(ROWS) % 2 == 0, raw["key"].str.lstrip("0"))
    ids = ids.mask(ids == "", "0")
    labels = read_labels(usecase, raw, accepted, file(tmp_path, key=ids, Y=y.astype(int)))
    assert labels is not None
    half = ROWS // 2
    assert labels.counts["labels_without_row"] == labels.counts["rows_without_label"] == half
    assert f"{half} of {ROWS} labels belong to no row of the batch" in words(labels)
    found = check_labels(usecase, reference, accepted, scored(accepted), labels)
    (told,) = [f for f in found if f.code == "unmatched_labels"]
    assert told.alarm
    assert f"{half} of {ROWS} labels belong to no row of the batch, and {half} of {ROWS} rows" in (
        told.detail
    )
    assert "leading zeros" in told.detail

    with pytest.raises(InputRefused, match="no label belongs to the batch") as refused:
        read_labels(usecase, raw, accepted, file(tmp_path, key=raw["key"].str[1:], Y=0))
    assert "write the ids alike, such as 000000 for 00000" in refused.value.do


def test_a_file_of_further_outcomes_is_no_alarm(
    usecase: UseCase, reference: Any, batch: Any, scored: Any, tmp_path: Path
) -> None:
    raw, accepted, y = batch
    ids = [*raw["key"], *(f"x{i}" for i in range(5 * ROWS))]
    outcomes = [*y.astype(int), *([0] * 5 * ROWS)]
    labels = read_labels(usecase, raw, accepted, file(tmp_path, key=ids, Y=outcomes))
    assert labels is not None
    found = check_labels(usecase, reference, accepted, scored(accepted), labels)
    (told,) = [f for f in found if f.code == "unmatched_labels"]
    assert (told.verdict, told.alarm) == ("told", False)
    assert f"{5 * ROWS:,} of {6 * ROWS:,} labels belong to no row" in told.detail


def test_an_id_has_one_outcome(usecase: UseCase, batch: Any, tmp_path: Path) -> None:
    raw, accepted, y = batch
    twice = {"key": [*raw["key"], *raw["key"][:3]], "Y": [*map(str, y), "1.0", "0", " 1"]}
    same = {"key": twice["key"], "Y": [*map(str, y), *(f"{v:g}" for v in y[:3])]}
    later = {"key": twice["key"], "Y": ["", "", "", *map(str, y[3:]), *map(str, y[:3])]}
    for columns in (same, later):
        labels = read_labels(usecase, raw, accepted, file(tmp_path, **columns))
        assert labels is not None
        np.testing.assert_array_equal(labels.y, y)
        assert labels.counts["repeated_lines"] == 3
    wrong = int(sum(a != b for a, b in zip(y[:3], (1, 0, 1), strict=True)))
    assert wrong
    with pytest.raises(InputRefused, match=f"{wrong} ids have contradicting labels"):
        read_labels(usecase, raw, accepted, file(tmp_path, **twice))


def test_a_label_of_a_refused_row_and_one_without_id_are_told(
    usecase: UseCase, batch: Any, tmp_path: Path
) -> None:
    raw, _, y = batch
    raw = raw.assign(AGE=raw["AGE"].where(raw.index > 4, "very old"))
    accepted = batch_checks.examine(usecase, raw)[0].accepted
    ids = raw["key"].mask(np.arange(ROWS) == ROWS - 1, "")
    labels = read_labels(usecase, raw, accepted, file(tmp_path, key=ids, Y=y.astype(int)))
    assert labels is not None
    assert labels.counts["of_refused_rows"] == 5
    assert labels.counts["lines_without_id"] == labels.counts["rows_without_label"] == 1
    whole = raw.assign(Y=y)
    own = read_labels(usecase, whole, accepted, None)
    assert own is not None
    assert own.counts["of_refused_rows"] == 5
    both = read_labels(usecase, whole, accepted, file(tmp_path, key=ids, Y=y.astype(int)))
    assert f"{ROWS} outcomes in the batch itself aren't used" in words(both)


def test_what_was_recorded_beside_outcomes_is_read(
    usecase: UseCase, batch: Any, tmp_path: Path
) -> None:
    raw, accepted, y = batch
    path = file(
        tmp_path,
        key=raw["key"],
        Y=y.astype(int),
        pd=0.25,
        model_version=[3] * 10 + [4] * (ROWS - 10),
        decision="approve",
    )
    labels = read_labels(usecase, raw, accepted, path)
    assert labels is not None
    assert labels.pd is not None
    assert labels.version is not None
    assert labels.decision is not None
    assert set(labels.pd) == {0.25}
    assert list(labels.version[:11]) == [3] * 10 + [4]
    assert set(labels.decision) == {"approve"}
    plain = read_labels(usecase, raw, accepted, file(tmp_path, key=raw["key"], Y=y.astype(int)))
    assert plain is not None
    assert plain.pd is plain.version is plain.decision is None
    assert plain.digest != labels.digest
