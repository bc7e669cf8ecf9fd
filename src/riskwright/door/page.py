"""What a notebook shows of a result: small HTML in which every text is escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from riskwright.terminal import clean

MOST = 20  # rows of a table
MONEY = 1e4  # from here on every digit before the point counts
# Two dollar signs are money here, no formula.
PAGE = '<div class="riskwright tex2jax_ignore mathjax_ignore">{}</div>'
MARKS = {True: "yes", False: "no", None: "not enough data"}


def text(value: object) -> str:
    """Return a value as a person reads it, escaped; its control characters are written out."""
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:  # NumPy's numbers and truths
        value = value.item()
    # NaN, and what pandas calls missing, which imports nothing here.
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return ""
    if isinstance(value, bool):
        return MARKS[value]
    return html.escape(clean(number(value) if isinstance(value, float) else value))


def number(value: float) -> str:
    """Return four digits of a number, and of money all before the point; nothing for NaN."""
    if math.isnan(value):
        return ""
    return f"{value:,.0f}" if MONEY <= abs(value) < math.inf else f"{value:.4g}"


def line(words: object) -> str:
    """Return a paragraph; nothing for nothing."""
    return f"<p>{text(words)}</p>" if words else ""


def lines(words: Iterable[object]) -> str:
    """Return a list of sentences; nothing for none."""
    told = "".join(f"<li>{text(word)}</li>" for word in words)
    return f"<ul>{told}</ul>" if told else ""


def table(rows: Sequence[Mapping[str, Any]], title: str = "") -> str:
    """Return rows of plain values as a table; nothing for none, and the first ``MOST`` of many."""
    if not rows:
        return ""
    names = "".join(f"<th>{text(str(name).replace('_', ' '))}</th>" for name in rows[0])
    body = "".join(
        f"<tr>{''.join(f'<td>{text(value)}</td>' for value in row.values())}</tr>"
        for row in rows[:MOST]
    )
    more = f"<p>and {len(rows) - MOST:,} more</p>" if len(rows) > MOST else ""
    caption = f"<caption>{text(title)}</caption>" if title else ""
    return f"<table>{caption}<thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>{more}"


def page(title: object, *parts: str) -> str:
    """Return a whole: the title that says how it is, then its parts."""
    return PAGE.format(f"<h4>{text(title)}</h4>{''.join(parts)}")
