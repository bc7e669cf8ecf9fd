"""What changed the expected loss since the last report, in money, step by step."""

from __future__ import annotations

import numpy as np
import pandas as pd

from riskwright.errors import InputRefused

STEPS = ("volume", "mix", "pd", "lgd", "status")


def waterfall(before: pd.DataFrame, after: pd.DataFrame) -> pd.Series:
    """Explain the change of expected loss between two reports.

    One thing changes at a time, in the order of ``STEPS``: the size of the book at the old mix and
    the old rates; its mix over segments at the old rates; then, at today's exposures, PD, LGD and
    the overlay of the model's status. A segment that is new takes today's rates, so its loss is
    mix.

    Parameters
    ----------
    before, after
        By segment: ``ead``, ``pd`` and ``lgd`` (so that EL = ead x pd x lgd) and ``overlay``, the
        money on top.

    Returns
    -------
    Series
        ``before``, each of ``STEPS``, ``after``: the steps sum to after - before.

    Raises
    ------
    InputRefused
        If a segment is there twice, or one of the books is empty.
    """
    for name, table in (("before", before), ("after", after)):
        if not table.index.is_unique or table["ead"].sum() <= 0:
            raise InputRefused(
                f"the book {name} can't be compared",
                expected="each segment once, and an exposure above 0",
            )
    names = before.index.union(after.index)
    old, new = before.reindex(names), after.reindex(names)
    for table in (old, new):
        table[["ead", "overlay"]] = table[["ead", "overlay"]].fillna(0.0)
    old[["pd", "lgd"]] = old[["pd", "lgd"]].fillna(new[["pd", "lgd"]])
    new[["pd", "lgd"]] = new[["pd", "lgd"]].fillna(old[["pd", "lgd"]])
    growth = new["ead"].sum() / old["ead"].sum()
    levels = np.array(
        [
            _loss(old["ead"], old["pd"], old["lgd"]),
            _loss(old["ead"] * growth, old["pd"], old["lgd"]),
            _loss(new["ead"], old["pd"], old["lgd"]),
            _loss(new["ead"], new["pd"], old["lgd"]),
            _loss(new["ead"], new["pd"], new["lgd"]),
        ]
    )
    moved = [*np.diff(levels), new["overlay"].sum() - old["overlay"].sum()]
    start = levels[0] + old["overlay"].sum()
    end = levels[-1] + new["overlay"].sum()
    return pd.Series([start, *moved, end], index=["before", *STEPS, "after"], name="expected loss")


def _loss(ead: pd.Series, pd_: pd.Series, lgd: pd.Series) -> float:
    return float((ead * pd_ * lgd).sum())
