"""Reason codes: what raised this applicant's PD most, from the deployed model's own sums."""

from __future__ import annotations

import numpy as np
import pandas as pd

from riskwright.case.usecase import FeatureSchema
from riskwright.errors import IntegrityError
from riskwright.explanations.words import words

BASE = "base"
SMALLEST = 0.005  # log-odds; less would be printed as +0.00, which is no reason


def reason_codes(
    contributions: pd.DataFrame, X: pd.DataFrame, schema: FeatureSchema, n: int = 4
) -> pd.DataFrame:
    """Return the ``n`` features that raise each row's PD most, in words.

    ``Repayment status in September: 2 (+0.84)`` is the feature's label, its value, and what it
    adds to the log-odds of default. A feature that lowers the PD, or adds less than 0.005, is no
    reason. Only the model's own inputs can be named: any other column is refused, so a protected
    attribute that is not an input never shows (12 CFR 1002.9(b)(2): the factors actually scored).

    Parameters
    ----------
    contributions
        Log-odds by feature, shape (rows, features + 1): the features of ``schema`` in any order
        and the column ``base``.
    X
        The canonical values behind them, same rows in the same order.
    schema
        Labels, units and meanings.
    n
        Reasons for each row.

    Returns
    -------
    DataFrame
        ``reason_1`` to ``reason_n``, text, index of ``X``; empty where there are fewer reasons.

    Raises
    ------
    IntegrityError
        If contributions, values and schema don't describe the same features and rows.
    """
    added = feature_values(contributions, X, schema)
    rows, k = added.shape
    m = min(n, k)
    # Largest m of each row, then in descending order; equal ones in the schema's order.
    top = np.sort(np.argpartition(-added, m - 1, axis=1)[:, :m], axis=1) if rows else _none(m)
    sizes = np.take_along_axis(added, top, axis=1)
    order = np.argsort(-sizes, axis=1, kind="stable")
    top, sizes = np.take_along_axis(top, order, axis=1), np.take_along_axis(sizes, order, axis=1)

    texts = np.full((rows, n), "", dtype=object)
    flat = texts[:, :m].reshape(-1)
    chosen = np.where(sizes >= SMALLEST, top, -1).reshape(-1)
    by_feature = np.argsort(chosen, kind="stable")
    ends = np.searchsorted(chosen[by_feature], np.arange(-1, k), side="right")
    for j, feature in enumerate(schema.features):
        places = by_feature[ends[j] : ends[j + 1]]
        if len(places):
            value = words(feature, X[feature.name].take(places // m))
            amount = _amounts(sizes.reshape(-1)[places])
            flat[places] = f"{feature.label}: " + value + amount
    texts[:, :m] = flat.reshape(rows, m)
    columns = [f"reason_{i}" for i in range(1, n + 1)]
    return pd.DataFrame(texts, index=X.index, columns=columns).astype("str")


def feature_values(
    contributions: pd.DataFrame, X: pd.DataFrame, schema: FeatureSchema
) -> np.ndarray:
    """Return the contributions of the schema's features, shape (rows, features), checked.

    Raises
    ------
    IntegrityError
        If contributions, values and schema don't describe the same features and rows.
    """
    strange = set(contributions.columns) ^ {*schema.names, BASE}
    if strange:
        raise IntegrityError(
            "contributions are not those of the model's features",
            where=", ".join(sorted(map(str, strange))),
            expected=f"the {len(schema.names)} features of the schema and {BASE!r}",
        )
    if len(contributions) != len(X) or not contributions.index.equals(X.index):
        raise IntegrityError(
            f"{len(contributions)} rows of contributions don't belong to {len(X)} rows of values",
            expected="the same rows in the same order",
        )
    return contributions[schema.names].to_numpy(dtype=np.float64)


def _none(m: int) -> np.ndarray:
    return np.empty((0, m), dtype=np.int64)


def _amounts(sizes: np.ndarray) -> np.ndarray:
    """Return `` (+0.84)`` for each size; each distinct hundredth is formatted once."""
    codes, distinct = pd.factorize(np.round(sizes * 100).astype(np.int64))
    return np.array([f" (+{v / 100:.2f})" for v in distinct.tolist()], dtype=object)[codes]
