"""Which rows belong together: rows alike in all features, and rows of one group.

A model that saw one of them knows something of the others' outcomes that it can't know of a new
case. This is the one place that says which rows they are: the test part, the folds, what is held
out to stop early, to tune and to calibrate, and which test rows a champion never learnt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from riskwright.case.usecase import UseCase, code

Mask = npt.NDArray[np.bool_]
Index = npt.NDArray[np.intp]

SCHEME = 2  # of naming rows; 1 named a row without an id by its features and its outcome


@dataclass(frozen=True)
class Kin:
    """Which rows have a ``twin`` (alike in all features), or a ``relative``, elsewhere; (n,)."""

    twin: Mask
    relative: Mask

    @property
    def any(self) -> Mask:
        """Rows with either."""
        return self.twin | self.relative


def naming(usecase: UseCase) -> dict[str, Any]:
    """Return how rows are named, as a snapshot's manifest keeps it."""
    by = [*([usecase.group] if usecase.group else []), usecase.id or "features"]
    return {"scheme": SCHEME, "by": by}


def row_keys(usecase: UseCase, frame: pd.DataFrame) -> list[bytes]:
    """Return what names each row: its id, else its features, and its time where that counts.

    Never its outcome: rows alike in all but the outcome would be put into different folds, and
    the fold would tell it.
    """
    if usecase.id is not None:
        return [str(value).encode() for value in frame[usecase.id]]
    names = list(usecase.feature_names)
    if usecase.split.kind in ("out_of_time", "walk_forward") and usecase.time in frame:
        names.append(str(usecase.time))
    numeric = [n for n in names if usecase.columns[n].numeric]
    values = frame[numeric].to_numpy(dtype="<f8", copy=True) + 0.0  # -0.0 becomes 0.0
    values[np.isnan(values)] = np.nan
    raw, width = np.ascontiguousarray(values).tobytes(), 8 * len(numeric)
    texts: Iterable[tuple[str, ...]] = zip(
        *(frame[n].astype("str").fillna("").tolist() for n in names if n not in numeric),
        strict=True,
    )
    if len(numeric) == len(names):
        texts = ((),) * len(frame)
    return [
        raw[i * width : (i + 1) * width] + "\x1f".join(text).encode()
        for i, text in enumerate(texts)
    ]


def units(usecase: UseCase, frame: pd.DataFrame) -> Index:
    """Return the number (n,) of each row's unit: rows that are never put on different sides.

    Rows are joined by equal features and by an equal ``group``, and so are rows that are joined
    through a third one. Numbers count from 0 in the order of the units' first rows.
    """
    alike = _alike(usecase, frame)
    if usecase.group is None or usecase.group not in frame:
        return np.asarray(pd.factorize(alike)[0], dtype=np.intp)
    group = _groups(usecase, frame)
    known = group >= 0
    first = int(alike.max(initial=-1)) + 1
    nodes = first + int(group.max(initial=-1)) + 1
    ties = coo_array(
        (np.ones(int(known.sum())), (alike[known], first + group[known])), shape=(nodes, nodes)
    )
    part = connected_components(ties, directed=False)[1]
    return np.asarray(pd.factorize(part[alike])[0], dtype=np.intp)


def clusters(usecase: UseCase, frame: pd.DataFrame) -> Index | None:
    """Return numbers of the declared groups (n,), a row without one being its own; or None.

    What became of a borrower's loans is no independent evidence: standard errors go by these.
    """
    if usecase.group is None or usecase.group not in frame:
        return None
    group = _groups(usecase, frame)
    alone = group < 0
    group[alone] = group.max(initial=-1) + 1 + np.arange(int(alone.sum()))
    return group


def unit_names(usecase: UseCase, frame: pd.DataFrame) -> list[bytes]:
    """Return for each row what names its unit: the least of the names of its rows.

    A row is named by its group, else by its id, else by its features. With ids that grow, rows
    that are added later never give an older unit another name.
    """
    names = row_keys(usecase, frame)
    if usecase.group is not None and usecase.group in frame:
        for i, cell in enumerate(frame[usecase.group].tolist()):
            if not pd.isna(cell):
                names[i] = b"group\x1f" + code(cell).encode()
    unit = units(usecase, frame)
    least: dict[int, bytes] = {}
    several = np.bincount(unit)[unit] > 1 if len(unit) else unit > 0
    for i in np.flatnonzero(several).tolist():
        held = least.get(unit[i])
        if held is None or (len(names[i]), names[i]) < (len(held), held):
            least[unit[i]] = names[i]
    for i in np.flatnonzero(several).tolist():
        names[i] = least[unit[i]]
    return names


def kin(usecase: UseCase, frame: pd.DataFrame, others: pd.DataFrame) -> Kin:
    """Return which rows of ``frame`` have a twin or a relative among ``others``.

    Parameters
    ----------
    frame, others
        (n,) and (m,) canonical rows. Features that either lacks aren't looked at.
    """
    shared = [n for n in usecase.feature_names if n in frame and n in others]
    size, none = len(frame), np.zeros(len(frame), dtype=bool)
    if not size or not len(others):
        return Kin(none, none)
    twin = relative = none
    if shared:
        alike = _alike(usecase, pd.concat([frame[shared], others[shared]], ignore_index=True))
        twin = np.isin(alike[:size], alike[size:])
    if usecase.group is not None and usecase.group in frame and usecase.group in others:
        cells = [f[[usecase.group]].astype("str") for f in (frame, others)]
        group = _groups(usecase, pd.concat(cells, ignore_index=True))
        relative = np.isin(group[:size], group[size:]) & (group[:size] >= 0)
    return Kin(twin, relative)


def learnt(usecase: UseCase, frame: pd.DataFrame, trained: pd.DataFrame) -> Mask:
    """Return which rows a model that was trained on ``trained`` has learnt something about.

    Those that it was trained on; where the split doesn't follow time also their twins and
    relatives. Where it does, a later row of a known borrower is what the model will meet.
    """
    known = set(row_keys(usecase, trained))
    same = np.array([key in known for key in row_keys(usecase, frame)], dtype=bool)
    if usecase.split.kind in ("out_of_time", "walk_forward"):
        return same
    return np.asarray(same | kin(usecase, frame, trained).any)


@dataclass(frozen=True)
class Kinds:
    """Units with what is needed to put each class's share of them into a part.

    Attributes
    ----------
    unit
        Number of each row's unit, (n,).
    kind
        Of each unit, (k,): 0 all good, 1 all bad, 2 both.
    size
        Rows of each unit, (k,).
    """

    unit: Index
    kind: Index
    size: Index

    @classmethod
    def of(cls, y: npt.NDArray[Any], groups: Index | None) -> Kinds:
        """Sort units by what became of their rows; each row is its own unit if there are none."""
        unit = np.arange(len(y)) if groups is None else pd.factorize(groups)[0].astype(np.intp)
        size = np.bincount(unit)
        bads = np.bincount(unit, weights=y)
        return cls(unit, np.where(bads == 0, 0, np.where(bads == size, 1, 2)), size)


def _alike(usecase: UseCase, frame: pd.DataFrame) -> Index:
    """Number rows by their features, (n,): equal where all of them are, missing ones too."""
    names = [n for n in usecase.feature_names if n in frame]
    if not names:
        return np.arange(len(frame))
    found = frame.groupby(names, dropna=False, sort=False, observed=True).ngroup()
    return np.asarray(found, dtype=np.intp)


def _groups(usecase: UseCase, frame: pd.DataFrame) -> Index:
    """Number rows by their group, (n,): -1 where it is missing."""
    return np.asarray(pd.factorize(frame[usecase.group])[0], dtype=np.intp)
