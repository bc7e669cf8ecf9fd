"""What every figure of a book needs first: arrays of one length, probabilities that are ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from riskwright.errors import InputRefused

FloatArray = npt.NDArray[np.float64]


def probabilities(name: str, values: npt.ArrayLike, rows: int | None = None) -> FloatArray:
    """Return values in [0, 1] as floats, a single one repeated ``rows`` times.

    Raises
    ------
    InputRefused
        If one is missing or outside [0, 1] (a percentage, perhaps), with its row.
    """
    found = _column(name, values, rows)
    bad = np.flatnonzero(~((found >= 0) & (found <= 1)))
    if len(bad):
        raise InputRefused(
            f"{name} is {found[bad[0]]:g}, which is no probability",
            where=f"row {bad[0] + 1} ({len(bad):,} such rows)",
            expected="a number from 0 to 1",
            do="divide percentages by 100",
        )
    return found


def amounts(name: str, values: npt.ArrayLike, rows: int | None = None) -> FloatArray:
    """Return amounts of money from 0 up as floats.

    Raises
    ------
    InputRefused
        If there are none, or one is missing, infinite or negative, with its row.
    """
    found = _column(name, values, rows)
    if not len(found):
        raise InputRefused("the book holds no loan", expected="at least one live loan")
    bad = np.flatnonzero(~((found >= 0) & np.isfinite(found)))
    if len(bad):
        raise InputRefused(
            f"{name} is {found[bad[0]]:g}",
            where=f"row {bad[0] + 1} ({len(bad):,} such rows)",
            expected="an amount of 0 or more",
            do="mend the row, or leave the loan out",
        )
    return found


def confidence_level(value: float) -> float:
    """Return a confidence level inside (0, 1).

    Raises
    ------
    InputRefused
        If it isn't.
    """
    if not 0 < value < 1:
        raise InputRefused(
            f"a confidence of {value:g}",
            expected="a number above 0 and below 1, such as 0.999",
            do="give 0.999 for 99.9 %",
        )
    return float(value)


def _column(name: str, values: npt.ArrayLike, rows: int | None) -> FloatArray:
    found = np.asarray(values, dtype=float)
    if found.ndim == 0 and rows is not None:
        found = np.full(rows, float(found))
    if found.ndim != 1 or (rows is not None and len(found) != rows):
        raise InputRefused(
            f"{name} has the shape {found.shape}",
            expected=f"({rows},): one value for each loan" if rows is not None else "one column",
        )
    return found
