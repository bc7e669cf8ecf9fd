"""CSV: text files to chunks of text cells.

Arrow reads a well-formed CSV; at the first trouble Python's own ``csv`` reader takes over from
the same row, slower, but it can say which row is at fault.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, cast

import pandas as pd
import pyarrow as pa

from riskwright.case.usecase import Source
from riskwright.data.quotes import more_lines_than_rows, refuse_swallowed
from riskwright.errors import InputRefused, NoRows

FAULT = "__fault__"  # extra column of a chunk with ragged rows: what is wrong, else missing

HEAD = 1 << 20  # bytes looked at before reading: must hold the header line
_BLOCK = 8 << 20  # Arrow's block; a longer row goes to the slow path
_DELIMITERS = ",;\t| "
_MAGIC = {
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "a gzip file",
    b"\xff\xfe": "text in utf-16",
    b"\xfe\xff": "text in utf-16",
    b"SQLite format 3": "an SQLite database",
}


def no_rows(path: Path) -> NoRows:
    """Return the refusal of a file that has names but no data."""
    return NoRows(
        "the file has a header and no rows",
        where=str(path),
        expected="at least one data row",
        do="check that the export finished",
    )


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, unpacked if its name ends in ``.gz`` or ``.zip``.

    Raises
    ------
    InputRefused
        If it can't be opened or unpacked, also while it is being read.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".gz":
            with gzip.open(path) as stream:
                yield cast(IO[bytes], stream)
        elif suffix == ".zip":
            with zipfile.ZipFile(path) as archive, archive.open(_only_member(archive, path)) as f:
                yield f
        else:
            with path.open("rb") as file:
                yield file
    except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputRefused(
            f"the file can't be unpacked: {error or 'it ends too early'}",
            where=str(path),
            expected=f"a whole {suffix[1:]} file",
            do="copy or download it again, or rename it to what it is",
        ) from None
    except OSError as error:
        raise InputRefused(
            f"the file can't be read: {error.strerror or error}",
            where=str(path),
            do="check the path and its permissions",
        ) from None


def _only_member(archive: zipfile.ZipFile, path: Path) -> str:
    names = [n for n in archive.namelist() if n[-1] != "/" and not n.startswith("__MACOSX/")]
    if len(names) != 1:
        raise InputRefused(
            f"the zip file holds {len(names)} files",
            where=f"{path}: {', '.join(names[:5])}" if names else str(path),
            expected="exactly one",
            do="unpack it and name the file you mean",
        )
    return names[0]


def read_csv(
    path: Path, source: Source, columns: Sequence[str], rows: int, target: str | None = None
) -> Iterator[pd.DataFrame]:
    """Yield chunks of a CSV file as text cells; ragged rows are marked in ``FAULT``."""
    if len(source.delimiter) != 1:
        raise InputRefused(
            f"the delimiter {source.delimiter!r} is not one character",
            where="source.delimiter of the use case",
            expected="one character, such as ',' or ';'",
        )
    with opened(path) as stream:
        text = head_text(stream.read(HEAD), source, path)
    first = _records(text, source.delimiter)
    if source.header and len(first) < 2:
        raise no_rows(path)
    if not source.header and len(first[0]) == len(columns) - 1:
        columns = [name for name in columns if name != target]
    _check_delimiter(first[0], text, source, columns, path)
    names = names_of(first[0], source, columns, str(path)) if source.header else list(columns)

    done = 0
    try:
        with opened(path) as stream:
            for frame in _fast(stream, source, names, rows):
                frame.index = pd.RangeIndex(done, done + len(frame), name="row")
                done += len(frame)
                yield frame
    except (pa.ArrowInvalid, UnicodeDecodeError):
        with opened(path) as stream:
            lines = io.TextIOWrapper(stream, encoding=source.encoding, newline="")
            reader = csv.reader(lines, delimiter=source.delimiter)
            records = islice((r for r in reader if r), int(source.header), None)
            for frame in slow(records, source, names, rows, path, skip=done):
                done += len(frame)
                yield frame
    with opened(path) as stream:
        doubtful = more_lines_than_rows(stream, done + int(source.header))
    if doubtful:
        with opened(path) as stream:
            refuse_swallowed(stream, path, source, len(names))


def head_text(head: bytes, source: Source, path: Path) -> str:
    """Decode the beginning of a file, or refuse what is not text."""
    if not head.strip():
        raise NoRows("the file is empty", where=str(path), expected="a header and data rows")
    wide = source.encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32"))
    for magic, kind in _MAGIC.items():
        if head.startswith(magic) and not (wide and "utf-16" in kind):
            raise InputRefused(
                f"the file is not text: it looks like {kind}",
                where=str(path),
                expected=f"delimited text in {source.encoding}",
                do="convert it, give it the right extension, or set source.encoding",
            )
    controls = sum(head.count(b) for b in range(32) if b not in b"\t\n\r\f") + head.count(127)
    if not wide and (b"\0" in head or controls > len(head) / 50):
        raise InputRefused(
            "the file is binary, not text",
            where=str(path),
            expected="CSV, Parquet or ARFF",
            do="check that it is the right file",
        )
    try:
        # A character cut by the end of the head is no fault.
        decoder = codecs.getincrementaldecoder(source.encoding)()
        return decoder.decode(head, len(head) < HEAD)
    except (UnicodeDecodeError, LookupError) as error:
        raise _not_text(error, source, path, "in the first rows") from None


def _not_text(error: Exception, source: Source, path: Path, place: str) -> InputRefused:
    return InputRefused(
        f"the file is not text in {source.encoding!r}: {error}",
        where=f"{path}, {place}",
        expected="every byte to be part of a character of that encoding",
        do="set source.encoding in the use case (often latin-1 or cp1252), or check the file",
    )


def _records(text: str, delimiter: str) -> list[list[str]]:
    """Return the first two records that aren't blank."""
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        return list(islice((r for r in reader if r), 2))
    except csv.Error:
        return [[text[:80]], []]


