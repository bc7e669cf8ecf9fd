"""From a canonical frame to a matrix: one fitted object that cleans, in training and in scoring.

What it does to each column is decided on the rows it is fitted on, without their outcomes, and is
kept as plain JSON. The rules:

Numbers
    * A sentinel code becomes missing; each code that occurs gets an indicator column (``PAY=96``).
    * Missing (infinite counts as missing) becomes the median, and gets an indicator column
      (``PAY missing``) if it occurs. ``raw`` keeps it as NaN, which is its own indicator.
    * ``standard``: values beyond the 0.1 % and 99.9 % quantiles are set to these; if the excess
      kurtosis is still above 6 (that of an exponential distribution), the signed logarithm
      ``sign(x) log(1 + |x| / median |x|)`` is taken; then mean 0, standard deviation 1.
    * ``quantile``: mid-ranks through up to 1,000 quantiles to normal scores; missing is 0.
    * ``raw``: as it is, for trees.
Categories
    * One column for each code (``HOME=own``), for missing, and for the pooled rare codes
      (``HOME other``). Rare is fewer than ``min_category`` rows, on small data fewer than 1 % of
      the rows or 10. An unseen code is ``other`` if any was pooled.
Never in the fitted rows
    * A missing cell of a column that had none, or a code that none held, has no learnt place: it
      goes to a neutral one, the median of the known numbers or the most frequent code. Trees
      would score it like the best or the worst (dmlc/xgboost#21). The scorecard does the same.
Zeros and ones (indicators and codes)
    * In ``standard`` mode centred and divided by their standard deviation, which counts as at
      least 0.1, so that a code of five rows in a million can't dominate a row.
Dropped, with its reason in the report
    * A column that is all missing or constant.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri
from sklearn.base import BaseEstimator, TransformerMixin

from riskwright.case.usecase import Feature, FeatureSchema, code
from riskwright.data.encoding import (
    EDGE,
    MISSING,
    OTHER,
    Cache,
    CategoryPlan,
    Flag,
    FloatArray,
    Mode,
    NumberPlan,
    neutral_code,
    neutral_number,
    numbers,
    plan_from_dict,
    positions,
    signed_log,
    texts,
)
from riskwright.errors import InputRefused, closest

WINSOR = (0.001, 0.999)
HEAVY_TAIL = 6.0  # excess kurtosis of an exponential distribution
QUANTILES = 1000
MOST_SCORE = 4.0
LEAST_SPREAD = 0.1  # of a column of zeros and ones


@dataclass
class _Report:
    """One line of the cleaning report."""

    feature: str
    kind: str
    rows: int
    missing: int = 0
    infinite: int = 0
    sentinels: dict[str, int] = field(default_factory=dict)
    imputed: int = 0
    fill: float | None = None
    winsorised: int = 0
    limits: list[float] | None = None
    transform: str = "none"
    rare: dict[str, int] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)
    dropped: str = ""


class Features(TransformerMixin, BaseEstimator):
    """Turn canonical features into a float32 matrix; see the module for the rules.

    Parameters
    ----------
    schema
        The features.
    numeric
        ``standard`` for linear models, ``quantile`` for networks, ``raw`` for trees.
    min_category
        Rows below which a code is pooled with the other rare ones.

    Attributes
    ----------
    names_ : list of str
        Names of the matrix columns; a number's own column has the feature's name.
    sources_ : list of str
        The feature behind each matrix column.
    report_ : list of dict
        For each feature what was done on the fitted rows, and to how many cells.
    digest : str
        SHA-256 of the fitted state: equal digests give equal matrices.
    """

    def __init__(
        self, schema: FeatureSchema, numeric: Mode = "standard", min_category: int = 30
    ) -> None:
        self.schema = schema
        self.numeric = numeric
        self.min_category = min_category

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Decide what is done to each column, from the rows of ``X`` alone.

        Parameters
        ----------
        X
            Canonical frame, shape (n, features).
        y
            Not used: an encoding that saw outcomes would leak them.

        Raises
        ------
        InputRefused
            If a feature is missing, of the wrong type, or no column is left to learn from.
        """
        check_columns(X, self.schema)
        if not len(X):
            raise InputRefused("there are no rows to fit on", expected="at least one row")
        self.plans_: list[NumberPlan | CategoryPlan] = []
        self.report_: list[dict[str, Any]] = []
        for feature in self.schema.features:
            fit = self._fit_number if feature.kind == "number" else self._fit_category
            plan, report = fit(feature, X[feature.name])
            report.columns = plan.columns
            self.plans_.append(plan)
            self.report_.append(asdict(report))
        self._finish()
        if not self.names_:
            raise InputRefused(
                "every feature is constant or all missing: there is nothing to learn from",
                where=", ".join(self.schema.names[:10]),
                expected="at least one feature with two different values",
            )
        return self

    def transform(self, X: pd.DataFrame, cache: Cache | None = None) -> npt.NDArray[np.float32]:
        """Return the matrix, shape (n, len(names_)), whatever the order of the frame's columns.

        Parameters
        ----------
        cache
            What encoders of these very rows share, filled here: the order of a number's values.
        """
        check_columns(X, self.schema)
        shared = {} if cache is None else cache
        # Column by column in memory, since each is written whole; learners read it either way.
        out = np.empty((len(X), len(self.names_)), dtype=np.float32, order="F")
        at = 0
        for plan in self.plans_:
            width = len(plan.columns)
            if width:
                plan.write(X[plan.name], out[:, at : at + width], self.numeric, shared)
            at += width
        # Networks read it row by row, several of them the same one.
        return np.ascontiguousarray(out) if self.numeric == "quantile" else out

    def to_dict(self) -> dict[str, Any]:
        """Return the fitted object as plain JSON values."""
        return {**self._state(), "schema": self.schema.as_dict(), "report": self.report_}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Features:
        """Rebuild what ``to_dict`` returned."""
        made = cls(
            FeatureSchema.from_dict(plain["schema"]), plain["numeric"], plain["min_category"]
        )
        made.plans_ = [plan_from_dict(p) for p in plain["plans"]]
        made.report_ = plain["report"]
        made._finish()
        return made

    def _state(self) -> dict[str, Any]:
        return {
            "numeric": self.numeric,
            "min_category": self.min_category,
            "plans": [asdict(p) for p in self.plans_],
        }

    def _finish(self) -> None:
        self.names_ = [name for plan in self.plans_ for name in plan.columns]
        self.sources_ = [plan.name for plan in self.plans_ for _ in plan.columns]
        text = json.dumps(self._state(), sort_keys=True)
        self.digest = hashlib.sha256(text.encode()).hexdigest()

    def _flag(self, label: str, marked: npt.NDArray[np.bool_]) -> Flag:
        if self.numeric != "standard":
            return Flag(label)
        share = float(marked.mean())
        return Flag(label, share, max(float(np.sqrt(share * (1 - share))), LEAST_SPREAD))

    def _fit_number(self, feature: Feature, column: pd.Series) -> tuple[NumberPlan, _Report]:
        raw = numbers(column)
        unknown = ~np.isfinite(raw)
        report = _Report(feature.name, "number", len(raw))
        report.infinite = int(np.isinf(raw).sum())
        report.missing = int(unknown.sum())
        sentinels = tuple(float(value) for value, _ in feature.sentinels)
        flags = []
        for value in sentinels:
            hit = raw == value
            report.sentinels[code(value)] = int(hit.sum())
            if 0 < hit.sum() < len(raw):
                flags.append(self._flag(code(value), hit))
        if 0 < report.missing < len(raw) and self.numeric != "raw":
            flags.append(self._flag(MISSING, unknown))
        known = np.clip(raw[~(unknown | np.isin(raw, sentinels))], -EDGE, EDGE)
        plan: dict[str, Any] = {"name": feature.name, "sentinels": sentinels, "flags": tuple(flags)}
        if not len(known):
            report.dropped = "all missing"
            return NumberPlan(**plan, value=False), report
        # With its missing values a constant is no longer constant: their flag carries that (in
        # raw mode, where there is none, the column itself does).
        constant = known.min() == known.max()
        if constant and (self.numeric != "raw" or report.missing == 0):
            report.dropped = f"constant at {known[0]:.6g}"
            return NumberPlan(**plan, value=False), report
        plan["neutral"] = None if report.missing else neutral_number(known)
        if self.numeric == "raw":
            return NumberPlan(**plan), report
        report.imputed = len(raw) - len(known)
        if self.numeric == "quantile":
            report.transform = "quantile"
            knots, scores = normal_scores(known)
            return NumberPlan(**plan, knots=knots, scores=scores), report
        self._fit_standard(plan, known, report)
        return NumberPlan(**plan), report

    @staticmethod
    def _fit_standard(plan: dict[str, Any], known: FloatArray, report: _Report) -> None:
        low, high = np.quantile(known, WINSOR)
        if low == high:  # fewer than one row in a thousand differs: that is the information
            low, high = known.min(), known.max()
        inside = np.clip(known, low, high)
        plan |= {"low": float(low), "high": float(high), "fill": neutral_number(inside)}
        report.winsorised = int((inside != known).sum())
        report.limits, report.fill = [float(low), float(high)], plan["fill"]
        if _excess_kurtosis(inside) > HEAVY_TAIL:
            sizes = np.abs(inside)
            plan["log_unit"] = max(float(np.median(sizes[sizes > 0])), 1 / EDGE)
            report.transform = "signed log"
        shaped = signed_log(
            np.concatenate([inside, np.full(report.imputed, plan["fill"])]), plan.get("log_unit", 0)
        )
        plan |= {"centre": float(shaped.mean()), "spread": float(shaped.std()) or 1.0}

    def _fit_category(self, feature: Feature, column: pd.Series) -> tuple[CategoryPlan, _Report]:
        report = _Report(feature.name, "category", len(column))
        report.missing = int(column.isna().sum())
        counts = texts(column).value_counts()
        least = min(self.min_category, max(10, len(column) // 100))
        report.rare = {str(k): int(n) for k, n in sorted(counts[counts < least].items())}
        labels = sorted(str(k) for k in counts.index[counts >= least])
        labels += [OTHER] * bool(report.rare) + [MISSING] * bool(report.missing)
        if len(labels) < 2:
            report.dropped = (
                "all missing" if report.missing == len(column) else f"constant at {labels[0]}"
            )
            return CategoryPlan(feature.name), report
        codes = positions(column, labels)
        flags = tuple(self._flag(label, codes == i) for i, label in enumerate(labels))
        usual = neutral_code(texts(column))
        neutral = labels.index(usual if usual in labels else OTHER)
        return CategoryPlan(feature.name, flags, neutral), report


def check_columns(X: pd.DataFrame, schema: FeatureSchema) -> None:
    """Refuse a frame that lacks a feature.

    Raises
    ------
    InputRefused
        Naming the features, and the closest column there is.
    """
    if not isinstance(X, pd.DataFrame):
        raise InputRefused(
            f"the features are a {type(X).__name__}",
            expected="a pandas DataFrame with the use case's column names",
        )
    absent = [name for name in schema.names if name not in X.columns]
    if absent:
        raise InputRefused(
            f"the features lack {len(absent)} column(s): {', '.join(absent[:10])}",
            expected=f"the columns {', '.join(schema.names[:10])}"
            + (", …" if len(schema.names) > 10 else ""),
            do=closest(absent[0], X.columns) or "add the column",
        )


def normal_scores(values: FloatArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return up to 1,000 of the values, evenly spread by rank, and their normal scores.

    The score of a value is the normal quantile of its mid-rank among all of them,
    ``(rank - 1/2) / n`` (Hazen), kept within ±4; equal values have one score.

    Parameters
    ----------
    values
        Finite values, shape (n,).

    Returns
    -------
    (knots, scores)
        Both increasing.
    """
    ordered = np.sort(values)
    n = len(ordered)
    knots = np.unique(ordered[np.linspace(0, n - 1, min(QUANTILES, n)).round().astype(int)])
    before = np.searchsorted(ordered, knots, side="left")
    until = np.searchsorted(ordered, knots, side="right")
    scores = np.clip(ndtri((before + until) / (2 * n)), -MOST_SCORE, MOST_SCORE)
    return tuple(knots.tolist()), tuple(scores.tolist())


def _excess_kurtosis(values: FloatArray) -> float:
    centred = values - values.mean()
    centred /= np.abs(centred).max() or 1.0  # it has no unit; the fourth power must not overflow
    variance = float(np.mean(centred**2))
    return float(np.mean(centred**4)) / variance**2 - 3 if variance > 0 else 0.0
