"""The refit schedule of a walk-forward: what may be learnt from at each origin, when to learn.

A family is fitted at the start of each of its refit cycles. These follow the calendar (a year's
begins in December), so that a forecast doesn't depend on where a walk starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.data.splits import trainable
from riskwright.errors import InputRefused, closest
from riskwright.systems.market.families import Family, Fitted, FloatArray, IntArray, Params, Past
from riskwright.systems.market.panel import Panel

DECEMBER = 11  # of 1970, as a count of months: where cycles of every length begin
TUNING = 12  # months between two choices of hyper-parameters
PIECES = 16  # jobs that the years of a family are cut into

Job = tuple[Family, IntArray]


@dataclass(frozen=True)
class RefitSchedule:
    """The rows of a panel as arrays, and the rules by which families learn from them.

    Attributes
    ----------
    rows
        Every origin of the panel, the realised return NaN where it is unknown.
    min_train, window, seed
        As in ``walk``.
    """

    rows: Past
    min_train: int
    window: int | None
    seed: int

    def past(self, family: Family, position: int) -> Past:
        """Return the rows that a family may learn from at an origin, with what it reads."""
        rows = self.rows if family.sequences else replace(self.rows, sequences=None)
        return rows.take(self._usable(position))

    def now(self, positions: IntArray) -> tuple[FloatArray, npt.NDArray[np.floating] | None]:
        """Return predictors and sequences at some origins."""
        steps = self.rows.sequences
        return self.rows.X[positions], None if steps is None else steps[positions]

    @cached_property
    def first(self) -> int:
        """Position of the first origin with enough rows to learn from; past the end if none has."""
        count = len(self.rows.y)
        enough = (p for p in range(count) if len(self._usable(p)) >= self.min_train)
        return next(enough, count)

    def fits(self, family: Family, positions: IntArray) -> Iterator[tuple[IntArray, Fitted]]:
        """Fit a family for some origins, as late as its schedule says.

        Yields
        ------
        tuple
            Which of the positions one fit serves (increasing, shape (m,)), and the fit.
        """
        params: Params = {}
        tuned = -1
        starts = self._starts(positions, family.refit)
        for start in np.unique(starts):
            year = int(self._starts(np.array([start]), max(TUNING, family.refit))[0])
            if year != tuned:
                params, tuned = family.choose(self.past(family, year), self._seed(year)), year
            fitted = family.fit(self.past(family, int(start)), params, self._seed(int(start)))
            yield positions[starts == start], fitted

    def forecast(self, family: Family, positions: IntArray) -> FloatArray:
        """Return a family's forecasts at some origins, shape (m,)."""
        return np.concatenate(
            [fitted.forecast(*self.now(here)) for here, fitted in self.fits(family, positions)]
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
        at = self.rows.month
        begins = DECEMBER + (at[positions] - DECEMBER) // cycle * cycle
        return np.maximum(np.searchsorted(at, begins), self.first)

    def _usable(self, position: int) -> IntArray:
        """Return the positions of the rows that may be learnt from at an origin."""
        start = int(self.rows.month[position]) + 1
        known = trainable(self.rows.known, start) & np.isfinite(self.rows.y)
        rows = np.flatnonzero(known)
        return rows if self.window is None else rows[-self.window :]

    def _seed(self, position: int) -> int:
        return self.seed + 12 * 1970 + int(self.rows.month[position])


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
    known = panel.known_at[model].reindex(index)
    rows = Past(
        X=panel.X.to_numpy(dtype=float),
        y=panel.targets[model].reindex(index).to_numpy(dtype=float),
        sequences=panel.sequences,
        signs=np.array([panel.signs.get(name, 0) for name in panel.X.columns]),
        month=months(index),
        known=months(known) + embargo,
    )
    return RefitSchedule(rows, min_train, window, seed)


def months(periods: pd.Series | pd.Index) -> IntArray:
    """Return periods as counts of months since January 1970."""
    return np.asarray(pd.PeriodIndex(periods, freq="M").astype("int64"), dtype=np.int64)
