"""Commands that are printed run: each one in the code parses, and is called as it can be typed."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from riskwright.life.alert_advice import BY_FAMILY, NO_FEED, advice
from riskwright_flows import say, typed
from riskwright_flows.cli import commands
from riskwright_flows.cli_watch import DECISIONS

REPOSITORY = Path(__file__).resolve().parents[2]
TREE = get_command(commands)
QUOTED = re.compile(r"'riskwright ([a-z-][^']*)'")
LINE = re.compile(
    r"^(?:<pre>)?riskwright (.+?)(?:\s+#.*)?(?:</pre>)?$|<code>riskwright (.+?)</code>"
)


def text_of(node: ast.expr) -> str | None:
    """A string with what stands in its braces as 1."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "1" for part in node.values)
    return None


def printed(path: Path) -> Iterator[str]:
    """The commands that a module may print."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said_here = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, (ast.Constant, ast.JoinedStr)) and id(node) not in said_here:
            yield from QUOTED.findall(text_of(node) or "")
        called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if called and node.func.id == "command" and (text := text_of(node.args[0])):
            yield text
        looped = isinstance(node, ast.For) and isinstance(node.target, ast.Name)
        if looped and node.target.id == "arguments" and isinstance(node.iter, ast.Tuple):
            yield from (text_of(e) or "" for e in node.iter.elts)


def found() -> list[tuple[str, str]]:
    commands_of = [
        (str(path.relative_to(REPOSITORY)), text)
        for folder in ("src/riskwright", "flows")
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        for text in printed(path)
    ]
    for page in sorted((REPOSITORY / "src").rglob("*.j2")):
        for line in re.sub(r"\{\{.*?\}\}", "1", page.read_text(encoding="utf-8")).splitlines():
            matches = LINE.finditer(re.sub(r"\{%.*?%\}", "", line).strip())
            commands_of += [(page.name, match[1] or match[2]) for match in matches]
    return commands_of


FOUND = found()


def parse(text: str) -> Any:
    arguments = shlex.split(text)
    context, command = typer.Context(TREE, info_name="riskwright"), TREE
    if arguments == ["--help"]:
        return context
    while getattr(command, "commands", None):
        _, command, arguments = command.resolve_command(context, arguments)
    return command.make_context("command", arguments, parent=context)


def test_they_are_found() -> None:
    assert len(FOUND) > 30
    places = {place for place, _ in FOUND}
    assert {
        "flows/riskwright_flows/demo.py",
        "flows/riskwright_flows/demo_loans.py",
        "flows/riskwright_flows/demo_market.py",
        "flows/riskwright_flows/say.py",
    } < places
    assert {"report.html.j2", "monitor.html.j2"} <= places


@pytest.mark.parametrize("text", sorted({text for _, text in FOUND}))
def test_a_printed_command_parses(text: str) -> None:
    parsed = parse(text.replace('--reason "1"', '--reason "x"'))
    if text.startswith("alerts decide"):
        assert parsed.params["decision"] in (*DECISIONS, "1")


def test_nobody_prints_a_place_of_the_checkout() -> None:
    for folder in ("src", "flows"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            assert ".venv/bin" not in path.read_text(encoding="utf-8"), path


def test_it_is_called_by_name_where_that_finds_it_and_else_by_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Path(sys.executable).with_name("riskwright")
    if not script.is_file():
        pytest.skip("riskwright is not installed beside the interpreter")
    typed.program.cache_clear()
    monkeypatch.setenv("PATH", str(script.parent))
    assert typed.command("alerts") == "riskwright alerts"
    typed.program.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("riskwright") is None
    told = typed.command("usecases --help")
    done = subprocess.run(shlex.split(told), cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert typed.typed("run 'riskwright usecases'") == f"run '{script} usecases'"
    typed.program.cache_clear()


def test_page_and_terminal_give_one_advice(capsys: pytest.CaptureFixture[str]) -> None:
    """A broken feed is never learnt from."""
    feed = [{"family": "quality", "code": "missing_rate", "detail": "EDUCATION is blank"}]
    moved = [{"family": "score", "code": "ks", "detail": "PDs moved"}]
    assert advice([*moved, *feed]) is BY_FAMILY["quality"]
    assert advice([{"family": "quality", "code": "empty_batch"}]) is NO_FEED
    assert advice(moved).decision == "retrain"
    assert {what.decision for what in (*BY_FAMILY.values(), NO_FEED)} <= set(DECISIONS)
    shown: dict[str, Any] = dict.fromkeys(("severity", "opened_at", "version", "seen", "report"))
    shown |= {"id": 7, "use_case": "tiny", "title": "t", "status": "open"}
    shown |= {"decision": None, "request": None, "findings": [*moved, *feed]}
    say.alert(shown)
    told = " ".join(capsys.readouterr().out.split())
    assert "Retraining would teach the model the fault" in told
    assert 'alerts decide 7 accept --reason "the feed is mended, the batch was sent again"' in told
    assert "decide 7 retrain" not in told
