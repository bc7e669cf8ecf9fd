"""How far a book rests on few names or few segments."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.systems.loans.portfolio.checks import amounts


def herfindahl(exposure: npt.ArrayLike) -> float:
    """Return the sum of squared shares: 1/n if n names are equal, 1 if one holds everything.

    Its inverse is the effective number of names (Herfindahl-Hirschman index).
    """
    money = amounts("exposure", exposure)
    total = money.sum()
    return float(((money / total) ** 2).sum()) if total else float("nan")


def top_names(ids: npt.ArrayLike, exposure: npt.ArrayLike, count: int = 10) -> pd.DataFrame:
    """Return the largest names with ``exposure``, ``share`` and ``cumulative`` share."""
    money = pd.Series(amounts("exposure", exposure), index=np.asarray(ids, dtype=str))
    by_name = money.groupby(level=0, sort=False).sum().sort_values(ascending=False, kind="stable")
    share = by_name / by_name.sum()
    table = pd.DataFrame({"exposure": by_name, "share": share, "cumulative": share.cumsum()})
    return table.head(count).rename_axis("name")


def by_segment(segment: npt.ArrayLike, exposure: npt.ArrayLike) -> pd.DataFrame:
    """Return each segment's ``loans``, ``exposure``, ``share`` and the ``herfindahl`` within it."""
    money = pd.Series(amounts("exposure", exposure))
    groups = money.groupby(np.asarray(segment, dtype=str))
    table = pd.DataFrame({"loans": groups.size(), "exposure": groups.sum()})
    table["share"] = table["exposure"] / table["exposure"].sum()
    table["herfindahl"] = groups.apply(lambda g: herfindahl(g.to_numpy()))
    return table.rename_axis("segment").sort_values("share", ascending=False)
