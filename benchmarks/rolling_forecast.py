"""The forecast of one quarter's loans from what was known on its first day: see rolling_origins.

A library of that benchmark, not a command.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit, ndtr, ndtri
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from riskwright.case.usecase import UseCase
from riskwright.data import maturity
from riskwright.data.contract import target_of
from riskwright.data.losses import FEWEST
from riskwright.data.maturity import FAILED, RAN_OUT, REPAID, schedule_balance
from riskwright.learn.bag import fit_bag
from riskwright.learn.ensemble import Ensemble
from riskwright.learn.hazard import Hazard
from riskwright.systems.loans.exposure import Exposure
from riskwright.systems.loans.portfolio import basel
from riskwright.systems.loans.severity import realised_lgd

RANKED_AFTER = 6  # months seen, from which a loan counts for the ranking
HELD_BELOW = 100  # loans at risk, below which a month's hazard is that of the month before
REFITS = 30  # of hazards, LGD and EAD on resampled loans
DRAWS_EACH = 100  # from each refit
FOLDS = 5
YEARS = ("basel", "learnt")  # kinds of year effect
# Grids of the year effect: root of the correlation, shift of the level (in N^-1), the factor.
ROOTS, SHIFTS, FACTORS = np.linspace(0, 0.4, 41), np.linspace(-0.6, 0.6, 61), np.linspace(-4, 4, 81)


@dataclass(frozen=True)
class Loans:
    """Loans with all that became of them; nothing is learnt from it but through ``known``.

    Attributes
    ----------
    frame
        Canonical loans, (n,).
    amount, rate, term
        Money lent, rate a year, months, (n,).
    paid
        Month of the last payment after the issue, (n,).
    failed, owed, lgd
        Outcome, money owed at default, realised LGD (of failed loans, else NaN), (n,).
    """

    frame: pd.DataFrame
    amount: np.ndarray
    rate: np.ndarray
    term: np.ndarray
    paid: np.ndarray
    failed: np.ndarray
    owed: np.ndarray
    lgd: np.ndarray

    @classmethod
    def of(cls, usecase: UseCase, frame: pd.DataFrame) -> Loans:
        """Take the columns that the use case names."""
        held = maturity.loan_of(usecase)
        failed = target_of(usecase, frame).astype(bool)
        amount, rate, term = (
            frame[c].to_numpy(dtype=float) for c in (held.amount, held.rate, held.term)
        )
        paid = np.nan_to_num(maturity.months_between(frame[usecase.time], frame[held.closed]))
        owed = maturity.owed_at_default(usecase, frame)
        recovered, costs = frame[held.recovered], frame[held.recovery_costs]
        lgd = realised_lgd(owed, recovered, costs, rate, held.recovery_months)
        lgd[~failed] = np.nan
        return cls(frame, amount, rate, term, paid, failed, owed, lgd)


@dataclass(frozen=True)
class Known:
    """What a day knew of the loans made before it, at ``rows`` of ``Loans``.

    ``seen`` months of each life are known; it ``ended`` so in ``month``, or was still there then.
    """

    rows: np.ndarray
    seen: np.ndarray
    month: np.ndarray
    ended: np.ndarray


def known(usecase: UseCase, loans: Loans, mine: np.ndarray, day: pd.Timestamp) -> Known:
    """Cut loans back to a day.

    The month of the day isn't over, and the grace hides who had stopped paying just before it: of
    nobody is anything known that is later.
    """
    held = maturity.loan_of(usecase)
    seen = maturity.months_between(loans.frame[usecase.time], day) - 1 - held.grace_months
    rows = np.flatnonzero(mine & (seen >= 1))
    seen, term, paid = seen[rows], loans.term[rows], loans.paid[rows]
    over, failed = paid <= seen, loans.failed[rows]
    ended = np.where(over & failed, FAILED, np.where(over & (paid < term), REPAID, RAN_OUT))
    # Past its term and still not repaid: how its last month ended isn't known yet.
    still = np.where(over, term, np.minimum(seen, term - 1))
    month = np.where(ended == RAN_OUT, still, np.clip(paid, 1, term))
    return Known(rows, seen, month, ended)


@dataclass(frozen=True)
class Learnt:
    """What a population had taught by a day; a list holds one part for each refit."""

    ensemble: Ensemble
    hazards: list[Hazard]
    until: float
    lgds: list[tuple[np.ndarray, np.ndarray]]
    ratios: np.ndarray
    roots: np.ndarray
    shifts: np.ndarray
    facts: dict[str, Any]


def learn(
    usecase: UseCase,
    loans: Loans,
    past: Known,
    term: int,
    families: list[str],
    refits: int = REFITS,
) -> Learnt | str:
    """Fit on what was known, or say why the loans of that term can't be forecast yet."""
    at, rng = past.rows, np.random.default_rng(0)
    failed, own, terms = past.ended == FAILED, loans.term[at] == term, loans.term[at]
    if (failed & own).sum() < FEWEST:
        return f"{(failed & own).sum()} of {FEWEST}"
    x, y = loans.frame.iloc[at][usecase.feature_names], failed.astype(np.int8)
    old = np.flatnonzero(past.seen >= RANKED_AFTER)
    ensemble = rank(usecase, x.iloc[old], y[old], families)
    margin = ensemble.margin(x)
    margin[old] = logit(np.clip(ensemble.oof_pd, 1e-6, 1 - 1e-6))
    again = [rng.integers(0, len(at), len(at)) for _ in range(refits)]
    hazards = [Hazard.fit(margin[p], terms[p], past.month[p], past.ended[p]) for p in again]
    until = max(_last_month(past.month[terms == t], int(t)) / t for t in np.unique(terms))
    lgds, ratios, recoveries = _severity(usecase, loans, past, refits, rng)
    # The level that the year effect is told from: the mean of the refits, as in the forecast.
    curves = np.mean([curve(*by_month(h, margin[own], terms[own], until)) for h in hazards], axis=0)
    last = np.minimum(past.seen, terms)[own].astype(int) - 1
    expected = curves.cumsum(axis=1)[np.arange(len(last)), last]
    quarter = loans.frame[usecase.time].iloc[at].dt.to_period("Q").astype(str).to_numpy()[own]
    roots, shifts = year_effect(expected, y[own], quarter, refits * DRAWS_EACH, rng)
    facts = {
        "learnt_from": int(own.sum()),
        "failures_known": int((failed & own).sum()),
        "recoveries_known": recoveries,
        "held_from_month": round(until * term),
        "auc_known": float(roc_auc_score(y[old], ensemble.oof_pd)),
        "weights": ensemble.describe()["weights"],
        "rho_median": float(np.median(roots**2)),
        "shift_median": float(np.median(shifts)),
    }
    return Learnt(ensemble, hazards, until, lgds, ratios, roots, shifts, facts)


