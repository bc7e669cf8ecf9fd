"""The backtest of a market forecast: skill, coverage and a strategy, from what the walk kept.

Nothing is fitted: the walk-forward's forecasts are in the retrain's workplace.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from riskwright.systems.market import forecast_columns
from riskwright.systems.market.candidates import read_joined
from riskwright.systems.market.case import MarketCase
from riskwright.systems.market.checks import BENCHMARK
from riskwright.systems.market.ingest import notes
from riskwright.systems.market.model_forecasts import ENSEMBLE, Kind
from riskwright.systems.market.moving import worth_moving
from riskwright.systems.market.panel import Panel
from riskwright.systems.market.records import Joined
from riskwright.systems.market.report import Horizon, write_report
from riskwright.systems.market.strategy import Strategies, compare, run
from riskwright.systems.market.trials import Tried

NOT_FAMILIES = ["actual", "known_at"]


def horizon_of(case: MarketCase, joined: Joined, model: str) -> Horizon:
    """Return what the walk kept of a model, at the origins that are judged."""
    live = read_joined(joined, model, "answers_ensemble")
    table = read_joined(joined, model, "forecasts").loc[live.index]
    return Horizon(
        name=model,
        h=case.models[model].horizon,
        forecasts=table.drop(columns=NOT_FAMILIES),
        actual=table["actual"],
        intervals=live[[c for c in forecast_columns.BOUNDS if c not in ("sd", "p_above_cash")]],
        contributions=read_joined(joined, model, "contributions"),
    )


def steering(case: MarketCase) -> str:
    """Return the model whose forecasts set the weight: it earns the next month, so the shortest."""
    return min(case.models, key=lambda name: case.models[name].horizon)


def level(case: MarketCase) -> float:
    """Return the level of the test of skill at each horizon: they share the case's."""
    return case.gates.alpha / len(case.models)


def strategies_of(
    case: MarketCase, panel: Panel, joined: Joined
) -> tuple[Strategies, pd.DataFrame]:
    """Return the strategies of ensemble and historical mean, and every trial's monthly excess.

    They begin when cash is known, and end with the last month that is over.
    """
    model = steering(case)
    horizon = case.models[model].horizon
    live = read_joined(joined, model, "answers_ensemble")
    basis = read_joined(joined, model, "basis").loc[live.index]
    forecasts = read_joined(joined, model, "forecasts").loc[live.index].drop(columns=NOT_FAMILIES)
    every = forecast_columns.weights(
        case,
        horizon,
        forecasts,
        sd=live["sd"],
        cash=forecast_columns.over_horizon(basis["cash"], horizon),
        learnt=basis["learnt"],
        disagreement=live["disagreement"],
        mean=BENCHMARK,
    )
    # What is said of the ensemble and the mean alone is what was answered, each by its own errors.
    alone = read_joined(joined, model, "answers_mean")
    every = every.assign(**{ENSEMBLE: live["weight"], BENCHMARK: alone["weight"]})
    every, equity, bills = _earning(case, panel, model, every)
    cost = case.strategy.cost_bp
    found = compare(
        every[[ENSEMBLE, BENCHMARK]],
        equity,
        bills,
        cost_bp=cost,
        risk_aversion=case.strategy.risk_aversion,
        averaged=case.averaged,
    )
    net = {name: run(w, equity, bills, cost)[0] for name, w in every.items()}
    return found, pd.DataFrame(net).sub(found.bills, axis=0)


def moving_of(
    case: MarketCase, panel: Panel, joined: Joined, model: str, kind: Kind
) -> dict[str, Any]:
    """Return how far a model's weight may move from the strategic one, see ``worth_moving``.

    Parameters
    ----------
    panel
        What it ends with is the last that is earned.
    """
    answers = read_joined(joined, model, f"answers_{kind}")
    weights, equity, bills = _earning(case, panel, model, answers[["weight"]])
    return worth_moving(
        weights["weight"],
        equity,
        bills,
        case.strategy.strategic_weight,
        alpha=level(case),
        cost_bp=case.strategy.cost_bp,
        risk_aversion=case.strategy.risk_aversion,
        averaged=case.averaged,
    )


def _earning(
    case: MarketCase, panel: Panel, model: str, weights: pd.DataFrame
) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Return weights by the month's end at which they are set, and what equities and bills earned.

    Only those whose month is over. A forecast that skips months is about a later one, and acted on
    only then: what it skips has partly happened where the price is an average.
    """
    earned = pd.DataFrame({"equity": panel.returns, "bills": panel.risk_free}).dropna()
    weights = weights.dropna()
    set_at = pd.PeriodIndex(weights.index).shift(case.models[model].skip)
    weights = weights.set_axis(set_at, axis=0)[set_at.shift(1).isin(earned.index)]
    return weights, earned["equity"], earned["bills"]


def write_backtest(
    case: MarketCase,
    panel: Panel,
    joined: Joined,
    folder: Path,
    *,
    trials: int,
    more: list[str],
    seed: int,
) -> Strategies:
    """Write the report of a backtest and its tables into a folder.

    Parameters
    ----------
    trials
        Configurations that were ever tried for this use case.
    more
        Notes beside those on the data.
    """
    found, excess = strategies_of(case, panel, joined)
    said = [
        *more,
        *notes(case),
        f"The weights of equities follow {steering(case)}, since each earns the month after it. "
        "The 40 of 60/40 are bills: no series of bond returns is declared.",
    ]
    write_report(
        folder,
        title=case.title,
        horizons=[horizon_of(case, joined, model) for model in case.models],
        strategies=found,
        tried=Tried(trials, excess),
        notes=said,
        alpha=level(case),
        coverage_alpha=case.gates.coverage_p,
        seed=seed,
    )
    return found
