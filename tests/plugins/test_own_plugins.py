"""A gate, a monitor's check and a source of another package; and what becomes of broken ones."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny import applications, tiny_text
from world import World

from riskwright.case import plugins
from riskwright.case.usecase import UseCase, parse_usecase
from riskwright.data.ingest import ingest
from riskwright.data.sources import read_chunks
from riskwright.errors import InputRefused, NoRows, Unavailable
from riskwright.home import Home
from riskwright.ledger import Gate
from riskwright.life.findings import Finding
from riskwright.life.plugged import own_checks, own_gates
from riskwright.life.policy import go_live
from riskwright.life.retrain import run_key
from riskwright.life.rules import Changes, compare, compare_plugged, rules_set, version_changes
from riskwright.life.steps import Data
from riskwright.life.submission import submit
from riskwright.life.system import load_case, system_of
from riskwright.life.training import training_of
from riskwright.store.provenance import plugged_in
from riskwright.systems.credit.monitoring import monitor_batch

PLACE = str(Path(__file__).parent / "own")
CHECK = {"round_amounts": {"params": {"column": "LIMIT_BAL"}}}


@pytest.fixture(scope="module", autouse=True)
def installed() -> Iterator[None]:
    """Install the package for the tests of this file."""
    sys.path.insert(0, PLACE)
    yield
    sys.path.remove(PLACE)
    for name in ("gate_example", "check_example", "source_example"):
        sys.modules.pop(name, None)


def test_the_page_about_plug_ins_shows_them_as_they_are() -> None:
    page = (Path(PLACE).parents[2] / "docs" / "reference" / "plugins.md").read_text("utf-8")
    for name in ("gate_example", "check_example", "source_example"):
        example = (Path(PLACE) / f"{name}.py").read_text(encoding="utf-8")
        assert f"```python\n{example}```" in page, name
        assert len(example.splitlines()) < 40


def test_a_gate_judges_and_a_check_looks_beside_those_of_the_kind(
    world: World, tmp_path: Path
) -> None:
    case = world.usecase("plugged", own_gates=["level"], own_checks=CHECK, policy="automatic")
    done = submit(world.submission(case, "plugged-1"))
    gate = next(g for g in done.gates if g.name == "level")
    assert gate.passed
    assert gate.blocking
    assert abs(gate.figures["z"]) < 3
    assert done.live
    used = world.ledger.version("plugged", done.version).evidence["plugins"]
    assert {u["distribution"] for u in used} == {"own-example 1.0"}
    assert {u["name"] for u in used} == {"level", "round_amounts"}

    def look(frame: pd.DataFrame) -> dict[str, Any]:
        frame.to_csv(tmp_path / "batch.csv", index=False)
        batch = str(tmp_path / "batch.csv")
        return monitor_batch(case, world.home, world.ledger, input=batch, labels=None)

    batch = applications(300)
    assert look(batch)["verdicts"]["own"] == "ok"
    batch["LIMIT_BAL"] = (batch["LIMIT_BAL"] / 50_000).round().clip(lower=1) * 50_000
    told = look(batch)
    assert (told["verdicts"]["own"], told["alert_open"]) == ("alarm", True)
    assert "multiples of 50,000" in Path(told["report"]).read_text(encoding="utf-8")


def test_a_limit_that_stops_the_challenger_is_kept_with_it(world: World) -> None:
    gates = {"level": {"params": {"z": 0.0}}}
    case = world.usecase("stopped", own_gates=gates, policy="automatic")
    named = replace(world.submission(case, "stopped-1"), data="jsonl:///data/rows.jsonl")
    done = submit(named)
    used = world.ledger.version("stopped", done.version).evidence["plugins"]
    assert {u["name"] for u in used} == {"level", "jsonl"}  # what --data named, too
    assert (done.passed, done.live) == (False, False)
    assert world.ledger.gates("stopped", done.version)[-1].figures["limit"] == 0.0


def test_a_gate_of_other_code_waits_for_a_person(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The YAML is the same, the policy automatic: what the gate lets through isn't."""
    package = tmp_path / "package"
    shutil.copytree(PLACE, package)
    monkeypatch.setattr(sys, "path", [str(package), *(p for p in sys.path if p != PLACE)])
    monkeypatch.delitem(sys.modules, "gate_example", raising=False)
    case = world.usecase("loosened", own_gates=["level"], policy="automatic")
    first = submit(world.submission(case, "loosened-1"))
    assert first.live
    code = package / "gate_example.py"
    code.write_text(code.read_text().replace("abs(off) <= z", "True"))
    monkeypatch.delitem(sys.modules, "gate_example", raising=False)
    second = submit(world.submission(case, "loosened-2"))
    assert [d.key for d in second.changed.differences] == ["own_gates.level, its code"]
    passed = [Gate("champion", True, "", {"against": first.version})]
    live, note = go_live(case, world.ledger, second.version, passed, "test", second.changed)
    assert not live
    assert "the rules of the use case changed: a person decides; " in note
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(package)])
    kept = world.ledger.version(case.name, second.version)
    later = version_changes(world.home, world.ledger, kept)
    assert later.differences == second.changed.differences  # by what it was judged with


