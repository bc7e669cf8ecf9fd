"""A loan book through the command line: from a history at a date to the model's status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tiny import Live

from riskwright.data.simulators import simulate
from riskwright.systems.loans.status import status_of
from riskwright_flows.cli import app

NAME = "small_book"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def command(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            app(list(arguments))
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out + told.err

    return command


def history(folder: Path, scenario: str, seed: int, rows: int = 4_000) -> Path:
    path = folder / f"{scenario}.csv"
    simulate("loan_book", rows, seed, scenario=scenario, onset=24).frame.to_csv(path, index=False)
    return path


@pytest.mark.slow
def test_from_a_recession_to_a_status_and_back(lender: Live, run: Any, tmp_path: Path) -> None:
    path = history(tmp_path, "recession", 61, 8_000)
    code, told = run("monitor", NAME, "--input", str(path), "--as-of", "2016-12-01", "--json")
    assert code == 3, told
    found = json.loads(told)
    assert list(found["verdicts"]) == ["quality", "columns", "score", "labels", "book"]
    assert found["verdicts"]["book"] == "alarm"
    assert found["verdicts"]["quality"] == "ok"
    assert found["verdicts"]["labels"] == "no labels"  # none of the last year's is mature
    assert found["window"] == {
        "since": "2015-01-01",
        "until": "2015-12-01",
        "later_loans_ignored": 0,
    }
    assert found["rows_read"] < 8_000
    table = pd.DataFrame(found["book"]["tables"]["standard"])
    assert table.query("by == 'all'")["loans"].item() == 8_000
    assert found["severity"] == "high"

    page = Path(found["report"]).read_text(encoding="utf-8")
    assert "defaults so far against those that the model expects" in page
    assert "2015Q1" in page
    assert "--labels FILE" not in page
    kept = json.loads((Path(found["report"]).parent / "findings.json").read_text())
    assert kept["as_of"] == "2016-12-01"

    assert status_of(lender.ledger, NAME) != "green"
    code, told = run("monitor", NAME, "--input", str(path), "--as-of", "2016-12-01")
    assert code == 3
    assert "as of 2016-12-01; quality, columns and score look at the loans issued from" in told
    assert "book" in told
    assert "times as many" in told
    alert = str(found["alert"])
    assert f"alert {alert} is open" in told
    assert run("alerts", "decide", alert, "accept", "--reason", "a bad year, known")[0] == 0
    assert status_of(lender.ledger, NAME) == "green"

    # The same file on another date is another look.
    code, told = run("monitor", NAME, "--input", str(path), "--as-of", "2013-06-01", "--json")
    earlier = json.loads(told)
    assert earlier["batch"] != found["batch"]
    assert earlier["window"]["until"] == "2013-06-01"
    assert earlier["window"]["later_loans_ignored"] > 4_000
    assert earlier["verdicts"]["book"] == "ok"
    assert lender.ledger.verify().ok


def test_immature_loans_are_no_labels_of_a_plain_batch_either(
    lender: Live, run: Any, tmp_path: Path
) -> None:
    """Those that failed early are known early; their month's good loans are not."""
    frame = simulate("loan_book", 3_000, 62).frame
    young = frame[(frame["issue_d"] >= "2015-06-01") & (frame["last_pymnt_d"] < "2016-06-01")]
    path = tmp_path / "young.csv"
    young.to_csv(path, index=False)
    code, told = run("monitor", NAME, "--input", str(path), "--json")
    found = json.loads(told)
    assert code == (3 if found["alert_open"] else 0), told
    assert found["verdicts"]["labels"] == "no labels"
    assert "book" not in found["verdicts"]
    for alert in lender.ledger.alerts(NAME):
        lender.ledger.decide_alert(alert.id, "accept", actor="tester", reason="done")


@pytest.mark.parametrize(
    ("day", "told"),
    [
        ("tomorrow", "'tomorrow' is not a date"),
        ("2011-12-31", "no loan was issued by 2011-12-31"),
    ],
)
def test_a_date_that_can_not_be_one(
    lender: Live, run: Any, tmp_path: Path, day: str, told: str
) -> None:
    before = len(lender.ledger.findings(NAME))
    path = history(tmp_path, "none", 63, 300)
    code, said = run("monitor", NAME, "--input", str(path), "--as-of", day)
    assert code == 2, said
    assert told in said
    assert len(lender.ledger.findings(NAME)) == before
    code, said = run("monitor", NAME, "--input", str(path), "--as-of", day, "--json")
    assert code == 2


def test_labels_and_a_date_exclude_each_other(lender: Live, run: Any, tmp_path: Path) -> None:
    path = str(history(tmp_path, "none", 63, 300))
    options = ("--as-of", "2016-12-01", "--labels", path)
    code, said = run("monitor", NAME, "--input", path, *options)
    assert code == 2
    assert "its own outcomes" in said


def test_no_outcomes_and_missing_columns_hide_nothing_else(
    lender: Live, run: Any, tmp_path: Path
) -> None:
    frame = simulate("loan_book", 2_000, 64).frame
    path = tmp_path / "bare.csv"
    frame.drop(columns=["last_pymnt_d", "loan_status"]).to_csv(path, index=False)
    command = ("monitor", NAME, "--input", str(path), "--as-of", "2016-12-01", "--json")
    code, told = run(*command)
    assert code == 0, told
    verdicts = json.loads(told)["verdicts"]
    assert verdicts["book"] == "not enough data"
    assert verdicts["labels"] == "no labels"
    assert verdicts["quality"] == "ok"


def test_another_use_case_has_no_book(live: Live, run: Any, tmp_path: Path) -> None:
    from tiny import applications

    path = tmp_path / "batch.csv"
    applications(300).to_csv(path, index=False)
    code, told = run("monitor", "tiny", "--input", str(path), "--as-of", "2016-12-01")
    assert code == 2
    assert "isn't a loan book" in told


def test_a_history_without_loans_is_an_alert(lender: Live, run: Any, tmp_path: Path) -> None:
    path = history(tmp_path, "none", 63, 300)
    path.write_text(path.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    code, told = run("monitor", NAME, "--input", str(path), "--as-of", "2016-12-01", "--json")
    assert code == 3, told
    found = json.loads(told)
    assert (found["severity"], found["title"]) == ("critical", "empty batch")
    assert found["alert_open"] is True
    lender.ledger.decide_alert(found["alert"], "accept", actor="tester", reason="done")
