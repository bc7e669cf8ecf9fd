"""A market forecast through the command line: retrain, forecast, backtest, monitor, alerts."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import yaml
from place import enter
from tiny import Live
from tiny_market import LiveMarket, market_plain, series, write_series

from riskwright.case.files import known_usecases
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.systems.market.panel import read_store
from riskwright.systems.market.scenario import further_months
from riskwright.systems.market.tables import to_table
from riskwright_flows.cli import app

NAME = "tiny_market"


def run(*arguments: str) -> tuple[int, str]:
    """Exit code, and what was printed."""
    code, out, err = streams(*arguments)
    return code, out + err


def streams(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        app(list(arguments))
    assert "Traceback" not in out.getvalue() + err.getvalue()
    return int(ended.value.code or 0), out.getvalue(), err.getvalue()


def answered(*arguments: str) -> Any:
    code, out, err = streams(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


# ---- what a champion answers


def test_a_forecast_ends_with_what_to_do_and_how_sure_it_is(market: LiveMarket) -> None:
    code, told = run("forecast", NAME)
    assert code == 0, told
    plain = " ".join(told.split())
    for words in (
        "over the next 12 months, as of the end of 2010-12",
        "80 % interval",
        "P(return > cash)",
        "weight in equities",
        "what moves it away from the historical mean",
        "default spread",
    ):
        assert words in plain
    assert plain.rindex("Evidence: ") > plain.rindex("Hold ")
    found = answered("forecast", NAME, "--horizon", "1m", "--as-of", "2000-06")
    assert (found["origin"], found["model"], found["source"]) == ("2000-06", "m1", "walk-forward")
    path = known_usecases(market.home)[NAME]
    assert answered("forecast", str(path), "--horizon", "12m") == answered("forecast", NAME)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("forecast", NAME, "--horizon", "6m"), "'6m' is no horizon of tiny_market"),
        (("forecast", NAME, "--as-of", "the crash"), "is no date"),
        (("forecast", NAME, "--as-of", "1900-01"), "no forecast was made"),
        (("forecast", NAME, "--as-of", "2030-01"), "ends before the as-of date"),
        (("forecast", "german_credit"), "is about credit"),
        (("forecast", "market_return"), "has no champion"),
        (("forecast", "market_retrun"), "did you mean 'market_return'"),
        (("backtest", "loan_book", "--output", "x"), "is about credit"),
        (("check", NAME), "forecasts a market"),
        (("score", NAME, "--input", "x.csv", "--output", "y.csv"), "forecasts a market"),
        (("portfolio", NAME, "--input", "x.csv", "--output", "y"), "forecasts a market"),
        (("retrain", NAME, "--budget", "10m"), "no budget for tuning"),
        (("retrain", "market_return_shiller"), "add --data FOLDER"),
        (("monitor", NAME, "--labels", "x.csv"), "are in its series"),
        (("monitor", NAME, "--version", "1"), "from its own training on"),
        (("monitor", "german_credit"), "which batch?"),
        (("monitor", "nope"), "no use case is called 'nope'"),
        (("retrain", "market_return", "--data", "x"), "reads no file"),
        (("demo", "market_retrun"), "did you mean 'market_return'"),
    ],
)
def test_what_a_command_cant_do_is_refused(
    market: LiveMarket, arguments: tuple[str, ...], words: str
) -> None:
    code, told = run(*arguments)
    assert code == 2, told
    assert words in " ".join(told.split())


def test_usecases_lists_both_kinds_and_a_name_is_taken_once(
    market: LiveMarket, tmp_path: Path
) -> None:
    names = [row["name"] for row in answered("usecases")]
    assert {"credit_assessment", "market_return", "market_return_shiller", NAME} <= set(names)
    assert len(set(names)) == len(names)
    home = Home(tmp_path / "home").create()
    taken = home.folder("usecases") / "market_return.yaml"
    with pytest.MonkeyPatch.context() as patch:
        enter(home, patch)
        Ledger.open(home, create=True)
        taken.write_text(yaml.safe_dump(market_plain(name="market_return")), encoding="utf-8")
        code, told = run("forecast", "market_return")
        assert code == 2
        assert "two use cases are called 'market_return'" in told
        taken.write_text("name: market_return\nsource: {}\n", encoding="utf-8")
        for command in (("forecast",), ("check",), ("retrain",)):
            code, told = run(*command, "market_return")
            assert code == 2
            assert "two use cases are called 'market_return'" in told


def test_a_backtest_is_complete_or_not_there(market: LiveMarket, tmp_path: Path) -> None:
    output = tmp_path / "report"
    code, told = run("backtest", NAME, "--output", str(output))
    assert code == 0, told
    assert "deflated Sharpe ratio" in " ".join(told.split())
    assert (output / "report.html").is_file()
    code, told = run("backtest", NAME, "--output", str(output))
    assert code == 2
    assert "never overwritten" in told
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_a_monitor_says_when_it_cant_tell(market: LiveMarket) -> None:
    code, told = run("monitor", NAME)
    assert code == 0, told
    assert told.count("not enough data") == 3
    found = answered("monitor", NAME, "--input", str(market.folder))
    assert found["alert"] is None


def test_the_history_and_challengers_are_those_of_every_use_case(market: LiveMarket) -> None:
    rows = answered("history", NAME)
    assert rows[0]["version"] == market.trained.version
    assert answered("challengers", NAME) == []


# ---- its whole life, through the orchestrator


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    place = tmp_path_factory.mktemp("prefect") / "results"
    with (
        temporary_settings({PREFECT_LOCAL_STORAGE_PATH: place}),
        prefect_test_harness(server_startup_timeout=180),
    ):
        yield


@pytest.mark.slow
def test_retrain_resumes_renews_and_serves_a_request(
    prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home").create()
    enter(home, monkeypatch)
    plain = market_plain(models={"m1": {"horizon": 1}}, gates={"as_of_dates": 1})
    (home.folder("usecases") / f"{NAME}.yaml").write_text(yaml.safe_dump(plain))
    data = write_series(tmp_path / "data", series(end="2010-12"))
    code, told = run("retrain", NAME, "--data", str(data))
    assert code == 0, told
    said = " ".join(told.split())
    assert "version 1 (m1: the historical mean) is live" in said
    assert "no skill beyond the mean" in said
    ledger = Ledger.open(home)
    assert [r.status for r in ledger.runs(NAME)] == ["finished"]

    # Again, without naming the folder: the one named last, told; there is nothing new in it.
    steps = {p: p.stat().st_mtime_ns for p in (home.root / "work").rglob("*.parquet")}
    again = answered("retrain", NAME)
    assert (again["version"], again["live"], again["nothing_new"]) == (1, True, True)
    assert f"{data}, named with version 1" in again["told"]
    assert {p: p.stat().st_mtime_ns for p in (home.root / "work").rglob("*.parquet")} == steps

    # Five years later the monitor alarms; its request retrains on what came since.
    store = read_store(market_case_of(home), data)
    further = further_months(store, 60, seed=1, change=True)
    table = to_table(further)
    write_further(data, table)
    code, told = run("monitor", NAME, "--json")
    assert code == 3, told
    found = json.loads(told)
    assert found["months_since"] == 60
    assert found["alert"] is not None
    assert found["verdicts"]["predictors"] == "alarm"
    decide = ("alerts", "decide", str(found["alert"]), "retrain", "--reason", "learn from it")
    assert run(*decide)[0] == 0
    late = data.rename(data.with_name("late"))
    code, told = run("retrain", "--requested")
    assert code == 1, told
    assert "request 1 waits: the source isn't there (yet)" in told
    assert (
        f"request 1 waits: the source isn't there (yet) ({data / 'series.csv'})"
        in (run("alerts", "show", str(found["alert"]))[1])
    )
    late.rename(data)
    served = answered("retrain", "--requested")
    assert [r["request"] for r in served["requests"]] == [1]
    done = served["requests"][0]
    assert done["data"]["newest"] == "2015-12"
    gate = next(g for g in done["gates"] if g["name"] == "champion")
    assert gate["passed"], gate
    assert done["live"] is True
    assert done["told"].startswith("request 1 is done: version ")
    assert answered("forecast", NAME)["version"] == done["version"]
    ledger.request(NAME, actor="reviewer", reason="once more")
    waits = answered("retrain", "--requested")["requests"][0]
    assert waits["nothing_new"] is True
    assert waits["told"].endswith("request 2 waits")
    ledger.claim_request("somebody:1:1")
    ledger.finish_request(2, "done")
    told = run("retrain", "--requested")[1]
    assert "no request waits" in told


def market_case_of(home: Home) -> Any:
    from riskwright.systems.market.case import load_market_case

    return load_market_case(NAME, home)


def write_further(folder: Path, table: Any) -> None:
    """Write a long table of series as the case's file, in its units."""
    wide = table.pivot(index="date", columns="series", values="value")
    frame = wide.assign(MKT=100 * (wide["returns"] - wide["bill_rate"]))
    frame = frame.assign(RF=100 * wide["bill_rate"], AAA=100 * wide["aaa"], BAA=100 * wide["baa"])
    frame = frame.assign(CPI=wide["cpi"]).reset_index(names="DATE")
    frame["DATE"] = frame["DATE"].dt.strftime("%Y-%m-%d")
    write_series(folder, frame[["DATE", "MKT", "RF", "AAA", "BAA", "CPI"]])


def test_a_market_in_the_home_breaks_no_credit_command(live: Live) -> None:
    own = live.home.folder("usecases") / "mine.yaml"
    own.write_text(yaml.safe_dump(market_plain(name="mine")), encoding="utf-8")
    try:
        assert {"tiny", "mine"} <= {row["name"] for row in answered("usecases")}
        assert answered("history", "tiny")
        code, told = run("history", "mine")
        assert code == 0
        assert "no version was live" in told
    finally:
        own.unlink()


def test_a_request_is_asked_of_the_source_and_a_budget_is_left_out(market: LiveMarket) -> None:
    from riskwright_flows.requested import _ask

    ledger = market.ledger
    request = ledger.request("tiny_market", actor="reviewer", reason="errors drift")
    try:
        asked = _ask(market.home, ledger, request, "10m")
        assert asked == {"usecase": "tiny_market", "budget": None, "seed": 0}
    finally:
        ledger.claim_request("somebody:1:1", "tiny_market")
        ledger.finish_request(request.id, "done")
