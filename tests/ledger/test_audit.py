from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from socket import gethostname
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from riskwright.ledger import Gate, Ledger
from riskwright.ledger.audit import event_hash

FIELDS = ("id", "at", "actor", "use_case", "kind", "payload", "prev_hash")


@pytest.fixture
def busy(lite: Ledger, live: Callable[..., int], train: Callable[..., int]) -> Ledger:
    """A ledger with a bit of everything: three champions, a rejection, a decided alert."""
    live(lite, baseline=True)
    second = live(lite)
    third = live(lite)
    lite.rollback("credit", actor="oscar", reason="too strict", expected=third)
    lite.reject("credit", train(lite), actor="oscar", reason="no")
    alert = lite.open_alert(
        "credit",
        title="score moved",
        findings=[],
        severity="high",
        batch_hash="b",
        version=second,
        report="",
    )
    lite.record_findings("credit", "b", [{"code": "score"}], second)
    lite.decide_alert(alert, "retrain", actor="oscar", reason="new channel")
    request = lite.claim_request("host:1:1")
    assert request is not None
    lite.return_request(request.id, "host:1:1", "the network")
    lite.claim_request("host:1:1")
    lite.finish_request(request.id, "done", "version 5")
    assert lite.verify().ok
    return lite


def _raw(ledger: Ledger) -> sqlite3.Connection:
    """The file as its owner sees it, with the triggers gone."""
    raw = sqlite3.connect(str(ledger.name))
    triggers = raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    assert len(triggers) == 8
    for (name,) in triggers:
        raw.execute(f"DROP TRIGGER {name}")
    return raw


def _do(ledger: Ledger, *statements: str) -> None:
    raw = _raw(ledger)
    for statement in statements:
        raw.execute(statement)
    raw.commit()
    raw.close()


def _rewrite(ledger: Ledger, first: int, change: str) -> None:
    """Change an event, then hash it and all after it anew, as a careful forger would."""
    raw = _raw(ledger)
    raw.execute(f"UPDATE ledger_events SET {change} WHERE id = {first}")
    names = (*FIELDS, "hash")
    rows = raw.execute(f"SELECT {', '.join(names)} FROM ledger_events ORDER BY id").fetchall()
    previous = "0" * 64
    for row in rows:
        event = dict(zip(names, row, strict=True))
        if event["id"] >= first:
            event["prev_hash"] = previous
            event["hash"] = event_hash(event)
            raw.execute(
                "UPDATE ledger_events SET prev_hash = ?, hash = ? WHERE id = ?",
                (event["prev_hash"], event["hash"], event["id"]),
            )
        previous = event["hash"]
    raw.commit()
    raw.close()


