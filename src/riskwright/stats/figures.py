"""What every picture shares: colours, size, the title that says what to see, a whole file or none.

Drawn on matplotlib ``Figure`` objects without pyplot, so that tasks in threads don't share state.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from riskwright.store.writer import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by colour-blind readers and in grey print.
BLUE, ORANGE, GREEN, RED, GREY, INK = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#8A8A8A",
    "#222222",
)
GOOD, BAD = BLUE, RED
SIZE = (7.2, 5.0)  # inches
DPI = 120


def new_figure(size: tuple[float, float] = SIZE) -> Figure:
    """Return an empty figure of a size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, dpi=DPI, layout="constrained")


def percent() -> Any:
    """Return what writes a share on an axis as whole percent."""
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1.0, decimals=0)


def plain(text: str) -> str:
    """Return a text that matplotlib prints as it is: two dollar signs would make it formulae."""
    return text.replace("$", r"\$")


def headline(axes: Axes, sentence: str, note: str) -> None:
    """Write what to see above the axes, and a small note under it."""
    axes.set_title(f"{plain(sentence)}\n", fontsize=11, fontweight="bold", color=INK, loc="left")
    small = axes.annotate(
        plain(note), (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points",
        fontsize=9, color=GREY, annotation_clip=False,
    )  # fmt: skip
    small.set_in_layout(False)  # a long note must not squeeze the axes


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a PNG, replaced only once it is complete, and return its path."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, lw=0.6)
        axes.set_axisbelow(True)
    with replacing(path) as part:
        figure.savefig(part, format="png", facecolor="white")
    return path
