"""Who acts: the account of the operating system or of the database, never what a client says."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Method = Literal["os-account", "postgresql-role", "file-owner", "program"]
UID_MAP = Path("/proc/self/uid_map")
PROC_SUPER_MAGIC = 0x9FA0  # <linux/magic.h>
FIRST_NAMESPACE = ["0", "0", "4294967295"]


@dataclass(frozen=True)
class Account:
    """Who acts, and how that is known.

    Parameters
    ----------
    name
        Of the account; ``uid:N`` where the system has no name for it.
    uid
        Its number on ``host``; None where the method knows none.
    method
        ``os-account`` (of this process), ``postgresql-role`` (the database's sign-in),
        ``file-owner`` (who wrote a file last), ``program`` (a program that calls the library
        says so: it answers for the name, and the record shows that it did).
    verified
        Whether the name stands for one person. Root's and a user namespace's doesn't.
    doubt
        Why it doesn't.
    """

    name: str
    uid: int | None
    host: str
    method: Method
    verified: bool = True
    doubt: str = ""

    def record(self) -> dict[str, Any]:
        """Return what an event keeps of it beside the name."""
        return {k: v for k, v in asdict(self).items() if k != "name" and v != ""}

    def same(self, other: Mapping[str, Any]) -> bool:
        """Whether another account (as a dictionary) may be the same person.

        By name without regard to case, or by number: one account of the system with two roles of
        the database, or two names of one number, are one person.
        """
        if self.name.casefold() == str(other["name"]).casefold():
            return True
        known = "program" not in (self.method, other["method"])
        return known and bool(self.uid) and (self.uid, self.host) == (other["uid"], other["host"])


def who() -> Account:
    """Return the account that runs this process, from the kernel, not from a variable.

    It is unverified as root (root can be anyone) and inside a user namespace, where anyone can
    call himself anything: there ``/proc/self/uid_map`` isn't the first namespace's. macOS has no
    such namespaces, so there only root is unverified.
    """
    uid, doubt = os.getuid(), ""
    if uid == 0:
        doubt = "root can be anyone"
    elif sys.platform == "linux":
        try:
            first = _on_procfs(UID_MAP) and UID_MAP.read_text().split() == FIRST_NAMESPACE
        except OSError:
            first = False
        if not first:
            doubt = "in a user namespace, or without /proc, anyone can have any number"
    return Account(name_of(uid), uid, socket.gethostname(), "os-account", not doubt, doubt)


def _on_procfs(path: Path) -> bool:
    """Whether a file is the kernel's own, and not one that was laid over /proc."""
    import ctypes

    found = ctypes.create_string_buffer(512)  # struct statfs; its first long is the type
    failed = ctypes.CDLL(None).statfs(os.fsencode(path), found)
    kind = ctypes.c_long.from_buffer(found).value
    return not failed and kind == PROC_SUPER_MAGIC


def person(actor: str | Account) -> Account:
    """Return an account; a bare name is one that the calling program answers for."""
    if isinstance(actor, Account):
        return actor
    return Account(actor, os.getuid(), socket.gethostname(), "program")


def name_of(uid: int) -> str:
    """Return the name of a number of this system."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"
