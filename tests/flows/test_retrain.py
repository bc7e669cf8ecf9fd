"""The retrain flow: resumed step by step, served by request, alone, and closed after a crash."""

from __future__ import annotations

import base64
import binascii
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from place import enter
from tiny import applications, tiny_text, without_page

from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life import process
from riskwright.life.steps import Step
from riskwright.life.tracking import KEY, PARENT, ROLE, connect
from riskwright.systems.credit.case import load_usecase
from riskwright_flows.cli import app

NOBODY = 2**22 - 3  # beyond the largest process id
DEAD = f"{socket.gethostname()}:{NOBODY}:1@{process._view()}"


def run(*arguments: str) -> tuple[int, Any, str]:
    """Exit code, JSON answer and standard error of a command line."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        app([*arguments, "--json"])
    return int(ended.value.code or 0), json.loads(out.getvalue()), err.getvalue()


@dataclass(frozen=True)
class Retrained:
    """A home in which the flow ran once, and what it answered."""

    home: Home
    answer: dict[str, Any]

    @property
    def ledger(self) -> Ledger:
        return Ledger.open(self.home)

    @property
    def place(self) -> Path:
        return self.home.root / "work" / "tiny" / self.answer["key"][:16]

    def again(self) -> dict[str, Any]:
        code, answer, err = run("retrain", "tiny")
        assert code == 0, err
        found: dict[str, Any] = answer
        return found

    def runs(self, role: str | None = None) -> list[Any]:
        client = connect(self.home)
        experiment = client.get_experiment_by_name("tiny").experiment_id
        wanted = "" if role is None else f"tags.`{ROLE}` = '{role}'"
        return list(client.search_runs([experiment], wanted))

    def files(self) -> dict[str, tuple[int, int]]:
        """Every file of the steps: when it was written, and its inode."""
        return {
            str(p.relative_to(self.place)): (p.stat().st_mtime_ns, p.stat().st_ino)
            for p in self.place.rglob("*")
            if p.is_file()
        }


def prepare(root: Path, **changes: Any) -> Home:
    home = Home(root).create()
    (home.folder("usecases") / "tiny.yaml").write_text(tiny_text(**changes), encoding="utf-8")
    return home


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the folder that Prefect would keep results in."""
    from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    results = tmp_path_factory.mktemp("prefect") / "results"
    with (
        temporary_settings({PREFECT_LOCAL_STORAGE_PATH: results}),
        prefect_test_harness(server_startup_timeout=180),
    ):
        yield results


@pytest.fixture(scope="module")
def first(prefect_server: Path, tmp_path_factory: pytest.TempPathFactory) -> Retrained:
    home = prepare(tmp_path_factory.mktemp("retrain") / "home")
    with pytest.MonkeyPatch.context() as patch:
        enter(home, patch)
        code, answer, err = run("retrain", "tiny")
    assert code == 0, err
    return Retrained(home, answer)


@pytest.fixture
def retrained(first: Retrained, monkeypatch: pytest.MonkeyPatch) -> Retrained:
    enter(first.home, monkeypatch)
    return first


def test_a_retrain_ends_with_a_champion_and_closed_runs(retrained: Retrained) -> None:
    answer = retrained.answer
    assert (answer["live"], answer["passed"], answer["usecase"]) == (True, True, "tiny")
    assert set(answer["metrics"]) == {"logistic", "scorecard", "xgboost", "baseline", "ensemble"}
    champion = retrained.ledger.champion("tiny")
    assert champion is not None
    assert champion.version == answer["version"]
    assert champion.actor.startswith("policy:automatic:")
    assert Path(answer["evidence"]).is_dir()
    assert Path(answer["data"]["quality_report"]).is_file()
    assert {r.data.tags[ROLE]: r.info.status for r in retrained.runs()} == dict.fromkeys(
        (PARENT, "logistic", "scorecard", "xgboost"), "FINISHED"
    )
    parent = retrained.runs(PARENT)[0]
    assert parent.info.run_id == answer["run_id"]
    assert parent.data.tags["riskwright.version"] == str(answer["version"])
    assert [(r.run_key, r.status, r.attempt) for r in retrained.ledger.runs("tiny")] == [
        (answer["key"], "finished", 1)
    ]
    assert retrained.ledger.holder("retrain:tiny") is None


