"""The shipped YAML files: they load, they say what they should, and the real data agree."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from needed import lacking

from riskwright.case.usecase import UseCase, shipped
from riskwright.data.public import CATALOGUE
from riskwright.data.simulators import SIMULATORS
from riskwright.systems.credit.case import load_usecase

NAMES = ("company_credit", "credit_assessment", "german_credit", "give_me_some_credit")
FILES = {  # name: file in the folder of real data, rows, bad share
    "credit_assessment": ("taiwan_credit_card/UCI_Credit_Card.csv", 30_000, 0.2212),
    "company_credit": ("polish_bankruptcy/1year.arff", 7_027, 0.03857),
    "german_credit": ("german_credit/german.data", 1_000, 0.3),
    "give_me_some_credit": ("give_me_some_credit/cs-training.csv.gz", 150_000, 0.06684),
}


@pytest.fixture(params=NAMES)
def usecase(request: pytest.FixtureRequest) -> UseCase:
    return load_usecase(request.param)


def real(name: str, shared_data: Path) -> pd.DataFrame:
    """Read a real file with plain pandas, every cell as text, none of our readers involved."""
    path = shared_data / FILES[name][0]
    if not path.is_file():
        lacking("data", f"{path} is not there")
    columns = list(load_usecase(name).columns)
    if path.suffix == ".arff":
        skip = path.read_text().split("\n").index("@data") + 1
        return pd.read_csv(
            path, skiprows=skip, names=columns, dtype="str", keep_default_na=False, na_values=["?"]
        )
    if path.suffix == ".data":
        return pd.read_csv(
            path, sep=" ", header=None, names=columns, dtype="str", keep_default_na=False
        )
    frame = pd.read_csv(path, dtype="str", keep_default_na=False, na_values=["NA"])
    return frame.rename(columns={"Unnamed: 0": "row"})


def test_exactly_these_are_shipped() -> None:
    assert set(NAMES) <= set(shipped())


def test_name_is_the_file_name_and_the_source_is_known(usecase: UseCase) -> None:
    path = shipped("credit", "loans")[usecase.name]
    assert path.is_file()
    source = usecase.source
    assert (source.simulator in SIMULATORS) != (source.dataset in CATALOGUE)
    if source.dataset:
        assert CATALOGUE[source.dataset].usecase == usecase.name


def test_lines_fit_a_reader(usecase: UseCase) -> None:
    path = shipped("credit", "loans")[usecase.name]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= 100
    assert len(lines) < 140
    assert lines[0].startswith("# ")


def test_target_codes_are_the_only_ones_of_its_column(usecase: UseCase) -> None:
    target = usecase.columns[usecase.target.column]
    assert set(target.values) == {usecase.target.bad, usecase.target.good}
    assert usecase.target.bad != usecase.target.good
    assert usecase.target.column not in usecase.feature_names


def test_every_feature_has_words_for_its_reason(usecase: UseCase) -> None:
    for name in usecase.feature_names:
        assert usecase.columns[name].label, name


@pytest.mark.parametrize(
    ("name", "features", "protected", "bad", "directions"),
    [
        ("company_credit", 64, [], "1", {}),
        ("credit_assessment", 20, ["SEX", "MARRIAGE", "AGE"], "1", {"LIMIT_BAL": -1}),
        ("german_credit", 17, ["personal_status_sex", "age", "foreign_worker"], "2", {}),
        (
            "give_me_some_credit",
            10,
            ["age"],
            "1",
            {
                "age": -1,
                "NumberOfTime30-59DaysPastDueNotWorse": 1,
                "NumberOfTime60-89DaysPastDueNotWorse": 1,
                "NumberOfTimes90DaysLate": 1,
            },
        ),
    ],
)
def test_what_the_models_see(
    name: str, features: int, protected: list[str], bad: str, directions: dict[str, int]
) -> None:
    usecase = load_usecase(name)
    assert len(usecase.feature_names) == features
    assert usecase.protected_names == protected
    assert usecase.target.bad == bad
    found = {f.name: f.direction for f in usecase.schema_.features if f.direction}
    assert found == directions


def test_no_one_is_scored_by_sex_or_marital_status(usecase: UseCase) -> None:
    assert not {"SEX", "MARRIAGE", "personal_status_sex"} & set(usecase.feature_names)


def test_credit_assessment_has_six_months_oldest_first_and_runs_by_itself() -> None:
    usecase = load_usecase("credit_assessment")
    assert usecase.schema_.sequences == (
        ("repayment status", ("PAY_6", "PAY_5", "PAY_4", "PAY_3", "PAY_2", "PAY_0")),
        ("bill", tuple(f"BILL_AMT{k}" for k in range(6, 0, -1))),
        ("payment", tuple(f"PAY_AMT{k}" for k in range(6, 0, -1))),
    )
    assert usecase.time is None, "the Taiwan file has no date"
    assert not usecase.columns["cohort"].required
    assert usecase.approval.policy == "automatic"
    assert (usecase.source.rows, usecase.split.test_share, usecase.split.folds) == (4000, 0.25, 8)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"credit_assessment"}))
def test_the_others_wait_for_a_second_person(name: str) -> None:
    assert load_usecase(name).approval.policy == "approval"


# ---- against the real files, by plain pandas


@pytest.mark.parametrize("name", NAMES)
def test_real_file_keeps_to_the_specification(name: str, shared_data: Path) -> None:
    usecase, frame = load_usecase(name), real(name, shared_data)
    _, rows, share = FILES[name]
    required = [c for c, column in usecase.columns.items() if column.required]
    assert set(frame.columns) == set(required)
    assert len(frame) == rows
    bad = frame[usecase.target.column] == usecase.target.bad
    assert bad.mean() == pytest.approx(share, abs=5e-5)
    for column_name in required:
        column, cells = usecase.columns[column_name], frame[column_name]
        if column.type == "category":
            assert set(cells) <= set(column.values), column_name
        elif column.numeric:
            numbers = pd.to_numeric(cells)
            assert np.isfinite(numbers.dropna()).all(), column_name
            assert set(column.sentinels) <= set(numbers), f"{column_name}: a sentinel no row has"
            numbers = numbers[~numbers.isin(list(column.sentinels))]
            if column.min is not None:
                assert numbers.min() >= column.min, column_name
            if column.max is not None:
                assert numbers.max() <= column.max, column_name
            if column.type == "integer":
                assert (numbers.dropna() % 1 == 0).all(), column_name


@pytest.mark.parametrize(
    ("name", "column", "edges"),
    [
        ("credit_assessment", "LIMIT_BAL", [0, 3e4, 5e4, 9e4, 14e4, 19e4, 24e4, 34e4, 1e7]),
        ("give_me_some_credit", "age", [1, 33, 39, 44, 48, 52, 56, 61, 65, 72, 120]),
        ("give_me_some_credit", "NumberOfTime30-59DaysPastDueNotWorse", [-1, 0, 1, 2, 3, 4, 90]),
        ("give_me_some_credit", "NumberOfTime60-89DaysPastDueNotWorse", [-1, 0, 1, 2, 3, 90]),
        ("give_me_some_credit", "NumberOfTimes90DaysLate", [-1, 0, 1, 2, 3, 90]),
    ],
)
def test_real_default_rates_move_in_the_stated_direction(
    name: str, column: str, edges: list[float], shared_data: Path
) -> None:
    usecase, frame = load_usecase(name), real(name, shared_data)
    bad = frame[usecase.target.column] == usecase.target.bad
    rates = bad.groupby(pd.cut(pd.to_numeric(frame[column]), edges), observed=True).mean()
    sign = 1 if usecase.columns[column].direction == "increasing" else -1
    assert all(sign * (after - before) > 0 for before, after in pairwise(rates))


def test_real_default_rates_contradict_a_direction_for_the_status(shared_data: Path) -> None:
    frame = real("credit_assessment", shared_data)
    bad = frame["default.payment.next.month"] == "1"
    rates = bad.groupby(frame["PAY_0"].astype(int)).mean()
    assert rates[-1] > rates[0] < rates[1]
    assert rates[2] > rates[5]
    assert load_usecase("credit_assessment").columns["PAY_0"].direction is None
