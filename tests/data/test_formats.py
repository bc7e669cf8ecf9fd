"""A cell means one thing in every format: the same table gives the same snapshot and refusals."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import tempfile
import unicodedata
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from riskwright.case.usecase import Source, UseCase
from riskwright.data.contract import Contract, target_of
from riskwright.data.sources import FAULT, read_chunks
from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.store import snapshots

Make = Callable[..., Any]
Rows = list[dict[str, Any]]
KINDS = {
    "key": pa.string(),
    "AGE": pa.int64(),
    "LIMIT": pa.float64(),
    "EDU": pa.string(),
    "WHEN": pa.timestamp("ns"),
    "Y": pa.bool_(),
}
day = dt.datetime.fromisoformat
MISSING = ("", "NA", "NaN", "nan", "null", "?", "-999", "9999-12-31")


@pytest.fixture(scope="module")
def usecase(make_usecase: Make) -> UseCase:
    return make_usecase(
        source={"location": "nowhere.csv", "missing": list(MISSING)},
        columns={
            "key": {"type": "text"},
            "AGE": {"type": "integer", "min": -2000, "max": 99},
            "LIMIT": {"type": "number"},
            "EDU": {"type": "category", "values": ["é", "NA", "2", "true"]},
            "WHEN": {"type": "date", "required": False},
            "Y": {"type": "category", "values": [0, 1]},
        },
    )


def plain(value: Any) -> str:
    """How a program writes a typed value into a text file."""
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    return repr(value) if isinstance(value, float) else str(value)


def to_csv(rows: Rows, folder: Path) -> str:
    pd.DataFrame([{n: plain(v) for n, v in row.items()} for row in rows]).to_csv(
        folder / "t.csv", index=False
    )
    return str(folder / "t.csv")


def to_parquet(rows: Rows, folder: Path) -> str:
    """Typed where all cells of a column are of its type, else text."""
    arrays = {}
    for name, kind in KINDS.items():
        cells = [row[name] for row in rows]
        try:
            arrays[name] = pa.array(cells, kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            arrays[name] = pa.array([None if c is None else plain(c) for c in cells], pa.string())
    parquet.write_table(pa.table(arrays), folder / "t.parquet")
    return str(folder / "t.parquet")


def to_sqlite(rows: Rows, folder: Path) -> str:
    """SQLite gives each cell its own type."""
    with sqlite3.connect(folder / "t.db") as connection:
        connection.execute(f"CREATE TABLE t ({', '.join(map(repr, KINDS))})")
        connection.executemany(
            f"INSERT INTO t VALUES ({', '.join('?' * len(KINDS))})",
            [[plain(v) if isinstance(v, dt.datetime) else v for v in row.values()] for row in rows],
        )
    connection.close()
    return f"sqlite:///{folder}/t.db"


def to_arff(rows: Rows, folder: Path) -> str:
    def cell(value: Any) -> str:
        text = plain(value).replace("\\", "\\\\").replace("'", "\\'")
        return "?" if value is None else f"'{text}'"

    lines = ["@relation t", *(f"@attribute {name} string" for name in KINDS), "@data"]
    lines += [",".join(map(cell, row.values())) for row in rows]
    (folder / "t.arff").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder / "t.arff")


def to_json(rows: Rows, folder: Path) -> list[pd.DataFrame]:
    """The records of a request, as the served model gets them."""
    text = json.dumps(rows, default=plain)
    return [pd.DataFrame(json.loads(text)).rename_axis("row")]


def taken_in(
    usecase: UseCase, location: str | list[pd.DataFrame], home: Home
) -> tuple[str, list[Any]]:
    """Return the hash of what is accepted, and the refusals."""
    source = usecase.source.model_copy(update={"table": "SELECT * FROM t ORDER BY rowid"})
    contract = Contract(usecase, "train")
    chunks: Iterable[pd.DataFrame] = (
        read_chunks(source, location, columns=usecase.columns, rows=9)
        if isinstance(location, str)
        else location
    )
    parts = [contract.apply(chunk) for chunk in chunks]
    accepted = pd.concat([p.accepted for p in parts])
    refused = pd.concat([p.refused for p in parts])
    assert contract.accepted + contract.refused == contract.read == len(accepted) + len(refused)
    written = snapshots.write(accepted, home, kind="clean")
    return written.hash, refused[["row", "reason"]].to_numpy().tolist()


def same_in_all(usecase: UseCase, rows: Rows) -> list[Any]:
    rows = [{name: row[name] for name in KINDS} for row in rows]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = Home(folder / "home")
        found = {
            make.__name__: taken_in(usecase, make(rows, folder), home)
            for make in (to_csv, to_parquet, to_sqlite, to_arff, to_json)
        }
    first = found["to_csv"]
    for name, other in found.items():
        assert other == first, name
    return first[1]


words = st.text("aéz,;'\"NO 01", min_size=1, max_size=6).map(str.strip).filter(bool)
ids = st.one_of(
    words,
    st.integers(0, 10**22).map(str),
    st.sampled_from(["007", "1e5", "1.10", "e\u0301", "é"]),
)
ages = st.one_of(st.none(), st.integers(-3, 120), st.sampled_from([-999, 2**53 + 1, True, False]))
limits = st.one_of(
    st.none(), st.floats(allow_nan=False, allow_infinity=True), st.sampled_from([-999.0, 0.1])
)
codes = st.sampled_from(["é", "e\u0301", "NA", "2", "2.0", "7", "true", "True", "", None])
days = st.one_of(
    st.none(),
    st.datetimes(day("1900-01-01"), day("2200-01-01")),
    st.sampled_from([day("9999-12-31"), day("1900-01-01T12:00")]),
)
odd = st.sampled_from(["x", "1_2", "0x10", "１２", "today", "now", "1,5", "--1", " 3 ", "+5."])
tables = st.lists(
    st.fixed_dictionaries(
        {
            "key": ids,
            "AGE": st.one_of(ages, ages, odd),
            "LIMIT": st.one_of(limits, limits, odd),
            "EDU": codes,
            "WHEN": st.one_of(days, days, odd),
            "Y": st.booleans(),
        }
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=5, deadline=None, phases=[Phase.generate])
@given(tables)
def test_the_same_table_in_every_format(usecase: UseCase, rows: Rows) -> None:
    same_in_all(usecase, rows)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(tables)
def test_many_tables_in_every_format(usecase: UseCase, rows: Rows) -> None:
    same_in_all(usecase, rows)


def test_what_is_refused_is_refused_in_every_format(usecase: UseCase) -> None:
    good = {"key": "a", "AGE": 3, "LIMIT": 0.1, "EDU": "2", "WHEN": None, "Y": True}
    changed = [
        {"AGE": "1_2"},
        {"AGE": "１２"},
        {"AGE": "0x10"},
        {"WHEN": "today"},
        {"WHEN": day("1900-01-01")},
        {"WHEN": day("9999-12-31")},  # listed as missing: no fault
        {"key": "007"},
        {"key": "7"},
        {"EDU": "NA"},
        {"EDU": "9"},
    ]
    rows = [good | {"key": f"k{i}"} | change for i, change in enumerate(changed)]
    reasons = dict(same_in_all(usecase, rows))
    assert reasons == {
        0: "AGE: '1_2' is not a number",
        1: "AGE: '１２' is not a number",
        2: "AGE: '0x10' is not a number",
        3: "WHEN: 'today' is not a date such as 2024-01-31",
        4: "WHEN: 1900-01-01 stands for no date; list it in source.missing if it means missing",
        9: "EDU: unknown category '9' (allowed é, NA, 2, true)",
    }


def test_ids_are_text_and_a_whole_number_is_one(usecase: UseCase, tmp_path: Path) -> None:
    big = 2**53 + 1
    written = {
        "csv": "1000\n1000.0\n1000.00\n007\n1e3\n9007199254740993\nmu\u0308\n",
        "same": ["1000", "1000", "1000", "007", "1e3", "9007199254740993", "m\u00fc"],
    }
    path = tmp_path / "i.csv"
    path.write_text("key\n" + str(written["csv"]), encoding="utf-8")
    from riskwright.data.parsing import as_text

    def ids_in(location: str, **how: Any) -> list[str]:
        source = usecase.source.model_copy(update=how)
        chunks = list(read_chunks(source, location, columns=["key"]))
        return as_text(pd.concat(chunks)["key"]).tolist()

    assert ids_in(str(path)) == written["same"]
    for array in (
        pa.array([Decimal(big), Decimal(big + 1)], pa.decimal128(20, 0)),
        pa.array([Decimal(big), Decimal(big + 1)], pa.decimal256(60, 0)),
        pa.array([big, big + 1], pa.int64()),
        pa.array([big, big + 1], pa.uint64()),
        pa.array([Decimal(big), Decimal(big + 1)], pa.decimal128(22, 2)),
        pa.array([str(big), str(big + 1)]).dictionary_encode(),
    ):
        parquet.write_table(pa.table({"key": array}), tmp_path / "i.parquet")
        assert ids_in(str(tmp_path / "i.parquet")) == [str(big), str(big + 1)], array.type
    parquet.write_table(pa.table({"key": pa.array([1000.0, None])}), tmp_path / "f.parquet")
    assert ids_in(str(tmp_path / "f.parquet"))[0] == "1000"
    with sqlite3.connect(tmp_path / "i.db") as connection:
        connection.execute("CREATE TABLE t (key)")
        connection.executemany("INSERT INTO t VALUES (?)", [(1000.0,), (1e20,), (-0.0,)])
    found = ids_in(f"sqlite:///{tmp_path}/i.db", table="t")
    assert found == ["1000", str(10**20), "0"]
    parquet.write_table(pa.table({"key": pa.array([1000.0, 1e20, -0.0])}), tmp_path / "f.parquet")
    assert ids_in(str(tmp_path / "f.parquet")) == found


def test_bytes_of_a_database_are_no_cell_where_they_are_wanted(
    usecase: UseCase, tmp_path: Path
) -> None:
    """An id read as "b'x'" is none; Parquet's are refused, and ignored where nobody reads them."""
    with sqlite3.connect(tmp_path / "b.db") as connection:
        connection.execute("CREATE TABLE t (key, other)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [("1", b"x"), (b"x", "1")])
    source = usecase.source.model_copy(update={"table": "t"})
    one, two = read_chunks(source, f"sqlite:///{tmp_path}/b.db", columns=["key"], rows=1)
    assert one["key"].tolist() == ["1"]  # what is there already isn't taken back
    assert two[FAULT].tolist() == ["key: bytes, not a plain value"]
    (both,) = read_chunks(source, f"sqlite:///{tmp_path}/b.db", columns=["key"])
    assert both[FAULT].isna().tolist() == [True, False]
    checked = Contract(usecase, "monitor").apply(both.assign(**{
        n: "1" for n in usecase.columns if n not in both
    }))  # fmt: skip
    assert "key: bytes, not a plain value" in checked.refused["reason"].tolist()
    all_ = source.model_copy(update={"table": "SELECT key FROM t WHERE key <> '1'"})
    with pytest.raises(InputRefused, match="'key' holds bytes, not plain values"):
        list(read_chunks(all_, f"sqlite:///{tmp_path}/b.db", columns=["key"]))
    source = source.model_copy(update={"table": "SELECT key, other FROM t WHERE key = '1'"})
    (chunk,) = read_chunks(source, f"sqlite:///{tmp_path}/b.db", columns=["key"])
    assert chunk["key"].tolist() == ["1"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20),
    st.sampled_from(["", "x", "1_000", "+1", " 2 "]),
)
def test_a_number_is_the_nearest_float_whatever_stands_beside_it(
    values: list[float], beside: str
) -> None:
    from riskwright.data.parsing import numbers

    long = [format(Decimal(v), "f") if abs(v) < 1e30 else repr(v) for v in values]
    for texts in (long, list(map(repr, values))):
        found, bad = numbers(pd.Series([*texts, beside], dtype="str"), ("",))
        assert found.tolist()[:-1] == values
        assert not bad[:-1].any()
        assert bad[-1] == (beside in ("x", "1_000"))


