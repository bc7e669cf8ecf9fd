from __future__ import annotations

import time

import pytest

from riskwright.errors import Conflict, InputRefused
from riskwright.ledger import Ledger


def test_one_holder_at_a_time(ledger: Ledger) -> None:
    assert ledger.holder("train") is None
    assert ledger.acquire("train", "a", 30)
    assert ledger.acquire("train", "a", 30)  # one's own may be taken again
    assert not ledger.acquire("train", "b", 30)
    assert ledger.acquire("another", "b", 30)
    ledger.release("train", "b")  # not theirs: nothing happens
    assert ledger.holder("train") == "a"
    ledger.release("train", "a")
    assert ledger.holder("train") is None
    assert ledger.acquire("train", "b", 30)
    assert ledger.events() == []  # leases are not decisions


def test_an_expired_lease_is_taken_over(ledger: Ledger) -> None:
    assert ledger.acquire("train", "a", 0.05)
    time.sleep(0.1)
    assert ledger.holder("train") is None
    assert ledger.acquire("train", "b", 30)
    assert not ledger.renew("train", "a", 30)
    assert ledger.renew("train", "b", 30)
    assert ledger.holder("train") == "b"


def test_a_late_renewal_counts_if_nobody_came(ledger: Ledger) -> None:
    assert ledger.acquire("train", "a", 0.05)
    time.sleep(0.1)
    assert ledger.renew("train", "a", 30)
    assert ledger.holder("train") == "a"


@pytest.mark.parametrize("ttl", [0, -1])
def test_a_lease_takes_time(lite: Ledger, ttl: float) -> None:
    with pytest.raises(InputRefused, match="longer than nothing"):
        lite.acquire("train", "a", ttl)


def test_a_held_lease_is_kept_beyond_its_time_and_given_back(ledger: Ledger) -> None:
    with ledger.held("train", "a", 0.6) as lost:
        time.sleep(1.2)
        assert not ledger.acquire("train", "b", 30)
        assert not lost.is_set()
        with pytest.raises(Conflict, match="held by another") as told, ledger.held("train", "b", 9):
            pass
        assert "held by a" in told.value.where
    assert ledger.holder("train") is None


def test_a_held_lease_is_given_back_after_an_error(lite: Ledger) -> None:
    with pytest.raises(ZeroDivisionError), lite.held("train", "a", 30):
        _ = 1 / 0
    assert lite.holder("train") is None


def test_a_lost_lease_is_told_and_left_to_its_new_holder(lite: Ledger) -> None:
    with lite.held("train", "a", 0.3) as lost:
        lite.release("train", "a")
        assert lite.acquire("train", "b", 30)
        assert lost.wait(5)
    assert lite.holder("train") == "b"
