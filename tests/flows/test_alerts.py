"""An alert from the monitor's finding to a person's decision and what follows from it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from place import enter
from tiny import applications
from world import World

from riskwright.life.submission import submit
from riskwright.life.tracking import connect
from riskwright.systems.credit.promotion import load_version
from riskwright_flows.cli import app

NAME = "watched"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command line: exit code and all that it said."""

    def command(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            app(list(arguments))
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out + told.err

    return command


@pytest.fixture
def watched(world: World) -> tuple[int, int]:
    """A baseline that was live, and the ensemble that is."""
    history = world.ledger.history(NAME)
    if not history:
        spec = world.usecase(NAME, "automatic")
        submit(world.submission(spec, "one", "baseline"))
        submit(world.submission(spec, "two", "ensemble"))
        history = world.ledger.history(NAME)
    return history[0].version, history[-1].version


def batch(folder: Path, seed: int, scenario: str = "broken_feed") -> Path:
    path = folder / f"{scenario}-{seed}.csv"
    frame = applications(400, seed=seed, scenario=scenario, months=1, onset=0)
    frame.drop(columns="default.payment.next.month").to_csv(path, index=False)
    return path


def raise_alert(run: Any, folder: Path, seed: int) -> dict[str, Any]:
    code, told = run("monitor", NAME, "--input", str(batch(folder, seed)), "--json")
    assert code == 3, told
    found: dict[str, Any] = json.loads(told)
    assert found["alert"] is not None
    assert found["alert_open"] is True
    return found


def champion(world: World) -> int:
    live = world.ledger.champion(NAME)
    assert live is not None
    return live.version


def test_a_quiet_batch_opens_no_alert(
    world: World, watched: tuple[int, int], run: Any, tmp_path: Path
) -> None:
    path = batch(tmp_path, 71, "none")
    code, told = run("monitor", NAME, "--input", str(path), "--json")
    assert code == 0, told
    found = json.loads(told)
    assert found["alert"] is None
    assert found["version"] == watched[1]
    assert run("alerts", NAME) == (0, "Alerts: none is open\n")
    # The findings are kept all the same.
    assert world.ledger.findings(NAME, found["batch"])


def test_from_the_alert_to_a_request_for_a_retrain(
    world: World, watched: tuple[int, int], run: Any, tmp_path: Path
) -> None:
    found = raise_alert(run, tmp_path, 1)
    alert = str(found["alert"])
    again = raise_alert(run, tmp_path, 1)
    assert again["alert"] == found["alert"], "the same batch opened a second alert"

    code, told = run("alerts", NAME, "--json")
    assert code == 0
    rows = json.loads(told)
    assert [r["id"] for r in rows] == [found["alert"]]
    assert (rows[0]["status"], rows[0]["seen"], rows[0]["version"]) == ("open", 2, watched[1])
    code, told = run("alerts", NAME)
    assert rows[0]["opened_at"][:16] in told
    assert rows[0]["title"][:20] in told

    code, told = run("alerts", "show", alert, "--json")
    shown = json.loads(told)
    assert shown["findings"]
    assert all(f["alarm"] for f in shown["findings"])
    assert Path(shown["report"]).exists()
    code, told = run("alerts", "show", alert)
    assert code == 0
    assert f"alerts decide {alert}" in told
    assert rows[0]["opened_at"][:16] in told
    for finding in shown["findings"]:
        assert finding["detail"] in told

    for arguments, word in (
        (("decide", alert, "retrain"), "a reason"),
        (("decide", alert, "retrain", "--reason", " "), "a reason"),
        (("decide", alert, "ignore", "--reason", "x"), "what to do"),
        (("decide", alert), "what to do"),
        (("decide", "99999", "accept", "--reason", "x"), "no alert 99999"),
    ):
        code, told = run("alerts", *arguments)
        assert code == 2, told
        assert word in told
    assert world.ledger.alert(found["alert"]).status == "open"
    assert world.ledger.requests(NAME) == []

    arguments = ("decide", alert, "retrain", "--reason", "the channel is here to stay")
    code, told = run("alerts", *arguments, "--json")
    assert code == 0, told
    decision = json.loads(told)
    assert (decision["decision"], decision["actor"]) == ("retrain", "tester")
    waiting = world.ledger.requests(NAME)
    assert [(r.kind, r.alert_id, r.status) for r in waiting] == [
        ("retrain", found["alert"], "pending")
    ]
    assert decision["request"]["id"] == waiting[0].id
    assert waiting[0].reason == "the channel is here to stay"
    assert f"request {waiting[0].id} waits\n" in run("alerts", "show", alert)[1]

    code, told = run("alerts", "decide", alert, "accept", "--reason", "second thoughts")
    assert code == 1
    assert "decided already: retrain, by tester" in told
    assert "the channel is here to stay" in told
    assert len(world.ledger.requests(NAME)) == 1
    waits = f"{NAME}: request {waiting[0].id} waits\n"
    assert run("alerts", NAME) == (0, f"Alerts: none is open\n{waits}")
    code, told = run("alerts", NAME, "--all", "--json")
    assert [(r["id"], r["decision"]) for r in json.loads(told)] == [(found["alert"], "retrain")]
    assert champion(world) == watched[1], "a request is no change"

    # The batch looked at once more: what was decided about it stands.
    code, told = run("monitor", NAME, "--input", str(batch(tmp_path, 1)), "--json")
    assert code == 0, told
    assert json.loads(told)["alert_open"] is False
    assert run("alerts", NAME) == (0, f"Alerts: none is open\n{waits}")


def test_accept_changes_nothing_but_the_alert(
    world: World, watched: tuple[int, int], run: Any, tmp_path: Path
) -> None:
    alert = raise_alert(run, tmp_path, 2)["alert"]
    before = world.ledger.history(NAME), world.ledger.requests(NAME)
    code, told = run("alerts", "decide", str(alert), "accept", "--reason", "a holiday")
    assert code == 0
    assert "the champion stays" in told
    held = world.ledger.alert(alert)
    assert (held.status, held.decision, held.reason) == ("closed", "accept", "a holiday")
    assert (world.ledger.history(NAME), world.ledger.requests(NAME)) == before


def test_a_batch_without_rows_is_an_alert_each_day(
    world: World,
    watched: tuple[int, int],
    run: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was decided about yesterday's says nothing about today's."""
    path = tmp_path / "nothing.csv"
    found = []
    for day, content in ((1, "ID,LIMIT_BAL,SEX\n"), (1, ""), (2, "")):
        path.write_text(content, encoding="utf-8")

        class Day(datetime):
            @classmethod
            def now(cls, tz: Any = None, day: int = day) -> datetime:
                return datetime(2026, 3, day, 6, tzinfo=tz)

        monkeypatch.setattr("riskwright.systems.credit.monitoring.datetime", Day)
        code, told = run("monitor", NAME, "--input", str(path), "--json")
        assert code == 3, told
        found.append(json.loads(told))
        assert (found[-1]["severity"], found[-1]["title"]) == ("critical", "empty batch")
        assert found[-1]["rows_read"] == 0
        if len(found) == 2:
            alert = str(found[-1]["alert"])
            decide = ("alerts", "decide", alert, "accept", "--reason", "no cases on a holiday")
            assert run(*decide)[0] == 0
    assert [f["alert"] for f in found[:2]] == [found[0]["alert"]] * 2
    assert found[2]["alert"] > found[1]["alert"]
    world.ledger.decide_alert(found[2]["alert"], "accept", actor="tester", reason="done")


def labelled(folder: Path, seed: int, flipped: bool) -> tuple[Path, Path]:
    """A batch with a constant column, and its outcomes, turned round if asked."""
    frame = applications(600, seed=seed, months=1, onset=0)
    target = "default.payment.next.month"
    frame["BILL_AMT1"] = 1_000.0
    if flipped:
        frame[target] = 1 - frame[target].astype(int)
    cases, outcomes = folder / f"cases-{seed}.csv", folder / f"outcomes-{seed}.csv"
    frame.drop(columns=target).to_csv(cases, index=False)
    frame[["ID", target]].to_csv(outcomes, index=False)
    return cases, outcomes


def test_outcomes_that_come_after_a_decision_open_an_alert_of_their_own(
    world: World, watched: tuple[int, int], run: Any, tmp_path: Path
) -> None:
    cases, outcomes = labelled(tmp_path, 81, flipped=True)
    first = json.loads(run("monitor", NAME, "--input", str(cases), "--json")[1])
    page = Path(first["report"])
    cited = page.read_bytes()
    text = page.read_text(encoding="utf-8")
    for known in (f"Alert {first['alert']}", f"Version {watched[1]}", first["looked_at"]):
        assert known in text
    assert f"Batch {first['batch'][:16]}, cases-81.csv" in text
    assert f"alerts decide {first['alert']} accept" in text
    arguments = ("alerts", "decide", str(first["alert"]), "accept", "--reason", "a known constant")
    assert run(*arguments)[0] == 0

    options = ("--input", str(cases), "--labels", str(outcomes))
    second = json.loads(run("monitor", NAME, *options, "--json")[1])
    assert second["verdicts"]["labels"] == "alarm"
    assert (second["alert"] != first["alert"], second["alert_open"]) == (True, True)
    shown = world.ledger.alert(second["alert"])
    assert {f["family"] for f in shown.findings} == {"labels"}
    assert "BILL_AMT1" not in shown.title
    assert second["decided_before"] == len(world.ledger.alert(first["alert"]).findings)
    assert page.read_bytes() == cited
    assert Path(second["report"]).parent != page.parent

    again = json.loads(run("monitor", NAME, *options, "--json")[1])
    assert (again["alert"], again["report"]) == (second["alert"], second["report"])
    world.ledger.decide_alert(second["alert"], "accept", actor="tester", reason="done")
    for more in ((), ("--labels", str(outcomes))):
        told = json.loads(run("monitor", NAME, "--input", str(cases), *more, "--json")[1])
        assert told["alert_open"] is False
    assert page.read_bytes() == cited

    client = connect(world.home)
    found = client.search_runs(
        [str(client.get_experiment_by_name(NAME).experiment_id)],
        f"tags.`riskwright.role` = 'monitor' and params.batch = '{first['batch']}'",
    )
    assert {r.info.status for r in found} == {"FINISHED"}
    assert len(found) == 2


def test_a_page_under_another_champion_is_another_page(
    world: World, watched: tuple[int, int], run: Any, tmp_path: Path
) -> None:
    cases = labelled(tmp_path, 82, flipped=False)[0]
    first = json.loads(run("monitor", NAME, "--input", str(cases), "--json")[1])
    cited = Path(first["report"]).read_bytes()
    world.ledger.decide_alert(first["alert"], "accept", actor="tester", reason="known")
    world.ledger.rollback(NAME, actor="tester", reason="to look", expected=watched[1])
    try:
        other = json.loads(run("monitor", NAME, "--input", str(cases), "--json")[1])
        told = run("monitor", NAME, "--input", str(cases))[1]
    finally:
        submit(world.submission(world.usecase(NAME, "automatic"), "three", "ensemble"))
    assert (other["version"], other["batch"]) == (watched[0], first["batch"])
    assert other["report"] != first["report"]
    assert Path(first["report"]).read_bytes() == cited
    assert "mlflow" not in other
    assert "note:" not in told
    client = connect(world.home)
    found = client.search_runs(
        [str(client.get_experiment_by_name(NAME).experiment_id)],
        f"tags.`riskwright.role` = 'monitor' and params.batch = '{first['batch']}'",
    )
    assert sorted(r.data.params["version"] for r in found) == sorted(map(str, watched))
    assert {r.info.status for r in found} == {"FINISHED"}


def test_mlflow_trouble_is_told_on_the_console(
    world: World, watched: tuple[int, int], run: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    from riskwright.life.tracking import Tracker

    def broken(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route to the server")

    path = str(batch(tmp_path, 73, "none"))
    monkeypatch.setattr(Tracker, "log", broken)
    code, told = run("monitor", NAME, "--input", path)
    assert code == 0, told
    assert "note: the report is not in MLflow: ConnectionError: no route to the server" in told
    client = connect(world.home)
    experiment = str(client.get_experiment_by_name(NAME).experiment_id)
    assert not client.search_runs([experiment], "attributes.status = 'RUNNING'")
    monkeypatch.undo()
    enter(world.home, monkeypatch)
    code, told = run("monitor", NAME, "--input", path)
    assert "MLflow" not in told


def test_rollback_then_fallback_by_decision(
    world: World, watched: tuple[int, int], run: Any, tmp_path: Path
) -> None:
    """Last in the file: it changes the champion."""
    first, second = watched
    assert champion(world) == second
    alert = raise_alert(run, tmp_path, 3)["alert"]
    code, told = run("alerts", "decide", str(alert), "rollback", "--reason", "the feed broke")
    assert code == 0, told
    assert "the former champion is live" in told
    assert champion(world) == first

    def alias() -> int:
        found = connect(world.home).get_model_version_by_alias(f"{NAME}.pd", "champion")
        return int(found.tags["riskwright.version"])

    assert alias() == first
    code, told = run("history", NAME, "--json")
    assert json.loads(told)[-1]["reason"] == "the feed broke"

    # An alert about a version that is no longer live can't move the champion.
    old = world.ledger.open_alert(
        NAME,
        title="an old one",
        findings=[{"code": "drift", "column": "x"}],
        severity="high",
        batch_hash="of yesterday",
        version=second,
        report="",
    )
    code, told = run("alerts", "decide", str(old), "fallback", "--reason", "late")
    assert code == 1
    assert "no longer what this decision was made against" in told
    assert world.ledger.alert(old).status == "open"
    assert (champion(world), alias()) == (first, first)

    newer = raise_alert(run, tmp_path, 4)
    assert newer["version"] == first
    code, told = run(
        *("alerts", "decide", str(newer["alert"]), "fallback", "--reason", "simple now", "--json")
    )
    assert code == 0, told
    done = json.loads(told)["promotion"]
    assert done["kind"] == "fallback"
    live = champion(world)
    assert live == done["version"] == alias()
    bundle = load_version(world.home, world.ledger, NAME)
    assert list(bundle.ensemble.bags) == ["scorecard"]
    scores = tmp_path / "scores.csv"
    path = batch(tmp_path, 72, "none")
    code, told = run("score", NAME, "--input", str(path), "--output", str(scores))
    assert code == 0, told
    assert set(pd.read_csv(scores)["model_version"]) == {live}
    assert world.ledger.verify().ok
