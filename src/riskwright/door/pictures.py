"""Figures that a notebook shows as they are returned, without pyplot and its global state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from riskwright.stats.figures import BAD, BLUE, DPI, GOOD, GREY, SIZE, headline, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from riskwright.ledger import Gate, Promotion

VERDICT = {True: GOOD, False: BAD, None: GREY}


def new(sentence: str, note: str = "", rows: int = 8) -> tuple[Figure, Axes]:
    """Return a figure and its axes, under a sentence that says what to see.

    Parameters
    ----------
    rows
        Bars one under the other, which make its height.
    """
    from riskwright.door.picture import Picture

    height = max(2.4, min(1.6 + 0.36 * rows, 12.0))
    figure: Figure = Picture(figsize=(SIZE[0], height), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, lw=0.6)
    axes.set_axisbelow(True)
    headline(axes, sentence, note)
    return figure, axes


def bars(
    names: Sequence[str],
    values: Sequence[float],
    *,
    unit: str,
    sentence: str,
    note: str = "",
    colours: Sequence[str] | str = BLUE,
    of: str = "",
) -> Figure:
    """Draw a bar for each name, the first on top.

    Parameters
    ----------
    unit
        What the bars count, for the axis.
    of
        What the names are, for the axis.
    """
    figure, axes = new(sentence, note, len(names))
    at = range(len(names))
    axes.barh(at, values, color=colours)
    axes.set_yticks(at, [plain(name[:60]) for name in names])
    axes.invert_yaxis()
    axes.axvline(0, color=GREY, lw=0.8)
    axes.set(xlabel=plain(unit), ylabel=of)
    return figure


def gates(found: Sequence[tuple[str, Sequence[Gate]]], sentence: str) -> Figure:
    """Draw which gates said yes: versions across, gates down."""
    names = list(dict.fromkeys(gate.name for _, each in found for gate in each))
    figure, axes = new(
        sentence, "blue: yes, red: no, grey: not enough data; small: told alone", len(names)
    )
    for x, (_, each) in enumerate(found):
        for gate in each:
            size = 160 if gate.blocking else 40
            axes.scatter(x, names.index(gate.name), s=size, color=VERDICT[gate.passed])
    axes.set_xticks(range(len(found)), [plain(label) for label, _ in found])
    axes.set_yticks(range(len(names)), [plain(name) for name in names])
    axes.set_xlim(-0.5, max(len(found), 1) - 0.5)
    axes.invert_yaxis()
    axes.set(xlabel="version", ylabel="gate")
    return figure


def champions(name: str, history: Sequence[Promotion]) -> Figure:
    """Draw which version was live since when (UTC); the last one is live now."""
    live = f"version {history[-1].version} is live" if history else "nothing is live yet"
    figure, axes = new(f"{name}: {live}", "a dot for each decision", 4)
    times: Any = [datetime.fromisoformat(entry.at) for entry in history]
    versions = [entry.version for entry in history]
    axes.step(times, versions, where="post", color=BLUE)
    axes.plot(times, versions, "o", color=BLUE)
    axes.xaxis_date()
    axes.set_yticks(sorted(set(versions)))
    axes.set(xlabel="since (UTC)", ylabel="live version")
    axes.tick_params(axis="x", labelrotation=20)
    return figure
