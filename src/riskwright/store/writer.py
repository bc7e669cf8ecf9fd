"""The one writer: what it writes is whole or not there, and stays there when the power fails.

A file or folder is made under a temporary name beside its place, brought to the disk, and moved
into place in one step. Who makes it holds a lock on it, which a death opens: what nobody holds is a
leftover, and goes when the same place is written again, or its folder is swept.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from socket import gethostname
from typing import Any

from riskwright.errors import Unavailable
from riskwright.home import fit

PART = ".part"  # how every temporary name ends
_HOST = sha256(gethostname().encode()).hexdigest()[:8]  # locks needn't reach another host
_FULL = (errno.ENOSPC, errno.EDQUOT)
_held: dict[Path, int] = {}  # what this process is making, by handles that hold the locks


def write(target: Path, content: str | bytes) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    Unavailable
        If the disk is full or can't be written. Nothing is left behind.
    """
    with replacing(target) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(target: Path, plain: Any, **how: Any) -> None:
    """Write plain values as JSON, whole or not at all; ``how`` goes to ``json.dumps``.

    Raises
    ------
    Unavailable
        As ``write``.
    """
    write(target, json.dumps(plain, **{"indent": 1} | how))


@contextmanager
def replacing(target: Path, *, private: bool = False) -> Iterator[Path]:
    """Give an empty file beside ``target`` that takes its place if the block ends well.

    Parameters
    ----------
    private
        Its owner alone may read it, where the folder isn't shared; else the umask says who may.

    Raises
    ------
    Unavailable
        If the disk is full or can't be written. Nothing is left behind.
    """
    with temporary(target, private=private) as part:
        yield part
        place(part, target)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder beside ``target`` that takes its place if the block ends well.

    Raises
    ------
    Unavailable
        If the disk is full or can't be written, or ``target`` holds something by then. Nothing is
        left behind.
    """
    with temporary(target, folder=True) as part:
        yield part
        place(part, target)


@contextmanager
def temporary(target: Path, *, folder: bool = False, private: bool = False) -> Iterator[Path]:
    """Give an empty file or folder beside ``target``, that is gone after the block if it is there.

    Raises
    ------
    Unavailable
        If the disk is full or can't be written.
    """
    part = begin(target, folder=folder, private=private)
    try:
        yield part
    except OSError as error:
        if _of(error, part):
            raise trouble(error, target) from error
        raise
    finally:
        drop(part)


def _of(error: OSError, part: Path) -> bool:
    """Whether an error is about what is written, not about something else in the block."""
    if error.filename is not None:
        return Path(os.fsdecode(error.filename)).is_relative_to(part)
    other = isinstance(error, (ConnectionError, TimeoutError)) or error.errno is None
    return is_full(error) or not other


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Say plainly what the block couldn't write.

    Raises
    ------
    Unavailable
        If the disk is full or can't be written.
    """
    try:
        yield
    except OSError as error:
        raise trouble(error, target) from error


def trouble(error: OSError, target: Path) -> Unavailable:
    """Say plainly what a disk didn't take."""
    why = error.strerror or str(error)
    return Unavailable(
        "the disk is full" if is_full(error) else f"the file can't be written: {why}",
        where=str(target),
        expected="room and the right to write there",
        do="free some space, or write elsewhere (RISKWRIGHT_HOME moves the home); nothing was kept",
    )


def begin(target: Path, *, folder: bool = False, private: bool = False) -> Path:
    """Make an empty temporary file or folder beside ``target``; ``place`` or ``drop`` ends it.

    Leftovers of the same name are removed.

    Raises
    ------
    Unavailable
        If the disk is full or can't be written.
    """
    with writing(target):
        _make_folder(target.parent)
        with suppress(PermissionError):  # who may write there may not see what others left
            _remove_left(target.parent, f".{target.name}.")
        return _made(target, folder, private)


def _made(target: Path, folder: bool, private: bool) -> Path:
    while True:
        part = target.with_name(f".{target.name}.{_HOST}{secrets.token_hex(4)}{PART}")
        if folder:
            part.mkdir()
        else:
            mode = 0o600 if private else 0o666  # of which the umask takes its share
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
            _narrow(part, target)
        if private or _shared(part.parent):
            fit(part)
        if (handle := _take(part)) is not None:
            _held[part] = handle
            return part


def place(part: Path, target: Path) -> None:
    """Bring a finished file or folder to the disk, and move it where it belongs.

    Raises
    ------
    Unavailable
        If that fails, or a folder is there that isn't empty.
    """
    with writing(target):
        to_disk(part)
        os.replace(part, target)
    with suppress(OSError):  # it is there: a folder that can't be synced, or read, changes nothing
        _to_disk(target.parent)
    _release(part)


def drop(part: Path) -> None:
    """Remove a temporary file or folder, if it is still there."""
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)
    _release(part)


def sweep(folder: Path) -> None:
    """Remove what died processes left half-written in a folder of ours."""
    _remove_left(folder, ".")


def is_full(error: OSError) -> bool:
    """Whether a disk, or somebody's share of it, has no room left."""
    return error.errno in _FULL or "No space left" in str(error)


def to_disk(made: Path) -> None:
    """Bring a file, or all that is in a folder, to the disk; beside a group's, with its rights."""
    shared = _shared(made.parent)
    for path in [made, *made.rglob("*")] if made.is_dir() else [made]:
        if path.is_symlink():
            continue
        if shared:
            fit(path)  # libraries make files of their own
        _to_disk(path)


def _shared(folder: Path) -> bool:
    """Whether a folder hands its group down: then its mode counts, and no umask."""
    return bool(folder.stat().st_mode & stat.S_ISGID)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    if _shared(folder.parent):
        fit(folder)


def _take(path: Path) -> int | None:
    """Lock what was just made; None if somebody took it for a leftover and removed it."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with suppress(OSError):  # a disk without locks: then nothing is ever taken for a leftover
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        if os.path.samestat(path.stat(), os.fstat(handle)):
            return handle
    except FileNotFoundError:
        pass
    os.close(handle)
    return None


def _release(part: Path) -> None:
    handle = _held.pop(part, None)
    if handle is not None:
        os.close(handle)


def _narrow(part: Path, target: Path) -> None:
    """Let nobody read a file anew who might not read the one that it replaces."""
    if target.is_file() and not target.is_symlink():
        part.chmod(stat.S_IMODE(part.stat().st_mode) & stat.S_IMODE(target.stat().st_mode) | 0o600)


def _remove_left(folder: Path, start: str) -> None:
    """Remove what processes of this host left behind: of another's nobody sees whether it lives."""
    ours = re.compile(rf"{re.escape(start)}.*{_HOST}[0-9a-f]{{8}}\{PART}")
    for part in [path for path in folder.iterdir() if ours.fullmatch(path.name)]:
        try:
            handle = os.open(part, os.O_RDONLY)
        except OSError:  # gone meanwhile, or another user's
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            drop(part)
        except OSError:  # somebody is at work on it
            pass
        finally:
            os.close(handle)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL or not path.is_dir():  # some disks can't for folders
            raise
    finally:
        os.close(handle)
