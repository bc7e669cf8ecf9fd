"""The command line: strict JSON, examples that parse, exit codes, closest names, quick starts."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer
from tiny import Live, applications, tiny_text
from typer.main import get_command
from world import World

from riskwright.case.kinds import packages
from riskwright.home import TELEMETRY_OFF, Home
from riskwright.life.aliases import change_champion
from riskwright.life.submission import submit
from riskwright.life.system import system_of
from riskwright_flows import say
from riskwright_flows.cli import app, commands

TREE = get_command(commands)
HEAVY = (
    *("mlflow", "prefect", "tensorflow", "keras", "evidently", "sklearn", "pandas", "xgboost"),
    *(
        "shap",
        "lime",
        "matplotlib",
        "optbinning",
        "optuna",
        "plotly",
        "pandera",
        "scipy",
        "statsmodels",
    ),
)


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command line."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        app(list(arguments))
    code = ended.value.code
    assert code is None or isinstance(code, int), "not an exit code"
    return code or 0, out.getvalue(), err.getvalue()


def strict(text: str) -> Any:
    """Parse JSON as the standard has it: no NaN, no Infinity, one value and nothing else."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def walk(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from walk(command, (*path, name))


ALL = [pytest.param(path, id=" ".join(path) or "riskwright") for path, _ in walk(TREE)]


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cases") / "cases.csv"
    applications(250).to_csv(path, index=False)
    return path


# Help


@pytest.mark.parametrize("path", ALL)
def test_help_of_every_command_has_an_example_that_parses(path: tuple[str, ...]) -> None:
    code, told, _ = run(*path, "--help")
    assert code == 0
    examples = re.findall(r"Example: (riskwright .*(?:\n +\S.*)?)", told)
    assert examples, told
    command = shlex.split(examples[0].partition(" > ")[0])[1:]
    context = typer.Context(TREE, info_name="riskwright")
    found, here = TREE, []
    while getattr(found, "commands", None):
        name, found, command = found.resolve_command(context, command)
        here.append(name)
    assert tuple(here[: len(path)]) == path
    found.make_context(here[-1], command, parent=context)  # raises for an unknown option


def test_every_command_of_the_plan_is_there() -> None:
    wanted = {
        *("demo", "usecases", "data", "check", "retrain", "challengers", "approve", "reject"),
        *("rollback", "history", "score", "monitor", "alerts", "doctor", "serve", "verify"),
        *("portfolio", "forecast", "backtest", "deploy"),
    }
    assert set(TREE.commands) == wanted
    assert set(TREE.commands["data"].commands) == {"list", "fetch"}


def test_no_arguments_show_the_help() -> None:
    code, out, err = run()
    assert "retrain" in out + err
    assert code in (0, 2)


# JSON


def test_what_answers_with_json_answers_with_nothing_else(
    live: Live, cases: Path, tmp_path: Path
) -> None:
    scores = tmp_path / "scores.csv"
    answers = {
        name: strict(out)
        for name, arguments in {
            "usecases": ["usecases"],
            "data": ["data", "list"],
            "doctor": ["doctor"],
            "check": ["check", "tiny"],
            "history": ["history", "tiny"],
            "at": ["history", "tiny", "--at", "2999-01-01"],
            "never": ["history", "tiny", "--at", "1999-01-01"],
            "challengers": ["challengers", "tiny"],
            "alerts": ["alerts", "tiny", "--all"],
            "score": ["score", "tiny", "--input", str(cases), "--output", str(scores)],
            "monitor": ["monitor", "tiny", "--input", str(cases)],
        }.items()
        for code, out, err in [run(*arguments, "--json")]
        if code == 0 or pytest.fail(f"{name}: {out}{err}")
    }
    assert {"credit_assessment", "company_credit", "german_credit", "give_me_some_credit"} <= {
        row["name"] for row in answers["usecases"]
    }
    assert all(row["sha256"] and row["licence"] for row in answers["data"])
    assert answers["doctor"]["healthy"] is True
    assert answers["check"]["report"]["read"] == live.usecase.source.rows
    assert Path(answers["check"]["quality_report"]).is_file()
    live_now = [row["version"] for row in answers["history"]][-1]
    assert live_now == live.version
    assert [row["version"] for row in answers["at"]] == [live.version]
    assert answers["never"] == []
    assert answers["challengers"] == []
    assert answers["score"]["read"] == answers["score"]["accepted"] == 250
    assert answers["score"]["model_version"] == live.version
    assert sum(answers["score"]["decisions"].values()) == 250
    assert Path(answers["monitor"]["report"]).exists()
    assert answers["monitor"]["rows_read"] == 250


