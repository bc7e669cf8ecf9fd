"""Text that isn't ours is shown, never obeyed: in the terminal, in pages and in pictures."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tiny import tiny_text

from riskwright.case.usecase import UseCase, parse_usecase
from riskwright.systems.credit.evidently_reports import harmless, summary_report
from riskwright.terminal import Terminal, clean
from riskwright_flows import say, say_models

CODES = ["\x1b[31mred", "\x1b]0;title\x07", "a\rb", "\x9b2J", "\u202eevil", "bell\x07"]
MARKUP = "[red]not red[/] [/] [link=http://x]x[/link]"


def printed(monkeypatch: pytest.MonkeyPatch, tell: Any, *given: Any) -> str:
    buffer = io.StringIO()
    terminal = Terminal(file=buffer, force_terminal=True, highlight=False, width=200)
    for module in (say, say_models):
        monkeypatch.setattr(module, "out", terminal)
    tell(*given)
    return buffer.getvalue()


@pytest.mark.parametrize("text", CODES)
def test_control_characters_are_written_out(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert clean(text).isprintable()
    shown = printed(monkeypatch, say.table, "rows", [{"reason": text, "file": text}])
    ours = re.sub(r"\x1b\[[0-9;]*m", "", shown)  # what rich itself sets
    assert all(c.isprintable() or c == "\n" for c in ours)
    assert clean(text) in ours


@pytest.mark.parametrize("author", ["", MARKUP], ids=["known", "unknown"])
def test_markup_in_a_value_is_shown_as_it_is(author: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {
        "author": author,
        "version": 1, "system": "credit", "kind": "ensemble", "trained_by": MARKUP,
        "asked_by": [MARKUP],
        "written_by": MARKUP, "why": MARKUP, "metrics": {"roc_auc": _m(), "log_loss": _m()},
        "rules_changed": {"against": 1, "trouble": MARKUP, "differences": [
            {"rule": "a", "old": MARKUP, "new": MARKUP, "note": ""}]},
        "gates": [{"name": "g", "passed": True, "blocking": True, "detail": MARKUP}],
    }  # fmt: skip
    shown = printed(monkeypatch, say_models.challengers, "mine", [row])
    assert shown.count(MARKUP) == 8


def _m() -> dict[str, float]:
    return {"value": 0.5, "low": 0.4, "high": 0.6}


def test_an_error_with_escape_codes_is_printed_clean(
    home: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from riskwright_flows.cli import app

    with pytest.raises(SystemExit):
        app(["check", "no\x1b[31msuch"])
    told = capsys.readouterr().err
    assert "\x1b" not in told
    assert "no\\x1b[31msuch" in told


SCRIPT = "</script><script>window.hit=1</script><img src=x onerror=alert(1)>"


def hostile() -> UseCase:
    import yaml

    plain = yaml.safe_load(tiny_text())
    plain["columns"]["EDUCATION"]["values"] = {SCRIPT: "x", "2": SCRIPT, "'+alert(1)+'": "y"}
    return parse_usecase(yaml.safe_dump(plain, sort_keys=False), where="tests")


def test_a_category_value_is_no_script_in_the_data_quality_report(tmp_path: Path) -> None:
    rows = 300
    frame = pd.DataFrame(
        {
            "EDUCATION": [SCRIPT, "2", "'+alert(1)+'"] * (rows // 3),
            "LIMIT_BAL": [float(i) for i in range(rows)],
        }
    )
    page = summary_report(hostile(), frame, tmp_path / "page.html")
    assert isinstance(page, Path), page
    text = page.read_text(encoding="utf-8")
    assert harmless(SCRIPT) in text or json.dumps(harmless(SCRIPT))[1:-1] in text
    for raw in ("window.hit=1</script>", "onerror=alert(1)>", "'+alert(1)+'"):
        assert raw not in text


@pytest.mark.parametrize("text", [SCRIPT, "a\"b'c`d\\e", "\u2028", "x\x00y"])
def test_a_harmless_text_holds_nothing_that_ends_a_text(text: str) -> None:
    assert not set(harmless(text)) & set("<>&\"'`\\\u2028\u2029\x00")


def test_two_dollar_signs_are_no_formula(tmp_path: Path) -> None:
    from riskwright.systems.credit.charts import column_chart

    column = parse_usecase(tiny_text(), where="tests").columns["EDUCATION"]
    values = pd.Series(["$a_{$", "</text><script>", "$\\frac$"] * 10)
    drawn = column_chart(column, values, values, "$\\broken{$ <script>")
    assert "<script" not in drawn


@pytest.mark.parametrize("how", ["closed", "nobody reads"])
@pytest.mark.parametrize("more", [[], ["--json"], ["--schema"]], ids=["text", "json", "long"])
def test_a_command_whose_answer_nobody_takes_ends_as_it_would(
    how: str, more: list[str], tmp_path: Path
) -> None:
    """``| head -1`` ended with 1, "an outage", and a closed stdout with a traceback."""
    code = (
        "import os, sys; os.close(1)\n" if how == "closed" else "import sys\n"
    ) + "os.execv(sys.executable, [sys.executable, '-m', 'riskwright_flows.cli', *sys.argv[1:]])"
    code = code if how == "closed" else f"import os; {code}"
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, "usecases", *more],
            stdout=writer, stderr=subprocess.PIPE, text=True, check=False,
            env=os.environ | {"RISKWRIGHT_HOME": str(tmp_path)},
        )  # fmt: skip
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
