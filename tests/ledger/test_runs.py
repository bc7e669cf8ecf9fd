from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from riskwright.errors import Conflict, InputRefused
from riskwright.ledger import Ledger


def test_a_run_from_start_to_end(ledger: Ledger) -> None:
    run = ledger.start_run("credit", "retrain", "key", "host:1")
    assert (run.status, run.attempt, run.mlflow_run_id) == ("running", 1, None)
    same = ledger.start_run("credit", "retrain", "key", "host:1", "mlflow-1")
    assert (same.id, same.attempt, same.mlflow_run_id) == (run.id, 1, "mlflow-1")
    assert same.started == run.started
    done = ledger.finish_run(run.id, detail="version 1")
    assert (done.status, done.detail) == ("finished", "version 1")
    assert done.finished is not None
    assert done.finished >= done.started
    assert ledger.finish_run(run.id) == done
    with pytest.raises(Conflict, match="finished already"):
        ledger.finish_run(run.id, "failed")
    assert ledger.runs("credit", "finished") == [done]
    assert ledger.runs("another") == []
    with pytest.raises(InputRefused, match="no run 99"):
        ledger.finish_run(99)


def test_a_finished_key_may_be_run_again(ledger: Ledger) -> None:
    run = ledger.start_run("credit", "retrain", "key", "host:1", "mlflow-1")
    ledger.finish_run(run.id, "failed", "disk full")
    again = ledger.start_run("credit", "retrain", "key", "host:2")
    assert (again.id, again.attempt, again.owner) == (run.id, 2, "host:2")
    assert again.mlflow_run_id == "mlflow-1"  # the resumed run goes on with the same one
    assert again.finished is None
    assert again.detail == ""


def test_a_live_owners_run_is_left_alone(ledger: Ledger) -> None:
    with ledger.held("retrain:credit", "host:1", 30):
        ledger.start_run("credit", "retrain", "key", "host:1")
        assert ledger.stale_runs() == []
        assert ledger.reap() == []
        with pytest.raises(Conflict, match="is running") as told:
            ledger.start_run("credit", "retrain", "key", "host:2")
        assert "host:1" in told.value.where
        other = ledger.start_run("credit", "retrain", "another key", "host:2")
        assert other.attempt == 1


def test_a_dead_owners_run_is_marked_crashed_once(ledger: Ledger) -> None:
    with ledger.held("retrain:credit", "host:1", 30):
        run = ledger.start_run("credit", "retrain", "key", "host:1", "mlflow-1")
    assert [r.id for r in ledger.stale_runs()] == [run.id]
    assert [(r.mlflow_run_id, r.status) for r in ledger.reap()] == [("mlflow-1", "crashed")]
    assert ledger.reap() == []
    assert ledger.runs(status="crashed")[0].detail == "host:1 held no lease"
    with pytest.raises(Conflict, match="crashed already") as told:
        ledger.finish_run(run.id)
    assert "hold a lease" in told.value.do
    assert ledger.start_run("credit", "retrain", "key", "host:1").attempt == 2
    assert ledger.verify().ok


def test_a_dead_owners_key_may_be_taken_over_before_the_reaper_came(ledger: Ledger) -> None:
    with ledger.held("retrain:credit", "host:1", 30):
        ledger.start_run("credit", "retrain", "key", "host:1")
    again = ledger.start_run("credit", "retrain", "key", "host:2")
    assert (again.owner, again.attempt) == ("host:2", 2)


def test_an_owner_without_a_lease_has_a_while(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("riskwright.ledger.leases.GRACE_SECONDS", 0.2)
    ledger.start_run("credit", "retrain", "key", "host:1")
    assert ledger.reap() == []
    threading.Event().wait(0.3)
    assert len(ledger.reap()) == 1


def test_staleness_at_a_moment(ledger: Ledger) -> None:
    ledger.acquire("retrain:credit", "host:1", 60)
    ledger.start_run("credit", "retrain", "key", "host:1")
    later = datetime.now(UTC) + timedelta(seconds=61)
    assert ledger.stale_runs() == []
    assert len(ledger.stale_runs(now=later)) == 1
