"""A book from the command line: two months, an alert that moves the money, and what is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny import Live

from riskwright.data.loan_book import simulate_book
from riskwright.data.simulators import simulate
from riskwright.life.tracking import connect
from riskwright_flows.cli import app


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    with pytest.raises(SystemExit) as ended:
        app([*arguments, "--json"])
    out = capsys.readouterr()
    assert ended.value.code == 0, out.err
    found: dict[str, Any] = json.loads(out.out)
    return found


def value(month: str, rows: int, name: str, place: Path, capsys: Any) -> dict[str, Any]:
    book, _ = simulate_book(rows, 31, as_of=month)
    book.to_csv(place / f"{name}.csv", index=False)
    files = ["--input", str(place / f"{name}.csv"), "--output", str(place / name)]
    return told(["portfolio", "small_book", *files], capsys)


def test_two_months_and_an_alert(
    lender: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = value("2015-11", 2000, "november", tmp_path, capsys)
    assert first["steps"] is None
    assert first["status"] == "green"
    assert first["el_with_status"] == pytest.approx(first["el"])
    second = value("2015-12", 2600, "december", tmp_path, capsys)
    steps = second["steps"]
    assert sum(list(steps.values())[:-1]) == pytest.approx(steps["after"])
    assert steps["before"] == pytest.approx(first["el"])
    assert steps["volume"] > 0

    assert second["compared"].startswith("Against 2015-11-01")
    moved = tmp_path / "december" / "tables" / "migration_between_bands_of_the_pd.csv"
    migration = pd.read_csv(moved, index_col=0)
    before = pd.read_parquet(first["loans_file"])["id"]
    loans = pd.read_parquet(second["loans_file"])
    assert migration.to_numpy().sum() == len(set(before) | set(loans["id"]))
    assert migration.loc["new"].sum() == len(set(loans["id"]) - set(before))

    assert loans["el"].to_numpy() == pytest.approx(
        (loans["pd"] * loans["ead"] * loans["lgd"]).to_numpy()
    )
    assert loans["el"].sum() == pytest.approx(second["el"])
    assert loans["ecl"].sum() == pytest.approx(second["ecl"])
    assert (loans["pd"] <= loans["pd_lifetime"] + 1e-12).all()
    assert loans[["pd", "lgd", "pd_lifetime"]].min().min() >= 0
    assert (loans["price_cautious"] >= loans["price"]).all()
    assert loans["model_version"].eq(lender.version).all()
    assert {"segment_grade", "segment_policy", "segment_vintage", "stage"} <= set(loans)
    page = Path(second["report"]).read_text(encoding="utf-8")
    assert "What changed since the last report" in page
    assert "http" not in page.replace("http-equiv", "")  # opens without a network
    segments = pd.read_csv(tmp_path / "december" / "tables" / "contributions_to_a_bad_year.csv")
    assert segments["var_contribution"].sum() == pytest.approx(second["var"], rel=1e-9)
    assert segments["expected_loss"].sum() == pytest.approx(second["el"], rel=1e-9)

    run = connect(lender.home).get_run(second["run_id"])
    assert run.data.metrics["el"] == pytest.approx(second["el"])
    version = lender.ledger.version("small_book", lender.version)
    assert run.data.tags["mlflow.parentRunId"] == version.run_id

    alert = lender.ledger.open_alert(
        "small_book",
        title="a doubt",
        findings=[{"code": "observed_expected", "alarm": True}],
        severity="high",
        batch_hash="b" * 64,
        version=lender.version,
        report="none",
    )
    doubted = value("2015-12", 2600, "doubted", tmp_path, capsys)
    assert doubted["status"] == "amber"
    assert doubted["el"] == pytest.approx(second["el"])  # the figure without it stays beside
    assert doubted["el_with_status"] > 1.05 * second["el"]
    lender.ledger.decide_alert(alert, "accept", actor="second", reason="known")
    again = value("2015-12", 2600, "again", tmp_path, capsys)
    assert again["status"] == "green"
    assert again["el_with_status"] == pytest.approx(second["el"])


def test_stages_follow_arrears_and_the_pd_at_origination(
    lender: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book, _ = simulate_book(800, 33)
    n = len(book)
    late = np.zeros(n)
    late[:30], late[30:60] = 45, 120
    book.assign(days_past_due=late, pd_at_origination=0.4).to_csv(
        tmp_path / "book.csv", index=False
    )
    files = ["--input", str(tmp_path / "book.csv"), "--output", str(tmp_path / "report")]
    found = told(["portfolio", "small_book", *files], capsys)
    loans = pd.read_parquet(found["loans_file"])
    assert set(loans["stage"][30:60]) == {3}
    assert set(loans["stage"][:30]) == {2}
    assert (loans["pd"][30:60] == 1).all()
    defaulted = loans.iloc[30:60]
    assert (defaulted["ecl"] >= 0.5 * defaulted["balance"]).all()
    assert set(loans["stage"][60:]) == {1}  # made at a PD of 0.4: nothing has got worse
    book.assign(pd_at_origination=0.001).to_csv(tmp_path / "book.csv", index=False)
    files = ["--input", str(tmp_path / "book.csv"), "--output", str(tmp_path / "worse")]
    worse = pd.read_parquet(told(["portfolio", "small_book", *files], capsys)["loans_file"])
    risen = worse["pd_lifetime"] > 0.05
    assert risen.any()
    assert (worse["stage"][risen] == 2).all()


def test_a_history_becomes_a_book_by_its_date(
    lender: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = simulate("loan_book", 1500, 5).frame
    frame.to_csv(tmp_path / "loans.csv", index=False)
    files = ["--input", str(tmp_path / "loans.csv"), "--output", str(tmp_path / "report")]
    found = told(["portfolio", "small_book", *files, "--as-of", "2014-06-01"], capsys)
    assert found["as_of"] == "2014-06-01"
    assert any("schedule" in note for note in found["notes"])
    assert any("lines of credit are left out" in note for note in found["notes"])