def test_code_of_other_packages_is_a_rule() -> None:
    def brought(group: str, name: str, version: int = 1, code: str = "a") -> dict[str, str]:
        sha = code * 64
        return {"group": group, "name": name, "distribution": f"own {version}.0", "sha256": sha}

    gate = brought(plugins.GATES, "level")
    source = brought(plugins.SOURCES, "jsonl")
    cases: list[tuple[list[dict[str, str]], list[dict[str, str]], list[str]]] = [
        ([gate], [gate], []),
        ([gate], [brought(plugins.GATES, "level", code="b")], ["own_gates.level, its code"]),
        ([gate], [brought(plugins.GATES, "level", 2)], ["own_gates.level, its code"]),
        ([gate], [], ["own_gates.level, its code"]),
        ([], [gate], ["own_gates.level, its code"]),  # a version of before it was kept
        ([], [brought(plugins.CHECKS, "even")], ["own_checks.even, its code"]),
        ([], [brought("riskwright.families", "lda")], ["families.lda, its code"]),
        ([], [brought(plugins.SYSTEMS, "deposits")], ["kind, its code"]),
        ([source], [], []),  # where rows come from is no rule
    ]
    for old, new, keys in cases:
        found = compare_plugged(old, new)
        assert [d.key for d in found] == keys
        assert Changes(1, found).wait == bool(keys)
    plain, gated = (
        parse_usecase(tiny_text(**own), where="t") for own in ({}, {"own_gates": ["level"]})
    )
    assert compare_plugged([], [gate], compare(plain, gated)) == []  # the YAML says it already


def test_to_add_change_or_leave_out_one_is_a_change_of_rules() -> None:
    def usecase(**changes: Any) -> UseCase:
        return parse_usecase(tiny_text(**changes), where="test")

    plain, gated = usecase(), usecase(own_gates=["level"])
    loose = usecase(own_gates={"level": {"params": {"z": 9.0}}})
    assert [d.key for d in compare(plain, gated)] == ["own_gates.level"]
    assert [d.key for d in compare(gated, plain)] == ["own_gates.level"]
    assert [d.key for d in compare(gated, loose)] == ["own_gates.level.params.z"]
    assert [d.key for d in compare(plain, usecase(own_checks=CHECK))] == [
        "own_checks.round_amounts"
    ]
    assert not any(d.default for d in compare(plain, gated))
    assert "own_gates.level" in rules_set(gated)


def test_a_source_is_read_like_a_file(home: Home, tmp_path: Path) -> None:
    case = parse_usecase(tiny_text(), where="test")
    frame = applications(400)
    frame.loc[3, "AGE"] = np.nan
    frame.to_csv(tmp_path / "a.csv", index=False)
    plain = pd.read_csv(tmp_path / "a.csv")
    plain.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    by_file = ingest(case, str(tmp_path / "a.csv"), home)
    plugged = ingest(case, f"jsonl://{tmp_path / 'a.jsonl'}", home)
    assert plugged.report == by_file.report
    assert plugged.clean.hash == by_file.clean.hash


