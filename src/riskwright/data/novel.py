"""What training never saw: cells without a learnt place, which are scored at a neutral one.

``data.cleaning`` says which place that is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.case.usecase import FeatureSchema, code
from riskwright.data.encoding import numbers, texts

Mask = npt.NDArray[np.bool_]
Seen = dict[str, Any]  # plain JSON: it lies in the bundle


def seen_in(schema: FeatureSchema, frame: pd.DataFrame) -> Seen:
    """Return which features were never missing in these training rows, and which codes never there.

    Returns
    -------
    ``complete``: names; ``absent``: name to the declared codes and sentinels that no row holds.
    """
    complete, absent = [], {}
    for feature in schema.features:
        column = frame[feature.name]
        if feature.kind == "number":
            raw = numbers(column)
            missing = ~np.isfinite(raw)
            lacking = [code(v) for v, _ in feature.sentinels if not (raw == v).any()]
        else:
            missing = column.isna().to_numpy()
            held = set(texts(column)[~missing].unique())
            lacking = [v for v, _ in feature.values if v not in held]
        if not missing.any():
            complete.append(feature.name)
        if lacking:
            absent[feature.name] = lacking
    return {"complete": complete, "absent": absent}


def novel(seen: Seen, frame: pd.DataFrame) -> Iterator[tuple[str, str | None, Mask]]:
    """Yield feature, code (None: missing) and rows (n,) of what training never saw, if any."""
    for name in seen.get("complete", []):
        if name not in frame:
            continue
        column = frame[name]
        lost = column.isna().to_numpy(dtype=bool)
        if pd.api.types.is_float_dtype(column.dtype):
            lost = lost | np.isinf(column.to_numpy())
        if lost.any():
            yield name, None, lost
    for name, codes in seen.get("absent", {}).items():
        if name not in frame:
            continue
        column = frame[name]
        for value in codes:
            wanted = float(value) if pd.api.types.is_float_dtype(column.dtype) else value
            held = (column == wanted).fillna(False).to_numpy(dtype=bool)
            if held.any():
                yield name, value, held


def row_notes(seen: Seen, frame: pd.DataFrame) -> pd.Series:
    """Say on each row what of it training never saw; empty where there is nothing."""
    said = np.full(len(frame), "", dtype=object)
    for name, value, rows in novel(seen, frame):
        what = f"{name} missing" if value is None else f"{name} = {value}"
        text = f"{what}: never so in training"
        said[rows] = [f"{old}; {text}" if old else text for old in said[rows]]
    return pd.Series(said, index=frame.index, dtype="str")


def count(seen: Seen, frame: pd.DataFrame, into: Counter[tuple[str, str | None]]) -> None:
    """Add to the counts of rows by feature and code (None: missing)."""
    for name, value, rows in novel(seen, frame):
        into[name, value] += int(rows.sum())


def notes_on(seen: Seen, frame: pd.DataFrame) -> list[str]:
    """Return ``notes`` of a whole frame; features that it lacks are somebody else's finding."""
    counts: Counter[tuple[str, str | None]] = Counter()
    count(seen, frame, counts)
    return notes(counts)


def notes(counts: Mapping[tuple[str, str | None], int]) -> list[str]:
    """Turn the counts into sentences."""
    said = []
    for (name, value), n in counts.items():
        rows = f"{n:,} rows" if n != 1 else "1 row"
        verb = ("lack" if n != 1 else "lacks") if value is None else ("have" if n != 1 else "has")
        what = (
            f"{name}, which was never missing in training"
            if value is None
            else f"{name} = {value}, which no training row had"
        )
        said.append(f"{rows} {verb} {what}: scored at its neutral place")
    return said
