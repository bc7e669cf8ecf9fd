"""Outcomes as they arrive: every label is good, bad, open, or told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from riskwright.case.usecase import Column, Source, UseCase
from riskwright.data import parsing
from riskwright.data.meaning import ids_of, outcomes
from riskwright.data.sources import is_file, read_chunks
from riskwright.errors import InputRefused
from riskwright.life.findings import Finding, band
from riskwright.systems.credit.cells import FAULT_ROWS, FAULT_SHARE

UNMATCHED_SHARE = 0.05  # of the labels without a row, and of the rows without a label
RECORDED = {"pd": "pd", "decision": "decision", "version": "model_version"}  # as 'score' writes
SCORE_WRITES: dict[str, Any] = {
    "format": None,
    "delimiter": ",",
    "header": True,
    "encoding": "utf-8-sig",
    "rename": {},
}
SHOWN = 3

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Frame = pd.DataFrame  # "pd" is a field below


@dataclass(frozen=True)
class Labels:
    """What is known of the outcomes of a batch's accepted rows.

    Attributes
    ----------
    y
        Outcomes, shape (n,): 1 = bad, 0 = good, NaN where unknown.
    counts
        How many labels were of each kind, and how many fitted no row.
    by_calendar
        Whether outcomes are known by the calendar alone (a loan's maturity), whatever they are.
    pd, version
        PDs that were recorded when the rows were scored, and by which version, shape (n,), NaN
        where they weren't; or None.
    decision
        Decisions that were recorded, shape (n,), or None.
    without
        Rows that no line of the labels is about, shape (n,); or None.
    excluded
        Rows that this look can't judge (n,): another version scored them, or this one learnt
        from them, or a loan's months that count aren't over. None: no such row.
    ends
        The lines of a file of labels, one for each row, as they were written; or None.
    cant
        Why these outcomes can't judge a version, or nothing.
    reference_decisions
        Gives the decisions about the reference's rows, shape (m,).
    """

    y: Floats
    counts: dict[str, Any] = field(default_factory=dict)
    by_calendar: bool = False
    pd: Floats | None = None
    version: Floats | None = None
    decision: NDArray[np.object_] | None = None
    without: Mask | None = None
    excluded: Mask | None = None
    ends: Frame | None = None
    cant: str = ""
    reference_decisions: Callable[[], ArrayLike] | None = None

    @property
    def digest(self) -> str:
        """What names these outcomes, and what was recorded beside them."""
        parts = (self.y, self.pd, self.version, self.excluded)
        digest = hashlib.sha256(b"".join(b"-" if p is None else p.tobytes() for p in parts))
        digest.update(repr(sorted(self.counts.items())).encode())
        return digest.hexdigest()

    @property
    def undeclared(self) -> int:
        """How many outcomes are written in codes that the use case doesn't declare."""
        return sum(self.counts.get("undeclared", {}).values())


def read_labels(
    usecase: UseCase, raw: pd.DataFrame, accepted: pd.DataFrame, path: str | None
) -> Labels | None:
    """Read outcomes from the batch's own target column, or from a file of ids and outcomes.

    Parameters
    ----------
    raw
        The batch as it arrived, shape (n, any).
    accepted
        Rows that the contract accepts, canonical.
    path
        The file; None: the batch itself.

    Returns
    -------
    Labels
        Of the accepted rows; None if there is no outcome column.

    Raises
    ------
    InputRefused
        If the file lacks a column, has two outcomes for one id, or nothing of it fits the batch.
    """
    target = usecase.target.column
    if path is None:
        if target not in raw:
            return None
        given = raw.loc[accepted.index]
        y, counts = tally(usecase, given[target])
        refused = raw[target].drop(accepted.index)
        return Labels(y, counts | _refused(usecase, refused), **_recorded(usecase, given))
    if usecase.id is None or usecase.id not in raw:
        raise InputRefused(
            f"{usecase.name} has no id column to join labels on"
            if usecase.id is None
            else f"the batch has no column {usecase.id!r} to join labels on",
            where=path,
            expected=f"the outcome as the column {target!r} of the batch itself",
        )
    return _joined(usecase, raw, accepted, path)


def tally(usecase: UseCase, cells: pd.Series) -> tuple[Floats, dict[str, Any]]:
    """Read outcomes as the contract does, and count them by kind.

    Returns
    -------
    Outcomes (n,), 1 = bad, 0 = good, NaN where unknown; and the counts ``bad``, ``good``, ``open``,
    ``empty``, and ``undeclared`` by code.
    """
    codes = outcomes(usecase, cells)
    target = usecase.target
    is_bad, is_good = (codes == target.bad).to_numpy(), (codes == target.good).to_numpy()
    is_open = codes.isin(list(target.open)).to_numpy()
    empty = codes.isna().to_numpy()
    others = codes[~(is_bad | is_good | is_open | empty)].value_counts()
    counts = {
        "bad": int(is_bad.sum()),
        "good": int(is_good.sum()),
        "open": int(is_open.sum()),
        "empty": int(empty.sum()),
        "undeclared": {str(code): int(count) for code, count in others.items()},
        "given": int((~empty).sum()),
    }
    return np.where(is_bad, 1.0, np.where(is_good, 0.0, np.nan)), counts


def _refused(usecase: UseCase, cells: pd.Series) -> dict[str, int]:
    """Count outcomes of rows that the contract refused: they are of no use, and told."""
    known = int(np.isfinite(tally(usecase, cells)[0]).sum()) if len(cells) else 0
    return {"of_refused_rows": known}


def _read(usecase: UseCase, path: str, wanted: Mapping[str, Column]) -> pd.DataFrame:
    """Read a file of labels, written as the use case's files are, or as 'score' writes."""

    def read(source: Source) -> pd.DataFrame:
        return pd.concat(list(read_chunks(source, path, columns=wanted)))

    score = usecase.source.model_copy(update=SCORE_WRITES)
    if is_file(score, path):
        with suppress(InputRefused):
            given = read(score)
            if set(wanted) <= set(given):
                return given
    return read(usecase.source)


def _joined(usecase: UseCase, raw: pd.DataFrame, accepted: pd.DataFrame, path: str) -> Labels:
    id, target = str(usecase.id), usecase.target.column
    wanted = {name: usecase.columns[name] for name in (id, target)}
    given = _read(usecase, path, wanted)
    for name in (id, target):
        if name not in given:
            raise InputRefused(
                f"the labels lack the column {name!r}",
                where=path,
                expected=f"columns {id!r} and {target!r}",
            )
    ids = ids_of(usecase, given[id])
    lines = given.assign(**{id: ids, target: outcomes(usecase, given[target])})
    lines = lines[ids.notna()]
    known = _once(usecase, lines, path)
    there = ids_of(usecase, raw[id])
    lost = known.index[~known.index.isin(there)]
    if len(raw) and len(known) and len(lost) == len(known):
        raise InputRefused(
            "no label belongs to the batch",
            where=f"{path}: {len(known):,} labels, such as {id} {lost[0]}: {known[target].iloc[0]}",
            expected=f"ids of the batch, such as {there.iloc[0]}" if len(there) else "",
            do=_alike(lost, there) or "check that the file belongs to this batch",
        )
    mine = accepted[id]
    found = known.reindex(mine)
    y, counts = tally(usecase, found[target])
    without = ~mine.isin(known.index).to_numpy()
    refused = known[known.index.isin(there) & ~known.index.isin(mine)][target]
    counts |= _refused(usecase, refused) | {
        "labels": len(known),
        "labels_without_row": len(lost),
        "rows_without_label": int(without.sum()),
        "empty": counts["empty"] - int(without.sum()),
        "lines_without_id": int(ids.isna().sum()),
        "repeated_lines": len(lines) - len(known),
        "hint": _alike(lost, there),
        "own_not_used": int(raw[target].notna().sum()) if target in raw else 0,
    }
    if not np.isfinite(y).any() and counts["undeclared"]:
        raise InputRefused(
            "no label is an outcome that the use case declares",
            where=f"{path}: {_codes(counts)}",
            expected=f"{usecase.target.bad!r} (bad) or {usecase.target.good!r} (good) as "
            f"{target!r}",
        )
    found.index = accepted.index
    return Labels(y, counts, without=without, ends=found, **_recorded(usecase, found))


def _once(usecase: UseCase, lines: pd.DataFrame, path: str) -> pd.DataFrame:
    """Return one line for each id: a known outcome before an open one, and an open before none."""
    id, target = str(usecase.id), usecase.target.column
    codes = lines[target]
    waits = codes.isin(list(usecase.target.open))
    known = lines[codes.notna() & ~waits]
    again = known[[id, target]].drop_duplicates()
    again = again[again[id].duplicated(keep=False)]
    if len(again):
        first = again[again[id] == again[id].iloc[0]]
        raise InputRefused(
            f"{again[id].nunique():,} ids have contradicting labels",
            where=f"{path}: {id} {first[id].iloc[0]}: {', '.join(first[target].astype(str))}",
            expected="one outcome for each id",
        )
    ordered = pd.concat([known, lines[waits], lines[codes.isna()]])
    return ordered.drop_duplicates(id).set_index(id)


def _alike(lost: pd.Index[Any], there: pd.Series) -> str:
    """Say if ids would fit were they written alike: a spreadsheet drops leading zeros."""

    def plain(ids: pd.Series) -> pd.Series:
        return ids.str.casefold().str.replace(r"[\s_-]|(?<![0-9])0+(?=[0-9])|\.0+$", "", regex=True)

    if not len(lost) or not len(there):
        return ""
    fits = plain(lost.to_series().astype("str")).isin(plain(there.dropna().astype("str")))
    if not fits.any():
        return ""
    return (
        f"{int(fits.sum()):,} would fit but for leading zeros, blanks, dashes or case: write the "
        f"ids alike, such as {there.iloc[0]} for {lost[int(fits.to_numpy().argmax())]}"
    )


def _recorded(usecase: UseCase, table: pd.DataFrame) -> dict[str, Any]:
    """Return what 'score' wrote, where it stands beside the outcomes and is no column of cases."""
    found: dict[str, Any] = {}
    for field_, name in RECORDED.items():
        if name not in table or name in usecase.columns:
            continue
        if field_ == "decision":
            found[field_] = parsing.as_text(table[name]).astype(object).to_numpy()
        else:
            values = parsing.numbers(table[name], usecase.source.missing)[0]
            found[field_] = values.to_numpy(dtype=np.float64)
    return found


def words(labels: Labels | None) -> str:
    """Say in one sentence what the labels are; empty if there are none."""
    if labels is None or not labels.counts:
        return ""
    c = labels.counts
    told = [f"{c['bad']:,} bad, {c['good']:,} good, {c['open']:,} open"]
    told += [f"{c['empty']:,} empty"] * bool(c["empty"])
    told += [f"{labels.undeclared:,} in codes that nobody declared ({_codes(c)})"] * bool(
        labels.undeclared
    )
    told += [f"{c[k]:,} {what}" for k, what in TOLD.items() if c.get(k)]
    if c.get("chance_alike"):
        told.append(
            f"without an id, {c['chance_alike']:.0%} of new cases are like a training row by "
            "chance: which were trained on can't be told, so they are judged"
        )
    if c.get("labels_without_row"):
        told.append(
            f"{c['labels_without_row']:,} of {c['labels']:,} labels belong to no row of the batch"
        )
    return "; ".join(told)


TOLD = {
    "immature": "of loans whose labels aren't mature",
    "undated": "of loans of which it isn't said when they were last paid, so whether they failed "
    "within the months that count",
    "wrong_dates": "dates of the last payment can't be read, or are later than today",
    "rows_without_label": "rows have no label",
    "of_refused_rows": "known outcomes are of refused rows",
    "own_not_used": "outcomes in the batch itself aren't used, since labels are given",
    "lines_without_id": "lines of the labels have no id",
    "repeated_lines": "lines of the labels repeat an id",
    "other_version": "known outcomes are of cases that another version scored, so not judged here",
    "pd_differs": "recorded PDs aren't what this version gives",
    "trained_on": "known outcomes are of cases that this version was trained on, so not judged",
}


def _codes(counts: dict[str, Any]) -> str:
    codes = counts["undeclared"]
    listed = ", ".join(f"{code!r}: {count:,}" for code, count in list(codes.items())[:SHOWN])
    return listed + ", …" * (len(codes) > SHOWN)


def undeclared_finding(usecase: UseCase, labels: Labels) -> list[Finding]:
    """Tell of outcomes in codes that nobody declared; from 0.5 % on that is an alarm."""
    count = labels.undeclared
    if not count:
        return []
    c = labels.counts
    given = c["given"]
    share = count / given
    alarm = count >= FAULT_ROWS and share >= FAULT_SHARE
    target = usecase.target
    return [
        Finding(
            "labels", "undeclared_outcomes", None, "alarm" if alarm else "told",
            "share of the outcomes given", share, FAULT_SHARE, effect=share,
            detail=f"{count:,} of {given:,} outcomes ({share:.1%}) are in codes that nobody "
            f"declared ({_codes(c)}): neither {target.bad!r} (bad) nor {target.good!r} (good)"
            + f" nor {', '.join(map(repr, target.open))} (open)" * bool(target.open),
            alarm=alarm, band=band(share, FAULT_SHARE),
        )
    ]  # fmt: skip


def unmatched_finding(labels: Labels, lacking: int, rows: int) -> list[Finding]:
    """Tell of labels without a row; an alarm where many rows that should have one lack theirs.

    Parameters
    ----------
    lacking, rows
        Rows without a label among those of the decisions that outcomes are known of, and all of
        these. A file that holds further batches' outcomes as well leaves none.
    """
    c = labels.counts
    lost, given = c.get("labels_without_row", 0), c.get("labels", 0)
    if not lost:
        return []
    shares = (lost / given, lacking / max(rows, 1))
    alarm = min(shares) >= UNMATCHED_SHARE
    return [
        Finding(
            "labels", "unmatched_labels", None, "alarm" if alarm else "told",
            "share without a counterpart, the lower of labels and rows", min(shares),
            UNMATCHED_SHARE, effect=min(shares),
            detail=f"{lost:,} of {given:,} labels belong to no row of the batch, and {lacking:,} "
            f"of {rows:,} rows have no label" + f"; {c['hint']}" * bool(c.get("hint")),
            alarm=alarm, band=band(min(shares), UNMATCHED_SHARE),
        )
    ]  # fmt: skip
