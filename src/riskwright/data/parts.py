"""The training and the test part of a clean snapshot, each an immutable snapshot of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd

from riskwright.data import maturity, snapshots, splits
from riskwright.data.contract import target_of
from riskwright.data.snapshots import Snapshot
from riskwright.data.splits import Mask
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
