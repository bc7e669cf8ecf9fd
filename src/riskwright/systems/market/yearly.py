"""Dividends and earnings are of the past year, whatever span their file gives them for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from riskwright.errors import InputRefused
from riskwright.systems.market.series_spec import Series

# What a broad market's median over decades stays within; a quarter's sums are a fourth of it. US
# stocks since 1871 (Shiller): dividends 4.3 % of the price and 0.6 of earnings.
YIELD = (0.012, 0.20)
PAYOUT = (0.2, 2.0)


def over_a_year(values: pd.Series, per: str | None) -> pd.Series:
    """Return sums over the past year by month; missing where the year isn't whole.

    Parameters
    ----------
    values
        By month, shape (n,): each of its past year, quarter or month. A quarter's may stand in
        every month or in every third; then it holds for the two months after it.
    per
        ``year``, ``quarter``, ``month``; None is taken for a year.
    """
    if per in (None, "year"):
        return values
    months = pd.PeriodIndex(values.index)
    every = pd.period_range(months[0], months[-1], freq="M")
    if per == "month":
        return values.reindex(every).rolling(12).sum()
    if len(months) > 1 and (np.diff(months.astype("int64")) == 3).all():
        return values.rolling(4).sum().reindex(every).ffill(limit=2)
    values = values.reindex(every)
    return values + sum((values.shift(k) for k in (3, 6, 9)), values * 0)


def check_spans(store: Mapping[str, Series]) -> None:
    """Refuse dividends that can't be a year's, unless the case states what they are of.

    Raises
    ------
    InputRefused
        If their median share of price or earnings is far from any broad market's.
    """
    dividend = store.get("dividend")
    if dividend is None or dividend.spec.per is not None:
        return
    for name, words, (low, high) in (("price", "price", YIELD), ("earnings", "earnings", PAYOUT)):
        other = store.get(name)
        if other is None or other.spec.frequency != "monthly" or not len(dividend.values):
            continue
        share = (dividend.values / other.values.reindex(dividend.values.index)).median()
        if np.isfinite(share) and not low <= share <= high:
            raise InputRefused(
                f"the series 'dividend' doesn't look like sums over a year: {share:.2%} of the "
                f"{words} (median)",
                where=dividend.spec.source,
                expected=f"{low:.1%} to {high:.0%} of the {words}: dividends of the past 12 months",
                do="state 'per: quarter' or 'per: month' of the series; if they are a year's, "
                "'per: year'",
            )
