"""A clock that ran ahead, or back: the chain's order is right, and what was live is told by it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from riskwright.ledger import Ledger, audit, clock

Train = Callable[..., int]


@pytest.mark.parametrize(
    ("times", "wrong"),
    [
        ("", ""),
        ("1234", ""),
        ("1223", ""),
        ("1293", "9"),  # 9 is in the future
        ("1253", "5"),  # 5 and 3 can't both be right: the lower end is the better guess
        ("3145", "3"),
        ("23014567", "23"),
        ("999", "999"),
    ],
)
def test_what_does_not_fit_the_order_is_doubtful(times: str, wrong: str) -> None:
    places = clock.doubtful([f"2026-03-1{t}T12:00:00" for t in times], "2026-03-18T12:00:00")
    assert "".join(times[p] for p in places) == wrong


@pytest.mark.parametrize(
    ("seconds", "wrong"),
    [
        ([0, 10, 9.8, 11], []),  # two hosts, 200 ms apart
        ([0, 10, 6, 5.5, 11], []),
        ([0, 10, 4, 11, 12], [1]),  # six seconds are no skew
        ([0, 10, 20.003], []),  # ahead of this host's clock by milliseconds
        ([0, 10, 24.9], []),
        ([0, 10, 25.1], [2]),
        ([0, 3, 10, 1, 2, 11, 12], [2]),
    ],
)
def test_clocks_of_several_hosts_may_differ_by_seconds(
    seconds: list[float], wrong: list[int]
) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    times = [(start + timedelta(seconds=s)).isoformat(timespec="microseconds") for s in seconds]
    present = (start + timedelta(seconds=20)).isoformat(timespec="microseconds")
    assert clock.doubtful(times, present) == wrong


def test_a_host_a_moment_behind_leaves_no_doubt_and_history_never_goes_back(
    ledger: Ledger, live: Train, at: Callable[[datetime], None]
) -> None:
    at(day(1))
    live(ledger)
    at(day(2))
    live(ledger)
    at(day(2) - timedelta(seconds=2))
    live(ledger)
    at(day(3))
    ledger.count_reading("a test part", "credit", "evaluate", "key")
    assert ledger.doubtful_promotions("credit") == {}
    counts = ledger.live_since("credit")
    assert counts == sorted(counts)
    assert ledger.champion("credit", at=day(2)).version == 3


def day(number: int) -> datetime:
    return datetime(2026, 3, number, 12, tzinfo=UTC)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    def _at(moment: datetime) -> None:
        text = moment.isoformat(timespec="microseconds")
        monkeypatch.setattr(audit, "now", lambda: text)
        monkeypatch.setattr(clock, "now", lambda: text)

    return _at


def test_history_is_right_after_a_clock_that_ran_ahead(
    ledger: Ledger, live: Train, at: Callable[[datetime], None]
) -> None:
    at(day(1))
    live(ledger)
    at(datetime(2031, 1, 1, tzinfo=UTC))
    live(ledger)
    at(day(3))
    ledger.count_reading("a test part", "credit", "evaluate", "key")
    at(day(5))
    live(ledger)
    at(day(9))
    stamps = [p.at[:10] for p in ledger.history("credit")]
    assert stamps == ["2026-03-01", "2031-01-01", "2026-03-05"]  # what each clock said
    found = [ledger.champion("credit", at=day(n)) for n in range(1, 10)]
    # The second one was live by the third, when the next event was written.
    assert [c.version if c else None for c in found] == [1, 1, 2, 2, 3, 3, 3, 3, 3]
    counts = ledger.live_since("credit")
    assert [since[:10] for since in counts] == ["2026-03-01", "2026-03-03", "2026-03-05"]
    assert ledger.verify().ok


def test_what_is_live_is_live_now_whatever_its_stamp(
    ledger: Ledger, live: Train, at: Callable[[datetime], None]
) -> None:
    at(datetime(2031, 1, 1, tzinfo=UTC))
    live(ledger)
    at(day(5))
    now = ledger.champion("credit", at=day(5))
    assert now is not None
    assert now.version == 1
    assert ledger.champion("credit", at=day(4)) is None


def test_a_clock_that_stood_still_in_1970_moves_no_other_promotion(
    ledger: Ledger, live: Train, at: Callable[[datetime], None]
) -> None:
    at(day(1))
    live(ledger)
    at(datetime(1970, 1, 1, tzinfo=UTC))
    ledger.count_reading("a test part", "credit", "evaluate", "key")
    at(day(4))
    live(ledger)
    found = [ledger.champion("credit", at=day(n)) for n in (1, 3, 4)]
    assert [c.version if c else None for c in found] == [1, 1, 2]
    assert ledger.champion("credit", at=datetime(1980, 1, 1, tzinfo=UTC)) is None
