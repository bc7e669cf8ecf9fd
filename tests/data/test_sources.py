"""Every format gives the same chunks, and every broken file a refusal that says why."""

from __future__ import annotations

import gzip
import os
import shutil
import sqlite3
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from needed import lacking
from tiny import tiny_text

from riskwright.case.files import Written
from riskwright.case.select import one_select
from riskwright.case.usecase import Source, parse_usecase
from riskwright.data.databases import refuse_secrets
from riskwright.data.public import download
from riskwright.data.sources import FAULT, local_file, read_chunks
from riskwright.errors import InputRefused, Unavailable
from riskwright.home import Home
from riskwright.life.specification import freeze
from riskwright_flows.runtime import run

COLUMNS = ["a", "b", "c"]
ROWS = [["1", "x", "2.5"], ["2", None, "-1e3"], ["3", "z,\n z", "7"]]
CSV = 'a,b,c\n1,x,2.5\n2,NA,-1e3\n3,"z,\n z",7\n'


def read(path: object, rows: int = 100_000, columns: list[str] = COLUMNS, **how: Any) -> Any:
    return list(read_chunks(Source(**how), str(path), columns=columns, rows=rows))


def cells(frames: list[pd.DataFrame]) -> list[list[str | None]]:
    whole = pd.concat(frames)
    assert whole.index.name == "row"
    assert whole.index.tolist() == list(range(len(whole)))
    return [[None if pd.isna(v) else v for v in row] for row in whole.to_numpy().tolist()]


def gz(path: Path, data: bytes) -> None:
    path.write_bytes(gzip.compress(data, mtime=0))


