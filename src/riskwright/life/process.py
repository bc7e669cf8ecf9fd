"""Which process is at work: how it is named in a lease, and whether it is still there."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from riskwright.errors import Conflict
from riskwright.ledger import Ledger

# The namespace of processes that a Linux machine starts with (PROC_PID_INIT_INO).
INITIAL = "4026531836"
LEASE_SECONDS = 60


def owner() -> str:
    """Return who holds a lease: this host, this process, when it started, and where it is seen.

    The start tells a process from a later one with its number (in a container both are often 1).
    """
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}@{_view()}"


def _view() -> str:
    """Name the boot of this machine, the namespace of its process numbers, and the machine.

    Two containers, or two machines, may have one host name, and do have processes of one number.
    Empty where the system doesn't tell (macOS, which has no such namespaces).
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}.{Path('/proc/self/ns/pid').stat().st_ino}.{_machine()}"
    except OSError:
        return ""


def _machine() -> str:
    """Name this machine; empty where it has no number. systemd wants the number itself kept."""
    try:
        number = Path("/etc/machine-id").read_bytes().strip()
    except OSError:
        return ""
    return hashlib.sha256(b"riskwright" + number).hexdigest()[:12] if number else ""


def _started(pid: int) -> str:
    """Start of a process in ticks since boot; empty where the system doesn't tell (macOS)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


@contextmanager
def alone(ledger: Ledger, name: str) -> Iterator[threading.Event]:
    """Hold a lease while the block runs.

    Yields
    ------
    threading.Event
        Set when the lease was lost: the process slept too long and another took over.

    Raises
    ------
    Conflict
        If another live process holds it.
    """
    me = owner()
    holder = ledger.holder(name)
    if holder is not None and dead(holder):
        # Its process was killed: no need to wait for the expiry of what it held.
        ledger.release(name, holder)
        ledger.release(f"owner:{holder}", holder)
    try:
        with ledger.held(name, me, LEASE_SECONDS) as lost:
            yield lost
    except Conflict as error:
        if ledger.holder(name) in (None, me):
            raise
        raise Conflict(
            f"another process is at it: {name}",
            where=f"lease held by {ledger.holder(name)}",
            do=f"wait for it; a dead one's lease ends after {LEASE_SECONDS} seconds",
        ) from error


def dead(holder: str) -> bool:
    """Whether a lease's or run's owner is known to be gone: a process that would be seen here.

    What no container held, before this very machine was started again, is gone too. Of any other
    nobody knows before its lease ends: of another host or container, or written by a release that
    didn't say where it was seen.
    """
    host, pid, started = [*holder.rsplit(":", 2), "", ""][:3]
    started, _, view = started.partition("@")
    here = _view()
    if host != socket.gethostname() or not pid.isdigit() or bool(view) != bool(here):
        return False
    if not view and sys.platform == "linux":
        return False
    boot, space, machine = [*view.split("."), "", ""][:3]
    boot_now, space_now, machine_now = [*here.split("."), "", ""][:3]
    if machine and machine != machine_now:
        return False
    if boot != boot_now:
        return bool(machine) and space == space_now == INITIAL
    if space != space_now:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return started != _started(int(pid))
