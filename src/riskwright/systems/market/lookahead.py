"""The as-of test: whatever happens after a date, nothing that was said at it changes.

``prove`` scrambles the future of each series, and compares predictors, sequences and known returns
of every origin up to the date, what cash is expected to return, and what the lines forecast at it;
then that of all series at once, with the trees as well. Networks are too slow to be fitted again
for each date: ``prove_networks`` does so at one. ``prove_answers`` scrambles the future of the
forecasts themselves, and of returns and prices, and compares the ensemble and its interval. Weights
follow from these and from cash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.systems.market import forecast_columns
from riskwright.systems.market.case import MarketCase
from riskwright.systems.market.ensemble import combine
from riskwright.systems.market.families import XGBoost
from riskwright.systems.market.ingest import evaluated, schedule_of
from riskwright.systems.market.model_forecasts import members_of
from riskwright.systems.market.panel import Panel, assemble, changed
from riskwright.systems.market.series_spec import Series
from riskwright.systems.market.tables import at
from riskwright.systems.market.volatility import predictive_sd
from riskwright.systems.market.walk import make_families, walk


def quick_families(case: MarketCase, panel: Panel, *, trees: bool = True) -> list[str]:
    """Return the names of the families that train no network; without trees those of lines."""
    made = make_families(list(case.families), panel, case.refit)
    return [f.name for f in made if not f.deep and (trees or not isinstance(f, XGBoost))]


def dates(case: MarketCase, panel: Panel, seed: int) -> list[pd.Period]:
    """Return as many origins as the case asks for, drawn at random among those that are judged."""
    model = min(case.models, key=lambda name: case.models[name].horizon)
    origins = evaluated(case, panel, model)
    rng = np.random.default_rng(seed)
    some = rng.choice(len(origins) - 1, min(case.gates.as_of_dates, len(origins) - 1), False)
    return [origins[i] for i in np.sort(some)]


def prove(
    case: MarketCase,
    store: Mapping[str, Series],
    origins: list[pd.Period],
    *,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> list[str]:
    """Scramble the future of every series at every date; return what changed before it.

    Parameters
    ----------
    store
        The series, by name.
    origins
        Dates to stand at.
    seed
        Of the chance values.

    Returns
    -------
    list of str
        One line for each date, series and thing that changed. Empty if all is well.
    """
    honest = assemble(case, store)
    quick, lines = (quick_families(case, honest, trees=trees) for trees in (True, False))
    found = []
    for number, month in enumerate(origins):
        scrambled = {name: one.scrambled(month, seed + number) for name, one in store.items()}
        before = _said(case, honest, quick, month)
        for name, changes, families in [
            *((repr(name), {name: one}, lines) for name, one in scrambled.items()),
            ("all series at once", scrambled, quick),
        ]:
            other = assemble(case, {**store, **changes})
            after = _said(case, other, families, month)
            what = changed(honest, other, month)
            what += [key for key, value in after.items() if before.get(key) != value]
            found += [f"{month}: {name} changes {one}" for one in what]
        if progress is not None:
            progress((number + 1) / len(origins))
    return found


def _said(
    case: MarketCase, panel: Panel, families: list[str], month: pd.Period
) -> dict[str, float | None]:
    """Return what is said at one origin of cash, and by each family for each model."""
    here = np.array([panel.X.index.get_loc(month)], dtype=np.int64)
    cash = float(forecast_columns.known_cash(panel).iloc[here[0]])
    found: dict[str, float | None] = {"the return of cash": cash if np.isfinite(cash) else None}
    for model in case.models:
        schedule = schedule_of(case, panel, model)
        if here[0] >= schedule.first:
            for family in make_families(families, panel, case.refit):
                said = float(schedule.forecast(family, here)[0])
                found[f"the forecast of {model}, {family.name}"] = said
    return found


def prove_networks(
    case: MarketCase,
    store: Mapping[str, Series],
    walked: Mapping[str, pd.DataFrame],
    month: pd.Period,
    *,
    workers: int = 1,
    seed: int = 0,
) -> list[str]:
    """Scramble the future of all series after a date, and train the networks for it once more.

    Parameters
    ----------
    walked
        ``Walk.forecasts`` by model.
    seed
        As in the walk.

    Returns
    -------
    list of str
        One line for each model and network whose forecast at the date isn't the walk's.
    """
    other = assemble(case, {name: one.scrambled(month, seed) for name, one in store.items()})
    deep = [f.name for f in make_families(list(case.families), other, case.refit) if f.deep]
    found = []
    for model, table in walked.items():
        if not deep or month not in table.index:
            continue
        again = walk(
            other,
            model,
            deep,
            min_train=case.walk.min_train,
            window=case.window,
            embargo=case.walk.embargo,
            refit=case.refit,
            first=month,
            last=month,
            workers=workers,
            seed=seed,
        ).forecasts
        found += [
            f"{month}: all series at once changes the forecast of {model}, {name}"
            for name in deep
            if at(again, month)[name] != at(table, month)[name]
        ]
    return found


def prove_answers(
    case: MarketCase,
    panel: Panel,
    model: str,
    walked: pd.DataFrame,
    garch: pd.Series,
    origins: list[pd.Period],
    *,
    seed: int = 0,
) -> list[str]:
    """Scramble forecasts, returns and prices after each date; return what changed at it.

    Parameters
    ----------
    walked
        ``Walk.forecasts``.
    garch
        ``volatility.predictive_sd`` by origin.

    Returns
    -------
    list of str
        One line for each date and thing that changed: the ensemble, its interval, or the volatility
        model.
    """
    spec, known_at = case.models[model], panel.known_at[model].reindex(walked.index)
    changes = forecast_columns.price_changes(panel)
    found = []
    for number, month in enumerate(m for m in origins if m in walked.index):
        rng = np.random.default_rng(seed + number)

        def scrambled(values: pd.Series, later: npt.ArrayLike) -> pd.Series:
            noise = rng.uniform(0.2, 5.0, len(values))  # noqa: B023  (called within the loop)
            return values.where(~np.asarray(later), values.abs() * noise + 0.01)

        after = walked.index > month
        other = walked.apply(lambda column: scrambled(column, after))  # noqa: B023
        other["actual"] = scrambled(walked["actual"], known_at > month)
        one = at(_answers(case, model, walked, known_at, garch), month)
        two = at(_answers(case, model, other, known_at, scrambled(garch, after)), month)
        what = [f"the {name}" for name in one.index if one[name] != two[name]]
        past = scrambled(changes, changes.index > month)
        here = pd.PeriodIndex([month], freq="M")
        sd = predictive_sd(past, here, horizon=spec.horizon, skip=spec.skip)
        if not sd.equals(garch.reindex(here)):
            what.append("the volatility model")
        found += [f"{month}: the future changes {one} of {model}" for one in what]
    return found


def _answers(
    case: MarketCase,
    model: str,
    walked: pd.DataFrame,
    known_at: pd.Series,
    garch: pd.Series,
) -> pd.DataFrame:
    """The ensemble and its interval at each origin of a walk."""
    horizon, embargo = case.models[model].horizon, case.walk.embargo
    forecast = combine(
        walked,
        known_at,
        model=model,
        horizon=horizon,
        members=members_of(case),
        learn_after=case.ensemble.learn_after,
        weight=case.ensemble.weight,
        embargo=embargo,
    ).forecast
    none = pd.Series(0.0, walked.index)
    found = forecast_columns.bounds(
        forecast, walked["actual"], known_at, garch, none, horizon=horizon, embargo=embargo
    )
    return found.assign(ensemble=forecast)
