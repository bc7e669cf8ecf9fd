"""Cleaning: what each rule does to a column, and what the fitted object promises."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import norm, rankdata
from sklearn.base import clone

from riskwright.case.usecase import Feature, FeatureSchema
from riskwright.data.cleaning import LEAST_SPREAD, Features, normal_scores
from riskwright.errors import InputRefused

MODES = ["standard", "quantile", "raw"]


def number(values: Any, *, sentinels: dict[float, str] | None = None) -> tuple[Any, FeatureSchema]:
    """One number column called ``x`` and its schema."""
    feature = Feature("x", "number", "x", sentinels=tuple((sentinels or {}).items()))
    return pd.DataFrame({"x": np.asarray(values, dtype=float)}), FeatureSchema((feature,))


def category(values: Any) -> tuple[Any, FeatureSchema]:
    """One category column called ``c`` and its schema."""
    frame = pd.DataFrame({"c": pd.array(values, dtype="str")})
    return frame, FeatureSchema((Feature("c", "category", "c"),))


def columns(features: Features, X: pd.DataFrame) -> dict[str, np.ndarray]:
    return dict(zip(features.names_, features.transform(X).T, strict=True))


@pytest.fixture(scope="module")
def mixed() -> tuple[pd.DataFrame, FeatureSchema]:
    rng = np.random.default_rng(1)
    n = 2000
    late = rng.poisson(1.0, n).astype(float)
    late[:40], late[40:43] = 96.0, np.nan
    X = pd.DataFrame(
        {
            "income": np.exp(rng.normal(size=n) * 2 + 8),
            "debt": rng.normal(size=n),
            "late": late,
            "home": pd.array(rng.choice(["own", "rent", "free"], n), dtype="str"),
            "gone": np.nan,
            "one": 7.0,
        }
    )
    features = tuple(
        Feature(
            c,
            "category" if c == "home" else "number",
            c,
            sentinels=((96.0, "code"),) if c == "late" else (),
        )
        for c in X
    )
    return X, FeatureSchema(features)


# Sentinels, missing, infinity


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("standard", ["x", "x=96", "x missing"]),
        ("quantile", ["x", "x=96", "x missing"]),
        ("raw", ["x", "x=96"]),  # NaN is its own indicator
    ],
)
def test_a_sentinel_becomes_missing_with_an_indicator(mode: Any, expected: list[str]) -> None:
    X, schema = number([1, 2, 3, 4, 96, np.nan], sentinels={96.0: "refused", 98.0: "other"})
    features = Features(schema, mode).fit(X)
    assert features.names_ == expected
    assert features.sources_ == ["x"] * len(expected)
    found = columns(features, X)
    assert (found["x=96"] > 0).tolist() == [False] * 4 + [True, False]
    if mode == "raw":
        np.testing.assert_array_equal(found["x"], [1, 2, 3, 4, np.nan, np.nan])
    else:
        assert found["x"][4] == found["x"][5]
        assert (found["x missing"] > 0).tolist() == [False] * 5 + [True]
    line = features.report_[0]
    assert line["sentinels"] == {"96": 1, "98": 0}
    assert line["missing"] == 1
    assert line["imputed"] == (0 if mode == "raw" else 2)


def test_missing_is_filled_with_the_median_of_the_known() -> None:
    X, schema = number([0.0, 1, 2, 3, 10, np.nan])
    features = Features(schema).fit(X)
    assert features.report_[0]["fill"] == 2.0
    found = columns(features, X)["x"]
    assert found[5] == found[2]
    filled = np.clip([0, 1, 2, 3, 10, 2], *features.report_[0]["limits"])
    np.testing.assert_allclose(found, (filled - filled.mean()) / filled.std(), rtol=1e-6)


def test_quantile_mode_puts_missing_at_zero() -> None:
    X, schema = number([5, 6, 7, 8, np.nan])
    assert columns(Features(schema, "quantile").fit(X), X)["x"][4] == 0


@pytest.mark.parametrize("mode", MODES)
def test_infinity_counts_as_missing(mode: Any) -> None:
    X, schema = number([*range(50), np.nan])
    features = Features(schema, mode).fit(X)
    lost, _ = number([np.nan, np.nan])
    infinite, _ = number([np.inf, -np.inf])
    np.testing.assert_array_equal(features.transform(infinite), features.transform(lost))
    again = Features(schema, mode).fit(number([*range(50), np.inf])[0])
    assert again.report_[0]["infinite"] == again.report_[0]["missing"] == 1


def test_a_sentinel_first_seen_later_is_imputed() -> None:
    X, schema = number([1, 2, 3, 4], sentinels={96.0: "refused"})
    features = Features(schema).fit(X)
    assert features.names_ == ["x"]
    later = features.transform(number([96.0, 2.5])[0])
    assert later[0] == later[1]


# Tails


def test_a_heavy_tail_takes_the_signed_logarithm(mixed: Any) -> None:
    X, schema = mixed
    features = Features(schema).fit(X)
    by_name = {line["feature"]: line for line in features.report_}
    assert by_name["income"]["transform"] == "signed log"
    assert by_name["debt"]["transform"] == "none"
    assert by_name["income"]["winsorised"] == by_name["debt"]["winsorised"] == 4
    found = columns(features, X)["income"]
    low, high = by_name["income"]["limits"]
    inside = np.clip(X["income"].to_numpy(), low, high)
    expected = np.log1p(inside / np.median(inside))
    expected = (expected - expected.mean()) / expected.std()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    # Whatever comes later stays within what was seen.
    worst = X.head(1).assign(income=1e30)
    assert columns(features, worst)["income"][0] == found.max()


def test_the_sign_survives_the_logarithm() -> None:
    rng = np.random.default_rng(0)
    X, schema = number(rng.standard_cauchy(5000))
    features = Features(schema).fit(X)
    assert features.report_[0]["transform"] == "signed log"
    order = np.argsort(X["x"].to_numpy())
    assert (np.diff(columns(features, X)["x"][order]) >= 0).all()


def test_a_rare_other_value_is_not_winsorised_away() -> None:
    X, schema = number(np.r_[np.zeros(9995), np.ones(5)])
    found = columns(Features(schema).fit(X), X)["x"]
    assert len(np.unique(found)) == 2


# Dropped columns


@pytest.mark.parametrize("mode", MODES)
def test_constant_and_all_missing_columns_are_dropped(mixed: Any, mode: Any) -> None:
    X, schema = mixed
    features = Features(schema, mode).fit(X)
    dropped = {line["feature"]: line["dropped"] for line in features.report_ if line["dropped"]}
    assert dropped == {"gone": "all missing", "one": "constant at 7"}
    assert not {"gone", "one"} & set(features.sources_)


@pytest.mark.parametrize("mode", MODES)
def test_a_constant_that_is_sometimes_missing_still_tells(mode: Any) -> None:
    X, schema = number([3, 3, 3, np.nan])
    matrix = Features(schema, mode).fit(X).transform(X)
    assert not np.array_equal(matrix[0], matrix[3], equal_nan=True)


def test_nothing_to_learn_from_is_refused() -> None:
    X, schema = number([1, 1, 1])
    with pytest.raises(InputRefused, match="constant or all missing"):
        Features(schema).fit(X)
    with pytest.raises(InputRefused, match="no rows"):
        Features(schema).fit(X.head(0))


# Categories


def test_rare_codes_are_pooled_and_unseen_ones_join_them() -> None:
    X, schema = category(["a"] * 60 + ["b"] * 60 + ["c"] * 3 + [None])
    features = Features(schema, "quantile").fit(X)
    assert features.names_ == ["c=a", "c=b", "c other", "c missing"]
    assert features.report_[0]["rare"] == {"c": 3}
    later, _ = category(["a", "c", "zebra", None])
    np.testing.assert_array_equal(
        features.transform(later), [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    )


@pytest.mark.parametrize("mode", MODES)
def test_what_no_fitted_row_held_goes_to_a_neutral_place(mode: Any) -> None:
    """The most frequent code, the median: neither the best nor the worst."""
    X, schema = category(["a"] * 40 + ["b"] * 60)
    features = Features(schema, mode).fit(X)
    assert features.names_ == ["c=a", "c=b"]
    later, _ = category(["b", "zebra", None])
    matrix = features.transform(later)
    assert (matrix == matrix[0]).all()
    X, schema = number([0, 1, 2, 3, 10], sentinels={96.0: "refused"})
    found = columns(Features(schema, mode).fit(X), number([2, np.nan, np.inf, 96])[0])["x"]
    assert (found == found[0]).all()


def test_a_missing_number_isnt_taken_for_the_sentinel_that_was_seen() -> None:
    """In a tree the sentinel's NaN has a branch; nothing was learnt about a missing value."""
    X, schema = number([0, 1, 2, 3, 10, 96, 96], sentinels={96.0: "refused", 98.0: "other"})
    later = number([96, np.nan, 98])[0]
    found = columns(Features(schema, "raw").fit(X), later)
    np.testing.assert_array_equal(found["x"], [np.nan, 2, 2])
    np.testing.assert_array_equal(found["x=96"], [1, 0, 0])


