"""LGD: the share of what is owed that a failed loan costs, in two parts.

First whether the loan is *cured* (it costs less than half of what is owed), by the same families
and the same ensemble as the PD: logistic regression, boosted trees, a network. Then what it costs
if it isn't, by a linear regression. The exposure-weighted mean is the baseline, and the model
wherever two parts don't beat it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from riskwright.data.cleaning import Features
from riskwright.errors import IntegrityError
from riskwright.usecase import FeatureSchema

if TYPE_CHECKING:
    from riskwright.models.ensemble import Ensemble

FloatArray = npt.NDArray[np.float64]
CURED = 0.5  # an LGD below it
FEWEST = 30  # of each kind, under which nobody can tell cured loans from others
FOLDS = 3
PENALTY = 100.0  # of the ridge, in rows: few loans fail, and they are much alike
STATE = "severity.json"


def realised_lgd(
    owed: npt.ArrayLike,
    recovered: npt.ArrayLike,
    costs: npt.ArrayLike,
    annual_rate: npt.ArrayLike,
    months: float,
) -> FloatArray:
    """Return what failed loans have cost, as a share of what was owed, within [0, 1].

    Economic loss: recoveries net of what they cost, discounted to the default (Regulation (EU)
    575/2013, article 5(2)). Recoveries above what was owed count as no loss.

    Parameters
    ----------
    owed, recovered, costs
        Money, shape (n,).
    annual_rate
        The loan's own rate, by which is discounted.
    months
        From the default to the recovery (a stated rule where the source has no dates).
    """
    debt = np.asarray(owed, dtype=float)
    factor = (1 + np.asarray(annual_rate, dtype=float)) ** (-months / 12)
    net = (np.asarray(recovered, dtype=float) - np.asarray(costs, dtype=float)) * factor
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(debt > 0, net / debt, 1.0)
    return np.asarray(np.clip(1 - share, 0.0, 1.0))


class Severity:
    """LGD of loans, if they fail. Made by ``Severity.fit``, read by ``Severity.load``.

    Parameters
    ----------
    schema
        The features.
    mean
        Exposure-weighted mean LGD: the baseline.
    cured
        Mean LGD of cured loans.
    cure
        Whether a loan is cured; None where too few are of one kind, and then all are alike.
    features, coef, intercept
        The linear regression of the LGD of loans that aren't cured.
    constant
        Answer with the mean.
    """

    def __init__(
        self,
        schema: FeatureSchema,
        mean: float,
        cured: float,
        cure: Ensemble | None,
        features: Features,
        coef: FloatArray,
        intercept: float,
        *,
        constant: bool = False,
    ) -> None:
        self.schema, self.mean, self.cured, self.cure = schema, mean, cured, cure
        self.features, self.coef, self.intercept = features, coef, intercept
        self.constant = constant

    @classmethod
    def fit(
        cls,
        schema: FeatureSchema,
        X: pd.DataFrame,
        lgd: FloatArray,
        owed: FloatArray,
        *,
        families: Sequence[str],
        seed: int = 0,
        progress: Callable[[float], None] | None = None,
    ) -> Self:
        """Fit on failed loans.

        Parameters
        ----------
        X, lgd, owed
            Canonical features (n, features); realised LGD and what was owed, shape (n,).
        families
            Names of PD families that tell whether a loan is cured.
        """
        from sklearn.linear_model import Ridge

        healed = lgd < CURED
        cure = None
        if min(int(healed.sum()), int((~healed).sum())) >= FEWEST:
            cure = _fit_cure(schema, X, healed.astype(np.int8), families, seed, progress)
        rest = ~healed if cure is not None else np.ones(len(lgd), dtype=bool)
        features = Features(schema, "standard").fit(X[rest])
        model = Ridge(alpha=PENALTY)
        model.fit(
            features.transform(X[rest]).astype(float),
            lgd[rest],
            sample_weight=_relative(owed[rest]),
        )
        return cls(
            schema,
            float(np.average(lgd, weights=owed)),
            float(np.average(lgd[healed], weights=owed[healed])) if cure is not None else 0.0,
            cure,
            features,
            np.asarray(model.coef_, dtype=float),
            float(model.intercept_),
        )

    def predict(self, X: pd.DataFrame) -> FloatArray:
        """Return the expected LGD of each loan, in [0, 1], shape (n,)."""
        if self.constant:
            return np.full(len(X), self.mean)
        matrix = self.features.transform(X[self.schema.names]).astype(float)
        lost = np.full(len(X), self.intercept)
        for j, coef in enumerate(self.coef):  # a row's bits don't depend on its batch
            lost += coef * matrix[:, j]
        lost = np.clip(lost, 0.0, 1.0)
        if self.cure is None:
            return np.asarray(lost)
        chance = expit(self.cure.margin(X[self.schema.names]))
        return np.asarray(chance * self.cured + (1 - chance) * lost)

    def save(self, folder: Path) -> None:
        """Write ``severity.json`` and the cure model, without pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.cure is not None:
            self.cure.save(folder / "cure")
        plain = {
            "schema": self.schema.as_dict(),
            "mean": self.mean,
            "cured": self.cured,
            "cure": self.cure is not None,
            "features": self.features.to_dict(),
            "coef": self.coef.tolist(),
            "intercept": self.intercept,
            "constant": self.constant,
        }
        part = folder / f"{STATE}.part"
        part.write_text(json.dumps(plain, indent=1, allow_nan=False), encoding="utf-8")
        os.replace(part, folder / STATE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read back what ``save`` wrote.

        Raises
        ------
        IntegrityError
            If the file isn't there or isn't what ``save`` writes.
        """
        from riskwright.models.ensemble import Ensemble

        try:
            plain = json.loads((folder / STATE).read_text(encoding="utf-8"))
            return cls(
                FeatureSchema.from_dict(plain["schema"]),
                float(plain["mean"]),
                float(plain["cured"]),
                Ensemble.load(folder / "cure") if plain["cure"] else None,
                Features.from_dict(plain["features"]),
                np.array(plain["coef"], dtype=float),
                float(plain["intercept"]),
                constant=bool(plain["constant"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IntegrityError(
                f"a saved LGD model can't be read: {error}", where=str(folder / STATE), do="retrain"
            ) from error


def _fit_cure(
    schema: FeatureSchema,
    X: pd.DataFrame,
    healed: npt.NDArray[np.int8],
    families: Sequence[str],
    seed: int,
    progress: Callable[[float], None] | None,
) -> Ensemble:
    from sklearn.model_selection import StratifiedKFold

    from riskwright.models.bag import fit_bag
    from riskwright.models.ensemble import Ensemble

    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(X, healed))
    bags, oofs = {}, {}
    for number, name in enumerate(families):
        bags[name], oofs[name] = fit_bag(name, schema, X, healed, folds, seed=seed, params={})
        if progress is not None:
            progress((number + 1) / len(families))
    return Ensemble.fit(bags, oofs, healed)


def _relative(owed: FloatArray) -> FloatArray:
    """Weights with mean 1, so that the penalty means the same for any currency."""
    return np.asarray(owed / owed.mean())
