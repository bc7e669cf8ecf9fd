"""Snapshots: the hash follows the content, alteration is found, nothing is left half-written."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskwright.errors import InputRefused, IntegrityError
from riskwright.home import Home
from riskwright.store import snapshots, writer


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "number": [1.5, np.nan, -0.0],
            "code": pd.Series(["1", None, "x"], dtype="str"),
            "when": pd.to_datetime(["2020-01-01", None, "2021-01-01"]).astype("datetime64[us]"),
            "row": ["a", "b", "c"],
        },
        index=pd.Index([0, 2, 7], name="row"),
    )


def test_read_returns_what_was_written(home: Home, frame: pd.DataFrame) -> None:
    snapshot = snapshots.write(frame, home, kind="clean", parents=["p"], meta={"a": 1})
    assert snapshot.path == home.root / "snapshots" / "clean" / f"{snapshot.hash}.parquet"
    for back in (snapshots.read(snapshot, home), snapshots.read(snapshot.hash, home)):
        pd.testing.assert_frame_equal(back, frame, check_column_type=False)
    manifest = json.loads(snapshot.path.with_suffix(".json").read_text())
    assert manifest["rows"] == snapshot.rows == 3
    assert manifest["parents"] == ["p"]
    assert manifest["meta"] == {"a": 1}
    assert list(manifest["columns"]) == ["number", "code", "when", "row"]
    assert snapshots.find(snapshot.hash, home) == snapshot


def test_identical_input_gives_the_identical_hash(
    home: Home, tmp_path: Path, frame: pd.DataFrame
) -> None:
    first = snapshots.write(frame, home, kind="raw")
    again = snapshots.write(frame.copy(), home, kind="raw")
    elsewhere = snapshots.write(frame, Home(tmp_path / "other"), kind="raw")
    assert first.hash == again.hash == elsewhere.hash
    assert len(list(first.path.parent.iterdir())) == 2  # the file and its manifest
    changed = frame.assign(number=[1.5, np.nan, 0.1])
    assert snapshots.write(changed, home, kind="raw").hash != first.hash
    assert snapshots.write(frame[::-1], home, kind="raw").hash != first.hash


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, 399), max_size=6), group=st.sampled_from([7, 100, 1000]))
def test_chunks_make_no_difference(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], group: int
) -> None:
    home = Home(tmp_path_factory.mktemp("home"))
    rng = np.random.default_rng(0)
    whole = pd.DataFrame(
        {"a": rng.normal(size=400), "b": rng.choice(["x", "y", None], 400)},
        index=pd.RangeIndex(400, name="row"),
    ).astype({"b": "str"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "_GROUP", group)
        expected = snapshots.write(whole, home, kind="raw").hash
        with snapshots.Writer(home, kind="raw") as writer:
            for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), 400], strict=True):
                writer.add(whole[start:end])
    assert writer.snapshot.hash == expected
    assert writer.snapshot.rows == 400


def test_any_altered_byte_is_found(home: Home, frame: pd.DataFrame) -> None:
    snapshot = snapshots.write(frame, home, kind="clean")
    data = snapshot.path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(data), 50).tolist():
        snapshot.path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(IntegrityError, match="altered"):
            snapshots.read(snapshot, home)
    snapshot.path.write_bytes(data[:-1])
    with pytest.raises(IntegrityError, match="altered"):
        snapshots.verify(snapshot.path, snapshot.hash)
    snapshots.write(frame, home, kind="clean")  # writing it again heals it
    pd.testing.assert_frame_equal(snapshots.read(snapshot, home), frame, check_column_type=False)
    snapshot.path.unlink()
    with pytest.raises(IntegrityError, match="gone"):
        snapshots.read(snapshot.hash, home)


def test_chain_leads_back_to_the_raw_data(home: Home, frame: pd.DataFrame) -> None:
    raw = snapshots.write(frame, home, kind="raw")
    clean = snapshots.write(frame[:2], home, kind="clean", parents=[raw.hash])
    test = snapshots.write(frame[:1], home, kind="test", parents=[clean.hash, raw.hash])
    kinds = [m["kind"] for m in snapshots.chain(test.hash, home)]
    assert kinds == ["test", "clean", "raw"]
    with pytest.raises(InputRefused, match="there is no snapshot"):
        snapshots.chain("0" * 64, home)
    clean.path.with_suffix(".json").write_text("{}")
    with pytest.raises(IntegrityError, match="manifest"):
        snapshots.chain(test.hash, home)


def test_a_failure_leaves_nothing(home: Home, frame: pd.DataFrame) -> None:
    target = home.root / "file.txt"

    def fail_as_writer() -> None:
        with snapshots.Writer(home, kind="raw") as writer:
            writer.add(frame)
            raise RuntimeError("while reading")

    def fail_while_replacing() -> None:
        with writer.replacing(target) as part:
            part.write_text("half")
            raise RuntimeError("while writing")

    with pytest.raises(RuntimeError):
        fail_as_writer()
    assert list((home.root / "snapshots" / "raw").iterdir()) == []
    with pytest.raises(RuntimeError):
        fail_while_replacing()
    assert [p.name for p in home.root.iterdir()] == ["snapshots"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_disk_that_takes_no_more_leaves_nothing(tmp_path: Path) -> None:
    """A limit on file size stands for a full disk: the write fails half-way, for real."""
    script = """
        import resource, signal, sys
        from pathlib import Path
        import numpy as np, pandas as pd
        from riskwright.store import snapshots, writer
        from riskwright.errors import Unavailable
        from riskwright.home import Home

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=50_000)})
        home = Home(Path(sys.argv[1]))
        for attempt in (
            lambda: snapshots.write(frame, home, kind="raw"),
            lambda: write_text(home.root / "notes" / "file.txt"),
        ):
            def write_text(path):
                with writer.replacing(path) as part:
                    part.write_text("x" * 200_000)
            try:
                attempt()
            except Unavailable as error:
                print(error.what)
        print(sorted(str(p.relative_to(home.root)) for p in home.root.rglob("*") if p.is_file()))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "home")],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), "RISKWRIGHT_HOME": str(tmp_path)},
    )
    first, second, left = done.stdout.splitlines()
    assert "can't be written" in first or "full" in first
    assert "can't be written" in second or "full" in second
    assert left == "[]"
