"""What cells and sources get that could be read in two ways: ``check``, line by line."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from riskwright.home import Home
from riskwright_flows.cli import app

ROWS = 400
PLAIN: dict[str, Any] = {
    "name": "mine",
    "title": "Mine",
    "question": "Who defaults?",
    "source": {"location": "nowhere.csv"},
    "id": "cust",
    "target": {"column": "status", "bad": 1, "good": 0},
    "columns": {
        "cust": {"type": "text"},
        "income": {"type": "number", "min": 0},
        "late": {"type": "integer"},
        "country": {"type": "category", "values": ["DE", "FR", "US"]},
        "status": {"type": "category", "values": [0, 1]},
    },
}


def table(rows: int = ROWS) -> pd.DataFrame:
    """Rows that nothing is wrong with."""
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "cust": [f"c{i:04}" for i in range(rows)],
            "income": rng.uniform(1e4, 9e4, rows).round(2),
            "late": rng.integers(0, 5, rows),
            "country": rng.choice(["DE", "FR", "US"], rows),
            "status": (rng.uniform(size=rows) < 0.3).astype(int),
        }
    )


def spec(folder: Path, **changes: Any) -> str:
    """Write the use case with some keys replaced; return its path."""
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(PLAIN | changes, sort_keys=False), encoding="utf-8")
    return str(path)


def check(
    capsys: pytest.CaptureFixture[str], usecase: str, data: object = None
) -> tuple[int, dict[str, Any], str]:
    """Run ``check --json``; return its exit code, its answer and all that was printed."""
    arguments = ["check", usecase, "--json", *(["--data", str(data)] if data else [])]
    with pytest.raises(SystemExit) as ended:
        app(arguments)
    told = capsys.readouterr()
    assert "Traceback" not in told.out + told.err
    text = told.out.strip() or told.err.strip()
    return int(ended.value.code or 0), json.loads(text), told.out + told.err


@pytest.mark.parametrize(
    "query",
    [
        "with x as (select 1) delete from loans",
        "select * from loans; delete from loans",
        "-- harmless\nwith x as (select 1) update loans set income = 0",
    ],
)
def test_a_source_that_would_write(
    query: str, home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect(tmp_path / "f.db") as connection:
        table().to_sql("loans", connection, index=False)
    before = (tmp_path / "f.db").read_bytes()
    location = f"sqlite:///{tmp_path}/f.db"
    usecase = spec(tmp_path, source={"location": location, "table": query})
    code, answer, _ = check(capsys, usecase)
    assert code == 2
    assert answer["error"] == "InputRefused"
    assert (tmp_path / "f.db").read_bytes() == before


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://127.0.0.1:1/base?user=u&password=s3cret",
        "http://user:s3cret@127.0.0.1:1/f.csv",
        "http://127.0.0.1:1/f.csv?password=s3cret",
    ],
)
def test_an_address_with_a_password(
    address: str, home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for usecase, data in (
        (spec(tmp_path), address),
        (spec(tmp_path, source={"location": address, "table": "loans"}), None),
    ):
        code, answer, told = check(capsys, usecase, data)
        assert code == 2
        assert "holds a password" in answer["what"]
        assert "s3cret" not in told


def twice_parquet(folder: Path) -> Path:
    frame = table()
    import pyarrow as pa
    from pyarrow import parquet

    arrays = [pa.array(frame[name]) for name in frame]
    again = pa.table([*arrays, arrays[1]], names=[*frame, "income"])
    parquet.write_table(again, folder / "t.parquet")
    return folder / "t.parquet"


def twice_csv(folder: Path) -> Path:
    frame = table()
    frame.assign(again=frame["income"]).rename(columns={"again": "income"}).to_csv(
        folder / "t.csv", index=False
    )
    return folder / "t.csv"


def twice_by_rename(folder: Path) -> Path:
    frame = table()
    frame.assign(revenue=frame["income"] * 12).to_parquet(folder / "r.parquet", index=False)
    return folder / "r.parquet"


def twice_by_join(folder: Path) -> str:
    frame = table()
    with sqlite3.connect(folder / "t.db") as connection:
        frame.to_sql("loans", connection, index=False)
        frame[["cust", "income"]].to_sql("customers", connection, index=False)
    return f"sqlite:///{folder}/t.db"


@pytest.mark.parametrize("make", [twice_parquet, twice_csv, twice_by_rename, twice_by_join])
def test_two_columns_of_one_name(
    make: Any, home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = {
        "location": "nowhere.csv",
        "table": "SELECT * FROM loans l JOIN customers c ON l.cust = c.cust",
        "rename": {"revenue": "income"} if make is twice_by_rename else {},
    }
    code, answer, _ = check(capsys, spec(tmp_path, source=source), make(tmp_path))
    assert code == 2
    key = "column 'cust' occurs twice, " if make is twice_by_join else ""
    assert answer["what"] == f"{key}column 'income' occurs twice in the header"


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("opened", "today", "opened: not a date such as 2024-01-31"),
        ("opened", "now", "opened: not a date such as 2024-01-31"),
        ("opened", "9999-12-31", "opened: a date that stands for none"),
        ("opened", "1900-01-01", "opened: a date that stands for none"),
        ("late", "1_2", "late: not a number"),
        ("late", "0x10", "late: not a number"),
        ("late", "\uff11\uff12", "late: not a number"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_cells_that_are_none(
    kind: str,
    column: str,
    cell: str,
    reason: str,
    home: Home,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    columns = PLAIN["columns"] | {"opened": {"type": "date"}}
    frame = table().assign(opened="2024-01-31").astype({"late": "str"})
    frame.loc[:9, column] = cell
    if kind == "csv":
        frame.to_csv(tmp_path / "t.csv", index=False)
    else:
        frame.to_parquet(tmp_path / "t.parquet", index=False)
    code, answer, _ = check(capsys, spec(tmp_path, columns=columns), tmp_path / f"t.{kind}")
    assert code == 0
    assert answer["report"]["reasons"] == {reason: 10}
    assert answer["report"]["accepted"] + answer["report"]["refused"] == ROWS


@pytest.mark.parametrize("second", ['"5 inch', '5 inch"'])
def test_a_quote_that_swallows_rows(
    second: str, home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = table().assign(note="fine")
    frame.loc[[100, 140], "note"] = ['"5 inch', second]
    lines = [",".join(map(str, row)) for row in [list(frame), *frame.to_numpy().tolist()]]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    code, answer, _ = check(capsys, spec(tmp_path), tmp_path / "t.csv")
    assert code == 2
    assert "opened and never closed" in answer["what"]
    assert "line 102: 41 lines" in answer["where"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("values: [DE, null]", "put it in quotes"),
        ("values: [DE, FR, US]\nfamilies: {scorecard: {params: {x: no}}}", "write true or false"),
    ],
)
def test_yaml_that_says_two_things(
    text: str, word: str, home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(spec(tmp_path))
    written = path.read_text(encoding="utf-8")
    countries = "    values:\n    - DE\n    - FR\n    - US\n"
    first, _, rest = text.partition("\n")
    assert countries in written
    path.write_text(written.replace(countries, f"    {first}\n") + rest, encoding="utf-8")
    code, answer, _ = check(capsys, str(path))
    assert code == 2
    assert word in answer["what"]


def test_nearly_all_rows_alike(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows alike stay together: wherever they go, a part is left without rows."""
    frame = table(3000)
    frame.loc[300:, ["income", "late", "country"]] = [20_000.0, 1, "DE"]
    path = tmp_path / "in.csv"
    frame.to_csv(path, index=False)
    code, told, _ = check(capsys, spec(tmp_path), path)
    assert code == 2
    assert "the test part is nearly" in told["what"]
    assert "split.test_share is 20%" in told["what"]
    assert "split.key" in told["do"]
