"""What all families share: how they are fitted, asked, explained and kept."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable
from copy import copy
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
from riskwright.errors import InputRefused
from riskwright.learn.permutation import orderings, permutation_walk
from riskwright.learn.saved import reading
from riskwright.learn.space import Space
from riskwright.store.writer import write_json

FloatArray = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]
Cache = encoding.Cache
Progress = Callable[[float], None]
STATE = "family.json"
PAIRS = 2  # orderings of the contributions, each walked forwards and backwards


class Estimator(BaseEstimator):
    """A scikit-learn estimator of frames that explains itself: every family of every system.

    A child's constructor takes ``schema``, ``seed`` and its hyper-parameters.

    Attributes
    ----------
    name
        By which use cases ask for it, and by which it is found again.
    """

    name: str
    schema: FeatureSchema
    seed: int

    @abstractmethod
    def contributions(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return what each feature adds to ``base``; rows sum to what the family says of them."""

    def changed(self, **params: Any) -> Self:
        """Return a copy with other parameters, to be fitted.

        scikit-learn's ``clone`` and ``set_params`` in a tenth of the time: nothing is copied deep.
        """
        made = copy(self)
        for name, value in params.items():
            getattr(self, name)  # one that isn't there is a mistake
            setattr(made, name, value)
        return made


