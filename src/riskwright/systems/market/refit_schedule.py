"""The refit schedule of a walk-forward: what may be learnt from at each origin, when to learn.

A family is fitted at the start of each of its refit cycles. These follow the calendar (a year's
begins in December), so that a forecast doesn't depend on where a walk starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from riskwright.data.splits import trainable
from riskwright.errors import InputRefused, closest
from riskwright.systems.market.families import Family, Params, frame_of
from riskwright.systems.market.learnt import FloatArray, IntArray
from riskwright.systems.market.panel import Panel

DECEMBER = 11  # of 1970, as a count of months: where cycles of every length begin
TUNING = 12  # months between two choices of hyper-parameters
PIECES = 16  # jobs that the years of a family are cut into

Job = tuple[Family, IntArray]


@dataclass(frozen=True)
class RefitSchedule:
    """The rows of a panel, and the rules by which families learn from them.

    Attributes
    ----------
    X
        Every origin of the panel, shape (n, k): its predictors.
    steps
        With the steps of the sequences beside them; None if there are none.
    y
        The realised return, NaN where it is unknown, shape (n,).
    month, known
        Month of the origin, and month in which the return was over and known (and the embargo
        past), as counts of months, shape (n,).
    min_train, window, seed
        As in ``walk``.
    cuts
        Frames that were cut before: views, since to cut one takes longer than to fit a line.
    """

    X: pd.DataFrame
    steps: pd.DataFrame | None
    y: FloatArray
    month: IntArray
    known: IntArray
    min_train: int
    window: int | None
    seed: int
    cuts: dict[tuple[bool, int, int], pd.DataFrame] = field(default_factory=dict, repr=False)

    def past(self, family: Family, position: int) -> dict[str, Any]:
        """Return what a family may learn from at an origin, as its ``fit`` takes it."""
        rows = _span(self._usable(position))
        return {"X": self._cut(family, rows), "y": self.y[rows], "known": self.known[rows]}

    def now(self, family: Family, positions: IntArray) -> pd.DataFrame:
        """Return what a family reads at some origins."""
        return self._cut(family, _span(positions))

    def _cut(self, family: Family, rows: IntArray | slice) -> pd.DataFrame:
        """Return rows of what a family reads; families that stand at one origin share a view."""
        read = self.steps if family.sequences and self.steps is not None else self.X
        if not isinstance(rows, slice):
            return read.iloc[rows]
        key = (read is self.X, rows.start, rows.stop)
        if key not in self.cuts:
            self.cuts[key] = read.iloc[rows]
        return self.cuts[key]

    @cached_property
    def first(self) -> int:
        """Position of the first origin with enough rows to learn from; past the end if none has."""
        count = len(self.y)
        enough = (p for p in range(count) if len(self._usable(p)) >= self.min_train)
        return next(enough, count)

    def fits(self, family: Family, positions: IntArray) -> Iterator[tuple[IntArray, Family]]:
        """Fit a family for some origins, as late as its schedule says.

        Yields
        ------
        tuple
            Which of the positions one fit serves (increasing, shape (m,)), and the fitted family.
        """
        params: Params = {}
        tuned = -1
        starts = self._starts(positions, family.refit)
        for start in np.unique(starts):
            year = int(self._starts(np.array([start]), max(TUNING, family.refit))[0])
            if year != tuned:
                once = family.changed(seed=self._seed(year))
                params, tuned = once.choose(**self.past(family, year)), year
            fresh = family.changed(seed=self._seed(int(start)), **params)
            yield positions[starts == start], fresh.fit(**self.past(family, int(start)))

    def forecast(self, family: Family, positions: IntArray) -> FloatArray:
        """Return a family's forecasts at some origins, shape (m,)."""
        return np.concatenate(
            [fit.predict(self.now(family, here)) for here, fit in self.fits(family, positions)]
        )

    def jobs(self, family: Family, positions: IntArray) -> list[Job]:
        """Cut a family's origins into jobs of whole tuning and refit cycles."""
        starts = self._starts(positions, max(TUNING, family.refit))
        borders = np.flatnonzero(np.diff(starts)) + 1
        cycles = np.split(positions, borders)
        pieces = np.array_split(np.arange(len(cycles)), min(PIECES, len(cycles)))
        return [(family, np.concatenate([cycles[i] for i in piece])) for piece in pieces]

    def _starts(self, positions: IntArray, cycle: int) -> IntArray:
        """Return where each origin's cycle starts: its first origin with enough rows."""
        at = self.month
        begins = DECEMBER + (at[positions] - DECEMBER) // cycle * cycle
        return np.maximum(np.searchsorted(at, begins), self.first)

    def _usable(self, position: int) -> IntArray:
        """Return the positions of the rows that may be learnt from at an origin."""
        start = int(self.month[position]) + 1
        known = trainable(self.known, start) & np.isfinite(self.y)
        rows = np.flatnonzero(known)
        return rows if self.window is None else rows[-self.window :]

    def _seed(self, position: int) -> int:
        return self.seed + 12 * 1970 + int(self.month[position])


def make_schedule(
    panel: Panel,
    model: str,
    *,
    min_train: int = 360,
    window: int | None = None,
    embargo: int = 0,
    seed: int = 0,
) -> RefitSchedule:
    """Return a panel's rows for one target, and the rules of a walk.

    Raises
    ------
    InputRefused
        If the target is unknown or a number of months can't be one.
    """
    if model not in panel.targets:
        raise InputRefused(
            f"the panel has no target {model!r}",
            expected=f"one of {', '.join(panel.targets)}",
            do=closest(model, panel.targets),
        )
    for name, value, least in (
        ("min_train", min_train, 1),
        ("embargo", embargo, 0),
        ("window", min_train if window is None else window, min_train),
    ):
        if value < least:
            raise InputRefused(f"{name} is {value}", expected=f"at least {least} months")
    index = panel.X.index
    X = pd.DataFrame(panel.X.to_numpy(dtype=float), index, panel.X.columns)
    known = panel.known_at[model].reindex(index)
    return RefitSchedule(
        X=X,
        steps=None if panel.sequences is None else frame_of(panel.schema, X, panel.sequences),
        y=panel.targets[model].reindex(index).to_numpy(dtype=float),
        month=months(index),
        known=months(known) + embargo,
        min_train=min_train,
        window=window,
        seed=seed,
    )


def months(periods: pd.Series | pd.Index) -> IntArray:
    """Return periods as counts of months since January 1970."""
    return np.asarray(pd.PeriodIndex(periods, freq="M").astype("int64"), dtype=np.int64)


def _span(rows: IntArray) -> IntArray | slice:
    """Return rows without a gap as a slice: a frame is cut by one in a tenth of the time."""
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows
