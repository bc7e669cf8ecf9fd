"""Approval rates of the groups of protected columns.

These are reported, with the four-fifths mark of the US Uniform Guidelines (29 CFR 1607.4 D) as a
yardstick, and claim no duty: the disparate-impact rule of Regulation B (ECOA) was removed from
21 July 2026; disparate treatment, state law and EU law remain. Ages are cut where ECOA's
"elderly" begins (62; 12 CFR 1002.2(o)).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from riskwright.case.usecase import Column
from riskwright.errors import InputRefused, closest
from riskwright.stats.estimates import Z, wilson

FOUR_FIFTHS = 0.8
AGE_EDGES = (-np.inf, 25.0, 40.0, 62.0, np.inf)
AGE_BANDS = ("under 25", "25 to 39", "40 to 61", "62 and over")
MISSING = "missing"
COLUMNS = [
    "column",
    "group",
    "n",
    "approved",
    "rate",
    "low",
    "high",
    "ratio",
    "ratio_low",
    "ratio_high",
    "verdict",
]


def approval_ratios(
    frame: pd.DataFrame,
    protected: Mapping[str, Column],
    decision: ArrayLike,
    *,
    min_group: int = 50,
) -> pd.DataFrame:
    """Return each group's approval rate, and its ratio to the most approved group.

    Parameters
    ----------
    frame
        Canonical frame that holds the protected columns, n rows.
    protected
        Name to specification. Categories are grouped by code, ages in bands, other numbers by
        quarter; missing values are a group.
    decision
        ``approve``, ``refer`` or ``decline`` for each row, shape (n,); only ``approve`` counts
        as approved.
    min_group
        Groups of fewer rows get no ratio and the verdict "not enough data".

    Returns
    -------
    DataFrame
        ``column, group, n, approved, rate, low, high`` (Wilson), ``ratio, ratio_low,
        ratio_high`` (interval of the log ratio, Katz et al. 1978, Biometrics 34, 469-474) and
        ``verdict``: "most approved", "at or above four fifths", "below four fifths, within
        chance", "below four fifths", "nobody approved" or "not enough data".

    Raises
    ------
    InputRefused
        If a protected column is not in the frame, or lengths differ.
    """
    decisions = np.asarray(decision)
    if decisions.shape != (len(frame),):
        raise InputRefused(
            f"{len(frame)} rows but decisions of shape {decisions.shape}",
            expected="one decision for each row",
        )
    approved = decisions == "approve"
    parts = []
    for name, column in protected.items():
        if name not in frame:
            raise InputRefused(
                f"the protected column {name!r} is not in the data",
                expected=", ".join(map(str, frame.columns)),
                do=closest(name, frame.columns),
            )
        groups, order = _groups(frame[name], column)
        parts.append(_ratios(name, groups, order, approved, min_group))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def _ratios(
    name: str, groups: np.ndarray, order: list[str], approved: np.ndarray, min_group: int
) -> pd.DataFrame:
    count = pd.Series(approved).groupby(groups).agg(["size", "sum"]).reindex(order)
    n, hits = count["size"].to_numpy(), count["sum"].to_numpy()
    rate = hits / n
    low, high = wilson(hits, n)
    ratio, ratio_low, ratio_high = (np.full(len(n), np.nan) for _ in range(3))
    verdict = np.full(len(n), "not enough data", dtype=object)
    enough = np.flatnonzero(n >= min_group)
    if len(enough):
        best = enough[np.argmax(rate[enough])]
        # Half a count is added where a group has nobody approved: a log ratio needs one.
        a, b = np.maximum(hits, 0.5), max(float(hits[best]), 0.5)
        half = Z * np.sqrt(np.maximum(1 / a - 1 / n + 1 / b - 1 / n[best], 0.0))
        centre = np.log((a / n) / (b / n[best]))
        if hits[best] == 0:
            verdict[enough] = "nobody approved"
        else:
            ratio[enough] = rate[enough] / rate[best]
            ratio_low[enough] = np.minimum(np.exp(centre - half), rate / rate[best])[enough]
            ratio_high[enough] = np.exp(centre + half)[enough]
            verdict[enough] = np.select(
                [ratio[enough] >= FOUR_FIFTHS, ratio_high[enough] >= FOUR_FIFTHS],
                ["at or above four fifths", "below four fifths, within chance"],
                default="below four fifths",
            )
            ratio_low[best] = ratio_high[best] = 1.0
            verdict[best] = "most approved"
    table = (name, order, n, hits, rate, low, high, ratio, ratio_low, ratio_high, verdict)
    return pd.DataFrame(dict(zip(COLUMNS, table, strict=True)))


def _groups(values: pd.Series, column: Column) -> tuple[np.ndarray, list[str]]:
    """Return each row's group in words, and the groups that occur in a sensible order."""
    if not column.numeric:
        text = values.astype(object)
        known = list(column.values)
        words = dict(column.values.items())
        others = sorted({str(v) for v in text.dropna().unique()} - set(known))
        order = [words.get(code, code) for code in [*known, *others]]
        groups = np.array([MISSING if pd.isna(v) else words.get(str(v), str(v)) for v in text])
    else:
        number = values.to_numpy(dtype=np.float64, na_value=np.nan)
        groups = np.full(len(number), MISSING, dtype=object)
        coded = np.zeros(len(number), dtype=bool)
        for sentinel, meaning in column.sentinels.items():
            groups[number == sentinel] = meaning
            coded |= number == sentinel
        plain = ~coded & ~np.isnan(number)
        edges, names = _bands(number[plain], values.name, column)
        groups[plain] = np.array(names)[np.searchsorted(edges[1:-1], number[plain], "right")]
        order = [*names, *column.sentinels.values()]
    occurring = set(groups)
    order = list(dict.fromkeys([*order, MISSING]))
    return groups, [group for group in order if group in occurring]


def _bands(numbers: np.ndarray, name: object, column: Column) -> tuple[list[float], list[str]]:
    if "age" in str(name).lower().split("_") or "age" in column.label.lower().split():
        return list(AGE_EDGES), list(AGE_BANDS)
    quarters = np.unique(np.quantile(numbers, [0.25, 0.5, 0.75])) if len(numbers) else np.empty(0)
    inner = [float(e) for e in quarters if e > numbers.min()]
    names = [f"below {inner[0]:g}"] if inner else ["all"]
    names += [f"{a:g} to below {b:g}" for a, b in pairwise(inner)]
    names += [f"{inner[-1]:g} and over"] if inner else []
    return [-np.inf, *inner, np.inf], names
