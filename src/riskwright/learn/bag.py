"""A bag: the same family fitted in each fold, averaged in log-odds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.case.usecase import FeatureSchema
from riskwright.learn.base import Cache, FloatArray, PDFamily
from riskwright.learn.families import load_family, make_family
from riskwright.learn.saved import reading

Index = npt.NDArray[np.intp]


class Bag:
    """Members of one family whose margins are averaged.

    Parameters
    ----------
    name
        The family's name.
    members
        Fitted families.
    """

    def __init__(self, name: str, members: Sequence[PDFamily]) -> None:
        self.name, self.members = name, list(members)

    def member_margins(self, X: pd.DataFrame, cache: Cache | None = None) -> FloatArray:
        """Return each member's log-odds, shape (members, n)."""
        cache = {} if cache is None else cache
        return np.stack([member.margin(X, cache) for member in self.members])

    def margin(self, X: pd.DataFrame, cache: Cache | None = None) -> FloatArray:
        """Return the mean log-odds, shape (n,)."""
        return np.asarray(self.member_margins(X, cache).mean(axis=0))

    def contributions(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return the mean contributions; each row sums to the bag's margin."""
        total = self.members[0].contributions(X)
        for member in self.members[1:]:
            total += member.contributions(X)
        return total / len(self.members)

    def save(self, folder: Path) -> None:
        """Write every member, without pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        for i, member in enumerate(self.members):
            member.save(folder / f"member_{i}")
        plain = {"family": self.name, "members": len(self.members)}
        (folder / "bag.json").write_text(json.dumps(plain), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read back what ``save`` wrote.

        Raises
        ------
        IntegrityError
            If a file is missing or broken.
        """
        with reading("bag", folder):
            plain = json.loads((folder / "bag.json").read_text(encoding="utf-8"))
            name, count = plain["family"], int(plain["members"])
            return cls(name, [load_family(name, folder / f"member_{i}") for i in range(count)])


def _blocks(folds: Sequence[tuple[Index, Index]], rows: int) -> npt.NDArray[np.int_]:
    """In which link of the chain a row is left out, from 1; 0 if in none. Shape (rows,)."""
    block = np.zeros(rows, dtype=int)
    for number, (_, validation) in enumerate(folds, start=1):
        block[validation] = number
    return block


def fit_bag(
    name: str,
    schema: FeatureSchema,
    X: pd.DataFrame,
    y: npt.NDArray[np.int8],
    folds: Sequence[tuple[Index, Index]],
    *,
    seed: int,
    params: dict[str, Any],
    time_ordered: bool = False,
    groups: Index | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[Bag, FloatArray]:
    """Fit a family in each fold and keep what it says of the rows left out.

    Without time the bag is the fold models themselves. With time the early links of the chain
    have seen little, so one refit on all training rows is deployed; its out-of-fold margins, those
    of the chain, are then a little worse than it is. Each fit then gets its rows block by block,
    oldest first (within a block as they stand), since families cut the last rows off to stop
    early.

    Parameters
    ----------
    folds
        Positions of training and validation rows.
    groups
        Rows that belong together, shape (n,), for what families hold out.
    progress
        Called with the fraction done.

    Returns
    -------
    tuple
        The bag, and the out-of-fold margins, shape (n,), NaN where no fold predicts.
    """
    fits = len(folds) + time_ordered
    block = _blocks(folds, len(X)) if time_ordered else np.zeros(len(X), dtype=int)
    oof = np.full(len(X), np.nan)
    members: list[PDFamily] = []

    def fit(number: int, rows: Index) -> PDFamily:
        rows = rows[np.argsort(block[rows], kind="stable")]

        def told(fraction: float) -> None:
            if progress is not None:
                progress((number + fraction) / fits)

        model = make_family(name, schema, seed + number, params, time_ordered=time_ordered)
        mine = None if groups is None else groups[rows]
        return model.fit(X.iloc[rows], y[rows], groups=mine, progress=told)

    for number, (train, validation) in enumerate(folds):
        member = fit(number, train)
        oof[validation] = member.margin(X.iloc[validation])
        members.append(member)
    if time_ordered:
        members = [fit(len(folds), np.arange(len(X)))]
    if progress is not None:
        progress(1.0)
    return Bag(name, members), oof