# What is broken


def point(monkeypatch: pytest.MonkeyPatch, group: str, name: str, made: object) -> None:
    """Install a plug-in that is one object."""
    module = ModuleType("broken_example")
    module.it = made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "broken_example", module)
    found = EntryPoint(name, "broken_example:it", group)
    monkeypatch.setattr(
        plugins, "entry_points", lambda *, group: EntryPoints([found]).select(group=group)
    )


def raises(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("by nought")


GATES: list[tuple[object, str]] = [
    (raises, "the gate 'mine' of an unknown package failed: ZeroDivisionError: by nought"),
    (lambda of: True, "returned bool, not a Gate named 'mine'"),
    (lambda of: Gate("other", True, "", {}), "returned Gate, not a Gate named 'mine'"),
    (lambda of: Gate("mine", True, "", {"a": np.float32(1)}), "figures that aren't plain"),
    (lambda: None, "failed: TypeError"),
    (17, "is no function"),
    *(
        (lambda of, said=said: Gate("mine", said, "", {}), "says 'passed' by a")
        for said in (float("nan"), "no", "False", [0], 0, 1, np.float64(0.0))
    ),
    (lambda of: Gate("mine", False, "", {}, "no"), "says 'blocking' by a str"),
    (lambda of: Gate("mine", True, None, {}), "says 'detail' by a NoneType"),
    (lambda of: Gate("mine", True, "", None), "has figures in a NoneType"),
    (lambda of: sys.exit(0), "failed: SystemExit: 0"),
    (lambda of: Unspeakable(), "failed: Mute"),
]


class Mute(Exception):
    """An error that can't even be written."""

    def __str__(self) -> str:
        raise ZeroDivisionError


class Unspeakable(Gate):
    """A gate that breaks when it is looked at."""

    def __init__(self) -> None:
        pass

    def __getattribute__(self, name: str) -> Any:
        if name == "name":
            raise Mute
        return super().__getattribute__(name)


@pytest.mark.parametrize(("said", "passed"), [(np.True_, True), (np.False_, False), (None, None)])
def test_a_gate_says_yes_no_or_nothing(
    said: object, passed: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    point(monkeypatch, plugins.GATES, "mine", lambda of: Gate("mine", said, "", {}, np.False_))  # type: ignore[arg-type]
    (gate,) = own_gates(parse_usecase(tiny_text(own_gates=["mine"]), where="test"), None, [])
    assert gate.passed is passed
    assert gate.blocking is False


def test_a_plug_in_that_exits_when_it_is_imported_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "exits_example.py").write_text("import sys\n\nsys.exit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputRefused, match="can't be loaded: SystemExit: 0"):
        plugins.Plugin(plugins.CHECKS, "mine", "exits_example:it", "mine 1.0").load()


@pytest.mark.parametrize(("made", "says"), GATES)
def test_a_gate_that_breaks_is_refused_by_its_name(
    made: object, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    point(monkeypatch, plugins.GATES, "mine", made)
    case = parse_usecase(tiny_text(own_gates=["mine"]), where="test")
    with pytest.raises(InputRefused, match=says) as refused:
        own_gates(case, None, [])
    assert refused.value.where == "broken_example:it"
    with pytest.raises(InputRefused, match="has the name of another gate"):
        own_gates(case, None, [Gate("mine", True, "", {})])


FOUND = Finding("own", "x", "a", "ok", threshold=0.01, p_value=0.004, detail="it moved")
CHECKS: list[tuple[object, str]] = [
    (raises, "the check 'mine' of an unknown package failed: ZeroDivisionError: by nought"),
    (lambda *_: [1], "gave a int, not a Finding"),
    (lambda *_: None, "failed: TypeError"),
    (lambda *_: [replace(FOUND, p_value=float("nan"))], "gave a p-value of nan"),
    (lambda *_: [replace(FOUND, threshold=None)], "no level for it"),
    (lambda *_: sys.exit(0), "failed: SystemExit: 0"),
    *(
        (lambda *_, change=change: [FOUND, replace(FOUND, **change)], says)
        for change, says in (
            ({"p_value": "0.004"}, "gave a str as 'p_value'"),
            ({"p_value": True}, "gave a bool as 'p_value'"),
            ({"threshold": "0.01"}, "gave a str as 'threshold'"),
            ({"value": [1.0]}, "gave a list as 'value'"),
            ({"effect": pd.NA}, "gave a NAType as 'effect'"),
            ({"column": 3}, "gave a int as 'column'"),
            ({"detail": None}, "gave a NoneType as 'detail'"),
            ({"verdict": "fine"}, "a verdict that isn't one of ok, alarm"),
            ({"verdict": ["ok"]}, "a verdict that isn't one of ok, alarm"),
            ({"verdict": "failed"}, "gave a p-value and the verdict 'failed'"),
            ({"p_value": None, "alarm": "yes"}, "says 'alarm' by a str"),
            ({"p_value": None, "alarm": True}, "the verdict 'ok' with alarm=True"),
            ({"p_value": None, "verdict": "alarm"}, "the verdict 'alarm' with alarm=False"),
            ({"p_value": None, "verdict": "failed"}, "the verdict 'failed' with alarm=False"),
            ({"p_value": None, "verdict": "told", "alarm": True}, "'told' with alarm=True"),
        )
    ),
]


@pytest.mark.parametrize(("made", "says"), CHECKS)
def test_a_check_that_breaks_is_an_alarm_and_hides_no_other(
    made: object, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    point(monkeypatch, plugins.CHECKS, "mine", made)
    case = parse_usecase(tiny_text(own_checks=["gone", "mine"]), where="test")
    rows = pd.DataFrame({"a": [1.0]})
    gone, mine = own_checks(case, rows, rows)
    assert (gone.verdict, gone.alarm) == ("failed", True)
    assert "no installed package brings a check 'gone'" in gone.detail
    assert (mine.verdict, mine.alarm) == ("failed", True)
    assert says in mine.detail


@pytest.mark.parametrize(
    ("verdict", "alarm"), [("ok", False), ("alarm", np.True_), ("failed", True), ("told", False)]
)
def test_a_finding_that_is_no_test_says_itself_whether_it_alarms(
    verdict: Any, alarm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = replace(FOUND, p_value=None, value=np.float32(0.5), verdict=verdict, alarm=alarm)
    point(monkeypatch, plugins.CHECKS, "mine", lambda *_: [made])
    rows = pd.DataFrame({"a": [1.0]})
    (found,) = own_checks(parse_usecase(tiny_text(own_checks=["mine"]), where="test"), rows, rows)
    assert (found.verdict, found.alarm) == (verdict, bool(alarm))
    assert json.dumps(found.as_dict())


def test_tests_are_corrected_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pd.DataFrame({"a": [1.0]})
    case = parse_usecase(tiny_text(own_checks=["mine"]), where="test")
    for count, alarm in ((1, True), (2, True), (3, False)):  # 0.004 times count, held against 0.01
        point(monkeypatch, plugins.CHECKS, "mine", lambda *_, n=count: [FOUND] * n)
        found = own_checks(case, rows, rows)
        assert {f.alarm for f in found} == {alarm}
        assert found[0].p_value == pytest.approx(0.004 * count)
    assert own_checks(case, rows, rows.iloc[:0])[0].verdict == "not enough data"


SOURCES: list[tuple[Callable[..., Any], type[Exception], str]] = [
    (raises, InputRefused, "the source 'mine' of an unknown package failed: ZeroDivisionError"),
    (lambda *_: [1], InputRefused, "gave a int, not a DataFrame"),
    (lambda *_: [pd.DataFrame({"a": [[1]]})], InputRefused, "no plain value in column 'a'"),
    (lambda *_: iter(()), NoRows, "no rows"),
    (lambda *_: Path("/nowhere").read_text(), Unavailable, "can't read: .*No such file"),
]


@pytest.mark.parametrize(("made", "error", "says"), SOURCES)
def test_a_source_that_breaks_is_told(
    made: object, error: type[Exception], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    point(monkeypatch, plugins.SOURCES, "mine", made)
    case = parse_usecase(tiny_text(), where="test")
    with pytest.raises(error, match=says):
        list(read_chunks(case.source, "mine://rows", columns=["a"]))


def test_what_nobody_brings_is_refused_where_the_yaml_is_read(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    for key, name, close in (("own_gates", "lvel", "level"), ("own_checks", "rounds", "")):
        path.write_text(tiny_text(**{key: [name]}), encoding="utf-8")
        with pytest.raises(InputRefused, match="no installed package brings a") as refused:
            load_case(path, home)
        assert refused.value.where == str(path)
        assert close in refused.value.do


def bring(folder: Path, system: str | None) -> None:
    """Leave a package as an installer does; without ``system`` its code is gone."""
    info = folder / "half_bank-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: half-bank\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[riskwright.systems]\nhalf = half_bank\n")
    if system is not None:
        (folder / "half_bank").mkdir()
        (folder / "half_bank" / "__init__.py").touch()
        (folder / "half_bank" / "system.py").write_text(system)


LACKS = "class Half:\n    kind = 'half'\n\n\nSYSTEM = Half()\n"


@pytest.mark.parametrize(
    ("system", "says"),
    [
        (None, "can't be loaded: ModuleNotFoundError"),
        ("1 / 0", "can't be loaded: ZeroDivisionError"),
        (LACKS, "lacks about, case, parse, open"),
    ],
)
def test_a_system_that_is_none_is_refused_and_the_others_go_on(
    system: str | None, says: str, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(tmp_path, system)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        with pytest.raises(InputRefused, match=says) as refused:
            system_of("half")
        assert "the system 'half' of half-bank 2.0" in refused.value.what
        assert load_case("credit_assessment", home)[0].kind == "credit"
    finally:
        for name in ("half_bank", "half_bank.system"):
            sys.modules.pop(name, None)


FAILS = """
class Fails:
    kind, about = "half", "fails"

    def __getattr__(self, name):
        return lambda *given, **named: 1 / 0


SYSTEM = Fails()
"""


def test_what_a_system_raises_is_told_with_its_package(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(tmp_path, FAILS)
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "tiny.yaml"
    path.write_text(tiny_text(kind="half"), encoding="utf-8")
    try:
        with pytest.raises(InputRefused) as refused:
            load_case(path, home)
    finally:
        for name in ("half_bank", "half_bank.system"):
            sys.modules.pop(name, None)
    assert refused.value.what == (
        "the system 'half' of half-bank 2.0 failed: ZeroDivisionError: division by zero"
    )


STEPS = """
from dataclasses import dataclass
from typing import Any


def breaks(*given):
    raise ZeroDivisionError("by nought")


@dataclass(frozen=True)
class Fails:
    kind: str = "half"
    about = case = parse = open = columns = ingest = log = logged_metrics = "x"
    submission = told = "x"

    def steps(self, case):
        from riskwright.life.steps import Record, Step

        return [
            Step("first", "first", Record, breaks),
            Step("asks", "asks", Record, breaks, retried=True),
        ]


SYSTEM = Fails()
"""


def test_a_step_that_breaks_is_told_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(tmp_path, STEPS)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        first, asks = training_of("half").steps(None)
        with pytest.raises(InputRefused) as refused:
            first.do(None, None, None)  # type: ignore[arg-type]
        assert refused.value.what == (
            "the system 'half' of half-bank 2.0 failed: first: ZeroDivisionError: by nought"
        )
        with pytest.raises(ZeroDivisionError):  # an outage of a server has to stay one
            asks.do(None, None, None)  # type: ignore[arg-type]
    finally:
        for name in ("half_bank", "half_bank.system"):
            sys.modules.pop(name, None)


def twice(folder: Path, group: str, name: str) -> None:
    """Leave two packages that bring one name."""
    for number, module in enumerate(("one", "two"), 1):
        info = folder / f"{module}_bank-{number}.0.dist-info"
        info.mkdir()
        meta = f"Metadata-Version: 2.1\nName: {module}-bank\nVersion: {number}.0\n"
        (info / "METADATA").write_text(meta)
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}_bank:it\n")


def test_a_name_that_two_packages_bring_is_refused(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from riskwright_flows.doctor import _plugged

    both = "one-bank 1.0 and two-bank 2.0 bring the same entry point 'twin'"
    path = tmp_path / "tiny.yaml"
    wanted: list[tuple[str, dict[str, Any]]] = [
        (plugins.GATES, {"own_gates": ["twin"]}),
        (plugins.CHECKS, {"own_checks": ["twin"]}),
        ("riskwright.families", {"families": {"scorecard": {}, "twin": {}}}),
        (plugins.SYSTEMS, {"kind": "twin"}),
        (plugins.SOURCES, {"source": {"location": "twin://rows"}}),
    ]
    for group, changes in wanted:
        folder = tmp_path / group
        folder.mkdir()
        twice(folder, group, "twin")
        with monkeypatch.context() as there:
            there.setattr(sys, "path", [str(folder), *sys.path])
            path.write_text(tiny_text(**changes), encoding="utf-8")
            with pytest.raises(InputRefused, match=both):
                load_case(path, home)
            assert both in _plugged()[f"{group} twin"]
            if group == plugins.SOURCES:
                case = parse_usecase(tiny_text(), where="test")
                with pytest.raises(InputRefused, match=both):
                    list(read_chunks(case.source, "twin://rows", columns=["a"]))


def test_a_package_that_lies_on_the_path_twice_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(PLACE, tmp_path / "again")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "again")])
    assert len(plugged_in({(plugins.GATES, "level")})) == 1
    assert plugins.plugin(plugins.GATES, "level", "test").load() is not None


def test_a_source_named_by_hand_is_part_of_the_run() -> None:
    case = parse_usecase(tiny_text(), where="test")
    data = Data(clean="a", train="b", test="c")
    plain, file = run_key(case, data, 0), run_key(case, data, 0, "/data/rows.csv")
    assert plain == file
    assert run_key(case, data, 0, "jsonl:///data/rows.jsonl") != plain
    assert not any(group == plugins.SOURCES for group, _ in case.plugs())
    for ours in ("https://x/y.csv", "sqlite:///a.db", "postgresql+psycopg2://h/b", "a.csv", None):
        assert plugins.source_of(ours) == set()


def test_what_a_source_says_shows_no_more_of_its_address_than_we_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = parse_usecase(tiny_text(), where="test")
    address = "mine://rows/a?client=J%20Doe&day=1"
    for kind, error in ((OSError, Unavailable), (ValueError, InputRefused)):

        def breaks(location: str, rows: int, kind: type[Exception] = kind) -> Any:
            raise kind(f"no answer from {location}, of client=J Doe&day=1, {location[4:]}")

        point(monkeypatch, plugins.SOURCES, "mine", breaks)
        with pytest.raises(error) as told:
            list(read_chunks(case.source, address, columns=["a"]))
        assert "no answer from mine://rows/a?…, of …, ://rows/a?…" in told.value.what
        assert "Doe" not in str(told.value)


def test_the_doctor_lists_what_is_plugged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    from riskwright_flows.doctor import _plugged

    found = _plugged()
    assert found["riskwright.gates level"] == "own-example 1.0 loads"
    assert found["riskwright.sources jsonl"] == "own-example 1.0 loads"
    point(monkeypatch, plugins.GATES, "mine", 17)
    assert _plugged()["riskwright.gates mine"].startswith("broken: the gate 'mine'")
