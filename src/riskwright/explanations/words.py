"""Feature values in words, as an applicant or an analyst reads them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskwright.case.usecase import Feature

MISSING = "missing"
Texts = NDArray[np.object_]


def words(feature: Feature, values: pd.Series) -> Texts:
    """Return each value in words.

    A category's meaning (its code where none is given), a sentinel's meaning, ``missing``, or the
    number with thousands separated and its unit. Each distinct value is put into words once.

    Parameters
    ----------
    feature
        What the values mean.
    values
        Canonical values (float64, or text for a category), shape (n,).

    Returns
    -------
    ndarray
        Texts, shape (n,).
    """
    if feature.kind == "category":
        codes, levels = pd.factorize(values)
        meanings = dict(feature.values)
        texts = [meanings.get(str(v), str(v)) for v in levels]
    else:
        codes, distinct = pd.factorize(values.to_numpy(dtype=np.float64))
        sentinels = dict(feature.sentinels)
        unit = f" {feature.unit}" if feature.unit not in ("", "%") else feature.unit
        texts = [sentinels[v] if v in sentinels else number(v) + unit for v in distinct.tolist()]
    table = np.array([*texts, MISSING], dtype=object)
    return np.asarray(table[codes])  # a missing value has code -1: the last


def number(value: float) -> str:
    """Return a number as people write it: ``120,000``, ``0.2543``, ``1,204``."""
    if value.is_integer() or abs(value) >= 1000:
        return f"{value + 0.0:,.0f}"  # + 0.0 turns -0 into 0
    return f"{value:.4g}"
