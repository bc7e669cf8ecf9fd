"""What broken packages of others get: docs/reference/bad_input.md, through the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import applications, tiny_text

from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright_flows.cli import app

CODE = """
def raises(*given, **params):
    raise ZeroDivisionError("by nought")

def away(*given):
    raise ConnectionError("nobody answers")
"""
POINTS = """
[riskwright.gates]
mine = bank_code:raises
[riskwright.sources]
mine = bank_code:raises
away = bank_code:away
[riskwright.systems]
half = half_bank
"""

Say = Callable[..., tuple[int, str]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def _say(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            app(list(arguments))
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return int(ended.value.code or 0), told.out + told.err

    return _say


@pytest.fixture
def case(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install a package whose functions fail, and give what writes a use case."""
    info = tmp_path / "bank_code-3.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bank-code\nVersion: 3.1\n")
    (info / "entry_points.txt").write_text(POINTS)
    (tmp_path / "bank_code.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "bank_code", raising=False)
    (tmp_path / "rows").mkdir()
    applications(300).to_csv(tmp_path / "rows" / "rows.csv", index=False)

    def write(**changes: Any) -> str:
        path = tmp_path / "tiny.yaml"
        path.write_text(tiny_text(**changes), encoding="utf-8")
        return str(path)

    yield write
    sys.modules.pop("bank_code", None)


def test_a_name_that_no_package_brings(case: Any, say: Say) -> None:
    for key in ("own_gates", "own_checks"):
        code, told = say("check", case(**{key: ["mine_"]}))
        assert (code, "no installed package brings a" in told) == (2, True), told


@pytest.mark.parametrize(("scheme", "exit"), [("mine", 2), ("away", 1)])
def test_a_source_that_raises(case: Any, say: Say, scheme: str, exit: int) -> None:
    code, told = say("check", case(), "--data", f"{scheme}://rows")
    assert code == exit, told
    assert f"the source '{scheme}' of bank-code 3.1" in told
    assert ("by nought" if exit == 2 else "nobody answers") in told


def test_a_kind_whose_package_is_broken_stops_no_other(case: Any, say: Say, home: Home) -> None:
    code, told = say("check", case(kind="half"))
    assert code == 2
    assert "the system 'half' of bank-code 3.1 can't be loaded: ModuleNotFoundError" in told
    code, told = say("usecases")
    assert (code, "credit_assessment" in told) == (0, True)
    code, told = say("doctor")
    assert code == 1
    assert "the system 'half' of bank-code 3.1" in " ".join(told.split())


@pytest.mark.parametrize(
    ("command", "lacks", "has"),
    [
        (("forecast", "german_credit"), "is about credit: it forecasts no market", "score"),
        (("portfolio", "german_credit", "--input", "a", "--output", "b"), "isn't a loan", "score"),
        (("check", "market_return"), "forecasts a market: there are no cases", "backtest"),
    ],
)
def test_a_command_that_the_kind_hasnt(
    command: tuple[str, ...], lacks: str, has: str, home: Home, say: Say
) -> None:
    Ledger.open(home, create=True)
    code, told = say(*command)
    assert code == 2
    assert lacks in told
    assert f"{has} {command[1]}" in told
