"""The contract of a use case: which rows are accepted, and why the others are refused.

Cells are parsed in one vectorised pass, a pandera schema built from the use case checks the
parsed frame, and each failure becomes a short reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.case.usecase import Column, UseCase, code
from riskwright.data import maturity, parsing
from riskwright.data.meaning import missing_in, outcomes
from riskwright.data.rules import Faults, rules_of, shown
from riskwright.data.textfiles import FAULT
from riskwright.errors import InputRefused, closest

Purpose = Literal["train", "score", "monitor"]


@dataclass(frozen=True)
class HeaderVerdict:
    """Optional columns that are missing, columns that nobody asked for, and what to say of it."""

    missing: tuple[str, ...]
    extra: tuple[str, ...]
    warnings: list[str]


@dataclass(frozen=True)
class Checked:
    """One chunk after the contract.

    ``accepted`` is a canonical frame; ``refused`` has ``row``, ``reason`` and the raw cells.
    """

    accepted: pd.DataFrame
    refused: pd.DataFrame
    warnings: list[str] = field(default_factory=list)


def target_of(usecase: UseCase, frame: pd.DataFrame) -> npt.NDArray[np.int8]:
    """Return the target of a canonical frame: int8 (n,), 1 = bad.

    Of loans, if they say when they ended: bad within the months that count.
    """
    if usecase.loan is not None and {usecase.loan.closed, usecase.loan.term} <= set(frame):
        return maturity.bads(usecase, frame).astype(np.int8)
    text = parsing.codes(frame[usecase.target.column], {usecase.target.bad}, ())
    return np.asarray(text == usecase.target.bad, dtype=np.int8)


class Contract:
    """Checks raw chunks against a use case, and keeps count over all of them.

    Parameters
    ----------
    usecase
        The specification.
    purpose
        ``train`` needs the target (and a loan's outcomes); ``score`` and ``monitor`` ignore
        them. Other columns that are known only after the decision are always left out.
    """

    def __init__(self, usecase: UseCase, purpose: Purpose) -> None:
        self.usecase, self.purpose = usecase, purpose
        target = usecase.target.column
        self.columns: dict[str, Column] = {
            name: column
            for name, column in usecase.columns.items()
            if (
                purpose == "train"
                if name == target or name in usecase.outcome_names
                else not column.after_decision
            )
        }
        held = usecase.loan if purpose == "train" else None
        # Dates of a loan's life: one that is still to come would let all labels ripen.
        self._past = {usecase.time, held.closed, held.recovered_on} if held else set()
        self.read = self.accepted = self.bads = 0
        self.reasons: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self.missing: Counter[str] = Counter()
        self.sentinels: dict[str, Counter[str]] = {}
        self._distinct: dict[str, set[Any]] = {name: set() for name in self.columns}
        self._ids = parsing.SeenIds()
        self._header: list[str] | None = None
        self._verdict = HeaderVerdict((), (), [])

    @property
    def refused(self) -> int:
        """Rows refused so far."""
        return self.read - self.accepted

    def check_header(self, names: Iterable[str]) -> HeaderVerdict:
        """Compare the names of a file with those of the use case; order doesn't matter.

        Raises
        ------
        InputRefused
            If a required column is missing; the closest name in the file is offered.
        """
        found = [str(name) for name in names if name != FAULT]
        missing = [name for name in self.columns if name not in found]
        extra = [name for name in found if name not in self.usecase.columns]
        target = self.usecase.target.column
        needed = [n for n in missing if self.columns[n].required or n == target]
        if self.purpose != "train":  # whose row it is counts where rows are parted, there alone
            needed = [n for n in needed if n != self.usecase.group]
        if needed:
            offers = [offer for n in needed[:5] if (offer := closest(n, extra))]
            what = (
                f"the target column {target!r} is missing"
                if needed == [target]
                else f"column {needed[0]!r} is missing"
                if len(needed) == 1
                else f"{len(needed)} columns are missing: {', '.join(needed[:8])}"
                + ", …" * (len(needed) > 8)
            )
            raise InputRefused(
                what,
                where="the header: " + ", ".join(found[:8]) + ", …" * (len(found) > 8),
                expected=", ".join(needed[:8]),
                do="; ".join(offers) + " Rename it, or set source.rename in the use case"
                if offers
                else "add the column, or set 'required: false' in the use case",
            )
        warnings = []
        if extra:
            warnings.append(
                f"{len(extra)} extra columns ignored: {', '.join(map(repr, extra[:8]))}"
                + ", …" * (len(extra) > 8)
            )
        if missing:
            warnings.append(f"optional columns not in the file: {', '.join(missing)}")
        leaks = [n for n in found if n in self.usecase.columns and n not in self.columns]
        leaks = [n for n in leaks if n != target]
        if leaks:
            warnings.append(
                f"known only after the decision, so dropped and never a feature: {', '.join(leaks)}"
            )
        return HeaderVerdict(tuple(missing), tuple(extra), warnings)

    def apply(self, raw: pd.DataFrame) -> Checked:
        """Check one chunk.

        Parameters
        ----------
        raw
            As ``sources.read_chunks`` gives it, or any frame with the use case's columns; its index
            tells the rows.

        Raises
        ------
        InputRefused
            If a required column is missing.
        """
        warnings: list[str] = []
        if list(raw.columns) != self._header:
            self._verdict = self.check_header(raw.columns)
            self._header = list(raw.columns)
            warnings = list(self._verdict.warnings)
        faults = Faults(len(raw))
        ragged = raw[FAULT].notna().to_numpy() if FAULT in raw else np.zeros(len(raw), bool)
        at = pd.RangeIndex(len(raw))
        columns = {n: self._parse(n, raw, faults).set_axis(at) for n in self.columns}
        parsed = pd.DataFrame(columns, index=at, copy=False)
        self._check(parsed, faults)
        if ragged.any():
            faults.only(np.flatnonzero(ragged), raw[FAULT][ragged].tolist())
        numbered = pd.api.types.is_integer_dtype(raw.index.dtype)
        rows = raw.index.to_numpy() if numbered else self.read + np.arange(len(raw))
        if self.usecase.id in self.columns:
            self._check_ids(parsed[self.usecase.id], rows, faults)

        bad = faults.rows()
        frame = parsed[~bad] if bad.any() else parsed
        frame.index = raw.index[~bad]
        frame.index.name = "row"
        refused = raw.take(np.flatnonzero(bad)).drop(columns=FAULT, errors="ignore")
        refused = pd.DataFrame({name: parsing.as_text(refused[name]) for name in refused})
        reasons = pd.Series(faults.reasons(), index=refused.index, dtype="str")
        clash = [n for n in ("row", "reason") if n in refused]
        refused = refused.rename(columns={n: f"{n} (cell)" for n in clash})
        refused.insert(0, "row", rows[bad])
        refused.insert(1, "reason", reasons)
        refused = refused.reset_index(drop=True)

        self.read += len(raw)
        self.accepted += len(frame)
        self.reasons.update(faults.counts)
        self.examples = {**faults.examples, **self.examples}
        self._count(frame)
        return Checked(frame, refused, warnings)

    def _parse(self, name: str, raw: pd.DataFrame, faults: Faults) -> pd.Series:
        """Make one canonical column; what can't be parsed is missing, and a fault."""
        column, missing = self.columns[name], missing_in(self.usecase, name)
        if name not in raw:
            kind = {"category": "str", "text": "str", "date": "datetime64[us]"}
            return pd.Series(np.nan, index=raw.index, dtype=kind.get(column.type, "float64"))
        cells = raw[name]
        if name == self.usecase.target.column:
            self._check_target(cells, faults)
        if name in (self.usecase.id, self.usecase.group) or column.type == "text":
            text = parsing.as_text(cells)
            return text.mask(parsing.is_missing(text, missing))
        if column.type == "category":
            return parsing.codes(cells, column.values, missing)
        if column.type == "date":
            parsed, unreadable = parsing.dates(cells, missing)
            word = "a date such as 2024-01-31"
            if name in self._past:
                for spot in np.flatnonzero(parsed > maturity.this_month()).tolist():
                    said = f"{name}: {parsed.iloc[spot]:%Y-%m-%d} is later than today"
                    faults.add(spot, said, f"{name}: later than today")
        else:
            parsed, unreadable = parsing.numbers(cells, missing)
            word = "a number"
        for spot in np.flatnonzero(unreadable).tolist():
            faults.add(
                spot, f"{name}: {shown(cells.iloc[spot])} is not {word}", f"{name}: not {word}"
            )
        return parsed

    def _check_target(self, cells: pd.Series, faults: Faults) -> None:
        target = self.usecase.target
        known = {target.bad, target.good, *target.open}
        text = outcomes(self.usecase, cells)
        start = f"target {target.column}"
        for spot in np.flatnonzero(~text.isin(known).to_numpy()).tolist():
            value = text.iloc[spot]
            if pd.isna(value):
                faults.add(spot, f"{start}: missing", f"{start}: missing")
            else:
                what = f"{value!r} is neither good ({target.good!r}) nor bad ({target.bad!r})"
                faults.add(spot, f"{start}: {what}", f"{start}: neither good nor bad")

    def _check_ids(self, ids: pd.Series, rows: npt.NDArray[np.int64], faults: Faults) -> None:
        """Refuse missing and repeated ids; a row that is refused anyway doesn't claim its id."""
        ids = ids.mask(faults.rows())
        for spot in np.flatnonzero(ids.isna().to_numpy() & ~faults.rows()).tolist():
            faults.add(spot, "id missing", "id missing")
        first = self._ids.add(ids, rows)
        for spot in np.flatnonzero(first >= 0).tolist():
            faults.add(spot, f"id repeated (first seen in row {first[spot]})", "id repeated")

    @cached_property
    def _schema(self) -> tuple[Any, dict[str, Callable[[Any], str]]]:
        """The pandera schema, and for each check the sentence that its failure becomes."""
        import pandera.pandas as pandera

        say: dict[str, Callable[[Any], str]] = {}
        columns = {}
        for name, column in self.columns.items():
            checks = []
            for kind, test, sentence in rules_of(column):
                key = f"{name}: {kind}"
                say[key] = sentence
                checks.append(pandera.Check(test, error=key))
            if name == self.usecase.time and self._needs_time:
                key = f"{name}: missing"
                say[key] = lambda _: "missing, and the split needs it"
                checks.append(pandera.Check(pd.Series.notna, error=key, ignore_na=False))
            named = (self.usecase.target.column, self.usecase.id, self.usecase.group)
            if checks and name not in named:
                columns[name] = pandera.Column(checks=checks, nullable=True)
        return pandera.DataFrameSchema(columns), say

    @property
    def _needs_time(self) -> bool:
        return self.purpose == "train" and self.usecase.split.kind in (
            "out_of_time",
            "walk_forward",
        )

    def _check(self, parsed: pd.DataFrame, faults: Faults) -> None:
        from pandera.errors import SchemaErrors

        schema, say = self._schema
        try:
            schema.validate(parsed, lazy=True)
        except SchemaErrors as errors:
            cases = errors.failure_cases
            for key, value, spot in zip(
                cases["check"], cases["failure_case"], cases["index"], strict=True
            ):
                name = key.rpartition(": ")[0]
                faults.add(int(spot), f"{name}: {say[key](value)}", key)

    def _count(self, frame: pd.DataFrame) -> None:
        """Keep what the report and ``close`` need of the accepted rows."""
        for name, column in self.columns.items():
            cells = frame[name]
            self.missing[name] += int(cells.isna().sum())
            if column.sentinels:
                tally = self.sentinels.setdefault(name, Counter())
                for number, meaning in column.sentinels.items():
                    tally[f"{code(number)} ({meaning})"] += int((cells == number).sum())
            known = self._distinct[name]
            if len(known) < 2:
                known.update(cells.dropna().unique()[:2].tolist())
        if self.purpose == "train":
            self.bads += int(target_of(self.usecase, frame).sum())

    def close(self) -> list[str]:
        """Say of rows to train on what can be said only after the last chunk.

        Returns
        -------
        Warnings: constant and wholly missing columns.

        Raises
        ------
        InputRefused
            If there are no rows, too many rows were refused, a required feature holds nothing,
            every row has the same id, or only one class is there.
        """
        if self.read == 0:
            raise InputRefused("there are no rows", expected="at least one data row")
        empty = [n for n in self.columns if self.accepted and self.missing[n] == self.accepted]
        used = [n for n in empty if self.usecase.is_feature(n) or n == self.usecase.group]
        dead = [n for n in used if self.columns[n].required]
        self._check_whole()
        if dead:
            raise InputRefused(
                f"required column {dead[0]!r} is missing in all {self.accepted:,} rows",
                where=", ".join(dead),
                expected="values",
                do="check the feed, or set 'required: false' in the use case",
            )
        warnings = [
            f"{name}: missing in every row, so dropped"
            for name in empty
            if name not in self._verdict.missing
        ]
        if self.accepted > 1:
            warnings += [
                f"{name}: the same value {value!r} in every row"
                for name, seen in self._distinct.items()
                if len(seen) == 1 and not self.missing[name] and self.usecase.is_feature(name)
                for value in seen
            ]
        return warnings

    def _check_whole(self) -> None:
        if self.usecase.id and len(self._ids) == 1 and self.read > 1:
            raise InputRefused(
                f"all {self.read:,} rows have the same id",
                where=f"column {self.usecase.id!r}",
                expected="an id for each row",
                do="name another 'id' column in the use case, or none",
            )
        limit = self.usecase.quarantine_limit
        if self.refused > limit * self.read or self.accepted == 0:
            top = "; ".join(
                f"{reason} ({count:,} rows, such as {self.examples[reason]!r})"
                for reason, count in self.reasons.most_common(3)
            )
            raise InputRefused(
                f"{self.refused:,} of {self.read:,} rows ({self.refused / self.read:.1%}) break "
                f"the contract, more than the limit of {limit:.1%}",
                where=top,
                expected="rows as the use case's 'columns' describe them",
                do="mend the data, or correct 'columns' or 'quarantine_limit' in the use case",
            )
        if self.bads in (0, self.accepted):
            target = self.usecase.target
            word, value = ("bad", target.bad) if self.bads else ("good", target.good)
            raise InputRefused(
                f"only one class: all {self.accepted:,} rows are {word} ({value!r})",
                where=f"target {target.column!r}",
                expected=f"both good ({target.good!r}) and bad ({target.bad!r})",
                do="check the file, or 'target' in the use case",
            )

    def report(self) -> dict[str, Any]:
        """Return the counts over all chunks, ready for JSON."""
        return {
            "read": self.read,
            "accepted": self.accepted,
            "refused": self.refused,
            "reasons": dict(self.reasons.most_common(20)),
            "missing": {n: c for n, c in self.missing.items() if c},
            "sentinels": {
                name: {text: count for text, count in tally.items() if count}
                for name, tally in self.sentinels.items()
                if any(tally.values())
            },
        }
