from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskwright.case.usecase import Feature, FeatureSchema
from riskwright.errors import IntegrityError
from riskwright.explanations.reasons import reason_codes

SCHEMA = FeatureSchema(
    (
        Feature("PAY_0", "number", "Repayment status in September"),
        Feature("LIMIT", "number", "Credit limit", "NT dollar"),
        Feature("PAST_DUE", "number", "Times past due", "", (), ((96.0, "not told"),)),
        Feature("EDUCATION", "category", "Education", "", (("1", "graduate school"), ("2", "2"))),
        Feature("RATIO", "number", "Debt ratio"),
    )
)
NAMES = SCHEMA.names


def values(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "PAY_0": np.full(n, 2.0),
            "LIMIT": np.full(n, 120000.0),
            "PAST_DUE": np.full(n, 96.0),
            "EDUCATION": pd.Series(["1"] * n, dtype="str"),
            "RATIO": np.full(n, np.nan),
        }
    ).set_axis(pd.RangeIndex(7, 7 + n, name="row"), axis=0)


def contributions(*rows: list[float]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=NAMES).assign(base=-1.5)
    return frame.set_axis(values(len(rows)).index, axis=0)


def test_reasons_in_words() -> None:
    found = reason_codes(
        contributions([0.84, 0.3, 0.1, 0.25, 0.2], [-1, 0.004, 0.0, 0.5, -0.2]), values(2), SCHEMA
    )
    assert list(found.columns) == ["reason_1", "reason_2", "reason_3", "reason_4"]
    assert found.index.equals(values(2).index)
    assert all(dtype == "str" for dtype in found.dtypes)
    assert found.to_numpy().tolist() == [
        [
            "Repayment status in September: 2 (+0.84)",
            "Credit limit: 120,000 NT dollar (+0.30)",
            "Education: graduate school (+0.25)",
            "Debt ratio: missing (+0.20)",
        ],
        ["Education: graduate school (+0.50)", "", "", ""],
    ]
    more = reason_codes(contributions([0.84, 0.3, 0.1, 0.25, 0.2]), values(1), SCHEMA, n=7)
    assert more.iloc[0, 4:].tolist() == ["Times past due: not told (+0.10)", "", ""]


sizes = st.one_of(
    st.floats(-3, 3, allow_nan=False).map(lambda x: round(x, 3)),
    st.sampled_from([0.0, 0.5, -0.5, float("nan")]),
)


@settings(deadline=None)
@given(
    st.lists(st.lists(sizes, min_size=5, max_size=5), min_size=1, max_size=12), st.integers(1, 6)
)
def test_reasons_are_the_largest_positive_contributions(rows: list, n: int) -> None:
    found = reason_codes(contributions(*rows), values(len(rows)), SCHEMA, n=n)
    labels = [f.label for f in SCHEMA.features]
    for row, texts in zip(rows, found.to_numpy(), strict=True):
        expected = sorted((v for v in row if v >= 0.005), reverse=True)[:n]
        given_ = [t for t in texts if t]
        assert list(texts) == [*given_, *[""] * (n - len(given_))]
        assert len(given_) == len(expected)
        for text, size in zip(given_, expected, strict=True):
            own = row[labels.index(text.split(":")[0])]
            assert own == size
            assert abs(float(text.rsplit("(", 1)[1][:-1]) - size) <= 0.00501
        assert len({t.split(":")[0] for t in given_}) == len(given_)


def test_row_order_and_column_order_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    c, x = contributions(*rng.normal(size=(50, 5)).tolist()), values(50)
    x["LIMIT"] = rng.integers(0, 9, 50).astype(float)
    whole = reason_codes(c, x, SCHEMA)
    order = rng.permutation(50)
    moved = reason_codes(c.iloc[order, ::-1], x.iloc[order, ::-1], SCHEMA)
    pd.testing.assert_frame_equal(moved, whole.iloc[order])


def test_no_rows() -> None:
    assert reason_codes(contributions(), values(0), SCHEMA).shape == (0, 4)


def test_tiny_noise_does_not_flip_reasons() -> None:
    rng = np.random.default_rng(1)
    c = contributions(*rng.normal(size=(2000, 5)).tolist())
    noisy = c + rng.uniform(-1e-6, 1e-6, c.shape)
    x = values(2000)
    same = (reason_codes(c, x, SCHEMA) == reason_codes(noisy, x, SCHEMA)).all(axis=1)
    assert same.mean() > 0.99


@pytest.mark.parametrize("fault", ["protected", "lacking", "no base", "rows", "order"])
def test_what_is_not_the_models_own_is_refused(fault: str) -> None:
    c, x = contributions([0.1] * 5, [0.2] * 5), values(2)
    if fault == "protected":
        c["SEX"] = 2.0
    elif fault == "lacking":
        c = c.drop(columns="LIMIT")
    elif fault == "no base":
        c = c.drop(columns="base")
    elif fault == "rows":
        c = c.iloc[:1]
    else:
        c = c.iloc[::-1]
    with pytest.raises(IntegrityError):
        reason_codes(c, x, SCHEMA)


def test_speed() -> None:
    n = 100_000
    rng = np.random.default_rng(0)
    names = [f"BILL_{j}" for j in range(23)]
    schema = FeatureSchema(tuple(Feature(name, "number", name.title()) for name in names))
    x = pd.DataFrame(np.round(rng.lognormal(9, 1.5, (n, 23))), columns=names)
    c = pd.DataFrame(rng.normal(size=(n, 23)), columns=names).assign(base=0.0)
    start = time.process_time()
    reason_codes(c, x, schema)
    assert n / (time.process_time() - start) > 50_000  # 300,000 rows a second on a quiet core
