"""Ingestion end to end: snapshots, quarantine, report; nothing twice, nothing half."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from riskwright.case.usecase import UseCase
from riskwright.data import ingest as module
from riskwright.data.contract import target_of
from riskwright.data.ingest import ingest
from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.store import snapshots
from riskwright.systems.credit.case import load_usecase

Make = Callable[..., Any]


@pytest.fixture(scope="session")
def usecase(make_usecase: Make) -> UseCase:
    return make_usecase()


@pytest.fixture
def raw(make_rows: Make) -> pd.DataFrame:
    frame = make_rows(300)
    frame.loc[4, "AGE"] = "abc"
    frame.loc[5, "EDU"] = "9"
    frame.loc[6, "AGE"] = "-1"
    frame.loc[7, "NOTE"] = None
    frame.loc[9, "key"] = "k8"
    frame.loc[20, frame.columns[1:]] = frame.loc[19, frame.columns[1:]]
    return frame


@pytest.fixture
def file(tmp_path: Path, raw: pd.DataFrame) -> str:
    raw.to_csv(tmp_path / "rows.csv", index=False)
    return str(tmp_path / "rows.csv")


def stored(home: Home) -> dict[str, int]:
    """Files of the home and when they were written."""
    files = (p for p in home.root.rglob("*") if p.is_file())
    return {str(p.relative_to(home.root)): p.stat().st_mtime_ns for p in files}


def test_a_file_becomes_snapshots_quarantine_and_report(
    usecase: UseCase, home: Home, file: str, raw: pd.DataFrame
) -> None:
    heard: list[int] = []
    found = ingest(usecase, file, home, progress=heard.append)
    assert heard == [300]
    back = snapshots.read(found.raw, home)
    pd.testing.assert_frame_equal(back, raw, check_index_type=False)
    clean = snapshots.read(found.clean, home)
    assert len(clean) == 297
    assert clean.index.name == "row"
    assert set(range(300)) - set(clean.index) == {4, 5, 9}
    assert found.quarantine == home.root / "quarantine" / "small" / f"{found.raw.hash}.csv"
    refused = pd.read_csv(found.quarantine, dtype="str")
    assert refused["row"].tolist() == ["4", "5", "9"]
    assert refused["reason"].tolist() == [
        "AGE: 'abc' is not a number",
        "EDU: unknown category '9' (allowed 1, 2, 3)",
        "id repeated (first seen in row 8)",
    ]
    assert refused.loc[0, "AGE"] == "abc"
    report = found.report
    assert (report["read"], report["accepted"], report["refused"]) == (300, 297, 3)
    assert report["reasons"] == {
        "AGE: not a number": 1,
        "EDU: unknown category": 1,
        "id repeated": 1,
    }
    assert report["duplicates"] == 1
    assert report["missing"] == {"NOTE": 1}
    assert report["sentinels"] == {"AGE": {"-1 (not stated)": 1}}
    assert report["bads"] == target_of(usecase, clean).sum()
    assert len(found.warnings) == 2
    assert [m["kind"] for m in snapshots.chain(found.clean.hash, home)] == ["clean", "raw"]


def test_the_same_file_is_not_read_again(
    usecase: UseCase, home: Home, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ingest(usecase, file, home)
    before = stored(home)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("read again")

    copy = Path(file).with_name("copy.csv")
    copy.write_bytes(Path(file).read_bytes())
    with monkeypatch.context() as patch:
        patch.setattr(module.sources, "read_chunks", never)
        assert ingest(usecase, file, home) == first
        assert ingest(usecase, str(copy), home) == first
    assert stored(home) == before


@pytest.mark.parametrize("lost", ["raw", "clean", "quarantine", "manifest", "note"])
def test_what_was_lost_or_altered_is_made_again(
    usecase: UseCase, home: Home, file: str, lost: str
) -> None:
    first = ingest(usecase, file, home)
    assert first.quarantine is not None
    path = {
        "raw": first.raw.path,
        "clean": first.clean.path,
        "quarantine": first.quarantine,
        "manifest": first.clean.path.with_suffix(".json"),
        "note": next((home.root / "ingested").iterdir()),
    }[lost]
    data = path.read_bytes()
    if lost in ("raw", "clean", "note"):
        path.write_bytes(data[:50] + b"?" + data[51:])
    else:
        path.unlink()
    assert ingest(usecase, file, home) == first
    assert path.read_bytes() == data


def test_another_use_case_or_content_is_another_snapshot(
    usecase: UseCase, make_usecase: Make, home: Home, file: str, raw: pd.DataFrame
) -> None:
    first = ingest(usecase, file, home)
    stricter = make_usecase(duplicate_rows="drop")
    other = ingest(stricter, file, home)
    assert other.raw == first.raw
    assert other.clean.rows == first.clean.rows - 1
    assert any("dropped" in warning for warning in other.warnings)
    raw.loc[0, "AGE"] = "50" if raw.loc[0, "AGE"] != "50" else "51"
    raw.to_csv(file, index=False)
    assert ingest(usecase, file, home).raw.hash != first.raw.hash


def test_formats_give_the_same_clean_snapshot(
    usecase: UseCase, make_usecase: Make, make_rows: Make, home: Home, tmp_path: Path
) -> None:
    import sqlite3

    raw = make_rows(200)
    raw.to_csv(tmp_path / "f.csv", index=False)
    raw.to_csv(tmp_path / "f.csv.gz", index=False)
    typed = raw.astype({"AGE": "int64", "LIMIT": "float64", "EDU": "int8", "NOTE": "float64"})
    typed.to_parquet(tmp_path / "f.parquet")
    with sqlite3.connect(tmp_path / "f.db") as connection:
        typed.to_sql("loans", connection, index=False)
    hashes = {
        name: snapshots.read(ingest(usecase, str(tmp_path / name), home).clean, home)
        for name in ("f.csv", "f.csv.gz", "f.parquet")
    }
    sql = make_usecase(source={"location": f"sqlite:///{tmp_path}/f.db", "table": "loans"})
    hashes["sql"] = snapshots.read(ingest(sql, None, home).clean, home)
    for frame in hashes.values():
        pd.testing.assert_frame_equal(frame, hashes["f.csv"])


def test_ragged_rows_are_quarantined(usecase: UseCase, home: Home, file: str) -> None:
    lines = Path(file).read_text().splitlines()
    lines[41] += ",surplus"
    Path(file).write_text("\n".join(lines))
    found = ingest(usecase, file, home)
    assert found.quarantine is not None
    refused = pd.read_csv(found.quarantine, index_col="row")
    assert refused.loc[40, "reason"] == "row has 8 cells, 7 expected"
    assert found.raw.rows == 300


def edited(raw: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    return raw.assign(**{n: pd.Series(v, index=raw.index, dtype="str") for n, v in columns.items()})


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda f: f[:0], "a header and no rows"),
        (lambda f: f.drop(columns="LIMIT"), "'LIMIT' is missing"),
        (lambda f: f.rename(columns={"LIMIT": "LIMIT_EUR"}), "'LIMIT' is missing"),
        (lambda f: f.drop(columns="Y"), "target column 'Y' is missing"),
        (lambda f: f.assign(Y="7"), "300 of 300 rows"),
        (lambda f: f.assign(Y="1"), "only one class"),
        (lambda f: f.assign(key="same"), "the same id"),
        (lambda f: f[10:21], "11 rows are too few"),
        (lambda f: edited(f, AGE="text", LIMIT="text", EDU="text", NOTE="text"), "300 of 300"),
        (lambda f: edited(f, LIMIT="inf", NOTE="-inf"), "LIMIT: infinite value"),
        (lambda f: edited(f, LIMIT=None), "required column 'LIMIT' is missing in all"),
    ],
)
def test_refused_input_leaves_nothing(
    *,
    usecase: UseCase,
    home: Home,
    tmp_path: Path,
    raw: pd.DataFrame,
    spoil: Callable[[pd.DataFrame], pd.DataFrame],
    what: str,
) -> None:
    path = tmp_path / "spoilt.csv"
    spoil(raw).to_csv(path, index=False)
    with pytest.raises(InputRefused) as refused:
        ingest(usecase, str(path), home)
    assert what in str(refused.value)
    assert refused.value.exit_code == 2
    assert stored(home) == {}


def test_no_source_at_all(make_usecase: Make, home: Home) -> None:
    with pytest.raises(InputRefused, match="no data is named"):
        ingest(make_usecase(source={}), None, home)


def test_the_simulated_default(home: Home) -> None:
    simulated = load_usecase("credit_assessment", home)
    rows = simulated.source.rows
    first = ingest(simulated, None, home)
    assert (first.report["read"], first.report["refused"]) == (rows, 0)
    assert 0.05 < first.report["bads"] / rows < 0.5
    before = stored(home)
    assert ingest(simulated, None, home).clean == first.clean
    assert stored(home).keys() == before.keys()


def test_location_of_the_use_case(
    make_usecase: Make, home: Home, file: str, tmp_path: Path
) -> None:
    there = make_usecase(source={"location": os.path.relpath(file)})
    assert ingest(there, None, home).raw.rows == 300
    with pytest.raises(InputRefused, match="doesn't exist"):
        ingest(there, str(tmp_path / "absent.csv"), home)


REAL = {
    # rows, bads, repeated rows: shared/data/README.md
    "credit_assessment": ("taiwan_credit_card/UCI_Credit_Card.csv", 30_000, 6_636, 35),
    "german_credit": ("german_credit/german.data", 1_000, 300, 0),
    "company_credit": ("polish_bankruptcy/1year.arff", 7_027, 271, 82),
    "give_me_some_credit": ("give_me_some_credit/cs-training.csv.gz", 150_000, 10_026, 609),
}


@pytest.mark.parametrize("name", REAL)
def test_real_data_through_the_shipped_use_cases(name: str, home: Home, shared_data: Path) -> None:
    path, rows, bads, repeats = REAL[name]
    report = ingest(load_usecase(name, home), str(shared_data / path), home).report
    assert (report["read"], report["refused"]) == (rows, 0)
    assert (report["bads"], report["duplicates"]) == (bads, repeats)


def test_real_codes_and_missing_cells(home: Home, shared_data: Path) -> None:
    path = shared_data / REAL["give_me_some_credit"][0]
    report = ingest(load_usecase("give_me_some_credit", home), str(path), home).report
    assert report["missing"]["MonthlyIncome"] == 29_731
    assert report["missing"]["NumberOfDependents"] == 3_924
    late = report["sentinels"]["NumberOfTimes90DaysLate"]
    assert sum(late.values()) == 269


def test_rows_that_tell_of_each_other_are_counted(
    make_usecase: Make, make_rows: Make, home: Home, tmp_path: Path
) -> None:
    """Side by side in one part without time; across the date, told with their number."""
    raw = make_rows(300)
    later = raw.assign(
        key="x" + raw["key"], WHEN="2021-06-01", Y=raw["Y"].map({"0": "1", "1": "0"})
    )
    path = tmp_path / "twins.csv"
    pd.concat([raw, later[:60]]).to_csv(path, index=False)
    found = ingest(make_usecase(), str(path), home)
    kin = found.report["kin"]
    assert (kin["alike"], kin["alike_differing"]) == (120, 120)
    assert (kin["twins"], kin["relatives"]) == (0, None)
    timed = make_usecase(
        time="WHEN", group="EDU", split={"kind": "out_of_time", "test_from": "2021-01-01"}
    )
    found = ingest(timed, str(path), home)
    kin = found.report["kin"]
    assert (kin["test_rows"], kin["twins"], kin["relatives"]) == (60, 60, 60)
    assert any(
        "60 of 60 test rows have a twin (alike in all features) in training, 60 a relative (same "
        "EDU)" in warning
        for warning in found.warnings
    )