def test_a_public_data_set_from_a_mirror(
    home: Home, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISKWRIGHT_DATA", str(shared_data))
    code, out, err = run("data", "fetch", "statlog-german-credit", "--json")
    assert code == 0, err
    told = strict(out)
    assert told["name"] == "statlog-german-credit"
    assert Path(told["path"]).is_relative_to(home.root)
    assert Path(told["path"]).stat().st_size == 79_793


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demo_ends_with_a_champion_and_an_alert(home: Home) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "riskwright_flows.cli", "demo", "--json"],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = strict(done.stdout)
    assert told["retrain"]["live"] is True
    assert told["scored"]["read"] == told["scored"]["accepted"] + told["scored"]["refused"]
    assert told["monitor_new_batch"]["alert"] is None
    assert told["monitor_changed_batch"]["alert_open"] is True
    _, out, _ = run("history", "credit_assessment", "--json")
    assert [row["version"] for row in strict(out)] == [told["retrain"]["version"]]


def test_a_figure_that_is_no_number_is_null() -> None:
    """JSON has no NaN and no Infinity; NumPy's numbers stay numbers."""
    import numpy as np

    given = {
        "nan": float("nan"),
        "deep": [{"inf": np.float64("inf")}, (-float("inf"), 1.5)],
        "count": np.int64(3),
        "small": np.float32(0.5),
        "yes": np.bool_(True),
        "path": Path("a/b"),
    }
    out = io.StringIO()
    with redirect_stdout(out):
        say.answer(given, True, lambda: None)
    assert strict(out.getvalue()) == {
        "nan": None,
        "deep": [{"inf": None}, [None, 1.5]],
        "count": 3,
        "small": 0.5,
        "yes": True,
        "path": "a/b",
    }


def test_the_schema_of_the_yaml_holds_for_the_shipped_ones_and_not_for_a_typo() -> None:
    import yaml
    from jsonschema import Draft202012Validator

    from riskwright.case.files import shipped
    from riskwright.case.kinds import SHIPPED

    code, out, _ = run("usecases", "--schema")
    assert code == 0
    schema = strict(out)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert {path.parent.name for path in shipped().values()} == set(SHIPPED), "a case of each kind"
    for path in shipped().values():
        plain = json.loads(json.dumps(yaml.safe_load(path.read_text()), default=str))
        errors = [f"{list(e.path)}: {e.message}" for e in validator.iter_errors(plain)]
        assert errors == [], path.name
        assert validator.is_valid({**plain, "families": ["ridge", "logistic"]}), path.name
        assert not validator.is_valid({**plain, "famlies": {}}), path.name
        assert not validator.is_valid({k: v for k, v in plain.items() if k != "name"}), path.name
        other = "credit" if plain.get("kind") == "market" else "market"
        assert not validator.is_valid({**plain, "kind": other}), path.name
        assert not validator.is_valid({**plain, "kind": "markt"}), path.name


def test_the_schema_describes_every_key_of_every_kind() -> None:
    schema = strict(run("usecases", "--schema")[1])
    for kind in packages():
        case = system_of(kind).case()
        described = schema["$defs"][case.__name__]
        assert set(described["properties"]) == set(case.model_fields)
        assert described["additionalProperties"] is False


