"""Files and folders whole or not at all: failures, deaths, full disks, and who may read them."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from needed import lacking

from riskwright.errors import Unavailable
from riskwright.life.workplace import new_part, publish
from riskwright.store import writer


def put(target: Path, content: str) -> None:
    """A file, by the block form."""
    with writer.replacing(target) as part:
        part.write_text(content)


def put_folder(target: Path, content: str) -> None:
    with writer.new_folder(target) as part:
        (part / "inner").mkdir()
        (part / "inner" / "file").write_text(content)


def put_step(target: Path, content: str) -> None:
    part = new_part(target)
    (part / "file").write_text(content)
    publish(part, target)


FORMS: list[Callable[[Path, str], None]] = [
    writer.write, writer.write_json, put, put_folder, put_step,
]  # fmt: skip


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_content_is_what_was_written(tmp_path: Path) -> None:
    writer.write(tmp_path / "new" / "a", "é")
    writer.write(tmp_path / "new" / "a", b"\x00")
    assert (tmp_path / "new" / "a").read_bytes() == b"\x00"
    writer.write_json(tmp_path / "b", {"x": [1]})
    assert (tmp_path / "b").read_text() == '{\n "x": [\n  1\n ]\n}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        writer.write_json(tmp_path / "b", float("nan"), allow_nan=False)
    assert names(tmp_path) == ["b", "new"]


@pytest.mark.parametrize("form", FORMS)
def test_bytes_are_on_the_disk_before_the_move_and_the_name_after(
    form: Callable[[Path, str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        told.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    def moved(part: Path, target: Path) -> None:
        told.append("move")
        replace(part, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", moved)
    form(tmp_path / "made", "text")
    at = told.index("move")
    assert all(Path(name).is_relative_to(tmp_path) for name in told[:at])
    made = [tmp_path / "made", *(tmp_path / "made").rglob("*")]
    assert len(set(told[:at])) == len(made)  # each file and folder of it
    assert told[at + 1 :] == [str(tmp_path)]


@pytest.mark.parametrize("block", [writer.replacing, writer.new_folder, writer.temporary])
def test_a_failure_changes_nothing(block: object, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    with pytest.raises(RuntimeError, match="half"), block(tmp_path / "old"):  # type: ignore[operator]
        raise RuntimeError("half")
    assert names(tmp_path) == ["old"]
    assert (tmp_path / "old").read_text() == "old"


def test_a_folder_that_holds_something_is_never_replaced(tmp_path: Path) -> None:
    def replace() -> None:
        with writer.new_folder(tmp_path / "mine") as part:
            (part / "file").write_text("new")
            (tmp_path / "mine").mkdir()
            (tmp_path / "mine" / "file").write_text("somebody's")

    with pytest.raises(Unavailable, match="can't be written"):
        replace()
    assert (tmp_path / "mine" / "file").read_text() == "somebody's"
    assert names(tmp_path) == ["mine"]


def test_a_step_that_is_tried_again_starts_empty(tmp_path: Path) -> None:
    (new_part(tmp_path / "step") / "half").write_text("of a try that failed")
    part = new_part(tmp_path / "step")
    assert list(part.iterdir()) == []
    assert len(names(tmp_path)) == 1
    publish(part, tmp_path / "step")
    assert names(tmp_path) == ["step"]


def python(program: str, *arguments: str | Path) -> list[str]:
    head = "import os, signal, sys\nfrom pathlib import Path\nfrom riskwright.store import writer\n"
    return [sys.executable, "-c", head + textwrap.dedent(program), *map(str, arguments)]


DIES = """
    target, folder = Path(sys.argv[1]), sys.argv[2] == "folder"
    os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    with (writer.new_folder if folder else writer.replacing)(target) as part:
        (part / "file" if folder else part).write_text("new")
"""
LIVES = """
    with writer.replacing(Path(sys.argv[1])) as part:
        part.write_text("by the other")
        print("there", flush=True)
        sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("remedy", ["written again", "swept"])