def test_the_hash_is_what_the_reference_says(busy: Ledger) -> None:
    """Worked out with nothing but hashlib and json, from the raw file."""
    raw = sqlite3.connect(str(busy.name))
    rows = raw.execute(f"SELECT {', '.join(FIELDS)}, hash FROM ledger_events ORDER BY id")
    previous = "0" * 64
    for *fields, found in rows.fetchall():
        event = dict(zip(FIELDS, fields, strict=True))
        assert event["prev_hash"] == previous
        body = json.dumps(event, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(body.encode()).hexdigest() == found
        previous = found
    raw.close()
    assert busy.head() == (len(busy.events()), previous)


def test_events_name_their_actor_and_entity(busy: Ledger) -> None:
    kinds = [e.kind for e in busy.events("credit")]
    assert kinds.count("promotion") == 4
    rejected = busy.events("credit", kind="version.rejected")
    (event,) = rejected
    by = event.payload.pop("by")
    assert (event.actor, event.payload) == ("oscar", {"version": 4, "reason": "no"})
    # How the name is known is hashed with it: here a program that calls the library says so.
    assert by == {"uid": os.getuid(), "host": gethostname(), "method": "program", "verified": True}
    assert busy.events("another") == []


@pytest.mark.parametrize(
    "column", ["at", "actor", "use_case", "kind", "payload", "prev_hash", "hash"]
)
def test_an_altered_column_is_found(busy: Ledger, column: str) -> None:
    _do(busy, f"UPDATE ledger_events SET {column} = {column} || ' ' WHERE id = 5")
    verdict = busy.verify()
    assert (verdict.ok, verdict.first_bad) == (False, 5)
    assert "altered" in verdict.reason


@pytest.mark.parametrize("event", [1, 2, 7])
def test_a_removed_event_is_found(busy: Ledger, event: int) -> None:
    _do(busy, f"DELETE FROM ledger_events WHERE id = {event}")
    verdict = busy.verify()
    assert (verdict.ok, verdict.first_bad, verdict.checked) == (False, event, event - 1)
    assert "missing" in verdict.reason


@pytest.mark.parametrize("numbered_anew", [False, True])
def test_a_removed_event_is_found_though_the_gap_is_closed(
    busy: Ledger, numbered_anew: bool
) -> None:
    shift = "UPDATE ledger_events SET id = id - 1 WHERE id > 4"
    _do(busy, "DELETE FROM ledger_events WHERE id = 4", *([shift] if numbered_anew else []))
    assert busy.verify().first_bad == 4


def test_reordered_events_are_found(busy: Ledger) -> None:
    _do(
        busy,
        "UPDATE ledger_events SET id = -3 WHERE id = 3",
        "UPDATE ledger_events SET id = 3 WHERE id = 6",
        "UPDATE ledger_events SET id = 6 WHERE id = -3",
    )
    assert busy.verify().first_bad == 3


def test_an_event_hashed_anew_is_found_by_the_next(busy: Ledger) -> None:
    raw = _raw(busy)
    names = ", ".join(FIELDS)
    row = raw.execute(f"SELECT {names} FROM ledger_events WHERE id = 5").fetchone()
    event = {**dict(zip(FIELDS, row, strict=True)), "actor": "mallory"}
    raw.execute(
        "UPDATE ledger_events SET actor = 'mallory', hash = ? WHERE id = 5", (event_hash(event),)
    )
    raw.commit()
    raw.close()
    verdict = busy.verify()
    assert (verdict.ok, verdict.first_bad) == (False, 5)


def test_a_cut_tail_and_a_rewritten_chain_need_an_anchor(busy: Ledger) -> None:
    anchor = busy.head()
    machine = busy.events(kind="alert.opened")[0].id  # its actor stands in no table
    assert busy.verify(anchor=anchor).ok
    _rewrite(busy, machine, "actor = 'mallory'")
    assert busy.verify().ok  # alone, a chain written anew can't be told from a true one
    verdict = busy.verify(anchor=anchor)
    assert (verdict.ok, verdict.first_bad) == (False, anchor[0])


def test_a_cut_tail_is_found_by_an_anchor(lite: Ledger) -> None:
    for i in range(6):
        lite.count_reading("snapshot", "credit", "evaluate", f"run {i}")
    anchor = lite.head()
    assert anchor[0] == 6
    readings = "DELETE FROM ledger_readings WHERE run_key IN ('run 4', 'run 5')"
    _do(lite, "DELETE FROM ledger_events WHERE id > 4", readings)
    assert lite.verify().ok  # alone, a shorter chain with its tables can't be told from a true one
    verdict = lite.verify(anchor=anchor)
    assert (verdict.ok, verdict.first_bad) == (False, 5)
    assert "cut off" in verdict.reason


def test_an_older_anchor_holds_for_a_chain_that_grew(busy: Ledger) -> None:
    anchor = busy.head()
    busy.reserve_version("credit", "later")
    assert busy.verify(anchor=anchor).ok
    assert busy.verify(anchor=(0, "0" * 64)).ok


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("UPDATE ledger_promotions SET actor = 'mallory' WHERE sequence = 2", "promotion"),
        ("UPDATE ledger_promotions SET version = 1 WHERE sequence = 3", "promotion"),
        ("DELETE FROM ledger_promotions WHERE sequence = 4", "promotion"),
        ("UPDATE ledger_versions SET models = replace(models, '0003', '0004') WHERE version = 3",
         "version"),
        ("UPDATE ledger_versions SET trained_by = 'nobody' WHERE version = 2", "version"),
        ("UPDATE ledger_versions SET status = 'challenger' WHERE version = 4", "status"),
        ("UPDATE ledger_gates SET gates = replace(gates, 'true', 'false') WHERE version = 1",
         "gates"),
        ("UPDATE ledger_alerts SET decided_by = 'mallory' WHERE status = 'closed'", "alert"),
        ("UPDATE ledger_alerts SET severity = 'low'", "alert"),
        ("DELETE FROM ledger_alerts", "alert"),
        ("UPDATE ledger_findings SET findings = '[]'", "finding"),
        ("DELETE FROM ledger_findings", "finding"),
        ("UPDATE ledger_requests SET outcome = 'failed'", "request"),
        ("DELETE FROM ledger_requests", "request"),
        ("INSERT INTO ledger_promotions SELECT use_case, 9, 3, previous, actor, at, reason, kind, "
         "policy FROM ledger_promotions WHERE sequence = 1", "promotion"),
    ],
)  # fmt: skip
def test_a_table_that_says_otherwise_than_the_events_is_found(
    busy: Ledger, statement: str, table: str
) -> None:
    _do(busy, statement)
    verdict = busy.verify()
    assert not verdict.ok
    assert table in verdict.reason
    if not statement.startswith("INSERT"):  # of a row that was put in, no event tells
        told = busy.events()[int(verdict.first_bad or 0) - 1]
        kinds = {
            "promotion": "promotion",
            "version": "version.registered",
            "status": "version.rejected",
            "gates": "gates.recorded",
            "alert": "alert.decided",
            "finding": "findings.recorded",
            "request": "request.finished",
        }
        assert told.kind == kinds[table]