def rank(usecase: UseCase, x: pd.DataFrame, y: np.ndarray, families: list[str]) -> Ensemble:
    """Fit the families in folds and weight them."""
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(x, y))
    bags, oofs = {}, {}
    for name in families:
        params = dict(usecase.families[name].params)
        bags[name], oofs[name] = fit_bag(name, usecase.schema_, x, y, folds, seed=0, params=params)
    return Ensemble.fit(bags, oofs, y)


def curve(fails: np.ndarray, repaid: np.ndarray) -> np.ndarray:
    """Probability that a new loan fails in each month of its life, from both hazards, (n, term)."""
    stays = np.cumprod((1 - fails) * (1 - repaid), axis=1)
    return fails * np.column_stack([np.ones(len(fails)), stays[:, :-1]])


def by_month(
    hazard: Hazard, margin: np.ndarray, term: np.ndarray, until: float
) -> tuple[np.ndarray, np.ndarray]:
    """Hazards of failing and of repaying early in each month, shape (n, longest term), 0 after.

    Beyond the relative age ``until``, which nobody had seen, they are held where they were at it.
    """
    longest = int(term.max())
    month = np.minimum(np.arange(1, longest + 1)[None, :], until * term[:, None])
    m, t = np.repeat(margin, longest), np.repeat(term, longest)
    live = np.arange(1, longest + 1)[None, :] <= term[:, None]

    def one(side: Hazard) -> np.ndarray:
        # Seen from the month before, the next month's probability is the hazard itself.
        return np.where(live, side.marginal_pd(m, t, month.ravel() - 1, 1).reshape(month.shape), 0)

    return one(hazard), one(Hazard(hazard.repaid, hazard.fails, hazard.terms))


def _last_month(month: np.ndarray, term: int) -> int:
    """Month up to which enough loans have been seen."""
    at_risk = (month[:, None] >= np.arange(1, term + 1)).sum(axis=0)
    return int((at_risk >= HELD_BELOW).sum())


def _severity(
    usecase: UseCase, loans: Loans, past: Known, refits: int, rng: np.random.Generator
) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray, int]:
    """Refits of known LGDs (with weights) and of EAD over schedule; how many LGDs are known."""
    failed = past.ended == FAILED
    rows = past.rows[failed]
    ratio = Exposure.fit(
        loans.amount[rows], loans.rate[rows], loans.term[rows], loans.paid[rows], loans.owed[rows]
    )
    settled = rows[(past.month + maturity.loan_of(usecase).recovery_months <= past.seen)[failed]]
    settled = settled[loans.owed[settled] > 0]
    lgds = []
    for _ in range(refits):
        picked = rng.choice(settled, len(settled)) if len(settled) >= FEWEST else settled[:0]
        share = loans.owed[picked] / max(loans.owed[picked].sum(), 1e-9)
        enough = len(picked) > 0
        lgds.append((loans.lgd[picked], share) if enough else (np.ones(1), np.ones(1)))
    return lgds, rng.normal(ratio.ratio, ratio.error, refits), len(settled)


