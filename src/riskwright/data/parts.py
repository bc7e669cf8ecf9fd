"""The training and the test part of a clean snapshot, each an immutable snapshot of its own."""

from __future__ import annotations

import pandas as pd

from riskwright.data import maturity, snapshots, splits
from riskwright.data.contract import target_of
from riskwright.data.snapshots import Snapshot
from riskwright.home import Home
from riskwright.usecase import UseCase


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
    rule = {"split": usecase.split.model_dump(mode="json")}
    parents = (clean.hash,)
    # With a purge, rows just before the test part belong to neither.
    train = splits.train_mask(usecase, frame)
    return (
        snapshots.write(frame[train], home, kind="train", parents=parents, meta=rule),
        snapshots.write(frame[test], home, kind="test", parents=parents, meta=rule),
    )


def usable(usecase: UseCase, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose outcome may be used: of a loan book, the mature ones."""
    if usecase.loan is None:
        return frame
    return frame[maturity.mature(usecase, frame, maturity.observed_until(usecase, frame))]
