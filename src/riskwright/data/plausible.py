"""Money that can't be: amounts out by a factor, such as cents, or thousands, for units.

What loans owe, repay and give back is held against what was lent. The limits are wide: they are
passed by another unit, not by an unusual book.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from riskwright.case.usecase import UseCase
from riskwright.data import maturity
from riskwright.errors import InputRefused

IMPOSSIBLE = 10.0  # times what was lent: no single loan owes it
HEAVY = 1.5  # times what was lent: not half of the loans, nor a loss given back
LIGHT = 0.2  # of the schedule: half of the loans owe more
NOTHING = 0.02  # of the schedule: a loan that is all but repaid ahead of time …
RARE = 0.1  # … of which there aren't more than this share (and ``FEW`` loans)
FEW = 5
UNDRAWN = 0.01  # of the limit: half of the lines that owe anything have drawn more


def check_balances(
    usecase: UseCase, frame: pd.DataFrame, balance: pd.Series, age: pd.Series, location: str
) -> None:
    """Refuse a book whose balances aren't in the unit of what was lent.

    Parameters
    ----------
    frame, balance, age
        Canonical live loans (n, k), what they owe (in the currency of the amounts, above 0) and
        their months on book, (n,).
    location
        The file.

    Raises
    ------
    InputRefused
        If a loan owes ten times what was lent, half of them 1.5 times, or half of them a fifth
        (one in ten: a fiftieth) of what the schedule leaves.
    """
    held = maturity.loan_of(usecase)
    limit = pd.Series(maturity.credit_limits(usecase, frame), frame.index)
    line = limit.notna()
    lent = frame[[held.amount]].assign(limit=limit).max(axis=1)
    row: Any
    over = balance / lent
    worst = over > IMPOSSIBLE
    if worst.any():
        row = worst.idxmax()
        raise _unit(
            f"{held.amount} {lent[row]:g} and balance {balance[row]:g} aren't in one unit",
            f"{location}: row {row} ({int(worst.sum()):,} of {len(frame):,} loans owe more than "
            f"{IMPOSSIBLE:g} times what was lent)",
        )
    if over.median() > HEAVY:
        raise _unit(
            f"half of the loans owe more than {over.median():.3g} times what was lent", location
        )
    scheduled = maturity.schedule_balance(
        frame[held.amount], frame[held.rate], frame[held.term], age
    )
    running = ~line & (scheduled > 0)
    for mine, whole, least, of in (
        (running, pd.Series(scheduled, frame.index), LIGHT, "of what the schedule leaves"),
        (line, limit, UNDRAWN, "of their limit"),
    ):
        share = (balance / whole)[mine]
        if len(share) and share.median() < least:
            raise _unit(f"half of the loans owe less than {share.median():.2g} {of}", location)
    nothing = (balance / scheduled)[running] < NOTHING
    if nothing.sum() >= FEW and nothing.mean() > RARE:
        row = nothing.idxmax()
        raise _unit(
            f"{int(nothing.sum()):,} loans owe less than {NOTHING:g} of what the schedule leaves",
            f"{location}: row {row}: balance {balance[row]:g} of {frame[held.amount][row]:g} lent",
        )


def check_outcomes(usecase: UseCase, frame: pd.DataFrame) -> None:
    """Refuse a history of outcomes that can't be: money in another unit, no failure with a date.

    Parameters
    ----------
    frame
        (n,) canonical loans with their outcomes.

    Raises
    ------
    InputRefused
        If half of the instalment loans that were good repaid less than half or more than 1.5 times
        what was lent, half of those that failed owed more than 1.5 times or less than a fiftieth of
        it, or more than 1.5 times of what was owed was recovered; if no loan that failed says when
        it was last paid.
    """
    held, target = maturity.loan_of(usecase), usecase.target
    term = np.isnan(maturity.credit_limits(usecase, frame))
    good = (frame[target.column] == target.good).to_numpy()
    bad = frame[(frame[target.column] == target.bad).to_numpy()]
    if len(bad) and bad[held.closed].isna().all():
        raise InputRefused(
            f"none of {len(bad):,} loans that failed says when it was last paid",
            where=f"column {held.closed!r}",
            expected="the date of the last payment; empty is for a loan that never paid",
            do="add the dates: else each would count as a default of its first months",
        )
    repaid = (frame[held.repaid] / frame[held.amount])[good & term].median()
    if not (pd.isna(repaid) or 0.5 <= repaid <= HEAVY):
        raise _unit(
            f"half of the loans that were repaid gave back less than {repaid:.3g} of what was lent"
            if repaid < 1
            else f"half of the loans that were repaid gave back {repaid:.3g} times what was lent",
            f"columns {held.repaid!r} and {held.amount!r}",
        )
    debt = pd.Series(maturity.owed_at_default(usecase, bad), bad.index)
    if held.owed is not None and held.owed in bad:
        owed = (bad[held.owed] / bad[held.amount])[bad[held.owed] > 0].median()
        if not (pd.isna(owed) or NOTHING <= owed <= HEAVY):
            raise _unit(
                f"half of the loans that failed owed {owed:.3g} times what was lent",
                f"columns {held.owed!r} and {held.amount!r}",
            )
    known = debt.notna() & bad[held.recovered].notna()
    owed, back = debt[known].sum(), bad[held.recovered][known].sum()
    if back > HEAVY * owed > 0:
        raise _unit(
            f"{back / owed:.3g} times what failed loans owed was recovered",
            f"column {held.recovered!r}",
        )


def _unit(what: str, where: str) -> InputRefused:
    return InputRefused(
        what,
        where=where,
        expected="all money in one unit: what is owed beside what was lent",
        do="bring the columns to one unit (cents or thousands for units?); nothing was written",
    )
