"""Tests of the pictures: each is drawn whole, with units, and its title says what is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskwright.systems.market import plots, strategy

N = 300


def record(h: int = 12) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame]:
    """Return forecasts, outcomes and intervals."""
    rng = np.random.default_rng(0)
    months = pd.period_range("1985-01", periods=N, freq="M")
    x = np.sin(np.arange(N) / 20)
    actual = pd.Series(0.08 + 0.05 * x + rng.normal(0, 0.1, N), months)
    actual.iloc[-h:] = np.nan
    forecasts = pd.DataFrame(
        {
            "historical_mean": 0.08,
            "ensemble": 0.08 + 0.04 * x,
            "ridge": 0.08 + 0.06 * x,
            "article_mlp": rng.normal(0, 1, N),
        },
        months,
    )
    ends = {
        f"{side}{level}": forecasts["ensemble"] + sign * z * 0.1
        for level, z in ((80, 1.28), (95, 1.96))
        for side, sign in (("low", -1), ("high", 1))
    }
    return forecasts, actual, pd.DataFrame(ends)


def strategies() -> strategy.Strategies:
    rng = np.random.default_rng(1)
    months = pd.period_range("1985-01", periods=N, freq="M")
    weights = pd.DataFrame(
        {"ensemble": rng.uniform(0, 1.5, N), "historical_mean": rng.uniform(0.8, 1, N)}, months
    )
    equity = pd.Series(rng.normal(0.008, 0.04, N), months)
    return strategy.compare(weights, equity, pd.Series(0.002, months))


def draw_forecasts(path: Path) -> Path:
    forecasts, actual, intervals = record()
    return plots.plot_forecasts(forecasts["ensemble"], intervals, actual, 12, path)


def draw_errors(path: Path) -> Path:
    forecasts, actual, _ = record()
    return plots.plot_error_difference(forecasts, actual, 12, path)


def draw_contributions(path: Path) -> Path:
    rng = np.random.default_rng(2)
    months = pd.period_range("1985-01", periods=N, freq="M")
    parts = pd.DataFrame(rng.normal(0, 0.01, (N, 9)), months, [f"p{i}" for i in range(9)])
    parts["p4"] *= 5
    return plots.plot_contributions(parts, path)


def texts(figure: Any) -> list[str]:
    """Everything that is written over the axes."""
    found = []
    for axes in figure.axes:
        found += [axes.get_title(loc="left").strip(), *(t.get_text() for t in axes.texts)]
    return found


@pytest.mark.parametrize(
    ("draw", "title", "note"),
    [
        (draw_forecasts, "The 80 % interval held ", "288 outcomes"),
        (draw_errors, "ensemble: +", "off the picture: article_mlp"),
        (lambda p: plots.plot_costs(strategies(), p), "Worth ", "risk aversion 3"),
        (lambda p: plots.plot_equity(strategies(), p), "buy-and-hold ", "after 10 basis points"),
        (draw_contributions, "p4 moves the forecast most (40%", "2009-12"),
    ],
)
def test_a_picture_has_units_and_says_what_to_see(
    draw: Callable[[Path], Path],
    title: str,
    note: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    figures = []
    save = plots.save_figure

    def keep(figure: Any, path: Path) -> Path:
        figures.append(figure)
        return save(figure, path)

    monkeypatch.setattr(plots, "save_figure", keep)
    path = draw(tmp_path / "picture.png")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert [p.name for p in tmp_path.iterdir()] == ["picture.png"]
    (figure,) = figures
    said = " | ".join(texts(figure))
    assert title in said
    assert note in said
    for axes in figure.axes:
        assert axes.get_ylabel()
    assert figure.axes[-1].get_xlabel()


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        ([-0.1, -0.2, -0.4], "Worth less than the mean, even free of costs"),
        ([1.0, 0.8, 0.6], "Worth 1.0% a year free of costs, 0.6% at 50 bp"),
        ([1.0, 0.5, -0.5], "Worth 1.0% a year free of costs, nothing from 30 bp on"),
    ],
)
def test_the_cost_at_which_the_gain_is_gone_is_named(gain: list[float], words: str) -> None:
    assert plots._break_even(pd.Series(gain, [0.0, 10.0, 50.0])) == words
