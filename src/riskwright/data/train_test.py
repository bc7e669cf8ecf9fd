"""The training and the test part of a clean snapshot, each an immutable snapshot of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from riskwright.case.usecase import UseCase
from riskwright.data import maturity, splits, units
from riskwright.data.contract import target_of
from riskwright.data.units import Mask
from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.store import snapshots
from riskwright.store.snapshots import Snapshot

UNEVEN_TEST = 0.25  # of split.test_share
WINDOWS = (60, 48, 36, 24, 18, 12)  # months that count, tried where a history is too short


def split(usecase: UseCase, clean: Snapshot, home: Home) -> tuple[Snapshot, Snapshot]:
    """Store and return the training and the test part; nothing fitted may read the second.

    Raises
    ------
    InputRefused
        If either part holds too few rows or too few of a class.
    """
    frame = usable(usecase, snapshots.read(clean, home))
    test = splits.test_mask(usecase, frame)
    splits.check_enough(usecase, target_of(usecase, frame), test)
    rule = {"split": usecase.split.model_dump(mode="json"), "naming": units.naming(usecase)}
    parents = (clean.hash,)
    # With a purge, rows just before the test part belong to neither.
    train = splits.train_mask(usecase, frame)
    return (
        snapshots.write(frame[train], home, kind="train", parents=parents, meta=rule),
        snapshots.write(frame[test], home, kind="test", parents=parents, meta=rule),
    )


def kinship(usecase: UseCase, frame: pd.DataFrame) -> dict[str, Any]:
    """Count the rows that tell of each other's outcomes, within the parts and across them.

    Parameters
    ----------
    frame
        (n,) usable canonical rows.

    Returns
    -------
    ``test_rows``; ``twins`` of them are alike in all features with a training row, ``relatives``
    share its ``group`` (None: none is declared); ``alike`` usable rows are alike with another
    one, and those of ``alike_differing`` have seen both outcomes; ``left_out`` rows are in neither
    part because a listed test row is their twin or relative.
    """
    test, train = splits.test_mask(usecase, frame), splits.train_mask(usecase, frame)
    found = units.kin(usecase, frame[test], frame[train])
    same = units.Kinds.of(
        target_of(usecase, frame), units.units(usecase.model_copy(update={"group": None}), frame)
    )
    several = (same.size > 1)[same.unit]
    return {
        "test_rows": int(test.sum()),
        "twins": int(found.twin.sum()),
        "group": usecase.group,
        "relatives": int(found.relative.sum()) if usecase.group else None,
        "alike": int(several.sum()),
        "alike_differing": int((several & (same.kind == 2)[same.unit]).sum()),
        "left_out": 0 if splits.time_ordered(usecase) else int((~test & ~train).sum()),
    }


def divided(usecase: UseCase, frame: pd.DataFrame, ready: pd.DataFrame) -> dict[str, Any]:
    """Return the ``sizes`` of the parts, if parts and folds can be made.

    Parameters
    ----------
    frame
        All clean rows.
    ready
        The ``usable`` ones, (n, k).

    Raises
    ------
    InputRefused
        If there are too few; of a loan book whose history is too short for the months that count
        it says which window would do.
    """
    try:
        splits.check_enough(usecase, target_of(usecase, ready), splits.test_mask(usecase, ready))
        return sizes(usecase, ready)
    except InputRefused as error:
        if usecase.loan is None or len(ready) == len(frame):
            raise
        raise _with_window(usecase, frame, ready, error) from None


def _with_window(
    usecase: UseCase, frame: pd.DataFrame, ready: pd.DataFrame, error: InputRefused
) -> InputRefused:
    """Say the longest ``loan.window_months`` under which a short history can be trained on."""
    held, mine = maturity.loan_of(usecase), frame[of_population(usecase, frame)]
    if mine.empty:
        return error
    most = int(maturity.outcome_months(usecase, mine).max())
    until = maturity.observed_until(usecase, mine)
    age = int(maturity.months_between(mine[str(usecase.time)], until).max())
    what = (
        f"{len(ready):,} of {len(mine):,} loans have a known outcome: it is that of their first "
        f"{most} months, and the oldest loan was seen for {age}; {error.what}"
    )
    for months in (m for m in WINDOWS if m < most):
        loan = held.model_copy(update={"window_months": months})
        other = usecase.model_copy(update={"loan": loan})
        enough = usable(other, mine)
        try:
            divided(other, enough, enough)
        except InputRefused:
            continue
        return InputRefused(
            what,
            where=f"loan.window_months: {held.window_months or 'not set'}",
            expected=error.expected,
            do=f"set loan.window_months: {months} in the use case: then {len(enough):,} loans "
            f"count, {int(target_of(other, enough).sum()):,} of them bad. The PD is then that of a "
            f"default within {months} months; later defaults are still learnt from, for the timing",
        )
    least = f"not even loan.window_months: {WINDOWS[-1]} would leave enough"
    return InputRefused(
        what, where=error.where, expected=error.expected, do=f"bring a longer history: {least}"
    )


def sizes(usecase: UseCase, frame: pd.DataFrame) -> dict[str, Any]:
    """Count the rows of the parts, beside what was asked for.

    Parameters
    ----------
    frame
        (n,) usable canonical rows, which ``splits.folds`` can divide.

    Returns
    -------
    ``rows``, ``test_rows``, ``train_rows``; ``share`` of the test part and ``planned``; rows of
    each fold's validation part in ``folds``; ``units`` of rows that stay together.
    """
    test, train = splits.test_mask(usecase, frame), splits.train_mask(usecase, frame)
    learnt = frame[train]
    parts = splits.folds(usecase, learnt, target_of(usecase, learnt))
    return {
        "rows": len(frame),
        "test_rows": int(test.sum()),
        "train_rows": int(train.sum()),
        "share": float(test.mean()),
        "planned": usecase.split.test_share,
        "folds": [len(validation) for _, validation in parts],
        "units": int(units.units(usecase, frame).max(initial=-1)) + 1,
    }


def uneven(usecase: UseCase, counted: dict[str, Any]) -> list[str]:
    """Say of ``sizes`` which parts are far from what was asked for.

    The test part: a difference beyond a quarter of its share and beyond what separate rows would
    show by chance (three standard errors). Folds: one of less than half, or more than twice, an
    even share.
    """
    split, n = usecase.split, counted["rows"]
    why = (
        "whole dates stay together"
        if splits.time_ordered(usecase)
        else f"{n:,} rows are {counted['units']:,} units, each in one part (rows alike in all "
        "features, or of one group)"
    )
    said = []
    off = abs(counted["share"] - counted["planned"])
    chance = 3 * (counted["planned"] * (1 - counted["planned"]) / n) ** 0.5
    fixed = split.kind == "file" or split.test_from is not None
    if not fixed and off > max(UNEVEN_TEST * counted["planned"], chance):
        said.append(
            f"the test part is {counted['test_rows']:,} of {n:,} rows ({counted['share']:.1%}), "
            f"where split.test_share is {counted['planned']:.0%}: {why}"
        )
    even = sum(counted["folds"]) / len(counted["folds"])
    least, most = min(counted["folds"]), max(counted["folds"])
    if least < even / 2 or most > 2 * even:
        said.append(f"folds of {least:,} to {most:,} rows, where {even:,.0f} would be even: {why}")
    return said


def told(usecase: UseCase, counts: dict[str, Any]) -> list[str]:
    """Say of ``kinship`` what a person should know."""
    said = []
    if counts["alike_differing"]:
        said.append(
            f"{counts['alike_differing']:,} rows are alike in all features with one of the other "
            "outcome: "
            + ("a split in time may part them" if splits.time_ordered(usecase) else
               "they stay in one part and in one fold")
        )  # fmt: skip
    if counts["twins"] or counts["relatives"]:
        said.append(
            f"{counts['twins']:,} of {counts['test_rows']:,} test rows have a twin (alike in all "
            "features) in training"
            + (f", {counts['relatives']:,} a relative (same {usecase.group})"
               if usecase.group else "")
            + ": its figures flatter what the model does for cases that it knows nothing of"
        )  # fmt: skip
    if counts["left_out"]:
        said.append(
            f"{counts['left_out']:,} rows are in no part: they have a twin or a relative among the "
            "listed test rows"
        )
    return said


def unused(usecase: UseCase, frame: pd.DataFrame, ready: pd.DataFrame) -> list[str]:
    """Say which loans are in no part, and why; of other use cases nothing.

    Parameters
    ----------
    frame, ready
        All clean rows, and the ``usable`` ones.
    """
    if usecase.loan is None:
        return []
    mine, until = of_population(usecase, frame), maturity.observed_until(usecase, frame)
    said, others = [], int((~mine).sum())
    lost = mine & maturity.silent(usecase, frame) & maturity.ripe(usecase, frame, until)
    if waiting := int(mine.sum()) - len(ready) - int(lost.sum()):
        said.append(
            f"{waiting:,} loans are not mature yet: in no training and no test part; "
            "their term, or the months that count (loan.window_months), isn't over"
        )
    if lost.any():
        said.append(
            f"{int(lost.sum()):,} loans are called open, but were last paid so early that they "
            "would be in default by loan.grace_months: what became of them isn't known, so they "
            "are in no training and no test part"
        )
    failed = frame[usecase.target.column] == usecase.target.bad
    if undated := int((mine & (failed & frame[usecase.loan.closed].isna()).to_numpy()).sum()):
        said.append(
            f"{undated:,} of {int((mine & failed.to_numpy()).sum()):,} loans that failed have no "
            f"date in {usecase.loan.closed!r}: they count as never paid, in default after "
            f"{usecase.loan.grace_months} months"
        )
    if others and usecase.loan.population is not None:
        usual = ", ".join(f"{k} = {v}" for k, v in usecase.loan.population.items())
        said.append(
            f"{others:,} loans are of another population than {usual}: in no training and no test "
            "part, but scored and valued"
        )
    return said


def usable(usecase: UseCase, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows to train and test on: of a loan book, its population's mature loans."""
    if usecase.loan is None:
        return frame
    mature = maturity.mature(usecase, frame, maturity.observed_until(usecase, frame))
    return frame[mature & of_population(usecase, frame)]


def of_population(usecase: UseCase, frame: pd.DataFrame) -> Mask:
    """Return which rows belong to the population that is trained on; all if none is named."""
    wanted = (usecase.loan.population if usecase.loan else None) or {}
    mask = np.ones(len(frame), dtype=bool)
    for name, value in wanted.items():
        mask &= frame[name].isin([value]).to_numpy(dtype=bool)
    return mask
