"""When a loan fails: a discrete-time hazard model that gives the PD its term structure.

Each month a loan that is still there may fail or be repaid early; the two compete. Both hazards are
logistic regressions on loan-months: the margin of the lifetime PD, how that effect changes over the
loan's life, and a smooth baseline in the loan's relative age (Singer and Willett, "It's about
time", J. Educational Statistics 18, 1993). The margin stands for all features, so the term
structure keeps the order and the reasons of the deployed PD. Loan-months of like margins are
counted together before the fit. The effect of the term is not extrapolated: a loan shorter or
longer than any that was seen has that of the nearest one; and beyond the age that some loans were
seen to reach, the hazards stay what they were there. Loans that are still open are censored: their
months count, and nothing is said of what comes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from riskwright.data.maturity import FAILED, REPAID
from riskwright.errors import InputRefused
from riskwright.learn.saved import reading
from riskwright.store.writer import write_json

FloatArray = npt.NDArray[np.float64]
BANDS = 60  # of the margin, in which loan-months are counted together
RIDGE = 1e4  # so weak that it only keeps the fit finite
FEWEST = 30  # loans, under which nobody says how the hazards go on
MANY_TERMS = 12  # more are counted together, in years
NEVER = -30.0  # log-odds of what never happened


@dataclass(frozen=True)
class Hazard:
    """Coefficients of the two monthly hazards, on the columns of ``_design``.

    Attributes
    ----------
    fails, repaid
        Of failing, and of being repaid early.
    terms
        Shortest and longest term seen, months.
    covariance
        Of the estimated ``fails``, shape (k, k): the inverse of the information.
    last
        Relative age that ``FEWEST`` loans were seen to reach: from there on both hazards are held.
    """

    fails: tuple[float, ...]
    repaid: tuple[float, ...]
    terms: tuple[float, float]
    covariance: tuple[tuple[float, ...], ...] = ()
    last: float = 1.0

    @classmethod
    def fit(
        cls,
        margin: npt.ArrayLike,
        term: npt.ArrayLike,
        month: npt.ArrayLike,
        ended: npt.ArrayLike,
    ) -> Self:
        """Fit on loans whose end is known (or that are still there at ``month``).

        Parameters
        ----------
        margin
            Log-odds of the lifetime PD, made out of fold, shape (n,).
        term
            Months, shape (n,).
        month
            Month on book of the end, or up to which the loan was seen, shape (n,).
        ended
            ``FAILED``, ``REPAID`` (early) or ``RAN_OUT`` (to term, or still there) of
            ``data.maturity``, shape (n,). If none was repaid early, none ever is.

        Raises
        ------
        InputRefused
            If no loan failed.
        """
        m, t, k = (np.asarray(v, dtype=float) for v in (margin, term, month))
        how = np.asarray(ended)
        if not (how == FAILED).any():
            raise InputRefused("no loan failed", expected="some, to tell when loans fail")
        terms = (float(t.min()), float(t.max()))
        last = float(np.sort(np.minimum(k / t, 1.0))[::-1][:FEWEST][-1])
        if len(np.unique(t)) > MANY_TERMS:
            t = np.maximum(12 * np.round(t / 12), 12)
            k = np.minimum(k, t)
        edges = np.unique(np.quantile(m, np.linspace(0, 1, BANDS + 1)))
        band = np.clip(np.searchsorted(edges, m, side="right") - 1, 0, max(len(edges) - 2, 0))
        middle = np.bincount(band, m) / np.maximum(np.bincount(band), 1)
        (bands, length, at), there, fails, repaid = _loan_months(band, len(middle), t, k, how)
        columns = _design(middle[bands], length, at, terms, last)
        # Who fails in a month is not there to repay in it.
        found = _logistic(columns, fails, there)
        hazard = expit(columns @ found)
        information = columns.T @ (columns * (there * hazard * (1 - hazard))[:, None])
        covariance = np.linalg.inv(information + np.eye(len(found)) / RIDGE)
        never = (NEVER, *[0.0] * (len(found) - 1))
        return cls(
            found,
            _logistic(columns, repaid, there - fails) if repaid.any() else never,
            terms,
            tuple(tuple(map(float, row)) for row in covariance),
            last,
        )

    def with_fails(self, fails: npt.ArrayLike) -> Self:
        """Return the same hazards with other coefficients of failing."""
        return replace(self, fails=tuple(map(float, np.asarray(fails, dtype=float))))

    def seen(self, term: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return which terms lie within those of the fit, shape (n,)."""
        months = np.asarray(term, dtype=float)
        return np.asarray((months >= self.terms[0]) & (months <= self.terms[1]))

    def marginal_pd(
        self, margin: npt.ArrayLike, term: npt.ArrayLike, age: npt.ArrayLike, months: int
    ) -> FloatArray:
        """Return the probability to fail in each of the next months, seen from today.

        Parameters
        ----------
        margin, term, age
            Log-odds of the lifetime PD, months of life, months on book (the loan is live), (n,).
        months
            How far to look; months beyond a loan's term hold 0.

        Returns
        -------
        FloatArray
            Shape (n, months); a row's sum over all months is the loan's lifetime PD from today.
        """
        return self.paths(margin, term, age, months)[0]

    def paths(
        self, margin: npt.ArrayLike, term: npt.ArrayLike, age: npt.ArrayLike, months: int
    ) -> tuple[FloatArray, FloatArray]:
        """Return the probabilities to fail, and to be repaid early, in each of the next months.

        As ``marginal_pd``; both of shape (n, months).
        """
        m, t, a = (np.asarray(v, dtype=float) for v in (margin, term, age))
        out, gone = np.zeros((len(m), months)), np.zeros((len(m), months))
        there = np.ones(len(m))
        for j in range(months):
            k = a + j + 1
            design = _design(m, t, np.minimum(k, t), self.terms, self.last)
            live = k <= t
            fails = np.where(live, expit(design @ self.fails), 0.0)
            early = np.where(live, expit(design @ self.repaid), 0.0)
            out[:, j] = there * fails
            gone[:, j] = there * (1 - fails) * early
            there = there * (1 - fails) * (1 - early)
        return out, gone

    def save(self, path: Path) -> None:
        """Write the coefficients as JSON."""
        write_json(path, asdict(self), allow_nan=False)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read back what ``save`` wrote.

        Raises
        ------
        IntegrityError
            If the file isn't there or isn't what ``save`` writes.
        """
        with reading("hazard", path):
            plain = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                tuple(map(float, plain["fails"])),
                tuple(map(float, plain["repaid"])),
                (float(plain["terms"][0]), float(plain["terms"][1])),
                tuple(tuple(map(float, row)) for row in plain["covariance"]),
                float(plain.get("last", 1.0)),
            )


def _loan_months(
    band: npt.NDArray[np.intp],
    bands: int,
    term: FloatArray,
    month: FloatArray,
    ended: npt.NDArray[Any],
) -> tuple[tuple[npt.NDArray[np.intp], FloatArray, FloatArray], FloatArray, FloatArray, FloatArray]:
    """Count the loans by band of the margin, term and month on book.

    Returns
    -------
    tuple
        Band, term and month of each cell that held loans; how many were there, how many failed in
        that month and how many were repaid early in it. All of shape (cells,).
    """
    cells, there, events = [], [], []
    for length in np.unique(term):
        rows = term == length
        for j in range(1, int(length) + 1):
            held = rows & (month >= j)
            if not held.any():
                break
            counts = np.bincount(band[held], minlength=bands)
            some, now = np.flatnonzero(counts), held & (month == j)
            cells.append((some, np.full(len(some), length), np.full(len(some), j)))
            there.append(counts[some])
            events.append(
                [np.bincount(band[now & (ended == c)], minlength=bands)[some]
                 for c in (FAILED, REPAID)]
            )  # fmt: skip
    which, terms, months = (np.concatenate([c[i] for c in cells]) for i in range(3))
    fails, repaid = (np.concatenate([e[i] for e in events]) for i in (0, 1))
    return (which, terms, months), np.concatenate(there), fails, repaid


def _design(
    margin: FloatArray,
    term: FloatArray,
    month: FloatArray,
    terms: tuple[float, float],
    last: float,
) -> FloatArray:
    """One row a loan-month: intercept, baseline in the relative age, margin, and both together."""
    x, length = np.minimum(month / term, last), (np.clip(term, *terms) - terms[0]) / 60
    return np.column_stack([np.ones(len(x)), np.sqrt(x), x, x**2, x**3, length, margin, margin * x])


def _logistic(x: FloatArray, events: npt.ArrayLike, there: npt.ArrayLike) -> tuple[float, ...]:
    rows = np.concatenate([x, x])
    outcome = np.repeat([1, 0], len(x))
    happened = np.asarray(events, dtype=float)
    weight = np.concatenate([happened, np.asarray(there, dtype=float) - happened])
    some = weight > 0
    found = LogisticRegression(C=RIDGE, fit_intercept=False, max_iter=2000, tol=1e-6)
    found.fit(rows[some], outcome[some], sample_weight=weight[some])
    return tuple(float(v) for v in found.coef_[0])
