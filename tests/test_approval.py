"""Command and door approve alike: the same function, the same event in the ledger."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import riskwright as rw
from riskwright.account import Account
from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.ledger import Gate, Ledger, ModelRef
from riskwright.life.rules import Changes

NAME = "approved"


@pytest.fixture
def ledger(home: Home, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A ledger in which two challengers of ann's wait; nothing was trained."""
    monkeypatch.setattr("riskwright.life.aliases.follow", lambda *given: None)  # no MLflow
    monkeypatch.setattr("riskwright.life.approval.version_changes", lambda *given: Changes())
    ledger = Ledger.open(home, create=True)
    for key in ("one", "two"):
        version = ledger.reserve_version(NAME, key)
        ref = ModelRef("pd", f"{NAME}-pd", version, f"{version:064x}", f"models:/m-{version}")
        evidence = {"system": "credit", "approval": "approval"}
        more: dict[str, Any] = {"models": {"pd": ref}, "evidence": evidence}
        ledger.register(NAME, version, actor="ann", run_id=key, **more)
        ledger.record_gates(NAME, version, [Gate("baseline", True, "better", {})])
    return ledger


def test_command_and_door_write_the_same(
    home: Home,
    ledger: Ledger,
    become: Callable[[str], Account],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from riskwright_flows.cli import app

    monkeypatch.setattr("riskwright_flows.runtime.prepare", lambda create: (home, ledger))
    become("ben")
    with pytest.raises(SystemExit) as ended:
        app(["approve", NAME, "1", "--reason", "gates read", "--json"])
    assert not ended.value.code
    told = json.loads(capsys.readouterr().out)
    assert (told["version"], told["actor"], told["notes"]) == (1, "ben", [])
    assert set(told["rules_changed"]) >= {"differences", "author"}
    for wrong in ("2", 2.0, True):
        with pytest.raises(InputRefused, match="no whole number"):
            rw.approve(NAME, wrong, "gates read")  # type: ignore[arg-type]
    for silent in (None, 3, " "):
        with pytest.raises(InputRefused, match="the reason is"):
            rw.approve(NAME, 2, silent)  # type: ignore[arg-type]
    done = rw.approve(NAME, np.int64(2), "gates read")  # type: ignore[arg-type]
    assert (done.version, type(done.version), done.previous) == (2, int, 1)
    one, two = (e.payload for e in ledger.events() if e.kind == "promotion")
    assert one | {"version": 2, "previous": 1, "sequence": 2} == two
    assert ledger.verify().ok
