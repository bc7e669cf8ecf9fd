"""The page about a backtest, and the figures behind it as CSV files."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from riskwright.store.writer import write
from riskwright.systems.market import plots
from riskwright.systems.market.coverage import coverage_by_decade, coverage_gate, coverage_table
from riskwright.systems.market.skill import Skill, judge
from riskwright.systems.market.strategy import Strategies
from riskwright.systems.market.trials import Tried, judge_trials

PAGE = "report.html"
Cells = dict[str, Callable[[Any], str]]


@dataclass(frozen=True)
class Horizon:
    """One model's walk-forward.

    Attributes
    ----------
    name, h
        Of the model (``m12``), and its horizon in months.
    forecasts, actual
        See ``checks.matched``.
    intervals
        See ``coverage.coverage_table``.
    contributions
        Index origin, one column a predictor, in units of the return; None: no picture of them.
    """

    name: str
    h: int
    forecasts: pd.DataFrame
    actual: pd.Series
    intervals: pd.DataFrame
    contributions: pd.DataFrame | None = None


def write_report(
    folder: Path,
    *,
    title: str,
    horizons: Sequence[Horizon],
    strategies: Strategies,
    tried: Tried,
    notes: Sequence[str] = (),
    family: str = "ensemble",
    alpha: float = 0.05,
    coverage_alpha: float = 0.05,
    seed: int = 0,
) -> Path:
    """Write ``report.html`` and the CSV files of a backtest.

    Parameters
    ----------
    folder
        Made if it is missing; earlier files of the same names are replaced.
    title
        Of the use case.
    notes
        What a reader has to know: data used, revisions that remain, what the forecast is of.
    family
        The column that is judged and traded.
    alpha, coverage_alpha
        Levels of the tests of skill and of coverage.

    Returns
    -------
    Path of ``report.html``: one file, no outside resources.

    Raises
    ------
    InputRefused
        What the judgements of skill, coverage and trials refuse.
    """
    parts, tables = [], _strategy_tables(strategies)
    for one in horizons:
        skill = judge(one.forecasts, one.actual, one.h, family=family, alpha=alpha, seed=seed)
        part, of_part = _part(one, skill, coverage_alpha)
        parts.append(part)
        tables |= {f"{name}_{one.name}": table for name, table in of_part.items()}
    text = _page(
        title=title,
        family=family,
        parts=parts,
        skilled=any(part["skill"].passed for part in parts),
        strategies=strategies,
        table=_cells(strategies.table, STRATEGY),
        luck=judge_trials(strategies, tried, family),
        charts=_strategy_charts(strategies, family),
        notes=notes,
        alpha=alpha,
    )
    # Only now: what is refused leaves nothing behind.
    for name, table in tables.items():
        write(folder / f"{name}.csv", table.to_csv())
    write(folder / PAGE, text)
    return folder / PAGE


def _strategy_charts(strategies: Strategies, family: str) -> list[str]:
    return [
        _embedded(lambda path: plots.plot_costs(strategies, path, model=family)),
        _embedded(lambda path: plots.plot_equity(strategies, path, model=family)),
    ]


def _strategy_tables(strategies: Strategies) -> dict[str, pd.DataFrame]:
    return {
        "strategy": strategies.table,
        "strategy_returns": strategies.returns.assign(bills=strategies.bills).rename_axis("month"),
        "strategy_weights": strategies.weights.rename_axis("set_at_end_of"),
        "costs": strategies.curve,
    }


def _part(
    one: Horizon, skill: Skill, alpha: float
) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Return what the page shows of one horizon, and its tables by name."""
    coverage = coverage_table(one.intervals, one.actual, one.h)
    decades = coverage_by_decade(one.intervals, one.actual, one.h)
    passed, told, _ = coverage_gate(one.intervals, one.actual, one.h, alpha)
    shown = {
        "name": one.name,
        "h": one.h,
        "skill": skill,
        "table": _cells(skill.table, SKILL),
        "by_decade": _cells(_of(skill.by_decade, skill.family), PERIOD),
        "by_state": _cells(_of(skill.by_state, skill.family), PERIOD),
        "worst": _cells(skill.worst, WORST),
        "coverage": _cells(coverage, COVERAGE),
        "coverage_decades": _cells(decades, COVERAGE_DECADE),
        "coverage_passed": passed,
        "coverage_told": told,
        "charts": _charts(one, skill.family),
    }
    tables = {
        "forecasts": one.forecasts.join(one.intervals).join(one.actual.rename("actual")),
        "skill": skill.table,
        "skill_by_decade": skill.by_decade,
        "skill_by_state": skill.by_state,
        "worst_blocks": skill.worst,
        "coverage": coverage,
        "coverage_by_decade": decades,
    }
    return shown, tables


def _page(**shown: Any) -> str:
    from importlib.resources import files

    from jinja2 import Environment

    # Autoescaped: names of families and predictors come from files that others wrote.
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(
        files("riskwright.systems.market").joinpath("report.html.j2").read_text(encoding="utf-8")
    )
    return template.render(**shown)


