"""The bins of a scorecard: cut, counted and weighed, feature by feature."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.case.usecase import Feature, code
from riskwright.data.encoding import (
    MISSING,
    OTHER,
    neutral_code,
    neutral_number,
    numbers,
    texts,
)

PRIOR_ROWS = 10.0  # of average bad rate, added to each bin: a small bin must not shout
MAX_PREBINS = 20
LEAST_SHARE = 0.02  # of the rows, in a first cut
LEAST_ROWS = 30

Bins = npt.NDArray[np.intp]


@dataclass
class Card:
    """The bins of one feature, and their points.

    The value bins come first: ``[-inf, splits[0])``, ``[splits[0], splits[1])``, …, or groups of
    codes. Then one for each sentinel, one for unseen codes if no group has the pooled rare ones,
    one for missing.
    """

    name: str
    kind: str
    splits: list[float]
    groups: dict[str, int]
    sentinels: list[float]
    labels: list[str]
    rows: list[int]
    bad: list[int]
    woe: list[float]
    points: list[float]

    def find(self, column: pd.Series) -> Bins:
        """Return the bin of each value, shape (n,)."""
        missing = len(self.labels) - 1
        if self.kind == "category":
            codes = pd.Index(list(self.groups), dtype="str").get_indexer(pd.Index(texts(column)))
            # One more, for position -1: an unseen code goes to the bin of the pooled rare ones.
            group = np.array([*self.groups.values(), self.groups.get(OTHER, missing - 1)])
            found: Bins = group[codes]
            found[column.isna().to_numpy()] = missing
            return found
        raw = numbers(column)
        found = np.searchsorted(self.splits, raw, side="right")
        for i, value in enumerate(self.sentinels, start=len(self.splits) + 1):
            found[raw == value] = i
        found[~np.isfinite(raw)] = missing
        return found


def cut(feature: Feature, column: pd.Series, y: npt.NDArray[np.int8]) -> Card:
    """Decide the bins of one feature."""
    card = Card(feature.name, feature.kind, [], {}, [], [], [], [], [], [])
    if feature.kind == "category":
        meaning = {**dict(feature.values), OTHER: "other codes"}
        known = column.notna().to_numpy()
        codes = texts(column)[known].to_numpy(dtype=object)
        counts = pd.Series(codes, dtype="str").value_counts()
        rare = set(counts.index[counts < min(LEAST_ROWS, max(10, len(column) // 100))])
        codes = np.array([OTHER if c in rare else str(c) for c in codes], dtype=object)
        groups = _solve(feature, codes, y[known])
        card.groups = {str(c): i for i, group in enumerate(groups) for c in group}
        if rare:
            card.groups |= {str(c): card.groups[OTHER] for c in sorted(rare)}
        card.labels = [" or ".join(meaning.get(str(c), str(c)) for c in g) for g in groups]
        card.labels += [] if rare else ["unseen code"]
    else:
        raw = numbers(column)
        card.sentinels = [value for value, _ in feature.sentinels]
        known = np.isfinite(raw) & ~np.isin(raw, card.sentinels)
        card.splits = [float(s) for s in _solve(feature, raw[known], y[known])]
        edges = [f"{s:.6g}" for s in card.splits]
        card.labels = [
            f"below {edges[0]}" if edges else "any",
            *(f"{a} to below {b}" for a, b in pairwise(edges)),
            *([f"{edges[-1]} and above"] if edges else []),
            *(f"{code(value)}: {words}" for value, words in feature.sentinels),
        ]
    card.labels += [MISSING.strip("()")]
    return card


def _solve(feature: Feature, values: npt.NDArray[Any], y: npt.NDArray[np.int8]) -> list[Any]:
    """Return optbinning's cuts of a number, or groups of codes of a category.

    optbinning merges what holds one class alone, with whichever neighbour: guillermo-navas-palencia
    /optbinning#258. A code without bads, or without goods, is therefore a group of its own, and a
    first cut without them gets one more row, of the other class, while the cuts are chosen.
    """
    distinct = pd.unique(values)
    if feature.kind == "category":
        bads = pd.Series(y).groupby(values).mean()
        pure = {rate: sorted(bads.index[bads == rate]) for rate in (0, 1)}
        mixed = ~np.isin(values, pure[0] + pure[1])
        groups = _groups(feature, values[mixed], y[mixed])
        return [[c] for c in pure[0]] + groups + [[c] for c in pure[1]]
    if len(distinct) < 2 or len(np.unique(y)) < 2:
        return []
    from optbinning.binning.prebinning import PreBinning

    least = int(np.ceil(_least_share(len(values)) * len(values)))
    cuts = PreBinning("classification", "cart", MAX_PREBINS, least)
    splits = np.asarray(cuts.fit(values, y, np.ones(len(values))).splits)
    where = np.searchsorted(splits, values, side="right")
    for part in range(len(splits) + 1):
        inside = np.flatnonzero(where == part)
        if len(inside) and y[inside].min() == y[inside].max():
            values = np.append(values, values[inside[0]])
            y = np.append(y, 1 - y[inside[0]])
    if not len(splits):
        return []
    from optbinning import OptimalBinning

    binning = OptimalBinning(
        name=feature.name,
        monotonic_trend={1: "ascending", -1: "descending", 0: "auto"}[feature.direction],
        user_splits=splits,
        time_limit=30,
    ).fit(values, y)
    return list(binning.splits)


def _groups(feature: Feature, codes: npt.NDArray[Any], y: npt.NDArray[np.int8]) -> list[list[Any]]:
    """Return optbinning's groups of codes, each of which has both goods and bads."""
    distinct = pd.unique(codes)
    if len(distinct) < 2:
        return [[c] for c in distinct]
    from optbinning import OptimalBinning

    binning = OptimalBinning(
        name=feature.name,
        dtype="categorical",
        monotonic_trend=None,
        max_n_prebins=MAX_PREBINS,
        min_prebin_size=_least_share(len(codes)),
        time_limit=30,
    ).fit(codes, y)
    return [list(group) for group in binning.splits]


