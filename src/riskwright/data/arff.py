"""ARFF, the format of Weka, to chunks of text cells."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from riskwright.case.usecase import Source
from riskwright.data.quotes import Lines
from riskwright.data.textfiles import HEAD, head_text, names_of, no_rows, opened, slow
from riskwright.errors import InputRefused

_ATTRIBUTE = re.compile(r"@attribute\s+('(?:[^'\\]|\\.)*'|\"[^\"]*\"|\S+)\s+\S", re.IGNORECASE)


def read_arff(
    path: Path, source: Source, columns: Sequence[str], rows: int
) -> Iterator[pd.DataFrame]:
    """Yield chunks of an ARFF file as text cells, nominal values as written.

    The format is that of Weka: ``@attribute`` lines, ``@data``, ``%`` comments, ``?`` missing.
    """
    with opened(path) as stream:
        head = stream.read(HEAD)
        text = head_text(head, source, path)
    quote = "'" if "'" in text.lower().partition("@data")[2] else '"'
    with opened(path) as stream:
        lines = Lines(io.TextIOWrapper(stream, encoding=source.encoding))
        names = names_of(_attributes(lines, path), source, columns, str(path))
        taken = Lines(_data_lines(lines, path))
        reader = csv.reader(taken, quotechar=quote, escapechar="\\", skipinitialspace=True)
        records = _one_line_each(reader, taken, lines, path)
        empty = True
        for frame in slow(records, source, names, rows, path):
            empty = False
            yield frame
        if empty:
            raise no_rows(path)


def _one_line_each(
    records: Iterable[list[str]], taken: Lines, lines: Lines, path: Path
) -> Iterator[list[str]]:
    """Pass ARFF's records on: one a line, so one with more of them has an open quote."""
    for record in records:
        if len(taken.taken) > 1:
            raise InputRefused(
                "a quoted cell is opened and never closed, so rows have run together",
                where=f"{path}, line {lines.number - len(lines.taken) + 1}: "
                f"{len(taken.taken):,} lines in one row",
                expected="one row a line",
                do="find and close the quote; one inside a cell stands behind a backslash",
            )
        taken.taken.clear()
        lines.taken.clear()
        yield record


def _attributes(lines: Iterable[str], path: Path) -> list[str]:
    """Read the header of an ARFF file up to ``@data``; return the attributes' names."""
    names: list[str] = []
    for number, full in enumerate(lines, 1):
        line = full.strip()
        lower = line.lower()
        if lower.startswith("@data"):
            if names:
                return names
            break
        if not lower.startswith("@attribute"):
            continue
        match = _ATTRIBUTE.match(line)
        if match is None:
            raise InputRefused(
                f"not an ARFF attribute: {line[:60]!r}",
                where=f"{path}, line {number}",
                expected="@attribute name type",
                do="mend that line",
            )
        name = match[1]
        names.append(name[1:-1].replace("\\'", "'") if name[0] in "'\"" else name)
    raise InputRefused(
        "the file is not ARFF: no '@attribute' lines followed by '@data'",
        where=str(path),
        expected="an ARFF header",
        do="check that it is the right file, or set source.format",
    )


def _data_lines(lines: Iterable[str], path: Path) -> Iterator[str]:
    for line in lines:
        text = line.strip()
        if text.startswith("{"):
            raise InputRefused(
                "sparse ARFF rows ({index value, …}) aren't read",
                where=str(path),
                expected="one value for each attribute",
                do="convert the file to dense ARFF or CSV",
            )
        if text and not text.startswith("%"):
            yield line
