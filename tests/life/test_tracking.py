"""What MLflow remembers of a retrain, written once however often it is written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient
from tiny import applications
from world import World, make_world

from riskwright.errors import Unavailable
from riskwright.home import Home
from riskwright.life.steps import Made
from riskwright.life.submission import submit
from riskwright.life.tracking import (
    KEY,
    PARENT,
    ROLE,
    VERSION,
    Tracker,
    connect,
    local_bundle,
    set_alias,
)
from riskwright.systems.credit.promotion import load_version
from riskwright.systems.credit.record import record
from riskwright.systems.credit.records import Fitted


@pytest.fixture
def client(world: World) -> MlflowClient:
    return connect(world.home)


def runs(client: MlflowClient, usecase: str, key: str) -> list[Any]:
    experiment = client.get_experiment_by_name(usecase).experiment_id
    return list(client.search_runs([experiment], f"tags.`{KEY}` = '{key}'"))


def artifacts(client: MlflowClient, run: str, folder: str | None = None) -> set[str]:
    return {Path(f.path).name for f in client.list_artifacts(run, folder)}


def test_a_parent_run_and_a_child_for_each_family(world: World, client: MlflowClient) -> None:
    trained = world.trained
    found = {r.data.tags[ROLE]: r for r in runs(client, "tiny", trained.key)}
    assert set(found) == {PARENT, *world.live.usecase.families}
    for role, run in found.items():
        if role != PARENT:
            assert run.data.tags["mlflow.parentRunId"] == trained.run_id
            assert run.info.status == "FINISHED"
    assert found[PARENT].info.run_id == trained.run_id


def test_the_parent_holds_figures_with_intervals_data_plots_and_reports(
    world: World, client: MlflowClient
) -> None:
    run = client.get_run(world.trained.run_id)
    evidence, data = world.evidence, world.data
    told = evidence.metrics[evidence.chosen]
    for name in ("roc_auc", "gini", "ks", "log_loss", "brier", "ece", "pr_auc", "f1", "accuracy"):
        assert run.data.metrics[name] == told[name].value
        assert run.data.metrics[f"{name}_low"] == told[name].low
        assert run.data.metrics[f"{name}_high"] == told[name].high
    assert run.data.params["chosen"] == evidence.chosen
    assert run.data.params["usecase_digest"] == world.live.usecase.digest
    assert run.data.tags["riskwright.why"] == evidence.why
    inputs = {i.dataset.name: i.dataset.digest for i in run.inputs.dataset_inputs}
    assert inputs == {n: getattr(data, n)[:32] for n in ("raw", "clean", "train", "test")}
    assert {"plots", "explanation", "evidence.json"} <= artifacts(client, run.info.run_id)
    plots = artifacts(client, run.info.run_id, "plots")
    assert {f"{n}.png" for n in ("calibration", "roc", "ks", "lift", "scores")} <= plots
    explained = artifacts(client, run.info.run_id, "explanation")
    assert {"shap_summary.png", "permutation_importance.csv", "case_lime.png"} <= explained


def test_a_child_holds_its_parameters_figures_and_cleaning_report(
    world: World, client: MlflowClient
) -> None:
    child = next(
        r for r in runs(client, "tiny", world.trained.key) if r.data.tags[ROLE] == "xgboost"
    )
    assert child.data.params["param.max_trees"] == "200"
    assert child.data.params["members"] == "3"
    told = world.evidence.metrics["xgboost"]
    assert child.data.metrics["roc_auc"] == told["roc_auc"].value
    assert {"cleaning.json", "trials.json", "bag"} <= artifacts(client, child.info.run_id)


def test_recording_again_adds_no_run_and_no_point(world: World, client: MlflowClient) -> None:
    trained, spec = world.trained, world.live.usecase

    def points() -> dict[str, int]:
        return {
            f"{r.info.run_id} {name}": len(client.get_metric_history(r.info.run_id, name))
            for r in runs(client, "tiny", trained.key)
            for name in ("roc_auc", "log_loss")
        }

    before = points()
    assert set(before.values()) == {1}
    inputs = len(client.get_run(trained.run_id).inputs.dataset_inputs)
    tracker = Tracker(world.home, spec, trained.key)
    assert tracker.run(PARENT) == trained.run_id
    record(tracker, str(trained.run_id), trained.made)
    assert points() == before
    assert len(client.get_run(trained.run_id).inputs.dataset_inputs) == inputs == 4


def test_a_family_that_does_not_apply_has_a_run_that_says_so(
    world: World, client: MlflowClient
) -> None:
    skipped = Fitted(name="gru", skipped="not applicable: no sequences declared")
    tracker = Tracker(world.home, world.usecase("skips"), "k")
    others = world.trained.made.of(("data", "joined", "evidence")).by_name()
    record(tracker, tracker.run(PARENT), Made({**others, "fit_gru": skipped}))
    found = {r.data.tags[ROLE]: r for r in runs(client, "skips", "k")}
    assert found["gru"].data.tags["riskwright.skipped"] == skipped.skipped
    assert found["gru"].info.status == "FINISHED"


def test_a_run_is_found_again_by_its_key_and_role(world: World, client: MlflowClient) -> None:
    spec = world.usecase("runs")
    one, other = Tracker(world.home, spec, "one"), Tracker(world.home, spec, "other")
    parent = one.run(PARENT)
    assert one.run(PARENT) == Tracker(world.home, spec, "one").run(PARENT) == parent
    assert len({parent, other.run(PARENT), one.run("logistic", parent)}) == 3
    one.log(parent, params={"a": 1}, metrics={"m": 0.5})
    assert client.get_run(parent).info.status == "FINISHED"
    # A retrain that goes on is seen to be running again, and may repeat what it wrote.
    assert one.run(PARENT) == parent
    assert client.get_run(parent).info.status == "RUNNING"
    one.log(parent, params={"a": 1}, metrics={"m": 0.5})
    assert len(client.get_metric_history(parent, "m")) == 1


def registered(client: MlflowClient, name: str) -> list[tuple[int, str]]:
    """MLflow's versions, each with the version of the use case that it is."""
    found = client.search_model_versions(f"name='{name}.pd'")
    return sorted((int(v.version), v.tags[VERSION]) for v in found)


