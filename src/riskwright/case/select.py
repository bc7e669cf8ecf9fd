"""The one SELECT that ``source.table`` may hold: text of a YAML, so it isn't trusted."""

from __future__ import annotations

import re

from riskwright.errors import InputRefused

_NOT_CODE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_COMMENT = re.compile(r"\s*(?:--[^\n]*(?:\n|$)|/\*(?:(?!/\*).)*?\*/)", re.DOTALL)
_SELECT = re.compile(r"[\s(]*(select|with)\b", re.IGNORECASE)
# What may end a text earlier in one database than in another, and so hide a second statement.
_HIDING = re.compile(r"[\\$`#\[]|--|/\*")


def one_select(table: str) -> str | None:
    """Return the SELECT that ``source.table`` holds, None if it names a table.

    Comments and brackets before it are part of it.

    Raises
    ------
    InputRefused
        If there is a second statement, or one could be hidden.
    """
    written = table
    while found := _COMMENT.match(table):
        table = table[found.end() :]
    # The same with texts and names crossed out, and comments blanked.
    code = _NOT_CODE.sub(lambda f: ("x" if f[0][0] in "'\"" else " ") * len(f[0]), table)
    if _SELECT.match(code) is None:
        return None
    # Cut what ends it; a comment after that goes too.
    end = len(code.rstrip("; \t\r\n"))
    if not code[end:].strip():
        end = len(table)
    query, code = table[:end], code[:end]
    if ";" in code or (";" in query and _HIDING.search(query)):
        raise InputRefused(
            "the query holds more than one statement",
            where=f"source.table: {written[:80]}",
            expected="one SELECT; a ';' in a text goes with no comment and no escape",
            do="leave one SELECT",
        )
    return _unwrapped(query, code)


def _unwrapped(query: str, code: str) -> str:
    """Take the brackets around a whole query away: SQLite doesn't know them."""
    start, end = 0, len(code)
    while True:
        inner = code[start:end]
        start += len(inner) - len(inner.lstrip())
        end -= len(inner) - len(inner.rstrip())
        if not code[start:end].startswith("(") or _closing(code[start:end]) != end - start - 1:
            return query if start == 0 or code[start - 1] != "(" else query[start:end]
        start, end = start + 1, end - 1


def _closing(code: str) -> int:
    """Return where the bracket that opens a text is closed, -1 if nowhere."""
    depth = 0
    for place, sign in enumerate(code):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth == 0:
            return place
    return -1
