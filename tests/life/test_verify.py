"""Whatever the ledger names is held against its hash: what was touched is named."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tiny import Live, applications
from tiny_market import LiveMarket

from riskwright import __version__
from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life.tracking import connect, local_path
from riskwright.life.verify import Finding, verify_home
from riskwright.store.manifest import made_by
from riskwright.store.seals import placed


def bad(found: list[Finding]) -> list[Finding]:
    return [f for f in found if f.bad]


def model_folder(live: Any, model: str = "pd") -> Path:
    version = live.ledger.champion(live.usecase.name)
    return placed(live.home, version.models[model].uri)


def evidence_of(live: Live) -> dict[str, Any]:
    return live.ledger.version(live.usecase.name, live.version).evidence


@contextmanager
def altered(path: Path) -> Iterator[None]:
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    try:
        yield
    finally:
        path.write_bytes(before)


@contextmanager
def gone(path: Path) -> Iterator[None]:
    aside = path.rename(path.with_name(f"{path.name}.aside"))
    try:
        yield
    finally:
        aside.rename(path)


def snapshot(live: Live, part: str) -> Path:
    kind = part
    return live.home.root / "snapshots" / kind / f"{evidence_of(live)[part]}.parquet"


TOUCHED: dict[str, tuple[Callable[[Live], Path], str, str]] = {
    "evidence": (
        lambda live: Path(evidence_of(live)["folder"]) / "evidence.json",
        "evidence",
        "evidence.json was altered",
    ),
    "plot": (
        lambda live: Path(evidence_of(live)["folder"]) / "plots" / "roc.png",
        "evidence",
        "plots/roc.png was altered",
    ),
    "bundle": (
        lambda live: model_folder(live) / "artifacts" / "bundle" / "usecase.json",
        "bundle",
        "usecase.json was altered",
    ),
    "manifest": (
        lambda live: model_folder(live) / "artifacts" / "bundle" / "manifest.json",
        "bundle",
        "manifest.json was altered",
    ),
    "served code": (
        lambda live: model_folder(live) / "served.py",
        "served code",
        "served.py was altered",
    ),
    "MLmodel": (lambda live: model_folder(live) / "MLmodel", "served code", "MLmodel was altered"),
    "test part": (lambda live: snapshot(live, "test"), "snapshot", "the ledger's is"),
    "reference": (lambda live: snapshot(live, "reference"), "snapshot", "the ledger's is"),
    "data manifest": (
        lambda live: snapshot(live, "train").with_suffix(".json"),
        "manifest",
        "the ledger's is",
    ),
}


@pytest.mark.parametrize("case", TOUCHED)
def test_what_was_touched_is_named(live: Live, case: str) -> None:
    find, what, told = TOUCHED[case]
    with altered(find(live)):
        found = bad(verify_home(live.home))
    assert found, case
    assert {f.state for f in found} <= {"altered", "missing"}
    assert any(f.what == what and told in f.detail for f in found), found


@pytest.mark.parametrize("case", ["evidence", "bundle", "served code", "test part"])
def test_what_is_gone_is_named(live: Live, case: str) -> None:
    find, what, _ = TOUCHED[case]
    with gone(find(live)):
        found = bad(verify_home(live.home))
    assert any(f.what == what for f in found)


def test_an_edited_figure_in_mlflow_shows(live: Live) -> None:
    path = live.home.root / "mlflow.db"
    before = path.read_bytes()
    with closing(sqlite3.connect(path)) as store, store:
        store.execute("update latest_metrics set value = value + 0.1 where key = 'roc_auc'")
    try:
        found = bad(verify_home(live.home))
    finally:
        path.write_bytes(before)
    assert {f.what for f in found} == {"metrics"}
    assert all("retrain roc_auc is" in f.detail for f in found)


def in_mlflow(live: Any, *parts: str) -> Path:
    version = live.ledger.version(live.usecase.name, live.version)
    run = connect(live.home).get_run(version.run_id)
    folder = local_path(run.info.artifact_uri)
    assert folder is not None
    return folder.joinpath(*parts)


@pytest.mark.parametrize("parts", [("evidence.json",), ("plots",), ("plots", "roc.png")])
def test_what_is_gone_or_touched_in_mlflow_is_told(live: Live, parts: tuple[str, ...]) -> None:
    path = in_mlflow(live, *parts)
    with gone(path):
        found = bad(verify_home(live.home))  # two versions have this run: one is on standby
    assert {(f.what, f.state) for f in found} == {("MLflow's copies", "missing")}
    assert all(f"{'/'.join(parts)} is missing" in f.detail for f in found)
    if path.is_file():
        with altered(path):
            found = bad(verify_home(live.home))
        assert {(f.what, f.state) for f in found} == {("MLflow's copies", "altered")}
        assert all(f"{'/'.join(parts)} was altered" in f.detail for f in found)


def test_a_table_that_is_gone_from_mlflow_is_told(live: Live) -> None:
    with gone(next(in_mlflow(live).glob("*.csv"))):
        found = bad(verify_home(live.home))
    assert {(f.what, f.state) for f in found} == {("MLflow's copies", "missing")}


@pytest.mark.parametrize(
    ("change", "state", "told"),
    [
        ("update model_versions set source = 'models:/m-0'", "missing", "is missing in its"),
        (
            "update logged_models set artifact_location = artifact_location || '/x'",
            "altered",
            "leads to another pd model",
        ),
    ],
)
def test_a_registry_that_leads_elsewhere_is_told(
    live: Live, tmp_path: Path, change: str, state: str, told: str
) -> None:
    copy = Home(tmp_path / "copy")
    shutil.copytree(live.home.root, copy.root)
    connect(copy)  # its addresses follow first
    with closing(sqlite3.connect(copy.root / "mlflow.db")) as store, store:
        store.execute(change)
    found = bad(verify_home(copy))
    connect(live.home)
    assert {(f.what, f.state) for f in found} == {("MLflow's registry", state)}
    assert all(told in f.detail for f in found)


def test_an_untouched_home_is_intact_and_says_what_made_it(live: Live) -> None:
    found = verify_home(live.home)
    assert bad(found) == []
    assert {"ledger", "bundle", "evidence", "snapshot", "metrics", "served code"} <= {
        f.what for f in found if f.state == "intact"
    }
    said = made_by(model_folder(live) / "artifacts" / "bundle")
    assert said["riskwright"] == __version__
    assert len(said["lock"]) == len(said["code"]) == 64
    assert set(said["serves"]) == {"served.py"}


def test_a_model_that_was_loaded_by_its_address_is_intact(live: Live) -> None:
    import mlflow

    from riskwright.life.tracking import connect

    connect(live.home)
    name = f"{live.usecase.name}.pd"
    mlflow.pyfunc.load_model(f"models:/{name}/{live.version}")
    assert (model_folder(live) / "registered_model_meta").exists()  # MLflow leaves a note there
    assert bad(verify_home(live.home)) == []


def test_the_page_of_a_look_is_covered(live: Live, tmp_path: Path) -> None:
    from riskwright.systems.credit.monitoring import monitor_batch

    batch = tmp_path / "batch.csv"
    applications(250, seed=12).drop(columns="default payment next month", errors="ignore").to_csv(
        batch, index=False
    )
    told = monitor_batch(live.usecase, live.home, live.ledger, input=str(batch), labels=None)
    page = Path(told["report"])
    assert not bad(verify_home(live.home))
    with altered(page):
        found = bad(verify_home(live.home))
    assert [(f.what, Path(f.where).name) for f in found] == [("page", "report.html")]
    client = connect(live.home)
    experiment = client.get_experiment_by_name(live.usecase.name).experiment_id
    key = page.parent.name
    (run,) = client.search_runs([experiment], f"tags.`riskwright.key` = '{key}'")
    client.delete_run(run.info.run_id)
    try:
        (found,) = bad(verify_home(live.home))
    finally:
        client.restore_run(run.info.run_id)
    assert (found.what, found.detail) == ("MLflow's copies", "the run was deleted")
    copy = local_path(run.info.artifact_uri) / key / page.name
    with altered(copy):
        client.update_run(run.info.run_id, "FAILED")
        (found,) = bad(verify_home(live.home))
        client.update_run(run.info.run_id, "FINISHED")
    assert (found.what, found.state) == ("MLflow's copies", "altered")
    with gone(copy):
        (found,) = bad(verify_home(live.home))
    assert (found.what, found.state) == ("MLflow's copies", "missing")


def test_of_another_use_case_nothing_is_looked_at(live: Live) -> None:
    found = verify_home(live.home, live.usecase.name)
    assert {f.of.split()[0] for f in found if f.what != "ledger"} >= {"tiny"}
    with pytest.raises(InputRefused, match="no version of nobody"):
        verify_home(live.home, "nobody")


def test_what_an_earlier_release_made_is_told_and_no_failure(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger_version = Ledger.versions

    def without(self: Ledger, *given: Any, **more: Any) -> Any:
        from dataclasses import replace

        old = ("seals", "served", "frozen", "author")
        return [
            replace(v, evidence={k: x for k, x in v.evidence.items() if k not in old})
            for v in ledger_version(self, *given, **more)
        ]

    monkeypatch.setattr(Ledger, "versions", without)
    found = verify_home(live.home)
    assert bad(found) == []
    unsealed = [f for f in found if f.state == "not sealed"]
    assert {f.what for f in unsealed} >= {"served code", "data manifests, quality page"}
    assert all("not sealed by the version that made it" in f.detail for f in unsealed)


def test_a_market_home_is_intact_and_a_touched_walk_is_named(market: LiveMarket) -> None:
    def touched() -> list[Finding]:  # of this case: other tests bend cases of their own in here
        return [f for f in bad(verify_home(market.home)) if f.of.startswith(market.case.name)]

    assert touched() == []
    evidence = market.ledger.champion(market.case.name).evidence
    with altered(next(Path(evidence["joined"]["folder"]).rglob("*.parquet"))):
        named = {f.what for f in touched()}
    assert named == {"walk-forward"}
    with altered(Path(evidence["folder"]) / "backtest" / "report.html"):
        told = [f.detail for f in touched()]
    assert any("backtest/report.html was altered" in t for t in told)


def test_a_home_that_was_moved_is_verified_where_it_is(live: Live, tmp_path: Path) -> None:
    root = tmp_path / "moved"
    home = Home(root).create()
    (root / "work" / "x").mkdir(parents=True)
    gone = Path("/nowhere/home", "work", "x")
    assert placed(home, str(gone)) == root / "work" / "x"
    assert placed(home, gone.as_uri()) == root / "work" / "x"
    assert placed(home, "work/y") == root / "work" / "y"
    assert placed(home, "/nowhere/else") == Path("/nowhere/else")


def test_the_command_ends_with_1_where_a_file_was_touched(
    live: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    from riskwright_flows.cli import app

    for command, words in (
        (["verify"], "nothing was touched"),
        (["verify", "--json"], '"ok": true'),
    ):
        with pytest.raises(SystemExit) as ended:
            app(command)
        assert (ended.value.code, words in capsys.readouterr().out) == (0, True)
    with altered(model_folder(live) / "served.py"), pytest.raises(SystemExit) as ended:
        app(["verify", "tiny"])
    assert ended.value.code == 1
    assert "served.py was altered" in " ".join(capsys.readouterr().out.split())
