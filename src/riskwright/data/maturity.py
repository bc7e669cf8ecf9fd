"""When a loan's outcome is known: label maturity, vintages, and the book as it was at a date.

A loan is in default once it is ``grace_months`` past its last payment without having been repaid.
Its label is *mature* once the months that count (``outcome_months``: its whole life, or the first
two years of a long loan) and that grace are over, whatever became of it: a loan that failed early
is known early, and taking it in before the others of its month would count the bads of a vintage
without its goods. Loans that are open then, or fail later, are good; when they end, or how long
they have been seen (``endings``), is what the hazards learn from.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.case.usecase import Loan, UseCase
from riskwright.errors import InputRefused
from riskwright.stats.estimates import jeffreys

Mask = npt.NDArray[np.bool_]
FAILED, REPAID, RAN_OUT = 1, 2, 0  # how a loan ended (or that it is still there)
LONG = 84  # months: of a longer loan nobody waits for the end …
WINDOW = 24  # … and its first months count (Siddiqi, Intelligent Credit Scoring, 2017, ch. 4)


def months_between(start: pd.Series, end: pd.Series | pd.Timestamp) -> npt.NDArray[np.float64]:
    """Return calendar months from ``start`` to ``end``, shape (n,); NaN where one is missing."""
    last = end if isinstance(end, pd.Series) else pd.Series(end, index=start.index)
    years = last.dt.year - start.dt.year
    return np.asarray(12.0 * years + (last.dt.month - start.dt.month), dtype=float)


def default_month(loan: Loan, frame: pd.DataFrame, time: str) -> npt.NDArray[np.float64]:
    """Return the month on book in which a loan that failed is in default, shape (n,).

    ``grace_months`` after the last payment; after the issue for a loan that never paid.
    """
    paid = months_between(frame[time], frame[loan.closed])
    return np.where(np.isnan(paid), 0.0, paid) + loan.grace_months


def outcome_months(usecase: UseCase, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return the months of each loan's life in which a default makes it bad, shape (n,).

    The whole term; ``window_months`` at most, which are 24 for loans of more than 84 months if the
    use case doesn't say.
    """
    held = loan_of(usecase)
    term = frame[held.term].to_numpy(dtype=float)
    window = held.window_months
    most = np.where(term > LONG, WINDOW, term) if window is None else float(window)
    return np.asarray(np.minimum(term, most))


def bads(usecase: UseCase, frame: pd.DataFrame) -> Mask:
    """Return which loans failed within the months that count, shape (n,)."""
    held = loan_of(usecase)
    failed = (frame[usecase.target.column] == usecase.target.bad).to_numpy()
    within = default_month(held, frame, str(usecase.time)) <= outcome_months(usecase, frame)
    return np.asarray(failed & (whole_life(usecase, frame) | within))


def endings(
    usecase: UseCase, frame: pd.DataFrame
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int_]]:
    """Return when and how loans ended, or how long open ones have been seen.

    Returns
    -------
    Month on book (n,): of the default, of the last payment, or up to which an open loan was seen
    (``observed_until``; its last payment, if it has missed the months of grace since); and
    ``FAILED``, ``REPAID`` (early) or ``RAN_OUT`` (to term, or still there).
    """
    held, target = loan_of(usecase), usecase.target
    status = frame[target.column]
    failed, good = (status == target.bad).to_numpy(), (status == target.good).to_numpy()
    paid = months_between(frame[usecase.time], frame[held.closed])
    term = frame[held.term].to_numpy()
    age = months_between(frame[usecase.time], observed_until(usecase, frame))
    silent = ~np.isnan(paid) & (paid + held.grace_months <= age)
    seen = np.where(good & np.isnan(paid), term, np.where(silent, paid, age))
    month = np.where(failed, default_month(held, frame, str(usecase.time)), seen)
    month = np.where(good & ~np.isnan(paid), paid, month)
    ended = np.where(failed, FAILED, np.where(good & (month < term), REPAID, RAN_OUT))
    return np.clip(month, 1, term), ended


