"""The simulator ``loan_book``: loans in Lending Club's columns, with their true PD, LGD and EAD.

The process, in the order of the functions: who asks, for an instalment loan or a line of credit
(``_people``), what the lender makes of it (``_terms``: grade and rate rest on a noisy view of the
risk), what happens month by month (``_hazards``: default with a hump over the loan's life, and
early repayment, which compete), how far a line is drawn, and what is recovered and when (a few
loans are cured and soon pay nearly all, most pay little and late). Margins are calibrated to
Lending Club's loans of 2007 to 2011; ``docs/reference/simulator.md`` lists target and achieved.
Every loan is followed to its end, so all labels are mature.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, ndtr, ndtri

from riskwright.data.credit_applications import Draws
from riskwright.data.loan_truth import (
    CCF,
    COST,
    GRACE,
    LONGEST,
    Floats,
    Truth,
    beta_law,
    recovered,
)
from riskwright.data.maturity import schedule_balance

MONTHS = 48
FIRST_COHORT = np.datetime64("2012-01")
YEAR = 12
SIZED = ("recession", "new_channel", "concept_change")
LINES = 0.15  # of the loans
LINE_RISK = 0.20  # log of the hazard's ratio, a line's to an instalment loan's
RHO = 0.05  # asset correlation of ``redraw``: one bad year is bad for all loans

_PURPOSES = {
    "debt_consolidation": (0.52, 0.05), "credit_card": (0.14, -0.2), "other": (0.11, 0.1),
    "home_improvement": (0.08, -0.1), "major_purchase": (0.06, -0.2),
    "small_business": (0.05, 0.65), "car": (0.04, -0.3),
}  # fmt: skip
_STATES = ("CA", "NY", "FL", "TX", "NJ", "IL", "PA", "GA", "VA", "MA", "OH", "AZ", "WA", "CO")
_HOMES = {"RENT": (0.48, 0.1), "MORTGAGE": (0.44, -0.1), "OWN": (0.08, 0.0)}
_VERIFIED = ("Not Verified", "Verified", "Source Verified")
_GRADES = tuple("ABCDEFG")
_RATES = np.array([0.073, 0.110, 0.136, 0.157, 0.177, 0.197, 0.213])


def simulate(
    rows: int, seed: int, *, scenario: str, months: int, onset: int, strength: float
) -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
    """Return canonical loans with their outcomes, and the true probability that each ever fails.

    Scenarios, from cohort ``onset`` on: ``recession`` (the odds of failing grow by half, fewer
    are cured), ``new_channel`` (borrowers with a shorter history and more debt),
    ``broken_feed`` (incomes in thousands, missing use of lines), ``concept_change`` (debt and use
    of lines no longer matter, length of history matters more).
    """
    draws = Draws(seed, rows)
    cohort = np.arange(rows) % months
    changed = (cohort >= onset) & (scenario != "none")
    frame, truth = _loans(draws, cohort, changed, scenario, strength)
    _happens(frame, truth, draws)
    if scenario == "broken_feed":
        hit = changed & (draws.uniform() < 0.10 * strength)
        frame.loc[hit, "annual_inc"] /= 1000
        frame.loc[changed & (draws.uniform() < 0.15 * strength), "revol_util"] = np.nan
    frame["id"] = [f"L{seed}-{i:07d}" for i in range(rows)]
    return frame, truth.lifetime_pd


def simulate_book(
    rows: int, seed: int, *, scenario: str = "none", strength: float = 1.0, as_of: str = "2016-01"
) -> tuple[pd.DataFrame, Truth]:
    """Return loans that are live on a date (no outcome), and the truth about them.

    Loans of the 48 months before the date; those that are over by then are drawn and left out, so
    fewer than ``rows`` remain.

    Returns
    -------
    DataFrame, Truth
        Canonical columns known on the date, and ``as_of``, ``months_on_book``, ``months_left``,
        ``balance`` (by the schedule, since arrears aren't seen; of a line what is drawn); the
        truth, row by row.
    """
    draws = Draws(seed, rows)
    day = np.datetime64(as_of, "M")
    age = 1 + np.arange(rows) % MONTHS
    changed = np.full(rows, scenario != "none")
    frame, truth = _loans(draws, MONTHS - age, changed, scenario, strength, first=day - MONTHS)
    last, failed = _happens(frame, truth, draws)
    end = np.where(failed, last + GRACE, last)
    live = (end > age) & (age < frame["term"].to_numpy())
    frame["id"] = [f"B{seed}-{i:07d}" for i in range(rows)]
    book = frame[live].drop(columns=list(OUTCOMES))
    known = truth.take(live)
    scheduled = schedule_balance(known.amount, known.rate, known.term, age[live])
    book = book.assign(
        as_of=pd.Timestamp(str(day)),
        months_on_book=age[live].astype(float),
        months_left=book["term"] - age[live],
        balance=np.where(np.isnan(known.drawn), scheduled, known.drawn),
    ).reset_index(drop=True)
    return book, known


OUTCOMES = ("loan_status", "last_pymnt_d", "total_rec_prncp", "recoveries",
            "collection_recovery_fee", "recovery_d", "owed_at_default",
            "drawn_year_before")  # fmt: skip


def redraw(
    book: pd.DataFrame, truth: Truth, seed: int, *, months: int = 12, rho: float = RHO
) -> npt.NDArray[np.float64]:
    """Return what each loan of a book loses within so many months in one more year, in money.

    The loans share a Gaussian factor of correlation ``rho``; when a loan fails, how far it is drawn
    then, and what is recovered when, is drawn by loan. The mean over many years is
    ``truth.loss_within``.
    """
    rng = np.random.default_rng([seed, 77])
    n = len(book)
    soon = truth.ahead(book["months_on_book"], months).cumsum(axis=1)
    p = soon[:, -1]
    z = rng.standard_normal()
    own = rng.standard_normal(n)
    fails = np.flatnonzero(np.sqrt(rho) * z + np.sqrt(1 - rho) * own < ndtri(p))
    known, u = truth.take(fails), rng.random((5, len(fails)))
    last = (soon[fails] < (u[0] * p[fails])[:, None]).sum(axis=1)
    owed = known.owed(last, beta_law(u[1], CCF))
    share, after = recovered(known.cure, *u[2:])
    worth = share * (1 - COST) * (1 + known.rate) ** (-after / 12)
    out = np.zeros(n)
    out[fails] = owed * (1 - worth)
    return out


def _loans(
    draws: Draws,
    cohort: npt.NDArray[np.int_],
    changed: npt.NDArray[np.bool_],
    scenario: str,
    strength: float,
    first: np.datetime64 = FIRST_COHORT,
) -> tuple[pd.DataFrame, Truth]:
    size = {
        name: np.asarray(changed * strength * (scenario == name), dtype=float) for name in SIZED
    }
    frame, quality, drawn = _people(draws, size["new_channel"])
    eta = _risk(frame, quality, size["concept_change"]) + np.log(1.5) * size["recession"]
    _terms(frame, eta, draws)
    issued = first + cohort
    frame.insert(
        0, "issue_d", pd.to_datetime(issued.astype("datetime64[ns]")).astype("datetime64[us]")
    )
    mortgage = (frame["home_ownership"] == "MORTGAGE").to_numpy()
    cure = expit(-3.0 + 0.7 * mortgage + 0.4 * quality - 0.7 * size["recession"])
    default, repaid = _hazards(frame, eta)
    amount, rate, term = (frame[c].to_numpy() for c in ("funded_amnt", "int_rate", "term"))
    return frame, Truth(default, repaid, cure, amount, rate, term, drawn)


def _people(draws: Draws, moved: npt.NDArray[np.float64]) -> tuple[pd.DataFrame, Floats, Floats]:
    quality = draws.normal()
    income = np.exp(10.99 + 0.5 * (0.35 * quality + 0.94 * draws.normal()))
    credit_age = np.clip(160 + 45 * quality + 70 * draws.normal() - 70 * moved, 24, 600)
    util = ndtr(-0.05 - 0.45 * quality + 0.75 * draws.normal() + 0.35 * moved)
    dti = np.clip(13.4 - 1.4 * quality + 6.3 * draws.normal() + 5 * moved, 0, 30)
    late = -0.9 - 0.35 * quality
    delinquent = draws.uniform() < expit(late - 1.1)
    ever = draws.uniform() < expit(0.4 + late)
    record = draws.uniform() < expit(-2.4 - 0.5 * quality)
    opened = np.clip(np.round(9.3 + 0.5 * quality + 4.2 * draws.normal()), 1, 40)
    inquiries = np.floor(draws.exponential() * np.exp(-0.05 - 0.25 * quality) * 1.25)
    frame = pd.DataFrame(
        {
            "annual_inc": np.round(income, -2),
            "dti": np.round(dti, 2),
            "delinq_2yrs": delinquent.astype(float),
            "inq_last_6mths": np.minimum(inquiries, 12.0),
            "mths_since_last_delinq": np.where(ever, np.round(1 + 80 * draws.uniform()), np.nan),
            "mths_since_last_record": np.where(record, np.round(1 + 115 * draws.uniform()), np.nan),
            "open_acc": opened,
            "pub_rec": record.astype(float),
            "revol_bal": np.round(income * np.clip(util, 0.01, 1) * 0.4 * draws.exponential()),
            "revol_util": np.round(util, 3),
            "total_acc": opened + np.floor(12 * draws.exponential()),
            "pub_rec_bankruptcies": (record & (draws.uniform() < 0.75)).astype(float),
            "tax_liens": 0.0,
            "acc_now_delinq": 0.0,
            "delinq_amnt": 0.0,
            "chargeoff_within_12_mths": 0.0,
            "collections_12_mths_ex_med": 0.0,
            "credit_age": np.round(credit_age),
            "emp_length": np.where(
                draws.uniform() < 0.026, np.nan, np.minimum(np.floor(5 * draws.exponential()), 10)
            ),
            "home_ownership": _choice(draws, {k: v[0] for k, v in _HOMES.items()}),
            "purpose": _choice(draws, {k: v[0] for k, v in _PURPOSES.items()}),
            "addr_state": _choice(draws, dict.fromkeys(_STATES, 1 / len(_STATES))),
            "verification_status": _choice(
                draws, dict(zip(_VERIFIED, (0.44, 0.32, 0.24), strict=True))
            ),
        }
    )
    share = 0.16 * np.exp(0.45 * draws.normal())
    amount = np.clip(np.round(income * share / 25) * 25, 1000, 35000)
    frame["loan_amnt"] = frame["funded_amnt"] = amount
    long = draws.uniform() < expit(-1.6 + 0.9 * (amount > 12000))
    frame["term"] = np.where(long, 60.0, 36.0)
    line = draws.uniform() < LINES
    frame["product"] = np.where(line, "revolving", "term")
    frame["credit_limit"] = np.where(line, amount, np.nan)
    use = expit(-0.3 + 1.5 * (util - 0.49) - 0.3 * quality + 0.7 * draws.normal())
    return frame, quality, np.where(line, np.round(amount * use, 2), np.nan)


def _risk(frame: pd.DataFrame, quality: Floats, turned: Floats) -> Floats:
    """Log of the default hazard's level, but for its constant: mostly the row's own columns."""
    debt = 0.022 * (frame["dti"] - 13.4) + 0.75 * (frame["revol_util"] - 0.49)
    history = -0.0012 * (frame["credit_age"] - 160)
    eta = (
        (1 - turned) * debt
        + (1 + 2 * turned) * history
        - 0.42 * (np.log(frame["annual_inc"]) - 10.99)
        + 0.13 * frame["inq_last_6mths"].clip(upper=6)
        + 0.35 * frame["pub_rec"]
        + 0.20 * frame["delinq_2yrs"]
        + 0.40 * (frame["term"] == 60)
        + LINE_RISK * (frame["product"] == "revolving")
        + 0.000012 * frame["loan_amnt"]
        + frame["purpose"].map({k: v[1] for k, v in _PURPOSES.items()})
        + frame["home_ownership"].map({k: v[1] for k, v in _HOMES.items()})
    )
    return np.asarray(eta - 0.20 * quality, dtype=float)


def _terms(frame: pd.DataFrame, eta: Floats, draws: Draws) -> None:
    """The lender's verdict: a noisy view of the risk, cut into grades; the rate by grade."""
    view = (eta - 0.35) / 0.62 + 0.7 * draws.normal()
    step = np.searchsorted([-0.75, 0.2, 0.95, 1.6, 2.3, 3.0], view)
    fine = 1 + np.floor(5 * draws.uniform()).astype(int)
    frame["grade"] = np.array(_GRADES)[step]
    frame["sub_grade"] = [f"{g}{f}" for g, f in zip(frame["grade"], fine, strict=True)]
    frame["int_rate"] = np.round(_RATES[step] + 0.004 * (fine - 3), 4)
    monthly = frame["int_rate"] / 12
    payment = frame["funded_amnt"] * monthly / (1 - (1 + monthly) ** -frame["term"])
    interest = frame["funded_amnt"] * monthly  # of a line that is drawn to its limit
    payment = payment.where(frame["product"] == "term", interest)
    frame["installment"] = np.round(payment, 2)
    frame["policy"] = "standard"
    frame["application_type"] = "Individual"


def _hazards(frame: pd.DataFrame, eta: Floats) -> tuple[Floats, Floats]:
    """Probability that the last payment is that of month k and the loan fails, or is repaid."""
    term = frame["term"].to_numpy()
    k = np.arange(LONGEST)[None, :]
    share = k / term[:, None]
    hump = share**0.6 * np.exp(-2.6 * share)  # highest a quarter into the loan's life
    fail = np.where(k < term[:, None] - GRACE, 0.0180 * hump * np.exp(eta)[:, None], 0.0)
    early = np.where((k > 0) & (k < term[:, None]), 0.010 + 0.012 * share, 0.0)
    fail = np.minimum(fail, 0.5)
    stays = (1 - fail) * (1 - early)
    alive = np.cumprod(np.hstack([np.ones((len(term), 1)), stays[:, :-1]]), axis=1)
    return alive * fail, alive * (1 - fail) * early


def _happens(
    frame: pd.DataFrame, truth: Truth, draws: Draws
) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.bool_]]:
    """Draw each loan's life into the outcome columns; return its last payment and if it failed."""
    both = np.hstack([truth.default, truth.repaid]).cumsum(axis=1)
    spot = (both < draws.uniform()[:, None]).sum(axis=1)
    failed = spot < LONGEST
    term = frame["term"].to_numpy()
    last = np.where(failed, spot, np.where(spot < 2 * LONGEST, spot - LONGEST, term)).astype(int)
    line = ~np.isnan(truth.drawn)
    u = [draws.uniform() for _ in range(4)]
    owed = np.round(truth.owed(last, beta_law(u[0], CCF)), 2)
    share, after = recovered(truth.cure, *u[1:])
    back = share * owed * failed
    issued = frame["issue_d"].to_numpy().astype("datetime64[M]")
    frame["loan_status"] = np.where(failed, "Charged Off", "Fully Paid")
    paid = pd.Series((issued + last).astype("datetime64[us]")).mask(failed & (last == 0))
    frame["last_pymnt_d"] = paid.to_numpy()
    # Of a line, paid back and drawn again, nobody counts what was repaid.
    frame["total_rec_prncp"] = np.where(line, np.nan, frame["funded_amnt"] - owed * failed)
    frame["recoveries"] = np.round(back, 2)
    frame["collection_recovery_fee"] = np.round(back * COST, 2)
    day = pd.Series((issued + last + GRACE + after).astype("datetime64[us]"))
    frame["recovery_d"] = day.where(failed).to_numpy()
    frame["owed_at_default"] = np.where(failed, owed, np.nan)
    # There was no line a year before the default of one that failed in its first year.
    old = failed & (last + GRACE >= YEAR)
    frame["drawn_year_before"] = np.where(old, truth.drawn, np.nan)
    return last, failed


def _choice(draws: Draws, shares: dict[str, float]) -> npt.NDArray[np.object_]:
    edges = np.cumsum(list(shares.values()))
    spot = np.minimum(np.searchsorted(edges, draws.uniform()), len(shares) - 1)
    return np.array(list(shares), dtype=object)[spot]
