"""Money of a history that isn't in the unit of what was lent."""

from __future__ import annotations

import pandas as pd
import pytest

from riskwright.data.plausible import check_outcomes
from riskwright.data.simulators import simulate
from riskwright.errors import InputRefused
from riskwright.systems.credit.case import load_usecase


@pytest.fixture(scope="module")
def history() -> pd.DataFrame:
    return simulate("loan_book", 1500, 5).frame


@pytest.mark.parametrize(
    ("column", "factor", "told"),
    [
        ("total_rec_prncp", 100, "gave back 100 times"),
        ("total_rec_prncp", 0.001, "gave back less than 0.001"),
        ("funded_amnt", 1000, "gave back less than 0.001"),
        ("owed_at_default", 1000, "loans that failed owed"),
        ("owed_at_default", 0.001, "loans that failed owed"),
        ("recoveries", 100, "was recovered"),
    ],
)
def test_outcomes_in_another_unit_are_refused(
    history: pd.DataFrame, column: str, factor: float, told: str
) -> None:
    spec = load_usecase("loan_book")
    check_outcomes(spec, history)
    with pytest.raises(InputRefused, match=told):
        check_outcomes(spec, history.assign(**{column: history[column] * factor}))
