"""Scorecard: a points table that people can read, and that is the model itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from riskwright.case.usecase import FeatureSchema
from riskwright.data.cleaning import check_columns
from riskwright.data.units import Index
from riskwright.learn.base import Cache, FloatArray, PDFamily, Progress, by_feature
from riskwright.learn.binning import Bins, Card, cut, fill_empty, weigh
from riskwright.learn.space import Space, real

# Scale of the points: 600 at odds of 50 good to 1 bad, 20 more points double the odds.
DOUBLE_ODDS, BASE_POINTS, BASE_ODDS = 20.0, 600.0, 50.0
FACTOR = DOUBLE_ODDS / np.log(2)
OFFSET = BASE_POINTS - FACTOR * np.log(BASE_ODDS)
DECIMALS = 2  # of the points: the printed card and the deployed score are the same numbers

LEAST_POINTS = 5.0  # between the best and the worst bin of a feature, to be on the card
LEEWAY = 0.1  # in log-odds: how far a bin may stray from its weight of evidence, by standard dev.


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
    space: ClassVar[Space] = {"C": real(1e-3, 100.0, log=True)}

    def __init__(self, schema: FeatureSchema, seed: int = 0, C: float = 1.0) -> None:
        self.schema = schema
        self.seed = seed
        self.C = C

    def _fit(
        self, X: pd.DataFrame, y: npt.NDArray[np.int8], groups: Index | None, progress: Progress
    ) -> None:
        cards, bins = [], []
        for i, feature in enumerate(self.schema.features):
            card = cut(feature, X[feature.name], y)
            found = card.find(X[feature.name])
            weigh(card, found, y, feature.direction)
            cards.append(card)
            bins.append(found)
            progress(0.9 * (i + 1) / len(self.schema.features))
        evidence = [np.array(c.woe) for c in cards]
        leeway = [0.0 if f.direction else LEEWAY for f in self.schema.features]
        effects, _, _ = fit_effects(bins, evidence, y, self.C, leeway)
        kept = [j for j, effect in enumerate(effects) if FACTOR * np.ptp(effect) >= LEAST_POINTS]
        effects, _, intercept = fit_effects(
            [bins[j] for j in kept],
            [evidence[j] for j in kept],
            y,
            self.C,
            [leeway[j] for j in kept],
        )
        share = (OFFSET - FACTOR * intercept) / max(1, len(kept))
        self.cards_: list[Card] = []
        self.mean_points_: list[float] = []
        for j, effect in zip(kept, effects, strict=True):
            points = np.round(share - FACTOR * effect, DECIMALS)
            cards[j].points = points.tolist()
            fill_empty(cards[j], X[cards[j].name])
            self.cards_.append(cards[j])
            self.mean_points_.append(float(points[bins[j]].mean()))
        # Without any feature on the card, what it scores is the average.
        self.start_ = 0.0 if kept else round(share, DECIMALS)

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

    def _write(self, folder: Path) -> dict[str, Any]:
        return {
            "points_at_odds": [BASE_POINTS, BASE_ODDS],
            "points_to_double_odds": DOUBLE_ODDS,
            "start": self.start_,
            "mean_points": self.mean_points_,
            "cards": [asdict(c) for c in self.cards_],
        }

    def _read(self, folder: Path, state: dict[str, Any]) -> None:
        self.cards_ = [Card(**c) for c in state["cards"]]
        self.mean_points_ = list(state["mean_points"])
        self.start_ = float(state["start"])

    def _points(self, X: pd.DataFrame) -> list[FloatArray]:
        return [np.array(c.points)[c.find(X[c.name])] for c in self.cards_]


@dataclass(frozen=True)
class _Cells:
    """All bins of all features in a row, and what a vector of parameters makes of them.

    The parameters are a weight a feature, a stray a bin that may have one, and the intercept.
    """

    feature: npt.NDArray[np.intp]  # of each bin
    woe: FloatArray
    loose: FloatArray  # leeway
    rows: npt.NDArray[np.intp]  # the bin of each row, feature after feature
    stray: npt.NDArray[np.intp]  # bins that may stray from their evidence

    @classmethod
    def of(cls, bins: list[Bins], evidence: list[FloatArray], leeway: list[float] | None) -> _Cells:
        k, sizes = len(bins), [len(e) for e in evidence]
        starts = np.cumsum([0, *sizes])
        woe = np.concatenate([*evidence, np.empty(0)])
        loose = np.repeat(np.zeros(k) if leeway is None else np.array(leeway, dtype=float), sizes)
        moved = [b + at for b, at in zip(bins, starts, strict=False)]
        rows = np.concatenate(moved or [[]]).astype(int)
        stray = np.flatnonzero((loose > 0) & (np.bincount(rows, minlength=len(woe)) > 0))
        return cls(np.repeat(np.arange(k), sizes), woe, loose, rows, stray)

    def effects(self, v: FloatArray) -> FloatArray:
        """Log-odds of each bin."""
        k = len(v) - 1 - len(self.stray)
        out: FloatArray = v[:k][self.feature] * self.woe
        out[self.stray] += self.loose[self.stray] * v[k:-1]
        return out

    def loss(self, v: FloatArray, y: npt.NDArray[np.int8], C: float) -> tuple[float, FloatArray]:
        """The penalised log loss a row, and its slope."""
        from scipy.special import expit

        n, k = len(y), len(v) - 1 - len(self.stray)
        z = v[-1] + self.effects(v)[self.rows].reshape(k, n).sum(axis=0)
        error = expit(z) - y
        pull = np.bincount(self.rows, weights=np.tile(error, k), minlength=len(self.woe))
        by_weight = np.bincount(self.feature, weights=pull * self.woe, minlength=k)
        by_stray = pull[self.stray] * self.loose[self.stray]
        slope = np.concatenate([by_weight, by_stray, [error.sum()]])
        slope[:-1] += v[:-1] / C
        value = float(np.sum(np.logaddexp(0, z) - y * z)) + 0.5 * float(v[:-1] @ v[:-1]) / C
        return value / n, slope / n


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

    cells = _Cells.of(bins, evidence, leeway)
    k, rate = len(bins), float(y.mean())
    start = np.concatenate(
        [np.full(k, 0.5), np.zeros(len(cells.stray)), [np.log(rate / (1 - rate))]]
    )
    found = minimize(
        lambda v: cells.loss(v, y, C),
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, None)] * k + [(None, None)] * (len(cells.stray) + 1),
        # Far finer than the points are rounded; the long memory halves the steps.
        options={"maxiter": 2000, "maxfun": 4000, "ftol": 1e-9, "gtol": 1e-7, "maxcor": 30},
    )
    flat, edges = cells.effects(found.x), np.cumsum([0, *(len(e) for e in evidence)])
    split = [flat[a:b] for a, b in pairwise(edges)]
    return split, found.x[:k], float(found.x[-1])