def test_the_same_again_says_that_there_is_nothing_new(retrained: Retrained) -> None:
    ledger = retrained.ledger
    before, versions = retrained.files(), ledger.versions("tiny")
    models = connect(retrained.home).search_model_versions("name='tiny.pd'")
    again = retrained.again()
    same = ("version", "key", "run_id", "kind", "why", "passed", "live", "evidence")
    assert {k: again[k] for k in same} == {k: retrained.answer[k] for k in same}
    assert again["nothing_new"] is True
    assert again["told"].startswith("nothing new to learn from: the use case's own source (simul")
    assert retrained.files() == before, "a step was worked out again"
    assert ledger.versions("tiny") == versions
    assert len(ledger.history("tiny")) == 1
    assert len(connect(retrained.home).search_model_versions("name='tiny.pd'")) == len(models)
    assert len(retrained.runs(PARENT)) == 1
    assert len(ledger.readings(again["data"]["test"])) == 1, "a resumed run reads once"


@pytest.mark.slow
def test_steps_that_were_tampered_with_are_worked_out_again(retrained: Retrained) -> None:
    from riskwright.life.retrain import steps_of
    from riskwright.life.steps import Work, run
    from riskwright.systems.credit.records import CreditEvidence, Tables

    place, before = retrained.place, retrained.files()
    victim = place / "fit_xgboost" / "oof.npy"
    content = bytearray(victim.read_bytes())
    right = bytes(content)
    content[-1] ^= 1
    victim.write_bytes(content)
    (place / "evidence.json").write_text("{")
    case = load_usecase("tiny", retrained.home)
    work = Work(case, retrained.home, retrained.ledger, retrained.answer["key"], place)
    data = Tables.model_validate(retrained.answer["data"])
    done: list[str] = []

    def told(step: Step, go: Any) -> Any:
        done.append(step.name)
        return go(lambda fraction: None)

    _, *steps, _, _ = steps_of(case)
    made = run(steps, work, made={"data": data}, perform=told)
    assert victim.read_bytes() == right
    assert made.one(CreditEvidence).plain()["metrics"] == retrained.answer["metrics"]
    assert sorted(done) == ["described", "evidence", "fit_xgboost"]
    after = retrained.files()
    assert set(after) == set(before)
    redone = {name.split("/")[0] for name in before if after[name] != before[name]}
    assert redone == {"fit_xgboost", "fit_xgboost.json", "evidence", "evidence.json"}
    assert len(retrained.ledger.versions("tiny")) == 2
    assert len(retrained.runs(PARENT)) == 1
    assert len(retrained.ledger.readings(data.test)) == 1


def test_only_the_requests_of_the_use_case_that_was_named(retrained: Retrained) -> None:
    ledger = retrained.ledger
    other = ledger.request("other", actor="reviewer", reason="not now")
    assert run("retrain", "tiny", "--requested")[:2] == (0, {"requests": []})
    assert ledger.requests("other")[0].status == "pending"
    ledger.claim_request("somebody:1:1", "other")
    ledger.finish_request(other.id, "done")


