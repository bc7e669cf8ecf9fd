"""Where rows come from: CSV, ARFF, Parquet and SQL, read in chunks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_plus

import numpy as np
import pandas as pd
import pyarrow as pa

from riskwright.case.plugins import Plugin, plugin, plugins, said, source_of
from riskwright.case.select import one_select
from riskwright.case.usecase import Column, Source, code
from riskwright.data.arff import read_arff
from riskwright.data.databases import (
    outage,
    reading,
    refuse_secrets,
    unreachable,
    without_query,
)
from riskwright.data.parsing import without
from riskwright.data.textfiles import FAULT, names_of, no_rows, opened, read_csv
from riskwright.errors import InputRefused, NoRows, RiskwrightError, Unavailable, closest

__all__ = ["FAULT", "FRAME", "format_of", "is_file", "local_file", "read_chunks"]

NOT_PLAIN = (bytes, bytearray, memoryview, list, tuple, dict)  # as a database may give them
FRAME = ".frame.parquet"  # how the name of a file ends that was written from a frame
_EXTENSIONS = {".parquet": "parquet", ".pq": "parquet", ".arff": "arff"}


def format_of(source: Source, location: str) -> str:
    """Return ``csv``, ``parquet``, ``arff`` or ``sql``: as declared, else by the location.

    What is declared is about the use case's own files; a notebook's frame is Parquet in any case.
    """
    if location.endswith(FRAME):
        return "parquet"
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
    columns: Sequence[str] | Mapping[str, Column],
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
        Columns of the use case, in order: a headerless file takes its names from them. What one
        declares as a code is no missing cell, although ``source.missing`` lists it.
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
    if isinstance(columns, Mapping):
        declared = [c for column in columns.values() for c in (*column.values, *column.sentinels)]
        kept = without(source.missing, map(code, declared))
        source = source.model_copy(update={"missing": kept})
    chunks = _read(source, location, list(columns), rows, target)
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
    if (reader := _reader(location)) is not None:
        yield from _read_plugged(reader, source, location, columns, rows)
        return
    if kind == "sql":
        yield from _read_sql(source, location, columns, rows)
        return
    with local_file(location) as path:
        if kind == "parquet":
            yield from _read_parquet(path, source, columns, rows)
        elif kind == "arff":
            yield from read_arff(path, source, columns, rows)
        else:
            yield from read_csv(path, source, columns, rows, target)


def _reader(location: str) -> Plugin | None:
    """Return the plug-in that reads addresses of a location's scheme, if one is installed."""
    for group, scheme in source_of(location):  # entry points are searched everywhere: last
        if scheme in plugins(group):
            return plugin(group, scheme, f"{scheme}://")
    return None


def _read_plugged(
    reader: Plugin, source: Source, location: str, columns: Sequence[str], rows: int
) -> Iterator[pd.DataFrame]:
    """Stream what another package reads. Cells become text, as those of a database do."""
    shown = without_query(location)
    start = 0
    try:
        for given in reader.load()(location, rows):
            if not isinstance(given, pd.DataFrame):
                raise reader.broken(f"gave a {type(given).__name__}, not a DataFrame")
            for name, column in given.items():
                if column.dtype == object and column.map(lambda v: isinstance(v, NOT_PLAIN)).any():
                    raise reader.broken(f"gave what is no plain value in column {name!r}")
            names = names_of([str(name) for name in given.columns], source, columns, shown)
            frame = given.set_axis(names, axis=1).astype("str")  # what is missing stays so
            frame.index = pd.RangeIndex(start, start + len(frame), name="row")
            start += len(frame)
            yield frame.mask(frame.isin(list(source.missing)))
    except RiskwrightError:
        raise
    except OSError as error:
        told = _without_address(said(error), location)
        raise Unavailable(f"{reader} can't read: {told}", where=shown) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - its author wrote all that is in there
        raise reader.broken(f"failed: {_without_address(said(error), location)}") from None
    if not start:
        raise NoRows("there are no rows", where=shown, expected="at least one row")


def _without_address(text: str, location: str) -> str:
    """Return what an error says, the address in it as it may be shown."""
    text = text.replace(location, without_query(location))
    query = location.partition("?")[2]
    for hidden in filter(None, (query, unquote(query), unquote_plus(query))):
        text = text.replace(hidden, "…")
    return text


