"""What every flow needs: the home, the ledger, who acts, and how a step is resumed."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from riskwright.case.sections import Tuning
from riskwright.case.usecase import UseCase, load_usecase, read_usecase
from riskwright.data.databases import refuse_secrets
from riskwright.errors import Conflict, InputRefused, RiskwrightError, Unavailable
from riskwright.home import Home, make_database, quiet_environment
from riskwright.ledger import Ledger
from riskwright_flows.stop import at_once

# The namespace of processes that a Linux machine starts with (PROC_PID_INIT_INO).
INITIAL = "4026531836"
LEASE_SECONDS = 60


def prepare(*, create: bool = True) -> tuple[Home, Ledger]:
    """Return the home and its ledger, with the environment set for every library."""
    home = Home()
    quiet_environment(home)
    home = home.create() if create else home.existing()
    place = home.root / "prefect"
    if create and Path(os.environ["PREFECT_HOME"]) == place:
        make_database(home.folder("prefect") / "prefect.db")
    return home, Ledger.open(home, create=create)


def with_budget(name: str, home: Home, budget: str | None) -> UseCase:
    """Load a use case; a budget given on the command line turns tuning on within it."""
    return _within(load_usecase(name, home), budget)


def frozen(name: str, home: Home, budget: str | None = None) -> str:
    """Read a use case's file, this once, and keep what it says for all steps of a run.

    Returns
    -------
    The file of the frozen specification, which the steps read instead; one of those as it is.
    """
    from riskwright.life.specification import freeze, is_frozen

    if is_frozen(name):
        return name
    usecase, written = read_usecase(name, home)
    return str(freeze(_within(usecase, budget), written, name, home))


def specification(path: str) -> UseCase:
    """Return the use case that a run began with, from its frozen file."""
    from riskwright.life.specification import thaw_case

    return thaw_case(path, UseCase)


def check_budget(budget: str | None, tuning: Tuning | None = None) -> Tuning:
    """Return what a budget given on the command line makes of a use case's tuning.

    Raises
    ------
    InputRefused
        If it is no span of time.
    """
    tuning = tuning or Tuning()
    if budget is None:
        return tuning
    plain = {**tuning.model_dump(), "budget": budget, "trials": tuning.trials or 20}
    try:
        return Tuning.model_validate(plain)
    except ValueError:
        raise InputRefused(
            f"{budget!r} is not a budget of time", expected="a number and s, m or h, such as 10m"
        ) from None


def _within(usecase: UseCase, budget: str | None) -> UseCase:
    return usecase.model_copy(update={"tuning": check_budget(budget, usecase.tuning)})


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


def run(flow: Callable[..., Any], *arguments: Any) -> Any:
    """Run a flow from a command line; Prefect keeps its arguments, so none may be a secret.

    Without a server of its own there are no automations to hear a flow's heartbeat, whose sender
    keeps each flow waiting up to a second at its end.
    """
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    for argument in arguments:
        if isinstance(argument, str) and "://" in argument:
            refuse_secrets(argument)

    if os.environ.get("PREFECT_API_URL"):
        return flow(*arguments)
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}), at_once():
        return flow(*arguments)


def world_failed(task: Any, run: Any, state: Any) -> bool:
    """Prefect's retry condition: a server, disk or network failed; refused input never heals."""
    try:
        state.result()
    except Unavailable:
        return True
    except RiskwrightError:
        return False
    except Exception as error:  # noqa: BLE001  (whatever failed, the question is whether to retry)
        return isinstance(error, (ConnectionError, TimeoutError))
    return False


def resumed(
    task: Any, record: Path, ok: Callable[[dict[str, Any]], bool], **parameters: Any
) -> dict[str, Any]:
    """Return what a step recorded if its folder still is what it wrote, else run the step.

    The record is plain JSON (paths and hashes). Prefect's own result cache isn't used: its files
    name their deserialiser themselves, so that a tampered one runs code when it is read.
    """
    try:
        found: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        inside = Path(found.get("folder", record)).is_relative_to(record.parent)
        if inside and ok(found):  # else its home was moved: the step's own paths are of before
            return found
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there yet, or not whole: the step is done again
    text = json.dumps(task(**parameters))
    part = record.with_name(f"{record.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, record)
    result: dict[str, Any] = json.loads(text)  # what a resumed run would read, to the letter
    return result


def workplace(home: Home, usecase: str, key: str) -> Path:
    """Return the folder that holds a retrain's steps."""
    return home.folder("work", usecase, key[:16])
