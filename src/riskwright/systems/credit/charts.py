"""Pictures of what alarmed in a batch's columns."""

from __future__ import annotations

import pandas as pd

from riskwright.case.usecase import Column
from riskwright.life.charts import bars, histogram
from riskwright.systems.credit.cells import plain_numbers

MOST_CATEGORIES = 12


def column_chart(column: Column, before: pd.Series, now: pd.Series, title: str) -> str:
    """Return an SVG of a column's shares in the reference and in the batch."""
    if column.numeric:
        return histogram(plain_numbers(column, before), plain_numbers(column, now), title)
    shares = pd.DataFrame(
        {
            "before": before.astype("object").fillna("missing").value_counts(normalize=True),
            "now": now.astype("object").fillna("missing").value_counts(normalize=True),
        }
    ).fillna(0.0)
    shares = shares.sort_values("before", ascending=False).head(MOST_CATEGORIES)
    return bars([str(code) for code in shares.index], shares.to_numpy(), title)
