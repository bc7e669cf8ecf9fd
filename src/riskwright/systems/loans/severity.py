"""LGD: the share of what is owed that a failed loan costs, in two parts.

First whether the loan is *cured* (it costs less than half of what is owed), by the same families
and the same ensemble as the PD. Then what it costs if it isn't: a ridge regression, boosted trees
and a network, blended by their errors on loans left out. The exposure-weighted mean is the
baseline, and the model wherever two parts don't beat it on loans left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit
from scipy.stats import norm

from riskwright.case.usecase import FeatureSchema
from riskwright.data.units import Index
from riskwright.learn.saved import reading
from riskwright.store.writer import write_json

if TYPE_CHECKING:
    from riskwright.learn.blend import Blend
    from riskwright.learn.ensemble import Ensemble

FloatArray = npt.NDArray[np.float64]
CURED = 0.5  # an LGD below it
FEWEST = 30  # of each kind, under which nobody can tell cured loans from others
FOLDS = 3
STATE = "severity.json"


def realised_lgd(
    owed: npt.ArrayLike,
    recovered: npt.ArrayLike,
    costs: npt.ArrayLike,
    annual_rate: npt.ArrayLike,
    months: npt.ArrayLike,
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
        From the default to the recovery: one number, or shape (n,).
    """
    debt = np.asarray(owed, dtype=float)
    years = np.asarray(months, dtype=float) / 12
    factor = (1 + np.asarray(annual_rate, dtype=float)) ** -years
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
    error
        Standard error of the mean.
    cured
        Mean LGD of cured loans.
    cure
        Whether a loan is cured; None where too few are of one kind, and then all are alike.
    lost
        LGD of loans that aren't cured; None: the mean answers.
    p
        One-sided p-value of two parts having the smaller squared error, weighted by what was owed,
        on training loans that each model hadn't seen.
    """

    def __init__(
        self,
        schema: FeatureSchema,
        mean: float,
        error: float,
        cured: float = 0.0,
        cure: Ensemble | None = None,
        lost: Blend | None = None,
        p: float = 1.0,
    ) -> None:
        self.schema, self.mean, self.error = schema, mean, error
        self.cured, self.cure, self.lost, self.p = cured, cure, lost, p

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
        groups: Index | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Self:
        """Fit on failed loans.

        Parameters
        ----------
        X, lgd, owed
            Canonical features (n, features); realised LGD and what was owed, shape (n,).
        families
            Names of PD families, which tell whether a loan is cured. What it costs otherwise is
            told by those of ``models.regressors`` with the same names, and by ``linear``.
        groups
            Loans that belong together, shape (n,): they stay in one fold.
        """
        from riskwright.learn.blend import Blend
        from riskwright.learn.regressors import REGRESSORS

        def half(start: float) -> Callable[[float], None]:
            return lambda fraction: progress(start + fraction / 2) if progress else None

        healed = lgd < CURED
        units = np.arange(len(X)) if groups is None else groups
        cure = None
        if min(int(healed.sum()), int((~healed).sum())) >= FEWEST:
            kinds = healed.astype(np.int8)
            cure = _fit_cure(schema, X, kinds, families, seed, units, half(0.0))
        rest = ~healed if cure is not None else np.ones(len(lgd), dtype=bool)
        lost = Blend.fit(
            schema,
            X[rest],
            lgd[rest],
            owed[rest],
            families=[n for n in REGRESSORS if n == "linear" or n in families],
            seed=seed,
            groups=units[rest],
            progress=half(0.5),
        )
        mean = float(np.average(lgd, weights=owed))
        cured = float(np.average(lgd[healed], weights=owed[healed])) if cure is not None else 0.0
        left_out = _left_out(X, rest, lost, cure, cured)
        return cls(
            schema,
            mean,
            float(np.sqrt((owed**2 * (lgd - mean) ** 2).sum()) / owed.sum()),
            cured,
            cure,
            lost,
            _p_better((left_out - lgd) ** 2 - (mean - lgd) ** 2, owed),
        )

    @property
    def relative_error(self) -> float:
        """Standard error of the level, as a share of it."""
        return self.error / self.mean if self.mean > 0 else 0.0

    def predict(self, X: pd.DataFrame) -> FloatArray:
        """Return the expected LGD of each loan, in [0, 1], shape (n,)."""
        if self.lost is None:
            return np.full(len(X), self.mean)
        return self._joined(X, {"": self.lost.predict(X[self.schema.names])})[""]

    def predict_each(self, X: pd.DataFrame) -> dict[str, FloatArray]:
        """Return the LGD if a single family told what a loan costs that isn't cured, (n,) each."""
        if self.lost is None:
            return {}
        return self._joined(X, self.lost.predict_each(X[self.schema.names]))

    def live(self, *, constant: bool) -> Severity:
        """Return what goes live: the mean alone, or two parts of the families that count."""
        if constant or self.lost is None:
            return Severity(self.schema, self.mean, self.error, p=self.p)
        return Severity(
            self.schema, self.mean, self.error, self.cured, self.cure, self.lost.counted(), self.p
        )

    def save(self, folder: Path) -> None:
        """Write ``severity.json`` and the models of both parts, without pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.cure is not None:
            self.cure.save(folder / "cure")
        if self.lost is not None:
            self.lost.save(folder / "lost")
        plain = {
            "schema": self.schema.as_dict(),
            "mean": self.mean,
            "error": self.error,
            "cured": self.cured,
            "cure": self.cure is not None,
            "lost": self.lost is not None,
            "p": self.p,
        }
        write_json(folder / STATE, plain, allow_nan=False)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read back what ``save`` wrote.

        Raises
        ------
        IntegrityError
            If the file isn't there or isn't what ``save`` writes.
        """
        from riskwright.learn.blend import Blend
        from riskwright.learn.ensemble import Ensemble

        with reading("LGD model", folder / STATE):
            plain = json.loads((folder / STATE).read_text(encoding="utf-8"))
            return cls(
                FeatureSchema.from_dict(plain["schema"]),
                float(plain["mean"]),
                float(plain["error"]),
                float(plain["cured"]),
                Ensemble.load(folder / "cure") if plain["cure"] else None,
                Blend.load(folder / "lost") if plain["lost"] else None,
                float(plain["p"]),
            )

    def _joined(self, X: pd.DataFrame, lost: dict[str, FloatArray]) -> dict[str, FloatArray]:
        """Mix what loans cost that aren't cured with what cured ones do."""
        found = {name: np.clip(values, 0.0, 1.0) for name, values in lost.items()}
        if self.cure is None:
            return found
        chance = expit(self.cure.margin(X[self.schema.names]))
        return {n: np.asarray(chance * self.cured + (1 - chance) * v) for n, v in found.items()}