def test_what_was_saved_before_there_was_a_neutral_place_scores_as_it_did() -> None:
    X = pd.DataFrame({"x": [1.0, 2, 3, 4], "c": pd.array(["a", "b"] * 2, dtype="str")})
    schema = FeatureSchema((Feature("x", "number", "x"), Feature("c", "category", "c")))
    plain = Features(schema, "raw", min_category=1).fit(X).to_dict()
    for plan in plain["plans"]:
        del plan["neutral"]
    later = pd.DataFrame({"x": [np.nan], "c": pd.array([None], dtype="str")})
    old = Features.from_dict(plain).transform(later)
    np.testing.assert_array_equal(old, [[np.nan, 0, 0]])


def test_codes_called_other_and_missing_are_codes() -> None:
    X, schema = category(["other"] * 50 + ["missing"] * 50 + ["rare"] * 2)
    features = Features(schema, "raw").fit(X)
    np.testing.assert_array_equal(features.transform(X).sum(axis=0), [50, 50, 2])


@pytest.mark.parametrize(
    ("rows", "count", "pooled"),
    [(600, 9, True), (600, 10, False), (10_000, 29, True), (10_000, 30, False)],
)
def test_what_counts_as_rare_scales_down_with_the_rows(rows: int, count: int, pooled: bool) -> None:
    X, schema = category(["a"] * (rows - count) + ["b"] * count)
    assert ("c other" in Features(schema).fit(X).names_) is pooled


