"""The rules that a cell is held to, and the faults of the rows that break them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from riskwright.case.usecase import Column
from riskwright.data.parsing import Mask

_SHOWN = 12  # allowed codes spelt out in a reason
# Days that systems write for "never", "not yet" and "unknown".
NO_DATES = (pd.Timestamp("9999-12-31"), pd.Timestamp("1900-01-01"))


class Faults:
    """What is wrong with the rows of one chunk: full sentences, and counts by kind."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._found: dict[int, list[tuple[str, str]]] = {}

    def add(self, spot: int, sentence: str, kind: str) -> None:
        """Note one fault of the row at a position of the chunk."""
        self._found.setdefault(int(spot), []).append((sentence, kind))

    def only(self, spots: Iterable[int], sentences: Iterable[str]) -> None:
        """Let these rows have this one fault: their cells can't be trusted."""
        for spot, sentence in zip(spots, sentences, strict=True):
            whole = sentence.startswith("row has")
            key = "wrong number of cells" if whole else sentence
            self._found[int(spot)] = [(sentence, key)]

    def rows(self) -> Mask:
        """Return the mask (n,) of faulty rows."""
        mask = np.zeros(self._rows, dtype=bool)
        mask[list(self._found)] = True
        return mask

    def reasons(self) -> list[str]:
        """One text for each faulty row, in the order of the rows."""
        return ["; ".join(s for s, _ in self._found[spot]) for spot in sorted(self._found)]

    @property
    def counts(self) -> Counter[str]:
        """Faults by kind."""
        return Counter(kind for faults in self._found.values() for _, kind in faults)

    @property
    def examples(self) -> dict[str, str]:
        """The first sentence of each kind."""
        return {k: s for spot in sorted(self._found, reverse=True) for s, k in self._found[spot]}


Rule = tuple[str, Callable[[pd.Series], Any], Callable[[Any], str]]


def rules_of(column: Column) -> list[Rule]:
    """Return for a column: kind of fault, test that good cells pass, sentence about a bad cell."""
    if column.type == "category":
        allowed = list(column.values)
        listed = ", ".join(allowed[:_SHOWN]) + ", …" * (len(allowed) > _SHOWN)
        return [
            (
                "unknown category",
                lambda s: s.isin(allowed),
                lambda v: f"unknown category {str(v)!r} (allowed {listed})",
            )
        ]
    if column.type == "date":
        return [
            (
                "a date that stands for none",
                lambda s: ~no_date(s),
                lambda v: (
                    f"{v:%Y-%m-%d} stands for no date; list it in source.missing if it means "
                    "missing"
                ),
            )
        ]
    if not column.numeric:
        return []
    codes = list(column.sentinels)
    low, high, unit = column.min, column.max, f" {column.unit}" * bool(column.unit)

    def fine(s: pd.Series, kept: Any) -> Any:
        """Sentinels are exempt, and infinity has its own rule; most often nobody asks for it."""
        return kept if kept.all() else kept | s.isin(codes) | np.isinf(s)

    rules: list[Rule] = [
        ("infinite value", lambda s: ~np.isinf(s), lambda v: "infinite value"),
    ]
    if low is not None:
        rules.append(
            (
                f"below the minimum {low:g}",
                lambda s: fine(s, s >= low),
                lambda v: f"{v:.15g} is below the minimum {low:g}{unit}",
            )
        )
    if high is not None:
        rules.append(
            (
                f"above the maximum {high:g}",
                lambda s: fine(s, s <= high),
                lambda v: f"{v:.15g} is above the maximum {high:g}{unit}",
            )
        )
    if column.type == "integer":
        rules.append(
            (
                "not a whole number",
                lambda s: fine(s, s == np.rint(s)),
                lambda v: f"{v:.15g} is not a whole number",
            )
        )
    return rules


def no_date(days: pd.Series) -> pd.Series:
    """Return which dates (n,) are placeholders: nothing happened on them."""
    mask: pd.Series = days.dt.normalize().isin(NO_DATES)
    return mask


def shown(value: object) -> str:
    """Quote a cell, cut if it is long."""
    text = str(value)
    return repr(text if len(text) <= 40 else text[:37] + "…")
