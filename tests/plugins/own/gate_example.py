"""A gate in a package of its own: a challenger's PDs add up to the bads that there were.

Its entry point, in ``pyproject.toml`` of the package that brings it::

    [project.entry-points."riskwright.gates"]
    level = "gate_example:level"
"""

import numpy as np
import pandas as pd

from riskwright.ledger import Gate
from riskwright.life.submission import Submission


def level(of: Submission, *, z: float = 3.0) -> Gate:
    """The count of bads is within ``z`` standard errors of the sum of the PDs."""
    rows = pd.read_parquet(of.evidence.place / "predictions.parquet")  # of the test part
    bads, p = rows["y"].sum(), rows[of.kind]
    error = np.sqrt((p * (1 - p)).sum())  # of a sum of independent 0s and 1s
    if error == 0:
        return Gate("level", None, "not enough data: no PD lies between 0 and 1", {})
    off = float((bads - p.sum()) / error)
    detail = f"{bads} bads, {p.sum():.1f} expected: {off:+.1f} standard errors apart"
    return Gate("level", abs(off) <= z, detail, {"z": off, "limit": z})
