"""What numbers a version, an alert or a request is a whole number by its type, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from riskwright.errors import Conflict, InputRefused
from riskwright.ledger import Gate, Ledger
from riskwright.ledger.tables import number

Train = Callable[..., int]
SIGNED: dict[str, Any] = {"actor": "oscar", "reason": "gates read"}
FOUND: dict[str, Any] = {"findings": [{"code": "psi"}], "batch_hash": "b"}
SHOWN: dict[str, Any] = {**FOUND, "title": "t", "severity": "high", "report": "r.html"}

CALLS: dict[str, Callable[[Ledger, Any], object]] = {
    "promote": lambda on, n: on.promote("credit", n, expected=None, **SIGNED),
    "expected": lambda on, n: on.promote("credit", 1, expected=n, **SIGNED),
    "rollback": lambda on, n: on.rollback("credit", expected=None, to=n, **SIGNED),
    "rollback from": lambda on, n: on.rollback("credit", expected=n, **SIGNED),
    "fallback": lambda on, n: on.fallback("credit", expected=n, **SIGNED),
    "reject": lambda on, n: on.reject("credit", n, **SIGNED),
    "version": lambda on, n: on.version("credit", n),
    "gates": lambda on, n: on.gates("credit", n),
    "record_gates": lambda on, n: on.record_gates("credit", n, [Gate("g", True, "", {})]),
    "register": lambda on, n: on.register(
        "credit",
        n,
        models={"pd": None},
        actor="tess",
        run_id="r",
        evidence={},  # type: ignore[dict-item]
    ),
    "record_findings": lambda on, n: on.record_findings("credit", "b", [], n),
    "open_alert": lambda on, n: on.open_alert("credit", version=n, **SHOWN),
    "undecided": lambda on, n: on.undecided("credit", version=n, **FOUND),
    "alert": lambda on, n: on.alert(n),
    "decide_alert": lambda on, n: on.decide_alert(n, "accept", **SIGNED),
    "request": lambda on, n: on.request("credit", alert_id=n, **SIGNED),
    "claim_request": lambda on, n: on.claim_request("me", id=n),
    "note_request": lambda on, n: on.note_request(n, "why"),
    "return_request": lambda on, n: on.return_request(n, "me", "why"),
    "finish_request": lambda on, n: on.finish_request(n, "done"),
    "withdraw_request": lambda on, n: on.withdraw_request(n, **SIGNED),
    "finish_run": lambda on, n: on.finish_run(n),
}


VALUES: tuple[Any, ...] = ("1", 1.0, True, np.float64(1), np.True_, b"1", [1])


@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_whole_number_is_refused_and_writes_nothing(
    sqlite_url: str, train: Train, call: str
) -> None:
    with Ledger(sqlite_url) as ledger:
        train(ledger)
        ledger.open_alert("credit", version=1, **SHOWN)
        ledger.request("credit", **SIGNED)
        before = ledger.head()
        for value in VALUES:
            with pytest.raises(InputRefused, match="no whole number"):
                CALLS[call](ledger, value)
        assert ledger.head() == before
        assert ledger.verify().ok


def test_numpy_counts_as_people_do(ledger: Ledger, train: Train) -> None:
    first, second = np.int64(train(ledger)), np.int32(train(ledger))
    done = ledger.promote("credit", first, expected=None, **SIGNED)  # type: ignore[arg-type]
    assert type(done.version) is int
    alert = ledger.open_alert("credit", version=first, **SHOWN)  # type: ignore[arg-type]
    decided = ledger.decide_alert(np.int64(alert), "retrain", **SIGNED)  # type: ignore[arg-type]
    assert type(decided.alert_id) is int
    with pytest.raises(Conflict, match=f"alert {alert} is decided"):
        ledger.decide_alert(np.uint8(alert), "accept", **SIGNED)  # type: ignore[arg-type]
    assert ledger.gates("credit", second) == ledger.gates("credit", int(second))  # type: ignore[arg-type]
    ledger.reject("credit", second, **SIGNED)  # type: ignore[arg-type]
    assert [v.status for v in ledger.versions("credit")] == ["champion", "rejected"]
    asked = decided.request
    assert asked is not None
    ledger.withdraw_request(np.int64(asked.id), **SIGNED)  # type: ignore[arg-type]
    assert ledger.verify().ok


def test_a_number_too_large_for_a_database_stays_one() -> None:
    assert number("version", np.uint64(2**63)) == 2**63


@pytest.mark.parametrize("reason", [None, 3, b"why", ["why"], float("nan")])
def test_a_reason_that_is_no_text_is_refused(sqlite_url: str, train: Train, reason: Any) -> None:
    with Ledger(sqlite_url) as ledger:
        version = train(ledger)
        alert = ledger.open_alert("credit", version=version, **SHOWN)
        said: dict[str, Any] = {"actor": "oscar", "reason": reason}
        for call in (
            lambda: ledger.promote("credit", version, expected=None, **said),
            lambda: ledger.reject("credit", version, **said),
            lambda: ledger.decide_alert(alert, "accept", **said),
            lambda: ledger.request("credit", **said),
        ):
            with pytest.raises(InputRefused, match="the reason is no text"):
                call()
        with pytest.raises(InputRefused, match="unknown decision 3"):
            ledger.decide_alert(alert, 3, **SIGNED)  # type: ignore[arg-type]
