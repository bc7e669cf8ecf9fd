"""What bad labels get from 'monitor': docs/reference/bad_input.md, line by line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import Live, applications

from riskwright_flows.cli import app

TARGET = "default.payment.next.month"
ROWS = 500
TABLE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "bad_input.md"

Change = Callable[[pd.DataFrame], pd.DataFrame]


def coded(rows: slice, value: str) -> Change:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.astype({TARGET: object})
        frame.iloc[rows, 1] = value
        return frame

    return change


def ids(change: Callable[[str], str], share: float = 1.0) -> Change:
    def changed(frame: pd.DataFrame) -> pd.DataFrame:
        names = frame["ID"].astype(str)
        return frame.assign(ID=names.map(change).where(np.arange(ROWS) < share * ROWS, names))

    return changed


# Name in the table, what is done to the labels, exit code and words.
FAULTS: list[tuple[str, Change, int, str]] = [
    (
        "labels: the column of ids, or of outcomes, is missing",
        lambda f: f.drop(columns="ID"),
        2,
        "the labels lack the column 'ID'",
    ),
    ("labels: no id is of the batch", ids(lambda i: f"x{i}"), 2, "no label belongs to the batch"),
    (
        "labels: no outcome is declared",
        coded(slice(None), "paid"),
        2,
        "no label is an outcome that the use case declares",
    ),
    (
        "labels: two outcomes for one id",
        lambda f: pd.concat([f, f[:3].assign(**{TARGET: 1 - f[TARGET][:3].astype(int)})]),
        2,
        "3 ids have contradicting labels",
    ),
    (
        "labels: ids of no row, and rows without a label (5 % of both)",
        ids(lambda i: f"x{i}", 0.3),
        3,
        "150 of 500 labels belong to no row of the batch, and 150 of 500 rows have no label",
    ),
    (
        "labels: codes that nobody declared (two, and 0.5 %)",
        coded(slice(0, 40), "W"),
        3,
        "40 of 500 outcomes (8.0%) are in codes that nobody declared ('W': 40)",
    ),
    (
        "labels: one code that nobody declared",
        coded(slice(0, 1), "W"),
        0,
        "1 of 500 outcomes (0.2%) are in codes that nobody declared ('W': 1)",
    ),
    (
        "labels: written 1.0 and 0.0, some empty",
        lambda f: f.assign(**{TARGET: f[TARGET].astype(float).where(np.arange(ROWS) % 9 > 0)}),
        0,
        "56 empty",
    ),
    (
        "labels: an id twice with one outcome, or first open",
        lambda f: pd.concat([f[:5].assign(**{TARGET: ""}), f, f[:7]]),
        0,
        "12 lines of the labels repeat an id",
    ),
]


@pytest.mark.parametrize(("name", "change", "code", "words"), FAULTS, ids=[f[0] for f in FAULTS])
def test_labels(
    name: str,
    change: Change,
    code: int,
    words: str,
    live: Live,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    frame = applications(ROWS, seed=901)
    cases, outcomes = tmp_path / "cases.csv", tmp_path / "outcomes.csv"
    frame.drop(columns=TARGET).to_csv(cases, index=False)
    change(frame[["ID", TARGET]]).to_csv(outcomes, index=False)
    before = len(live.ledger.findings("tiny"))
    with pytest.raises(SystemExit) as ended:
        app(["monitor", "tiny", "--input", str(cases), "--labels", str(outcomes)])
    told = capsys.readouterr()
    said = told.out + told.err
    assert ended.value.code == code, said
    assert words in said
    assert "Traceback" not in said
    assert (len(live.ledger.findings("tiny")) == before) == (code == 2)
    for alert in live.ledger.alerts("tiny"):
        live.ledger.decide_alert(alert.id, "accept", actor="tester", reason="a test of faults")
    documented = TABLE.read_text(encoding="utf-8")
    assert f"| {name} | exit {code}" in documented


def test_json_holds_the_counts(
    live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A column of 1.0, 0.0 and gaps in the batch itself, as pandas writes integers with gaps."""
    frame = applications(ROWS, seed=902)
    known = np.arange(ROWS) % 4 > 0
    bads = int(frame[TARGET].astype(int)[known].sum())
    frame[TARGET] = frame[TARGET].astype(float).where(known)
    cases = tmp_path / "cases.csv"
    frame.to_csv(cases, index=False)
    with pytest.raises(SystemExit) as ended:
        app(["monitor", "tiny", "--input", str(cases), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0, found
    told = found["labels"]
    assert (told["bad"], told["good"]) == (bads, int(known.sum()) - bads)
    assert (told["open"], told["empty"], told["undeclared"]) == (0, ROWS - int(known.sum()), {})
    assert found["verdicts"]["labels"] == "ok"