def test_zeros_and_ones_are_standardised_with_a_floor() -> None:
    X, schema = category(["a"] * 9950 + ["b"] * 50)
    found = columns(Features(schema).fit(X), X)
    share = 0.005
    assert np.sqrt(share * (1 - share)) < LEAST_SPREAD
    np.testing.assert_allclose(found["c=b"].max(), (1 - share) / LEAST_SPREAD, rtol=1e-6)
    X, schema = category(["a"] * 5000 + ["b"] * 5000)
    found = columns(Features(schema).fit(X), X)
    np.testing.assert_allclose([found["c=b"].mean(), found["c=b"].std()], [0, 1], atol=1e-6)


def test_a_category_that_is_not_text_is_refused() -> None:
    _, schema = category(["1"])
    with pytest.raises(InputRefused, match="is a category"):
        Features(schema).fit(pd.DataFrame({"c": [1, 2]}))


# The object


@pytest.mark.parametrize("mode", MODES)
def test_it_comes_back_from_json_the_same(mixed: Any, mode: Any) -> None:
    X, schema = mixed
    features = Features(schema, mode).fit(X)
    again = Features.from_dict(json.loads(json.dumps(features.to_dict(), allow_nan=False)))
    assert again.digest == features.digest
    assert again.names_ == features.names_
    assert again.sources_ == features.sources_
    assert again.report_ == features.report_
    assert again.schema == schema
    np.testing.assert_array_equal(again.transform(X), features.transform(X))


def test_the_digest_tells_states_apart(mixed: Any) -> None:
    X, schema = mixed
    digests = {Features(schema, mode).fit(X).digest for mode in MODES}  # type: ignore[arg-type]
    digests.add(Features(schema).fit(X.head(1500)).digest)
    assert len(digests) == 4
    assert Features(schema).fit(X).digest == Features(schema).fit(X.copy()).digest


@pytest.mark.parametrize("mode", MODES)
def test_the_matrix_is_float32_and_finds_columns_by_name(mixed: Any, mode: Any) -> None:
    X, schema = mixed
    features = clone(Features(schema, mode)).fit(X)
    matrix = features.transform(X)
    assert matrix.dtype == np.float32
    assert matrix.shape == (len(X), len(features.names_))
    np.testing.assert_array_equal(features.transform(X[X.columns[::-1]].assign(new=1)), matrix)
    assert np.isfinite(matrix).all() == (mode != "raw")


