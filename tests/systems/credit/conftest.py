"""A small use case with every type of column, its simulator, and a score to watch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from riskwright.case.usecase import UseCase, parse_usecase
from riskwright.data.contract import Contract
from riskwright.life.findings import Result
from riskwright.systems.credit import batch_checks
from riskwright.systems.credit.labels import Labels
from riskwright.systems.credit.reference import Reference

YAML = """
name: small
title: Small
question: Will it be bad?
source: {location: nowhere.csv}
id: key
target: {column: Y, bad: 1, good: 0}
columns:
  key: {type: text}
  LIMIT: {type: number, min: 0, unit: EUR}
  PAID: {type: number, min: 0, unit: EUR}
  AGE: {type: integer, min: 18, max: 99}
  LATE: {type: integer, min: 0, sentinels: {96: refused to say}}
  INCOME: {type: number}
  EDU: {type: category, values: [a, b, c]}
  SEX: {type: category, protected: true, values: {1: male, 2: female}}
  WHEN: {type: date, required: false}
  NOTE: {type: number, required: false}
  RECOVERED: {type: number, after_decision: true}
  Y: {type: category, values: [0, 1]}
"""
REFERENCE_ROWS = 3_000


@dataclass(frozen=True)
class Drawn:
    """Text cells as a file would hold them, and the outcomes."""

    raw: pd.DataFrame
    y: np.ndarray


def score(frame: pd.DataFrame) -> np.ndarray:
    """The true PD of canonical rows; a missing income is average."""
    late = frame["LATE"].where(frame["LATE"] != 96, 1.0)
    income = np.log(frame["INCOME"].clip(lower=1.0)).fillna(10.0)
    steps = frame["EDU"].map({"a": -0.3, "b": 0.0, "c": 0.4}).astype("float64").fillna(0.0)
    limits = np.log(frame["LIMIT"].clip(lower=1.0)).fillna(9.0)
    margin = -1.6 + 0.8 * (late - 1) - 0.5 * (income - 10) + steps - 0.4 * (limits - 9)
    return np.asarray(1 / (1 + np.exp(-margin)), dtype=np.float64)


def draw_rows(rows: int, seed: int) -> Drawn:
    rng = np.random.default_rng(seed)
    plain = pd.DataFrame(
        {
            "LIMIT": np.exp(rng.normal(9, 0.8, rows)).round(2),
            "PAID": (np.exp(rng.normal(7.6, 1.4, rows)) * (rng.random(rows) > 0.17)).round(2),
            "AGE": np.clip(rng.normal(40, 10, rows), 18, 99).round(),
            "LATE": np.where(rng.random(rows) < 0.03, 96, rng.poisson(1, rows)).astype("float64"),
            "INCOME": np.where(rng.random(rows) < 0.05, np.nan, np.exp(rng.normal(10, 0.6, rows))),
            "EDU": pd.Series(rng.choice(["a", "b", "c"], rows, p=[0.3, 0.5, 0.2]), dtype="str"),
        }
    )
    y = (rng.random(rows) < score(plain)).astype("float64")
    sex = rng.choice(["1", "2"], rows)
    raw = pd.DataFrame({"key": [f"k{seed}-{i}" for i in range(rows)]}, dtype="str")
    for name in ("LIMIT", "PAID", "AGE", "LATE", "INCOME"):
        raw[name] = plain[name].map("{:.10g}".format, na_action="ignore").astype("str")
    raw["EDU"], raw["SEX"] = plain["EDU"], pd.Series(sex, dtype="str")
    raw["WHEN"] = pd.Series(["2024-01-31"] * rows, dtype="str")
    raw.index.name = "row"
    return Drawn(raw, y)


@pytest.fixture(scope="session")
def usecase() -> UseCase:
    return parse_usecase(YAML, where="test")


@pytest.fixture(scope="session")
def draw() -> Callable[[int, int], Drawn]:
    return draw_rows


@pytest.fixture(scope="session")
def scored() -> Callable[[pd.DataFrame], np.ndarray]:
    return score


@pytest.fixture(scope="session")
def reference(usecase: UseCase) -> Reference:
    drawn = draw_rows(REFERENCE_ROWS, 999)
    frame = Contract(usecase, "monitor").apply(drawn.raw).accepted
    return Reference.build(usecase, frame, score(frame), drawn.y, version=1)


@pytest.fixture(scope="session")
def judge(usecase: UseCase, reference: Reference) -> Callable[..., Result]:
    """Monitor a raw batch as the flow does; labels belong to the raw rows."""

    def judged(raw: pd.DataFrame, y: np.ndarray | None = None) -> Result:
        checked, header = batch_checks.examine(usecase, raw)
        accepted = checked.accepted
        whole = len(accepted) > 0 and set(usecase.feature_names) <= set(accepted.columns)
        return batch_checks.check_batch(
            usecase,
            reference=reference,
            raw=raw,
            checked=checked,
            header=header,
            pd=score(accepted) if whole else None,
            labels=None if y is None else Labels(y[raw.index.get_indexer(accepted.index)]),
        )

    return judged