# Exit codes and messages


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["retrian"], "retrain"),
        (["retrain"], "which use case"),
        (["retrain", "tiny", "--budget", "soon"], "budget"),
        (["retrain", "tiny", "--budget", "10"], "budget"),
        (["retrain", "tiny", "--seed", "first"], "--seed"),
        (["score", "tiny"], "--input"),
        (["score", "tiny", "--input", "a.csv", "--output", "b.csv", "--reasons", "some"], "some"),
        (["score", "tiny", "--input", "a.csv", "--output", "b.csv", "--version", "99"], "99"),
        (["score", "tiny", "--input", "a.csv", "--output", "b.csv", "--version", "best"], "best"),
        (["history", "tiny", "--at", "2026-13-01"], "not a date"),
        (["approve", "tiny", "99", "--reason", "x"], "no version 99"),
        (["approve", "tiny", "one", "--reason", "x"], "VERSION"),
        (["approve", "tiny", "1"], "--reason"),
        (["reject", "tiny", "99", "--reason", "x"], "no version 99"),
        (["reject", "tiny", "1", "--reason", " "], "reason"),
        (["rollback", "tiny", "--reason", "x"], "nothing to go back to"),
        (["data", "fetch", "taiwan-card-defualt"], "taiwan-card-default"),
        (["alerts", "show"], "which alert"),
        (["alerts", "show", "99999"], "no alert 99999"),
        (["alerts", "show", "first"], "[ID]"),
        (["usecases", "--nonsense"], "--nonsense"),
    ],
    ids=" ".join,
)
def test_refused_input_is_exit_2_with_a_message(
    arguments: list[str], word: str, live: Live
) -> None:
    code, out, err = run(*arguments)
    assert code == 2, out + err
    assert word in err
    assert "Traceback" not in err
    assert out == ""
    code, out, _ = run(*arguments, "--json")
    assert code == 2
    told = strict(out)
    assert told["error"] == "InputRefused"
    assert word in " ".join(told.values())


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "{}"],
        ["retrain", "{}"],
        ["challengers", "{}"],
        ["approve", "{}", "1", "--reason", "x"],
        ["reject", "{}", "1", "--reason", "x"],
        ["rollback", "{}", "--reason", "x"],
        ["history", "{}"],
        ["score", "{}", "--input", "a.csv", "--output", "b.csv"],
        ["monitor", "{}", "--input", "a.csv"],
        ["alerts", "{}"],
    ],
    ids=lambda a: a[0],
)
def test_an_unknown_use_case_offers_the_closest(arguments: list[str], live: Live) -> None:
    code, _, err = run(*(a.format("credit_asessment") for a in arguments))
    assert code == 2, err
    assert "did you mean 'credit_assessment'" in err
    missing = live.home.root / "nowhere.yaml"
    code, _, err = run(*(a.format(missing) for a in arguments))
    assert code == 2, err
    assert str(missing) in err