def _left_out(
    X: pd.DataFrame, rest: npt.NDArray[np.bool_], lost: Blend, cure: Ensemble | None, cured: float
) -> FloatArray:
    """LGD of each loan by models that didn't see it, shape (n,)."""
    found = np.empty(len(X))
    found[rest] = lost.oof
    if not rest.all():
        found[~rest] = lost.predict(X[~rest])  # no model of what is lost saw cured loans
    found = np.clip(found, 0.0, 1.0)
    if cure is not None:
        found = cure.oof_pd * cured + (1 - cure.oof_pd) * found
    return found


def _p_better(difference: FloatArray, weight: FloatArray) -> float:
    """One-sided p-value of a weighted mean difference being below 0; 1 where nothing differs."""
    mean = float(np.average(difference, weights=weight))
    error = float(np.sqrt(((weight * (difference - mean)) ** 2).sum()) / weight.sum())
    return float(norm.cdf(mean / error)) if error > 0 else 1.0


def _fit_cure(
    schema: FeatureSchema,
    X: pd.DataFrame,
    healed: npt.NDArray[np.int8],
    families: Sequence[str],
    seed: int,
    groups: Index,
    progress: Callable[[float], None] | None,
) -> Ensemble:
    from sklearn.model_selection import StratifiedGroupKFold

    from riskwright.learn.bag import fit_bag
    from riskwright.learn.ensemble import Ensemble

    cut = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    folds = list(cut.split(X, healed, groups))
    bags, oofs = {}, {}
    for number, name in enumerate(families):
        bags[name], oofs[name] = fit_bag(
            name, schema, X, healed, folds, seed=seed, params={}, groups=groups
        )
        if progress is not None:
            progress((number + 1) / len(families))
    return Ensemble.fit(bags, oofs, healed, groups)
