"""Pictures of a book, each with a title that says what to see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from riskwright.stats.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    headline,
    new_figure,
    plain,
    save_figure,
)
from riskwright.systems.loans.portfolio.losses import LossDistribution

BINS = 80
MOST_GROUPS = 15


def plot_vintages(table: pd.DataFrame, path: Path) -> Path:
    """Draw the rate of bads by month of issue (``maturity.calendar``), and what is immature."""
    when = pd.PeriodIndex(table.index).to_timestamp()
    figure = new_figure()
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    top.fill_between(
        when, 100 * table["low"], 100 * table["high"], color=BLUE, alpha=0.2, label="95% interval"
    )
    top.plot(when, 100 * table["rate"], color=BLUE, marker="o", ms=3, label="mature loans")
    top.set(ylabel="charged off (%)")
    top.legend(frameon=False)
    below.bar(when, table["mature"], width=25, color=GREY, label="mature")
    below.bar(
        when, table["immature"], width=25, bottom=table["mature"], color=ORANGE, label="immature"
    )
    below.set(xlabel="month of issue", ylabel="loans")
    below.legend(frameon=False)
    rate = table["bads"].sum() / max(1, table["mature"].sum())
    apart = int(((table["low"] > rate) | (table["high"] < rate)).sum())
    sentence = f"{apart} of {len(table)} vintages lie apart from the mean of {rate:.1%}"
    headline(top, sentence, f"{int(table['loans'].sum()):,} loans; each month's own 95% interval")
    return save_figure(figure, path)


def plot_losses(found: LossDistribution, currency: str, path: Path) -> Path:
    """Draw the simulated loss of the book with its expected loss, VaR and shortfall."""
    figure = new_figure()
    axes = figure.subplots()
    million = 1e6 if found.losses.max() > 1e6 else 1.0
    unit = f"million {currency}" if million > 1 else currency
    axes.hist(found.losses / million, bins=BINS, color=GREY, density=True)
    for value, colour, name in (
        (found.expected_loss, GREEN, "expected loss"),
        (found.var, ORANGE, f"VaR {found.confidence:.4g}"),
        (found.shortfall, RED, "mean loss beyond the VaR"),
    ):
        axes.axvline(value / million, color=colour, lw=1.8, label=f"{name}: {value / million:,.2f}")
    axes.axvspan(found.var_low / million, found.var_high / million, color=ORANGE, alpha=0.2)
    axes.set(xlabel=f"loss within a year ({unit})", ylabel="density", yticks=[])
    axes.legend(frameon=False)
    times = found.var / found.expected_loss if found.expected_loss else float("nan")
    sentence = f"A bad year (1 in {1 / (1 - found.confidence):,.0f}) costs {times:.1f} times the EL"
    note = f"{len(found.losses):,} scenarios; band: the VaR's simulation error (95%)"
    headline(axes, sentence, note)
    return save_figure(figure, path)


def plot_waterfall(steps: pd.Series, currency: str, path: Path) -> Path:
    """Draw what moved the expected loss since the last report."""
    figure = new_figure((7.2, 4.2))
    axes = figure.subplots()
    moves = steps.iloc[1:-1]
    levels = steps.iloc[0] + np.concatenate([[0], np.cumsum(moves)[:-1]])
    axes.bar(0, steps.iloc[0], color=GREY)
    colours = [RED if m > 0 else GREEN for m in moves]
    axes.bar(range(1, len(moves) + 1), moves, bottom=levels, color=colours)
    axes.bar(len(moves) + 1, steps.iloc[-1], color=GREY)
    axes.set_xticks(range(len(steps)), list(steps.index))
    axes.set(ylabel=f"expected loss ({currency})")
    largest = str(moves.abs().idxmax())
    change = steps.iloc[-1] - steps.iloc[0]
    headline(axes, f"Expected loss moved by {change:+,.0f}, most of it by {largest}", "")
    return save_figure(figure, path)


def plot_groups(named: tuple[str, pd.DataFrame], currency: str, path: Path) -> Path:
    """Draw the expected loss of each group with its interval (``expected.by_group``)."""
    name, table = named
    shown = table.head(MOST_GROUPS)[::-1]
    figure = new_figure((7.2, 1.6 + 0.32 * len(shown)))
    axes = figure.subplots()
    rate = 100 * shown["el_rate"]
    low, high = (100 * shown[c] / shown["balance"] for c in ("el_low", "el_high"))
    axes.barh(range(len(shown)), rate, color=BLUE, xerr=[rate - low, high - rate], capsize=3)
    axes.set_yticks(range(len(shown)), [plain(str(n)) for n in shown.index])
    axes.set(xlabel="expected loss in a year (% of the balance)", ylabel=plain(name))
    largest = table.index[0]
    share = table["el"].iloc[0] / max(table["el"].sum(), 1e-12)
    note = f"95% interval of the models' uncertainty; {table['el'].sum():,.0f} {currency} in all"
    headline(axes, f"{name} {largest} carries {share:.0%} of the expected loss", note)
    return save_figure(figure, path)


def plot_stress(table: pd.DataFrame, currency: str, path: Path) -> Path:
    """Draw expected loss and bad year under each scenario (the report's table of stresses)."""
    figure = new_figure((7.2, 4.2))
    axes = figure.subplots()
    spots = np.arange(len(table))
    bad = table["bad_year_asymptotic"]
    million = 1e6 if bad.max() > 1e6 else 1.0
    unit = f"million {currency}" if million > 1 else currency
    axes.bar(spots - 0.2, table["el"] / million, 0.4, color=GREEN, label="expected loss")
    axes.bar(spots + 0.2, bad / million, 0.4, color=ORANGE, label="bad year, were no loan large")
    axes.set_xticks(spots, [str(n) for n in table.index])
    axes.set(ylabel=f"loss within a year ({unit})", xlabel="scenario")
    axes.legend(frameon=False)
    worst = table["el"].idxmax()
    sentence = f"{worst}: {table['times_base'].max():.1f} times today's expected loss"
    headline(axes, sentence, "drivers move the log-odds of PD and LGD by stated amounts")
    return save_figure(figure, path)
