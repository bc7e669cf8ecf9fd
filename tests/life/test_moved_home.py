"""A home that was moved, or restored elsewhere: it scores, decides, and is healthy."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from place import enter
from world import World, make_world

from riskwright.errors import RiskwrightError
from riskwright.home import HERE, Home
from riskwright.ledger import Ledger
from riskwright.life.aliases import change_champion
from riskwright.life.rollback import roll_back
from riskwright.life.submission import submit
from riskwright.life.tracking import connect
from riskwright.life.verify import verify_home
from riskwright.store.seals import placed
from riskwright.systems.credit.promotion import load_version
from riskwright_flows.cli import app

NAME = "wanders"


def say(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        app(list(arguments))
    told = capsys.readouterr()
    return int(ended.value.code or 0), told.out, told.err


@pytest.fixture(scope="module")
def own_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world that no other module's tests leave anything in."""
    return make_world(tmp_path_factory.mktemp("moved") / "a home")


@pytest.fixture
def world(own_world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    enter(own_world.home, monkeypatch)
    return own_world


@pytest.fixture
def moved(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """The world's home in another place, while there is nothing where it was."""
    spec = world.usecase(NAME)
    if world.ledger.champion(NAME) is None:
        first = submit(world.submission(spec, "one", "baseline")).version
        given: dict[str, Any] = {"version": first, "actor": "second", "reason": "good"}
        change_champion(world.home, world.ledger, NAME, "promote", expected=None, **given)
        submit(world.submission(spec, "two", "ensemble"))
    new = Home(tmp_path / "another 100% home")
    shutil.copytree(world.home.root, new.root)
    away = world.home.root.with_name("away")
    world.home.root.rename(away)
    enter(new, monkeypatch)
    try:
        yield new
    finally:
        assert not world.home.root.exists(), "something was written where the home once was"
        away.rename(world.home.root)


def test_no_event_says_where_the_home_was(moved: Home, world: World) -> None:
    said = [json.dumps(e.payload) for e in Ledger.open(moved).events()]
    assert [s for s in said if str(world.home.root) in s or world.home.root.as_uri() in s] == []
    assert any(HERE in s for s in said)


def test_a_moved_home_goes_on(
    moved: Home, world: World, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ledger = Ledger.open(moved)
    held = ledger.version(NAME, 1)
    assert Path(held.models["pd"].uri).is_relative_to(moved.root)
    assert load_version(moved, ledger, NAME).version == 1
    code, out, err = say(capsys, "approve", NAME, "3", "--reason", "still good", "--json")
    assert (code, json.loads(out)["notes"]) == (0, []), err
    found = json.loads(say(capsys, "doctor", "--deep", "--json")[1])
    assert found["champions"][NAME] == "version 3 loads, digest checked"
    # This use case's figures were never logged to MLflow; every file is what it was.
    assert [what for what in found["verified"] if "MLflow run" not in what] == []
    assert say(capsys, "doctor", "--json")[0] == 0
    # MLflow's own addresses follow, so that its server finds the model and new files come here.
    client = connect(moved)
    where = client.get_experiment_by_name(NAME).artifact_location
    assert where == (moved.root / "mlartifacts" / NAME).as_uri()
    run = client.create_run(client.get_experiment_by_name(NAME).experiment_id)
    assert run.info.artifact_uri.startswith(moved.root.as_uri())
    with sqlite3.connect(moved.root / "mlflow.db") as store:
        for table, column in (
            ("runs", "artifact_uri"),
            ("logged_models", "artifact_location"),
            ("model_versions", "storage_location"),
        ):
            told = store.execute(f"SELECT {column} FROM {table}").fetchall()
            assert [a for (a,) in told if a and world.home.root.as_uri() + "/" in a] == []


def test_a_home_of_before_is_understood(tmp_path: Path) -> None:
    home = Home(tmp_path / "now").create()
    kept = home.folder("work", "tiny", "ab", "evidence")
    (home.folder("mlartifacts", "a b") / "m").touch()
    gone = Path("/srv/gone")
    assert home.find(str(gone / "work" / "tiny" / "ab" / "evidence")) == str(kept)
    assert home.find(f"file://{gone}/mlartifacts/a%20b/m") == str(home.root / "mlartifacts/a b/m")
    # What lies in a folder that is no home was named by hand, and stays what it was.
    other = tmp_path / "data"
    (other / "work").mkdir(parents=True)
    (home.root / "work" / "rows.csv").touch()
    for value in ("mlflow-artifacts:/1/x", str(other / "work" / "rows.csv"), "", 3):
        assert home.find(value) == value
    # So does what somebody named, wherever it was: a share may not be mounted just now.
    absent, late = str(gone / "work" / "none"), "/mnt/share/reports/loans_2024.csv"
    for value in (absent, late, Path(late).as_uri(), [late]):
        assert home.find({"data": value, "source": value}) == {"data": value, "source": value}
    assert home.find({"data": str(gone / "work" / "rows.csv")})["data"].startswith(str(home.root))
    assert home.find({"folder": absent, "data": late})["folder"] == str(home.root / "work" / "none")
    deep = {"a": [{"b": str(kept)}], "uri": kept.as_uri(), "n": None}
    short = home.shorten(deep)
    assert short == {
        "a": [{"b": "home:work/tiny/ab/evidence"}],
        "uri": "home:work/tiny/ab/evidence",
        "n": None,
    }
    assert home.find(short)["a"] == deep["a"]


def test_a_store_of_data_with_snapshots_is_no_home(tmp_path: Path) -> None:
    home, lake = Home(tmp_path / "now").create(), tmp_path / "lake"
    for folder in ("snapshots", "demo"):
        (lake / folder).mkdir(parents=True)
    (home.folder("demo") / "loans.csv").touch()
    value = str(lake / "demo" / "loans.csv")
    assert home.find(value) == home.find({"data": value})["data"] == value


@pytest.mark.parametrize("sign", ["gone", "ledger.db", "snapshots"])
def test_a_copy_of_a_home_of_before_never_reads_the_original(tmp_path: Path, sign: str) -> None:
    copy, original = Home(tmp_path / "copy").create(), tmp_path / "work" / "original"
    kept = original / "work" / "tiny" / "ab" / "evidence"
    if sign != "gone":
        kept.mkdir(parents=True)
        (original / sign).mkdir()
    here = copy.root / "work" / "tiny" / "ab" / "evidence"
    assert not here.exists()
    assert copy.find(str(kept)) == copy.find(kept.as_uri()) == str(here)
    assert placed(copy, str(kept)) == placed(copy, kept.as_uri()) == here


def test_what_a_copy_lacks_is_missing_there_wherever_the_original_has_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = world.usecase("copied")
    version = submit(world.submission(spec, "one", "baseline")).version
    plain = Ledger(world.home.ledger_url)  # without a home, it tells what stands in its rows
    kept = plain.version("copied", version)
    monkeypatch.setattr(Home, "shorten", lambda self, value: value)  # as releases before did
    old = submit(world.submission(spec, "two", "baseline")).version
    monkeypatch.undo()
    assert kept.evidence["folder"].startswith(HERE)
    held = plain.version("copied", old)
    assert held.evidence["folder"].startswith(str(world.home.root))
    copy = Home(tmp_path / "copy")
    shutil.copytree(world.home.root, copy.root)
    enter(copy, monkeypatch)
    evidence = copy.root / Path(held.evidence["folder"]).relative_to(world.home.root)
    model = placed(copy, held.models["pd"].uri)
    assert evidence.is_dir()
    assert model.is_relative_to(copy.root)
    assert model.is_dir()
    shutil.rmtree(evidence)
    shutil.rmtree(copy.root / "mlartifacts")
    told = {(f.what, f.state) for f in verify_home(copy, "copied") if f"version {old}" in f.of}
    assert {("evidence", "missing"), ("bundle", "missing")} <= told
    with pytest.raises(RiskwrightError):
        load_version(copy, Ledger.open(copy), "copied", str(old))
    # MLflow's own file follows too, although the copy has no artifacts.
    where = connect(copy).get_experiment_by_name("copied").artifact_location
    assert where.startswith(copy.root.as_uri())


@pytest.fixture
def down(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """MLflow's server doesn't answer, or does again."""

    def _down(is_down: bool) -> None:
        if is_down:
            monkeypatch.setenv("RISKWRIGHT_MLFLOW_URI", "http://127.0.0.1:9")
            monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        else:
            monkeypatch.delenv("RISKWRIGHT_MLFLOW_URI")

    return _down


def test_a_rollback_while_mlflow_is_down_is_taken_once(
    world: World, down: Callable[[bool], None], capsys: pytest.CaptureFixture[str]
) -> None:
    spec = world.usecase("taken")
    for key, kind in (("one", "baseline"), ("two", "ensemble"), ("three", "baseline")):
        version = submit(world.submission(spec, key, kind)).version
        if key == "three":
            break
        champion = world.ledger.champion("taken")
        expected = champion.version if champion else None
        given: dict[str, Any] = {"version": version, "actor": "second", "reason": "good"}
        change_champion(world.home, world.ledger, "taken", "promote", expected=expected, **given)
    live = world.ledger.champion("taken")
    assert live is not None
    down(True)
    back = ("rollback", "taken", "--reason", "approvals fell by half")
    code, out, err = say(capsys, *back)
    assert (code, "version 1 is live" in out) == (0, True), err
    assert "MLflow doesn't answer. In the ledger version 1 is live" in err
    assert "riskwright doctor --mend" in err
    code, out, err = say(capsys, *back)
    assert (code, "nothing was changed" in err) == (0, True)
    assert [p.version for p in world.ledger.history("taken")] == [1, live.version, 1]
    # A refusal is told as one, not as MLflow's trouble.
    code, _, err = say(capsys, "approve", "taken", "1", "--reason", "once more")
    assert (code, "is the champion already" in err) == (1, True)
    down(False)
    client = connect(world.home)
    assert client.get_registered_model("taken.pd").aliases["champion"] != 1
    code, out, _ = say(capsys, "doctor", "--mend", "--json")
    assert (code, json.loads(out)["mended"]["taken"]) == (0, "set taken.pd@champion")
    assert client.get_registered_model("taken.pd").aliases["champion"] == 1


def test_doctor_says_what_mends_a_champion_that_does_not_load(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = world.usecase("broken", "automatic")
    version = submit(world.submission(spec, "one")).version
    folder = Path(world.ledger.version("broken", version).models["pd"].uri)
    file = next(folder.rglob("manifest.json"))
    kept = file.read_bytes()
    try:
        file.write_bytes(kept + b" ")
        code, out, _ = say(capsys, "doctor", "--json")
        told = json.loads(out)["champions"]["broken"]
        assert (code, told.startswith(f"broken: version {version}: ")) == (1, True)
        assert "rollback" in told or "restore" in told
    finally:
        file.write_bytes(kept)
    assert roll_back  # the command that the message names
