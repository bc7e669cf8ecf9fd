"""Pictures of a market forecast, each with a title that says what to see."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from riskwright.stats.figures import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    RED,
    headline,
    new_figure,
    save_figure,
)
from riskwright.systems.market.checks import BENCHMARK, matched
from riskwright.systems.market.coverage import coverage_table
from riskwright.systems.market.recessions import FIRST, RECESSIONS
from riskwright.systems.market.strategy import BALANCED, BUY_AND_HOLD, Strategies, drawdown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDE = (9.6, 5.2)  # inches
COLOURS = (BLUE, ORANGE, GREEN, RED, "#CC79A7", "#56B4E9", "#F0E442", GREY)
MOST_SHOWN = 7  # contributions drawn one by one; the rest is one area
STYLE = {BENCHMARK: (GREY, "--"), BUY_AND_HOLD: (INK, ":"), BALANCED: (GREEN, ":")}


def plot_forecasts(
    forecast: pd.Series, intervals: pd.DataFrame, actual: pd.Series, h: int, path: Path
) -> Path:
    """Draw forecasts with their 80 and 95 % intervals, and what came of them.

    Parameters
    ----------
    forecast, actual
        Index origin; ``actual`` is NaN where it isn't over.
    intervals
        Columns ``low80``, ``high80``, ``low95``, ``high95``.
    """
    when = _dates(intervals.index)
    found = coverage_table(intervals, actual, h)
    figure = new_figure(WIDE)
    axes = figure.subplots()
    for level, alpha in ((95, 0.15), (80, 0.3)):
        axes.fill_between(
            when,
            100 * intervals[f"low{level}"].to_numpy(float),
            100 * intervals[f"high{level}"].to_numpy(float),
            color=BLUE,
            alpha=alpha,
            lw=0,
            label=f"{level} % interval",
        )
    known = actual.reindex(intervals.index)
    axes.plot(when, 100 * known.to_numpy(float), color=INK, lw=0.9, label="realised")
    line = forecast.reindex(intervals.index).to_numpy(float)
    axes.plot(when, 100 * line, color=ORANGE, lw=1.6, label="forecast")
    axes.axhline(0, color=GREY, lw=0.8)
    span = "month" if h == 1 else f"{h} months"
    axes.set(xlabel="origin (month at whose end the forecast was made)")
    axes.set_ylabel(f"return over the next {span} (%)")
    axes.legend(loc="lower left", ncols=4, frameon=False, fontsize=8)
    held = found["coverage"].tolist()
    note = f"{int(found['months'].iloc[0])} outcomes; a forecast moves far less than what happens"
    headline(
        axes, f"The 80 % interval held {held[0]:.0%} of outcomes, the 95 % {held[1]:.0%}", note
    )
    return save_figure(figure, path)


def plot_error_difference(
    forecasts: pd.DataFrame, actual: pd.Series, h: int, path: Path, *, family: str = "ensemble"
) -> Path:
    """Draw how much squared error each family has saved so far over the historical mean.

    Goyal and Welch (Review of Financial Studies 21, 2008): the curve rises where a family does
    better than the mean, so that a record made in a few years shows.
    """
    found, known, mean = matched(forecasts, actual, h)
    y, when = known.to_numpy(), _dates(found.index)
    base = (y - mean) ** 2
    saved = {
        str(n): 100 * np.cumsum(base - (y - found[n].to_numpy()) ** 2) / base.sum()
        for n in found.columns.drop(BENCHMARK)
    }
    figure = new_figure(WIDE)
    axes = figure.subplots()
    _shade_recessions(axes, pd.PeriodIndex(found.index))
    floor = -30.0
    others = [n for n in saved if n != family and saved[n].min() > floor]
    for name in (n for n in others if ":" in n):  # lines on one predictor: too many to tell apart
        axes.plot(when, saved[name], color=GREY, lw=0.6)
    for spot, name in enumerate(n for n in others if ":" not in n):
        again, colour = divmod(spot, len(COLOURS) - 2)  # neither the family's own nor grey
        axes.plot(
            when,
            saved[name],
            color=COLOURS[1 + colour],
            lw=1.1,
            ls=":" if again else "-",
            label=f"{name} {saved[name][-1]:+.1f}",
        )
    line = saved[family]
    axes.plot(when, line, color=BLUE, lw=2.4, label=f"{family} {line[-1]:+.1f}")
    axes.axhline(0, color=INK, lw=0.9, ls="--", label="historical mean 0.0")
    axes.set(
        xlabel="origin of the forecast", ylabel="squared error saved so far\n(% of the mean's)"
    )
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    half = float(line[len(line) // 2])
    gone = sorted(set(saved) - set(others) - {family})
    note = "rising: better than the mean; grey bars: NBER recessions"
    note += "; thin grey: lines on one predictor" if any(":" in n for n in others) else ""
    note += f"; off the picture: {', '.join(gone)}" if gone else ""
    headline(
        axes,
        f"{family}: {half:+.1f} points in the first half, {line[-1] - half:+.1f} in the second",
        note,
    )
    return save_figure(figure, path)


def plot_costs(found: Strategies, path: Path, *, model: str = "ensemble") -> Path:
    """Draw what the forecast is worth over the historical mean, by the cost of trading."""
    figure = new_figure((9.6, 4.4))
    left, right = figure.subplots(1, 2)
    curve = found.curve
    gain = 100 * curve["ce_gain"].xs(model, level="strategy")
    left.axhline(0, color=GREY, lw=1.2, ls="--")
    left.plot(gain.index, gain, color=BLUE, marker="o", lw=1.8)
    left.set(xlabel="cost (basis points of what is traded)")
    left.set_ylabel("certainty-equivalent gain\nover the mean's strategy (% a year)")
    for name in found.table.index:
        colour, style = _style(name, model)
        row = 100 * curve["annual_return"].xs(name, level="strategy")
        right.plot(row.index, row, color=colour, ls=style, marker="o", ms=3, label=name)
    right.set(
        xlabel="cost (basis points of what is traded)", ylabel="return after costs (% a year)"
    )
    right.legend(frameon=False, fontsize=8)
    headline(left, _break_even(gain), f"risk aversion {found.risk_aversion:g}")
    trades = float(found.table["turnover"][model])
    headline(
        right, f"It trades {trades:.1f} portfolios a year", "a month earns last month's weight"
    )
    return save_figure(figure, path)


def _break_even(gain: pd.Series) -> str:
    """Say at which cost the gain is gone."""
    bp, value = gain.index.to_numpy(float), gain.to_numpy(float)
    if value[0] <= 0:
        return "Worth less than the mean, even free of costs"
    below = np.flatnonzero(value <= 0)
    if not len(below):
        return f"Worth {value[0]:.1f}% a year free of costs, {value[-1]:.1f}% at {bp[-1]:g} bp"
    at = below[0]
    cost = float(np.interp(0, value[[at, at - 1]], bp[[at, at - 1]]))
    return f"Worth {value[0]:.1f}% a year free of costs, nothing from {cost:.0f} bp on"


def plot_equity(found: Strategies, path: Path, *, model: str = "ensemble") -> Path:
    """Draw wealth after costs, how far it fell, and the weight of equities."""
    months = _dates(found.returns.index)
    wealth, fallen = (1 + found.returns).cumprod(), 100 * drawdown(found.returns)
    figure = new_figure((9.6, 7.0))
    top, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=[3, 1.3, 1.3])
    for name in found.returns:
        colour, style = _style(name, model)
        width = 2.0 if name == model else 1.2
        top.plot(months, wealth[name], color=colour, ls=style, lw=width, label=name)
        if name in (model, BUY_AND_HOLD):
            middle.plot(months, fallen[name], color=colour, ls=style, lw=width)
    top.plot(months, (1 + found.bills).cumprod(), color=RED, lw=1.0, label="bills")
    for name in found.weights:
        colour, style = _style(name, model)
        below.plot(_dates(found.weights.index), found.weights[name], color=colour, ls=style, lw=1.2)
    top.set(yscale="log", ylabel="wealth, 1 at the start\n(log scale)")
    top.legend(frameon=False, fontsize=8, ncols=2, loc="upper left")
    middle.set(ylabel="below the\nhighest (%)")
    below.set(ylabel="weight of\nequities", xlabel="month", ylim=(-0.05, 1.55))
    one, hold = found.table.loc[model], found.table.loc[BUY_AND_HOLD]
    sentence = (
        f"{one['annual_return']:.1%} a year and {one['max_drawdown']:.0%} at worst; "
        f"buy-and-hold {hold['annual_return']:.1%} and {hold['max_drawdown']:.0%}"
    )
    note = f"Sharpe {one['sharpe']:.2f} ({one['sharpe_low']:.2f} to {one['sharpe_high']:.2f}) and "
    note += f"{hold['sharpe']:.2f}; after {found.cost_bp:g} basis points of what is traded"
    headline(top, sentence, note)
    return save_figure(figure, path)


def plot_contributions(contributions: pd.DataFrame, path: Path) -> Path:
    """Draw what moved the forecast away from its base, over time.

    Parameters
    ----------
    contributions
        Index origin, one column a predictor, in units of the return (SHAP values, say).
    """
    size = contributions.abs().mean().sort_values(ascending=False)
    shown = 100 * contributions[size.index[:MOST_SHOWN]].astype(float)
    if len(size) > MOST_SHOWN:
        shown[f"{len(size) - MOST_SHOWN} more"] = 100 * contributions[size.index[MOST_SHOWN:]].sum(
            axis=1
        )
    when = _dates(contributions.index)
    figure = new_figure(WIDE)
    axes = figure.subplots()
    colours = COLOURS[: shown.shape[1]]
    for part, names in ((shown.clip(lower=0), shown.columns), (shown.clip(upper=0), [])):
        labels = [str(name) for name in names]
        axes.stackplot(when, part.to_numpy().T, labels=labels, colors=colours, lw=0)
    axes.plot(when, shown.sum(axis=1), color=INK, lw=1.2, label="sum")
    axes.axhline(0, color=INK, lw=0.8)
    axes.set(xlabel="origin of the forecast", ylabel="moves the forecast by (percentage points)")
    axes.legend(frameon=False, fontsize=8, ncols=4, loc="lower left")
    last = contributions.iloc[-1]
    name = str(last.abs().idxmax())
    share = float(size.iloc[0] / size.sum()) if size.sum() else 0.0
    sentence = f"{size.index[0]} moves the forecast most ({share:.0%} of all movement)"
    note = f"now ({contributions.index[-1]}) most is by {name}: {100 * last[name]:+.1f} points"
    headline(axes, sentence, note)
    return save_figure(figure, path)


def _style(name: object, model: str) -> tuple[str, str]:
    return STYLE.get(str(name), (BLUE if name == model else ORANGE, "-"))


def _dates(index: pd.Index) -> Any:
    return pd.PeriodIndex(index).to_timestamp(how="end").to_numpy()


def _shade_recessions(axes: Axes, index: pd.PeriodIndex) -> None:
    for peak, trough in RECESSIONS:
        start, end = pd.Period(peak, "M"), pd.Period(trough, "M")
        if end >= max(index[0], FIRST) and start <= index[-1]:
            first, last = _dates(pd.PeriodIndex([max(start, index[0]), min(end, index[-1])]))
            axes.axvspan(first, last, color=GREY, alpha=0.18, lw=0)
