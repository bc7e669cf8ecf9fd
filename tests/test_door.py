"""The door for Python: light to import, typed, each name on a real home."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from tiny import Live, applications, tiny_text
from tiny_market import LiveMarket
from world import World

import riskwright as rw
from riskwright.account import Account
from riskwright.door import given
from riskwright.door.results import Result
from riskwright.errors import GateRefused, InputRefused
from riskwright.home import Home
from riskwright.ledger import Ledger, ModelRef
from riskwright.life.submission import submit

HEAVY = {
    "keras", "matplotlib", "mlflow", "numpy", "pandas", "prefect", "pydantic", "rich", "scipy",
    "sklearn", "sqlalchemy", "tensorflow", "yaml",
}  # fmt: skip
EVIL = "<script>alert(1)</script>\x1b[31m"


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_import_brings_nothing_heavy() -> None:
    program = f"import sys, riskwright; dir(riskwright); print(*sorted({HEAVY} & {{*sys.modules}}))"
    assert run(program) == ""


def test_each_name_is_there_with_its_words_and_types() -> None:
    assert set(rw.__all__) <= set(dir(rw))
    functions = [getattr(rw, name) for name in rw.__all__]
    functions = [f for f in functions if callable(f) and not isinstance(f, type)]
    assert len(functions) == 12
    for function in functions:
        assert "Raises\n" in str(function.__doc__), function
        assert "return" in function.__annotations__, function


def test_a_name_survives_the_import_of_everything_behind_it() -> None:
    names = [name for name in rw.__all__ if name.islower() and not name.startswith("_")]
    program = (
        "import pkgutil, riskwright as rw\n"
        "inside = {m.name for m in pkgutil.iter_modules(rw.__path__)}\n"
        f"print(*sorted(inside & {{*{names!r}}}))"
    )
    assert run(program) == ""  # a subpackage of that name would take its place


def test_what_is_not_there_is_no_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'retrian'"):
        _ = rw.retrian


def looked_at(result: Result, axes: bool = True) -> str:
    """Every result has a frame, a labelled picture, a sentence, and a page without foreign HTML."""
    assert isinstance(result.frame, pd.DataFrame)
    assert result.headline in str(result)
    figure: Any = result.plot()
    assert figure._repr_png_().startswith(b"\x89PNG")
    for each in figure.axes:
        assert each.get_xlabel(), result
        assert each.get_ylabel(), result
        assert each.get_title(loc="left"), result
    page = result._repr_html_()
    assert html.escape(result.headline) in page
    tags = set(re.findall(r"</?([a-z0-9]+)", page))
    assert tags <= {"div", "h4", "p", "ul", "li", "table", "caption", "thead", "tbody", "tr"} | {
        "th", "td"
    }  # fmt: skip
    return page


def test_a_use_case_by_name_path_and_dictionary(live: Live) -> None:
    found = rw.use_case("tiny")
    assert (found.name, found.kind) == ("tiny", "credit")
    assert rw.use_case(live.yaml).case == rw.use_case(str(live.yaml)).case
    plain = found.as_dict()
    assert rw.use_case(plain).case.digest == found.case.digest
    assert set(found.frame.columns) == {"key", "value", "rule"}
    assert "read from" in found._repr_html_()
    assert rw.use_case("market_return").kind == "market"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": {"column": "nothing", "bad": "1"}}, "target.good"),
        ({"kind": "weather"}, "weather"),
        ({"families": {1, 2}}, "set"),
        ({"colums": {}}, "colums"),
    ],
)
def test_a_dictionary_that_is_none_is_refused_where_it_is_wrong(
    live: Live, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputRefused) as caught:
        rw.use_case(yaml.safe_load(tiny_text()) | change)
    assert words in str(caught.value)
    assert "dictionary" in caught.value.where


def test_a_check_counts_and_keeps_refused_rows(live: Live) -> None:
    frame = applications(400)
    frame["AGE"] = frame["AGE"].astype("object")
    frame.loc[3, "AGE"] = EVIL
    found = rw.check("tiny", frame)
    assert (found.read, found.accepted, found.refused) == (400, 399, 1)
    assert list(found.refusals["row"]) == ["3"]
    assert len(found.frame) == 399
    page = looked_at(found)
    assert "<script" not in page


def test_scores_come_under_the_index_of_the_frame(live: Live) -> None:
    frame = applications(60).drop(columns="DEFAULT", errors="ignore")
    frame.index = pd.Index([f"case {i}" for i in range(60)])
    frame["AGE"] = frame["AGE"].astype("object")
    frame.iloc[7, frame.columns.get_loc("AGE")] = EVIL
    found = rw.score("tiny", frame, reasons="all")
    assert list(found.frame.index) == list(frame.index)
    assert list(found.refused.index) == ["case 7"]
    assert found.frame.loc["case 7", "decision"] == "refused"
    assert "AGE" in found.frame.loc["case 7", "reason_1"]
    assert np.isnan(found.frame.loc["case 7", "pd"])
    accepted = found.frame.drop(index="case 7")
    assert accepted["pd"].between(0, 1).all()
    assert "<script" not in looked_at(found)
    assert "\x1b" not in found._repr_html_()


def test_scores_are_those_of_the_command(live: Live, tmp_path: Path) -> None:
    from riskwright.systems.credit.promotion import load_version
    from riskwright.systems.credit.scoring import score_file

    frame = applications(80)
    frame.to_csv(tmp_path / "cases.csv", index=False)
    bundle = load_version(live.home, live.ledger, "tiny")
    score_file(bundle, str(tmp_path / "cases.csv"), tmp_path / "scores.csv")
    theirs = pd.read_csv(tmp_path / "scores.csv")
    for ours in (rw.score("tiny", frame), rw.score("tiny", tmp_path / "cases.csv")):
        np.testing.assert_allclose(ours.frame["pd"], theirs["pd"], rtol=0, atol=1e-12)
        assert list(ours.frame["decision"]) == list(theirs["decision"])


def test_an_explanation_adds_up_to_the_pd(live: Live) -> None:
    frame = applications(20).set_axis(range(100, 120), axis=0)
    found = rw.explain("tiny", frame)
    odds = found.frame.sum(axis=1)
    np.testing.assert_allclose(1 / (1 + np.exp(-odds)), found.probability, atol=1e-9)
    assert list(found.frame.index) == list(frame.index)
    looked_at(found)
    assert found.plot(113).axes[0].get_title(loc="left").startswith("PD ")
    with pytest.raises(InputRefused, match="no case 3"):
        found.plot(3)


def test_a_frame_with_a_column_twice_or_a_list_in_a_cell_is_refused(live: Live) -> None:
    frame = applications(5)
    with pytest.raises(InputRefused, match="two columns"):
        rw.score("tiny", pd.concat([frame, frame[["AGE"]]], axis=1))
    frame["AGE"] = [[1], [2], [3], [4], [5]]
    with pytest.raises(InputRefused, match="AGE"):
        rw.score("tiny", frame)
    with pytest.raises(InputRefused, match="a list is no data"):
        rw.score("tiny", [1, 2])  # type: ignore[arg-type]


def test_a_loan_gets_its_price_and_a_book_its_value(lender: Live) -> None:
    from riskwright.data.simulators import simulate

    loans = simulate("loan_book", 800, 5).frame
    found = rw.score("small_book", loans)
    assert found.frame["price"].notna().any()
    book = rw.value_book("small_book", loans, as_of="2014-01-01")
    assert book.figures["el"] > 0
    assert len(book.frame) == book.figures["loans"]
    assert book.report.is_file()
    looked_at(book)
    shutil.rmtree(lender.home.root / "books")  # the next one would be explained by this


def test_a_market_is_forecast_and_nothing_else(market: LiveMarket) -> None:
    found = rw.forecast("tiny_market")
    assert found.intervals[0][1] < found.expected < found.intervals[0][2]
    looked_at(found)
    frame = pd.DataFrame({"a": [1]})
    for asked in (
        lambda: rw.score("tiny_market", frame),
        lambda: rw.explain("tiny_market", frame),
        lambda: rw.value_book("tiny_market", frame),
        lambda: rw.monitor("tiny_market", frame),
    ):
        with pytest.raises(InputRefused, match="market"):
            asked()


def test_what_a_kind_has_not_is_refused_with_what_it_has(live: Live) -> None:
    with pytest.raises(InputRefused) as caught:
        rw.forecast("tiny")
    assert "score" in caught.value.do
    with pytest.raises(InputRefused, match="isn't a loan book"):
        rw.value_book("tiny", pd.DataFrame({"a": [1]}))


def waiting_in(world: World, name: str) -> tuple[int, str]:
    """A baseline that is live, and an ensemble that waits for a second person."""
    from riskwright.life.aliases import change_champion

    spec = world.usecase(name)
    first = submit(world.submission(spec, "one", "baseline")).version
    more: dict[str, Any] = {"expected": None, "version": first, "reason": "first"}
    change_champion(world.home, world.ledger, name, "promote", actor="second", **more)
    return submit(world.submission(spec, "two", "ensemble", actor="tester")).version, name


def test_what_waits_is_shown_and_approved_by_a_second_person_alone(
    world: World, become: Callable[[str], Account]
) -> None:
    version, name = waiting_in(world, "door_waits")
    found = rw.candidates(name)
    assert [w.version for w in found] == [version]
    assert found.waiting[0].ready
    assert {"gate", "passed", "blocking"} <= set(found.frame.columns)
    assert "trained by tester" in looked_at(found)
    with pytest.raises(GateRefused):
        rw.approve(name, version, "mine")  # who trained it
    become("second")
    for wrong in (str(version), float(version), True):
        with pytest.raises(InputRefused, match="no whole number"):
            rw.approve(name, wrong, EVIL)  # type: ignore[arg-type]
    for silent in (None, 3, " "):
        with pytest.raises(InputRefused, match="the reason is"):
            rw.approve(name, version, silent)  # type: ignore[arg-type]
    shown = found.frame["version"].iloc[0]
    assert isinstance(shown, np.integer)
    done = rw.approve(name, shown, EVIL)
    assert world.ledger.verify().ok
    assert (done.version, done.actor) == (version, "second")
    assert done.previous is not None
    page = looked_at(done)
    assert "<script" not in page
    assert list(done.frame["version"]) == [done.previous, version]
    assert len(rw.candidates(name)) == 0
    looked_at(rw.candidates(name))


def test_no_argument_says_who_somebody_is() -> None:
    import inspect

    for function in (rw.approve, rw.decide, rw.retrain):
        names = set(inspect.signature(function).parameters)
        assert not names & {"actor", "user", "by", "who", "account"}


def test_a_monitor_of_a_frame_finds_what_the_command_finds(world: World) -> None:
    frame = applications(400, seed=7, scenario="broken_feed", months=1, onset=0)
    outcome = frame[["ID", "default.payment.next.month"]]
    batch = frame.drop(columns="default.payment.next.month").set_axis(range(50, 450), axis=0)
    found = rw.monitor("tiny", batch, labels=outcome)
    assert found.alert_open
    assert found.frame["alarm"].any()
    assert found.report.is_file()
    assert "labels" in found.verdicts
    looked_at(found)
    again = rw.monitor("tiny", batch, labels=outcome)
    assert again.alert == found.alert

    opened = rw.alerts("tiny")
    assert [alert.id for alert in opened] == [found.alert]
    looked_at(opened)
    with pytest.raises(InputRefused):
        rw.decide(int(found.alert or 0), "ignore", "no such thing")  # type: ignore[arg-type]
    shown = opened.frame["id"].iloc[0]
    assert isinstance(shown, np.integer)
    done = rw.decide(shown, "retrain", f"the change stays {EVIL}")
    assert done.request is not None
    assert done.actor == "tester"
    assert "<script" not in looked_at(done)
    assert len(rw.alerts("tiny")) == 0
    decided = rw.alerts("tiny", decided=True)
    assert decided.frame["decision"].tolist() == ["retrain"]
    assert "request" in looked_at(decided)


def test_a_dictionary_is_kept_as_the_yaml_of_its_account(home: Home) -> None:
    plain = yaml.safe_load(tiny_text()) | {"name": "given"}
    plain["split"] = plain["split"] | {"folds": np.int64(3)}
    ledger = Ledger.open(home, create=True)
    assert given.keep(plain, home, ledger) == "given"
    path = home.root / "usecases" / "given.yaml"
    assert path.stat().st_mode & 0o022 == 0
    assert rw.use_case("given").case.digest == rw.use_case(plain).case.digest
    assert "by tester" in path.read_text()
    assert given.said_of("given", home).startswith("given is as ")

    before = path.read_text()
    given.keep(plain, home, ledger)
    assert path.read_text() == before  # the same again changes nothing
    given.keep(plain | {"title": "other"}, home, ledger)
    assert rw.use_case("given").title == "other"

    path.write_text(tiny_text(name="given"))
    with pytest.raises(InputRefused, match="wasn't given in Python"):
        given.keep(plain, home, ledger)
    with pytest.raises(InputRefused, match="ships with riskwright"):
        given.keep(plain | {"name": "credit_assessment"}, home, ledger)


def test_a_relative_place_in_a_dictionary_is_seen_from_here(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plain = yaml.safe_load(tiny_text()) | {"name": "here", "source": {"location": "cases.csv"}}
    assert rw.use_case(plain).case.location == str(tmp_path / "cases.csv")
    given.keep(plain, home, Ledger.open(home, create=True))
    assert rw.use_case("here").case.location == str(tmp_path / "cases.csv")


def test_without_a_home_what_only_reads_invents_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISKWRIGHT_HOME", str(tmp_path / "none"))
    for asked in (lambda: rw.candidates("tiny"), rw.alerts, lambda: rw.monitor("tiny", "x.csv")):
        with pytest.raises(InputRefused, match="no home"):
            asked()
    assert rw.use_case("loan_book").kind == "loans"
    assert not (tmp_path / "none").exists()


def test_a_broken_use_case_makes_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKWRIGHT_HOME", str(tmp_path / "none"))
    with pytest.raises(InputRefused):
        rw.retrain({"name": "x"})
    assert not (tmp_path / "none").exists()


def files_of(home: Path) -> set[Path]:
    """What lies in a home beside its ledger."""
    found = {path for path in home.rglob("*") if path.is_file()}
    return {path for path in found if not path.name.startswith("ledger.db")}


SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    "change",
    [
        {"source": {"location": f"postgresql://u:{SECRET}@host/db?table=t"}},
        {"source": {"location": f"https://u:{SECRET}@example.com/a.csv"}},
        {"split": {"file": f"https://example.com/a.csv?password={SECRET}"}},
    ],
)
def test_a_secret_in_a_dictionary_is_refused_at_once_and_nowhere_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    monkeypatch.setenv("RISKWRIGHT_HOME", str(tmp_path / "none"))
    plain = yaml.safe_load(tiny_text()) | {"name": "secret"} | change
    for asked in (rw.use_case, rw.check, rw.retrain):
        with pytest.raises(InputRefused) as caught:
            asked(plain)
        assert SECRET not in str(caught.value)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("change", "more", "words"),
    [
        ({}, {"budget": "soon"}, "budget|span|time"),
        ({}, {"data": pd.DataFrame([[1, 2]], columns=["a", "a"])}, "two columns"),
        ({}, {"data": 3}, "no data"),
        ({"own_gates": {"nobody_brings": {}}}, {}, "nobody_brings"),
    ],
)
def test_a_refused_retrain_keeps_neither_dictionary_nor_frame(
    home: Home, change: dict[str, Any], more: dict[str, Any], words: str
) -> None:
    plain = yaml.safe_load(tiny_text()) | {"name": "refused"} | change
    before = files_of(home.root)
    with pytest.raises(InputRefused, match=words):
        rw.retrain(plain, progress=False, **more)
    assert files_of(home.root) == before


def test_what_a_person_changed_in_a_kept_dictionary_is_not_overwritten(home: Home) -> None:
    plain = yaml.safe_load(tiny_text()) | {"name": "edited"}
    ledger = Ledger.open(home, create=True)
    given.keep(plain, home, ledger)
    path = home.root / "usecases" / "edited.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("folds: 3", "folds: 4"), encoding="utf-8")
    with pytest.raises(InputRefused, match="was changed since"):
        given.keep(plain, home, ledger)
    assert "folds: 4" in path.read_text(encoding="utf-8")
    assert "gave it in Python on 20" in given.said_of("edited", home)


def test_a_dictionary_takes_no_name_of_what_was_trained_from_a_file(
    home: Home, tmp_path: Path
) -> None:
    ledger = Ledger.open(home, create=True)
    version = ledger.reserve_version("elsewhere", "one")
    ledger.register(
        "elsewhere",
        version,
        models={"pd": ModelRef("pd", "elsewhere-pd", 1, "0" * 64, "models:/m-1")},
        actor="tess",
        run_id="run",
        evidence={"specification": str(tmp_path / "elsewhere.yaml"), "system": "credit"},
    )
    plain = yaml.safe_load(tiny_text()) | {"name": "elsewhere"}
    before = files_of(home.root)
    with pytest.raises(InputRefused, match="was trained from a file"):
        rw.retrain(plain, applications(30), progress=False)
    assert files_of(home.root) == before


def test_the_page_shows_changed_rules_and_the_figures_that_decide() -> None:
    from riskwright.door.training import _by_candidate, _differences
    from riskwright.life.rules import Changes, Difference

    changed = Changes(1, [Difference("gates.alpha", 0.05, 0.1, loosened=True)])
    (shown,) = _differences(changed.as_dict())
    assert (shown["rule"], shown["old"], shown["new"]) == ("gates.alpha", "0.05", "0.1")
    names = ("accuracy", "precision", "recall", "f1", "roc_auc", "gini", "log_loss", "ece")
    rows = [
        {"candidate": "ensemble", "figure": name, "value": 0.5, "low": 0.4, "high": 0.6}
        for name in names
    ]
    (found,) = _by_candidate(rows)
    assert list(found) == ["candidate", "roc_auc", "log_loss", "ece"]
