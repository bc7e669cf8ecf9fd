"""Pictures of an evaluation, each with a title that says what to see.

Every function writes a PNG and returns its path; a file is replaced only once it is complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from riskwright.stats.calibration import calibration_table, ece, ece_when_calibrated
from riskwright.stats.estimates import Estimate, Floats, Ints, Z, checked
from riskwright.stats.figures import (
    BAD,
    BLUE,
    GOOD,
    GREY,
    INK,
    ORANGE,
    SIZE,
    headline,
    new_figure,
    percent,
    save_figure,
)
from riskwright.stats.paired import auc_with_se

if TYPE_CHECKING:
    pass

POINTS = 2000  # a curve is thinned to about this many points


def plot_calibration(y: ArrayLike, p: ArrayLike, path: Path, bins: int = 10) -> Path:
    """Draw the reliability diagram: bad rate (Jeffreys intervals) against mean PD, by bin.

    Raises
    ------
    InputRefused
        If the arrays don't match or hold NaN.
    """
    y_, p_ = checked(y, p)
    table = calibration_table(y_, p_, bins)
    figure = new_figure((SIZE[0], 6.2))
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    rate = table["bad_rate"]
    limit = min(1.0, 1.08 * float(max(table["high"].max(), table["mean_pd"].max())))
    top.plot([0, limit], [0, limit], color=GREY, lw=1.2, ls="--", label="perfect")
    top.errorbar(
        table["mean_pd"],
        rate,
        yerr=[rate - table["low"], table["high"] - rate],
        color=BLUE,
        marker="o",
        lw=1.5,
        capsize=3,
        label="bad rate, 95% interval",
    )
    top.set(xlim=(0, limit), ylim=(0, limit), ylabel="realised bad rate")
    top.legend(loc="upper left", frameon=False)
    below.hist(p_, bins=np.linspace(0, limit, 41), color=GREY)
    below.set(xlabel="predicted PD", ylabel="rows")
    chance = ece_when_calibrated(p_, seed=0, n=500, bins=bins)
    note = f"ECE {ece(y_, p_, bins):.4f}; calibrated models stay under {chance.p95:.4f} (95%)"
    headline(top, _calibration_sentence(table), f"{len(y_):,} rows, {bins} equal bins. {note}")
    return save_figure(figure, path)


def _calibration_sentence(table: pd.DataFrame) -> str:
    """Say where the PD is off by more than chance, and by how much at worst."""
    gap = table["bad_rate"] - table["mean_pd"]
    off = (table["mean_pd"] < table["low"]) | (table["mean_pd"] > table["high"])
    if not off.any():
        return "PDs agree with bad rates in every bin, within chance"
    worst = table.iloc[int(gap.where(off, 0.0).abs().argmax())]
    amount = float(worst["bad_rate"] - worst["mean_pd"])
    side = "low" if amount > 0 else "high"
    span = f"between {worst['pd_from']:.2f} and {worst['pd_to']:.2f}"
    return f"PD {abs(amount):.2g} too {side} {span} ({off.sum()} of {len(table)} bins off)"


def plot_roc(y: ArrayLike, p: ArrayLike, path: Path) -> Path:
    """Draw the ROC curve, with AUC and its DeLong interval in the title.

    Raises
    ------
    InputRefused
        If the arrays don't match, hold NaN, or only one class is there.
    """
    y_, p_ = checked(y, p, both_classes=True)
    auc, se = auc_with_se(y_, p_)
    _, bads, goods = _cumulative(y_, p_)
    figure = new_figure((5.8, 5.8))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, lw=1.2, ls="--", label="chance")
    axes.plot(*_thin(goods, bads), color=BLUE, lw=2, label="model")
    axes.fill_between(*_thin(goods, bads), alpha=0.08, color=BLUE, lw=0)
    axes.set(
        xlim=(0, 1),
        ylim=(0, 1.005),
        aspect="equal",
        xlabel="share of goods above the threshold",
        ylabel="share of bads above the threshold",
    )
    axes.legend(loc="lower right", frameon=False)
    span = f"{max(0.0, auc - Z * se):.3f} to {min(1.0, auc + Z * se):.3f}"
    counts = f"{int(y_.sum()):,} bads, {int(len(y_) - y_.sum()):,} goods"
    headline(axes, f"ROC AUC {auc:.3f} ({span})", f"{counts}. Gini {2 * auc - 1:.3f}")
    return save_figure(figure, path)


def plot_ks(y: ArrayLike, p: ArrayLike, path: Path) -> Path:
    """Draw both classes' cumulative PD distributions and the PD where they are furthest apart.

    Raises
    ------
    InputRefused
        If the arrays don't match, hold NaN, or only one class is there.
    """
    y_, p_ = checked(y, p, both_classes=True)
    levels, bads, goods = _cumulative(y_, p_)
    at = int(np.argmax(np.abs(bads - goods)))
    figure = new_figure()
    axes = figure.subplots()
    for share, colour, label in ((goods, GOOD, "goods"), (bads, BAD, "bads")):
        x, below = _thin(levels, 1 - share)
        axes.step(x, below, where="post", color=colour, lw=2, label=label)
    axes.plot([levels[at]] * 2, [1 - bads[at], 1 - goods[at]], color=INK, lw=1.5, ls=":")
    ks = float(abs(bads[at] - goods[at]))
    axes.annotate(
        f" KS {ks:.3f}\n at PD {levels[at]:.3f}",
        (levels[at], 1 - (bads[at] + goods[at]) / 2),
        color=INK,
        va="center",
    )
    axes.set(
        xlim=(0, _pd_limit(p_)),
        ylim=(0, 1.005),
        xlabel="predicted PD",
        ylabel="share of class with a lower PD",
    )
    axes.legend(loc="lower right", frameon=False)
    stops = f"declining from there on stops {bads[at]:.0%} of bads and {goods[at]:.0%} of goods"
    headline(axes, f"KS {ks:.3f} at PD {levels[at]:.3f}", f"{stops}; {len(y_):,} rows")
    return save_figure(figure, path)


def plot_lift(y: ArrayLike, p: ArrayLike, path: Path) -> Path:
    """Draw cumulative gains (share of bads found) beside lift, by share of rows declined.

    Raises
    ------
    InputRefused
        If the arrays don't match, hold NaN, or only one class is there.
    """
    y_, p_ = checked(y, p, both_classes=True)
    rate = float(y_.mean())
    _, bads, goods = _cumulative(y_, p_)
    rows = bads * rate + goods * (1 - rate)
    share = np.linspace(0.01, 1, 100)
    gains = np.interp(share, rows, bads)
    figure = new_figure((9.6, 4.8))
    left, right = figure.subplots(1, 2)
    left.plot([0, rate, 1], [0, 1, 1], color=GREY, lw=1.2, ls=":", label="perfect model")
    left.plot([0, 1], [0, 1], color=GREY, lw=1.2, ls="--", label="chance")
    left.plot(*_thin(rows, bads), color=BLUE, lw=2, label="model")
    left.set(xlim=(0, 1), ylim=(0, 1.005), ylabel="share of bads found")
    left.legend(loc="lower right", frameon=False)
    right.axhline(1, color=GREY, lw=1.2, ls="--")
    right.plot(share, gains / share, color=BLUE, lw=2)
    right.set(xlim=(0, 1), ylim=(0, None), ylabel="lift (bad rate over mean bad rate)")
    for axes in (left, right):
        axes.set_xlabel("share of rows, highest PD first")
        axes.xaxis.set_major_formatter(percent())
    left.yaxis.set_major_formatter(percent())
    at = float(np.interp(0.1, rows, bads))
    headline(left, f"The worst 10% of rows hold {at:.0%} of the bads", f"{len(y_):,} rows")
    headline(right, f"Lift {at / 0.1:.2f} in the worst 10%", f"mean bad rate {rate:.1%}")
    return save_figure(figure, path)


def plot_scores(y: ArrayLike, p: ArrayLike, path: Path, cutoff: float | None = None) -> Path:
    """Draw the PD distribution of goods and of bads, each to 100 %, and the cut-off.

    Raises
    ------
    InputRefused
        If the arrays don't match, hold NaN, or only one class is there.
    """
    y_, p_ = checked(y, p, both_classes=True)
    limit = _pd_limit(p_)
    edges = np.linspace(0, limit, 41).tolist()
    figure = new_figure()
    axes = figure.subplots()
    for value, colour, label in ((0, GOOD, "goods"), (1, BAD, "bads")):
        chosen = np.minimum(p_[y_ == value], limit)
        weights = np.full(len(chosen), 1 / len(chosen))
        text = f"{label} ({len(chosen):,}, median PD {np.median(chosen):.3f})"
        axes.hist(chosen, edges, weights=weights, color=colour, alpha=0.25)
        axes.hist(chosen, edges, weights=weights, color=colour, histtype="step", lw=1.8, label=text)
    above = ""
    if cutoff is not None:
        axes.axvline(cutoff, color=INK, lw=1.2, ls=":", label=f"cut-off {cutoff:.3f}")
        hits = [float((p_[y_ == v] >= cutoff).mean()) for v in (1, 0)]
        above = f"{hits[0]:.0%} of bads and {hits[1]:.0%} of goods are above the cut-off"
    axes.set(xlim=(0, limit), xlabel="predicted PD", ylabel="share of the class")
    axes.yaxis.set_major_formatter(percent())
    axes.legend(frameon=False)
    medians = [float(np.median(p_[y_ == v])) for v in (1, 0)]
    sentence = f"Median PD {medians[0]:.3f} for bads, {medians[1]:.3f} for goods"
    headline(axes, above or sentence, sentence if above else "")
    return save_figure(figure, path)


def plot_candidates(
    candidates: Mapping[str, Mapping[str, Estimate | Mapping[str, float]]],
    path: Path,
    *,
    baseline: str = "baseline",
) -> Path:
    """Draw each candidate's log loss and ROC AUC with intervals, best log loss on top.

    Parameters
    ----------
    candidates
        Name to what ``metrics.evaluate`` returned, or to the same as stored in JSON.
    baseline
        The candidate whose values are drawn as lines to compare with.
    """
    found = {
        name: {m: _estimate(metrics[m]) for m in ("log_loss", "roc_auc")}
        for name, metrics in candidates.items()
    }
    names = sorted(found, key=lambda name: found[name]["log_loss"].value, reverse=True)
    figure = new_figure((9.6, 1.7 + 0.42 * len(names)))
    panels = figure.subplots(1, 2, sharey=True)
    rows = np.arange(len(names))
    for axes, metric, label, better in (
        (panels[0], "log_loss", "log loss", "lower is better"),
        (panels[1], "roc_auc", "ROC AUC", "higher is better"),
    ):
        axes.axvline(found[baseline][metric].value, color=GREY, lw=1.2, ls="--")
        for row, name in zip(rows, names, strict=True):
            value, low, high = found[name][metric]
            axes.errorbar(
                value,
                row,
                xerr=[[value - low], [high - value]],
                color=ORANGE if name == baseline else BLUE,
                marker="o",
                capsize=3,
            )
            text = f"{value:.4f}"
            axes.annotate(
                text,
                (value, row),
                (0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )
        axes.set(xlabel=f"{label}, 95% interval ({better})", ylim=(-0.6, len(names) - 0.3))
    panels[0].set_yticks(
        rows, [f"{n} (baseline)" if n == baseline != "baseline" else n for n in names]
    )
    best, top = names[-1], max(names, key=lambda name: found[name]["roc_auc"].value)
    dashed = "the baseline" if baseline == "baseline" else f"{baseline}, the baseline"
    headline(panels[0], f"Lowest log loss: {best}", f"dashed: {dashed}")
    headline(panels[1], f"Highest ROC AUC: {top}", "intervals overlap more than paired tests do")
    return save_figure(figure, path)


def plot_disagreement(table: pd.DataFrame, path: Path) -> Path:
    """Draw the realised log loss by band of disagreement beside what right PDs would lose.

    Parameters
    ----------
    table
        What ``disagreement.error_by_band`` returned.
    """
    figure = new_figure()
    axes = figure.subplots()
    band, loss = table["band"], table["log_loss"]
    axes.errorbar(
        band,
        loss,
        yerr=[loss - table["log_loss_low"], table["log_loss_high"] - loss],
        color=BLUE,
        marker="o",
        ls="none",
        capsize=3,
        label="realised log loss, 95% interval",
    )
    axes.plot(
        band, table["expected_log_loss"], color=ORANGE, marker="D", ls="--", lw=1.2,
        label="log loss if every PD were right",
    )  # fmt: skip
    spans = [
        f"{b}\n{low:.2f} to {high:.2f}\nn {n:,}"
        for b, low, high, n in zip(
            band, table["disagreement_from"], table["disagreement_to"], table["n"], strict=True
        )
    ]
    axes.set_xticks(band, spans, fontsize=8)
    axes.set(
        xlabel="band of disagreement (members' spread), least first",
        ylabel="mean log loss",
        xlim=(0.5, len(table) + 0.5),
        ylim=(0, None),
    )
    axes.legend(loc="lower right", frameon=False)
    last = table.iloc[-1]
    excess = float(last["log_loss"] - last["expected_log_loss"])
    sure = not last["log_loss_low"] <= last["expected_log_loss"] <= last["log_loss_high"]
    side = "above" if excess > 0 else "below"
    how = f"{abs(excess):.3f} {side} what right PDs would lose" if sure else "right within chance"
    ratio = float(last["log_loss"] / max(float(table["log_loss"].iloc[0]), 1e-12))
    headline(
        axes,
        f"Where members disagree most, log loss is {last['log_loss']:.3f}",
        f"{how}; {ratio:.1f} times that where they disagree least",
    )
    return save_figure(figure, path)


def _estimate(stored: Estimate | Mapping[str, float]) -> Estimate:
    return Estimate(**stored) if isinstance(stored, Mapping) else stored


def _cumulative(y: Ints, p: Floats) -> tuple[Floats, Floats, Floats]:
    """Return distinct PDs downwards, and the share of bads and of goods at or above each.

    The first entry is above every PD: nothing is there yet.
    """
    levels, where = np.unique(p, return_inverse=True)
    bads = np.bincount(where, weights=y, minlength=len(levels))[::-1].cumsum()
    goods = np.bincount(where, weights=1 - y, minlength=len(levels))[::-1].cumsum()
    levels = np.concatenate([levels[-1:], levels[::-1]])
    bads = np.concatenate([[0.0], bads / bads[-1]])
    return levels, bads, np.concatenate([[0.0], goods / goods[-1]])


def _thin(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), POINTS)).astype(int))
    return x[keep], y[keep]


def _pd_limit(p: Floats) -> float:
    """Right end of a PD axis: a few extreme PDs must not press the rest to the left."""
    return float(min(1.0, max(1.25 * np.quantile(p, 0.99), 0.01)))