def test_a_process_killed_before_the_move_leaves_what_was_there(
    kind: str, remedy: str, tmp_path: Path
) -> None:
    target = tmp_path / "made [1].json"
    if kind == "file":
        target.write_text("old")
    killed = subprocess.run(python(DIES, target, kind), capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (left,) = set(tmp_path.iterdir()) - {target}
    assert left.suffix == writer.PART
    assert not target.exists() if kind == "folder" else target.read_text() == "old"
    beside = tmp_path / f".another.{writer._HOST}{'0' * 8}.part"
    beside.write_text("of another name, by whoever")
    if remedy == "swept":
        writer.sweep(tmp_path)
        assert set(tmp_path.iterdir()) == ({target} if kind == "file" else set())
        return
    put(target, "again") if kind == "file" else put_folder(target, "again")
    assert set(tmp_path.iterdir()) == {target, beside}


def test_what_a_living_process_writes_is_no_leftover(tmp_path: Path) -> None:
    target = tmp_path / "scores.csv"
    with subprocess.Popen(
        python(LIVES, target), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "there\n"
        with writer.temporary(target) as mine:
            writer.sweep(tmp_path)
            put(target, "by me")
            assert mine.exists()
        assert len(names(tmp_path)) == 2
        other.stdin.close()
    assert target.read_text() == "by the other"
    assert names(tmp_path) == ["scores.csv"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 64 KiB, where this user may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        lacking("users", "this user may not mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("form", FORMS)
def test_a_full_disk_is_told_and_keeps_what_was_there(
    form: Callable[[Path, str], None], small_disk: Path
) -> None:
    file = form not in (put_folder, put_step)
    if file:
        (small_disk / "kept").write_text("old")
    with pytest.raises((Unavailable, OSError)) as refused:
        form(small_disk / "kept", "x" * 200_000)
    if form is not put_step:  # what a step writes itself is told by the command line
        assert isinstance(refused.value, Unavailable)
        assert refused.value.what == "the disk is full"
        assert names(small_disk) == ["kept"] * file
    form(small_disk / "kept", "small")
    assert names(small_disk) == ["kept"]


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (OSError("[Errno 28] No space left on device"), True),  # as Arrow says it
        (PermissionError(errno.EACCES, "Permission denied"), False),
        (OSError(errno.EROFS, "Read-only file system"), False),
    ],
)
def test_what_befell_the_disk_is_told(error: OSError, full: bool, tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as told, writer.writing(tmp_path):
        raise error
    assert ("disk is full" in told.value.what) is full
    assert full or str(error.strerror) in told.value.what


@pytest.mark.parametrize("umask", [0o077, 0o002, 0o022])
@pytest.mark.parametrize("form", FORMS)
def test_in_a_folder_of_a_group_all_may_read_and_write(
    form: Callable[[Path, str], None], umask: int, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with suppress(PermissionError):
        os.chown(home, -1, 12345)  # a group that isn't ours, where we may
    home.chmod(0o2770)
    before = os.umask(umask)
    try:
        form(home / "new" / "made", "text")
        with writer.replacing(home / "new" / "data", private=True) as part:
            part.write_text("rows")
    finally:
        os.umask(before)
    found = list(home.rglob("*"))
    assert len(found) >= 3
    for path in found:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o2770 if path.is_dir() else 0o660), (path, oct(mode))
        assert path.stat().st_gid == home.stat().st_gid


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_elsewhere_the_umask_says_who_may_read(umask: int, mode: int, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    before = os.umask(umask)
    try:
        put(tmp_path / "file", "text")
        put_folder(tmp_path / "folder", "text")
        with writer.replacing(tmp_path / "rows", private=True) as part:
            part.write_text("rows")
    finally:
        os.umask(before)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.rglob("*")}
    above = 0o777 & ~umask
    inner = modes.pop("file")  # the last of the two of this name
    assert modes == {"folder": above, "inner": above, "rows": 0o600}
    assert inner == mode


def test_what_goes_wrong_beside_the_file_is_told_as_it_is(tmp_path: Path) -> None:
    """A server that is away, and a missing input, are no trouble of the output's disk."""
    import requests

    def away() -> None:
        raise requests.ConnectionError("refused")

    for wrong in (away, (tmp_path / "input").read_bytes):
        with pytest.raises(OSError) as told, writer.replacing(tmp_path / "out"):  # noqa: PT011
            wrong()
        assert not isinstance(told.value, Unavailable)
        assert names(tmp_path) == []


def test_a_folder_that_cannot_be_synced_has_the_file_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EOPNOTSUPP, "not here")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    writer.write(tmp_path / "a", "there")
    assert names(tmp_path) == ["a"]


def test_what_another_host_left_is_its_own(tmp_path: Path) -> None:
    theirs, mine = (tmp_path / f".a.{host}{'0' * 8}.part" for host in ("f" * 8, writer._HOST))
    theirs.touch()
    mine.touch()
    writer.write(tmp_path / "a", "new")
    assert names(tmp_path) == [theirs.name, "a"]
    writer.sweep(tmp_path)
    assert theirs.exists()


def test_a_file_stays_as_private_as_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.touch()
    path.chmod(0o640)
    writer.write(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
