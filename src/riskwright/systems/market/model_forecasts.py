"""From the families' forecasts to answers: the ensemble, intervals, weights, by origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from riskwright.systems.market import forecast_columns
from riskwright.systems.market.case import MarketCase
from riskwright.systems.market.checks import BENCHMARK
from riskwright.systems.market.ensemble import combine, reasons
from riskwright.systems.market.ingest import evaluated
from riskwright.systems.market.panel import Panel
from riskwright.systems.market.refit_schedule import months
from riskwright.systems.market.volatility import predictive_sd

Kind = Literal["ensemble", "mean"]
KINDS: tuple[Kind, ...] = ("ensemble", "mean")
ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class ModelForecasts:
    """One model's forecasts with all that is said of them. Index origin throughout.

    Attributes
    ----------
    forecasts
        ``actual``, ``known_at`` (month, as text), one column a family (the benchmark is called
        ``historical_mean``), and ``ensemble``; from the first origin of the walk on.
    answers
        By kind (``ensemble``, or the historical ``mean`` alone), at the origins that are judged:
        the columns of ``forecast_columns.COLUMNS``.
    basis
        What intervals and weights rest on: ``garch`` (``predictive_sd``), ``cash`` (a month),
        ``learnt`` (months learnt from).
    weights
        The ensemble's weights; what a row lacks to one is the historical mean's.
    contributions
        What each predictor adds to the ensemble's forecast, at the origins that are judged.
    trial
        The ensemble's entry in the trial log.
    """

    forecasts: pd.DataFrame
    answers: dict[Kind, pd.DataFrame]
    basis: pd.DataFrame
    weights: pd.DataFrame
    contributions: pd.DataFrame
    trial: dict[str, Any]


def join(
    case: MarketCase, panel: Panel, model: str, walked: pd.DataFrame, seed: int
) -> ModelForecasts:
    """Combine the forecasts of a walk and answer at each origin with what was known there.

    Parameters
    ----------
    walked
        ``Walk.forecasts``.
    seed
        As in the walk.
    """
    spec, known_at = case.models[model], panel.known_at[model]
    combined = combine(
        walked,
        known_at,
        model=model,
        horizon=spec.horizon,
        members=members_of(case),
        learn_after=case.ensemble.learn_after,
        weight=case.ensemble.weight,
        embargo=case.walk.embargo,
    )
    forecast = combined.forecast.clip(lower=case.ensemble.floor)
    forecasts = walked.rename(columns={"mean": BENCHMARK}).assign(ensemble=forecast)
    origins, index = evaluated(case, panel, model), pd.PeriodIndex(walked.index)
    basis = pd.DataFrame(
        {
            "garch": predictive_sd(
                forecast_columns.price_changes(panel), index, horizon=spec.horizon, skip=spec.skip
            ),
            "cash": forecast_columns.known_cash(panel).reindex(index),
            "learnt": learnt(case, panel, model).reindex(index),
        }
    )
    live = walked[list(combined.weights)].where(combined.weights > 0)
    answers: dict[Kind, pd.DataFrame] = {
        "ensemble": _answers(case, model, forecasts, ENSEMBLE, live, known_at, basis),
        "mean": _answers(case, model, forecasts, BENCHMARK, live.iloc[:, :0], known_at, basis),
    }
    added = reasons(
        panel,
        model,
        combined.weights.loc[origins],
        min_train=case.walk.min_train,
        window=case.window,
        embargo=case.walk.embargo,
        refit=case.refit,
        seed=seed,
    )
    floored = (forecast - combined.forecast).loc[origins]
    return ModelForecasts(
        forecasts.assign(known_at=known_at.reindex(index).astype("str")),
        {kind: table.loc[origins] for kind, table in answers.items()},
        basis,
        combined.weights,
        added.assign(rest=added["rest"] + floored),
        combined.trial,
    )


def members_of(case: MarketCase) -> list[str]:
    """Return the families that may join the ensemble."""
    return [name for name, family in case.families.items() if family.ensemble]


def learnt(case: MarketCase, panel: Panel, model: str) -> pd.Series:
    """Return by origin how many months' returns may be learnt from there."""
    known, target = panel.known_at[model], panel.targets[model]
    over = np.sort(months(known[target.notna()]))
    at = months(known.index) - case.walk.embargo
    count = np.searchsorted(over, at, side="right")
    return pd.Series(np.minimum(count, case.window or len(over)), known.index, dtype=float)


def _answers(
    case: MarketCase,
    model: str,
    forecasts: pd.DataFrame,
    name: str,
    live: pd.DataFrame,
    known_at: pd.Series,
    basis: pd.DataFrame,
) -> pd.DataFrame:
    """Return ``COLUMNS`` of one column of forecasts; ``live`` are its members beside the mean."""
    horizon = case.models[model].horizon
    forecast, cash = forecasts[name], forecast_columns.over_horizon(basis["cash"], horizon)
    members = forecast_columns.spread(live.assign(**{BENCHMARK: forecasts[BENCHMARK]}))
    found = forecast_columns.bounds(
        forecast,
        forecasts["actual"],
        known_at,
        basis["garch"],
        cash,
        horizon=horizon,
        embargo=case.walk.embargo,
    )
    weight = forecast_columns.weights(
        case,
        horizon,
        forecasts[list(dict.fromkeys([name, BENCHMARK]))],
        sd=found["sd"],
        cash=cash,
        learnt=basis["learnt"],
        disagreement=members["disagreement"],
        mean=BENCHMARK,
    )
    table = pd.concat([forecast.rename("forecast"), members, found], axis=1)
    return table.assign(weight=weight[name], mean_weight=weight[BENCHMARK])
