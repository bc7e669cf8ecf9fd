"""A history of loans as it was known on a date: what came later is ignored.

Loans issued later are left out. A payment later than the date hides the loan's ending, and a loan
that failed is in default only from ``grace_months`` after its last payment on. Labels are those
that ``data.maturity`` calls mature by then.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskwright.case.usecase import UseCase
from riskwright.data import maturity, parsing
from riskwright.data.maturity import FAILED
from riskwright.data.meaning import missing_in, outcomes
from riskwright.errors import InputRefused
from riskwright.life.findings import Finding
from riskwright.systems.credit.labels import Labels, tally

RECENT_MONTHS = 12  # of issue, that quality, columns and score look at


@dataclass(frozen=True)
class History:
    """The loans of a file that were issued by a date.

    Attributes
    ----------
    raw
        Their cells as they arrived, shape (n, any), outcomes of any date included.
    recent
        Those of the last twelve months in which loans were issued, of the population that the
        model is trained on; a row whose month or population can't be read is among them, so that
        it is seen.
    since, until
        First and last issue of these.
    as_of
        The date.
    seen
        Up to when outcomes are known: the date, or the last that the file holds, if earlier.
    later
        How many loans were left out.
    """

    raw: pd.DataFrame
    recent: pd.DataFrame
    since: pd.Timestamp
    until: pd.Timestamp
    as_of: pd.Timestamp
    seen: pd.Timestamp
    later: int


def day_of(text: str) -> pd.Timestamp:
    """Return the date that somebody wrote.

    Raises
    ------
    InputRefused
        If it isn't one.
    """
    try:
        return pd.Timestamp(date.fromisoformat(text.strip()))
    except ValueError:
        raise InputRefused(
            f"{text!r} is not a date", where="--as-of", expected="a date such as 2016-06-01"
        ) from None


def cut(usecase: UseCase, raw: pd.DataFrame, as_of: pd.Timestamp, where: str) -> History:
    """Keep what was there on a date.

    Parameters
    ----------
    raw
        The file's rows as they arrived, shape (n, any).
    where
        The file, for what is said of it.

    Raises
    ------
    InputRefused
        If the use case is no loan book, the months of issue are absent or unreadable, or no loan
        was issued by then.
    """
    held, time = maturity.loan_of(usecase), str(usecase.time)
    if time not in raw:
        raise InputRefused(
            f"the column {time!r} is absent: what came after the date can't be told",
            where=where,
            expected="the month of issue of each loan",
        )
    issued = _dates(usecase, raw, time)
    there = (issued <= as_of).to_numpy()
    if not there.any():
        first = issued.min()
        raise InputRefused(
            f"no loan was issued by {as_of:%Y-%m-%d}",
            where=f"{where}: "
            + (f"column {time!r} holds no date" if pd.isna(first) else f"first issue {first:%F}"),
            expected="a date on or after the first issue",
        )
    kept = there | issued.isna().to_numpy()
    other = np.zeros(len(raw), dtype=bool)
    for name, value in (held.population or {}).items():
        if name in raw:
            known = usecase.columns[name].values
            codes = parsing.codes(raw[name], known, missing_in(usecase, name))
            other |= (codes.isin(list(known)) & (codes != value)).to_numpy(dtype=bool)
    until = issued[there].max()
    since = until - pd.DateOffset(months=RECENT_MONTHS) + pd.DateOffset(days=1)
    return History(
        raw=raw[kept],
        recent=raw[kept & ~other & ~(issued < since).to_numpy()],
        since=issued[there & (issued >= since).to_numpy()].min(),
        until=until,
        as_of=as_of,
        seen=min(as_of, seen_until(usecase, raw)),
        later=int((~kept).sum()),
    )


def seen_until(usecase: UseCase, raw: pd.DataFrame) -> pd.Timestamp:
    """Return the latest payment or issue in rows as they arrived; NaT if there is no date."""
    names = (str(usecase.time), maturity.loan_of(usecase).closed)
    times = pd.DataFrame({name: _dates(usecase, raw, name) for name in names})
    return maturity.observed_until(usecase, times)


def as_known(usecase: UseCase, frame: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """Hide how loans ended where that was not known on a day yet.

    Parameters
    ----------
    frame
        Canonical loans with their endings, shape (n, k).

    Returns
    -------
    DataFrame
        A copy where a loan is open, without a date of the last payment, if that is later, or if the
        loan failed and its months of grace were not over.
    """
    held, target = maturity.loan_of(usecase), usecase.target
    status, closed = frame[target.column], frame[held.closed]
    age = maturity.months_between(frame[str(usecase.time)], day)
    waits = maturity.default_month(held, frame, str(usecase.time)) > age
    hidden = (closed > day) | ((status == target.bad) & waits)
    status = status.mask(hidden, target.open[0] if target.open else None)
    status = status.mask((status == target.good) & closed.isna())  # nobody can tell when
    return frame.assign(**{target.column: status, held.closed: closed.mask(hidden)})


def defaults_by(
    usecase: UseCase, frame: pd.DataFrame, day: pd.Timestamp
) -> tuple[NDArray[np.int_], NDArray[np.bool_]]:
    """Return how far into its life each loan was seen by a day, and if it was in default by then.

    Returns
    -------
    Months of life (n,), whose expected defaults the second array (n,) is to be held against: up to
    the loan's age, and its term once the grace after that is over; in between a default of the last
    months may not show yet, so these loans are counted to the month before the term.
    """
    held = maturity.loan_of(usecase)
    known = as_known(usecase, frame, day)
    age = maturity.months_between(frame[str(usecase.time)], day)
    term = frame[held.term].to_numpy()
    seen = np.where(age >= term + held.grace_months, term, np.minimum(age, term - 1))
    month, ended = maturity.endings(usecase, known)
    return seen.astype(int), (ended == FAILED) & (month <= seen)


def mature_labels(
    usecase: UseCase,
    raw: pd.DataFrame,
    accepted: pd.DataFrame,
    seen: pd.Timestamp,
    history: History | None = None,
) -> Labels | None:
    """Return the outcomes of loans whose labels are mature on a day; the others are unknown.

    Parameters
    ----------
    raw
        Rows as they arrived.
    accepted
        Those that the contract accepts, canonical, shape (n, k).
    history
        Where the rows come from: codes that nobody declared are counted in all of it.

    Returns
    -------
    Labels
        Of the accepted rows; None if the rows don't say how loans ended. If they don't say when,
        no outcome is known, and the counts say so. A loan without a date is of known outcome only
        where a default counts in whatever month it comes (of a history, if it failed: whether it
        was repaid by the date can't be told), a loan whose date can't be one never.
    """
    held, target = maturity.loan_of(usecase), usecase.target
    if target.column not in raw or not {str(usecase.time), held.term} <= set(accepted):
        return None
    ends = raw.loc[accepted.index]
    closed, wrong = _paid(usecase, ends)
    ended, counts = tally(usecase, ends[target.column])
    if len(closed) and closed.isna().all():
        counts |= {"undated": int(np.isfinite(ended).sum()), "wrong_dates": int(wrong.sum())}
        return Labels(np.full(len(ended), np.nan), counts, by_calendar=True)
    status = outcomes(usecase, ends[target.column])
    frame = accepted.assign(**{target.column: status, held.closed: closed})
    known = as_known(usecase, frame, seen)
    lacks = closed.isna().to_numpy() & np.isfinite(ended)
    anytime = lacks & maturity.whole_life(usecase, accepted)
    undated = wrong | (lacks & ~anytime)
    if history is None:
        known[target.column] = known[target.column].mask(anytime & (ended == 0), target.good)
    else:
        undated |= lacks & (ended == 0)
    mature = maturity.mature(usecase, known, seen) & ~undated
    bad = maturity.bads(usecase, known)
    counts["immature"] = int((np.isfinite(ended) & ~mature & ~undated).sum())
    counts |= {"bad": int((bad & mature).sum()), "good": int((~bad & mature).sum())}
    counts |= {"undated": int(undated.sum()), "wrong_dates": int(wrong.sum())}
    if history is not None:
        whole = tally(usecase, history.raw[target.column])[1]
        counts |= {name: whole[name] for name in ("undeclared", "given")}
    y = np.where(mature, bad.astype(float), np.nan)
    return Labels(y, counts, by_calendar=True, excluded=undated if undated.any() else None)


def labels_in_time(
    usecase: UseCase, raw: pd.DataFrame, accepted: pd.DataFrame, labels: Labels, where: str
) -> Labels:
    """Return what a file of labels says of the months that a loan's PD is about.

    Where the file says when loans were last paid, a label counts as in training: by what became of
    the loan within the months that count (``maturity.bads``), once these and the grace are over.
    Where it doesn't, "bad" may mean a default in any month: the label of a loan whose PD is about a
    part of its term isn't used.

    Parameters
    ----------
    raw, accepted
        The batch as it arrived, and its accepted rows, canonical, shape (n, k).
    labels
        As ``labels.read_labels`` joined them.
    where
        The file, for what is said of it.

    Raises
    ------
    InputRefused
        If a date of the last payment can't be read or is later than today, or no label can be used
        for want of a date.
    """
    held, ends = maturity.loan_of(usecase), labels.ends
    if ends is None or not {str(usecase.time), held.term} <= set(accepted):
        return labels
    closed, wrong = _paid(usecase, ends)
    if wrong.any():
        cell = ends[held.closed].iloc[int(wrong.argmax())]
        raise InputRefused(
            f"{int(wrong.sum()):,} dates of the last payment can't be read, or are later than "
            f"today: such as {str(cell)!r}",
            where=f"{where}: column {held.closed!r}",
            expected="a date such as 2024-01-31, or nothing",
        )
    part, given = ~maturity.whole_life(usecase, accepted), np.isfinite(labels.y)
    undated = part & given & closed.isna().to_numpy()
    if undated.any() and undated.sum() == given.sum():
        months = int(maturity.outcome_months(usecase, accepted)[undated].max())
        raise InputRefused(
            f"the labels don't say when loans failed: the PD is of a default within {months} "
            "months, and a label may be of a later one",
            where=where,
            expected=f"a column {held.closed!r}, the date of the last payment, beside "
            f"{usecase.id!r} and {usecase.target.column!r}",
        )
    if closed.isna().all():
        counts = labels.counts | {"undated": int(undated.sum())}
        return replace(labels, y=np.where(part, np.nan, labels.y), counts=counts, excluded=part)
    seen = pd.Series([seen_until(usecase, raw), closed.max()], dtype="datetime64[us]").max()
    dated = mature_labels(usecase, ends, accepted, seen)
    assert dated is not None  # noqa: S101  (the columns are there)
    told = ("bad", "good", "immature", "undated")
    counts = labels.counts | {name: dated.counts[name] for name in told}
    young = ~maturity.ripe(usecase, accepted, seen)
    return replace(labels, y=dated.y, counts=counts, excluded=young | undated)


def _paid(usecase: UseCase, ends: pd.DataFrame) -> tuple[pd.Series, NDArray[np.bool_]]:
    """Return dates of the last payment (n,), and which are none: unreadable, or still to come."""
    name = maturity.loan_of(usecase).closed
    if name not in ends:
        return _dates(usecase, ends, name), np.zeros(len(ends), dtype=bool)
    closed, wrong = parsing.dates(ends[name], missing_in(usecase, name))
    late = (closed > maturity.this_month()).to_numpy(dtype=bool)
    return closed.mask(late), wrong | late


def _dates(usecase: UseCase, raw: pd.DataFrame, name: str) -> pd.Series:
    if name not in raw:
        return pd.Series(pd.NaT, index=raw.index, dtype="datetime64[us]")
    return parsing.dates(raw[name], missing_in(usecase, name))[0]


@dataclass(frozen=True)
class Judged:
    """What there is to say of a book.

    Attributes
    ----------
    findings
        Alarms first.
    tables
        By population: what ``defaults.table_of`` counted for all loans, the last twelve months',
        each vintage, grade and tenth of the PD, with the ``light`` of its alarm.
    words
        How many loans were judged, and why not the others.
    """

    findings: list[Finding]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    words: str = ""
