from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from riskwright.explanations.local import _Coder, agreement, lime_case, shap_case, shap_independent


def test_independent_shap_finds_the_known_shapley_values(model) -> None:  # type: ignore[no-untyped-def]
    background, cases = model.rows(40, seed=1), model.rows(3, seed=2)
    found = shap_independent(model.margin, background, cases, model.schema)
    # An additive model's Shapley values are its parts less their mean over the background.
    expected = model.contributions(cases, background)
    pd.testing.assert_frame_equal(found, expected, check_exact=False, atol=1e-9)
    assert found.sum(axis=1).to_numpy() == pytest.approx(model.margin(cases), abs=1e-9)


def test_independent_shap_samples_a_large_background_by_seed(model) -> None:  # type: ignore[no-untyped-def]
    background, cases = model.rows(500, seed=1), model.rows(1, seed=2)
    a, b = (shap_independent(model.margin, background, cases, model.schema) for _ in range(2))
    pd.testing.assert_frame_equal(a, b)
    exact = model.contributions(cases, background).iloc[0].drop("base")
    assert agreement(a.iloc[0].drop("base"), exact).spearman > 0.75


def test_lime_agrees_on_direction_and_on_the_unused(model, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    background = model.rows(400, seed=1)
    case = background.iloc[[0]].assign(delay=5.0, limit=np.nan, school=np.nan).iloc[0]
    found = lime_case(model.pd, background, case, model.schema, seed=0, path=tmp_path / "lime.png")
    assert sorted(found["feature"]) == sorted(model.schema.names)
    assert found["weight"].abs().is_monotonic_decreasing
    weight = found.set_index("feature")["weight"]
    assert weight["delay"] > 0.05
    assert weight["limit"] > 0.02  # missing raises the PD, and the flag carries it
    assert abs(weight["unused"]) < 0.03
    assert imread(tmp_path / "lime.png").std() > 0.02
    again = lime_case(model.pd, background, case, model.schema, seed=0)
    pd.testing.assert_frame_equal(found, again)


def test_the_code_for_lime_is_undone_exactly(model) -> None:  # type: ignore[no-untyped-def]
    background = model.rows(200)
    case = model.rows(1, seed=9)
    coder = _Coder(background, case, model.schema)
    matrix = coder.encode(background)
    assert not np.isnan(matrix).any()
    back = coder.decode(matrix)
    pd.testing.assert_frame_equal(back, background.reset_index(drop=True))
    assert coder.sources == [*model.schema.names, "limit"]


def test_waterfall(model, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    background, case = model.rows(50), model.rows(1, seed=3)
    row = model.contributions(case, background).iloc[0]
    assert shap_case(row, case.iloc[0], model.schema, tmp_path / "a.png") == tmp_path / "a.png"
    picture = imread(tmp_path / "a.png")
    assert picture.std() > 0.02
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([5, 4, 3, 2, 1], [50, 40, 30, 20, 10], (1.0, 4)),
        ([5, 4, 3, 2, 1], [1, 2, 3, 4, 5], (-1.0, 3)),
        ([5, 4, -3, -2, -1], [5, 4, -3, -2, -1], (1.0, 2)),  # only what raises the PD counts
        ([1, 1, 1, 1, 1], [1, 2, 3, 4, 5], (0.0, 3)),
    ],
)
def test_agreement(a: list, b: list, expected: tuple) -> None:
    names = list("vwxyz")
    one, two = pd.Series(a, names, dtype=float), pd.Series(b, names, dtype=float)
    assert agreement(one, two.iloc[::-1]) == pytest.approx(expected)  # aligned by name


def test_shap_lime_and_pyplot_are_imported_late() -> None:
    code = (
        "import sys, riskwright.explanations.importance, riskwright.explanations.local, "
        "riskwright.explanations.reasons; "
        "print(sorted({'shap', 'lime', 'numba', 'matplotlib', 'sklearn'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
