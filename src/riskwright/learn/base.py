"""What all families share: probabilities from log-odds, checks of the input, the JSON state."""

from __future__ import annotations

import json
import os
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from riskwright.case.usecase import FeatureSchema
from riskwright.data import encoding
from riskwright.data.cleaning import Features, check_columns
from riskwright.data.units import Index, Kinds
from riskwright.errors import InputRefused, IntegrityError

FloatArray = npt.NDArray[np.float64]
Cache = encoding.Cache
Progress = Callable[[float], None]
STATE = "family.json"


class PDFamily(ClassifierMixin, BaseEstimator):
    """A scikit-learn classifier of canonical frames whose score is the log-odds of the PD.

    A child's constructor takes ``schema``, ``seed`` and its hyper-parameters. Its ``fit`` calls
    ``_begin``; if it uses ``Features`` it keeps them as ``features_``.
    """

    name: ClassVar[str]
    schema: FeatureSchema
    seed: int
    features_: Features
    classes_: npt.NDArray[np.int8]

    @abstractmethod
    def fit(
        self,
        X: pd.DataFrame,
        y: np.ndarray,
        *,
        groups: Index | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Fit on canonical features ``X`` (n, features) and outcomes ``y`` (n,), 1 = bad.

        Rows of one group (n,) aren't parted where a family holds some of them out.
        """

    @abstractmethod
    def margin(self, X: pd.DataFrame, cache: Cache | None = None) -> FloatArray:
        """Return the log-odds of the PD, shape (n,).

        Parameters
        ----------
        X
            Canonical features, columns in any order.
        cache
            What members share for these rows, filled here: the matrices of equal ``Features`` by
            digest, and what different ones have in common.
        """

    @abstractmethod
    def contributions(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return what each feature adds to the margin, and ``base``; rows sum to the margin."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the fitted family into a folder, without pickle."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Read back what ``save`` wrote."""

    def predict_proba(self, X: pd.DataFrame) -> FloatArray:
        """Return the probabilities of good and bad, shape (n, 2)."""
        margin = self.margin(X)
        return np.column_stack([expit(-margin), expit(margin)])

    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.int8]:
        """Return 1 where the PD is above one half."""
        return (self.margin(X) > 0).astype(np.int8)

    def encode(self, X: pd.DataFrame, cache: Cache | None = None) -> npt.NDArray[np.float32]:
        """Return the matrix of ``features_``, from the cache if it is there."""
        check_is_fitted(self)
        if cache is None:
            return self.features_.transform(X)
        digest = self.features_.digest
        if digest not in cache:
            cache[digest] = self.features_.transform(X, cache)
        return cache[digest]

    def write_state(self, folder: Path, state: dict[str, Any]) -> None:
        """Write ``family.json``: name, parameters, schema, features and the child's own state.

        Parameters
        ----------
        state
            Plain JSON values.
        """
        check_is_fitted(self)
        folder.mkdir(parents=True, exist_ok=True)
        features = getattr(self, "features_", None)
        params = {k: v for k, v in self.get_params(deep=False).items() if k != "schema"}
        plain = {
            "family": self.name,
            "params": params,
            "schema": self.schema.as_dict(),
            "features": None if features is None else features.to_dict(),
            "state": state,
        }
        part = folder / f"{STATE}.part"
        part.write_text(json.dumps(plain, indent=1, allow_nan=False), encoding="utf-8")
        os.replace(part, folder / STATE)

    @classmethod
    def read_state(cls, folder: Path) -> tuple[Self, dict[str, Any]]:
        """Return the family with its parameters and ``features_``, and the child's own state.

        Raises
        ------
        IntegrityError
            If the file is missing, isn't JSON, or belongs to another family.
        """
        try:
            plain = json.loads((folder / STATE).read_text(encoding="utf-8"))
            if plain["family"] != cls.name:
                raise ValueError(f"it holds a {plain['family']!r}")
            made = cls(schema=FeatureSchema.from_dict(plain["schema"]), **plain["params"])
            if plain["features"] is not None:
                made.features_ = Features.from_dict(plain["features"])
            state: dict[str, Any] = plain["state"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IntegrityError(
                f"a saved {cls.name} can't be read: {error}",
                where=str(folder / STATE),
                do="restore it, or retrain",
            ) from error
        made.classes_ = np.array([0, 1], dtype=np.int8)
        return made, state

    def _begin(self, X: pd.DataFrame, y: np.ndarray) -> npt.NDArray[np.int8]:
        """Check the input of ``fit`` and return the outcomes.

        Raises
        ------
        InputRefused
            If a feature is missing, the lengths differ, or ``y`` isn't made of both 0 and 1.
        """
        check_columns(X, self.schema)
        outcomes = np.asarray(y)
        if outcomes.shape != (len(X),):
            raise InputRefused(
                f"{len(X)} rows have outcomes of shape {outcomes.shape}",
                expected="one outcome for each row",
            )
        found = np.unique(outcomes)
        if found.tolist() != [0, 1]:
            raise InputRefused(
                f"the outcomes are {', '.join(map(str, found[:5])) or 'empty'}",
                expected="both 0 (good) and 1 (bad)",
                do="give more rows, or check the target's 'bad' and 'good' codes",
            )
        self.classes_ = np.array([0, 1], dtype=np.int8)
        return outcomes.astype(np.int8)


def by_feature(
    values: np.ndarray, sources: list[str], schema: FeatureSchema, base: float, index: pd.Index
) -> pd.DataFrame:
    """Sum the contributions of matrix columns to those of the features behind them.

    Parameters
    ----------
    values
        Contributions of the matrix columns, shape (n, len(sources)).
    base
        What is left when every contribution is 0.

    Returns
    -------
    DataFrame
        One column for each feature, in the schema's order, and ``base``.
    """
    at = {name: i for i, name in enumerate(schema.names)}
    out = np.zeros((len(index), len(at) + 1))
    for j, source in enumerate(sources):
        out[:, at[source]] += values[:, j]
    out[:, -1] = base
    return pd.DataFrame(out, index=index, columns=[*schema.names, "base"])


def inner_split(
    y: np.ndarray,
    *,
    seed: int,
    time_ordered: bool,
    share: float = 0.15,
    groups: Index | None = None,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Cut a part off the training rows, to stop early or to compare parameters on.

    Parameters
    ----------
    y
        Outcomes, shape (n,), 1 = bad.
    time_ordered
        Rows are oldest first: take the last ones. Otherwise a random part, stratified.
    share
        Of the rows (of each class) that is cut off, at least one.
    groups
        Shape (n,): the random part takes whole groups. Without them each row is its own.

    Returns
    -------
    (train, valid)
        Positions, both increasing. If the last rows hold one class alone, the random part is
        taken: a log loss on one class would reward an extreme PD.
    """
    valid = np.zeros(len(y), dtype=bool)
    if time_ordered:
        valid[len(y) - max(1, round(share * len(y))) :] = True
    if not time_ordered or min(len(np.unique(y[valid])), len(np.unique(y[~valid]))) < 2:
        valid[:] = False
        valid = cut_off(Kinds.of(y, groups), share, np.random.default_rng(seed))
        if min(len(np.unique(y[valid])), len(np.unique(y[~valid]))) < len(np.unique(y)):
            # So few groups that a class would be lacking: then they are parted.
            valid = cut_off(Kinds.of(y, None), share, np.random.default_rng(seed))
    return np.flatnonzero(~valid), np.flatnonzero(valid)


def cut_off(found: Kinds, share: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return a random part (n,) of whole units, at most about ``share`` of the rows of each kind.

    A unit that is larger than that stays with the others, since it would leave little to learn
    from; if all of a kind are, the smallest is taken, but not the only one.
    """
    chosen = np.zeros(len(found.kind), dtype=bool)
    for kind in np.unique(found.kind):
        mine = rng.permutation(np.flatnonzero(found.kind == kind))
        most = max(1, round(share * int(found.size[mine].sum())))
        rows = found.size[mine]
        fits = rows <= most
        if not fits.any() and len(mine) > 1:
            fits = np.arange(len(mine)) == rows.argmin()
        mine, rows = mine[fits], rows[fits]
        chosen[mine[np.cumsum(rows) - rows < most]] = True
    return np.asarray(chosen[found.unit])
