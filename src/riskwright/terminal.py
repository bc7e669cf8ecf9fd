"""The terminal: whatever a text holds, it shows it and never obeys it."""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

# Control characters (C0 but tab and line feed, DEL, C1), and those that turn the line's direction.
_CODES = (*(c for c in range(32) if c not in (9, 10)), *range(127, 160), 0x2028, 0x2029)
_TURNS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SHOWN = {c: f"\\x{c:02x}" if c < 256 else f"\\u{c:04x}" for c in (*_CODES, *_TURNS)}


def clean(text: object) -> str:
    """Return a text whose control characters are written out, as Python would write them.

    Reasons, file names and values come from files that others wrote; a terminal would obey them.
    """
    return str(text).translate(_SHOWN)


def give_streams() -> None:
    """Give the process the streams that it was started without, for what nobody will read.

    Python has None for a closed stream; and the next file that is opened would get its number.
    """
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None and os.open(os.devnull, os.O_RDWR) == number:
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))


def write(text: str) -> None:
    """Print a text to whoever reads it."""
    try:
        print(text, flush=True)  # noqa: T201  (this is what prints)
    except BrokenPipeError:
        nobody_reads()


def nobody_reads() -> None:
    """Let what else is printed vanish: that a reader left (``| head -1``) is no outage."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


class Terminal(Console):
    """A console that prints clean texts; markup in values is escaped where they are put in."""

    def render_str(self, text: str, *given: Any, **more: Any) -> Text:
        """Turn a string into text for the terminal, cleaned."""
        return super().render_str(clean(text), *given, **more)

    def on_broken_pipe(self) -> None:
        """Go on without a reader; the command's exit code is its own."""
        nobody_reads()


give_streams()
