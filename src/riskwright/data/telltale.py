"""Columns that nearly tell the outcome by themselves: most likely filled in after it was known."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.case.usecase import Feature, FeatureSchema
from riskwright.data.encoding import numbers, texts

LEVEL = 0.9  # area under the ROC curve of one column alone (a Gini of 0.8)
BINS, PRIOR_ROWS = 20, 10.0
FEWEST = 20  # rows that are filled (or blank), under which one class alone is chance
CHANCE = 1e-6
MOST_ROWS = 50_000


def telltales(
    schema: FeatureSchema, X: pd.DataFrame, y: npt.NDArray[np.int8]
) -> list[dict[str, Any]]:
    """Find columns of training rows that nearly tell who goes bad.

    Those whose bad rates by bin (20 quantiles or the codes, missing apart, each drawn to the
    average by 10 rows) order the rows with an AUC of at least 0.9, and those that are filled, or
    blank, for one class only where chance would do so once in a million times. A scorecard of
    many columns seldom passes 0.9, and Siddiqi (Credit Risk Scorecards, 2006) has a single
    characteristic "checked for over-predicting" from an information value of 0.5 on, which is
    below that.

    Parameters
    ----------
    X, y
        Features (n, features) and outcomes (n,), 1 = bad. Of more than 50,000 rows every k-th is
        looked at.

    Returns
    -------
    list of dict
        ``column``, ``auc`` (None: it is told by what is blank) and ``detail``.
    """
    step = -(-len(X) // MOST_ROWS) if len(X) else 1
    X, y = X.iloc[::step], np.asarray(y)[::step]
    found: list[dict[str, Any]] = []
    if min(int(y.sum()), len(y) - int(y.sum())) < 2:
        return found
    for feature in schema.features:
        place, missing = _bins(feature, X[feature.name])
        auc = _auc(place, y)
        if auc >= LEVEL:
            detail = f"{feature.name} alone tells good from bad (AUC {auc:.3f})"
            found.append({"column": feature.name, "auc": round(auc, 4), "detail": detail})
            continue
        for rows, word in ((~missing, "filled"), (missing, "blank")):
            if detail := _one_class(feature.name, y, rows, word):
                found.append({"column": feature.name, "auc": None, "detail": detail})
                break
    return found


def leaks_told(found: list[dict[str, Any]]) -> list[str]:
    """Say loudly what ``telltales`` found."""
    return [
        f"LEAK? {one['detail']}: known before the decision? Else mark it 'after_decision'"
        for one in found
    ]


def _bins(feature: Feature, column: pd.Series) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Return the bin of each row, and which are missing (bin -1), shape (n,)."""
    if feature.kind == "category":
        place = pd.factorize(texts(column))[0]
        return place, place < 0
    raw = numbers(column)
    missing = ~np.isfinite(raw)
    known = raw[~missing]
    if not len(known):
        return np.full(len(raw), -1), missing
    edges = np.unique(known)
    if len(edges) > BINS:
        edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:]))
        if known.min() < edges[0]:
            edges = np.concatenate([[known.min()], edges])
    place = np.searchsorted(edges, raw, side="left")
    return np.where(missing, -1, place), missing


def _auc(place: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
    """AUC of the rows ordered by their bin's bad rate, drawn to the average."""
    from scipy.stats import rankdata

    at = place + 1
    rows, bads = np.bincount(at), np.bincount(at, weights=y)
    rate = float(y.mean())
    score = ((bads + PRIOR_ROWS * rate) / (rows + PRIOR_ROWS))[at]
    ranks, k = rankdata(score), int(y.sum())
    return float((ranks[y == 1].sum() - k * (k + 1) / 2) / (k * (len(y) - k)))


def _one_class(name: str, y: npt.NDArray[Any], rows: npt.NDArray[np.bool_], word: str) -> str:
    """Say that a column is filled, or blank, for one class only; empty if it isn't."""
    n, bads, rate = int(rows.sum()), int(y[rows].sum()), float(y.mean())
    if n < FEWEST or bads not in (0, n) or n == len(y):
        return ""
    chance = n * np.log(rate if bads else 1 - rate)
    if chance > np.log(CHANCE):
        return ""
    return f"{name} is {word} in {n:,} rows, all of them {'bad' if bads else 'good'}"