def test_a_retrain_killed_before_its_model_was_registered_leaves_no_orphan(
    world: World, client: MlflowClient
) -> None:
    """MLflow has the files, but no version of them: they are logged anew, the old ones dropped."""
    import mlflow

    of = world.submission(world.usecase("orphan"), "one", "baseline")
    with mlflow.start_run(run_id=of.run_id):
        orphan = mlflow.initialize_logged_model(name="pd_v1", source_run_id=of.run_id).model_id
    done = submit(of)
    assert registered(client, "orphan") == [(1, str(done.version))]
    experiment = client.get_experiment_by_name("orphan").experiment_id
    kept = [m.model_id for m in client.search_logged_models([experiment])]
    assert len(kept) == 1
    assert orphan not in kept


def test_a_retrain_killed_before_the_ledger_knew_its_model_goes_on(
    world: World, client: MlflowClient
) -> None:
    of = world.submission(world.usecase("killed"), "one", "baseline")
    source = local_bundle(
        world.ledger.version("tiny", world.live.version).models["pd"].uri, Path("unused")
    )
    before = of.tracker.log_model(of.run_id, "pd", source, 1)
    again = of.tracker.log_model(of.run_id, "pd", source, 1)
    assert before == again
    assert registered(client, "killed") == [(1, "1")]
    other = of.tracker.log_model(of.run_id, "pd", source, 2)
    assert other["version"] == 2
    assert other["uri"] != before["uri"]
    # The first version's files are still there: it is registered, no orphan.
    assert local_bundle(before["uri"], Path("unused")).is_dir()


