from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from riskwright.case.usecase import Column
from riskwright.errors import InputRefused
from riskwright.stats.estimates import wilson
from riskwright.stats.fairness import COLUMNS, approval_ratios

SEX = Column(type="category", values={"1": "male", "2": "female", "3": "3"}, protected=True)
AGE = Column(type="integer", unit="years", sentinels={0: "not told"}, protected=True)


def decisions(*counts: tuple[str, int, int]) -> tuple[pd.DataFrame, np.ndarray]:
    """Frame of groups, and decisions: so many approved, so many declined of each."""
    values = [g for g, yes, no in counts for _ in range(yes + no)]
    made = [d for _, yes, no in counts for d in ["approve"] * yes + ["decline"] * no]
    return pd.DataFrame({"SEX": pd.Series(values, dtype="str")}), np.array(made)


def test_rates_and_ratios_by_hand() -> None:
    frame, made = decisions(("1", 80, 20), ("2", 60, 40), ("3", 5, 5))
    table = approval_ratios(frame, {"SEX": SEX}, made)
    assert list(table.columns) == COLUMNS
    table = table.set_index("group")
    assert table["n"].tolist() == [100, 100, 10]
    assert table["approved"].tolist() == [80, 60, 5]
    assert table.loc["male", "verdict"] == "most approved"
    assert table.loc["male", ["ratio", "ratio_low", "ratio_high"]].tolist() == [1, 1, 1]
    female = table.loc["female"]
    assert [female["low"], female["high"]] == pytest.approx([float(e) for e in wilson(60, 100)])
    assert female["ratio"] == pytest.approx(0.75)
    half = 1.959964 * np.sqrt(0.4 / 60 + 0.2 / 80)  # Katz: (1 - rate) / approved, summed
    assert female["ratio_low"] == pytest.approx(0.75 * np.exp(-half), rel=1e-6)
    assert female["ratio_high"] == pytest.approx(0.75 * np.exp(half), rel=1e-6)
    assert female["verdict"] == "below four fifths, within chance"
    assert table.loc["3", "verdict"] == "not enough data"
    assert np.isnan(table.loc["3", "ratio"])


@pytest.mark.parametrize(
    ("female", "verdict"),
    [
        ((850, 150), "at or above four fifths"),
        ((700, 300), "below four fifths, within chance"),
        ((500, 500), "below four fifths"),
        ((0, 1000), "below four fifths"),
        ((20, 10), "not enough data"),
    ],
)
def test_verdicts(female: tuple[int, int], verdict: str) -> None:
    frame, made = decisions(("1", 900, 100), ("2", *female))
    table = approval_ratios(frame, {"SEX": SEX}, made).set_index("group")
    assert table.loc["female", "verdict"] == verdict


def test_referred_is_not_approved_and_nobody_approved() -> None:
    frame, made = decisions(("1", 60, 0), ("2", 60, 0))
    made[:] = "refer"
    table = approval_ratios(frame, {"SEX": SEX}, made)
    assert table["rate"].tolist() == [0, 0]
    assert set(table["verdict"]) == {"nobody approved"}
    assert table["ratio"].isna().all()


def test_a_small_group_is_never_the_yardstick() -> None:
    frame, made = decisions(("1", 50, 50), ("2", 40, 60), ("3", 10, 0))
    table = approval_ratios(frame, {"SEX": SEX}, made).set_index("group")
    assert table.loc["male", "verdict"] == "most approved"
    assert approval_ratios(frame, {"SEX": SEX}, made, min_group=1000)["ratio"].isna().all()


def test_ages_are_cut_at_the_elderly_of_ecoa() -> None:
    ages = [18, 24, 25, 39, 40, 61, 62, 90, 0, np.nan]
    frame = pd.DataFrame({"AGE": np.array(ages, dtype=float)})
    table = approval_ratios(frame, {"AGE": AGE}, ["approve"] * 10, min_group=1)
    groups = ["under 25", "25 to 39", "40 to 61", "62 and over", "not told", "missing"]
    assert table["group"].tolist() == groups
    assert table["n"].tolist() == [2, 2, 2, 2, 1, 1]


def test_other_numbers_are_cut_in_quarters_and_unknown_codes_kept() -> None:
    number = Column(type="integer", label="dependents", protected=True)
    frame = pd.DataFrame(
        {
            "dependents": [0.0] * 40 + [1.0] * 30 + [2.0] * 30,
            "SEX": pd.Series(["1"] * 50 + ["9"] * 40 + [np.nan] * 10, dtype="str"),
        }
    )
    columns = {"dependents": number, "SEX": SEX}
    table = approval_ratios(frame, columns, ["approve"] * 100, min_group=5)
    groups = table.groupby("column", sort=False)["group"].apply(list).to_dict()
    assert groups["dependents"] == ["below 1", "1 to below 2", "2 and over"]
    assert groups["SEX"] == ["male", "9", "missing"]
    assert table.groupby("column")["n"].sum().tolist() == [100, 100]


def test_nothing_protected_is_an_empty_table() -> None:
    assert list(approval_ratios(pd.DataFrame({"a": [1]}), {}, ["approve"]).columns) == COLUMNS


def test_faults_are_refused() -> None:
    frame, made = decisions(("1", 5, 5))
    with pytest.raises(InputRefused, match="SEXX"):
        approval_ratios(frame, {"SEXX": SEX}, made)
    with pytest.raises(InputRefused, match="decisions"):
        approval_ratios(frame, {"SEX": SEX}, made[:3])
