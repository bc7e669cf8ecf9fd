"""Scorecard: a points table that people can read, and that is the model itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from riskwright.data.cleaning import check_columns
from riskwright.data.encoding import (
    MISSING,
    OTHER,
    neutral_code,
    neutral_number,
    numbers,
    texts,
)
from riskwright.data.units import Index
from riskwright.models.base import Cache, FloatArray, PDFamily, Progress, by_feature
from riskwright.usecase import Feature, FeatureSchema, code

# Scale of the points: 600 at odds of 50 good to 1 bad, 20 more points double the odds.
DOUBLE_ODDS, BASE_POINTS, BASE_ODDS = 20.0, 600.0, 50.0
FACTOR = DOUBLE_ODDS / np.log(2)
OFFSET = BASE_POINTS - FACTOR * np.log(BASE_ODDS)
DECIMALS = 2  # of the points: the printed card and the deployed score are the same numbers

PRIOR_ROWS = 10.0  # of average bad rate, added to each bin: a small bin must not shout
LEAST_POINTS = 5.0  # between the best and the worst bin of a feature, to be on the card
LEEWAY = 0.1  # in log-odds: how far a bin may stray from its weight of evidence, by standard dev.
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


class Scorecard(PDFamily):
    """Weight-of-evidence bins, a logistic regression on them, points rounded to 0.01.

    Each number is cut by optbinning (a tree's cuts, merged to the most information value that
    the trend allows: the declared direction, else any with at most one turn). Each code group,
    sentinel and missing has its own bin, and so has a code without bads, or without goods. A
    bin's weight of evidence is its log-odds of being bad beside the average. A bin that no fitted
    row falls into has the points of the median's, or of the most frequent code's.

    Each feature has one weight, with an L2 penalty and never below 0: a negative one would turn
    its evidence round. Each bin may stray from weight times evidence as far as many rows ask for
    it (a normal prior with standard deviation 0.1 in log-odds), since features overlap. A feature
    with a declared direction doesn't stray: its points run that way. A feature whose points
    differ by less than 5 is left off, and the rest is fitted again.

    Parameters
    ----------
    schema
        The features, their sentinels and directions.
    seed
        Not used: the same rows give the same card.
    C
        Inverse strength of the penalty, as in scikit-learn.
    """

    name = "scorecard"

    def __init__(self, schema: FeatureSchema, seed: int = 0, C: float = 1.0) -> None:
        self.schema = schema
        self.seed = seed
        self.C = C

    def fit(
        self,
        X: pd.DataFrame,
        y: np.ndarray,
        *,
        groups: Index | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Fit on canonical features (n, features) and outcomes (n,), 1 = bad."""
        outcomes = self._begin(X, y)
        cards, bins = [], []
        for i, feature in enumerate(self.schema.features):
            card = _cut(feature, X[feature.name], outcomes)
            found = card.find(X[feature.name])
            _weigh(card, found, outcomes, feature.direction)
            cards.append(card)
            bins.append(found)
            if progress:
                progress(0.9 * (i + 1) / len(self.schema.features))
        evidence = [np.array(c.woe) for c in cards]
        leeway = [0.0 if f.direction else LEEWAY for f in self.schema.features]
        effects, _, _ = fit_effects(bins, evidence, outcomes, self.C, leeway)
        kept = [j for j, effect in enumerate(effects) if FACTOR * np.ptp(effect) >= LEAST_POINTS]
        effects, _, intercept = fit_effects(
            [bins[j] for j in kept],
            [evidence[j] for j in kept],
            outcomes,
            self.C,
            [leeway[j] for j in kept],
        )
        share = (OFFSET - FACTOR * intercept) / max(1, len(kept))
        self.cards_: list[Card] = []
        self.mean_points_: list[float] = []
        for j, effect in zip(kept, effects, strict=True):
            points = np.round(share - FACTOR * effect, DECIMALS)
            cards[j].points = points.tolist()
            _fill_empty(cards[j], X[cards[j].name])
            self.cards_.append(cards[j])
            self.mean_points_.append(float(points[bins[j]].mean()))
        # Without any feature on the card, what it scores is the average.
        self.start_ = 0.0 if kept else round(share, DECIMALS)
        if progress:
            progress(1.0)
        return self

    def points(self, X: pd.DataFrame) -> FloatArray:
        """Return the total points, shape (n,): 600 at odds 50 to 1, 20 more double the odds."""
        check_is_fitted(self)
        check_columns(X, self.schema)
        total = np.full(len(X), self.start_)
        for values in self._points(X):
            total += values
        return total

    def margin(self, X: pd.DataFrame, cache: Cache | None = None) -> FloatArray:
        """Return the log-odds of the PD, shape (n,), from the points."""
        return np.asarray((OFFSET - self.points(X)) / FACTOR)

    def contributions(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return what each feature adds beside its training mean; exact, rows sum to the margin."""
        check_is_fitted(self)
        check_columns(X, self.schema)
        names = [c.name for c in self.cards_]
        values = np.zeros((len(X), len(names)))
        for j, points in enumerate(self._points(X)):
            values[:, j] = (self.mean_points_[j] - points) / FACTOR
        base = (OFFSET - self.start_ - sum(self.mean_points_)) / FACTOR
        return by_feature(values, names, self.schema, base, X.index)

    def table(self) -> pd.DataFrame:
        """Return the card: feature, bin, rows, bad, bad rate, weight of evidence and points."""
        lines = [
            {
                "feature": card.name,
                "bin": card.labels[i],
                "rows": card.rows[i],
                "bad": card.bad[i],
                "bad_rate": card.bad[i] / card.rows[i] if card.rows[i] else np.nan,
                "woe": card.woe[i],
                "points": card.points[i],
            }
            for card in self.cards_
            for i in range(len(card.labels))
        ]
        columns = ["feature", "bin", "rows", "bad", "bad_rate", "woe", "points"]
        return pd.DataFrame(lines, columns=columns)

    def save(self, folder: Path) -> None:
        """Write ``family.json``, the card in it."""
        self.write_state(
            folder,
            {
                "points_at_odds": [BASE_POINTS, BASE_ODDS],
                "points_to_double_odds": DOUBLE_ODDS,
                "start": self.start_,
                "mean_points": self.mean_points_,
                "cards": [asdict(c) for c in self.cards_],
            },
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read back what ``save`` wrote."""
        made, state = cls.read_state(folder)
        made.cards_ = [Card(**c) for c in state["cards"]]
        made.mean_points_ = list(state["mean_points"])
        made.start_ = float(state["start"])
        return made

    def _points(self, X: pd.DataFrame) -> list[FloatArray]:
        return [np.array(c.points)[c.find(X[c.name])] for c in self.cards_]


def fit_effects(
    bins: list[Bins],
    evidence: list[FloatArray],
    y: npt.NDArray[np.int8],
    C: float = 1.0,
    leeway: list[float] | None = None,
) -> tuple[list[FloatArray], FloatArray, float]:
    """Fit a logistic regression on binned features: effect = weight * evidence + leeway * stray.

    Minimises ``C * sum of log losses + (|weights|² + |strays|²) / 2`` (scikit-learn's objective)
    with weights of at least 0, by L-BFGS-B; it is convex, so the answer is the only one.

    Parameters
    ----------
    bins
        By feature: the bin of each row, shape (n,).
    evidence
        By feature: the weight of evidence of each bin.
    y
        Shape (n,), 1 = bad.
    leeway
        By feature: 0 (the default) keeps the effects in proportion to the evidence.

    Returns
    -------
    (effects, weights, intercept)
        ``effects`` by feature: the log-odds of each bin. The intercept is not penalised.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    k, n = len(bins), len(y)
    sizes = [len(e) for e in evidence]
    starts = np.cumsum([0, *sizes])
    feature = np.repeat(np.arange(k), sizes)
    woe = np.concatenate([*evidence, np.empty(0)])
    loose = np.repeat(np.zeros(k) if leeway is None else np.array(leeway, dtype=float), sizes)
    cells = np.concatenate([b + at for b, at in zip(bins, starts, strict=False)] or [[]]).astype(
        int
    )
    stray = np.flatnonzero((loose > 0) & (np.bincount(cells, minlength=len(woe)) > 0))

    def effects(v: FloatArray) -> FloatArray:
        out: FloatArray = v[:k][feature] * woe
        out[stray] += loose[stray] * v[k:-1]
        return out

    def loss(v: FloatArray) -> tuple[float, FloatArray]:
        z = v[-1] + effects(v)[cells].reshape(k, n).sum(axis=0)
        error = expit(z) - y
        pull = np.bincount(cells, weights=np.tile(error, k), minlength=len(woe))
        by_weight = np.bincount(feature, weights=pull * woe, minlength=k)
        slope = np.concatenate([by_weight, pull[stray] * loose[stray], [error.sum()]])
        slope[:-1] += v[:-1] / C
        value = float(np.sum(np.logaddexp(0, z) - y * z)) + 0.5 * float(v[:-1] @ v[:-1]) / C
        return value / n, slope / n

    rate = float(y.mean())
    start = np.concatenate([np.full(k, 0.5), np.zeros(len(stray)), [np.log(rate / (1 - rate))]])
    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, None)] * k + [(None, None)] * (len(stray) + 1),
        # Far finer than the points are rounded; the long memory halves the steps.
        options={"maxiter": 2000, "maxfun": 4000, "ftol": 1e-9, "gtol": 1e-7, "maxcor": 30},
    )
    flat = effects(found.x)
    split = [flat[a:b] for a, b in pairwise(starts)]
    return split, found.x[:k], float(found.x[-1])


def _cut(feature: Feature, column: pd.Series, y: npt.NDArray[np.int8]) -> Card:
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


def _fill_empty(card: Card, column: pd.Series) -> None:
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


def _weigh(card: Card, found: Bins, y: npt.NDArray[np.int8], direction: int) -> None:
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
