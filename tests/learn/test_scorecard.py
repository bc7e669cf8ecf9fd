"""Scorecard: its table is the model, its bins follow the declared direction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from riskwright.case.usecase import Feature, FeatureSchema
from riskwright.learn.binning import Card
from riskwright.learn.scorecard import Scorecard, fit_effects


@pytest.fixture(scope="module")
def card(small: Any) -> Scorecard:
    return Scorecard(small.schema).fit(small.X, small.y)


def test_points_are_600_at_odds_50_and_20_more_double_them(card: Scorecard, small: Any) -> None:
    points, pd_ = card.points(small.X), expit(card.margin(small.X))
    odds = (1 - pd_) / pd_
    np.testing.assert_allclose(odds, 50 * 2 ** ((points - 600) / 20), rtol=1e-9)


def test_the_printed_table_is_the_score(card: Scorecard, small: Any) -> None:
    """Score by hand, from the table alone, reading each row's value as a person would."""
    table = card.table()
    np.testing.assert_array_equal(table["points"], table["points"].round(2))
    total = np.zeros(len(small.X))
    for name, lines in table.groupby("feature", sort=False):
        by_bin = lines.set_index("bin")["points"]
        column = small.X[str(name)]
        for i, value in enumerate(column):
            total[i] += by_bin[_bin(by_bin.index, value)]
    np.testing.assert_allclose(total, card.points(small.X), atol=1e-9)


def _bin(labels: pd.Index, value: Any) -> str:
    """Find the bin as a person reads the labels."""
    if pd.isna(value):
        return "missing"
    if isinstance(value, str):
        return next((b for b in labels if value in b.split(" or ")), "") or _pooled(labels)
    for label in labels:
        words = label.split()
        if label == "any" or (label.startswith("96:") and value == 96):
            return str(label)
        if value in (96, 98) and any(b.startswith(f"{value:.0f}:") for b in labels):
            continue
        if words[0] == "below" and value < float(words[1]):
            return str(label)
        if words[1:3] == ["to", "below"] and float(words[0]) <= value < float(words[3]):
            return str(label)
        if words[1:] == ["and", "above"] and value >= float(words[0]):
            return str(label)
    raise AssertionError(f"no bin for {value} among {list(labels)}")


def _pooled(labels: pd.Index) -> str:
    return next(b for b in labels if "other codes" in b.split(" or "))


def test_the_table_counts_every_row_once_in_each_feature(card: Scorecard, small: Any) -> None:
    table = card.table()
    sums = table.groupby("feature")[["rows", "bad"]].sum()
    assert (sums["rows"] == len(small.X)).all()
    assert (sums["bad"] == small.y.sum()).all()
    assert (table["rows"] >= table["bad"]).all()


def test_informative_features_are_on_the_card_and_noise_is_not(card: Scorecard) -> None:
    on_card = {c.name for c in card.cards_}
    assert {"debt", "income", "late"} <= on_card
    spread = card.table().query("rows > 0").groupby("feature")["points"].agg(np.ptp)
    assert spread["debt"] == spread.max()
    assert (spread >= 4).all()


def test_a_sentinel_and_missing_have_bins_of_their_own(card: Scorecard, small: Any) -> None:
    late = card.table().query("feature == 'late'").set_index("bin")
    assert late.loc["96: refused to say", "rows"] == (small.X["late"] == 96).sum()
    income = card.table().query("feature == 'income'").set_index("bin")
    assert income.loc["missing", "rows"] == small.X["income"].isna().sum()


@pytest.mark.parametrize(("direction", "sign"), [(1, 1), (-1, -1)])
def test_points_follow_the_declared_direction(direction: int, sign: int) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=1500)
    other = rng.normal(size=1500)
    # The data turn round at 0.5; the declared direction doesn't.
    hill = -((x - 0.5) ** 2) * sign
    y = (rng.random(1500) < expit(hill + 0.8 * x * sign + other)).astype(np.int8)
    schema = FeatureSchema(
        (
            Feature("x", "number", "x", direction=direction),
            Feature("other", "number", "other"),
        )
    )
    X = pd.DataFrame({"x": x, "other": other})
    grid = pd.DataFrame({"x": np.linspace(-4, 4, 200), "other": 0.0})
    steps = np.diff(Scorecard(schema).fit(X, y).margin(grid)) * direction
    assert (steps >= -1e-9).all()
    assert (steps > 0).any()


def test_a_card_without_features_scores_the_average() -> None:
    rng = np.random.default_rng(0)
    y = (np.arange(400) % 4 == 0).astype(np.int8)
    X = pd.DataFrame({"noise": rng.integers(0, 2, 400).astype(float)})
    model = Scorecard(FeatureSchema((Feature("noise", "number", "noise"),))).fit(X, y)
    assert not model.cards_
    np.testing.assert_allclose(expit(model.margin(X)), 0.25, atol=1e-3)
    assert model.contributions(X)["noise"].eq(0).all()
    assert model.table().empty


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-9.0, 1.0, 1.5, 2.0, 96.0, np.nan, np.inf], [0, 1, 1, 2, 3, 4, 4]),
        ([0.999999, 1e300], [0, 2]),
    ],
)
def test_bins_are_closed_on_the_left(values: list[float], expected: list[int]) -> None:
    card = Card("x", "number", [1.0, 2.0], {}, [96.0], list("abcde"), [], [], [], [])
    assert card.find(pd.Series(values, name="x")).tolist() == expected


