"""Any sequence of operations, against a model of a few lines; the audit chain holds at the end."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from riskwright.errors import Conflict, GateRefused, InputRefused
from riskwright.ledger import Gate, Ledger, ModelRef
from riskwright.ledger.records import Alert

CASES = st.sampled_from(["credit", "loans"])
PEOPLE = st.sampled_from(["tess", "oscar"])
NUMBERS = st.integers(1, 4)
EXPECTED = st.none() | NUMBERS


class Case:
    """What the model knows of a use case."""

    def __init__(self) -> None:
        self.status: dict[int, str] = {}
        self.trainer: dict[int, str] = {}
        self.baseline: dict[int, bool] = {}
        self.passed: dict[int, bool] = {}
        self.live: list[int] = []  # what a rollback would undo, oldest first
        self.history: list[int] = []

    @property
    def champion(self) -> int | None:
        return self.history[-1] if self.history else None

    def go_live(self, version: int) -> None:
        if self.champion is not None:
            self.status[self.champion] = "retired"
        self.status[version] = "champion"
        self.history.append(version)

    def former(self) -> int | None:
        usable = [v for v in self.live if v != self.champion and self.status[v] != "rejected"]
        return usable[-1] if usable else None

    def newest_baseline(self) -> int | None:
        marked = [v for v in self.history if self.baseline[v] and self.status[v] != "rejected"]
        return max(marked, default=None)


class LedgerMachine(RuleBasedStateMachine):
    template: Path

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "ledger.db"
        shutil.copyfile(self.template, path)
        self.ledger = Ledger(f"sqlite:///{path}")
        self.cases = {"credit": Case(), "loans": Case()}
        self.alerts: dict[int, dict[str, Any]] = {}
        self.requests = 0
        self.anchors: list[tuple[int, str]] = []

    @rule(use_case=CASES, trainer=PEOPLE, baseline=st.booleans())
    def train(self, use_case: str, trainer: str, baseline: bool) -> None:
        case = self.cases[use_case]
        version = self.ledger.reserve_version(use_case, f"run {len(case.status)}")
        assert version == len(case.status) + 1
        ref = ModelRef("pd", f"{use_case}-pd", version, "d", "u")
        self.ledger.register(
            use_case,
            version,
            models={"pd": ref},
            actor=trainer,
            run_id="r",
            evidence={"baseline": baseline},
        )
        case.status[version], case.trainer[version] = "challenger", trainer
        case.baseline[version] = baseline

    @rule(use_case=CASES, version=NUMBERS, passed=st.sampled_from([True, True, False, None]))
    def judge(self, use_case: str, version: int, passed: bool | None) -> None:
        case = self.cases[use_case]
        gates = [Gate("g", passed, "", {})]
        if version not in case.status:
            with pytest.raises(InputRefused):
                self.ledger.record_gates(use_case, version, gates)
        elif version in case.passed:
            if self.ledger.gates(use_case, version) != gates:
                with pytest.raises(Conflict):
                    self.ledger.record_gates(use_case, version, gates)
        else:
            self.ledger.record_gates(use_case, version, gates)
            case.passed[version] = passed is True

    @rule(use_case=CASES, version=NUMBERS, actor=PEOPLE, right=st.booleans(), guess=EXPECTED)
    def promote(
        self, use_case: str, version: int, actor: str, right: bool, guess: int | None
    ) -> None:
        case = self.cases[use_case]
        expected = case.champion if right else guess
        outcome: type[Exception] | None = None
        if version not in case.status:
            outcome = InputRefused
        elif expected != case.champion or version == case.champion:
            outcome = Conflict
        elif (
            case.status[version] == "rejected"
            or not case.passed.get(version, False)
            or case.trainer[version] == actor
        ):
            outcome = GateRefused
        said = {"expected": expected, "actor": actor, "reason": "r"}
        if outcome is not None:
            with pytest.raises(outcome):
                self.ledger.promote(use_case, version, **said)  # type: ignore[arg-type]
            return
        done = self.ledger.promote(use_case, version, **said)  # type: ignore[arg-type]
        assert done.previous == case.champion
        case.go_live(version)
        case.live.append(version)

    @rule(use_case=CASES, kind=st.sampled_from(["rollback", "fallback"]))
    def go_back(self, use_case: str, kind: str) -> None:
        case = self.cases[use_case]
        act = getattr(self.ledger, kind)
        self._back(case, kind, lambda: act(use_case, actor="o", reason="r", expected=case.champion))

    def _back(self, case: Case, kind: str, act: Any) -> bool:
        target = case.former() if kind == "rollback" else case.newest_baseline()
        if target is None or target == case.champion:
            with pytest.raises(InputRefused):
                act()
            return False
        act()
        if kind == "rollback":
            while case.live[-1] != target:
                case.live.pop()
        else:
            case.live.append(target)
        case.go_live(target)
        return True

    @rule(use_case=CASES, version=NUMBERS)
    def reject(self, use_case: str, version: int) -> None:
        case = self.cases[use_case]
        if case.status.get(version) in (None, "champion", "rejected"):
            with pytest.raises((Conflict, InputRefused)):
                self.ledger.reject(use_case, version, actor="o", reason="r")
            return
        self.ledger.reject(use_case, version, actor="o", reason="r")
        case.status[version] = "rejected"

    @rule(use_case=CASES, batch=st.sampled_from("ab"))
    def alert(self, use_case: str, batch: str) -> None:
        version = self.cases[use_case].champion or 1
        new = {"use_case": use_case, "batch_hash": batch, "version": version}
        same = [i for i, a in self.alerts.items() if a["open"] and a["new"] == new]
        decided = [i for i, a in self.alerts.items() if not a["open"] and a["new"] == new]
        id = self.ledger.open_alert(
            **new, title="t", findings=[{"at": batch}], severity="high", report=""
        )
        if same:
            assert [id] == same
            self.alerts[id]["seen"] += 1
        elif decided:
            assert id == decided[-1]
        else:
            assert id not in self.alerts
            self.alerts[id] = {"new": new, "open": True, "seen": 1}

    @precondition(lambda self: self.alerts)
    @rule(data=st.data(), kind=st.sampled_from(["accept", "retrain", "fallback", "rollback"]))
    def decide(self, data: st.DataObject, kind: Any) -> None:
        id = data.draw(st.sampled_from(sorted(self.alerts)))
        alert = self.alerts[id]
        case = self.cases[alert["new"]["use_case"]]

        def act() -> object:
            return self.ledger.decide_alert(id, kind, actor="o", reason="r")

        stale = kind in ("fallback", "rollback") and alert["new"]["version"] != case.champion
        if not alert["open"] or stale:
            with pytest.raises(Conflict):
                act()
            return
        if kind in ("fallback", "rollback"):
            alert["open"] = not self._back(case, kind, act)
            return
        act()
        alert["open"] = False
        self.requests += kind == "retrain"

    @precondition(lambda self: self.requests)
    @rule()
    def serve(self) -> None:
        request = self.ledger.claim_request("host:1")
        assert request is not None
        self.ledger.finish_request(request.id, "done")
        self.requests -= 1

    @rule()
    def keep_an_anchor(self) -> None:
        self.anchors.append(self.ledger.head())

    @invariant()
    def same(self) -> None:
        for name, case in getattr(self, "cases", {}).items():
            assert [p.version for p in self.ledger.history(name)] == case.history
            champion = self.ledger.champion(name)
            assert (champion.version if champion else None) == case.champion
            assert {v.version: v.status for v in self.ledger.versions(name)} == case.status

    def teardown(self) -> None:
        if not hasattr(self, "ledger"):
            return
        assert self.ledger.verify().ok
        assert all(self.ledger.verify(anchor=a).ok for a in self.anchors)
        assert len(self.ledger.requests()) == self.requests
        held: list[Alert] = self.ledger.alerts(open_only=False)
        assert {a.id: (a.status == "open", a.seen) for a in held} == {
            i: (a["open"], a["seen"]) for i, a in self.alerts.items()
        }
        self.ledger.close()
        self.folder.cleanup()


@pytest.mark.parametrize("examples", [12, pytest.param(150, marks=pytest.mark.slow)])
def test_the_ledger_does_what_the_model_does(
    template: Path, monkeypatch: pytest.MonkeyPatch, examples: int
) -> None:
    monkeypatch.setattr(LedgerMachine, "template", template, raising=False)
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
