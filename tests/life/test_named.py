"""What was trained once is known by name; what is live runs whatever its YAML says today."""

from __future__ import annotations

import io
import json
import shutil
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from place import enter
from tiny import Live, applications, tiny_text
from tiny_market import LiveMarket
from world import World

from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.life.named import named, specification_of
from riskwright.life.submission import submit
from riskwright_flows.cli import app


def run(*arguments: str) -> tuple[int, Any, str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        app([*arguments, "--json"])
    assert "Traceback" not in err.getvalue()
    return int(ended.value.code or 0), json.loads(out.getvalue()), err.getvalue()


def broken(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8") + "\nfamlies: {}\n", encoding="utf-8")


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    path = tmp_path / "cases.csv"
    applications(250).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("gone", [False, True])
def test_a_typo_of_today_stops_nothing_that_is_live(
    live: Live, cases: Path, tmp_path: Path, gone: bool
) -> None:
    kept = live.yaml.read_text(encoding="utf-8")
    output = tmp_path / "scores.csv"
    try:
        live.yaml.unlink() if gone else broken(live.yaml)
        code, scored, _ = run("score", "tiny", "--input", str(cases), "--output", str(output))
        assert (code, scored["accepted"]) == (0, 250)
        code, watched, _ = run("monitor", "tiny", "--input", str(cases))
        assert code == 0
        for notes in (scored["warnings"], watched["notes"]):
            assert "the YAML of tiny can't be read today: " in notes[-1]
            assert ("no use case is called" if gone else "famlies") in notes[-1]
        assert run("history", "tiny")[0] == 0
        assert run("challengers", "tiny")[1] == []
        code, told, _ = run("retrain", "tiny")
        assert code == 2, told
        code, scored, _ = run(
            "score", str(live.yaml), "--input", str(cases), "--output", str(output)
        )
        assert (code, scored["accepted"]) == (0, 250)
    finally:
        live.yaml.write_text(kept, encoding="utf-8")
    assert run("score", "tiny", "--input", str(cases), "--output", str(output))[1]["warnings"] == []


def test_a_market_with_a_typo_still_answers(market: LiveMarket, tmp_path: Path) -> None:
    path = market.home.root / "usecases" / "tiny_market.yaml"
    kept = path.read_text(encoding="utf-8")
    try:
        broken(path)
        for arguments in (
            ("forecast", "tiny_market"),
            ("monitor", "tiny_market"),
            ("backtest", "tiny_market", "--output", str(tmp_path / "report")),
        ):
            code, told, _ = run(*arguments)
            assert code == 0, told
            assert "famlies" in told["notes"][-1]
    finally:
        path.write_text(kept, encoding="utf-8")


def test_a_book_with_a_typo_is_still_reported_on(lender: Live, tmp_path: Path) -> None:
    from riskwright.data.loan_book import simulate_book

    book = tmp_path / "book.csv"
    simulate_book(1000, seed=5, as_of="2016-01")[0].to_csv(book, index=False)
    kept = lender.yaml.read_text(encoding="utf-8")
    try:
        broken(lender.yaml)
        output = str(tmp_path / "report")
        code, told, _ = run("portfolio", "small_book", "--input", str(book), "--output", output)
    finally:
        lender.yaml.write_text(kept, encoding="utf-8")
    assert code == 0, told
    assert "famlies" in told["notes"][-1]


def test_what_was_trained_from_a_path_is_known_by_name(
    world: World, tmp_path: Path, cases: Path
) -> None:
    """The command that a challenger prints is one that runs."""
    spec = world.usecase("from_a_path")
    path = tmp_path / "from_a_path.yaml"
    shutil.move(world.home.root / "usecases" / "from_a_path.yaml", path)
    from riskwright.life.specification import Frozen

    began = Frozen(spec, str(path), {}, "", "")
    from dataclasses import replace

    submit(replace(world.submission(spec, "one"), began=began))
    assert specification_of("from_a_path", world.home, world.ledger) == str(path)
    code, rows, _ = run("challengers", "from_a_path")
    assert code == 0
    number = str(rows[-1]["version"])
    code, told, _ = run("approve", "from_a_path", number, "--reason", "gates read, limits agreed")
    assert code in (0, 3), told  # 3: who ran the tests may have trained it
    assert run("history", "from_a_path")[0] == 0
    assert run("alerts", "from_a_path")[:2] == (0, [])
    code, told, _ = run("check", "from_a_path", "--data", str(cases))
    assert code == 0, told
    path.write_text("name: [", encoding="utf-8")
    assert named(str(path), world.home, world.ledger).name == "from_a_path"
    with pytest.raises(InputRefused, match="no use case is called 'from_a_pth'") as unknown:
        named("from_a_pth", world.home, world.ledger)
    assert "from_a_path" in unknown.value.do


@pytest.mark.slow
def test_a_monitor_takes_a_headerless_file_without_the_target(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``score`` does."""
    from tiny import make_live

    source = yaml.safe_load(tiny_text())["source"] | {"header": False}
    mine = make_live(tmp_path / "home", source=source)
    enter(mine.home, monkeypatch)
    frame = applications(250)[list(mine.usecase.columns)]
    path = tmp_path / "cases.csv"
    for cases in (frame, frame.drop(columns=mine.usecase.target.column)):
        cases.to_csv(path, index=False, header=False)
        output = str(tmp_path / "scores.csv")
        assert run("score", "tiny", "--input", str(path), "--output", output)[0] == 0
        code, told, _ = run("monitor", "tiny", "--input", str(path))
        assert code == 0, told
        assert told["rows_read"] == 250
    assert len(pd.read_csv(output)) == 250


def test_an_unknown_name_in_an_empty_home(home: Home) -> None:
    from riskwright.ledger import Ledger

    with pytest.raises(InputRefused, match="no use case is called"):
        named("nothing", home, Ledger.open(home, create=True))
