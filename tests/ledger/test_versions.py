from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from riskwright.errors import Conflict, InputRefused
from riskwright.ledger import Gate, Ledger, ModelRef

PD = ModelRef("pd", "credit-pd", 7, "d" * 64, "models:/m-7")
GATES = [Gate("baseline", True, "better", {"p": 0.01}), Gate("fairness", None, "few", {}, False)]


def _register(ledger: Ledger, version: int, **change: object) -> None:
    content = {"models": {"pd": PD}, "actor": "tess", "run_id": "r", "evidence": {"auc": 0.7}}
    ledger.register("credit", version, **{**content, **change})  # type: ignore[arg-type]


def test_numbers_run_on_by_use_case_and_once_by_run(ledger: Ledger) -> None:
    given = [
        ledger.reserve_version(use_case, key)
        for use_case, key in [
            ("a", "x"),
            ("a", "y"),
            ("b", "x"),
            ("a", "x"),
            ("b", "z"),
            ("a", "z"),
        ]
    ]
    assert given == [1, 2, 1, 1, 2, 3]
    assert len(ledger.events()) == 5  # the repeated run wrote nothing
    assert {v.status for v in ledger.versions("a")} == {"reserved"}


def test_a_registered_version_is_a_challenger_with_all_its_models(ledger: Ledger) -> None:
    version = ledger.reserve_version("loans", "run")
    models = {"pd": PD, "lgd": replace(PD, model="lgd", digest="e" * 64)}
    evidence = {"baseline": True, "metrics": {"auc": 0.75}, "rows": [1, 2]}
    ledger.register(
        "loans", version, models=models, actor="tess", run_id="mlflow-1", evidence=evidence
    )
    found = ledger.version("loans", version)
    assert found.models == models
    assert found.evidence == evidence
    assert (found.status, found.trained_by, found.run_id) == ("challenger", "tess", "mlflow-1")
    assert ledger.versions("loans", status="challenger") == [found]
    assert ledger.versions("loans", status="champion") == []


def test_registering_again(ledger: Ledger) -> None:
    version = ledger.reserve_version("credit", "run")
    _register(ledger, version)
    before = ledger.head()
    _register(ledger, version)
    _register(ledger, version, actor="another process of the same run")
    assert ledger.head() == before
    assert ledger.version("credit", version).trained_by == "tess"
    for change in (
        {"models": {"pd": replace(PD, digest="e" * 64)}},
        {"evidence": {"auc": 0.71}},
        {"run_id": "s"},
    ):
        with pytest.raises(Conflict, match="other content"):
            _register(ledger, version, **change)
    assert ledger.head() == before


@pytest.mark.parametrize("change", [{"models": {}}, {"actor": "  "}, {"run_id": ""}])
def test_what_cannot_be_registered(lite: Ledger, change: dict[str, object]) -> None:
    version = lite.reserve_version("credit", "run")
    with pytest.raises(InputRefused):
        _register(lite, version, **change)
    assert lite.version("credit", version).status == "reserved"


def test_unknown_versions_are_refused_with_the_known_ones(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.reserve_version("credit", f"run {len(ledger.versions('credit'))}")
    attempts: list[Callable[[], object]] = [
        lambda: ledger.version("credit", 3),
        lambda: _register(ledger, 3),
        lambda: ledger.record_gates("credit", 3, GATES),
        lambda: ledger.reject("credit", 3, actor="oscar", reason="no"),
        lambda: ledger.promote("credit", 3, expected=None, actor="oscar", reason="yes"),
    ]
    for attempt in attempts:
        with pytest.raises(InputRefused, match="no version 3") as refused:
            attempt()
        assert refused.value.expected == "one of 1, 2"


def test_gates_are_written_once(ledger: Ledger) -> None:
    version = ledger.reserve_version("credit", "run")
    assert ledger.gates("credit", version) == []
    ledger.record_gates("credit", version, GATES)
    before = ledger.head()
    ledger.record_gates("credit", version, GATES)
    assert ledger.gates("credit", version) == GATES
    for other in (
        GATES[:1],
        GATES[::-1],
        [replace(GATES[0], passed=False), GATES[1]],
        [GATES[0], replace(GATES[1], blocking=True)],
    ):
        with pytest.raises(Conflict, match="recorded already"):
            ledger.record_gates("credit", version, other)
    assert ledger.gates("credit", version) == GATES
    assert ledger.head() == before


@pytest.mark.parametrize("gates", [[], [GATES[0], GATES[0]]])
def test_gates_that_cannot_be_recorded(lite: Ledger, gates: list[Gate]) -> None:
    version = lite.reserve_version("credit", "run")
    with pytest.raises(InputRefused, match="each with its own name"):
        lite.record_gates("credit", version, gates)


def test_readings_count_runs_not_retries(ledger: Ledger) -> None:
    def read(run: str, purpose: str = "evaluate", use_case: str = "a", snapshot: str = "s") -> int:
        return ledger.count_reading(snapshot, use_case, purpose, run)

    assert read("run 1") == 1
    assert read("run 1") == 1
    assert read("run 2") == 2
    assert read("run 2", purpose="gates") == 3
    assert read("run 1", use_case="b") == 4  # another use case saw the same rows
    assert read("run 1", snapshot="t") == 1
    assert read("run 1") == 4
    assert [(r.use_case, r.purpose, r.run_key) for r in ledger.readings("s")] == [
        ("a", "evaluate", "run 1"),
        ("a", "evaluate", "run 2"),
        ("a", "gates", "run 2"),
        ("b", "evaluate", "run 1"),
    ]
    assert len(ledger.events(kind="test.read")) == 5
