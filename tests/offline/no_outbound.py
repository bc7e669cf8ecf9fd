"""Refuse every connection and name look-up that would leave this machine, and write it down.

Installed in the test process by ``tests/conftest.py`` and, through ``sitecustomize`` beside this
file on PYTHONPATH, in each Python process that a test starts. Needs the standard library alone.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from typing import Any

LOG = "RISKWRIGHT_TEST_OUTBOUND"  # the file that attempts are appended to


class OutboundRefused(OSError):
    """A test, or a library under test, tried to leave the machine."""


def stays(host: object) -> bool:
    """Tell whether a host is this machine."""
    if isinstance(host, bytes):
        host = host.decode()
    if host in {None, "", "localhost", socket.gethostname()}:
        return True
    try:
        address = ipaddress.ip_address(str(host).split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def refuse(what: str) -> None:
    """Write the attempt down and refuse it."""
    if path := os.environ.get(LOG):
        with open(path, "a", encoding="utf-8") as log:  # noqa: PTH123  (start-up stays light)
            log.write(f"{what} by {' '.join(sys.argv)[:120] or 'python -c'}\n")
    raise OutboundRefused(f"{what}: tests stay on this machine")


def install() -> None:
    """Put the guard in front of ``socket``."""
    if getattr(socket, "riskwright_guard", False):
        return
    socket.riskwright_guard = True  # type: ignore[attr-defined]
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not stays(host):
            refuse(f"look-up of {host}")
        return look_up(host, *args, **kwargs)

    def guarded(name: str) -> Any:
        original = getattr(socket.socket, name)

        def connect(self: socket.socket, address: Any) -> Any:
            if self.family in {socket.AF_INET, socket.AF_INET6} and not stays(address[0]):
                refuse(f"connection to {address[0]}:{address[1]}")
            return original(self, address)

        return connect

    socket.getaddrinfo = getaddrinfo
    socket.socket.connect = guarded("connect")  # type: ignore[method-assign]
    socket.socket.connect_ex = guarded("connect_ex")  # type: ignore[method-assign]
