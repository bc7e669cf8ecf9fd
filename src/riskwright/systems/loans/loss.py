"""From a training snapshot to LGD, EAD and the timing of defaults: the other models of a book."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import logit

from riskwright.case.usecase import UseCase
from riskwright.data import losses, maturity, units
from riskwright.data.losses import FEWEST
from riskwright.home import Home
from riskwright.life.workplace import Progress, new_part, publish
from riskwright.store import snapshots
from riskwright.systems.loans.records import LossFit

if TYPE_CHECKING:
    from riskwright.learn.hazard import Hazard
    from riskwright.systems.loans.exposure import Exposure

YEAR = 12


def fit_loss(
    usecase: UseCase,
    home: Home,
    *,
    train: str,
    seed: int,
    folder: Path,
    progress: Progress | None = None,
    clean: str | None = None,
) -> LossFit:
    """Fit LGD and EAD on the failed loans of a training snapshot whose recoveries are over.

    Parameters
    ----------
    clean
        The snapshot that the training part was cut from: it tells up to when loans were seen.

    Raises
    ------
    InputRefused
        If fewer than 30 loans failed.
    """
    from riskwright.systems.loans.severity import Severity

    frame = snapshots.read(train, home)
    seen = maturity.recoveries_until(usecase, snapshots.read(clean, home) if clean else frame)
    known, left_out = losses.enough(usecase, frame, seen)
    frame = frame[known]
    owed = maturity.owed_at_default(usecase, frame)
    exposure = _fit_exposure(usecase, frame)
    severity = Severity.fit(
        usecase.schema_,
        frame[usecase.feature_names],
        lgd_of(usecase, frame),
        owed,
        families=[n for n, f in usecase.families.items() if f.ensemble and n != "scorecard"],
        seed=seed,
        groups=units.units(usecase, frame),
        progress=progress,
    )
    part = new_part(folder)
    severity.save(part / "lgd")
    exposure.save(part / "ead.json")
    return LossFit(
        folder=str(folder),
        sha256=publish(part, folder),
        failed=len(frame),
        left_out=left_out,
        lgd_mean=severity.mean,
        lgd_weights=severity.lost.weights if severity.lost else {},
        ead_ratio=exposure.ratio,
        ccf=exposure.ccf,
    )


def _fit_exposure(usecase: UseCase, frame: pd.DataFrame) -> Exposure:
    """Measure what failed loans owed; how far off that is, on the newer half of them too."""
    from riskwright.systems.loans.exposure import Exposure

    held = maturity.loan_of(usecase)

    def measure(rows: pd.DataFrame) -> Exposure:
        return Exposure.fit(
            rows[held.amount],
            rows[held.rate],
            rows[held.term],
            np.nan_to_num(maturity.months_between(rows[usecase.time], rows[held.closed])),
            maturity.owed_at_default(usecase, rows),
            maturity.credit_limits(usecase, rows),
            drawn_before(usecase, rows),
        )

    exposure = measure(frame)
    instalment = frame[np.isnan(maturity.credit_limits(usecase, frame))]
    instalment = instalment.sort_values(str(usecase.time), kind="stable")
    half = len(instalment) // 2
    if half < FEWEST:
        return exposure
    newer = instalment[half:]
    ahead = owed_within_the_year(usecase, measure(instalment[:half]), newer)
    off = ahead.sum() / maturity.owed_at_default(usecase, newer).sum() - 1
    return replace(exposure, relative_error=float(np.hypot(exposure.relative_error, off)))


def lgd_of(usecase: UseCase, frame: pd.DataFrame) -> np.ndarray:
    """Realised LGD of failed loans, shape (n,)."""
    from riskwright.systems.loans.severity import realised_lgd

    held = maturity.loan_of(usecase)
    return realised_lgd(
        maturity.owed_at_default(usecase, frame),
        frame[held.recovered],
        frame[held.recovery_costs],
        frame[held.rate],
        maturity.recovery_months(usecase, frame),
    )


def drawn_before(usecase: UseCase, frame: pd.DataFrame) -> np.ndarray:
    """What failed lines of credit had drawn twelve months before, money (n,); NaN if unknown."""
    lines = maturity.loan_of(usecase).revolving
    if lines is None or lines.drawn_before not in frame:
        return np.full(len(frame), np.nan)
    return np.asarray(frame[lines.drawn_before], dtype=float)


def owed_now(usecase: UseCase, exposure: Exposure, book: pd.DataFrame) -> np.ndarray:
    """Return what loans owe if they fail today, in money, shape (n,).

    Parameters
    ----------
    book
        Canonical columns; ``months_on_book`` (else the loan is new) and ``balance`` (else by the
        schedule).
    """
    held = maturity.loan_of(usecase)
    age, balance = _numbers(book, "months_on_book", 0.0), _numbers(book, "balance", np.nan)
    limit = maturity.credit_limits(usecase, book)
    today = exposure.predict(book[held.amount], book[held.rate], book[held.term], age)
    term = np.where(np.isnan(balance), today, exposure.ratio * balance)
    return np.where(np.isnan(limit), term, exposure.predict_lines(limit, balance))


def owed_later(usecase: UseCase, exposure: Exposure, book: pd.DataFrame, months: int) -> np.ndarray:
    """Return what loans owe if they are in default in each of the next months, in money.

    A loan in default in a month made its last payment ``grace_months`` before, so one that is in
    default soon has missed payments already. An instalment loan then owes today's balance in the
    proportion in which the schedule of its remaining life falls, and never more than today; a
    line of credit, as long as it runs, what it has drawn and the expected part of the rest.

    Parameters
    ----------
    book
        As ``owed_now`` takes it; ``months_left`` if another than the term says.
    months
        How far to look.

    Returns
    -------
    Shape (n, months): column j is month j + 1 from today; 0 beyond the loan's end.
    """
    held = maturity.loan_of(usecase)
    amount, rate, term = (
        book[c].to_numpy(dtype=float) for c in (held.amount, held.rate, held.term)
    )
    age, balance = _numbers(book, "months_on_book", 0.0), _numbers(book, "balance", np.nan)
    end = age + np.where(np.isnan(left := _numbers(book, "months_left", np.nan)), term - age, left)
    limit = maturity.credit_limits(usecase, book)
    line = ~np.isnan(limit)
    drawn = exposure.predict_lines(limit, balance)
    scheduled = maturity.schedule_balance(amount, rate, end, age)
    known = ~np.isnan(balance) & (scheduled > 0)
    scale = np.where(known, balance / np.where(known, scheduled, 1.0), 1.0)
    # Of what was borrowed no more can be owed than there is today (than was lent, of a new loan),
    # but for what the measured ratio says is added.
    added = max(1.0, exposure.ratio)
    most = added * np.where(np.isnan(balance), amount, balance)
    first = np.where(age >= term, age, 0.0)  # past its term it owes what it owes
    out = np.zeros((len(book), months))
    for j in range(months):
        month = age + j + 1
        paid = np.maximum(month - held.grace_months, first)
        owed = np.minimum(scale * exposure.predict(amount, rate, end, paid), most)
        out[:, j] = np.where(month <= end, np.where(line, drawn, owed), 0.0)
    return out


def owed_within_the_year(
    usecase: UseCase, exposure: Exposure, failed: pd.DataFrame, chances: np.ndarray | None = None
) -> np.ndarray:
    """Return what failed instalment loans were expected to owe, money (n,).

    As seen at the start of the year of their life in which they were in default: the month isn't
    known then, so it is the mean over that year's months.

    Parameters
    ----------
    failed
        (n,) canonical loans.
    chances
        Probability of a default in each of those months, (n, 12); all alike if None.
    """
    held = maturity.loan_of(usecase)
    start = year_of_default(usecase, failed)
    bare = failed.drop(columns=["balance", "months_left"], errors="ignore")
    owed = owed_later(usecase, exposure, bare.assign(months_on_book=start), YEAR)
    live = start[:, None] + np.arange(1, YEAR + 1) <= failed[held.term].to_numpy()[:, None]
    weight = live * (np.ones_like(owed) if chances is None else chances)
    return np.asarray((owed * weight).sum(axis=1) / weight.sum(axis=1))


def year_of_default(usecase: UseCase, failed: pd.DataFrame) -> np.ndarray:
    """Months on book when the year of a loan's life began in which it was in default, (n,)."""
    month, _ = maturity.endings(usecase, failed)
    return np.asarray(YEAR * np.floor((month - 1) / YEAR))


def _numbers(book: pd.DataFrame, name: str, absent: float) -> np.ndarray:
    if name not in book:
        return np.full(len(book), absent)
    return book[name].to_numpy(dtype=float)


def fit_hazard(usecase: UseCase, frame: pd.DataFrame, oof_pd: np.ndarray) -> Hazard:
    """Fit the timing of defaults on training loans and their out-of-fold PDs (NaN: left out)."""
    from riskwright.learn.hazard import Hazard

    held = maturity.loan_of(usecase)
    known = np.isfinite(oof_pd)
    month, ended = maturity.endings(usecase, frame)
    return Hazard.fit(
        logit(np.clip(oof_pd[known], 1e-6, 1 - 1e-6)),
        frame[held.term].to_numpy()[known],
        month[known],
        ended[known],
    )
