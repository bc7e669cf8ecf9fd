"""What the raw cells of a use case's columns mean: outcomes, ids, and what is missing."""

from __future__ import annotations

import pandas as pd

from riskwright.case.usecase import UseCase, code
from riskwright.data import parsing


def outcomes(usecase: UseCase, cells: pd.Series) -> pd.Series:
    """Return raw outcomes (n,) as the codes of the target, however a file wrote them.

    ``1``, ``1.0`` and a typed 1 are the code ``1``. A missing one is missing; what is neither
    good, bad nor open is the text that was there.
    """
    target = usecase.target
    known = (target.bad, target.good, *target.open)
    return parsing.codes(cells, known, missing_in(usecase, target.column))


def ids_of(usecase: UseCase, cells: pd.Series) -> pd.Series:
    """Return raw ids (n,) as text, one text for one id in every format; missing stays missing."""
    text = parsing.as_text(cells)
    return text.mask(parsing.is_missing(text, usecase.source.missing))


def missing_in(usecase: UseCase, name: str) -> tuple[str, ...]:
    """Return the texts that mean "missing" in a column: not those that it declares as codes."""
    column = usecase.columns[name]
    declared = [*column.values, *map(code, column.sentinels)]
    if name == usecase.target.column:
        declared += [usecase.target.bad, usecase.target.good, *usecase.target.open]
    return parsing.without(usecase.source.missing, declared)
