"""What every family promises, family by family."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError

from riskwright.case.usecase import FAMILIES, FeatureSchema
from riskwright.errors import InputRefused, IntegrityError
from riskwright.learn.base import PDFamily
from riskwright.learn.families import applicable, family_class, load_family, make_family

# Enough to exercise a family, little enough to be quick.
QUICK: dict[str, dict[str, Any]] = {
    "xgboost": {"max_trees": 60, "patience": 20},
    "article_mlp": {"epochs": 2},
    "mlp": {"hidden": [8], "max_epochs": 3},
    "gru": {"units": 4, "max_epochs": 2},
    "cnn": {"units": 4, "max_epochs": 2},
}
TRAIN, TEST = (0, 700), (700, 760)


@pytest.fixture(scope="session")
def fits(small: Any) -> dict[str, tuple[PDFamily, list[float]]]:
    """Keep each family's one fit for all tests of this file."""
    return {}


@pytest.fixture(params=FAMILIES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def fitted(name: str, small: Any, fits: dict[str, Any]) -> PDFamily:
    if name not in fits:
        told: list[float] = []
        model = make_family(name, small.schema, 3, QUICK.get(name, {}))
        fits[name] = model.fit(*small.rows(*TRAIN), progress=told.append), told
    return fits[name][0]


def test_it_is_a_scikit_learn_classifier(name: str, fitted: PDFamily, small: Any) -> None:
    X, _ = small.rows(*TEST)
    assert is_classifier(fitted)
    assert fitted.name == name
    assert fitted.classes_.tolist() == [0, 1]
    proba = fitted.predict_proba(X)
    assert proba.shape == (len(X), 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(proba[:, 1], expit(fitted.margin(X)), atol=1e-15)
    np.testing.assert_array_equal(fitted.predict(X), proba[:, 1] > 0.5)
    assert fitted.margin(X).dtype == np.float64
    assert np.ptp(fitted.margin(X)) > 0


def test_it_clones_unfitted_with_its_parameters(name: str, small: Any) -> None:
    model = make_family(name, small.schema, 11, QUICK.get(name, {}))
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert copy.get_params()["seed"] == 11
    with pytest.raises(NotFittedError):
        copy.margin(small.X)


def test_its_constructor_starts_with_schema_and_seed(name: str) -> None:
    assert list(inspect.signature(family_class(name)).parameters)[:2] == ["schema", "seed"]


def test_it_tells_its_progress(fitted: PDFamily, name: str, fits: dict[str, Any]) -> None:
    told = fits[name][1]
    assert told == sorted(told)
    assert 0 <= told[0] <= told[-1] == 1


def test_the_same_seed_gives_the_same_model(fitted: PDFamily, name: str, small: Any) -> None:
    again = clone(fitted).fit(*small.rows(*TRAIN))
    np.testing.assert_array_equal(again.margin(small.X), fitted.margin(small.X))


def test_saved_and_loaded_it_predicts_the_same_bits(
    fitted: PDFamily, name: str, small: Any, tmp_path: Path
) -> None:
    X, _ = small.rows(*TEST)
    before, contributions = fitted.predict_proba(X), fitted.contributions(X.head(5))
    fitted.save(tmp_path / "saved")
    loaded = load_family(name, tmp_path / "saved")
    assert np.array_equal(loaded.predict_proba(X), before)
    pd.testing.assert_frame_equal(loaded.contributions(X.head(5)), contributions)
    ours, theirs = fitted.get_params(), loaded.get_params()
    assert theirs.pop("schema") == ours.pop("schema")
    assert json.dumps(theirs) == json.dumps(ours)  # a tuple comes back as a list
    # What is loaded can be saved again: the same files.
    loaded.save(tmp_path / "again")
    assert json.loads((tmp_path / "again" / "family.json").read_text()) == json.loads(
        (tmp_path / "saved" / "family.json").read_text()
    )


def test_nothing_it_saves_is_a_pickle(fitted: PDFamily, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert files
    for path in files:
        assert path.suffix in (".json", ".ubj", ".npz", ".npy", ".keras"), path
        assert not path.read_bytes().startswith(b"\x80"), path


def test_a_damaged_file_is_refused(name: str, fitted: PDFamily, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    plain = json.loads((tmp_path / "family.json").read_text())
    (tmp_path / "family.json").write_text(json.dumps({**plain, "family": "another"}))
    with pytest.raises(IntegrityError, match="another"):
        load_family(name, tmp_path)
    (tmp_path / "family.json").unlink()
    with pytest.raises(IntegrityError):
        load_family(name, tmp_path)


def test_its_contributions_sum_to_its_margin(fitted: PDFamily, small: Any) -> None:
    X, _ = small.rows(*TEST)
    X = X.sample(frac=1, random_state=0)
    contributions = fitted.contributions(X)
    assert list(contributions.columns) == [*small.schema.names, "base"]
    assert contributions.index.equals(X.index)
    np.testing.assert_allclose(contributions.sum(axis=1), fitted.margin(X), rtol=0, atol=1e-6)
    assert (contributions.drop(columns="base").abs().sum(axis=1) > 0).all()


def test_columns_are_found_by_name(fitted: PDFamily, small: Any) -> None:
    X, _ = small.rows(*TEST)
    shuffled = X[X.columns[::-1]].assign(extra=1.0)
    np.testing.assert_array_equal(fitted.margin(shuffled), fitted.margin(X))


def test_the_order_of_rows_does_not_matter(fitted: PDFamily, small: Any) -> None:
    X, _ = small.rows(*TEST)
    turned = fitted.margin(X.iloc[::-1])[::-1]
    np.testing.assert_allclose(turned, fitted.margin(X), rtol=0, atol=1e-5)
    alone = fitted.margin(X.iloc[[7]])
    np.testing.assert_allclose(alone, fitted.margin(X)[[7]], rtol=0, atol=1e-5)


def test_a_value_never_missing_in_training_is_scored_at_its_median(
    fitted: PDFamily, name: str, small: Any
) -> None:
    """Trees would send it to one end; every family has the same neutral place for it."""
    X, _ = small.rows(*TEST)
    train, _ = small.rows(*TRAIN)
    middle = train["late"][train["late"] != 96].median()
    lost = fitted.margin(X.assign(late=np.nan))
    np.testing.assert_array_equal(lost, fitted.margin(X.assign(late=middle)))
    cells = X.assign(late=np.nan).head(3)
    found = fitted.contributions(cells)
    np.testing.assert_allclose(found.sum(axis=1), lost[:3], rtol=0, atol=1e-6)


def test_a_cache_changes_nothing(fitted: PDFamily, small: Any) -> None:
    X, _ = small.rows(*TEST)
    cache: dict[str, np.ndarray] = {}
    first = fitted.margin(X, cache)
    np.testing.assert_array_equal(first, fitted.margin(X))
    np.testing.assert_array_equal(first, fitted.margin(X, cache))


@pytest.mark.parametrize(
    "changes",
    [
        {"home": "igloo"},
        {"home": None},
        {"income": np.nan, "debt": np.nan},
        {"income": np.inf, "debt": -np.inf},
        {"income": 1e300, "debt": -1e300},
        {"late": 98.0},
    ],
    ids=["new code", "no code", "missing", "infinite", "huge", "new sentinel"],
)
def test_odd_values_get_a_finite_margin(
    fitted: PDFamily, small: Any, changes: dict[str, Any]
) -> None:
    X = small.X.head(4).copy()
    for column, value in changes.items():
        X[column] = pd.array([value] * 4, dtype=X[column].dtype)
    assert np.isfinite(fitted.margin(X)).all()
    assert np.isfinite(fitted.contributions(X)).to_numpy().all()


def test_no_rows_give_no_margins(fitted: PDFamily, small: Any) -> None:
    assert fitted.margin(small.X.head(0)).shape == (0,)
    assert fitted.contributions(small.X.head(0)).shape == (0, len(small.schema.names) + 1)


def test_a_missing_column_is_refused_by_name(fitted: PDFamily, small: Any) -> None:
    for call in (fitted.margin, fitted.predict_proba, fitted.contributions):
        with pytest.raises(InputRefused, match="income") as refused:
            call(small.X.rename(columns={"income": "incomes"}))
        assert "incomes" in refused.value.do
    with pytest.raises(InputRefused, match="DataFrame"):
        fitted.margin(small.X.to_numpy())


@pytest.mark.parametrize("outcomes", [np.zeros(50), np.ones(50), np.full(50, 2), np.zeros(49)])
def test_outcomes_that_teach_nothing_are_refused(
    name: str, small: Any, outcomes: np.ndarray
) -> None:
    with pytest.raises(InputRefused, match="outcomes"):
        make_family(name, small.schema, 0, QUICK.get(name, {})).fit(small.X.head(50), outcomes)


def test_an_unknown_parameter_is_refused_with_the_closest(name: str, small: Any) -> None:
    known = [
        p for p in family_class(name)(small.schema).get_params() if p not in ("schema", "seed")
    ]
    with pytest.raises(InputRefused) as refused:
        make_family(name, small.schema, 0, {known[0] + "x": 1})
    assert known[0] in refused.value.do


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(InputRefused) as refused:
        family_class("xgbost")
    assert "xgboost" in refused.value.do


def test_sequences_are_asked_for_where_they_are_needed(small: Any) -> None:
    flat = FeatureSchema(small.schema.features)
    reasons = {n: applicable(n, flat) for n in FAMILIES}
    assert {n for n, reason in reasons.items() if reason} == {"gru", "cnn"}
    assert reasons["gru"] == "no sequences declared"
    assert not any(applicable(n, small.schema) for n in FAMILIES)
