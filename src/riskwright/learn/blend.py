"""Regressions joined by the errors that they made on rows left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.case.usecase import FeatureSchema
from riskwright.data.units import Index
from riskwright.learn.ensemble import LEAST_WEIGHT
from riskwright.learn.regressors import REGRESSORS, Regressor
from riskwright.learn.saved import reading
from riskwright.learn.simplex import cheapest
from riskwright.store.writer import write_json

FloatArray = npt.NDArray[np.float64]
FOLDS = 3
STATE = "blend.json"


class Blend:
    """Families, each fitted in every fold and averaged, joined by weights.

    Parameters
    ----------
    members
        Family name to its fold models.
    weights
        Family name to weight: from 0 up, summing to one.
    """

    def __init__(self, members: dict[str, list[Regressor]], weights: dict[str, float]) -> None:
        self.members, self.weights = members, weights
        self.oof: FloatArray = np.empty(0)

    @classmethod
    def fit(
        cls,
        schema: FeatureSchema,
        X: pd.DataFrame,
        y: FloatArray,
        weight: FloatArray,
        *,
        families: Sequence[str],
        seed: int = 0,
        groups: Index | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Self:
        """Fit the families, and weight them by their errors on rows left out.

        ``oof`` of the result is the weighted mean of what they said of those rows, shape (n,).

        Parameters
        ----------
        X, y, weight
            Features (n, features), values and weights (n,).
        families
            Names in ``REGRESSORS``.
        groups
            Rows that belong together, shape (n,): they stay in one fold.
        progress
            Called with the fraction done.
        """
        from sklearn.model_selection import GroupKFold

        units = np.arange(len(X)) if groups is None else groups
        folds = list(GroupKFold(FOLDS, shuffle=True, random_state=seed).split(X, groups=units))
        members: dict[str, list[Regressor]] = {name: [] for name in families}
        held_out = np.empty((len(X), len(members)))
        for j, name in enumerate(members):
            for k, (train, rest) in enumerate(folds):
                model = REGRESSORS[name](schema, seed + k)
                model.fit(X.iloc[train], y[train], weight[train], groups=units[train])
                held_out[rest, j] = model.predict(X.iloc[rest])
                members[name].append(model)
            if progress is not None:
                progress((j + 1) / len(members))
        found = blend_weights(held_out, y, weight)
        made = cls(members, {n: float(w) for n, w in zip(members, found, strict=True)})
        made.oof = np.asarray(held_out @ found)
        return made

    def predict_each(self, X: pd.DataFrame) -> dict[str, FloatArray]:
        """Return what each family says, shape (n,)."""
        return {
            name: np.asarray(np.mean([m.predict(X) for m in models], axis=0))
            for name, models in self.members.items()
        }

    def predict(self, X: pd.DataFrame) -> FloatArray:
        """Return the weighted mean of the families, shape (n,)."""
        each = self.counted().predict_each(X)
        return cast(FloatArray, sum(self.weights[n] * v for n, v in each.items()))

    def counted(self) -> Blend:
        """Return the families that have a weight."""
        kept = [name for name, weight in self.weights.items() if weight > 0]
        return Blend({n: self.members[n] for n in kept}, {n: self.weights[n] for n in kept})

    def save(self, folder: Path) -> None:
        """Write the members and the weights, without pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, models in self.members.items():
            for k, model in enumerate(models):
                model.save(folder / name / f"member_{k}")
        counts = {name: len(models) for name, models in self.members.items()}
        write_json(folder / STATE, {"weights": self.weights, "members": counts}, allow_nan=False)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read back what ``save`` wrote.

        Raises
        ------
        IntegrityError
            If a file is missing or broken.
        """
        with reading("blend", folder / STATE):
            plain = json.loads((folder / STATE).read_text(encoding="utf-8"))
            weights = {str(n): float(w) for n, w in plain["weights"].items()}
            kinds = {n: (REGRESSORS[n], int(k)) for n, k in plain["members"].items()}
        members = {
            n: [kind.load(folder / n / f"member_{k}") for k in range(count)]
            for n, (kind, count) in kinds.items()
        }
        return cls(members, weights)


def blend_weights(predicted: FloatArray, y: FloatArray, weight: FloatArray) -> FloatArray:
    """Return non-negative weights of columns that sum to one, of least weighted squared error.

    Stacked regression (Breiman, Machine Learning 24, 1996). Columns that hardly count are
    dropped.

    Parameters
    ----------
    predicted
        What each family said of rows that it hadn't seen, shape (n, families).
    y, weight
        Values and weights, shape (n,).
    """
    kept = np.ones(predicted.shape[1], dtype=bool)
    for _ in range(2):
        found = np.zeros(len(kept))
        found[kept] = _least_squares(predicted[:, kept], y, weight)
        kept = found >= LEAST_WEIGHT
    return found


def _least_squares(predicted: FloatArray, y: FloatArray, weight: FloatArray) -> FloatArray:
    families = predicted.shape[1]
    if families == 1:
        return np.ones(1)
    share = weight / weight.sum()
    scale = float(share @ (y - share @ y) ** 2) or 1.0

    def loss(w: FloatArray) -> tuple[float, FloatArray]:
        gap = predicted @ w - y
        return float(share @ gap**2) / scale, 2 * predicted.T @ (share * gap) / scale

    return cheapest(loss, families)