def zipped(path: Path, data: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.csv", data)
        archive.writestr("__MACOSX/._inner.csv", b"rubbish")


@pytest.mark.parametrize(
    ("name", "data", "how"),
    [
        ("plain.csv", CSV.encode(), {}),
        ("bom.csv", b"\xef\xbb\xbf" + CSV.encode(), {}),
        ("windows.csv", CSV.replace("7\n", "7\r\n").encode(), {}),
        ("blank_lines.csv", CSV.replace("2.5\n", "2.5\n\n").encode(), {}),
        ("no_end.csv", CSV.rstrip().encode(), {}),
        ("semicolon.txt", CSV.replace(",", ";").replace("z;", "z,").encode(), {"delimiter": ";"}),
        ("headerless.data", CSV.partition("\n")[2].encode(), {"header": False}),
        ("renamed.csv", CSV.replace("a,", ",", 1).encode(), {"rename": {"": "a"}}),
        ("utf16.csv", CSV.encode("utf-16"), {"encoding": "utf-16"}),
        ("quoted_header.csv", CSV.replace("a,b", '"a","b"').encode(), {}),
    ],
)
@pytest.mark.parametrize("pack", [None, gz, zipped])
def test_csv_in_all_its_forms(
    tmp_path: Path, name: str, data: bytes, how: dict[str, Any], pack: Callable[..., None] | None
) -> None:
    path = tmp_path / name
    if pack is None:
        path.write_bytes(data)
    else:
        path = path.with_name(name + (".gz" if pack is gz else ".zip"))
        pack(path, data)
    assert cells(read(path, **how)) == ROWS
    assert cells(read(path, rows=2, **how)) == ROWS


def test_line_ends_of_the_classic_mac(tmp_path: Path) -> None:
    path = tmp_path / "mac.csv"
    path.write_bytes(b"a,b,c\r1,x,2.5\r2,,-1e3\r")
    assert cells(read(path)) == ROWS[:2]


def test_latin_1_in_the_declared_encoding_only(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("a,b,c\n1,Müller,3\n".encode("latin-1"))
    assert cells(read(path, encoding="latin-1")) == [["1", "Müller", "3"]]
    with pytest.raises(InputRefused, match="not text in 'utf-8-sig'") as refused:
        read(path)
    assert "latin-1" in refused.value.do


def test_a_bad_byte_late_in_the_file_is_found_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    body = b"a,b,c\n" + b"1,x,2\n" * 300_000
    path.write_bytes(body + b"1,\xff,2\n")
    with pytest.raises(InputRefused, match="not text") as refused:
        read(path)
    assert "near row " in refused.value.where


def test_ragged_rows_keep_their_place_and_are_marked(tmp_path: Path) -> None:
    path = tmp_path / "ragged.csv"
    path.write_text("a,b,c\n1,x,2\n2,y,3,extra\n3\n4,z,5\n")
    whole = pd.concat(read(path, rows=2))
    assert whole.index.tolist() == [0, 1, 2, 3]
    assert whole[FAULT].dropna().to_dict() == {
        1: "row has 4 cells, 3 expected",
        2: "row has 1 cells, 3 expected",
    }
    assert whole.loc[3, COLUMNS].tolist() == ["4", "z", "5"]


def test_a_ragged_row_far_down_changes_nothing_before_it(tmp_path: Path) -> None:
    path = tmp_path / "far.csv"
    n = 900_000  # more than one of the fast reader's blocks
    path.write_text("a,b,c\n" + "10,xx,2000\n" * n + "1,2\n" + "4,z,5\n")
    frames = read(path)
    assert [f.index[0] for f in frames] == [*range(0, n, 100_000), n]
    assert sum(map(len, frames)) == n + 2
    assert frames[-1][FAULT].isna().tolist() == [False, True]
    assert all(FAULT not in f for f in frames[:-1])


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"], "c": [2.5, np.nan, 7.0]})


def test_parquet_keeps_types_and_one_type_over_chunks(tmp_path: Path, frame: pd.DataFrame) -> None:
    big = 2**60 + 1
    frame["a"] = pd.array([big, 2, None], dtype="Int64")
    frame["flag"] = [True, False, True]
    frame["kind"] = pd.Categorical(["u", "v", "u"])
    frame["when"] = pd.to_datetime(["2020-01-01", None, "2020-01-03"])
    frame.to_parquet(tmp_path / "f.parquet", row_group_size=1)
    parts = read(tmp_path / "f.parquet", rows=1)
    assert len({tuple(map(str, p.dtypes)) for p in parts}) == 1
    whole = pd.concat(parts)
    assert whole["a"].tolist()[0] == big
    assert whole["flag"].tolist() == [1, 0, 1]
    assert whole["kind"].tolist() == ["u", "v", "u"]
    assert whole["c"].isna().tolist() == [False, True, False]
    assert whole.index.tolist() == [0, 1, 2]


def test_parquet_of_lists_is_refused_only_where_wanted(tmp_path: Path) -> None:
    path = tmp_path / "lists.parquet"
    pd.DataFrame({"a": [1], "d": [[1, 2]]}).to_parquet(path)
    assert list(read(path)[0].columns) == ["a"]
    with pytest.raises(InputRefused, match="column 'd' holds list"):
        read(path, columns=["a", "d"])


@pytest.fixture
def sqlite(tmp_path: Path, frame: pd.DataFrame) -> str:
    with sqlite3.connect(tmp_path / "f.db") as connection:
        frame.to_sql("my table", connection, index=False)
        connection.execute("CREATE TABLE hollow (a TEXT)")
    return f"sqlite:///{tmp_path}/f.db"


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("my table", [["1", "x", "2.5"], ["2", None, None], ["3", "z", "7.0"]]),
        ('SELECT c AS c, a FROM "my table" WHERE a > 2', [["7.0", "3"]]),
    ],
)
def test_sql_table_and_select(sqlite: str, table: str, expected: list[list[str]]) -> None:
    assert cells(read(sqlite, table=table, rows=2)) == expected


ARFF = """% a comment
@RELATION 'a relation'
@attribute a numeric
@ATTRIBUTE 'b b' {x, 'y z'}
@attribute c real
@data
% another
1,x,2.5
2,?,-1e3

3,'y z',7
"""


def test_arff(tmp_path: Path) -> None:
    path = tmp_path / "f.arff"
    path.write_text(ARFF)
    frames = read(path, rename={"b b": "b"})
    assert list(frames[0].columns) == COLUMNS
    assert cells(frames) == [["1", "x", "2.5"], ["2", None, "-1e3"], ["3", "y z", "7"]]