def test_unseen_codes_go_to_the_pool_if_there_is_one() -> None:
    column = pd.Series(pd.array(["a", "b", "zebra", None], dtype="str"), name="c")
    groups = {"a": 0, "b": 1, "(other)": 1}
    pooled = Card("c", "category", [], groups, [], ["g0", "g1", "missing"], [], [], [], [])
    assert pooled.find(column).tolist() == [0, 1, 1, 2]
    labels = ["g0", "g1", "unseen code", "missing"]
    bare = Card("c", "category", [], {"a": 0, "b": 1}, [], labels, [], [], [], [])
    assert bare.find(column).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("bad", [0, 1])
@pytest.mark.parametrize("kind", ["category", "number"])
def test_a_code_without_bads_or_goods_keeps_a_group_of_its_own(kind: str, bad: int) -> None:
    """optbinning merges it with its neighbour, the worst code."""
    rng = np.random.default_rng(2)
    n = 2000
    safe, other = rng.random(n) < 0.5, rng.normal(size=n)
    y = (rng.random(n) < expit(-2 + other)).astype(np.int8)
    y[safe] = 0
    y = y if bad == 0 else 1 - y
    codes = pd.array(np.where(safe, "cash", np.where(rng.random(n) < 0.5, "none", "car")), "str")
    X = pd.DataFrame({"held": safe.astype(float) if kind == "number" else codes, "other": other})
    schema = FeatureSchema(
        (Feature("held", kind, "held"), Feature("other", "number", "other"))  # type: ignore[arg-type]
    )
    model = Scorecard(schema).fit(X, y)
    lines = model.table().query("feature == 'held'").set_index("bin")
    alone = lines.loc["0.5 and above" if kind == "number" else "cash"]
    assert (alone["rows"], alone["bad"]) == (safe.sum(), bad * safe.sum())
    assert np.isfinite(alone["points"])
    found = expit(model.margin(X))
    assert abs(found[safe].mean() - bad) < 0.01
    assert abs(found[~safe].mean() - y[~safe].mean()) < 0.02


def test_a_column_that_equals_the_target_is_on_the_card() -> None:
    rng = np.random.default_rng(3)
    y = (rng.random(1000) < 0.1).astype(np.int8)
    X = pd.DataFrame({"same": y.astype(float), "other": rng.normal(size=1000)})
    schema = FeatureSchema(tuple(Feature(c, "number", c) for c in X))
    p = expit(Scorecard(schema).fit(X, y).margin(X))
    assert p[y == 1].min() > 0.5 > p[y == 0].max()


def test_what_no_fitted_row_held_has_the_points_of_the_neutral_place(small: Any) -> None:
    X = small.X.assign(
        debt=small.X["debt"].fillna(0.0), home=small.X["home"].fillna("own").astype("str")
    )
    model = Scorecard(small.schema).fit(X, small.y)
    usual = X["home"].value_counts().index[0]
    for name, lost, place in (("debt", np.nan, X["debt"].median()), ("home", None, usual)):
        cells = [pd.Series([v] * len(X), X.index, X[name].dtype) for v in (lost, place)]
        missing, neutral = (model.margin(X.assign(**{name: c})) for c in cells)
        np.testing.assert_array_equal(missing, neutral)
    refused = X.assign(late=98.0), X.assign(late=X["late"][X["late"] != 96].median())
    np.testing.assert_array_equal(*map(model.margin, refused))


def _binned(seed: int = 0) -> tuple[list[Any], list[Any], np.ndarray]:
    rng = np.random.default_rng(seed)
    bins = [rng.integers(0, 4, 800), rng.integers(0, 3, 800)]
    evidence = [np.array([-1.0, -0.3, 0.4, 1.0]), np.array([-0.5, 0.0, 0.7])]
    margin = -0.5 + 0.9 * evidence[0][bins[0]] + 0.7 * evidence[1][bins[1]]
    return bins, evidence, (rng.random(800) < expit(margin)).astype(np.int8)


@pytest.mark.parametrize("leeway", [0.0, 0.3])
@pytest.mark.parametrize("C", [0.05, 1.0])
def test_effects_are_scikit_learns_where_no_weight_is_negative(leeway: float, C: float) -> None:
    bins, evidence, y = _binned()
    effects, weights, intercept = fit_effects(bins, evidence, y, C, [leeway] * 2)
    assert (weights > 0).all()
    columns = [e[b][:, None] for e, b in zip(evidence, bins, strict=True)]
    if leeway:
        columns += [leeway * np.eye(len(e))[b] for e, b in zip(evidence, bins, strict=True)]
    matrix = np.hstack(columns)
    other = LogisticRegression(C=C, tol=1e-10, max_iter=5000).fit(matrix, y)
    ours = intercept + effects[0][bins[0]] + effects[1][bins[1]]
    np.testing.assert_allclose(ours, other.decision_function(matrix), atol=2e-3)


def test_no_weight_is_negative() -> None:
    bins, evidence, y = _binned()
    effects, weights, _ = fit_effects(bins, [evidence[0], -evidence[1]], y)
    assert weights[0] > 0
    assert weights[1] == 0
    assert not effects[1].any()


def test_the_json_holds_the_table(card: Scorecard, tmp_path: Path) -> None:
    card.save(tmp_path)
    state = json.loads((tmp_path / "family.json").read_text())["state"]
    assert state["points_at_odds"] == [600, 50]
    assert state["points_to_double_odds"] == 20
    stored = [p for c in state["cards"] for p in c["points"]]
    assert stored == card.table()["points"].tolist()
