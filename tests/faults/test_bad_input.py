"""What bad input gets: docs/reference/bad_input.md, line by line, through the command line."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from needed import lacking, needs
from place import enter
from tiny import ROWS, Live, applications, tiny_text

from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright_flows.cli import app

TARGET = "default.payment.next.month"
COMMANDS = ("check", "retrain", "score", "monitor")
TABLE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "bad_input.md"

Change = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Fault:
    """A fault, and what each command answers: exit code and a word of its message.

    ``None`` for a command where the fault has no meaning (scoring needs no target).
    """

    name: str
    make: Change | bytes | None
    check: tuple[int, str] | None = None
    retrain: tuple[int, str] | None = None
    score: tuple[int, str] | None = None
    monitor: tuple[int, str] | None = None


def cell(column: str, rows: slice, value: object) -> Change:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.astype({column: object})
        frame.iloc[rows, frame.columns.get_loc(column)] = value
        return frame

    return change


def alike(code: int, word: str) -> dict[str, tuple[int, str]]:
    return dict.fromkeys(COMMANDS, (code, word))


SOME, ALL = slice(0, 12), slice(None)

FAULTS = [
    Fault("missing file", None, **alike(2, "no file|doesn't exist|not found|no such")),
    Fault("empty file", b"", **alike(2, "empty") | {"monitor": (3, "has no rows")}),
    Fault(
        "header only",
        lambda f: f.iloc[:0],
        **alike(2, "no rows|only a header|header") | {"monitor": (3, "has no rows")},
    ),
    Fault("binary rubbish", bytes(range(256)) * 40, **alike(2, "binary|not text|NUL|read")),
    Fault(
        "wrong delimiter", b"ID;LIMIT_BAL;SEX\n1;2;3\n4;5;6\n", **alike(2, "delimiter|separated")
    ),
    Fault(
        "missing column",
        lambda f: f.drop(columns="LIMIT_BAL"),
        check=(2, "'LIMIT_BAL' is missing"),
        retrain=(2, "'LIMIT_BAL' is missing"),
        score=(2, "'LIMIT_BAL' is missing"),
        monitor=(3, "LIMIT_BAL"),
    ),
    Fault(
        "extra column",
        lambda f: f.assign(FAVOURITE_COLOUR="blue"),
        check=(0, "FAVOURITE_COLOUR"),
        retrain=(0, "FAVOURITE_COLOUR"),
        score=(0, "FAVOURITE_COLOUR"),
        monitor=(0, "FAVOURITE_COLOUR"),
    ),
    Fault(
        "renamed column",
        lambda f: f.rename(columns={"LIMIT_BAL": "LIMIT_BALANCE"}),
        check=(2, "did you mean 'LIMIT_BALANCE'"),
        retrain=(2, "did you mean 'LIMIT_BALANCE'"),
        score=(2, "did you mean 'LIMIT_BALANCE'"),
        monitor=(3, "LIMIT_BAL"),
    ),
    Fault(
        "wrong type in some rows",
        cell("BILL_AMT1", SOME, "about a thousand"),
        check=(0, "BILL_AMT1: not a number"),
        retrain=(0, "12 refused"),
        score=(0, "12 refused"),
        monitor=(3, "12 refused"),
    ),
    Fault(
        "wrong type in all rows",
        cell("BILL_AMT1", ALL, "about a thousand"),
        check=(2, "is not a number"),
        retrain=(2, "is not a number"),
        score=(0, "0 scored"),
        monitor=(3, "alert"),
    ),
    Fault(
        "unknown category",
        cell("EDUCATION", SOME, 9),
        check=(0, "EDUCATION: unknown category"),
        retrain=(0, "12 refused"),
        score=(0, "12 refused"),
        monitor=(3, "EDUCATION"),
    ),
    Fault(
        "value out of range",
        cell("PAY_AMT1", SOME, -5),
        check=(0, "below the minimum 0"),
        retrain=(0, "12 refused"),
        score=(0, "12 refused"),
        monitor=(3, "12 refused"),
    ),
    Fault(
        "infinity in some rows",
        cell("BILL_AMT1", SOME, np.inf),
        check=(0, "infinite"),
        retrain=(0, "12 refused"),
        score=(0, "12 refused"),
        monitor=(3, "infinite|infinity"),
    ),
    Fault(
        "infinity in all rows",
        cell("BILL_AMT1", ALL, np.inf),
        check=(2, "infinite"),
        retrain=(2, "infinite"),
        score=(0, "0 scored"),
        monitor=(3, "alert"),
    ),
    Fault(
        "all-missing column, required",
        cell("BILL_AMT1", ALL, None),
        check=(2, "BILL_AMT1"),
        retrain=(2, "BILL_AMT1"),
        score=(0, f"{ROWS:,} scored"),
        monitor=(3, "BILL_AMT1"),
    ),
    Fault(
        "all-missing column, optional",
        cell("EDUCATION", ALL, None),
        check=(0, "EDUCATION: missing in every row, so dropped"),
        retrain=(0, "EDUCATION: missing in every row, so dropped"),
        score=(0, f"{ROWS:,} scored"),
        monitor=(3, "EDUCATION"),
    ),
    Fault(
        "constant column",
        cell("BILL_AMT1", ALL, 100),
        check=(0, "BILL_AMT1"),
        retrain=(0, "BILL_AMT1"),
        score=(0, f"{ROWS:,} scored"),
        monitor=(3, "BILL_AMT1"),
    ),
    Fault(
        "one class only",
        cell(TARGET, ALL, 0),
        check=(2, "class|bad"),
        retrain=(2, "class|bad"),
    ),
    Fault(
        "target absent",
        lambda f: f.drop(columns=TARGET),
        check=(2, "target column"),
        retrain=(2, "target column"),
        score=(0, f"{ROWS:,} scored"),
        monitor=(0, "no labels"),
    ),
    Fault(
        "one id for all rows",
        cell("ID", ALL, 7),
        check=(2, "repeated|same id"),
        retrain=(2, "repeated|same id"),
        score=(0, "refused"),
        monitor=(3, "refused"),
    ),
    Fault(
        "fewer rows than the split needs",
        lambda f: f.iloc[:11],
        check=(2, "rows"),
        retrain=(2, "rows"),
        score=(0, "11 scored"),
        monitor=(0, "not enough data"),
    ),
    Fault(
        "columns in another order",
        lambda f: f[f.columns[::-1]],
        check=(0, f"{ROWS:,} accepted"),
        retrain=(0, f"{ROWS:,} accepted"),
        score=(0, f"{ROWS:,} scored"),
        monitor=(0, "ok"),
    ),
]
CASES = [
    pytest.param(
        fault,
        command,
        id=f"{fault.name}-{command}",
        # An accepted retrain is a whole training.
        marks=[pytest.mark.slow] * (command == "retrain" and getattr(fault, command)[0] == 0),
    )
    for fault in FAULTS
    for command in COMMANDS
    if getattr(fault, command) is not None
]


def write(fault: Fault, folder: Path) -> Path:
    path = folder / "cases.csv"
    if isinstance(fault.make, bytes):
        path.write_bytes(fault.make)
    elif fault.make is not None:
        fault.make(applications(ROWS)).to_csv(path, index=False)
    return path


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        app(arguments)
    told = capsys.readouterr()
    return int(ended.value.code or 0), told.out + told.err


def untrained(live: Live, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Give a home that knows the use case and holds no version of it."""
    fresh = Home(folder).create()
    Ledger.open(fresh, create=True)
    shutil.copy(live.yaml, fresh.folder("usecases"))
    enter(fresh, monkeypatch)
    return fresh