def owed_at_default(usecase: UseCase, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return the principal that a failed loan owed, in money, shape (n,).

    As the source says it, else what was lent less what was repaid; NaN where neither is known.
    """
    held = loan_of(usecase)
    owed = (frame[held.amount] - frame[held.repaid]).clip(lower=0)
    if held.owed is not None and held.owed in frame:
        owed = frame[held.owed].fillna(owed)
    return np.asarray(owed, dtype=float)


def recovery_months(usecase: UseCase, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return the months from default to recovery of failed loans, shape (n,).

    The use case's ``recovery_months`` where the source has no date.
    """
    held = loan_of(usecase)
    stated = np.full(len(frame), float(held.recovery_months))
    if held.recovered_on is None or held.recovered_on not in frame:
        return stated
    until = months_between(frame[usecase.time], frame[held.recovered_on])
    seen = until - default_month(held, frame, str(usecase.time))
    return np.where(np.isnan(seen), stated, np.maximum(seen, 0.0))


def recoveries_until(usecase: UseCase, frame: pd.DataFrame) -> pd.Timestamp:
    """Return the date up to which a data set saw recoveries: as for payments, or a later one."""
    held, seen = loan_of(usecase), observed_until(usecase, frame)
    if held.recovered_on is None or held.recovered_on not in frame:
        return seen
    days = frame[held.recovered_on]
    last = pd.Timestamp(days[days <= this_month()].max())
    return seen if pd.isna(last) else max(seen, last)


def recovered(usecase: UseCase, frame: pd.DataFrame, as_of: date | pd.Timestamp) -> Mask:
    """Return which failed loans have had their ``recovery_months`` by a date, shape (n,).

    Whatever came back: else early recoveries would be counted without the loans beside them from
    which nothing has come yet.
    """
    held = loan_of(usecase)
    age = months_between(frame[usecase.time], pd.Timestamp(as_of))
    over = default_month(held, frame, str(usecase.time)) + held.recovery_months
    return np.asarray(over <= age)


def credit_limits(usecase: UseCase, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return the limit of each line of credit, in money, shape (n,); NaN for instalment loans."""
    held = loan_of(usecase)
    lines = held.revolving
    if lines is None or lines.product not in frame:
        return np.full(len(frame), np.nan)
    limit = frame[lines.limit] if lines.limit in frame else pd.Series(np.nan, index=frame.index)
    line = frame[lines.product].isin([lines.value])
    return np.asarray(limit.fillna(frame[held.amount]).where(line), dtype=float)


def this_month() -> pd.Timestamp:
    """Return the last day of the current month: some files date a month by it."""
    return pd.Timestamp.now("UTC").tz_localize(None).normalize() + pd.offsets.MonthEnd(0)


def observed_until(usecase: UseCase, frame: pd.DataFrame) -> pd.Timestamp:
    """Return the date up to which a data set saw its loans: its latest payment or issue.

    A date after this month is a slip, and says nothing of the others; NaT if there is no date.
    """
    days = frame[[str(usecase.time), loan_of(usecase).closed]]
    return pd.Timestamp(days.where(days <= this_month()).max().max())


def mature(usecase: UseCase, frame: pd.DataFrame, as_of: date | pd.Timestamp) -> Mask:
    """Return which labels may be used on a date: the months that count and the grace are over.

    Parameters
    ----------
    frame
        (n,) canonical loans.
    as_of
        The day on which somebody would have used them.
    """
    over, status = ripe(usecase, frame, as_of), frame[usecase.target.column]
    known = status.isin([usecase.target.bad, usecase.target.good]).to_numpy()
    # Of a long loan that is still open enough is known, unless it fell silent within the months
    # that count: by the rule it would be in default, and its status doesn't say so.
    open_ = status.isin(usecase.target.open).to_numpy()
    known = known | (~whole_life(usecase, frame) & open_ & ~silent(usecase, frame))
    return np.asarray(over & known)


def silent(usecase: UseCase, frame: pd.DataFrame) -> Mask:
    """Return which open loans were last paid so early that by the rule they failed, shape (n,).

    Within the months that count, by ``grace_months`` after the last payment; what became of them
    isn't known. An open loan without a date is taken to be paid.
    """
    held = loan_of(usecase)
    month = default_month(held, frame, str(usecase.time))
    paid = frame[held.closed].notna().to_numpy()
    open_ = frame[usecase.target.column].isin(usecase.target.open).to_numpy()
    return np.asarray(open_ & paid & (month <= outcome_months(usecase, frame)))


def ripe(usecase: UseCase, frame: pd.DataFrame, as_of: date | pd.Timestamp) -> Mask:
    """Return of which loans the months that count and the grace are over by a date, shape (n,)."""
    held = loan_of(usecase)
    age = months_between(frame[usecase.time], pd.Timestamp(as_of))
    return np.asarray(age >= outcome_months(usecase, frame) + held.grace_months)


def whole_life(usecase: UseCase, frame: pd.DataFrame) -> Mask:
    """Return of which loans a default counts in whatever month of the term it comes, (n,)."""
    return np.asarray(outcome_months(usecase, frame) >= frame[loan_of(usecase).term].to_numpy())


def calendar(usecase: UseCase, frame: pd.DataFrame, as_of: date | pd.Timestamp) -> pd.DataFrame:
    """Return the vintage table: what each issue month's loans are known to have become by a date.

    Returns
    -------
    DataFrame
        Index ``vintage`` (month); ``loans``, ``mature``, ``immature``, ``bads`` (of the mature),
        ``rate`` with a 95 % Jeffreys interval ``low`` to ``high``, NaN where nothing is mature.
    """
    done = mature(usecase, frame, as_of)
    bad = bads(usecase, frame) & done
    month = frame[usecase.time].dt.to_period("M").rename("vintage")
    table = pd.DataFrame({"loans": 1, "mature": done.astype(int), "bads": bad.astype(int)})
    table = table.groupby(month.to_numpy()).sum().rename_axis("vintage")
    n, k = table["mature"].to_numpy(), table["bads"].to_numpy()
    some = n > 0
    table.insert(2, "immature", table["loans"] - table["mature"])
    table["rate"] = np.divide(k, n, out=np.full(len(n), np.nan), where=some)
    for name, bound in zip(("low", "high"), jeffreys(k, n), strict=True):
        table[name] = np.where(some, bound, np.nan)
    return table


def live(usecase: UseCase, frame: pd.DataFrame, as_of: date | pd.Timestamp) -> Mask:
    """Return the loans that were on the book at a date: issued by then, and paid on after it.

    Loans that failed but were not yet in default by the stated rule are still on the book.
    """
    held = loan_of(usecase)
    day = pd.Timestamp(as_of)
    issued = (frame[usecase.time] <= day).to_numpy()
    bad = (frame[usecase.target.column] == usecase.target.bad).to_numpy()
    age = months_between(frame[usecase.time], day)
    later = (frame[held.closed] > day).to_numpy()
    # An open loan has no last payment yet; one that never paid stays until it is in default.
    status = frame[usecase.target.column]
    unknown = ~status.isin([usecase.target.bad, usecase.target.good]).to_numpy()
    waiting = bad & (default_month(held, frame, str(usecase.time)) > age)
    return np.asarray(issued & (later | waiting | unknown) & (age < frame[held.term].to_numpy()))


def schedule_balance(
    amount: npt.ArrayLike, rate: npt.ArrayLike, term: npt.ArrayLike, month: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Return what is left of an annuity after so many payments, in money.

    Parameters
    ----------
    amount, rate, term, month
        Money lent, nominal rate a year, months of its life, payments made; shapes broadcast.
    """
    a, r, t, k = (np.asarray(v, dtype=float) for v in (amount, rate, term, month))
    k = np.clip(k, 0, t)
    force = np.log1p(r / 12)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.expm1(-(t - k) * force) / np.expm1(-t * force)
    return np.asarray(a * np.where(force > 0, left, 1 - k / t))


def book_at(usecase: UseCase, frame: pd.DataFrame, as_of: date | pd.Timestamp) -> pd.DataFrame:
    """Return the loans that were live at a date, as they stood then.

    The source has no snapshots of live loans, so the balance is the schedule's: arrears, and
    payments ahead of time, aren't seen. That of a line of credit is unknown (NaN).

    Returns
    -------
    DataFrame
        What was known then (no outcome), with ``as_of``, ``months_on_book``, ``months_left`` and
        ``balance``.

    Raises
    ------
    InputRefused
        If no loan was live.
    """
    held = loan_of(usecase)
    book = frame[live(usecase, frame, as_of)]
    if book.empty:
        raise InputRefused(
            f"no loan is live on {pd.Timestamp(as_of):%Y-%m-%d}",
            expected="a date between the first issue and the last payment",
        )
    age = months_between(book[usecase.time], pd.Timestamp(as_of))
    hidden = [*usecase.outcome_names, usecase.target.column]
    balance = schedule_balance(book[held.amount], book[held.rate], book[held.term], age)
    return book.drop(columns=hidden, errors="ignore").assign(
        as_of=pd.Timestamp(as_of),
        months_on_book=age,
        months_left=book[held.term] - age,
        balance=np.where(np.isnan(credit_limits(usecase, book)), balance, np.nan),
    )


def loan_of(usecase: UseCase) -> Loan:
    """Return the loan section of a use case; refuse one without."""
    if usecase.loan is None:
        raise InputRefused(
            f"{usecase.name} isn't a loan book",
            expected="a use case with a 'loan' section",
            do="see loan_book among 'riskwright usecases'",
        )
    return usecase.loan
