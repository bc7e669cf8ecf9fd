"""Small pictures of what alarmed, as SVG text to put into the page."""

from __future__ import annotations

from io import StringIO
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskwright.stats.figures import plain

BINS = 24
COLOURS = ("#9aa5b1", "#c2410c")  # reference, batch


def histogram(before: NDArray[np.float64], now: NDArray[np.float64], title: str) -> str:
    """Return an SVG of two samples' histograms over the middle of both, tails in the end bins."""
    both = np.concatenate([before, now])
    low, high = np.quantile(both, [0.005, 0.995])
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    shares = np.column_stack(
        [np.histogram(np.clip(v, low, high), edges)[0] / max(len(v), 1) for v in (before, now)]
    )
    figure, axes = _figure(title)
    for values, colour, label in zip(shares.T, COLOURS, ("reference", "batch"), strict=True):
        axes.stairs(values, edges, color=colour, fill=label == "reference", label=label)
    return _svg(figure, axes)


def vintage_chart(table: pd.DataFrame, title: str) -> str:
    """Return an SVG of a book's defaults by vintage (``book.Judged.tables``), in % of its loans."""
    rows = table[table["by"] == "vintage"]
    shares = 100 * rows[["expected", "defaults"]].to_numpy() / rows[["loans"]].to_numpy()
    names = [name[2:] for name in rows["group"]]  # 12Q3: the century is known
    return bars(names, shares, title, ("expected so far", "in default"), "% of loans")


def history_chart(values: pd.Series, since: pd.Period, title: str) -> str:
    """Return an SVG of a monthly series, what came after a month in the batch's colour."""
    figure, axes = _figure(title, "")
    for colour, label, part in (
        (COLOURS[0], "training", values[values.index <= since]),
        (COLOURS[1], "since", values[values.index >= since]),
    ):
        when = pd.PeriodIndex(part.index).to_timestamp()
        axes.plot(when, part.to_numpy(dtype=float), color=colour, lw=1, label=label)
    return _svg(figure, axes)


def outcome_chart(table: pd.DataFrame, title: str) -> str:
    """Return an SVG of forecasts, their intervals and outcomes, by origin."""
    figure, axes = _figure(title, "return (%)")
    when = pd.PeriodIndex(table.index).to_timestamp()
    for level, alpha in ((95, 0.25), (80, 0.5)):
        low, high = (100 * table[f"{end}{level}"].to_numpy(dtype=float) for end in ("low", "high"))
        axes.fill_between(when, low, high, color=COLOURS[0], alpha=alpha, lw=0)
    axes.plot(when, 100 * table["forecast"].to_numpy(dtype=float), color="#222222", lw=1)
    outcomes = 100 * table["actual"].to_numpy(dtype=float)
    axes.plot(when, outcomes, ".", ms=4, color=COLOURS[1], label="outcome")
    return _svg(figure, axes)


def bars(
    names: list[str],
    shares: NDArray[np.float64],
    title: str,
    labels: tuple[str, str] = ("reference", "batch"),
    unit: str = "share",
) -> str:
    """Return an SVG of two shares for each name, side by side."""
    figure, axes = _figure(title, unit)
    at = np.arange(len(names))
    for spot, label in enumerate(labels):
        axes.bar(at + 0.4 * spot - 0.2, shares[:, spot], 0.4, color=COLOURS[spot], label=label)
    axes.set_xticks(at, [plain(name[:14]) for name in names], rotation=90 if len(names) > 12 else 0)
    return _svg(figure, axes)


def _figure(title: str, unit: str = "share") -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # not pyplot: no global state, no display

    figure = Figure(figsize=(5.2, 2.3), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(plain(title), fontsize=9, loc="left")
    axes.set_ylabel(unit, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Any, axes: Any) -> str:
    from matplotlib import rc_context

    axes.legend(fontsize=7, frameon=False)
    text = StringIO()
    # Words stay words (small, searchable); a fixed salt and no date make equal pictures equal.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "riskwright"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]
