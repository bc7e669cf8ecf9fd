"""A monitor's check in a package of its own: are amounts rounded more often than they were?

Its entry point, in ``pyproject.toml`` of the package that brings it::

    [project.entry-points."riskwright.checks"]
    round_amounts = "check_example:round_amounts"
"""

from collections.abc import Iterator

import pandas as pd
from scipy.stats import chi2_contingency

from riskwright.life.findings import Finding, way


def round_amounts(
    reference: pd.DataFrame, batch: pd.DataFrame, *, column: str, to: int = 50_000
) -> Iterator[Finding]:
    """Compare the shares of multiples of ``to``: Pearson's chi-square of two shares."""
    before, now = (rows[column].dropna() % to == 0 for rows in (reference, batch))
    table = [[part.sum(), (~part).sum()] for part in (before, now)]
    change = float(now.mean() - before.mean())
    yield Finding(
        "own",
        "round_amounts",
        column,
        "ok",  # whether it alarms is worked out of all tests together
        statistic="chi-square",
        threshold=0.001,
        p_value=float(chi2_contingency(table).pvalue),
        effect=abs(change),
        direction=way(change),
        detail=f"{column}: {now.mean():.0%} are multiples of {to:,}, were {before.mean():.0%}",
    )
