"""The loans that are held on a date: a lender's own file of them, or a history of loans cut there.

A *snapshot* says what each live loan owes (column ``balance``). A *history* says how loans ended;
with a date it becomes the book as it was (``maturity.book_at``). Money must add up, so a book with
a wrong amount or date is refused as a whole; a row that only the model can't read (an unknown
category, say) goes to quarantine, and what it owes is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from riskwright.case.usecase import Column, Loan, UseCase
from riskwright.data import maturity, parsing
from riskwright.data.contract import Contract
from riskwright.data.plausible import HEAVY, check_balances
from riskwright.data.rules import no_date
from riskwright.data.sources import read_chunks
from riskwright.errors import InputRefused
from riskwright.systems.loans.book_rules import (
    BALANCE,
    IMPAIRED_DAYS,
    by_status,
    limit,
    none_before_issue,
    none_over,
    refuse,
)

CURRENCY = "currency"
MONEY = "$"  # unit of columns that hold amounts
NUMBERS = (
    "months_on_book", "days_past_due", "pd_at_origination", "lgd_assessed", "effective_maturity",
)  # fmt: skip
OWN = ("days_past_due", "pd_at_origination", "lgd_assessed", "effective_maturity")
DATES = ("as_of", "maturity", "default_date")


@dataclass(frozen=True)
class Book:
    """Live loans.

    Attributes
    ----------
    frame
        Canonical columns, and ``balance`` (in the use case's currency), ``months_on_book``,
        ``months_left``, ``days_past_due``, ``effective_maturity`` (years), ``pd_at_origination``
        and ``lgd_assessed`` (NaN where the source doesn't say).
    as_of
        The date.
    quarantine
        Refused rows: ``row``, ``reason`` and the raw cells.
    left_out
        What the refused rows owe, in money; NaN where the source doesn't say.
    read
        Rows of the file.
    notes
        What a reader of the figures has to know.
    """

    frame: pd.DataFrame
    as_of: pd.Timestamp
    quarantine: pd.DataFrame
    left_out: float
    read: int
    notes: list[str]


def read_book(usecase: UseCase, location: str, as_of: date | None = None) -> Book:
    """Read the loans that are live on a date.

    Parameters
    ----------
    usecase
        A loan book's specification.
    location
        File or URL, in the columns of the use case. A snapshot adds ``balance`` and may add
        ``as_of``, ``currency``, ``maturity``, ``months_on_book``, ``days_past_due``,
        ``pd_at_origination``, ``lgd_assessed`` (a loan's own LGD, taken instead of the model's) and
        ``effective_maturity`` (years, for the capital of corporate exposures).
    as_of
        The date; needed for a history, and for a snapshot without the column ``as_of``.

    Raises
    ------
    InputRefused
        If an amount is negative, a date contradicts another, a probability isn't one, a currency
        has no rate, a loan is there twice, no loan is live, or too many rows break the contract.
    """
    maturity.loan_of(usecase)
    columns = dict(usecase.columns)
    if usecase.source.header:
        columns |= {name: Column(type="text") for name in (BALANCE, CURRENCY, *NUMBERS, *DATES)}
    raw = pd.concat(list(read_chunks(usecase.source, location, columns=columns)))
    if BALANCE in raw:
        return _snapshot(usecase, raw, location, as_of)
    return _history(usecase, raw, location, as_of)


def _history(usecase: UseCase, raw: pd.DataFrame, location: str, as_of: date | None) -> Book:
    held = maturity.loan_of(usecase)
    lacking = [name for name in held.outcomes if name not in raw]
    if lacking:
        raise InputRefused(
            "the file says neither what the loans owe nor how they ended",
            where=f"{location}: no column {BALANCE!r}, nor {', '.join(lacking)}",
            expected=f"{BALANCE!r} for each live loan, or a history with its outcomes",
            do="add the balances",
        )
    if as_of is None:
        raise InputRefused(
            "a history of loans needs a date, at which the book is taken from it",
            where=location,
            expected="--as-of DATE",
        )
    contract = Contract(usecase, "train")
    checked = contract.apply(raw)
    if repeats := contract.reasons.get("id repeated"):
        raise InputRefused(
            f"{repeats:,} loans are there twice",
            where=f"{location}: {contract.examples['id repeated']}",
            expected="each loan once",
            do="mend the file; nothing was written",
        )
    limit(usecase, contract, location)
    frame = checked.accepted
    _complete(usecase, frame, location)
    none_before_issue(usecase, frame, frame[held.closed], "the last payment", location)
    day = pd.Timestamp(as_of)
    book = maturity.book_at(usecase, frame, day).drop(columns="as_of")
    seen = maturity.observed_until(usecase, frame)
    notes = [
        "the balance is the schedule's: the source has no snapshots of live loans, so arrears and "
        "payments ahead of time aren't seen",
    ]
    lines = book[BALANCE].isna()
    if lines.any():
        notes.append(
            f"{int(lines.sum()):,} lines of credit are left out: a history doesn't say how far "
            "they are drawn"
        )
        book = book[~lines]
    if day > seen:
        notes.append(f"the history ends on {seen:%Y-%m-%d}, before the book's date")
    return Book(_filled(book), day, checked.refused, float("nan"), len(raw), notes)


def _snapshot(usecase: UseCase, raw: pd.DataFrame, location: str, as_of: date | None) -> Book:
    held = maturity.loan_of(usecase)
    own = _own_columns(raw, location, usecase.source.missing)
    ids = parsing.as_text(raw[usecase.id]) if usecase.id in raw else pd.Series(dtype="str")
    refuse(ids.duplicated(), ids, "is there twice", location, "each loan once", "loan")
    _in_range(own, location)
    contract = Contract(usecase, "score")
    checked = contract.apply(raw)
    limit(usecase, contract, location)
    frame = checked.accepted
    _complete(usecase, frame, location)
    day = _day(own["as_of"], as_of, location)
    all_worth = _worth(held, raw, location)
    kept = raw.index.difference(frame.index)
    left_out = float((own[BALANCE] * all_worth).loc[kept].sum())
    own, worth = own.reindex(frame.index), all_worth.reindex(frame.index)
    issued = frame[str(usecase.time)]
    refuse(issued > day, issued, f"is after the book's date {day:%Y-%m-%d}", location, "earlier")
    none_before_issue(usecase, frame, own["maturity"], "the maturity", location)
    if held.closed in raw:
        paid, _ = parsing.dates(raw.loc[frame.index, held.closed], usecase.source.missing)
        none_before_issue(usecase, frame, paid, held.closed, location)
    none_before_issue(usecase, frame, own["default_date"], "default_date", location)
    none_over(usecase, raw.loc[frame.index], own, location)
    notes = by_status(usecase, raw.loc[frame.index], own, location)
    # A loan whose default is known is impaired, however few days the file says.
    defaulted = (own["default_date"] <= day).fillna(False)
    own["days_past_due"] = own["days_past_due"].mask(defaulted, IMPAIRED_DAYS)
    age = own["months_on_book"].fillna(pd.Series(maturity.months_between(issued, day), own.index))
    left = frame[held.term] - age
    to_maturity = maturity.months_between(pd.Series(day, index=own.index), own["maturity"])
    left = pd.Series(to_maturity, own.index).fillna(left)
    live = own[BALANCE] > 0
    if not live.any():
        raise InputRefused(
            "the book holds no live loan",
            where=f"{location}: {len(frame):,} loans that owe nothing",
            expected="at least one loan with a balance above 0",
        )
    lent = frame[live]
    check_balances(usecase, lent, own[BALANCE][live], age[live], location)
    notes += _notes(own, live, left, own[BALANCE] * worth > HEAVY * frame[held.amount] * worth)
    # The models learnt amounts in the use case's currency: features too are converted.
    amounts = {n for n, c in usecase.columns.items() if c.unit in (MONEY, held.currency)}
    money = {n: frame[n] * worth for n in {held.amount, *amounts} if n in frame}
    book = frame.assign(
        **money,
        balance=own[BALANCE] * worth,
        months_on_book=age.clip(lower=0),
        months_left=left.clip(lower=1),
        **{n: own[n] for n in OWN},
    )[live]
    return Book(_filled(book), day, checked.refused, left_out, len(raw), notes)


def _notes(own: pd.DataFrame, live: pd.Series, left: pd.Series, heavy: pd.Series) -> list[str]:
    """What a reader has to know of loans that are there, yet not as others are."""
    notes = []
    if over := int((live & (left < 1)).sum()):
        notes.append(f"{over:,} loans are past their term and still owe: a month is left to them")
    if gone := int((~live).sum()):
        notes.append(f"{gone:,} loans owe nothing and are left out")
    arrears = int((live & own["days_past_due"].between(1, IMPAIRED_DAYS - 1)).sum())
    if arrears:
        notes.append(
            f"{arrears:,} loans are in arrears: the stage knows it, the PD of applications doesn't"
        )
    if more := int((live & heavy).sum()):
        notes.append(f"{more:,} loans owe more than {HEAVY:g} times what was lent")
    return notes


def _own_columns(raw: pd.DataFrame, location: str, missing: Sequence[str]) -> pd.DataFrame:
    """The columns of a snapshot that the use case doesn't have, parsed; NaN where absent."""
    out = {}
    for name in (BALANCE, *NUMBERS, *DATES):
        parse, word = (parsing.dates, "a date") if name in DATES else (parsing.numbers, "a number")
        if name not in raw:
            nothing = pd.Series(np.nan, index=raw.index)
            out[name] = pd.to_datetime(nothing) if name in DATES else nothing
            continue
        cells, unreadable = parse(raw[name], missing)
        refuse(
            pd.Series(unreadable, raw.index),
            raw[name].rename(name),
            f"is not {word}",
            location,
            word,
        )
        if name in DATES:
            refuse(no_date(cells), cells, "stands for no date", location, "a day, or nothing")
        out[name] = cells
    return pd.DataFrame(out)


def _in_range(own: pd.DataFrame, location: str) -> None:
    refuse(
        ~(own[BALANCE] >= 0) | np.isinf(own[BALANCE]),
        own[BALANCE],
        "is no amount that a loan can owe",
        location,
        "0 or more, in money",
    )
    for name in ("months_on_book", "days_past_due", "effective_maturity"):
        refuse(own[name] < 0, own[name], "is negative", location, "0 or more")
    for name in ("pd_at_origination", "lgd_assessed"):
        wrong = own[name].notna() & ~own[name].between(0, 1)
        refuse(wrong, own[name], "is no probability or share", location, "from 0 to 1")


def _day(written: pd.Series, given: date | None, location: str) -> pd.Timestamp:
    days = written.dropna().dt.normalize().unique()
    if given is not None and set(days) <= {pd.Timestamp(given)}:
        return pd.Timestamp(given)
    if given is not None:
        theirs = pd.Timestamp(days[0])
        raise InputRefused(
            f"--as-of says {pd.Timestamp(given):%Y-%m-%d}, the file {theirs:%Y-%m-%d}",
            where=f"{location}: column 'as_of'",
            expected="the date that the file says",
            do="leave --as-of out",
        )
    if len(days) == 1:
        return pd.Timestamp(days[0])
    raise InputRefused(
        "the book's date is unknown" if not len(days) else f"the book has {len(days)} dates",
        where=f"{location}: column 'as_of'",
        expected="one date for all loans",
        do="give it with --as-of",
    )


def _worth(held: Loan, raw: pd.DataFrame, location: str) -> pd.Series:
    """What one unit of each row's currency is worth in the use case's."""
    if CURRENCY not in raw:
        return pd.Series(1.0, index=raw.index)
    names = parsing.as_text(raw[CURRENCY]).str.upper().fillna(held.currency)
    known = {held.currency: 1.0, **held.rates}
    unknown = sorted(set(names) - set(known))
    if unknown:
        count = int(names.isin(unknown).sum())
        raise InputRefused(
            f"the currency {unknown[0]!r} has no rate to {held.currency}",
            where=f"{location}: column 'currency', {count:,} loans in {', '.join(unknown)}",
            expected=f"{held.currency}, or one of loan.rates: {', '.join(held.rates) or 'none'}",
            do="set loan.rates in the use case, or convert the file",
        )
    return names.map(known)


def _complete(usecase: UseCase, frame: pd.DataFrame, location: str) -> None:
    """Refuse a loan that lacks what every figure needs."""
    held = maturity.loan_of(usecase)
    for name in (held.amount, held.rate, held.term, str(usecase.time)):
        refuse(frame[name].isna(), frame[name], "is missing", location, "a value for each loan")


def _filled(book: pd.DataFrame) -> pd.DataFrame:
    """Give the columns that a source may lack: no arrears, no PD or LGD of its own.

    The effective maturity, in years, is the time left: without the payments that is the cautious
    measure (CRE32.48; Regulation (EU) 575/2013, article 162(2)(f)).
    """
    absent = {n: book[n] if n in book else pd.Series(np.nan, book.index) for n in OWN}
    book = book.assign(**absent)
    years = book["effective_maturity"].fillna(book["months_left"] / 12)
    return book.assign(days_past_due=book["days_past_due"].fillna(0.0), effective_maturity=years)
