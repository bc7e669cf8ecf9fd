"""Quotes that were opened and never closed: they swallow the rows below them into one cell."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from riskwright.case.usecase import Source
from riskwright.errors import InputRefused

_BLOCK = 8 << 20


def more_lines_than_rows(stream: IO[bytes], rows: int) -> bool:
    """Whether quotes may have put several lines of a file into one row (one quick pass)."""
    lines, quotes, last = 0, 0, b""
    for block in iter(lambda: stream.read(_BLOCK), b""):
        lines += block.count(b"\n")
        quotes += block.count(b'"')
        last = block[-1:]
    return quotes % 2 == 1 or (quotes > 0 and lines + (last != b"\n") != rows)


def refuse_swallowed(stream: IO[bytes], path: Path, source: Source, width: int) -> None:
    """Refuse a CSV in which a quote that was never closed swallowed the rows below it.

    A cell may hold line breaks. It holds rows if each of its lines is one by itself, if text stands
    behind its closing quote (which was meant to open another cell), or if the file ends in it.

    Raises
    ------
    InputRefused
        With the line of the quote.
    """
    with io.TextIOWrapper(stream, encoding=source.encoding, newline="") as text:
        _check(Lines(text), path, source.delimiter, width)


def _check(lines: Lines, path: Path, delimiter: str, width: int) -> None:
    records = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        first, lines.taken = lines.number + 1, []
        try:
            next(records)
            broken = False
        except StopIteration:
            return
        except csv.Error:
            broken = True
        if len(lines.taken) < 2 and not (broken and lines.ended):
            continue
        if broken or _whole_rows(lines.taken, delimiter, width):
            raise InputRefused(
                "a quoted cell is opened and never closed, so rows have run together",
                where=f"{path}, line {first}: {len(lines.taken):,} lines in one row",
                expected='a quote that opens a cell (") and one that closes it',
                do="find and close the quote; a quote inside a cell is written twice",
            )


class Lines:
    """The lines of a file, and which of them were taken lately."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.taken: list[str] = []
        self.number, self.ended = 0, False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            self.taken.append(next(self._lines))
        except StopIteration:
            self.ended = True
            raise
        self.number += 1
        return self.taken[-1]


def _whole_rows(lines: list[str], delimiter: str, width: int) -> bool:
    """Whether each line of a record is a row by itself; two cells alone could be chance."""
    return width > 2 and all(_cells(line, delimiter) == width for line in lines if line.strip())


def _cells(line: str, delimiter: str) -> int:
    """Count the cells of a line; a quote without its second is a sign like another."""
    if line.count('"') % 2:
        return line.count(delimiter) + 1
    return len(next(csv.reader([line], delimiter=delimiter)))
