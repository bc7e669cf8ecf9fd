"""The training and the test part of a clean snapshot, each an immutable snapshot of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from riskwright.data import maturity, snapshots, splits, units
from riskwright.data.contract import target_of
from riskwright.data.snapshots import Snapshot
from riskwright.data.units import Mask
from riskwright.home import Home
from riskwright.usecase import UseCase

UNEVEN_TEST = 0.25  # of split.test_share


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
