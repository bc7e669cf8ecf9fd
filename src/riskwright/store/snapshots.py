"""Snapshots: immutable Parquet files named by the SHA-256 of their bytes, chained by manifests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
from pyarrow import parquet

from riskwright.errors import InputRefused, IntegrityError, Unavailable
from riskwright.home import Home
from riskwright.store import writer
from riskwright.version import __version__

if TYPE_CHECKING:
    import pandas as pd

_ROW = "__row__"  # the index 'row' as a stored column, apart from a column called 'row'
_GROUP = 100_000  # rows of a row group: fixed, since the bytes depend on it


@dataclass(frozen=True)
class Snapshot:
    """An immutable table.

    ``hash`` is the SHA-256 of the Parquet file at ``path``; ``kind`` is ``raw``, ``clean``,
    ``train``, ``test`` and so on; ``parents`` are the hashes it was made from.
    """

    hash: str
    path: Path
    rows: int
    kind: str
    parents: tuple[str, ...] = ()


class Writer:
    """Writes a snapshot chunk by chunk; ``snapshot`` is set when the block ends well.

    The same rows give the same hash, however they are cut into chunks.

    Parameters
    ----------
    home, kind, parents, meta
        As for ``write``.
    """

    snapshot: Snapshot

    def __init__(
        self,
        home: Home,
        *,
        kind: str,
        parents: Sequence[str] = (),
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        self.kind, self.parents, self.meta = kind, tuple(parents), dict(meta or {})
        self._folder = home.create().root / "snapshots" / kind
        self._rows = 0
        self._waiting: list[pa.Table] = []
        self._file: parquet.ParquetWriter | None = None

    def __enter__(self) -> Self:
        self._part = writer.begin(self._folder / "snapshot", private=True)
        return self

    def add(self, frame: pd.DataFrame) -> None:
        """Append rows; every chunk has the columns of the first."""
        if frame.index.name == "row":
            frame = frame.reset_index(names=_ROW) if _ROW not in frame else frame
        schema = self._waiting[0].schema if self._waiting else None
        if self._file is not None:
            schema = self._file.schema
        table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
        self._waiting.append(table.replace_schema_metadata(None))
        self._rows += len(frame)
        self._flush(_GROUP)

    def _flush(self, least: int) -> None:
        """Write whole row groups, so that the bytes don't depend on the chunks."""
        while self._waiting and sum(t.num_rows for t in self._waiting) >= least:
            table = pa.concat_tables(self._waiting)
            with writer.writing(self._folder):
                if self._file is None:
                    self._file = parquet.ParquetWriter(
                        self._part, table.schema, compression="zstd", store_schema=False
                    )
                # Combined, since chunk borders would show in the pages.
                self._file.write_table(table.slice(0, _GROUP).combine_chunks())
            rest = table.slice(_GROUP)
            self._waiting = [rest] if rest.num_rows else []

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            try:
                self._close()
            finally:
                writer.drop(self._part)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with writer.writing(self._folder):
                file.close()

    def _finish(self) -> None:
        if not self._waiting and self._file is None:
            raise InputRefused("a snapshot needs columns", expected="at least one chunk")
        self._flush(0)
        schema = self._file.schema if self._file is not None else pa.schema([])
        self._close()
        digest = _digest(self._part)
        path = self._folder / f"{digest}.parquet"
        manifest = {
            "hash": digest,
            "kind": self.kind,
            "rows": self._rows,
            "columns": {f.name: str(f.type) for f in schema if f.name != _ROW},
            "parents": list(self.parents),
            "meta": self.meta,
            "riskwright": __version__,
        }
        writer.place(self._part, path)  # the same bytes, should it be there already
        record = path.with_suffix(".json")
        if not record.is_file():
            writer.write_json(record, manifest, indent=2)
        self.snapshot = Snapshot(digest, path, self._rows, self.kind, self.parents)