def versions(home: Home) -> list[Any]:
    return Ledger.open(home).versions("tiny")


@pytest.mark.parametrize(("fault", "command"), CASES)
def test_fault(
    fault: Fault,
    command: str,
    live: Live,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, word = getattr(fault, command)
    home = live.home
    if command == "retrain" and code == 0:
        home = untrained(live, tmp_path_factory.mktemp("untrained") / "home", monkeypatch)
    file, output = write(fault, tmp_path), tmp_path / "scores.csv"
    before = versions(home)
    arguments = {
        "check": ["check", "tiny", "--data", str(file)],
        "retrain": ["retrain", "tiny", "--data", str(file)],
        "score": ["score", "tiny", "--input", str(file), "--output", str(output)],
        "monitor": ["monitor", "tiny", "--input", str(file)],
    }[command]
    got, told = run(arguments, capsys)
    assert got == code, told
    assert re.search(word, told), told
    assert "Traceback" not in told
    if home is live.home:
        assert versions(home) == before, "something was registered"
    else:
        assert Ledger.open(home).champion("tiny") is not None
    left = {p.name for p in tmp_path.iterdir()} - {"cases.csv"}
    if command == "score" and code == 0:
        assert "scores.csv" in left
        scores = pd.read_csv(output)
        refused = tmp_path / "scores.csv.quarantine.csv"
        read = len(pd.read_csv(file))
        assert len(scores) + (len(pd.read_csv(refused)) if refused.exists() else 0) == read
    else:
        assert left == set(), "something half-written was left behind"


def test_every_fault_stands_in_the_documented_table() -> None:
    rows = [
        [c.strip() for c in line.strip().strip("|").split("|")]
        for line in TABLE.read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ][2:]
    documented = {row[0]: row[1:5] for row in rows}
    for fault in FAULTS:
        codes = [
            "–" if getattr(fault, c) is None else f"exit {getattr(fault, c)[0]}" for c in COMMANDS
        ]
        found = [re.match(r"exit \d|–", text) for text in documented[fault.name]]
        assert [m.group() if m else None for m in found] == codes, fault.name


def test_columns_in_another_order_give_the_same_scores(
    live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = applications(300)
    scores = []
    for name, cases in (("a", frame), ("b", frame[frame.columns[::-1]])):
        cases.to_csv(tmp_path / f"{name}.csv", index=False)
        output = tmp_path / f"{name}_scores.csv"
        cases_file = str(tmp_path / f"{name}.csv")
        code, told = run(["score", "tiny", "--input", cases_file, "--output", str(output)], capsys)
        assert code == 0, told
        scores.append(pd.read_csv(output))
    pd.testing.assert_frame_equal(*scores)


def test_a_value_that_training_never_missed_is_told_with_its_count(
    live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scored at a neutral place by every family, and said: of the batch, and on the row."""
    frame = applications(300)
    frame.loc[:11, "LIMIT_BAL"] = np.nan
    file, output = tmp_path / "cases.csv", tmp_path / "scores.csv"
    frame.to_csv(file, index=False)
    words = "12 rows lack LIMIT_BAL, which was never missing in training"
    code, told = run(["score", "tiny", "--input", str(file), "--output", str(output)], capsys)
    assert (code, words in told) == (0, True), told
    notes = pd.read_csv(output)["note"]
    assert notes[:12].eq("LIMIT_BAL missing: never so in training").all()
    assert notes[12:].isna().all()
    _, told = run(["monitor", "tiny", "--input", str(file)], capsys)
    assert words in told


def test_a_column_that_tells_the_outcome_is_told_by_check(
    live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = applications(ROWS)
    frame["PAY_AMT1"] = frame[TARGET]
    frame.to_csv(tmp_path / "cases.csv", index=False)
    code, told = run(["check", "tiny", "--data", str(tmp_path / "cases.csv")], capsys)
    assert code == 0
    assert "LEAK? PAY_AMT1 alone tells good from bad (AUC 1.000)" in told


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"group": "ID"}, "group 'ID' is the id, target or time"),
        ({"group": "BORROWER"}, "not in 'columns'"),
        ({"famlies": {}}, "unknown key 'famlies'.*\n.*\n.*\n.*did you mean 'families'"),
        ({"split": {"fold": 3}}, "did you mean 'folds'"),
        ({"id": "IDD"}, "did you mean 'ID'"),
        ({"families": ["logistik", "scorecard"]}, "did you mean 'logistic'"),
        (
            {"families": ["scorecard", "discriminant"]},
            "unknown family 'discriminant', and no installed package",
        ),
    ],
)
def test_yaml_with_a_typo(
    change: dict[str, Any], word: str, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    path = home.folder("usecases") / "typo.yaml"
    path.write_text(tiny_text(**change), encoding="utf-8")
    for command in (
        ["check", str(path)],
        ["retrain", str(path)],
        ["score", str(path), "--input", "x.csv", "--output", "y.csv"],
        ["monitor", str(path), "--input", "x.csv"],
    ):
        code, told = run(command, capsys)
        assert code == 2, told
        assert re.search(word, told), told


def test_a_leakage_column_asked_for_as_a_feature(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    path = home.folder("usecases") / "leak.yaml"
    text = tiny_text().replace(
        "  PAY_AMT1:\n    type: integer",
        "  PAY_AMT1:\n    feature: true\n    after_decision: true\n    type: integer",
    )
    assert "after_decision" in text
    path.write_text(text, encoding="utf-8")
    code, told = run(["retrain", str(path)], capsys)
    assert code == 2
    assert "known only after the decision" in told


@pytest.mark.parametrize("command", ["check", "retrain"])
def test_an_unreachable_sql_url(
    command: str, live: Live, capsys: pytest.CaptureFixture[str], free_port: int
) -> None:
    path = live.home.folder("usecases") / "in_a_database.yaml"
    source = {"location": f"postgresql+psycopg2://user@127.0.0.1:{free_port}/loans", "table": "t"}
    path.write_text(tiny_text(name="in_a_database", source=source), encoding="utf-8")
    try:
        code, told = run([command, "in_a_database"], capsys)
    finally:
        path.unlink()
    assert code == 1, told
    assert "can't be reached" in told
    assert "Traceback" not in told
    url = f"postgresql+psycopg2://user:secret@127.0.0.1:{free_port}/loans"
    code, told = run([command, "tiny", "--data", url], capsys)
    assert code == 2, told
    assert "secret" not in told
    assert "Traceback" not in told


def test_a_byte_altered_after_registration(
    live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from riskwright.life.tracking import local_bundle

    ref = live.ledger.version("tiny", live.version).models["pd"]
    bundle = local_bundle(ref.uri, tmp_path / "unused")
    applications(50).to_csv(tmp_path / "cases.csv", index=False)
    output = tmp_path / "scores.csv"
    for path in sorted(p for p in bundle.rglob("*") if p.is_file() and p.stat().st_size):
        before = path.read_bytes()
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        try:
            code, told = run(
                ["score", "tiny", "--input", str(tmp_path / "cases.csv"), "--output", str(output)],
                capsys,
            )
        finally:
            path.write_bytes(before)
        assert code == 1, told
        assert "not what was registered" in told
        assert not output.exists()


@needs("users", os.getuid() == 0, "mounting a small tmpfs needs root")
@needs("users", shutil.which("mount") is not None, "no mount command")
def test_a_full_disk(live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import subprocess

    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)], check=False
    )
    if mounted.returncode:
        lacking("users", "this system doesn't allow mounting")
    try:
        applications(8000).to_csv(tmp_path / "cases.csv", index=False)
        output = small / "scores.csv"
        code, told = run(
            ["score", "tiny", "--input", str(tmp_path / "cases.csv"), "--output", str(output)],
            capsys,
        )
        assert code == 1, told
        assert "space" in told
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.parametrize("command", ["alerts", "history", "challengers", "score"])
def test_read_commands_refuse_a_missing_home(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RISKWRIGHT_HOME", str(tmp_path / "nowhere"))
    more = [] if command == "alerts" else ["credit_assessment"]
    if command == "score":
        more += ["--input", "a.csv", "--output", "b.csv"]
    code, told = run([command, *more], capsys)
    assert code == 2
    assert "no home yet" in told
    assert not (tmp_path / "nowhere").exists()


def test_an_error_is_json_where_json_was_asked_for(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = run(["check", "credit_asessment", "--json"], capsys)
    assert code == 2
    error = json.loads(told)
    assert error["error"] == "InputRefused"
    assert "credit_assessment" in error["do"]
