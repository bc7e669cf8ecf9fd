from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from sklearn.inspection import permutation_importance as reference

from riskwright.errors import InputRefused, IntegrityError
from riskwright.explanations.importance import (
    mean_contributions,
    permutation_importance,
    plot_mean_contributions,
    shap_summary,
)


def check(path: Path) -> None:
    picture = imread(path)
    assert picture.shape[0] > 200
    assert picture.std() > 0.02
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_permutation_importance(model) -> None:  # type: ignore[no-untyped-def]
    X = model.rows(3000)
    y = (np.random.default_rng(1).random(3000) < model.pd(X)).astype(int)
    found = permutation_importance(model.margin, X, y, seed=0)
    assert found["feature"].tolist()[-1] == "unused"
    assert found["feature"].iloc[0] == "delay"
    last = found.iloc[-1]
    assert (last["increase_in_log_loss"], last["low"], last["high"]) == (0, 0, 0)
    assert (found["low"].iloc[:3] > 0).all()
    assert found.equals(permutation_importance(model.margin, X, y, seed=0))

    class Fitted:
        """What scikit-learn's own function asks of an estimator."""

        def fit(self, *_: object) -> None: ...

        def score(self, X, y) -> float:  # type: ignore[no-untyped-def]
            return -float(np.logaddexp(0, np.where(y == 1, -1, 1) * model.margin(X)).mean())

    theirs = reference(Fitted(), X, y, n_repeats=5, random_state=1).importances_mean
    ours = found.set_index("feature").loc[X.columns]
    for name, value in zip(X.columns, theirs, strict=True):
        assert ours.loc[name, "low"] * 0.8 <= value <= ours.loc[name, "high"] * 1.2


def test_permutation_importance_refuses_what_does_not_match(model) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputRefused):
        permutation_importance(model.margin, model.rows(3), [0, 1], seed=0)
    with pytest.raises(InputRefused):
        permutation_importance(model.margin, model.rows(1), [0], seed=0)


def test_mean_contributions(model) -> None:  # type: ignore[no-untyped-def]
    X = model.rows(200)
    c = model.contributions(X, X)
    found = mean_contributions(c, model.schema).set_index("feature")["mean_absolute_contribution"]
    assert found.is_monotonic_decreasing
    assert found["delay"] == pytest.approx(c["delay"].abs().mean())
    assert found["unused"] == 0


def test_pictures(model, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    X = model.rows(150)
    c = model.contributions(X, X)
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    check(shap_summary(c, X, model.schema, tmp_path / "a.png", rows=100))
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002
    first = (tmp_path / "a.png").read_bytes()
    shap_summary(c, X, model.schema, tmp_path / "a.png", rows=100)
    assert (tmp_path / "a.png").read_bytes() == first
    (tmp_path / "a.png").unlink()
    check(plot_mean_contributions(c, model.schema, tmp_path / "b.png"))


def test_pictures_of_other_features_are_refused(model, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    X = model.rows(10)
    c = model.contributions(X, X).rename(columns={"delay": "SEX"})
    for draw in (
        lambda path: shap_summary(c, X, model.schema, path),
        lambda path: plot_mean_contributions(c, model.schema, path),
    ):
        with pytest.raises(IntegrityError, match="not those of the model"):
            draw(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []
