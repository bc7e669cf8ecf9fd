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

from flows.cli import app
from riskwright.home import Home

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