@pytest.mark.parametrize(
    "table", ["ledger_events", "ledger_gates", "ledger_promotions", "ledger_readings"]
)
@pytest.mark.parametrize("change", ["UPDATE {} SET at = ''", "DELETE FROM {}", "TRUNCATE {}"])
def test_what_is_written_once_refuses_change(
    ledger: Ledger, live: Callable[..., int], table: str, change: str
) -> None:
    if change.startswith("TRUNCATE") and ledger.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no TRUNCATE")
    live(ledger)
    ledger.count_reading("snapshot", "credit", "evaluate", "run")
    before = ledger.head()
    with (
        ledger.engine.begin() as connection,
        pytest.raises(DBAPIError, match="written once"),
    ):
        connection.exec_driver_sql(change.format(table))
    assert ledger.head() == before
    assert ledger.verify().ok


def test_the_chain_keeps_the_order_and_an_event_what_the_clock_said(
    lite: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    lite.reserve_version("credit", "a")
    monkeypatch.setattr("riskwright.ledger.audit.now", lambda: "2001-01-01T00:00:00.000000+00:00")
    lite.reserve_version("credit", "b")
    first, second = lite.events()
    assert (first.id, second.id, second.at[:4]) == (1, 2, "2001")
    assert lite.verify().ok


def test_an_empty_ledger_verifies(ledger: Ledger) -> None:
    assert ledger.verify() == ledger.verify(anchor=ledger.head())
    assert ledger.verify().ok
    assert ledger.head() == (0, "0" * 64)


def test_figures_that_are_no_numbers_keep_the_chain_true(ledger: Ledger) -> None:
    version = ledger.reserve_version("credit", "run")
    gate = Gate("auc", None, "not enough data", {"p": float("nan"), "text": "\x00 高 \ud800"})
    ledger.record_gates("credit", version, [gate])
    ledger.record_gates("credit", version, [gate])
    held: dict[str, Any] = ledger.gates("credit", version)[0].figures
    assert held == {"p": None, "text": "\x00 高 \ud800"}
    assert ledger.verify().ok
