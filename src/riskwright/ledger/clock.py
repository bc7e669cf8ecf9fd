"""Times that the chain's order contradicts: a clock that ran ahead, or was set back.

An event carries what its writer's clock said; its place in the chain says what came before it.
Where the two disagree, the place is right. The clocks of several hosts are never quite alike: what
disagrees by less than ``TOLERANCE`` is no doubt.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from riskwright.ledger import tables
from riskwright.ledger.tables import now

TOLERANCE = timedelta(seconds=5)  # hosts that keep their time by NTP differ by far less


def doubtful(times: Sequence[str], present: str) -> list[int]:
    """Return the places of the times that can't be right, in the chain's order.

    Those in the future can't; of the others, all that don't belong to the longest series of times
    that never goes back. Less than ``TOLERANCE`` beyond what is right on either side is right.

    Parameters
    ----------
    times
        ISO 8601, all in UTC and written alike, so that they sort as text.
    present
        The time by this process's clock.
    """
    trusted = _longest(times, present)
    right = sorted(trusted)
    doubted = []
    for place in range(len(times)):
        if place in trusted:
            continue
        following = bisect_left(right, place)
        earliest = times[right[following - 1]] if following else times[place]
        latest = times[right[following]] if following < len(right) else present
        if _ahead(earliest, times[place]) or _ahead(times[place], latest):
            doubted.append(place)
    return doubted


def _ahead(this: str, that: str) -> bool:
    """Whether a time is later than another by more than clocks differ."""
    return this > that and datetime.fromisoformat(this) - datetime.fromisoformat(that) > TOLERANCE


def _longest(times: Sequence[str], present: str) -> set[int]:
    """Return the places of the longest series of times that never goes back, nor past now."""
    past = [place for place, at in enumerate(times) if at <= present]
    ends: list[str] = []  # the smallest last time of a series of each length (patience sorting)
    last: list[int] = []  # where that time is
    before: dict[int, int | None] = {}
    for place in past:
        length = bisect_right(ends, times[place])
        before[place] = last[length - 1] if length else None
        ends[length : length + 1], last[length : length + 1] = [times[place]], [place]
    trusted: set[int] = set()
    place_of: int | None = last[-1] if last else None
    while place_of is not None:
        trusted.add(place_of)
        place_of = before[place_of]
    return trusted


def live_at(connection: Connection, use_case: str, moment: str) -> Row[Any] | None:
    """Return the promotion that was in force at a moment, None if there was none.

    A promotion with a doubtful time counts from the next event whose time is right, else from now:
    it had happened by then.
    """
    t = tables.promotions
    present = now()
    in_force = 0
    for sequence, (_, at) in enumerate(_promotions(connection, use_case, present), start=1):
        if at <= moment:
            in_force = sequence
    query = select(t).where(t.c.use_case == use_case, t.c.sequence == in_force)
    return connection.execute(query).one_or_none()


def since(connection: Connection, use_case: str) -> list[str]:
    """Return since when each promotion counts, in their order; these times never go back."""
    return [at for _, at in _promotions(connection, use_case, now())]


def doubts(connection: Connection, use_case: str) -> dict[int, str]:
    """Return, by sequence, what is wrong with the time of a promotion that can't be right."""
    found = _promotions(connection, use_case, now())
    return {
        sequence: f"its time can't be right (a clock ran ahead, or back): it was live by {at}"
        for sequence, (said, at) in enumerate(found, start=1)
        if _ahead(said, at) or _ahead(at, said)
    }


def off_by(connection: Connection, seconds: float) -> list[tuple[int, str]]:
    """Return id and time of the events whose time is off by more than this, by their order."""
    e = tables.events
    found = connection.execute(select(e.c.id, e.c.at).order_by(e.c.id)).all()
    times, present = [event.at for event in found], now()
    wrong = doubtful(times, present)
    right = [place for place in range(len(times)) if place not in set(wrong)]
    off = []
    for place in wrong:
        following = bisect_left(right, place)
        bound = times[right[following]] if following < len(right) else present
        apart = datetime.fromisoformat(times[place]) - datetime.fromisoformat(bound)
        if abs(apart.total_seconds()) > seconds:
            off.append((found[place].id, times[place]))
    return off


def _promotions(connection: Connection, use_case: str, present: str) -> list[tuple[str, str]]:
    """Of each promotion, in order, what its event says and since when it counts."""
    e = tables.events
    found = connection.execute(select(e.c.use_case, e.c.kind, e.c.at).order_by(e.c.id)).all()
    times = [event.at for event in found]
    wrong = set(doubtful(times, present))
    right = [place for place in range(len(times)) if place not in wrong]
    counts: list[tuple[str, str]] = []
    for place, event in enumerate(found):
        if event.kind == "promotion" and event.use_case == use_case:
            at = times[place]
            if place in wrong:
                following = bisect_left(right, place)
                at = times[right[following]] if following < len(right) else present
            # What is no doubt may still be a moment ahead of what came after it.
            at = max(min(at, present), counts[-1][1] if counts else "")
            counts.append((times[place], at))
    return counts
