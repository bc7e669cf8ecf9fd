"""A folder that a command writes: new or empty before, complete or not there after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from riskwright.errors import InputRefused
from riskwright.store import writer


def refuse_taken(output: Path) -> None:
    """Refuse a folder that holds something, before any work is done for it.

    Raises
    ------
    InputRefused
        If it isn't new or empty, or the folder that it would lie in doesn't exist.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputRefused(
            "the output is there already",
            where=str(output),
            expected="a new or empty folder",
            do="choose another one; a report is never overwritten",
        )
    if not output.resolve().parent.is_dir():
        raise InputRefused("the output's folder doesn't exist", where=str(output.parent))


@contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``output`` that takes its place if the block ends well."""
    refuse_taken(output)
    with writer.new_folder(output) as part:
        yield part
