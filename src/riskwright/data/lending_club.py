"""How Lending Club writes its loans, over the years, and the one way that we read them.

The columns keep Lending Club's names. What differs between its releases is brought to one form:
``10.65%`` and ``0.1065``, ``" 36 months"`` and ``36``, ``Dec-2011`` and ``2011-12-01``,
``10+ years`` and ``10``, the prefix that marks loans outside the credit policy. What can't be told
apart (a rate of ``10.65`` without a sign) is refused. Free text and post codes, which may name a
person, are dropped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from riskwright.data.parsing import dates, numbers
from riskwright.errors import InputRefused

EXCEPTION = "Does not meet the credit policy. Status:"
PERSONAL = ("desc", "title", "emp_title", "zip_code", "url", "member_id")
PERCENT = ("int_rate", "revol_util")
# From here on, a number without a sign is no fraction: a rate, a use of lines beyond the limit.
TOO_LARGE = {"int_rate": (1.0, "0.1065", "10.65%"), "revol_util": (1.5, "0.837", "83.7%")}
DATES = ("issue_d", "earliest_cr_line", "last_pymnt_d", "next_pymnt_d", "last_credit_pull_d")
STATUS = {"Default": "Charged Off"}  # 121 days late and more, the charge-off is to come
# What is known of a loan when it is made, and so names it where the release left the id blank.
NAMED_BY = (
    "issue_d", "funded_amnt", "term", "int_rate", "installment", "sub_grade", "annual_inc", "dti",
    "addr_state", "purpose", "revol_bal", "revol_util", "total_acc", "open_acc", "credit_age",
    "emp_length", "home_ownership",
)  # fmt: skip


def canonical_chunks(chunks: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Bring the chunks of one file to one form; refuse rates that are written in two ways."""
    signed: dict[str, bool] = {}
    for chunk in chunks:
        yield canonical(chunk, signed)


def canonical(raw: pd.DataFrame, signed: dict[str, bool] | None = None) -> pd.DataFrame:
    """Bring a chunk of loans to one form; canonical cells stay what they are.

    Parameters
    ----------
    raw
        Rows of a Lending Club file of any release, cells as text or in their own type.
    signed
        By column of rates, whether earlier rows of the file had percent signs; filled in.

    Returns
    -------
    DataFrame
        The same rows. New columns: ``policy`` (standard or exception), ``credit_age`` in months,
        and ``id``, by content, where the file's is blank.

    Raises
    ------
    InputRefused
        If a column of rates mixes percentages and fractions, or can't be either.
    """
    frame = raw.drop(columns=[c for c in PERSONAL if c in raw])
    _fractions(frame, {} if signed is None else signed)
    if "term" in frame:
        frame["term"] = _text(frame["term"]).str.removesuffix("months").str.strip()
    for name in DATES:
        if name in frame and not pd.api.types.is_datetime64_any_dtype(frame[name]):
            frame[name] = _month(_text(frame[name]))
    if "emp_length" in frame:
        frame["emp_length"] = _years(frame["emp_length"])
    if "loan_status" in frame:
        status = _text(frame["loan_status"])
        outside = status.str.startswith(EXCEPTION).fillna(False)
        if "policy" not in frame:
            frame["policy"] = np.where(outside, "exception", "standard")
        frame["loan_status"] = status.str.removeprefix(EXCEPTION).str.strip().replace(STATUS)
    if "application_type" in frame:
        frame["application_type"] = _text(frame["application_type"]).str.capitalize()
    if "credit_age" not in frame and {"issue_d", "earliest_cr_line"} <= set(frame):
        frame["credit_age"] = _months_between(frame["earliest_cr_line"], frame["issue_d"])
    if "id" not in frame or _text(frame["id"]).isna().all():
        frame["id"] = _names(frame)
    return frame


def _fractions(frame: pd.DataFrame, signed: dict[str, bool]) -> None:
    """Make percentages fractions; the columns of one file must all be written one way."""
    for name in PERCENT:
        if name not in frame:
            continue
        cells = _text(frame[name])
        sign = cells.dropna().str.endswith("%")
        if sign.empty:
            continue
        before = signed.setdefault(name, bool(sign.iloc[0]))
        other = cells.dropna()[sign != before]
        if len(other):
            raise InputRefused(
                f"{name} mixes percentages and plain numbers",
                where=f"column {name!r}: {other.iloc[0]!r}, other rows "
                f"{'have' if before else 'lack'} the sign",
                expected="10.65% in every row, or 0.1065 in every row",
                do="write the column in one way",
            )
        if before:
            # 10.65% is the float64 nearest to 0.1065, which 10.65 / 100 isn't always.
            number, _ = numbers(cells.str.removesuffix("%").str.strip() + "e-2", ())
            frame[name] = number.where(number.notna(), cells)  # what is no number shows itself
    if len(set(signed.values())) > 1:
        raise InputRefused(
            "one column of rates has percent signs and the other has none",
            where=", ".join(f"{k}: {'%' if v else 'no sign'}" for k, v in signed.items()),
            expected="signs in both, or fractions in both",
        )
    for name in (n for n, sign in signed.items() if not sign and n in frame):
        limit, fraction, percentage = TOO_LARGE[name]
        number, _ = numbers(frame[name], ())
        large = number >= limit
        if large.any():
            raise InputRefused(
                f"{name} is {number[large].iloc[0]:g} without a percent sign",
                where=f"column {name!r} ({int(large.sum()):,} such rows)",
                expected=f"a fraction such as {fraction}, or a percentage with its sign: "
                f"{percentage}",
                do="divide the column by 100, or write the signs",
            )


def _text(cells: pd.Series) -> pd.Series:
    """Cells as trimmed text, missing ones missing."""
    if isinstance(cells.dtype, pd.StringDtype):
        return cells.str.strip().mask(lambda s: s == "")
    text = cells.astype("object").map(_plain, na_action="ignore").astype("str")
    return text.mask(cells.isna() | (text == ""))


def _plain(value: object) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value).strip()  # type: ignore[call-overload]


def _month(cells: pd.Series) -> pd.Series:
    """``Dec-2011`` as ``2011-12-01``; anything else as it is."""
    short = cells.str.fullmatch(r"[A-Za-z]{3}-\d{4}").fillna(False)
    if short.any():
        when = pd.to_datetime(cells[short], format="%b-%Y", errors="coerce")
        cells = cells.mask(
            short & when.notna().reindex(cells.index, fill_value=False),
            when.dt.strftime("%Y-%m-%d").reindex(cells.index),
        )
    return cells


def _years(cells: pd.Series) -> pd.Series:
    """``10+ years`` as ``10``, ``< 1 year`` as ``0``, ``n/a`` as missing."""
    text = _text(cells)
    years = text.str.removesuffix("years").str.removesuffix("year").str.strip()
    years = years.replace({"10+": "10", "< 1": "0"})
    return years.mask(years == "n/a")


def _months_between(start: pd.Series, end: pd.Series) -> pd.Series:
    one, two = (dates(s, ())[0] for s in (start, end))
    months: pd.Series = (two.dt.year - one.dt.year) * 12.0 + (two.dt.month - one.dt.month)
    return months


def _names(frame: pd.DataFrame) -> list[str]:
    """An id from what each loan was when it was made; equal loans have equal ids."""
    columns = [_text(frame[c]).fillna("") for c in NAMED_BY if c in frame]
    return [
        hashlib.blake2b("\x1f".join(cells).encode(), digest_size=8).hexdigest()
        for cells in zip(*(c.tolist() for c in columns), strict=True)
    ]
