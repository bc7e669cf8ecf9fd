"""What a bad book gets: docs/reference/portfolio.md, line by line, through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
from tiny import Live

from riskwright.data.loan_book import simulate_book
from riskwright_flows.cli import app

TABLE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "portfolio.md"
Change = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Fault:
    """A line of the table, how to bring it about, and a word of the answer."""

    line: str
    told: str
    change: Change = lambda frame: frame
    options: list[str] = field(default_factory=list)
    code: int = 2


def first(column: str, value: object) -> Change:
    return lambda f: f.assign(**{column: [value, *f[column].iloc[1:]]})


def every(column: str, value: object) -> Change:
    return lambda f: f.assign(**{column: value})


FAULTS = [
    Fault(
        "balances in another unit than what was lent (cents, thousands), all or a part of them",
        "schedule leaves", lambda f: f.assign(balance=f["balance"] / 1000),
    ),
    Fault("negative, missing or unreadable balance", "balance -1", first("balance", -1)),
    Fault("maturity before issue", "the maturity", every("maturity", "2001-01-01")),
    Fault("outcome before issue", "default_date", every("default_date", "2001-01-01")),
    Fault("a PD or LGD outside [0, 1]", "no probability", every("lgd_assessed", 60.0)),
    Fault("a currency without a rate", "no rate to USD", every("currency", "ZZZ")),
    Fault("a loan that is there twice", "twice", lambda f: pd.concat([f, f.tail(1)])),
    Fault("no live loan", "no live loan", every("balance", 0)),
    Fault("a loan issued after the book's date", "after the", first("issue_d", "2030-01-01")),
    Fault(
        "no date, two dates, or a date that isn't one", "not a date",
        options=["--as-of", "the day before"],
    ),
    Fault(
        "an unknown scenario; a scenario that names an unknown driver", "no scenario",
        options=["--scenario", "advers"],
    ),
    Fault("a confidence outside (0, 1)", "a confidence of 99.9", options=["--confidence", "99.9"]),
    Fault("too many rows that break the contract", "break the contract", every("purpose", "moon")),
    Fault(
        "ten loans asked for a 99.9 % VaR", "simulation error dominates", lambda f: f.head(10),
        code=0,
    ),
]  # fmt: skip


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        app(arguments)
    told = capsys.readouterr()
    assert "Traceback" not in told.out + told.err
    return int(ended.value.code or 0), told.out + told.err


@pytest.fixture(scope="module")
def loans() -> pd.DataFrame:
    return simulate_book(400, 8)[0]


@pytest.mark.parametrize("fault", FAULTS, ids=[f.line for f in FAULTS])
def test_a_fault_gets_its_verdict(
    lender: Live,
    loans: pd.DataFrame,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    fault: Fault,
) -> None:
    fault.change(loans).to_csv(tmp_path / "book.csv", index=False)
    output = tmp_path / "report"
    arguments = ["portfolio", "small_book", "--input", str(tmp_path / "book.csv")]
    code, told = run([*arguments, "--output", str(output), *fault.options], capsys)
    assert code == fault.code, told
    assert fault.told in told.replace("\n", " ")
    assert output.exists() == (fault.code == 0)
    assert [p.name for p in tmp_path.iterdir() if "part" in p.name] == []


def test_the_table_names_these_faults_and_no_others() -> None:
    text = TABLE.read_text(encoding="utf-8")
    lines = [ln.split("|")[1].strip() for ln in text.splitlines() if "| exit " in ln]
    elsewhere = {
        "loans late by their status alone, without days past due",  # tests/data/test_book.py
        "an output that is there already",
        "a use case without a `loan`, or without a champion",
    }
    assert set(lines) - elsewhere == {f.line for f in FAULTS}


def test_columns_that_are_blank_are_told_first(
    lender: Live, loans: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loans.assign(dti=None, annual_inc=None).to_csv(tmp_path / "book.csv", index=False)
    output = tmp_path / "report"
    book = ["--input", str(tmp_path / "book.csv"), "--output", str(output), "--json"]
    code, told = run(["portfolio", "small_book", *book], capsys)
    assert code == 0, told
    notes = json.loads(told)["notes"]
    first = next(note for note in notes if "simulated loans" not in note)
    assert "2 columns that the PD rests on are missing in every row: annual_inc, dti" in first
    assert "annual_inc, dti" in (output / "report.html").read_text(encoding="utf-8")


def test_an_output_that_is_there_is_kept(
    lender: Live, loans: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "mine.txt").write_text("keep")
    loans.to_csv(tmp_path / "book.csv", index=False)
    book = ["--input", str(tmp_path / "book.csv"), "--output", str(tmp_path / "report")]
    code, told = run(["portfolio", "small_book", *book], capsys)
    assert code == 2
    assert "never overwritten" in told
    assert (tmp_path / "report" / "mine.txt").read_text() == "keep"


@pytest.mark.parametrize(
    ("usecase", "word"), [("german_credit", "isn't a loan book"), ("loan_book", "no champion")]
)
def test_a_use_case_that_has_no_loans_or_no_champion(
    lender: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str], usecase: str, word: str
) -> None:
    book = ["--input", str(tmp_path / "book.csv"), "--output", str(tmp_path / "report")]
    code, told = run(["portfolio", usecase, *book], capsys)
    assert code == 2
    assert word in told


def test_a_scenario_file_is_read_and_its_unknown_driver_refused(
    lender: Live, loans: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loans.to_csv(tmp_path / "book.csv", index=False)
    own = tmp_path / "slump.yaml"
    book = ["portfolio", "small_book", "--input", str(tmp_path / "book.csv"), "--json"]
    book += ["--scenario", str(own), "--output", str(tmp_path / "report")]
    own.write_text("name: slump\nshocks: {unemploymnt: 3}\n")
    code, told = run(book, capsys)
    assert code == 2
    assert "unemployment" in told
    own.write_text("name: slump\nshocks: {unemployment: 3}\n")
    code, told = run(book, capsys)
    assert code == 0, told
    found = json.loads(told)
    assert found["scenario"] == "slump"
    assert found["stressed_el"] > found["el"]