def write(
    frame: pd.DataFrame,
    home: Home,
    *,
    kind: str,
    parents: Sequence[str] = (),
    meta: Mapping[str, Any] | None = None,
) -> Snapshot:
    """Store a table; an identical one is stored once and gives the identical hash.

    Parameters
    ----------
    frame
        Any number of rows; the index is kept if its name is ``row``, else dropped.
    home
        Where to store it: ``snapshots/<kind>/<hash>.parquet`` with a manifest ``<hash>.json``.
    kind
        What the table is, in one word.
    parents
        Hashes of the snapshots that it was made from.
    meta
        Anything JSON can hold that tells how it was made.

    Raises
    ------
    Unavailable
        If the disk is full. Nothing is left behind.
    """
    with Writer(home, kind=kind, parents=parents, meta=meta) as rows:
        rows.add(frame)
    return rows.snapshot


def verify(path: Path, digest: str) -> None:
    """Raise ``IntegrityError`` unless the file's SHA-256 is ``digest``."""
    found = _digest(path)
    if found != digest:
        raise IntegrityError(
            f"the snapshot was altered after it was written: its SHA-256 is {found}",
            where=str(path),
            expected=f"SHA-256 {digest}",
            do="restore the file from a backup, or delete it and its manifest and ingest again",
        )


def find(digest: str, home: Home) -> Snapshot:
    """Return a stored snapshot by its hash (the file itself is not verified yet).

    Raises
    ------
    IntegrityError
        If its manifest can't be read.
    InputRefused
        If there is none.
    """
    for folder in sorted((home.root / "snapshots").glob("*")):
        record = folder / f"{digest}.json"
        if not digest.isalnum() or not record.is_file():
            continue
        plain = _manifest(record)
        return Snapshot(
            plain["hash"],
            record.with_suffix(".parquet"),
            plain["rows"],
            plain["kind"],
            tuple(plain["parents"]),
        )
    raise InputRefused(
        f"there is no snapshot {digest[:12]}…",
        where=str(home.root / "snapshots"),
        do="ingest the data again",
    )


def read(snapshot: Snapshot | str, home: Home) -> pd.DataFrame:
    """Read a snapshot after checking its hash.

    Raises
    ------
    IntegrityError
        If the file is gone, or a byte of it changed.
    """
    found = find(snapshot, home) if isinstance(snapshot, str) else snapshot
    if not found.path.is_file():
        raise IntegrityError(
            "the snapshot's file is gone",
            where=str(found.path),
            do="restore it from a backup, or ingest the data again",
        )
    verify(found.path, found.hash)
    table = parquet.read_table(found.path, partitioning=None)
    frame: pd.DataFrame = table.to_pandas()
    if _ROW in frame:
        frame = frame.set_index(_ROW)
        frame.index.name = "row"
    return frame


def made_from(digest: str, home: Home) -> dict[str, Any]:
    """Return what a snapshot's manifest says of how it was made (``meta``).

    Raises
    ------
    InputRefused, IntegrityError
        If it is missing or unreadable.
    """
    return dict(_manifest(find(digest, home).path.with_suffix(".json")).get("meta") or {})


def chain(digest: str, home: Home) -> list[dict[str, Any]]:
    """Return the manifests from a snapshot back to the raw data, nearest first.

    Raises
    ------
    InputRefused, IntegrityError
        If one of them is missing or unreadable.
    """
    manifests: dict[str, dict[str, Any]] = {}
    waiting = [digest]
    while waiting:
        current = waiting.pop(0)
        if current in manifests:
            continue
        manifests[current] = _manifest(find(current, home).path.with_suffix(".json"))
        waiting += manifests[current]["parents"]
    return list(manifests.values())


def _manifest(record: Path) -> dict[str, Any]:
    try:
        plain = json.loads(record.read_text(encoding="utf-8"))
        if plain["hash"] != record.stem or not isinstance(plain["parents"], list):
            raise ValueError("it describes another snapshot")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"the snapshot's manifest can't be read: {error}",
            where=str(record),
            do="delete it and ingest the data again",
        ) from None
    return dict(plain)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Unavailable(f"the file can't be read: {error.strerror}", where=str(path)) from error