def _charts(one: Horizon, family: str) -> list[Any]:
    forecast = one.forecasts[family]
    drawn = [
        _embedded(lambda p: plots.plot_forecasts(forecast, one.intervals, one.actual, one.h, p)),
        _embedded(
            lambda p: plots.plot_error_difference(
                one.forecasts, one.actual, one.h, p, family=family
            )
        ),
    ]
    contributions = one.contributions
    if contributions is not None:
        drawn.append(_embedded(lambda p: plots.plot_contributions(contributions, p)))
    return drawn


def _embedded(draw: Callable[[Path], Path]) -> str:
    """Return a picture as a data address, to be put into the page."""
    with TemporaryDirectory() as folder:
        drawn = draw(Path(folder) / "picture.png").read_bytes()
    return f"data:image/png;base64,{base64.b64encode(drawn).decode('ascii')}"


def _percent(digits: int) -> Callable[[Any], str]:
    return lambda value: "" if pd.isna(value) else f"{100 * value:.{digits}f}"


def _fixed(digits: int) -> Callable[[Any], str]:
    return lambda value: "" if pd.isna(value) else f"{value:.{digits}f}"


R2: Cells = {
    "r2": _percent(2),
    "r2_low": _percent(2),
    "r2_high": _percent(2),
}
SKILL: Cells = R2 | {
    "robust_p": _fixed(3),
    "clark_west_p": _fixed(3),
    "mae": _fixed(4),
    "rmse": _fixed(4),
    "dm": _fixed(2),
    "dm_p": _fixed(3),
    "dm_mae": _fixed(2),
    "dm_mae_p": _fixed(3),
    "hit_rate": _fixed(3),
    "pt_p": _fixed(3),
    "r2_december": _percent(2),
    "mcs_p": _fixed(2),
}
PERIOD: Cells = {"months": _fixed(0)} | R2
WORST: Cells = {"first": str, "last": str} | R2
COVERAGE: Cells = {
    "months": _fixed(0),
    "coverage": _percent(1),
    "low": _percent(1),
    "high": _percent(1),
    "p": _fixed(3),
    "below": _percent(1),
    "above": _percent(1),
    "width": _fixed(3),
    "kupiec_p": _fixed(3),
    "independence_p": _fixed(3),
}
COVERAGE_DECADE: Cells = {"months": _fixed(0)} | {
    f"{what}{level}": _percent(0) for level in (80, 95) for what in ("coverage", "low", "high")
}
STRATEGY: Cells = {
    "annual_return": _percent(2),
    "volatility": _percent(1),
    "sharpe": _fixed(2),
    "sharpe_low": _fixed(2),
    "sharpe_high": _fixed(2),
    "max_drawdown": _percent(0),
    "turnover": _fixed(2),
    "ce_gain": _percent(2),
    "ce_gain_low": _percent(2),
    "ce_gain_high": _percent(2),
    "mean_weight": _fixed(2),
}
LABELS = {
    "r2": "R² %",
    "r2_low": "from",
    "r2_high": "to",
    "robust_p": "p (decides)",
    "clark_west_p": "p (Newey-West)",
    "mae": "MAE",
    "rmse": "RMSE",
    "dm": "DM t, squared",
    "dm_p": "DM p",
    "dm_mae": "DM t, absolute",
    "dm_mae_p": "DM p",
    "hit_rate": "hit rate",
    "pt_p": "hit p",
    "r2_december": "R² %, Decembers",
    "mcs_p": "MCS p",
    "coverage": "held %",
    "low": "from",
    "high": "to",
    "below": "below %",
    "above": "above %",
    "kupiec_p": "Kupiec p",
    "independence_p": "Christoffersen p",
    "coverage80": "80 % held %",
    "low80": "from",
    "high80": "to",
    "coverage95": "95 % held %",
    "low95": "from",
    "high95": "to",
    "annual_return": "return % a year",
    "volatility": "volatility %",
    "sharpe": "Sharpe",
    "sharpe_low": "from",
    "sharpe_high": "to",
    "max_drawdown": "worst fall %",
    "turnover": "turnover a year",
    "ce_gain": "CE gain % a year",
    "ce_gain_low": "from",
    "ce_gain_high": "to",
    "mean_weight": "mean weight",
}


def _cells(table: pd.DataFrame, formats: Cells) -> dict[str, Any]:
    """Return a table as words, its columns in the order of the formats."""
    names = [name for name in formats if name in table]
    rows = [
        [str(key), *(formats[name](row[name]) for name in names)] for key, row in table.iterrows()
    ]
    return {"head": [table.index.name, *(LABELS.get(n, n) for n in names)], "rows": rows}


def _of(table: pd.DataFrame, family: str) -> pd.DataFrame:
    return table[table.index.get_level_values("family") == family].droplevel("family")