def test_an_alias_is_set_moved_and_removed(world: World, client: MlflowClient) -> None:
    spec = world.usecase("alias")
    submit(world.submission(spec, "one"))

    def now() -> dict[str, int]:
        return {a: int(v) for a, v in client.get_registered_model("alias.pd").aliases.items()}

    assert set_alias(client, "alias.pd", "trial", 1)
    assert now()["trial"] == 1
    assert not set_alias(client, "alias.pd", "trial", 1)
    assert set_alias(client, "alias.pd", "trial", 2)
    assert now()["trial"] == 2
    assert set_alias(client, "alias.pd", "trial", None)
    assert "trial" not in now()
    assert not set_alias(client, "alias.pd", "trial", None)
    assert not set_alias(client, "nobody.pd", "trial", 1)


KILLED_IN_MIGRATION = """
import os, signal
import mlflow.store.db.utils as db
from riskwright.home import Home
from riskwright.life.steps import Made
from riskwright.life.tracking import connect
db._upgrade_db = lambda engine: os.kill(os.getpid(), signal.SIGKILL)  # its tables half made
connect(Home().create())
"""


def test_a_process_killed_while_it_made_mlflows_file_leaves_a_home_that_works(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path / "home")
    environment = {**os.environ, "RISKWRIGHT_HOME": str(home.root)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = [sys.executable, "-c", KILLED_IN_MIGRATION]
    killed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [p.suffix for p in home.root.glob(".mlflow.db*")] == [".part"]
    assert connect(home).search_experiments()[0].name == "Default"
    assert [p.name for p in home.root.iterdir() if "mlflow" in p.name] == ["mlflow.db"]


@pytest.mark.parametrize("name", ["plain", "with blank", "pro%cent%20", "ümlaut"])
def test_a_bundle_is_found_behind_any_file_address(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    assert local_bundle(folder.as_uri(), tmp_path) == folder / "artifacts" / "bundle"
    assert local_bundle(str(tmp_path / "plain"), tmp_path) == tmp_path / "plain/artifacts/bundle"


def test_a_server_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    monkeypatch.setenv("RISKWRIGHT_MLFLOW_URI", f"http://me:secret@127.0.0.1:{free_port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(Unavailable, match="MLflow doesn't answer") as refused:
        connect(Home(tmp_path / "home").create())
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0", "the user's own setting"
    assert "secret" not in str(refused.value)
    assert "secret" not in str(refused.value.as_dict())


@pytest.mark.slow
def test_nobody_waits_minutes_for_a_server_that_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    monkeypatch.setenv("RISKWRIGHT_MLFLOW_URI", f"http://127.0.0.1:{free_port}")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    started = time.monotonic()
    with pytest.raises(Unavailable):
        connect(Home(tmp_path / "home").create())
    assert time.monotonic() - started < 45


@pytest.mark.slow
@pytest.mark.server
def test_the_life_of_a_model_on_a_real_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    """Runs, files and registry behind HTTP: the bundle is fetched once, verified, and scores."""
    address = f"http://127.0.0.1:{free_port}"
    log = (tmp_path / "server.log").open("wb")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"),
            *("--port", str(free_port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}"),
            *("--artifacts-destination", str(tmp_path / "files")),
        ],
        cwd=tmp_path,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=2):
                    break
            except OSError:
                assert time.monotonic() < until, (tmp_path / "server.log").read_text()[-2000:]
                time.sleep(0.5)
        monkeypatch.setenv("RISKWRIGHT_MLFLOW_URI", address)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        made = make_world(tmp_path / "home")
        assert not (tmp_path / "home" / "mlflow.db").exists()
        cases = applications(40)
        first = load_version(made.home, made.ledger, "tiny").predict(cases)
        assert set(first["model_version"]) == {made.live.version}
        kept = list((tmp_path / "home" / "bundles").iterdir())
        digest = made.ledger.version("tiny", made.live.version).models["pd"].digest
        assert digest in [p.name for p in kept]
        again = made.submission(made.usecase("served"), "one")
        done = submit(again)
        assert submit(again) == done
        assert registered(connect(made.home), "served") == [(1, "1"), (2, "2")]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        log.close()
    # Fetched before, it scores without the server.
    second = load_version(made.home, made.ledger, "tiny").predict(cases)
    pd.testing.assert_frame_equal(second, first)
