"""Which months were in a recession of the United States, as dated afterwards by the NBER."""

from __future__ import annotations

import pandas as pd

# Peak and trough, National Bureau of Economic Research, "US Business Cycle Expansions and
# Contractions". A recession runs from the month after the peak to the trough (as in the series
# USREC of the St. Louis Fed). The dates are announced months later: they describe, and nothing
# may be traded on them.
RECESSIONS = (
    ("1926-10", "1927-11"),
    ("1929-08", "1933-03"),
    ("1937-05", "1938-06"),
    ("1945-02", "1945-10"),
    ("1948-11", "1949-10"),
    ("1953-07", "1954-05"),
    ("1957-08", "1958-04"),
    ("1960-04", "1961-02"),
    ("1969-12", "1970-11"),
    ("1973-11", "1975-03"),
    ("1980-01", "1980-07"),
    ("1981-07", "1982-11"),
    ("1990-07", "1991-03"),
    ("2001-03", "2001-11"),
    ("2007-12", "2009-06"),
    ("2020-02", "2020-04"),
)
FIRST, LAST = pd.Period("1926-01", "M"), pd.Period("2023-12", "M")  # what the table covers


def state(months: pd.PeriodIndex) -> pd.Series:
    """Return ``recession`` or ``expansion`` for each month, missing where the table ends."""
    found = pd.Series("expansion", index=months, dtype=object)
    for peak, trough in RECESSIONS:
        inside = (months > pd.Period(peak, "M")) & (months <= pd.Period(trough, "M"))
        found[inside] = "recession"
    found[(months < FIRST) | (months > LAST)] = None
    return found