def test_unforeseen_trouble_is_exit_1_without_a_traceback(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    from riskwright.ledger import Ledger

    def breaks(*given: object, **named: object) -> None:
        raise ZeroDivisionError("division by zero\nand more")

    monkeypatch.setattr(Ledger, "history", breaks)
    code, out, err = run("history", "tiny")
    assert (code, out) == (1, "")
    assert "ZeroDivisionError: division by zero" in err
    assert "Traceback" not in err
    monkeypatch.setenv("RISKWRIGHT_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        app(["history", "tiny"])


def test_a_full_disk_that_a_library_met_is_told_as_one(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    from riskwright.ledger import Ledger

    def breaks(*given: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/data/plot.png")

    monkeypatch.setattr(Ledger, "history", breaks)
    code, out, err = run("history", "tiny")
    assert (code, out) == (1, "")
    assert "the disk is full" in err
    assert "/data/plot.png" in err


def test_stopping_is_exit_130(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    from riskwright.ledger import Ledger

    def stopped(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "history", stopped)
    code, _, err = run("history", "tiny")
    assert code == 130
    assert "go on" in err


def test_a_use_case_by_path_is_the_same_as_by_name(live: Live) -> None:
    by_name, by_path = (run("history", which, "--json") for which in ("tiny", str(live.yaml)))
    assert by_name == by_path


# Scoring by version and reasons


def test_score_by_version_and_reasons(live: Live, cases: Path, tmp_path: Path) -> None:
    standby = next(v.version for v in live.ledger.versions("tiny") if v.evidence["standby"])
    found = {}
    for version in ("champion", str(live.version), str(standby)):
        output = tmp_path / f"{version}.csv"
        arguments = ("--input", str(cases), "--output", str(output), "--reasons", "all")
        code, out, err = run("score", "tiny", *arguments, "--version", version)
        assert code == 0, out + err
        assert str(output) in out.replace("\n", "")
        found[version] = pd.read_csv(output, keep_default_na=False)
    pd.testing.assert_frame_equal(found["champion"], found[str(live.version)])
    assert set(found[str(standby)]["model_version"]) == {standby}
    assert (found["champion"]["pd"] != found[str(standby)]["pd"]).any()
    assert (found["champion"]["reason_1"] != "").mean() > 0.9
    code, _, _ = run(
        *("score", "tiny", "--input", str(cases), "--output", str(tmp_path / "none.csv")),
        *("--reasons", "none"),
    )
    none = pd.read_csv(tmp_path / "none.csv", keep_default_na=False)
    assert (none[[f"reason_{i}" for i in range(1, 5)]] == "").all(axis=None)


# The life of a version


def test_approve_reject_rollback_and_history(world: World) -> None:
    name = "by_hand"
    spec = world.usecase(name)
    first = submit(world.submission(spec, "one", "baseline")).version
    told = strict(run("challengers", name, "--json")[1])
    assert [row["version"] for row in told] == [first]
    assert {g["name"] for g in told[0]["gates"]} >= {"calibration", "leakage", "golden set"}
    text = run("challengers", name)[1]
    assert f"riskwright approve {name} {first}" in text

    code, out, err = run("approve", name, str(first), "--reason", "gates read", "--json")
    assert code == 0, err
    done = strict(out)
    assert (done["version"], done["previous"], done["kind"]) == (first, None, "promotion")
    assert run("challengers", name)[1].strip() == f"{name}: no challenger waits"

    code, _, err = run("approve", name, str(first), "--reason", "again")
    assert code == 1
    assert "is the champion already" in err

    second = submit(world.submission(spec, "two", "ensemble")).version
    assert run("approve", name, str(second), "--reason", "better")[0] == 0
    back = ("rollback", name, "--reason", "approvals fell")
    done = strict(run(*back, "--json")[1])
    assert (done["version"], done["previous"], done["kind"]) == (first, second, "rollback")
    # The same command again means the same step; another person is told that it was taken.
    code, out, err = run(*back)
    assert (code, f"version {first} is live" in out) == (0, True)
    assert "nothing was changed" in err
    code, _, err = run("rollback", name, "--reason", "called at three")
    assert (code, f"rolled back already: version {first} is live" in err) == (1, True)
    code, _, err = run(*back, "--to", str(first))
    assert (code, "nothing was changed" in err) == (0, True)
    code, _, err = run(*back, "--to", str(second))
    assert (code, "is not the former champion" in err) == (3, True)
    done = strict(run("reject", name, str(second), "--reason", "no", "--json")[1])
    assert done == {"usecase": name, "version": second, "status": "rejected", "notes": []}
    code, _, err = run("approve", name, str(second), "--reason", "once more")
    assert code == 3
    assert "was rejected" in err

    rows = strict(run("history", name, "--json")[1])
    assert [(r["version"], r["kind"]) for r in rows] == [
        (first, "promotion"),
        (second, "promotion"),
        (first, "rollback"),
    ]
    assert rows[2]["reason"] == "approvals fell"

    def at(moment: str) -> list[Any]:
        return [
            (r["version"], r["kind"])
            for r in strict(run("history", name, "--at", moment, "--json")[1])
        ]

    for row in rows:
        assert at(row["since"]) == [(row["version"], row["kind"])]
    stamps = [pd.Timestamp(r["since"]) for r in rows]
    assert at((stamps[0] - pd.Timedelta("1us")).isoformat()) == []
    assert at((stamps[1] - pd.Timedelta("1us")).isoformat()) == [(first, "promotion")]
    # A time of another zone, one without a zone (UTC), and a day, which means its end.
    assert at(stamps[1].tz_convert("Asia/Tokyo").isoformat()) == [(second, "promotion")]
    assert at(stamps[1].tz_localize(None).isoformat()) == [(second, "promotion")]
    assert at(str(stamps[2].date())) == [(first, "rollback")]
    assert at(str(stamps[0].date() - pd.Timedelta(days=1))[:10]) == []
    assert "no version was live" in run("history", name, "--at", "1999-01-01")[1]
    assert "approvals fell" in run("history", name)[1]


def test_challengers_wait_with_the_gate_that_stopped_them(world: World) -> None:
    spec = world.usecase("stopped")
    first = submit(world.submission(spec, "one")).version
    change_champion(
        *(world.home, world.ledger, "stopped", "promote"),
        version=first,
        actor="second",
        reason="good",
        expected=None,
    )
    twin = submit(world.submission(spec, "two")).version
    code, _, err = run("approve", "stopped", str(twin), "--reason", "new is better")
    assert code == 3
    assert "didn't pass" in err
    assert "the champion stays" in err
    told = strict(run("challengers", "stopped", "--json")[1])[0]
    assert {g["name"]: g["passed"] for g in told["gates"]}["champion"] is False
    # The baseline that stands by beside it was never judged: only a fallback may call it.
    code, _, err = run("approve", "stopped", str(twin - 1), "--reason", "simple is enough")
    assert code == 3
    assert "stands by" in err


# Doctor


def test_doctor_without_a_home_makes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKWRIGHT_HOME", str(tmp_path / "none"))
    code, out, _ = run("doctor", "--json")
    found = strict(out)
    assert code == 0
    assert found["home"]["exists"] is False
    assert found["servers"]["ledger"] == "none yet"
    assert not (tmp_path / "none").exists()
    assert set(found["telemetry"]) == {f"{k}={v}" for k, v in TELEMETRY_OFF.items()}
    assert set(found["telemetry"].values()) == {"telemetry off"}


def test_doctor_tells_a_server_that_is_down_and_an_altered_ledger(
    home: Home, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    from riskwright.ledger import Ledger

    ledger = Ledger.open(home, create=True)
    ledger.reserve_version("tiny", "a key")
    assert "audit chain of 1 events is whole" in run("doctor")[1]

    monkeypatch.setenv("RISKWRIGHT_MLFLOW_URI", f"http://127.0.0.1:{free_port}")
    code, out, _ = run("doctor", "--json")
    assert code == 1
    assert strict(out)["servers"]["mlflow"].startswith("no answer")
    monkeypatch.delenv("RISKWRIGHT_MLFLOW_URI")

    with closing(sqlite3.connect(home.root / "ledger.db")) as connection, connection:
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        for (trigger,) in connection.execute(query).fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute("UPDATE ledger_events SET actor = 'somebody else'")
    code, out, _ = run("doctor", "--json")
    assert code == 1
    assert strict(out)["servers"]["ledger"].startswith("broken")


# Quick starts


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["retrain", "--help"],
        ["alerts"],
        ["alerts", "tiny", "--all", "--json"],
        ["history", "tiny"],
        ["history", "tiny", "--json"],
        ["challengers", "tiny"],
    ],
    ids=" ".join,
)
def test_quick_commands_import_no_heavy_library(arguments: list[str], live: Live) -> None:
    program = (
        "import sys\nfrom riskwright_flows.cli import app\n"
        f"try:\n    app({arguments!r})\nexcept SystemExit as ended:\n    code = ended.code\n"
        f"print(code, *sorted({HEAVY!r} & sys.modules.keys()), file=sys.stderr)"
    ).replace(repr(HEAVY), repr(set(HEAVY)))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr.strip() == "0"
    assert done.stdout.strip()


def test_a_use_case_of_the_home_is_listed_and_a_broken_one_is_told(home: Home) -> None:
    folder = home.folder("usecases")
    (folder / "mine.yaml").write_text(tiny_text(name="mine", title="My own loans"))
    code, out, _ = run("usecases")
    assert code == 0
    assert "My own loans" in out
    (folder / "broken.yaml").write_text("name: [")
    code, _, err = run("usecases")
    assert code == 2
    assert "broken.yaml" in err


def test_use_cases_are_listed_while_the_ledger_is_down(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.create()
    monkeypatch.setenv("RISKWRIGHT_LEDGER_URL", "postgresql://u@127.0.0.1:1/ledger")
    code, out, err = run("usecases", "--json")
    assert (code, "credit_assessment" in {row["name"] for row in json.loads(out)}) == (0, True)
    assert "riskwright: use cases that were trained from a path aren't listed: " in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--version"], "riskwright 0."),
        (["-h"], "Commands:"),
        (["help"], "Commands:"),
        (["score", "-h"], "--output"),
        (["help", "score"], "--output"),
        (["--help"], "--show-completion"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_what_a_newcomer_types_first_is_answered(arguments: list[str], words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "riskwright", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert words in done.stdout
    assert done.stderr == ""
