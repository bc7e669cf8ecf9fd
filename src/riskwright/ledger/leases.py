"""Leases: who is at work, known to be alive because it says so again and again.

Leases are not decisions: taking, keeping and giving back one writes no event.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from riskwright.errors import Conflict, InputRefused, Unavailable
from riskwright.ledger import tables
from riskwright.ledger.records import Lease
from riskwright.ledger.store import Store
from riskwright.ledger.tables import now, stamp, text

# Who starts work without a lease of its own is taken for alive this long. The crash of one that
# does hold a lease is seen when that lease ends.
GRACE_SECONDS = 120.0


class Leases(Store):
    """The part of the ledger about leases."""

    def acquire(self, name: str, owner: str, ttl_seconds: float) -> bool:
        """Take a lease that is free, expired, or one's own; False if another holds it."""
        name, owner = text("lease", name), text("owner", owner)
        if ttl_seconds <= 0:
            raise InputRefused("a lease lasts longer than nothing", expected="ttl_seconds > 0")
        t = tables.leases
        with self._write() as connection:
            held = connection.execute(select(t).where(t.c.name == name)).one_or_none()
            if held is not None and held.owner != owner and held.expires > now():
                return False
            put_lease(connection, name, owner, ttl_seconds)
            return True

    def renew(self, name: str, owner: str, ttl_seconds: float) -> bool:
        """Keep a lease; False if it is no longer the owner's."""
        t = tables.leases
        mine = (t.c.name == name, t.c.owner == owner)
        with self._write() as connection:
            changed = connection.execute(
                update(t).where(*mine).values(expires=_after(ttl_seconds))
            ).rowcount
            return changed == 1

    def release(self, name: str, owner: str) -> None:
        """Give a lease back; nothing happens if it is another's by now."""
        t = tables.leases
        with self._write() as connection:
            connection.execute(delete(t).where(t.c.name == name, t.c.owner == owner))

    def holder(self, name: str) -> str | None:
        """Return who holds a lease, None if nobody does or it has expired."""
        t = tables.leases
        with self._read() as connection:
            query = select(t.c.owner).where(t.c.name == name, t.c.expires > now())
            return connection.execute(query).scalar_one_or_none()

    def leases(self, prefix: str = "") -> list[Lease]:
        """Return the leases whose names begin so, those that ended without a word among them."""
        t = tables.leases
        query = select(t).where(t.c.name.startswith(prefix, autoescape=True)).order_by(t.c.name)
        with self._read() as connection:
            return [
                Lease(name=row.name, owner=row.owner, live=row.expires > now())
                for row in connection.execute(query)
            ]

    @contextmanager
    def held(self, name: str, owner: str, ttl_seconds: float) -> Iterator[threading.Event]:
        """Hold a lease while the block runs; a thread renews it each third of its time.

        Yields
        ------
        threading.Event
            Set when the lease was lost, which happens when the process slept longer than its
            time and another took over.

        Raises
        ------
        Conflict
            If another holds it.
        """
        if not self.acquire(name, owner, ttl_seconds):
            raise Conflict(
                f"{name} is held by another process",
                where=f"held by {self.holder(name)}",
                do=f"wait until it ends; a dead one's lease ends after {ttl_seconds:g} s",
            )
        lost, done = threading.Event(), threading.Event()

        def keep() -> None:
            while not done.wait(ttl_seconds / 3):
                with suppress(Unavailable):  # the next turn tries again
                    if not self.renew(name, owner, ttl_seconds):
                        lost.set()
                        return

        thread = threading.Thread(target=keep, name=f"lease {name}", daemon=True)
        thread.start()
        try:
            yield lost
        finally:
            done.set()
            thread.join()
            with suppress(Unavailable):  # it expires by itself
                self.release(name, owner)


def put_lease(connection: Connection, name: str, owner: str, ttl_seconds: float) -> None:
    """Write a lease inside a write transaction, whoever had it."""
    t = tables.leases
    connection.execute(delete(t).where(t.c.name == name))
    connection.execute(insert(t).values(name=name, owner=owner, expires=_after(ttl_seconds)))


def alive(connection: Connection, owner: str | None, at: str) -> bool:
    """Whether an owner holds any lease at a moment."""
    t = tables.leases
    query = select(t.c.name).where(t.c.owner == owner, t.c.expires > at).limit(1)
    return connection.execute(query).one_or_none() is not None


def assure(connection: Connection, owner: str) -> None:
    """Give an owner that holds no lease one for the grace period."""
    if not alive(connection, owner, now()):
        put_lease(connection, f"owner:{owner}", owner, GRACE_SECONDS)


def _after(seconds: float) -> str:
    return stamp(datetime.now(UTC) + timedelta(seconds=seconds))