def year_effect(
    expected: np.ndarray, y: np.ndarray, quarter: np.ndarray, draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw root of the asset correlation and shift of the level from their posterior.

    A quarter's failures are binomial with ``N((N^-1(p) + shift - root z) / sqrt(1 - root^2))``,
    p the mean of ``expected`` (n,), z its own standard normal factor. Flat priors on the grids.
    """
    groups = pd.DataFrame({"p": expected, "y": y, "n": 1}).groupby(quarter).sum()
    n, k = (groups[c].to_numpy(dtype=float) for c in ("n", "y"))
    level = ndtri(np.clip(groups["p"].to_numpy() / n, 1e-9, 1 - 1e-9))
    weight = np.exp(-(FACTORS**2) / 2)
    logs = np.zeros((len(ROOTS), len(SHIFTS)))
    for i, root in enumerate(ROOTS):
        point = level[:, None, None] + SHIFTS[:, None] - root * FACTORS
        p = np.clip(ndtr(point / np.sqrt(1 - root**2)), 1e-12, 1 - 1e-12)
        one = k[:, None, None] * np.log(p) + (n - k)[:, None, None] * np.log1p(-p)
        top = one.max(axis=(1, 2), keepdims=True)
        logs[i] = (np.log(np.exp(one - top) @ weight) + top[:, :, 0]).sum(axis=0)
    mass = np.exp(logs - logs.max()).ravel()
    spot = rng.choice(len(mass), draws, p=mass / mass.sum())
    return ROOTS[spot // len(SHIFTS)], SHIFTS[spot % len(SHIFTS)]


def predict(
    usecase: UseCase, loans: Loans, rows: np.ndarray, part: np.ndarray, learnt: Learnt
) -> dict[str, np.ndarray]:
    """Draw what becomes of new loans.

    Parameters
    ----------
    part
        Number of the month of issue of each loan, shape (len(rows),).

    Returns
    -------
    dict
        ``rate_learnt``, ``rate_basel``: failed loans, ``loss_…``: money lost, each of shape
        (draws, parts); and under ``facts`` means that help to explain a miss.
    """
    rng = np.random.default_rng(1)
    amount, rate, term = loans.amount[rows], loans.rate[rows], loans.term[rows]
    margin = learnt.ensemble.margin(loans.frame.iloc[rows][usecase.feature_names])
    parts, size = int(part.max()) + 1, len(rows)
    found: dict[str, list[np.ndarray]] = {f"{m}_{y}": [] for y in YEARS for m in ("rate", "loss")}
    facts, came = [], repaid_in(loans, rows)
    for number, hazard in enumerate(learnt.hazards):
        fails, repaid = by_month(hazard, margin, term, learnt.until)
        curves = curve(fails, repaid)
        cumulative = curves.cumsum(axis=1)
        whole = np.clip(cumulative[:, -1], 1e-9, 1 - 1e-9)
        lgd, share = learnt.lgds[number]
        facts.append(
            {
                "lgd_expected": (share * lgd).sum(),
                "size_expected": (whole @ amount) / whole.sum() / amount.mean(),
                "early_expected": 1 - whole.mean() - np.prod((1 - fails) * (1 - repaid), 1).mean(),
                "rate_given_repayment": curve(fails, came).sum(axis=1).mean(),
            }
        )
        chunk = slice(number * DRAWS_EACH, (number + 1) * DRAWS_EACH)
        z = rng.standard_normal(DRAWS_EACH)
        chance = rng.random((DRAWS_EACH, size))
        for year in YEARS:
            root, shift = learnt.roots[chunk], learnt.shifts[chunk]
            if year == "basel":
                soon = basel.correlation(cumulative[:, 11].mean(), "retail")
                root, shift = np.full(DRAWS_EACH, np.sqrt(soon)), np.zeros(DRAWS_EACH)
            point = ndtri(whole) + (shift - root * z)[:, None]
            hit, loan = np.nonzero(chance < ndtr(point / np.sqrt(1 - root**2)[:, None]))
            aim = rng.random(len(loan)) * cumulative[loan, -1]
            month = 1 + (cumulative[loan] < aim[:, None]).sum(axis=1)
            ead = schedule_balance(amount[loan], rate[loan], term[loan], month)
            lost = learnt.ratios[number] * ead * rng.choice(lgd, len(loan), p=share)
            cell = hit * parts + part[loan]
            for measure, each in (("rate", None), ("loss", lost)):
                total = np.bincount(cell, each, minlength=DRAWS_EACH * parts)
                found[f"{measure}_{year}"].append(total.reshape(DRAWS_EACH, parts))
    means = {name: float(np.mean([f[name] for f in facts])) for name in facts[0]}
    means["auc_new"] = float(roc_auc_score(loans.failed[rows], margin))
    return {**{k: np.concatenate(v) for k, v in found.items()}, "facts": means}


def repaid_in(loans: Loans, rows: np.ndarray) -> np.ndarray:
    """The hazard of early repayment that came, by month, shape (1, term): to explain, after all."""
    term = int(loans.term[rows].max())
    month = np.clip(loans.paid[rows], 1, term)
    early = ~loans.failed[rows] & (loans.paid[rows] < term)
    at_risk = (month[:, None] >= np.arange(1, term + 1)).sum(axis=0)
    events = np.bincount(month[early].astype(int), minlength=term + 1)[1:]
    return (events / np.maximum(at_risk, 1))[None, :]