def _read_parquet(
    path: Path, source: Source, columns: Sequence[str], rows: int
) -> Iterator[pd.DataFrame]:
    from pyarrow import parquet

    try:
        with opened(path) as stream:
            file = parquet.ParquetFile(stream)
            names = names_of(file.schema_arrow.names, source, columns, str(path))
            types = {}
            for position, field in enumerate(file.schema_arrow):
                kind = _plain(field.type)
                if kind is not None:
                    types[position] = kind
                elif names[position] in columns:
                    raise InputRefused(
                        f"column {names[position]!r} holds {field.type}, not plain values",
                        where=str(path),
                        expected="numbers, text, dates or true/false",
                    )
            if file.metadata.num_rows == 0:
                raise no_rows(path)
            start = 0
            for batch in file.iter_batches(batch_size=rows):
                table = pa.table(
                    [_cast(batch.column(p), kind) for p, kind in types.items()],
                    names=[names[p] for p in types],
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
    if pa.types.is_string_view(kind) or pa.types.is_decimal(kind):
        return pa.string()  # every digit of a decimal: an id may have more than a float holds
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return pa.timestamp("us", _zone(kind))  # the zone tells the local day
    return pa.string() if pa.types.is_null(kind) else None


def _zone(kind: pa.DataType) -> str | None:
    """Return the zone of a column of times; None if it has none, or none that is known."""
    zone: str | None = getattr(kind, "tz", None)
    if zone is not None:
        try:
            pd.DatetimeTZDtype(tz=zone)
        except (TypeError, ValueError, KeyError):
            return None
    return zone


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Bring a column to its plain type; times as they were written, cut to the microsecond."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(kind, safe=not pa.types.is_timestamp(kind))


def _read_sql(
    source: Source, location: str, columns: Sequence[str], rows: int
) -> Iterator[pd.DataFrame]:
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
            "the SQLite file doesn't exist",
            where=f"{shown}: {Path(url.database or '').absolute()}",
            do="check the path in the URL; sqlite:////four/slashes name it from the root, which a "
            "deployed run needs: it starts in an empty folder",
        )
    query = one_select(source.table)
    try:
        with reading(url) as connection:
            if query is None:
                quoted = connection.dialect.identifier_preparer.quote
                name = ".".join(quoted(part) for part in source.table.split("."))
                query = f"SELECT * FROM {name}"  # noqa: S608
            # Not as sa.text, which takes a colon in a text for a parameter.
            result = connection.exec_driver_sql(query)
            yield from _sql_chunks(result, source, columns, rows, shown)
    except (SQLAlchemyError, NoSuchModuleError, ImportError) as error:
        if outage(error):
            raise unreachable(error, url) from None
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise InputRefused(
            f"the database can't be read: {reason}",
            where=f"{shown}, {source.table[:80]}",
            expected="a reachable database that holds the table; nothing is ever written to it",
            do="check the URL, the server, the rights, and source.table",
        ) from None


def _sql_chunks(
    result: Any, source: Source, columns: Sequence[str], rows: int, shown: str
) -> Iterator[pd.DataFrame]:
    missing = set(source.missing)

    def text(value: object) -> str | None:
        if value is None or value is pd.NaT:
            return None
        if isinstance(value, bool) or (isinstance(value, float) and 1e16 <= abs(value) < np.inf):
            value = int(value)  # with all its digits, as an id has them
        cell = f"{value:f}" if isinstance(value, Decimal) else str(value)
        return None if cell in missing else cell

    def read(
        name: str, cells: Sequence[object], index: pd.RangeIndex, faults: dict[int, str]
    ) -> pd.Series:
        """Read cells (n,); in ``faults`` (row of the table: words) which rows hold no plain one."""
        strange = {i: v for i, v in enumerate(cells) if isinstance(v, NOT_PLAIN)}
        if strange and name in columns:
            kind = type(next(iter(strange.values()))).__name__
            # Of a late chunk rows alone are refused: what came before may be written already.
            if not index.start and all(i in strange for i, v in enumerate(cells) if v is not None):
                raise InputRefused(
                    f"column {name!r} holds {kind}, not plain values",
                    where=shown,
                    expected="numbers, text, dates or true/false",
                    do="leave the column out, or convert it in a SELECT",
                )
            for i in strange:
                faults.setdefault(index[i], f"{name}: {kind}, not a plain value")
        plain = [None if i in strange else text(v) for i, v in enumerate(cells)]
        return pd.Series(plain, dtype="str", index=index)

    names = names_of(tuple(result.keys()), source, columns, shown)
    blocks = iter(lambda: result.fetchmany(rows), [])
    first = next(blocks, None)
    if first is None:
        raise NoRows(
            "the table has no rows", where=shown, expected="at least one row", do="check the query"
        )
    start = 0
    for block in chain([first], blocks):
        index = pd.RangeIndex(start, start + len(block), name="row")
        faults: dict[int, str] = {}
        frame = pd.DataFrame(
            {
                name: read(name, cells, index, faults)
                for name, cells in zip(names, zip(*block, strict=True), strict=True)
            }
        )
        if faults:
            frame[FAULT] = pd.Series(faults, dtype="str").reindex(index)
        yield frame
        start += len(block)