def test_encoders_of_the_same_rows_share_and_change_nothing(mixed: Any) -> None:
    X, schema = mixed
    encoders = [Features(schema, mode).fit(X[part::2]) for mode in MODES for part in (0, 1)]  # type: ignore[arg-type]
    alone = [encoder.transform(X) for encoder in encoders]
    cache: dict[str, np.ndarray] = {}
    for encoder, expected in zip(encoders[::-1], alone[::-1], strict=True):
        np.testing.assert_array_equal(encoder.transform(X, cache), expected)
    assert cache


def test_fitting_leaves_the_frame_alone(mixed: Any) -> None:
    X, schema = mixed
    before = X.copy(deep=True)
    Features(schema).fit_transform(X)
    pd.testing.assert_frame_equal(X, before)


def test_outcomes_are_not_looked_at(mixed: Any) -> None:
    X, schema = mixed
    y = np.arange(len(X)) % 2
    assert Features(schema).fit(X, y).digest == Features(schema).fit(X, 1 - y).digest


def test_a_missing_column_is_refused_with_the_closest() -> None:
    X, schema = number([1, 2, 3])
    with pytest.raises(InputRefused, match="x") as refused:
        Features(schema).fit(X.rename(columns={"x": "xx"}))
    assert "xx" in refused.value.do
    with pytest.raises(InputRefused, match="not a number"):
        Features(schema).fit(pd.DataFrame({"x": ["many", "few"]}))


# Normal scores

finite = hnp.arrays(
    np.float64,
    st.integers(2, 300),
    elements=st.floats(-1e9, 1e9, allow_subnormal=False) | st.integers(-3, 3).map(float),
)


@settings(deadline=None, max_examples=60)
@given(finite)
def test_normal_scores_rise_with_the_value_and_centre_ties(values: np.ndarray) -> None:
    knots, scores = normal_scores(values)
    assert len(knots) == len(scores)
    assert (np.diff(knots) > 0).all()
    assert (np.diff(scores) > 0).all()
    # Up to 1,000 rows every value is a knot.
    expected = norm.ppf((rankdata(values) - 0.5) / len(values))
    np.testing.assert_allclose(np.interp(values, knots, scores), expected, atol=1e-9)


def test_many_rows_get_a_thousand_knots_and_no_score_beyond_four() -> None:
    values = np.r_[np.zeros(200_000), np.arange(1.0, 100_001)]
    knots, scores = normal_scores(values)
    assert len(knots) <= 1000
    assert scores[-1] == 4.0
    np.testing.assert_allclose(scores[0], norm.ppf(1 / 3), atol=1e-5)


@given(values=hnp.arrays(float, st.integers(1, 60), elements=st.floats(-4, 4)))
def test_quantile_mode_interpolates_between_the_knots(values: np.ndarray) -> None:
    X, schema = number(np.arange(-2.0, 3.0) ** 3)
    features = Features(schema, "quantile").fit(X)
    plan = features.plans_[0]
    expected = np.interp(values, plan.knots, plan.scores)
    np.testing.assert_array_equal(
        features.transform(number(values)[0])[:, 0], expected.astype(np.float32)
    )


def test_quantile_mode_makes_a_skewed_column_normal() -> None:
    rng = np.random.default_rng(2)
    X, schema = number(np.exp(3 * rng.normal(size=20_000)))
    found = columns(Features(schema, "quantile").fit(X), X)["x"]
    np.testing.assert_allclose([found.mean(), found.std()], [0, 1], atol=0.01)
    np.testing.assert_allclose(np.quantile(found, [0.1, 0.9]), norm.ppf([0.1, 0.9]), atol=0.01)


@settings(deadline=None, max_examples=40)
@given(
    hnp.arrays(np.float64, st.integers(3, 60), elements=st.floats(width=64)), st.sampled_from(MODES)
)
def test_any_float_is_taken(values: np.ndarray, mode: Any) -> None:
    _, schema = number(values, sentinels={0.0: "zero"})
    two = pd.DataFrame({"x": values, "z": np.arange(len(values), dtype=float)})
    both = FeatureSchema((*schema.features, Feature("z", "number", "z")))
    matrix = Features(both, mode).fit(two).transform(two)
    assert matrix.shape[0] == len(values)
    assert not np.isinf(matrix).any()