def test_another_process_at_work_is_told(
    retrained: Retrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = retrained.ledger
    assert ledger.acquire("retrain:tiny", "another-machine:12:345", 60)
    try:
        code, answer, _ = run("retrain", "tiny")
        asked = ledger.request("tiny", actor="reviewer", reason="x")
        monkeypatch.setattr("riskwright_flows.requested.learnt_from", lambda *given: None)
        code_requested, served, _ = run("retrain", "--requested")
        held = next(r for r in ledger.requests("tiny") if r.id == asked.id)
    finally:
        ledger.release("retrain:tiny", "another-machine:12:345")
    assert code == 1
    assert (answer["error"], answer["what"]) == (
        "Conflict",
        "another process is at it: retrain:tiny",
    )
    assert "another-machine:12:345" in answer["where"]
    # The request waits for the next run: it was neither served nor lost.
    assert code_requested == 1
    assert held.status == "pending"
    assert "another process is at it: retrain:tiny" in str(held.detail)
    assert served["requests"][0]["told"] == f"request {asked.id} waits: {held.detail}"
    ledger.claim_request("somebody:1:1", "tiny")
    ledger.finish_request(asked.id, "done")


def test_what_a_killed_process_left_is_closed_before_the_next_begins(
    retrained: Retrained,
) -> None:
    """Its lease, its run in the ledger and in MLflow, its flow run and subflow in Prefect."""
    from prefect import flow, task
    from prefect.client.orchestration import get_client
    from prefect.states import Running

    @flow(name="retrain")
    def killed() -> None:
        """Stands for the flow of a process that is gone."""

    @task
    def subflow() -> None:
        """Stands for a flow below it: Prefect hangs it to its parent by a task."""

    ledger, client = retrained.ledger, connect(retrained.home)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    left = client.create_run(experiment, tags={KEY: "killed", ROLE: PARENT}).info.run_id
    assert ledger.acquire("retrain:tiny", DEAD, 600)
    ledger.start_run("tiny", "retrain", "killed", DEAD, left)
    with get_client(sync_client=True) as prefect:
        run_id = prefect.create_flow_run(killed, state=Running()).id
        alive = prefect.create_flow_run(killed, state=Running()).id
        assert ledger.acquire(f"flow-run:{run_id}", DEAD, 600)
        assert ledger.acquire(f"flow-run:{alive}", "elsewhere:1:1", 600)
        link = prefect.create_task_run(subflow, run_id, dynamic_key="0").id
        below = prefect.create_flow_run(killed, state=Running(), parent_task_run_id=link).id
    try:
        retrained.again()
        with get_client(sync_client=True) as prefect:
            assert prefect.read_flow_run(run_id).state.type.value == "CRASHED"
            assert prefect.read_flow_run(below).state.type.value == "CRASHED"
            assert prefect.read_flow_run(alive).state.type.value == "RUNNING"
        assert client.get_run(left).info.status == "KILLED"
        status = {r.run_key: r.status for r in ledger.runs("tiny")}
        assert status == {retrained.answer["key"]: "finished", "killed": "crashed"}
    finally:
        client.delete_run(left)
        ledger.release(f"flow-run:{alive}", "elsewhere:1:1")


def test_a_retrain_that_fails_is_closed_at_once(
    retrained: Retrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    from riskwright.life.retrain import retrain
    from riskwright.systems.credit import record

    def lost(*given: Any) -> None:
        raise InputRefused("no such snapshot")

    monkeypatch.setattr(record, "record", lost)
    case = load_usecase("tiny", retrained.home)
    for attempt in (1, 2):  # the second one finds the first one's run
        with pytest.raises(InputRefused, match="no such snap"):
            retrain(case, retrained.home, retrained.ledger, seed=7, perform=without_page)
        run = next(r for r in retrained.ledger.runs("tiny") if r.status == "failed")
        assert run.attempt == attempt
        assert "no such snap" in run.detail
        assert connect(retrained.home).get_run(run.mlflow_run_id).info.status == "FAILED"
    connect(retrained.home).delete_run(run.mlflow_run_id)  # other tests count the runs


def test_score_and_monitor_as_flows(retrained: Retrained, tmp_path: Path) -> None:
    from riskwright_flows.monitor import monitor_flow
    from riskwright_flows.score import score_flow

    cases = tmp_path / "cases.csv"
    applications(250).to_csv(cases, index=False)
    client = connect(retrained.home)
    client.delete_registered_model_alias("tiny.pd", "champion")
    done = score_flow("tiny", str(cases), str(tmp_path / "scores.csv"))
    assert (done["read"], done["accepted"]) == (250, 250)
    assert (tmp_path / "scores.csv").is_file()
    mended = client.get_model_version_by_alias("tiny.pd", "champion")
    assert mended.tags["riskwright.version"] == str(retrained.answer["version"])
    state = monitor_flow("tiny", str(cases), return_state=True)
    told = state.result()
    assert told["version"] == retrained.answer["version"]
    assert Path(told["report"]).exists()
    assert (state.name, state.message) == ("Completed", "no alert")
    applications(250).assign(LIMIT_BAL=1.0).to_csv(cases, index=False)
    state = monitor_flow("tiny", str(cases), return_state=True)
    told = state.result()
    assert (state.name, state.message) == ("Completed", f"alert {told['alert']} is open")
    retrained.ledger.decide_alert(told["alert"], "accept", actor="tester", reason="done")


PICKLE = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def hides_pickle(text: str) -> bool:
    try:
        return base64.b64decode(text, validate=True).startswith(PICKLE)
    except (binascii.Error, ValueError):
        return False


def test_the_check_below_sees_a_pickle() -> None:
    import pickle

    for protocol in range(2, 6):
        content = pickle.dumps({"a": Path()}, protocol)
        assert content.startswith(PICKLE)
        assert hides_pickle(base64.b64encode(content).decode())
    assert not hides_pickle("a path/to/something")


def test_nothing_that_the_flows_keep_is_pickle(retrained: Retrained, prefect_server: Path) -> None:
    kept = [p for p in retrained.home.root.rglob("*") if p.is_file()]
    kept += [p for p in prefect_server.rglob("*") if p.is_file()]
    parsed = 0
    for path in kept:
        assert path.suffix not in (".pkl", ".pickle", ".joblib", ".h5"), path
        content = path.read_bytes()
        assert not content.startswith(PICKLE), path
        if path.suffix == ".json" or prefect_server in path.parents:
            hidden = [t for t in strings(json.loads(content)) if hides_pickle(t)]
            assert hidden == [], path
            parsed += 1
    records = {p.name for p in retrained.place.glob("*.json")}
    assert records == {
        *(f"fit_{name}.json" for name in ("logistic", "scorecard", "xgboost")),
        *("joined.json", "evidence.json"),
    }
    assert parsed > len(records)


# Killed in the middle


class Command:
    """The command line as a process of its own, with all that it starts."""

    def __init__(self, home: Home, log: Path) -> None:
        environment = {
            **os.environ,
            "RISKWRIGHT_HOME": str(home.root),
            "MLFLOW_TRACKING_URI": home.mlflow_uri,
            "PREFECT_HOME": str(home.root / "prefect"),
        }
        for name in ("PREFECT_API_URL", "PREFECT_LOGGING_LEVEL"):  # those of this process
            environment.pop(name, None)
        self.output, self.errors = log.with_suffix(".out"), log.with_suffix(".err")
        with self.output.open("wb") as out, self.errors.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "riskwright_flows.cli", "retrain", "tiny", "--json"],
                env=environment,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def kill_when(self, true: Callable[[], Any]) -> None:
        until = time.monotonic() + 240
        while not true():
            assert self.process.poll() is None, self.told()
            assert time.monotonic() < until, self.told()
            time.sleep(0.01)
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def told(self) -> str:
        return self.output.read_text()[-1500:] + self.errors.read_text()[-1500:]

    def answer(self) -> dict[str, Any]:
        try:
            assert self.process.wait(240) == 0, self.told()
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
        found: dict[str, Any] = json.loads(self.output.read_text())
        return found


@pytest.mark.slow
def test_trouble_inside_a_flow_is_a_message_and_no_traceback(home: Home, tmp_path: Path) -> None:
    prepare(home.root)
    ledger = Ledger.open(home, create=True)
    assert ledger.acquire("retrain:tiny", "another-machine:12:345", 240)
    command = Command(home, tmp_path / "conflict")
    assert command.process.wait(200) == 1
    assert json.loads(command.output.read_text())["error"] == "Conflict"
    assert "Traceback" not in command.errors.read_text()


def found(home: Home, pattern: str) -> Callable[[], bool]:
    return lambda: any(home.root.glob(pattern))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_again_and_again_it_ends_as_if_it_had_run_once(
    first: Retrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while fitting, joining, explaining, logging, bundling and registering."""
    home = prepare(tmp_path / "home")
    enter(home, monkeypatch)
    moments = {
        "fitting": found(home, "work/tiny/*/*fit_scorecard*"),
        "joining": found(home, "work/tiny/*/fit_xgboost.json"),
        "explaining": found(home, "work/tiny/*/.evidence.*.part/explanation"),
        "logging": found(home, "mlartifacts/tiny/*/artifacts/cleaning.json"),
        "bundling": found(home, "work/tiny/*/baseline/pd/*bundle*"),
        "registering": found(home, "mlartifacts/tiny/models/*/artifacts/MLmodel"),
    }
    for number, (moment, true) in enumerate(moments.items()):
        Command(home, tmp_path / f"{number}-{moment}").kill_when(true)
    answer = Command(home, tmp_path / "last").answer()

    done = Retrained(home, answer)
    assert (answer["key"], answer["kind"], answer["live"]) == (
        first.answer["key"],
        first.answer["kind"],
        True,
    )
    for name, metrics in first.answer["metrics"].items():
        for metric, wanted in metrics.items():
            assert answer["metrics"][name][metric] == pytest.approx(wanted, abs=1e-6, nan_ok=True)
    ledger = done.ledger
    champion = ledger.champion("tiny")
    assert champion is not None
    assert champion.version == answer["version"]
    assert [v.status for v in ledger.versions("tiny")] == ["challenger", "champion"]
    assert len(ledger.history("tiny")) == 1
    assert [r.info.status for r in done.runs(PARENT)] == ["FINISHED"]
    assert {r.info.status for r in done.runs()} == {"FINISHED"}
    client = connect(home)
    versions = client.search_model_versions("name='tiny.pd'")
    assert len(versions) == 2
    experiment = client.get_experiment_by_name("tiny").experiment_id
    logged = {m.model_id for m in client.search_logged_models([experiment])}
    kept = {v.source.removeprefix("models:/") for v in versions}
    assert logged == kept, "an orphan was left in MLflow"
    assert [r.status for r in ledger.runs("tiny")] == ["finished"]
    assert len(ledger.readings(answer["data"]["test"])) == 1
    assert ledger.verify().ok
    assert not list(home.root.glob("work/**/*.part"))
    assert not list(home.root.glob("snapshots/**/*.part"))
