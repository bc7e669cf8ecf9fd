"""The shipped use cases on the data sets that they are written for, by the command line."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from place import enter

from riskwright.case.usecase import known_usecases
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life.aliases import change_champion
from riskwright.systems.credit.bundle import COLUMNS
from riskwright_flows.cli import app

ROWS = 300
Answer = tuple[int, Any, str]


@dataclass(frozen=True)
class Case:
    """A use case, its file, and the ROC AUC that any sound model of these data passes."""

    name: str
    file: str
    rows: int
    least_auc: float


GERMAN = Case("german_credit", "german_credit/german.data", 1_000, 0.70)
CASES = [
    GERMAN,
    Case("company_credit", "polish_bankruptcy/1year.arff", 7_027, 0.85),
    Case("credit_assessment", "taiwan_credit_card/UCI_Credit_Card.csv", 30_000, 0.76),
    Case("give_me_some_credit", "give_me_some_credit/cs-training.csv.gz", 150_000, 0.85),
]


def command(*arguments: str) -> Answer:
    """Run a command line as a process of its own: exit code, JSON answer, what it said besides."""
    done = subprocess.run(
        [sys.executable, "-m", "riskwright_flows.cli", *arguments, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout or "null"), done.stderr


def inside(*arguments: str) -> Answer:
    """Run it in this process: the libraries are imported once."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        app([*arguments, "--json"])
    return int(ended.value.code or 0), json.loads(out.getvalue() or "null"), err.getvalue()


def head(path: Path, folder: Path) -> Path:
    """The file's first rows, written as they are."""
    content = path.read_bytes()
    lines = (gzip.decompress(content) if path.suffix == ".gz" else content).splitlines(True)
    first = int(path.suffix in (".csv", ".gz"))  # a header; german.data has none
    if path.suffix == ".arff":
        first = 1 + next(i for i, line in enumerate(lines) if line.lower().startswith(b"@data"))
    short = folder / path.name.removesuffix(".gz")
    short.write_bytes(b"".join(lines[: first + ROWS]))
    return short


def life(
    case: Case, usecase: str, home: Home, file: Path, folder: Path, run: Callable[..., Answer]
) -> dict[str, Any]:
    """From the raw file to scores and a monitored batch; returns the retrain's answer."""
    code, trained, err = run("retrain", usecase, "--data", str(file))
    assert code == 0, err
    assert trained["passed"] is True
    assert trained["data"]["report"]["read"] == case.rows
    chosen = trained["metrics"][trained["kind"]]
    assert chosen["roc_auc"]["value"] > case.least_auc
    assert chosen["roc_auc"]["low"] < chosen["roc_auc"]["value"] < chosen["roc_auc"]["high"]
    ledger, version = Ledger.open(home), trained["version"]
    if not trained["live"]:  # its policy is 'approval': not by who trained it
        code, told, err = run("approve", usecase, str(version), "--reason", "mine")
        assert (code, told["error"]) == (3, "GateRefused"), err
        second = {"actor": "second", "reason": "gates read", "expected": None}
        change_champion(home, ledger, usecase, "promote", version=version, **second)
    live = ledger.champion(usecase)
    assert live is not None
    assert live.version == version

    cases = head(file, folder)
    output = folder / "scores.csv"
    code, scored, err = run("score", usecase, "--input", str(cases), "--output", str(output))
    assert code == 0, err
    assert scored["read"] == scored["accepted"] + scored["refused"] == ROWS
    assert scored["accepted"] > 0.9 * ROWS
    scores = pd.read_csv(output, keep_default_na=False)
    assert list(scores.columns)[1:] == COLUMNS
    assert len(scores) == scored["accepted"]
    assert scores["pd"].between(0, 1).all()
    approved = scores["decision"] == "approve"
    assert 0 < approved.sum() < len(scores)
    assert (scores.loc[approved, "reason_1"] == "").all()
    # Whom the members disagree about is referred though nothing need raise the PD.
    bare = scores[~approved & (scores["reason_1"] == "")]
    assert (bare["decision"] == "refer").all()
    assert (bare["pd"] < trained["limits"]["approve_below"]).all()

    code, watched, err = run("monitor", usecase, "--input", str(cases))
    assert code == (3 if watched["alert_open"] else 0), err
    assert (watched["version"], watched["rows_read"]) == (version, ROWS)
    assert Path(watched["report"]).exists()
    assert ledger.verify().ok
    found: dict[str, Any] = trained
    return found


@pytest.mark.slow
def test_german_credit_with_quick_families(shared_data: Path, home: Home, tmp_path: Path) -> None:
    plain = yaml.safe_load(known_usecases(home)["german_credit"].read_text(encoding="utf-8"))
    plain |= {"name": "german_quick", "families": ["logistic", "scorecard", "xgboost"]}
    path = home.folder("usecases") / "german_quick.yaml"
    path.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    trained = life(GERMAN, "german_quick", home, shared_data / GERMAN.file, tmp_path, inside)
    assert trained["test_bads"] > 0.2 * trained["test_rows"], "good and bad are the wrong way round"


@pytest.mark.slow
@pytest.mark.timeout(3 * 3600)
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_shipped_use_case(
    case: Case,
    shared_data: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path_factory.mktemp(case.name)
    home = Home(folder / "home").create()
    enter(home, monkeypatch)
    trained = life(case, case.name, home, shared_data / case.file, folder, command)
    skipped = {f["name"]: f["skipped"] for f in trained["families"] if f["skipped"]}
    if case.name == "credit_assessment":
        assert skipped == {}
    else:
        assert set(skipped) == {"gru", "cnn"}
        assert set(skipped.values()) == {"not applicable: no sequences declared"}
    if case.name == "company_credit":
        one_company(head(shared_data / case.file, folder), folder)


def one_company(file: Path, folder: Path) -> None:
    """Company A asks for a loan: a PD, a decision and its reasons."""
    text = file.read_text().splitlines(keepends=True)
    start = next(i for i, line in enumerate(text) if line.lower().startswith("@data"))
    single = folder / "company_a.arff"
    single.write_text("".join(text[: start + 2]))
    output = folder / "company_a.csv"
    code, scored, err = command(
        *("score", "company_credit", "--input", str(single), "--output", str(output)),
        *("--reasons", "all"),
    )
    assert code == 0, err
    assert (scored["read"], scored["accepted"]) == (1, 1)
    row = pd.read_csv(output, keep_default_na=False).iloc[0]
    assert 0 < row["pd"] < 1
    assert row["decision"] in ("approve", "refer", "decline")
    assert row["reason_1"] != ""
