"""How one cleaned column becomes columns of the matrix: plans that apply themselves, as JSON.

``riskwright.data.cleaning`` decides the plans and says by which rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.case.usecase import code
from riskwright.errors import InputRefused

FloatArray = npt.NDArray[np.float64]
Block = npt.NDArray[np.float32]
Mode = Literal["standard", "quantile", "raw"]
Cache = dict[str, np.ndarray]

EDGE = 1e38  # about the largest float32; larger numbers count as this
# In brackets, so that a data set may have codes called "other" and "missing".
OTHER, MISSING = "(other)", "(missing)"


@dataclass(frozen=True)
class Flag:
    """A column of zeros and ones: which code it marks, and how it is scaled."""

    code: str
    centre: float = 0.0
    spread: float = 1.0


@dataclass(frozen=True)
class NumberPlan:
    """What is done to one number: ``value`` says whether its own column is kept."""

    name: str
    sentinels: tuple[float, ...] = ()
    flags: tuple[Flag, ...] = ()
    value: bool = True
    fill: float = 0.0
    low: float = 0.0
    high: float = 0.0
    log_unit: float = 0.0
    centre: float = 0.0
    spread: float = 1.0
    knots: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()
    neutral: float | None = None  # what a missing one counts as, where no fitted row was missing

    @property
    def columns(self) -> list[str]:
        """Names of the matrix columns."""
        return [self.name] * self.value + [_flag_name(self.name, f.code) for f in self.flags]

    def write(self, column: pd.Series, block: Block, mode: Mode, cache: Cache) -> None:
        """Write the matrix columns of one canonical column into ``block``, (n, columns)."""
        raw = numbers(column)
        unknown = ~np.isfinite(raw)
        for i, flag in enumerate(self.flags, start=int(self.value)):
            marked = unknown if flag.code == MISSING else raw == float(flag.code)
            block[:, i] = (marked - flag.centre) / flag.spread
        if not self.value:
            return
        if self.neutral is not None:  # a sentinel that fitted rows held keeps its own place
            new, seen = unknown, {flag.code for flag in self.flags}
            for value in self.sentinels:
                new = new if code(value) in seen else new | (raw == value)
            if new.any():
                raw, unknown, cache = np.where(new, self.neutral, raw), unknown & ~new, {}
        for value in self.sentinels:
            unknown = unknown | (raw == value)
        if mode == "raw":
            block[:, 0] = np.clip(raw, -EDGE, EDGE)
            block[unknown, 0] = np.nan
        elif mode == "quantile":
            # In ascending order each value finds its knot beside the last one's: 10 times as fast.
            key = f"order of {self.name}"
            order = cache[key] if key in cache else cache.setdefault(key, np.argsort(raw))
            block[order, 0] = np.interp(raw[order], self.knots, self.scores)
            block[unknown, 0] = 0.0
        else:
            values = np.clip(raw, self.low, self.high)
            values[unknown] = self.fill
            values = signed_log(values, self.log_unit)
            values -= self.centre
            values /= self.spread
            block[:, 0] = values


@dataclass(frozen=True)
class CategoryPlan:
    """What is done to one category."""

    name: str
    flags: tuple[Flag, ...] = ()
    neutral: int = -1  # position of the most frequent code: for what no fitted row held

    @property
    def columns(self) -> list[str]:
        """Names of the matrix columns."""
        return [_flag_name(self.name, f.code) for f in self.flags]

    def write(self, column: pd.Series, block: Block, mode: Mode, cache: Cache) -> None:
        """Write the matrix columns of one canonical column into ``block``, (n, columns)."""
        codes = positions(column, [f.code for f in self.flags])
        codes = np.where(codes < 0, self.neutral, codes)
        for i, flag in enumerate(self.flags):
            block[:, i] = ((codes == i) - flag.centre) / flag.spread


def plan_from_dict(plain: dict[str, Any]) -> NumberPlan | CategoryPlan:
    """Rebuild a plan from its ``dataclasses.asdict``, also after a trip through JSON."""
    flags = tuple(Flag(**f) for f in plain["flags"])
    if "value" not in plain:
        return CategoryPlan(plain["name"], flags, plain.get("neutral", -1))
    lists = {key: tuple(plain[key]) for key in ("sentinels", "knots", "scores")}
    return NumberPlan(**{**plain, **lists, "flags": flags})


def numbers(column: pd.Series) -> FloatArray:
    """Return a canonical number column as float64.

    Raises
    ------
    InputRefused
        If it holds anything else.
    """
    try:
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise InputRefused(
            f"column {column.name!r} holds something that is not a number",
            where=str(error),
            expected="numbers",
        ) from None


def texts(column: pd.Series) -> pd.Series:
    """Return a canonical category column as ``str``.

    Raises
    ------
    InputRefused
        If it holds anything but text: ``1`` and ``1.0`` would become different codes.
    """
    if pd.api.types.is_string_dtype(column.dtype) or column.isna().all():
        return column.astype("str")
    raise InputRefused(
        f"column {column.name!r} is a category but holds {column.dtype}",
        expected="its codes as text",
    )


def positions(column: pd.Series, labels: Sequence[str]) -> npt.NDArray[np.intp]:
    """Position among the labels of each row's code; -1 where there is none.

    Missing goes to ``MISSING`` and an unseen code to ``OTHER``, if these are among the labels.
    """
    spots, distinct = pd.factorize(texts(column))  # a missing value has spot -1: the last
    codes = pd.Index(list(labels), dtype="str").get_indexer(pd.Index(distinct))
    if OTHER in labels:
        codes[codes < 0] = labels.index(OTHER)
    return np.append(codes, labels.index(MISSING) if MISSING in labels else -1)[spots]


def neutral_number(known: FloatArray) -> float:
    """Return where a number goes that no fitted row can tell about: the median of the known."""
    return float(np.median(known))


def neutral_code(codes: pd.Series) -> str:
    """Return where a code goes that no fitted row can tell about: the most frequent one.

    Parameters
    ----------
    codes
        At least one of them known; of equally frequent ones the first by name is taken.
    """
    counts = codes.value_counts()
    return min(str(code) for code in counts.index[counts == counts.max()])


def signed_log(values: FloatArray, unit: float) -> FloatArray:
    """Return ``sign(x) log(1 + |x| / unit)``, or ``x`` itself if the unit is 0."""
    if not unit:
        return values
    shaped = np.abs(values)
    shaped /= unit
    np.log1p(shaped, out=shaped)
    return np.copysign(shaped, values, out=shaped)


def _flag_name(name: str, label: str) -> str:
    return {MISSING: f"{name} missing", OTHER: f"{name} other"}.get(label, f"{name}={label}")