@pytest.mark.parametrize(
    ("name", "data", "how", "what"),
    [
        ("empty.csv", b"", {}, "the file is empty"),
        ("blank.csv", b"\n \n", {}, "the file is empty"),
        ("header.csv", b"a,b,c\n", {}, "a header and no rows"),
        ("header.csv.gz", gzip.compress(b"a,b,c\n", mtime=0), {}, "a header and no rows"),
        ("noise.csv", np.random.default_rng(0).bytes(20_000), {}, "binary, not text"),
        ("short_noise.csv", bytes(range(128, 228)), {}, "not text"),
        ("nul.csv", b"a,b,c\n1,\0,3\n", {}, "binary"),
        ("table.csv", b"PAR1....", {}, "looks like a Parquet file"),
        ("book.csv", b"PK\x03\x04....", {}, "Excel"),
        ("wide.csv", "a,b,c\n1,2,3\n".encode("utf-16"), {}, "looks like text in utf-16"),
        ("not.csv.gz", b"a,b,c\n1,2,3\n", {}, "can't be unpacked"),
        ("cut.csv.gz", gzip.compress(CSV.encode() * 9, mtime=0)[:-9], {}, "can't be unpacked"),
        ("not.csv.zip", b"a,b,c\n1,2,3\n", {}, "can't be unpacked"),
        ("tabs.csv", b"a\tb\tc\n1\t2\t3\n", {}, r"wrong delimiter.* seems to use '\\t'"),
        ("semi.csv", b"a;b;c\n1;2;3\n", {}, "wrong delimiter.* seems to use ';'"),
        ("rows.csv", b"1;2;3\n", {"header": False}, "wrong delimiter.* seems to use ';'"),
        ("few.csv", b"1,2\n3,4\n", {"header": False}, "first row has 2 cells, 3 columns"),
        ("twice.csv", b"a,b,a\n1,2,3\n", {}, "'a' occurs twice"),
        ("open.csv", b'a,b,c\n1,2,"3\n4,5,6\n', {}, "opened and never closed"),
        ("long.csv", b'a,b,c\n1,2,"' + b"3\n" * 5_000_000, {}, "can't be split into cells"),
        ("delimiter.csv", b"a,b,c\n1,2,3\n", {"delimiter": "||"}, "not one character"),
        ("rubbish.parquet", b"nothing of the kind", {}, "not readable as Parquet"),
        ("noise.arff", b"\0\1\2" * 50, {}, "binary"),
        ("no_data.arff", b"@relation r\n@attribute a numeric\n", {}, "not ARFF"),
        ("no_rows.arff", b"@relation r\n@attribute a numeric\n@data\n", {}, "no rows"),
        ("sparse.arff", b"@attribute a numeric\n@data\n{0 1}\n", {}, "sparse"),
        ("bad.arff", b"@attribute a\n@data\n1\n", {}, "not an ARFF attribute"),
    ],
)
def test_faulty_files_are_refused(
    tmp_path: Path, name: str, data: bytes, how: dict[str, Any], what: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputRefused, match=what) as refused:
        read(path, **how)
    assert name in str(refused.value) or "delimiter" in refused.value.where
    assert refused.value.expected or refused.value.do


def test_missing_file_offers_the_closest(tmp_path: Path) -> None:
    (tmp_path / "loans.csv").write_text(CSV)
    with pytest.raises(InputRefused, match="doesn't exist") as refused:
        read(tmp_path / "loan.csv")
    assert "loans.csv" in refused.value.do
    with pytest.raises(InputRefused, match="a folder was given"):
        read(tmp_path)


def test_empty_parquet(tmp_path: Path) -> None:
    pd.DataFrame({"a": pd.Series([], dtype="float64")}).to_parquet(tmp_path / "f.parquet")
    with pytest.raises(InputRefused, match="no rows"):
        read(tmp_path / "f.parquet")


def test_two_files_in_a_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as archive:
        archive.writestr("one.csv", CSV)
        archive.writestr("two.csv", CSV)
    with pytest.raises(InputRefused, match="holds 2 files"):
        read(tmp_path / "f.zip")


