"""Which failed loans tell what a default costs: LGD and EAD are learnt from them alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from riskwright.case.usecase import UseCase
from riskwright.data import maturity
from riskwright.errors import InputRefused

FEWEST = 30  # failed loans, under which LGD and EAD can't be learnt


def known_losses(
    usecase: UseCase, frame: pd.DataFrame, seen: pd.Timestamp | None = None
) -> tuple[np.ndarray, dict[str, int]]:
    """Return which loans failed, owed something, and have a known loss; and why others don't.

    Parameters
    ----------
    frame
        (n,) canonical loans.
    seen
        Up to when recoveries were seen; the frame's own last date if None.

    Returns
    -------
    Mask (n,), and how many failed loans are left out by reason; each counts once.
    """
    held = maturity.loan_of(usecase)
    # All that failed, when ever: a loss is a loss.
    known = (frame[usecase.target.column] == usecase.target.bad).to_numpy()
    owed = maturity.owed_at_default(usecase, frame)
    until = maturity.recoveries_until(usecase, frame) if seen is None else seen
    money = (held.recovered, held.recovery_costs, held.rate)
    late = f"recoveries were seen for less than {held.recovery_months} months after the default"
    if not held.recovery_months:
        late = "the months of grace after their last payment weren't over"
    reasons = {
        "what they owed is unknown": np.isnan(owed),
        "they owed nothing": owed <= 0,
        **{f"{name} is blank": frame[name].isna().to_numpy(dtype=bool) for name in money},
        late: ~maturity.recovered(usecase, frame, until),
    }
    left_out = {}
    for why, rows in reasons.items():
        if count := int((known & rows).sum()):
            left_out[why] = count
            known = known & ~rows
    return known, left_out


def enough(
    usecase: UseCase, frame: pd.DataFrame, seen: pd.Timestamp
) -> tuple[np.ndarray, dict[str, int]]:
    """Return ``known_losses`` of training loans, if there are enough to learn from.

    Parameters
    ----------
    frame
        (n,) canonical loans of the training part.
    seen
        Up to when recoveries were seen (``maturity.recoveries_until``).

    Raises
    ------
    InputRefused
        If fewer than 30 loans failed and have a known loss.
    """
    known, left_out = known_losses(usecase, frame, seen)
    if known.sum() < FEWEST:
        held = maturity.loan_of(usecase)
        others = "; ".join(f"{n:,} left out: {why}" for why, n in left_out.items())
        raise InputRefused(
            f"{int(known.sum())} loans of the training part failed and owed something, with a "
            "known loss",
            where=others,
            expected=f"at least {FEWEST}, to learn LGD and EAD from",
            do="bring a longer history, or"
            + (
                f" set loan.recovery_months ({held.recovery_months} now) if recoveries come sooner"
                " than that, or"
            )
            * any("recoveries were seen" in why for why in left_out)
            + " train a PD alone: a use case without 'loan', with models: [pd]",
        )
    return known, left_out


def check(usecase: UseCase, train: pd.DataFrame, clean: pd.DataFrame) -> None:
    """Refuse a loan book too poor in losses before anything is fitted: as ``enough``.

    Parameters
    ----------
    train, clean
        The training part, and all rows that it was cut from.
    """
    if usecase.loan is not None:
        enough(usecase, train, maturity.recoveries_until(usecase, clean))
