from __future__ import annotations

import threading

import pytest

from riskwright.errors import Conflict, InputRefused
from riskwright.ledger import Ledger


def _ask(ledger: Ledger, use_case: str = "credit") -> int:
    return ledger.request(use_case, "retrain", actor="oscar", reason="drift").id


def test_requests_are_claimed_in_their_order_and_once(ledger: Ledger) -> None:
    asked = [_ask(ledger), _ask(ledger, "loans"), _ask(ledger)]
    claimed = [ledger.claim_request(f"host:{n}") for n in range(4)]
    assert [c.id for c in claimed if c] == asked
    assert claimed[3] is None
    assert [c.owner for c in claimed if c] == ["host:0", "host:1", "host:2"]


def test_claims_of_one_use_case(ledger: Ledger) -> None:
    _ask(ledger)
    loans = _ask(ledger, "loans")
    claimed = ledger.claim_request("host:1", "loans")
    assert claimed is not None
    assert claimed.id == loans
    assert ledger.claim_request("host:1", "loans") is None


def test_a_finished_request_stays_finished(ledger: Ledger) -> None:
    id = _ask(ledger)
    with pytest.raises(Conflict, match="pending"):
        ledger.finish_request(id, "done")
    assert ledger.claim_request("host:1") is not None
    with pytest.raises(Conflict, match="host:1"):
        ledger.finish_request(id, "done", owner="host:2")
    done = ledger.finish_request(id, "done", "version 3", owner="host:1")
    assert (done.status, done.outcome, done.detail) == ("finished", "done", "version 3")
    assert ledger.finish_request(id, "done") == done
    with pytest.raises(Conflict, match="finished"):
        ledger.finish_request(id, "failed")
    assert ledger.requests() == []
    assert ledger.requests(open_only=False) == [done]
    with pytest.raises(InputRefused, match="no request 99"):
        ledger.finish_request(99, "done")


def test_a_request_is_withdrawn_by_a_person_whatever_its_yaml_says(ledger: Ledger) -> None:
    id, served = _ask(ledger), _ask(ledger)
    gone = ledger.withdraw_request(id, actor="oscar", reason="the portfolio was sold")
    told = (gone.status, gone.outcome, gone.detail)
    assert told == ("finished", "withdrawn", "the portfolio was sold")
    assert ledger.withdraw_request(id, actor="ben", reason="again") == gone
    assert [r.id for r in ledger.requests()] == [served]
    with ledger.held("retrain:credit", "host:1", 30):
        claimed = ledger.claim_request("host:1")
        assert claimed is not None
        assert claimed.id == served
        with pytest.raises(Conflict, match="being served"):
            ledger.withdraw_request(served, actor="oscar", reason="too late")
    # Its claimer is dead: it may be withdrawn.
    assert ledger.withdraw_request(served, actor="oscar", reason="sold").outcome == "withdrawn"
    done = _ask(ledger)
    ledger.claim_request("host:2")
    ledger.finish_request(done, "done", owner="host:2")
    with pytest.raises(Conflict, match="is done"):
        ledger.withdraw_request(done, actor="oscar", reason="too late")
    with pytest.raises(InputRefused, match="no request 99"):
        ledger.withdraw_request(99, actor="oscar", reason="what")
    assert ledger.verify().ok


def test_a_dead_claimers_request_is_claimed_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = _ask(ledger)
    with ledger.held("retrain:credit", "host:1", 30):
        assert ledger.claim_request("host:1") is not None
        assert ledger.claim_request("host:2") is None
    again = ledger.claim_request("host:2")  # host:1 holds no lease any more
    assert again is not None
    assert (again.id, again.owner) == (id, "host:2")
    with pytest.raises(Conflict):
        ledger.finish_request(id, "done", owner="host:1")
    told = [e.payload["dead_owner"] for e in ledger.events(kind="request.claimed")]
    assert told == [None, "host:1"]


def test_a_claimer_without_a_lease_has_a_while(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ask(ledger)
    monkeypatch.setattr("riskwright.ledger.leases.GRACE_SECONDS", 0.2)
    assert ledger.claim_request("host:1") is not None
    assert ledger.claim_request("host:2") is None
    assert ledger.holder("owner:host:1") == "host:1"
    threading.Event().wait(0.3)
    assert ledger.claim_request("host:2") is not None


def test_why_a_request_waits_is_kept_with_it_and_told_once(ledger: Ledger) -> None:
    id, other = _ask(ledger), _ask(ledger)
    for why in ("no answer", "no answer", "nothing new", "nothing new"):
        ledger.note_request(id, why)
        assert ledger.requests()[0].detail == why
    assert [e.payload["detail"] for e in ledger.events(kind="request.waits")] == [
        "no answer",
        "nothing new",
    ]
    assert ledger.verify().ok
    claimed = ledger.claim_request("host:1", id=other)
    assert claimed is not None
    assert claimed.id == other
    ledger.note_request(other, "somebody is at it")
    assert ledger.requests()[1].detail is None
    ledger.return_request(other, "host:2", "not mine")
    assert ledger.requests()[1].status == "claimed"
    ledger.return_request(other, "host:1", "the disk is full")
    assert (ledger.requests()[1].status, ledger.requests()[1].detail) == (
        "pending",
        "the disk is full",
    )
    assert ledger.verify().ok


def test_a_request_needs_a_name_and_a_reason(lite: Ledger) -> None:
    with pytest.raises(InputRefused, match="reason is empty"):
        lite.request("credit", actor="oscar", reason="")
    with pytest.raises(InputRefused, match="actor is empty"):
        lite.request("credit", actor="", reason="drift")


def test_each_request_is_claimed_by_one_of_many_at_once(ledger: Ledger, url: str) -> None:
    asked = [_ask(ledger) for _ in range(6)]
    claimed: list[int] = []

    def claim(owner: str) -> None:
        with Ledger(url, create=False) as mine:
            while (request := mine.claim_request(owner)) is not None:
                claimed.append(request.id)

    threads = [threading.Thread(target=claim, args=(f"host:{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == asked
    assert ledger.verify().ok
