"""Tables that never break inside a word: columns where they fit, else a paragraph for each row."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from riskwright.terminal import clean

GAP = 2  # blanks between columns
INDENT = 2  # of the lines below a row's name


def show(out: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows as a table if every word fits into the terminal's width, else one by one.

    Parameters
    ----------
    rows
        Cells in Rich's markup, shape (rows, columns); a row may be shorter than the header.
    """
    out.print(Text(title, style="italic"), soft_wrap=False)
    rows = [[clean(cell) for cell in row] for row in rows]  # Rich drops some control characters
    plain = [[Text.from_markup(cell).plain for cell in row] for row in rows]
    widths = _widths(columns, plain, out.width)
    if widths is None:
        for cells in plain:
            _paragraph(out, columns, cells)
        return
    shown = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for name, width in zip(columns, widths, strict=True):
        shown.add_column(name, width=width, overflow="fold")
    for row in rows:
        shown.add_row(*row)
    out.print(shown)


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[int] | None:
    """Widths that break no word, room that is left shared out; None where there are none."""
    cells = [[name, *(row[i] for row in rows if i < len(row))] for i, name in enumerate(columns)]
    least = [max(_cells(w) for text in column for w in text.split() or [""]) for column in cells]
    most = [
        max(_cells(line) for t in column for line in t.splitlines() or [""]) for column in cells
    ]
    spare = width - sum(least) - GAP * len(columns)
    if spare < 0:
        return None
    wanted = [m - n for m, n in zip(most, least, strict=True)]
    share = _level(wanted, spare)
    return [n + min(want, share) for n, want in zip(least, wanted, strict=True)]


def _level(wanted: Sequence[int], spare: int) -> int:
    """The most that each may take so that all together take no more than there is."""
    level = 0
    while sum(min(want, level + 1) for want in wanted) <= spare and level < max(wanted, default=0):
        level += 1
    return level


def _cells(text: str) -> int:
    return Text(text).cell_len


def _paragraph(out: Console, columns: Sequence[str], row: Sequence[str]) -> None:
    """A row under its first cell, a line or more for each other one."""
    out.print(Text(f"{columns[0]} ").append(row[0], style="bold"))
    label = max(len(name) for name in columns[1:]) + GAP if len(columns) > 1 else 0
    for name, cell in zip(columns[1:], row[1:], strict=False):
        lines = textwrap.wrap(
            cell,
            max(20, out.width - INDENT - label),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for number, line in enumerate(lines):
            head = name if number == 0 else ""
            out.print(Text(f"{'':<{INDENT}}{head:<{label}}{line}"))