def test_a_name_is_one_however_its_accents_are_stored(make_usecase: Make, tmp_path: Path) -> None:
    composed, apart = "größe", unicodedata.normalize("NFD", "größe")
    usecase = make_usecase(
        columns={
            "key": {"type": "text"},
            composed: {"type": "number"},
            "Y": {"type": "category", "values": [0, 1]},
        }
    )
    path = tmp_path / "n.csv"
    path.write_text(f"key,{apart},Y\na,1,0\nb,2,1\n", encoding="utf-8")
    (chunk,) = read_chunks(usecase.source, str(path), columns=usecase.columns)
    assert Contract(usecase, "train").apply(chunk).accepted[composed].tolist() == [1.0, 2.0]


def test_a_list_as_a_cell_of_a_record_refuses_its_row(usecase: UseCase) -> None:
    good = {"key": "a", "AGE": 3, "LIMIT": 0.1, "EDU": "2", "WHEN": None, "Y": True}
    changes: list[dict[str, Any]] = [{"AGE": [1]}, {"EDU": {"a": 1}}, {"WHEN": []}, {"AGE": "4"}]
    rows = [good | {"key": f"k{i}"} | change for i, change in enumerate(changes)]
    checked = Contract(usecase, "score").apply(pd.DataFrame(rows))
    assert checked.accepted.index.tolist() == [3]
    assert len(checked.refused) == 3