class MatrixFamily(Estimator):
    """A family that learns from the matrix of ``Features``, and how what it learnt is kept.

    Attributes
    ----------
    file
        What its JSON is called.
    numeric
        How ``prepare`` readies numbers: see ``Features``.
    """

    file: ClassVar[str] = STATE
    numeric: ClassVar[encoding.Mode] = "standard"
    features_: Features

    def _score(self, matrix: Matrix) -> FloatArray:
        """Return what it says of each row of an encoded matrix, shape (n,).

        Log-odds of the PD, or a number. A row's bits don't depend on the other rows. A family
        that reads the frame itself says so where it is asked, and of its contributions.
        """
        raise NotImplementedError

    @abstractmethod
    def _write(self, folder: Path) -> dict[str, Any]:
        """Write own files, if any, and return plain JSON values; nothing is pickled."""

    @abstractmethod
    def _read(self, folder: Path, state: dict[str, Any]) -> None:
        """Read back what ``_write`` wrote and returned; ValueError if it is broken."""

    def prepare(self, X: pd.DataFrame, rows: Index | None = None) -> Matrix:
        """Fit ``features_`` on some rows (on all if left out); return the matrix of all of them."""
        self.features_ = Features(self.schema, self.numeric)
        self.features_.fit(X if rows is None else X.iloc[rows])
        return self.features_.transform(X)

    def encode(self, X: pd.DataFrame, cache: Cache | None = None) -> Matrix:
        """Return the matrix of ``features_``, from the cache if it is there."""
        check_is_fitted(self)
        if cache is None:
            return self.features_.transform(X)
        digest = self.features_.digest
        if digest not in cache:
            cache[digest] = self.features_.transform(X, cache)
        return cache[digest]

    def contributions(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return what each feature adds to ``base``; rows sum to what the family says of them.

        This serves any family that doesn't know better: see ``permutation_walk`` for what is exact
        in it and what is an estimate. ``base`` is what the family says of ``_baseline``.
        """
        matrix, start = self.encode(X), self._baseline()
        sources = self.features_.sources_
        players = list(dict.fromkeys(sources))
        values = permutation_walk(
            self._score,
            matrix,
            start,
            np.array([players.index(source) for source in sources]),
            orderings(len(players), PAIRS, self.seed),
        )
        base = float(self._score(start[None, :])[0])
        return by_feature(values, players, self.schema, base, X.index)

    def _baseline(self) -> Matrix:
        """Return the encoded row that contributions start from, shape (columns,).

        Zeros are the mean of the training rows in ``standard`` mode.
        """
        return np.zeros(len(self.features_.names_), dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Write the fitted family into a folder, without pickle."""
        check_is_fitted(self)
        folder.mkdir(parents=True, exist_ok=True)
        features = getattr(self, "features_", None)
        plain = {
            "family": self.name,
            "params": {k: v for k, v in self.get_params(deep=False).items() if k != "schema"},
            "schema": self.schema.as_dict(),
            "features": None if features is None else features.to_dict(),
            "state": self._write(folder),
        }
        write_json(folder / self.file, plain, allow_nan=False)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read back what ``save`` wrote: our code builds the family, only plain values are read.

        Raises
        ------
        IntegrityError
            If a file is missing, broken, or of another family.
        """
        with reading(cls.name, folder):
            plain = json.loads((folder / cls.file).read_text(encoding="utf-8"))
            if plain["family"] != cls.name:
                raise ValueError(f"it holds a {plain['family']!r}")
            # Files of regressions from before they had parameters hold the seed alone.
            params = plain["params"] if "params" in plain else {"seed": plain["seed"]}
            made = cls(schema=FeatureSchema.from_dict(plain["schema"]), **params)
            if plain["features"] is not None:
                made.features_ = Features.from_dict(plain["features"])
            made._read(folder, plain["state"])
        return made


class PDFamily(ClassifierMixin, MatrixFamily):
    """A scikit-learn classifier of canonical frames whose score is the log-odds of the PD.

    A child's ``_fit`` calls ``prepare`` for its matrix, and ``_score`` says what it learnt of one.

    Attributes
    ----------
    space
        What a search may try, by hyper-parameter; nothing is searched if it is empty.
    """

    space: ClassVar[Space] = {}
    classes_: npt.NDArray[np.int8]

    @classmethod
    def applicable(cls, schema: FeatureSchema) -> str | None:
        """Return why the family can't be used on these features, or None if it can."""
        return None

    def fit(
        self,
        X: pd.DataFrame,
        y: npt.ArrayLike,
        *,
        groups: Index | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Fit on canonical features ``X`` (n, features) and outcomes ``y`` (n,), 1 = bad.

        Parameters
        ----------
        groups
            Shape (n,): rows of one group aren't parted where a family holds some of them out.
        progress
            Called with the fraction done; 1 at the end.

        Raises
        ------
        InputRefused
            If a feature is missing, the lengths differ, ``y`` isn't made of both 0 and 1, or the
            family isn't applicable.
        """
        check_columns(X, self.schema)
        outcomes = _outcomes(y, len(X))
        if reason := self.applicable(self.schema):
            raise InputRefused(
                f"family {self.name!r} is not applicable: {reason}",
                do=f"leave {self.name!r} out of the families, or declare what it needs",
            )
        self.classes_ = np.array([0, 1], dtype=np.int8)
        told = progress or _untold
        self._fit(X, outcomes, groups, told)
        told(1.0)
        return self

    @abstractmethod
    def _fit(
        self, X: pd.DataFrame, y: npt.NDArray[np.int8], groups: Index | None, progress: Progress
    ) -> None:
        """Learn from rows and outcomes that were checked."""

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
        return self._score(self.encode(X, cache))

    def predict_proba(self, X: pd.DataFrame) -> FloatArray:
        """Return the probabilities of good and bad, shape (n, 2)."""
        margin = self.margin(X)
        return np.column_stack([expit(-margin), expit(margin)])

    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.int8]:
        """Return 1 where the PD is above one half."""
        return (self.margin(X) > 0).astype(np.int8)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read back what ``save`` wrote."""
        made = super().load(folder)
        made.classes_ = np.array([0, 1], dtype=np.int8)
        return made


def _outcomes(y: npt.ArrayLike, rows: int) -> npt.NDArray[np.int8]:
    """Return outcomes, or refuse what nothing can be learnt from."""
    outcomes = np.asarray(y)
    if outcomes.shape != (rows,):
        raise InputRefused(
            f"{rows} rows have outcomes of shape {outcomes.shape}",
            expected="one outcome for each row",
        )
    found = np.unique(outcomes)
    if found.tolist() != [0, 1]:
        raise InputRefused(
            f"the outcomes are {', '.join(map(str, found[:5])) or 'empty'}",
            expected="both 0 (good) and 1 (bad)",
            do="give more rows, or check the target's 'bad' and 'good' codes",
        )
    return outcomes.astype(np.int8)


def _untold(fraction: float) -> None:
    """Nobody asked for the progress."""


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
