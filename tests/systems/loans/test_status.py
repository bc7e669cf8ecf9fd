"""Green, amber, red: a real ledger, from an alert to what people decide about it."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from riskwright.errors import InputRefused
from riskwright.ledger import Gate, Ledger, ModelRef
from riskwright.systems.loans.status import RED_LIGHT, status_of

NAME = "book"
MIX = {"code": "vintage_mix", "column": "2015Q2"}
RED = {"code": RED_LIGHT, "column": None}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A ledger with two versions, the first of which is live."""
    made = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    for key in ("one", "two"):
        version = made.reserve_version(NAME, key)
        ref = ModelRef("pd", f"{NAME}.pd", version, "0" * 64, "models:/x")
        made.register(NAME, version, models={"pd": ref}, actor="ann", run_id=key, evidence={})
        made.record_gates(NAME, version, [Gate("baseline", True, "better", {})])
    made.promote(NAME, 1, actor="bob", reason="good", expected=None)
    return made


def alarm(ledger: Ledger, severity: str = "high", finding: Any = MIX, **other: Any) -> int:
    said = {"batch_hash": f"{severity} {finding}", "version": 1, **other}
    return ledger.open_alert(
        NAME, title="x", findings=[finding], severity=severity, report="", **said
    )


def test_an_alert_turns_it_and_accepting_turns_it_back(ledger: Ledger) -> None:
    assert status_of(ledger, NAME) == "green"
    mild = alarm(ledger)
    assert status_of(ledger, NAME) == "amber"
    grave = alarm(ledger, finding=RED)
    assert status_of(ledger, NAME) == "red"
    ledger.decide_alert(grave, "accept", actor="bob", reason="known")
    assert status_of(ledger, NAME) == "amber"
    ledger.decide_alert(mild, "accept", actor="bob", reason="known")
    assert status_of(ledger, NAME) == "green"


@pytest.mark.parametrize(
    ("severity", "finding", "status"),
    [
        ("low", MIX, "amber"),
        ("medium", MIX, "amber"),
        ("critical", MIX, "red"),
        ("high", RED, "red"),
    ],
)
def test_what_makes_it_red(ledger: Ledger, severity: str, finding: Any, status: str) -> None:
    alarm(ledger, severity, finding)
    assert status_of(ledger, NAME) == status


def test_another_version_and_another_use_case_are_their_own(ledger: Ledger) -> None:
    alarm(ledger, "critical", version=2)
    assert status_of(ledger, NAME) == "green"
    ledger.promote(NAME, 2, actor="bob", reason="better", expected=1)
    assert status_of(ledger, NAME) == "red"
    with pytest.raises(InputRefused, match="no champion"):
        status_of(ledger, "another")


def test_a_retrain_that_was_asked_for_settles_it_when_it_is_done(ledger: Ledger) -> None:
    alert = alarm(ledger)
    ledger.decide_alert(alert, "retrain", actor="bob", reason="here to stay")
    assert status_of(ledger, NAME) == "amber"
    request = ledger.claim_request(f"{socket.gethostname()}:{os.getpid()}", NAME)
    assert request is not None
    assert status_of(ledger, NAME) == "amber"
    ledger.finish_request(request.id, "done", "version 2 waits")
    assert status_of(ledger, NAME) == "green"