def _least_share(rows: int) -> float:
    """Least share of the rows in a first cut."""
    return max(LEAST_SHARE, min(0.1, LEAST_ROWS / rows))


def fill_empty(card: Card, column: pd.Series) -> None:
    """Give bins without rows (missing, a sentinel, an unseen code) the neutral place's points.

    Else what was never seen would be scored by the prior alone.
    """
    if card.kind == "category":
        usual: Any = neutral_code(texts(column)) if column.notna().any() else None
        place = pd.Series([usual], dtype="str", name=card.name)
    else:
        raw = numbers(column)
        known = raw[np.isfinite(raw) & ~np.isin(raw, card.sentinels)]
        place = pd.Series([neutral_number(known) if len(known) else np.nan], name=card.name)
    at = int(card.find(place)[0])
    for i, rows in enumerate(card.rows):
        if rows == 0:
            card.points[i], card.woe[i] = card.points[at], card.woe[at]


def weigh(card: Card, found: Bins, y: npt.NDArray[np.int8], direction: int) -> None:
    """Count the rows of each bin and set its weight of evidence: log-odds beside the average's."""
    k = len(card.labels)
    rate = float(y.mean())
    rows = np.bincount(found, minlength=k)
    bad = np.bincount(found, weights=y, minlength=k)
    odds = (bad + PRIOR_ROWS * rate) / (rows - bad + PRIOR_ROWS * (1 - rate))
    woe = np.log(odds) - np.log(rate / (1 - rate))
    if direction:  # the added rows weigh more in a small bin, and could turn two near ones round
        values = slice(len(card.splits) + 1)
        woe[values] = direction * np.maximum.accumulate(direction * woe[values])
    card.rows, card.bad, card.woe = rows.tolist(), bad.astype(int).tolist(), woe.tolist()