def test_columns_that_nobody_named_refuse_no_file(tmp_path: Path) -> None:
    fine = 1_700_000_000_123_456_789
    extra = {
        "loaded_at": pa.array([fine], pa.timestamp("ns")),
        "on_mars": pa.array([fine], pa.timestamp("ns", "Mars/Phobos")),
        "far": pa.array([2**60], pa.timestamp("ms")),
        "took": pa.array([5], pa.duration("s")),
        "blob": pa.array([b"\xff\x00"]),
        "list": pa.array([[1]]),
        "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int8())),
        "view": pa.array(["x"], pa.string_view()),
        "half": pa.array([1.5], pa.float16()),
        "again": pa.array([1]),
    }
    table = pa.table(
        [pa.array(["1"]), *extra.values(), pa.array([2])], names=["key", *extra, "again"]
    )
    parquet.write_table(table, tmp_path / "t.parquet")
    source = Source(location="x")
    (chunk,) = read_chunks(source, str(tmp_path / "t.parquet"), columns=["key"])
    assert chunk["key"].tolist() == ["1"]
    (chunk,) = read_chunks(source, str(tmp_path / "t.parquet"), columns=["key", "loaded_at"])
    assert chunk["loaded_at"].tolist() == [pd.Timestamp(fine // 1000, unit="us")]


def test_a_truth_value_is_the_code_that_is_declared(make_usecase: Make, tmp_path: Path) -> None:
    pd.DataFrame({"Y": [True, False]}).to_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("Y\nTrue\nFALSE\n", encoding="utf-8")
    for declared, values in ((["1", "0"], [1, 0]), (["true", "false"], [True, False])):
        usecase = make_usecase(
            id=None,
            target={"column": "Y", "bad": values[0], "good": values[1]},
            columns={"Y": {"type": "category", "values": values}, "x": {"type": "number"}},
        )
        for name in ("t.csv", "t.parquet"):
            (chunk,) = read_chunks(usecase.source, str(tmp_path / name), columns=usecase.columns)
            frame = Contract(usecase, "train").apply(chunk.assign(x=1.0)).accepted
            assert frame["Y"].tolist() == declared
            assert target_of(usecase, frame).tolist() == [1, 0]
