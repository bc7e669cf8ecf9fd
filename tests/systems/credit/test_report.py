"""The page: complete, self-contained, escaped, and there when Evidently fails."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskwright.data.contract import Contract
from riskwright.life.look import named, write
from riskwright.systems.credit import batch_checks
from riskwright.systems.credit.evidently_reports import LEAST_ROWS, drift_report
from riskwright.systems.credit.report import data_quality_report, draw_report


@pytest.fixture(scope="module")
def changed(usecase: Any, draw: Any, scored: Any, reference: Any) -> Any:
    """A batch with several faults, its accepted rows, PDs and result."""
    raw = draw(800, 41).raw
    paid = raw["PAID"].astype("float64")
    paid.iloc[:40] *= 1_000
    edu = raw["EDU"].where(np.arange(800) % 50 > 0, "<b>&")
    raw = raw.assign(PAID=paid.map("{:g}".format).astype("str"), EDU=edu, AGE="40")
    checked, header = batch_checks.examine(usecase, raw)
    pds = scored(checked.accepted)
    result = batch_checks.check_batch(
        usecase,
        reference=reference,
        raw=raw,
        checked=checked,
        header=header,
        pd=pds,
        labels=None,
    )
    return checked.accepted, pds, result


def paged(folder: Path, usecase: Any, reference: Any, *found: Any, **told: Any) -> Path:
    """Draw and write a page as ``look.finish`` does."""
    render = draw_report(usecase, reference, *found, folder)
    said = {"looked_at": "2026-12-01 10:00 UTC", "batch": "ab" * 32, "input": "june.csv"}
    said |= {"version": 4, "alert": 17, "alert_open": True, "decided_before": 0, **told}
    write(folder / "report.html", render(said))
    return folder / "report.html"


def test_the_page_says_what_a_person_needs(
    usecase: Any, reference: Any, changed: Any, tmp_path: Path
) -> None:
    accepted, pds, result = changed
    page = paged(tmp_path / "report", usecase, reference, accepted, pds, result)
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 300_000
    assert (page.parent / "evidently.html").stat().st_size > 100_000
    assert 'href="evidently.html"' in text
    for finding in result.alarms:
        assert finding.code.replace("_", " ") in text
    for verdict in ("alarm", "no labels"):
        assert verdict in text
    for command in ("accept", "retrain", "fallback", "rollback"):
        assert f"riskwright alerts decide 17 {command}" in text
    for known in ("2026-12-01 10:00 UTC", "Batch " + "ab" * 8, "june.csv", "Version 4", "Alert 17"):
        assert known in text
    assert "riskwright monitor small --input FILE --labels FILE" in text
    assert "concept drift" in text
    assert text.count("<svg") >= 3
    assert "<b>&'" not in text  # the category came from a file
    assert "&lt;b&gt;" in text
    assert not re.findall(r'(?:src|href)="(?!evidently\.html)(?!#)[^"]*"', text)
    assert not [p for p in page.parent.iterdir() if p.name.endswith(".part")]
    assert not [f for f in result.findings if f.code == "evidently_report"]


def test_evidently_failing_leaves_our_page_and_a_finding(
    usecase: Any, reference: Any, changed: Any, tmp_path: Path
) -> None:
    accepted, pds, result = changed
    poisoned = accepted.assign(
        AGE=pd.Series([{"not": "a number"}] * len(accepted), index=accepted.index)
    )
    before = len(result.findings)
    page = paged(tmp_path, usecase, reference, poisoned, pds, result)
    assert len(result.findings) == before + 1
    told = result.findings.pop()
    assert (told.code, told.verdict, told.alarm) == ("evidently_report", "failed", False)
    assert told.detail.startswith("evidently report failed: ")
    text = page.read_text(encoding="utf-8")
    assert "evidently report failed" in text
    assert "evidently.html" not in text
    assert not (tmp_path / "evidently.html").exists()


def test_a_quiet_empty_and_unscored_batch_gets_a_page_too(
    usecase: Any, reference: Any, draw: Any, judge: Any, tmp_path: Path
) -> None:
    for name, raw in (("quiet", draw(300, 42).raw), ("empty", draw(5, 42).raw[:0])):
        result = judge(raw)
        accepted = batch_checks.examine(usecase, raw)[0].accepted
        page = paged(tmp_path / name, usecase, reference, accepted, None, result)
        text = page.read_text(encoding="utf-8")
        assert ("Nothing now" in text) == (name == "quiet")
        assert ("not scored" in text) == (name == "empty")


@pytest.mark.parametrize(
    ("change", "columns"),
    [
        (lambda f: f.assign(INCOME=np.nan), ["INCOME", "PAID"]),
        (lambda f: f.drop(columns="AGE"), ["AGE", "PAID"]),
        (lambda f: f.assign(PAID=5.0, EDU="a"), ["PAID", "EDU"]),
        (lambda f: f.assign(PAID=np.inf), ["PAID", "LIMIT"]),
        (lambda f: f.astype({"EDU": "object", "AGE": "Int64"}), ["EDU", "AGE"]),
    ],
    ids=["all missing", "absent", "constant", "infinite", "other types"],
)
def test_evidently_survives_what_aborts_it_unfiltered(
    change: Any, columns: list[str], usecase: Any, reference: Any, changed: Any, tmp_path: Path
) -> None:
    made = drift_report(
        usecase, reference.frame, change(changed[0]), columns, tmp_path / "evidently.html"
    )
    assert made == tmp_path / "evidently.html"


def test_few_rows_have_no_evidently_report(
    usecase: Any, reference: Any, changed: Any, tmp_path: Path
) -> None:
    few = changed[0][: LEAST_ROWS - 1]
    told = drift_report(usecase, reference.frame, few, ["PAID"], tmp_path / "e.html")
    assert isinstance(told, str)
    assert "199 rows" in told


def test_the_quality_report_is_written_or_says_why_not(
    usecase: Any, draw: Any, tmp_path: Path
) -> None:
    frame = Contract(usecase, "monitor").apply(draw(300, 43).raw).accepted
    path = tmp_path / "deep" / "quality.html"
    assert data_quality_report(usecase, frame, path) == path
    assert path.stat().st_size > 100_000
    told = data_quality_report(usecase, frame[["key"]], tmp_path / "none.html")
    assert told == "no Evidently report: no column has values"
    assert not (tmp_path / "none.html").exists()


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("/data/new batch.csv", "new batch.csv"),
        ("june.csv", "june.csv"),
        ("https://someone:secret@host/files/june%20b.csv?token=secret", "june b.csv"),
        ("https://someone:secret@host", "host"),
        ("sqlite:////data/cases.db", "cases.db"),
        ("/data/folder/", "folder"),
    ],
)
def test_a_page_names_its_batch_without_what_is_secret(location: str, name: str) -> None:
    assert named(location) == name
