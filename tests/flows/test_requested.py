"""A retrain that people asked for: it learns from what the source holds by then, or it waits."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from place import enter
from tiny import applications, tiny_text

from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright_flows.cli import app

NAME = "mine"
FAMILIES = ["logistic", "scorecard"]


def run(*arguments: str) -> tuple[int, Any]:
    """Exit code and JSON answer of a command line."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        app([*arguments, "--json"])
    assert "Traceback" not in err.getvalue()
    return int(ended.value.code or 0), json.loads(out.getvalue())


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


def write(home: Home, name: str, **changes: Any) -> Path:
    path = home.folder("usecases") / f"{name}.yaml"
    path.write_text(tiny_text(name=name, families=FAMILIES, **changes), encoding="utf-8")
    return path


def told_by_prefect(*arguments: Any) -> tuple[str, str]:
    """Name and message of the state that the flow ends in."""
    from riskwright_flows.requested import retrain_requested_flow

    state = retrain_requested_flow(*arguments, return_state=True)
    return state.name, state.message


def ask(ledger: Ledger, name: str = NAME) -> int:
    return ledger.request(name, actor="reviewer", reason="the batch of March drifted").id


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_it_learns_from_the_source_as_it_is_by_then_and_waits_until_there_is_something(
    prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home").create()
    enter(home, monkeypatch)
    source, once = tmp_path / "cases.csv", tmp_path / "once.csv"
    applications(800, seed=1).to_csv(source, index=False)
    applications(800, seed=2).to_csv(once, index=False)
    write(home, NAME, source={"location": str(source)})
    code, first = run("retrain", NAME, "--budget", "1s")
    assert (code, first["live"]) == (0, True)
    number = first["version"]
    assert str(source) in first["data"]["source"]
    ledger = Ledger.open(home)

    # The source holds what version 1 learnt from: nothing is trained, and nothing says "done".
    asked = ask(ledger)
    for times in range(2):
        code, answer = run("retrain", "--requested")
        assert code == 0
        told = answer["requests"][0]["told"]
        assert told.startswith("nothing new to learn from: the use case's own source (")
        assert f"from which version {number} (champion) learnt" in told
        assert told.endswith(f"; request {asked} waits")
        waiting = ledger.requests(NAME)[0]
        assert (waiting.status, waiting.outcome) == ("pending", None)
        assert f"{waiting.detail}; request {asked} waits" == told
        assert len(ledger.events(kind="request.waits")) == 1, f"told again, time {times}"
    assert told_by_prefect() == ("Completed", told)
    code, again = run("retrain", NAME, "--budget", "1s")
    assert (code, again["nothing_new"], again["version"]) == (0, True, number)
    assert again["told"].startswith("nothing new to learn from")

    # Data named by hand, once, are new: the request is served by that retrain.
    code, by_hand = run("retrain", NAME, "--data", str(once))
    assert code in (0, 3)
    newest = by_hand["version"]
    assert newest > number
    code, answer = run("retrain", "--requested")
    assert code == 0
    assert f"version {newest}" in answer["requests"][0]["told"]
    assert ledger.requests(NAME) == []

    # They don't replace the source: it is read again, and holds what the first one learnt from.
    asked = ask(ledger)
    code, answer = run("retrain", NAME, "--requested")
    assert code == 0
    assert str(source) in answer["requests"][0]["told"]
    assert f"version {number} (" in answer["requests"][0]["told"]

    # What drifted, with its outcomes, has come: learnt from, with the champion's budget.
    applications(900, seed=3, scenario="new_channel").to_csv(source, index=False)
    budget = ledger.champion(NAME).evidence["budget"]
    code, answer = run("retrain", "--requested")
    done = answer["requests"][0]
    assert code == (0 if done["passed"] else 3)
    assert done["data"]["report"]["read"] == 900
    assert done["told"].startswith(f"request {asked} is done: version {done['version']} (")
    assert ledger.requests(NAME) == []
    learnt = ledger.version(NAME, done["version"]).evidence
    assert (learnt["data"], learnt["budget"]) == (None, budget)
    assert ledger.verify().ok


def test_an_outage_or_a_refusal_leaves_it_waiting_and_says_so(
    prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    home = Home(tmp_path / "home").create()
    enter(home, monkeypatch)
    address = f"postgresql+psycopg2://somebody@127.0.0.1:{free_port}/loans"
    write(home, "late", source={"location": str(tmp_path / "late.csv")})
    write(home, "down", source={"location": address, "table": "loans"})
    write(home, "typo", famlies={})
    applications(200, seed=1).drop(columns="LIMIT_BAL").to_csv(tmp_path / "cases.csv", index=False)
    write(home, "wrong", source={"location": str(tmp_path / "cases.csv")})
    expected = {
        "late": (1, "the source isn't there (yet)"),
        "down": (1, "the database can't be reached"),
        "typo": (2, "unknown key 'famlies'"),
        "wrong": (2, "column 'LIMIT_BAL' is missing"),
        "gone": (2, "no use case is called 'gone'"),
    }
    ledger = Ledger.open(home, create=True)
    asked = {name: ask(ledger, name) for name in expected}
    for name in ("late", "down", "typo", "wrong"):
        code, answer = run("retrain", name, "--requested")
        assert code == expected[name][0], answer
        assert [r["request"] for r in answer["requests"]] == [asked[name]]
        assert expected[name][1] in answer["requests"][0]["told"]
    code, answer = run("retrain", "--requested")
    assert code == 1, "an outage among them"
    assert [r["request"] for r in answer["requests"]] == list(asked.values())
    held = {r.use_case: r for r in ledger.requests()}
    for name, (_, words) in expected.items():
        assert held[name].status == "pending"
        assert words in held[name].detail
    state, message = told_by_prefect()
    assert state == "Failed"
    assert f"request {asked['down']} waits: the database can't be reached" in message
    assert len(ledger.events(kind="request.waits")) == len(expected), "said once each"
    assert ledger.verify().ok


def test_a_budget_that_is_none_and_data_beside_requests_are_refused(home: Home) -> None:
    for more, word in ((("--budget", "soon"), "budget"), (("--data", "x.csv"), "own source")):
        code, answer = run("retrain", "--requested", *more)
        assert code == 2
        assert word in answer["what"]