def _check_delimiter(
    first: list[str], text: str, source: Source, columns: Sequence[str], path: Path
) -> None:
    """Refuse a file whose first line makes sense with another delimiter only."""

    def sense(record: list[str]) -> int:
        if source.header:
            return len({source.rename.get(n.strip(), n.strip()) for n in record} & set(columns))
        return int(len(record) == len(columns))

    found = sense(first)
    if found and (len(first) > 1 or len(columns) == 1):
        return
    scores = {d: sense(_records(text, d)[0]) for d in _DELIMITERS if d != source.delimiter}
    best = max(scores, key=lambda d: scores[d])
    if scores[best] > found:
        raise InputRefused(
            f"wrong delimiter: with {source.delimiter!r} the first line has {len(first)} "
            f"column{'s' * (len(first) != 1)}; the file seems to use {best!r}",
            where=str(path),
            expected=f"cells separated by {source.delimiter!r}",
            do=f"set source.delimiter to {best!r} in the use case, or convert the file",
        )
    if not source.header:
        raise InputRefused(
            f"the first row has {len(first)} cells, {len(columns)} columns are declared",
            where=f"{path}, row 0",
            expected=f"no header, and cells for {', '.join(columns[:6])}, …",
            do="check the file, or the 'columns' of the use case",
        )


def names_of(
    header: Sequence[str], source: Source, columns: Iterable[str], where: str
) -> list[str]:
    """Return the use case's names of a file's columns: renamed, accents composed.

    Raises
    ------
    InputRefused
        If a column of the use case would be there twice; others get a number.
    """
    known = {_composed(name): name for name in columns}
    rename = {_composed(theirs): ours for theirs, ours in source.rename.items()}
    names: list[str] = []
    twice: list[str] = []
    for position, cell in enumerate(header):
        name = _composed(cell.strip())
        name = rename.get(name, name)
        name = known.get(_composed(name), name)
        if name in names and name in known.values():
            twice.append(name)
        names.append(f"{name}.{position}" if name in names else name)
    if twice:
        raise InputRefused(
            ", ".join(f"column {n!r} occurs twice" for n in dict.fromkeys(twice))
            + " in the header",
            where=where,
            expected="each column once",
            do="rename or remove one of them, or mend source.rename or the SELECT",
        )
    return names


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _fast(stream: IO[bytes], source: Source, names: list[str], rows: int) -> Iterator[pd.DataFrame]:
    """Read with Arrow; raises ``pa.ArrowInvalid`` at the first malformed row."""
    from pyarrow import csv as arrow_csv

    encoding = "utf8" if source.encoding.lower() in ("utf-8-sig", "utf-8") else source.encoding
    with arrow_csv.open_csv(  # closed, since its thread reads ahead in our Python file
        stream,
        read_options=arrow_csv.ReadOptions(
            block_size=_BLOCK,
            column_names=names,
            skip_rows_after_names=int(source.header),
            encoding=encoding,
        ),
        parse_options=arrow_csv.ParseOptions(delimiter=source.delimiter, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types={name: pa.string() for name in names},
            strings_can_be_null=True,
            null_values=list(source.missing),
        ),
    ) as reader:
        waiting: list[pa.RecordBatch] = []
        for batch in reader:
            waiting.append(batch)
            while sum(b.num_rows for b in waiting) >= rows:
                table = pa.Table.from_batches(waiting)
                yield table.slice(0, rows).to_pandas()
                waiting = table.slice(rows).to_batches()
        if any(b.num_rows for b in waiting):
            yield pa.Table.from_batches(waiting).to_pandas()


def slow(
    records: Iterable[list[str]],
    source: Source,
    names: list[str],
    rows: int,
    path: Path,
    *,
    skip: int = 0,
) -> Iterator[pd.DataFrame]:
    """Read records in Python; a ragged row keeps its place and is marked in ``FAULT``."""
    missing = set(source.missing)
    width, row = len(names), 0
    cells: list[list[str | None]] = []
    faults: list[str | None] = []

    def chunk() -> pd.DataFrame:
        index = pd.RangeIndex(row - len(cells), row, name="row")
        frame = pd.DataFrame(cells, columns=names, index=index, dtype="str")
        if any(faults):
            frame[FAULT] = pd.Series(faults, index=index, dtype="str")
        return frame

    try:
        for record in records:
            if not record:
                continue
            row += 1
            if row <= skip:
                continue
            fault, whole = None, record
            if len(record) != width:
                fault = f"row has {len(record)} cells, {width} expected"
                whole = (record + [""] * width)[:width]
            cells.append([None if cell in missing else cell for cell in whole])
            faults.append(fault)
            if len(cells) == rows:
                yield chunk()
                cells, faults = [], []
    except csv.Error as error:
        raise InputRefused(
            f"the text can't be split into cells: {error}",
            where=f"{path}, row {row}",
            expected="quoted cells that are closed again",
            do="mend that row; a quote inside a cell is written twice",
        ) from None
    except UnicodeDecodeError as error:
        raise _not_text(error, source, path, f"near row {row}") from None
    if cells:
        yield chunk()
