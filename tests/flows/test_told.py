"""What the command line tells of a decision, in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from tiny import Live

from riskwright_flows import cli_cases, cli_models, say


@pytest.mark.parametrize(
    ("previous", "words"), [(None, "is live (the first), promotion"), (1, "(before: 1), promotion")]
)
def test_the_first_version_has_no_version_before_it(
    capsys: pytest.CaptureFixture[str], previous: int | None, words: str
) -> None:
    about = {"actor": "ben", "by": {}, "at": "2026-01-01"}
    done = SimpleNamespace(version=2, previous=previous, kind="promotion", **about)
    cli_models._changed("credit", done, [], False)
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("passed", "live", "told"),
    [(True, False, True), (True, True, False), (False, False, False)],
)
def test_who_waits_for_approval_is_told_what_comes_next(
    passed: bool, live: bool, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    say.waits_for({"usecase": "credit", "version": 4, "passed": passed, "live": live})
    out = " ".join(capsys.readouterr().out.split())
    assert ("challengers credit" in out) == ("approve credit 4 --reason" in out) == told


def test_a_use_case_trained_from_a_path_is_listed(
    live: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    aside = live.yaml.rename(live.yaml.with_suffix(".aside"))
    try:
        cli_cases.usecases(schema=False, as_json=True)
    finally:
        aside.rename(live.yaml)
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["tiny"]["question"] == live.usecase.question
    assert len(rows) > 1


@pytest.mark.parametrize(("columns", "width"), [("77", 77), (None, 140), ("wide", 140)])
def test_a_pipe_has_the_width_that_it_is_given(columns: str | None, width: int) -> None:
    given = {k: v for k, v in os.environ.items() if k != "COLUMNS"}
    given |= {"COLUMNS": columns} if columns else {}
    asked = [sys.executable, "-c", "from riskwright_flows import say; print(say.out.width)"]
    done = subprocess.run(asked, env=given, check=True, capture_output=True, text=True, timeout=60)
    assert int(done.stdout) == width
