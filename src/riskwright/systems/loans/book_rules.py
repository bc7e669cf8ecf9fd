"""What a book is refused for as a whole, and the arrears that a status stands for."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.case.usecase import UseCase
from riskwright.data import maturity, parsing
from riskwright.data.contract import Contract
from riskwright.errors import InputRefused

BALANCE = "balance"
IMPAIRED_DAYS = 90  # past due: the loan is in default (IFRS 9, B5.5.37)
# In the name of an open status: the loan is behind, and something has to say how far.
LATE = re.compile(
    r"\b(?:late|grace|overdue|past due|arrears?|delinquent|default|impaired)\b", re.IGNORECASE
)


def none_over(usecase: UseCase, raw: pd.DataFrame, own: pd.DataFrame, location: str) -> None:
    """Refuse a loan that failed, by its outcome, and still counts as performing."""
    target = usecase.target
    if target.column not in raw:
        return
    bad = parsing.codes(raw[target.column], {target.bad}, ()) == target.bad
    known = own["default_date"].notna() | (own["days_past_due"] >= IMPAIRED_DAYS)
    refuse(
        bad.to_numpy() & ~known.to_numpy() & (own[BALANCE] > 0).to_numpy(),
        raw[target.column],
        "and owes a balance as if it were performing",
        location,
        "default_date, or days_past_due of 90 or more, for loans that failed",
    )


def by_status(usecase: UseCase, raw: pd.DataFrame, own: pd.DataFrame, location: str) -> list[str]:
    """Take the days past due that a status means where the file says fewer, or none; else ask.

    ``own["days_past_due"]`` is filled in; what was done is returned as notes.
    """
    held, target = maturity.loan_of(usecase), usecase.target
    if target.column not in raw:
        return []
    status = parsing.codes(raw[target.column], {target.bad, target.good, *target.open}, ())
    silent = own["days_past_due"].isna() & (own[BALANCE] > 0)
    late = status.str.contains(LATE).fillna(False) & (status != target.bad)
    unknown = silent & late & ~status.isin(list(held.arrears))
    if unknown.any():
        names = ", ".join(repr(n) for n in sorted(status[unknown].unique()))
        raise InputRefused(
            f"{int(unknown.sum()):,} loans are called {names}, and how many days they are late "
            "isn't said",
            where=f"{location}: row {unknown.idxmax()}, column {target.column!r}",
            expected="a column 'days_past_due': it decides the stage",
            do="add it, or set loan.arrears in the use case (status: days past due)",
        )
    meant = status.map(held.arrears).astype(float)
    taken = own["days_past_due"].fillna(-1).lt(meant) & (own[BALANCE] > 0)
    own["days_past_due"] = own["days_past_due"].mask(taken, meant)
    if not taken.any():
        return []
    said = ", ".join(f"{n}: {held.arrears[n]}" for n in sorted(status[taken].unique()))
    return [
        f"{int(taken.sum()):,} loans are late by their status, and the file has no days past due "
        f"for them, or fewer: those of loan.arrears are taken ({said})"
    ]


def none_before_issue(
    usecase: UseCase, frame: pd.DataFrame, when: pd.Series, what: str, location: str
) -> None:
    """Refuse a date that lies before the loan's own issue."""
    issued = frame[str(usecase.time)]
    early = (when < issued).fillna(False)
    told = when.dt.strftime("%Y-%m-%d").rename(what)
    refuse(early, told, "lies before the loan's issue", location, "a later date", what)


def refuse(
    wrong: pd.Series | npt.NDArray[np.bool_],
    cells: pd.Series,
    what: str,
    location: str,
    expected: str,
    name: str | None = None,
) -> None:
    """Refuse the book if any row is wrong, with the first one's place."""
    spots = np.flatnonzero(np.asarray(wrong, dtype=bool))
    if len(spots):
        first = cells.iloc[spots[0]]
        raise InputRefused(
            f"{name or cells.name} {first} {what}",
            where=f"{location}: row {cells.index[spots[0]]} ({len(spots):,} such rows)",
            expected=expected,
            do="mend the file; nothing was written",
        )


def limit(usecase: UseCase, contract: Contract, location: str) -> None:
    """Refuse a book of which too many rows break the contract."""
    if contract.refused <= usecase.quarantine_limit * contract.read and contract.accepted:
        return
    top = "; ".join(f"{reason} ({n:,} rows)" for reason, n in contract.reasons.most_common(3))
    raise InputRefused(
        f"{contract.refused:,} of {contract.read:,} loans break the contract, more than the limit "
        f"of {usecase.quarantine_limit:.1%}",
        where=f"{location}: {top}" if contract.read else location,
        expected="loans as the use case's 'columns' describe them",
        do="mend the data",
    )
