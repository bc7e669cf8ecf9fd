"""Where rows come from: CSV, ARFF, Parquet and SQL, read in chunks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from riskwright.data.databases import one_select, reading, refuse_secrets, without_query
from riskwright.data.textfiles import FAULT, no_rows, opened, read_arff, read_csv
from riskwright.errors import InputRefused, NoRows, closest
from riskwright.usecase import Source

__all__ = ["FAULT", "format_of", "is_file", "local_file", "read_chunks"]

_EXTENSIONS = {".parquet": "parquet", ".pq": "parquet", ".arff": "arff"}


def format_of(source: Source, location: str) -> str:
    """Return ``csv``, ``parquet``, ``arff`` or ``sql``: as declared, else by the location."""
    if source.format is not None:
        return source.format
    if "://" in location and not _is_web(location):
        return "sql"
    name = Path(location.partition("?")[0]).name.lower()
    return _EXTENSIONS.get(Path(name.removesuffix(".gz").removesuffix(".zip")).suffix, "csv")


def is_file(source: Source, location: str) -> bool:
    """Whether the location is a file or a web address rather than a database."""
    return format_of(source, location) != "sql"


def _is_web(location: str) -> bool:
    return location.lower().startswith(("http://", "https://"))


@contextmanager
def local_file(location: str) -> Iterator[Path]:
    """Give the path of a file; a web address is downloaded and removed afterwards.

    Raises
    ------
    InputRefused
        If there is no such file (the closest name beside it is offered), or it is empty.
    Unavailable
        If a download fails.
    """
    if "://" in location:
        refuse_secrets(location)
    if _is_web(location):
        from riskwright.data.public import download

        with tempfile.TemporaryDirectory(prefix="riskwright-") as folder:
            name = Path(location.partition("?")[0]).name or "download"
            yield download(location, Path(folder) / name)
        return
    path = Path(location).expanduser()
    if not path.is_file():
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        folder_given = path.is_dir()
        raise InputRefused(
            "a folder was given, not a file" if folder_given else "the file doesn't exist",
            where=str(path),
            expected="a CSV, Parquet or ARFF file, a web address, or a SQLAlchemy URL",
            do="name one file in it"
            if folder_given
            else closest(path.name, beside) or "check the path",
        )
    if path.stat().st_size == 0:
        raise NoRows("the file is empty", where=str(path), expected="a header and data rows")
    yield path


def read_chunks(
    source: Source,
    location: str,
    *,
    columns: Sequence[str],
    rows: int = 100_000,
    target: str | None = None,
) -> Iterator[pd.DataFrame]:
    """Read raw rows in chunks.

    Parameters
    ----------
    source
        How the file is written: format, delimiter, header, encoding, missing cells, renames.
    location
        Path, web address, or SQLAlchemy URL of a database (then ``source.table`` is read).
    columns
        Names of the use case, in order: a headerless file takes its names from them.
    rows
        Rows a chunk.
    target
        A column that a headerless file may lack: cases to score have no outcome yet.

    Yields
    ------
    DataFrame
        Cells as text (CSV, ARFF, SQL) or in their own type (Parquet), missing ones NaN; the index
        ``row`` counts data rows from 0 over all chunks. A chunk with ragged rows has the extra
        column ``FAULT``.

    Raises
    ------
    InputRefused
        If the file or database is missing, empty, unreadable, or not what it claims to be.
    """
    chunks = _read(source, location, columns, rows, target)
    if source.dialect == "lending_club":
        from riskwright.data import lending_club

        chunks = lending_club.canonical_chunks(chunks)
    yield from chunks


def _read(
    source: Source, location: str, columns: Sequence[str], rows: int, target: str | None
) -> Iterator[pd.DataFrame]:
    kind = format_of(source, location)
    if "://" in location:
        refuse_secrets(location)
    if kind == "sql":
        yield from _read_sql(source, location, rows)
        return
    with local_file(location) as path:
        if kind == "parquet":
            yield from _read_parquet(path, source, columns, rows)
        elif kind == "arff":
            yield from read_arff(path, source, columns, rows)
        else:
            yield from read_csv(path, source, columns, rows, target)


def _read_parquet(
    path: Path, source: Source, columns: Sequence[str], rows: int
) -> Iterator[pd.DataFrame]:
    from pyarrow import parquet

    try:
        with opened(path) as stream:
            file = parquet.ParquetFile(stream)
            names = [source.rename.get(name, name) for name in file.schema_arrow.names]
            wanted = [
                position
                for position, field in enumerate(file.schema_arrow)
                if names[position] in columns or _plain(field.type) is not None
            ]
            types = {}
            for position in wanted:
                kind = _plain(file.schema_arrow.field(position).type)
                if kind is None:
                    raise InputRefused(
                        f"column {names[position]!r} holds "
                        f"{file.schema_arrow.field(position).type}, not plain values",
                        where=str(path),
                        expected="numbers, text, dates or true/false",
                    )
                types[position] = kind
            if file.metadata.num_rows == 0:
                raise no_rows(path)
            start = 0
            for batch in file.iter_batches(batch_size=rows):
                table = pa.table(
                    [batch.column(p).cast(types[p]) for p in wanted],
                    names=[names[p] for p in wanted],
                )
                # Nullable integers keep every digit of an id, and one type in all chunks.
                frame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
                frame.index = pd.RangeIndex(start, start + len(frame), name="row")
                start += len(frame)
                yield frame
    except (pa.ArrowException, OSError) as error:
        raise InputRefused(
            f"the file is not readable as Parquet: {str(error).splitlines()[0]}",
            where=str(path),
            expected="a whole Parquet file",
            do="check that it is the right file, or set source.format",
        ) from None


def _plain(kind: pa.DataType) -> pa.DataType | None:
    """Return the one type that all columns of this sort are read as; None if not plain."""
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_uint64(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pa.float64()
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return pa.timestamp("us", getattr(kind, "tz", None))  # the zone tells the local day
    return pa.string() if pa.types.is_null(kind) else None


def _read_sql(source: Source, location: str, rows: int) -> Iterator[pd.DataFrame]:
    """Stream a table or SELECT. Cells become text, so that a chunk's nulls can't change types."""
    import sqlalchemy as sa
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    try:
        url = sa.make_url(location)
    except (ArgumentError, ValueError):
        # The text is not repeated: it may hold a password.
        raise InputRefused(
            "the database URL can't be understood",
            where="location of the source",
            expected="such as sqlite:///folder/file.db or postgresql+psycopg2://user@host/base",
        ) from None
    shown = without_query(url.render_as_string(hide_password=True))
    if not source.table:
        raise InputRefused(
            "no table is named", where=shown, expected="source.table: a table or a SELECT"
        )
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise InputRefused(
            "the SQLite file doesn't exist", where=shown, do="check the path in the URL"
        )
    query = one_select(source.table)
    try:
        with reading(url) as connection:
            if query is None:
                quoted = connection.dialect.identifier_preparer.quote
                name = ".".join(quoted(part) for part in source.table.split("."))
                query = f"SELECT * FROM {name}"  # noqa: S608
            # Not as sa.text, which takes a colon in a text for a parameter.
            yield from _sql_chunks(connection.exec_driver_sql(query), source, rows, shown)
    except (SQLAlchemyError, NoSuchModuleError, ImportError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise InputRefused(
            f"the database can't be read: {reason}",
            where=f"{shown}, {source.table[:80]}",
            expected="a reachable database that holds the table; nothing is ever written to it",
            do="check the URL, the server, the rights, and source.table",
        ) from None


def _sql_chunks(result: Any, source: Source, rows: int, shown: str) -> Iterator[pd.DataFrame]:
    missing = set(source.missing)

    def text(value: object) -> str | None:
        if value is None or value is pd.NaT:
            return None
        cell = str(int(value)) if isinstance(value, bool) else str(value)
        return None if cell in missing else cell

    names = [source.rename.get(name, name) for name in tuple(result.keys())]
    blocks = iter(lambda: result.fetchmany(rows), [])
    first = next(blocks, None)
    if first is None:
        raise NoRows(
            "the table has no rows", where=shown, expected="at least one row", do="check the query"
        )
    start = 0
    for block in chain([first], blocks):
        index = pd.RangeIndex(start, start + len(block), name="row")
        yield pd.DataFrame(
            {
                name: pd.Series([text(v) for v in cells], dtype="str", index=index)
                for name, cells in zip(names, zip(*block, strict=True), strict=True)
            }
        )
        start += len(block)