@pytest.fixture
def postgres() -> Iterator[str]:
    """Start a PostgreSQL server of its own, where its programs are installed."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin/initdb"), shutil.which("initdb")]
    programs = next((Path(p).parent for p in found if p), None)
    if programs is None:
        lacking("postgres", "PostgreSQL is not installed")
    user = "nobody" if os.geteuid() == 0 else None  # it refuses to run as root
    with tempfile.TemporaryDirectory(prefix="pg") as folder:  # a socket's path must be short
        if user is not None:
            shutil.chown(folder, user)
        home = f"{folder}/data"

        def run(*command: str) -> None:
            subprocess.run(command, check=True, capture_output=True, user=user, cwd=folder)

        control = (str(programs / "pg_ctl"), "-D", home, "-w")
        run(str(programs / "initdb"), "-D", home, "-U", "tester", "-A", "trust", "--no-sync")
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        run(*control, "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"postgresql+psycopg2://tester@/postgres?host={folder}"
        finally:
            run(*control, "-m", "immediate", "stop")


@pytest.mark.server
def test_postgresql(postgres: str, frame: pd.DataFrame) -> None:
    import sqlalchemy as sa

    engine = sa.create_engine(postgres)
    frame["when"] = pd.Timestamp("2020-01-31")
    frame["flag"] = [True, False, True]
    frame.to_sql("Loans", engine, index=False)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE SCHEMA s; CREATE TABLE s.more AS SELECT 1.50 AS a"))
    engine.dispose()
    found = cells(read(postgres, table="Loans", rows=2))
    assert found == [
        ["1", "x", "2.5", "2020-01-31 00:00:00", "1"],
        ["2", None, None, "2020-01-31 00:00:00", "0"],
        ["3", "z", "7.0", "2020-01-31 00:00:00", "1"],
    ]
    assert cells(read(postgres, table="s.more")) == [["1.50"]]
    with pytest.raises(InputRefused, match="does not exist") as refused:
        read(postgres, table="absent")
    assert "s3cret" not in str(refused.value)


def test_sql_faults(sqlite: str, tmp_path: Path) -> None:
    for table, what in (("nowhere", "no such table"), ("hollow", "has no rows"), (None, "table")):
        with pytest.raises(InputRefused, match=what):
            read(sqlite, table=table)
    with pytest.raises(InputRefused, match="doesn't exist"):
        read(f"sqlite:///{tmp_path}/other.db", table="t")
    assert not (tmp_path / "other.db").exists()
    (tmp_path / "rubbish.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(InputRefused, match="not a database"):
        read(f"sqlite:///{tmp_path}/rubbish.db", table="t")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg2://user:s3cret@127.0.0.1:1/base",
        "nosuchbase://user:s3cret@127.0.0.1/base",
        "postgresql://user:s3cret@127.0.0.1:port/base",
    ],
)
def test_an_unreachable_database_never_shows_the_password(url: str) -> None:
    with pytest.raises(InputRefused) as refused:
        read(url, table="t", format="sql")
    assert "s3cret" not in str(refused.value)
    assert refused.value.__context__ is None or refused.value.__suppress_context__


def test_a_missing_sqlite_file_is_told_by_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployed run stands in an empty folder: 'cases.db' alone doesn't say which is meant."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputRefused, match="the SQLite file doesn't exist") as refused:
        read("sqlite:///cases.db", table="t", format="sql")
    assert refused.value.where == f"sqlite:///cases.db: {tmp_path / 'cases.db'}"
    assert "sqlite:////four/slashes" in refused.value.do


def test_real_files(shared_data: Path) -> None:
    for name, how, shape in (
        ("german_credit/german.data", {"delimiter": " ", "header": False}, (1000, 21)),
        ("polish_bankruptcy/1year.arff", {}, (7027, 65)),
    ):
        names = [f"c{i}" for i in range(21)]
        assert pd.concat(read(shared_data / name, columns=names, **how)).shape == shape


def test_polish_arff_equals_scipys_reader(shared_data: Path) -> None:
    from scipy.io import arff

    path = shared_data / "polish_bankruptcy" / "1year.arff"
    expected = pd.DataFrame(arff.loadarff(path)[0])
    found = read(path)[0]
    assert list(found.columns) == list(expected.columns)
    numeric = found.drop(columns="class").astype("float64")
    pd.testing.assert_frame_equal(
        numeric, expected.drop(columns="class"), check_index_type=False, check_names=False
    )
    assert found["class"].tolist() == expected["class"].str.decode("ascii").tolist()


@pytest.mark.parametrize(
    "table",
    [
        "-- newest loans\nSELECT * FROM loans",
        "/* all;\nof them */ select * from loans",
        "SELECT\t* FROM loans",
        "(SELECT * FROM loans)",
        " ( \n(select * from loans)) ; -- done",
        "WITH l AS (SELECT * FROM loans) SELECT * FROM l;",
        "SELECT * FROM loans WHERE b <> ':time' AND b <> 'a;b'",
        "SELECT * FROM loans WHERE b <> '50%' AND b <> '%(x)s'",
    ],
)
def test_a_select_is_one_however_it_is_written(tmp_path: Path, table: str) -> None:
    with sqlite3.connect(tmp_path / "f.db") as connection:
        connection.execute("CREATE TABLE loans AS SELECT 1 AS a, 'x' AS b")
    assert cells(read(f"sqlite:///{tmp_path}/f.db", table=table)) == [["1", "x"]]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("loans", None),
        ("select_me", None),
        ("my schema.loans", None),
        ("select 1", "select 1"),
        ("(select 1) union (select 2)", "(select 1) union (select 2)"),
        ("((select ')'))", "select ')'"),
        ("select 1;;\n", "select 1"),
        ("-- a; b\n/* c; */ loans", None),
    ],
)
def test_what_of_a_table_is_a_query(text: str, kept: str | None) -> None:
    assert one_select(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "select 1; delete from loans",
        "select 1; commit; delete from loans",
        "with x as (select 1) select * from x; drop table loans;",
        "select E'\\''; delete from loans --'",  # PostgreSQL's escape ends the text elsewhere
        "select $$'$$; delete from loans --'",
        "select 1 /* /* */ ' */; delete from loans --'",
        "select 1 # '\n; delete from loans -- '",
    ],
)
def test_a_second_statement_is_refused_before_anything_runs(text: str) -> None:
    with pytest.raises(InputRefused, match="more than one statement"):
        one_select(text)


DESTROYS = [
    "with x as (select 1) delete from loans",
    "select 1; delete from loans",
    "-- harmless\nwith x as (select 1) update loans set a = 0",
    "with x as (select 9 as a, 'y' as b) insert into loans select * from x",
]


def test_no_source_can_destroy_in_sqlite(tmp_path: Path) -> None:
    place = tmp_path / "f.db"
    with sqlite3.connect(place) as connection:
        connection.execute("CREATE TABLE loans AS SELECT 1 AS a, 'x' AS b")
    before = place.read_bytes()
    for table in DESTROYS:
        with pytest.raises(InputRefused):
            read(f"sqlite:///{place}", table=table)
        assert place.read_bytes() == before


@pytest.mark.server
def test_no_source_can_destroy_in_postgresql(postgres: str) -> None:
    import sqlalchemy as sa

    engine = sa.create_engine(postgres)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE loans AS SELECT 1 AS a, 'x' AS b"))
        connection.execute(
            sa.text(
                "CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM loans; SELECT 1'"
            )
        )
    for table in [
        *DESTROYS,
        "with gone as (delete from loans returning *) select * from gone",
        "select wipe()",
        "select set_config('transaction_read_only', 'off', false), wipe()",
        "select * into copied from loans",
    ]:
        with pytest.raises(InputRefused):
            read(postgres, table=table)
    assert cells(read(postgres, table="SELECT * FROM loans WHERE b <> ':t' AND b <> '%'")) == [
        ["1", "x"]
    ]
    with engine.begin() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM loans")).scalar() == 1
        assert not sa.inspect(connection).has_table("copied")
    engine.dispose()


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://h/base?user=u&password=s3cret",
        "postgresql://u@h/base?sslmode=require&sslpassword=s3cret",
        "mssql+pyodbc://?odbc_connect=DRIVER%3DX%3BPWD%3Ds3cret",
        "http://user:s3cret@127.0.0.1:1/f.csv",
        "https://127.0.0.1:1/f.csv?token=s3cret",
        "s3://key:s3cret@bucket/f.csv",
        "http://user:s3cret@[::1/f.csv",
        "https://s3cret@127.0.0.1:1/f.csv",
        "https://127.0.0.1:1/f.csv?X-Amz-Credential=s3cret&X-Amz-Expires=60",
        "https://127.0.0.1:1/f.csv?a=1&X-Amz-Signature=s3cret",
        "https://127.0.0.1:1/f.csv?sv=2024&sig=s3cret",
        "https://127.0.0.1:1/f.csv?GoogleAccessId=x&Signature=s3cret",
        "https://127.0.0.1:1/f.csv?subscription-key=s3cret",
        "https://127.0.0.1:1/f.csv#access_token=s3cret",
        "https://127.0.0.1:1/f.csv?v=s3cret0123456789s3cret0123456789",
        "https://127.0.0.1:1/download?resid=AB12&authkey=s3cret",  # OneDrive
        "https://127.0.0.1:1/scl/fi/a/f.csv?rlkey=s3cret&dl=1",  # Dropbox
        "https://127.0.0.1:1/api/f?code=s3cret",  # Azure Functions
        "https://127.0.0.1:1/f.csv?key=AIzaSys3cret0123456789",
        "https://127.0.0.1:1/f.csv?st=2024&se=2025&sp=r&sig=s3cret",
        "https://127.0.0.1:1/f.csv?X-Goog-Signature=s3cret",
        "https://127.0.0.1:1/f.csv?Private-Token=s3cret",
        "https://127.0.0.1:1/get?url=https%3A%2F%2Fh%2Ff.csv%3Fsig%3Ds3cret",
        "postgresql://h/base?passfile=/home/s3cret/.pgpass",
    ],
)
def test_a_password_in_an_address_is_refused_and_never_shown(address: str) -> None:
    with pytest.raises(InputRefused, match="holds a password") as refused:
        read(address, table="t")
    assert "s3cret" not in str(refused.value.as_dict())
    with pytest.raises(InputRefused, match="holds a password"), local_file(address):
        pass


@pytest.mark.parametrize(
    "address",
    [
        "https://h/f.csv?design=1&monkey=2&page=3",
        "https://h/datastore/dump?resource_id=3f2504e0-4f89-41d3-9a0c-0305e82c3301",  # CKAN
        "https://h/get?file=lending_club_loans_2007_to_2018_accepted.csv",
        "https://h/get?path=/data/2023/loans/accepted_2007_to_2018Q4.csv",
        "https://h/get?path=%2Fdata%2F2023%2Floans%2Faccepted_2007_to_2018Q4.csv",
        "https://h/get?dataset=lending-club-loans-2007-to-2018-accepted",
        "https://h/f.csv?sort_key=issue_d&page_token_size=3",
        "https://h/f.csv?key=LOANS",
        "https://h/f.csv?bypass=1",
        "postgresql://h/db?require_auth=scram-sha-256",
        "https://h/f.csv?downloadformat=csv&startdate=2020-01-01&enddate=2024-01-01",
        "https://h/a-quite-long-and-quiet-name-of-a-file-of-2024.csv",
        "postgresql+psycopg2://reader@h/base?sslmode=verify-full&sslrootcert=/etc/ca.pem",
    ],
)
def test_an_address_without_a_secret_is_none(address: str) -> None:
    refuse_secrets(address)


def test_no_secret_of_a_yaml_is_kept_with_a_run(home: Home) -> None:
    text = tiny_text(source={"location": "https://h/f.csv?a=1&X-Amz-Signature=s3cret"})
    usecase = parse_usecase(text, where="tiny.yaml")
    with pytest.raises(InputRefused, match="a signature"):
        freeze(usecase, Written(Path("tiny.yaml"), text, 1, ""), "tiny.yaml", home)
    kept = [path for path in home.root.rglob("*") if path.is_file()]
    assert [path for path in kept if b"s3cret" in path.read_bytes()] == []


def test_no_secret_of_a_command_line_reaches_a_flow() -> None:
    with pytest.raises(InputRefused, match="a signature"):
        run(pytest.fail, "tiny", "https://h/f.csv?sig=s3cret", None)


def test_what_stands_in_a_query_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as failed:
        download("http://127.0.0.1:1/f.csv?d=s3cret", tmp_path / "f.csv")
    assert "s3cret" not in str(failed.value)
    assert "f.csv?…" in failed.value.where
