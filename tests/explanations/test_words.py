from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from riskwright.case.usecase import Feature
from riskwright.explanations.words import number, words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (120000.0, "120,000"),
        (-1204.0, "-1,204"),
        (-0.0, "0"),
        (2.0, "2"),
        (0.25432, "0.2543"),
        (12.3456, "12.35"),
        (50708.5, "50,708"),
        (1e-7, "1e-07"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("feature", "values", "texts"),
    [
        (
            Feature("a", "number", "A", "NT dollar", (), ((96.0, "not told"),)),
            [96.0, np.nan, 1500.0, 96.0],
            ["not told", "missing", "1,500 NT dollar", "not told"],
        ),
        (Feature("a", "number", "A", "%"), [12.5], ["12.5%"]),
        (
            Feature("a", "category", "A", "", (("1", "graduate school"), ("2", "2"))),
            ["2", "1", np.nan, "9"],
            ["2", "graduate school", "missing", "9"],
        ),
    ],
)
def test_values_in_words(feature: Feature, values: list, texts: list[str]) -> None:
    dtype = "str" if feature.kind == "category" else "float64"
    assert words(feature, pd.Series(values, dtype=dtype)).tolist() == texts
    assert words(feature, pd.Series([], dtype=dtype)).tolist() == []
