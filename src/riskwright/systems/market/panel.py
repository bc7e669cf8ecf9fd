"""The panel: what was seen at each month's end, what came of it, and when that was known.

A row is an *origin*: a month at whose end a forecast is made. Its predictors are of what had been
published by then; its target is the return over the ``horizon`` months that begin after the
``skip`` months that follow it. A row may be learnt from at a later origin t if ``known_at`` is not
after t: that is the purge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.case.usecase import FeatureSchema
from riskwright.errors import InputRefused
from riskwright.systems.market.case import MarketCase
from riskwright.systems.market.case_sections import Model, market_schema
from riskwright.systems.market.predictors import HISTORY, YEAR, View, features, log
from riskwright.systems.market.series import load_series
from riskwright.systems.market.series_spec import Series

AsOf = str | date | pd.Period | None


@dataclass(frozen=True)
class Panel:
    """What a walk-forward consumes. Returns and rates are decimals (0.08 is 8 %).

    Attributes
    ----------
    case
        What it was built from.
    as_of
        The newest origin.
    X
        Predictors by origin, shape (n, p), NaN where one wasn't known.
    context
        Further predictors, shape (n, c).
    sequences
        The months up to each origin, oldest first, shape (n, steps, p + c): the columns of ``X``,
        then of ``context``; NaN where unknown. None if the case has no steps.
    targets
        By model: return by origin (less cash's, if the target is the excess), NaN where the future
        isn't there yet.
    known_at
        By model: month by whose end that return is over and published, by origin.
    cash
        By model: return of cash over the same months.
    returns, risk_free
        Return of the market and of cash over each month, real if the target is.
    prices
        Price of the market by month, or what 1 has become by its returns.
    """

    case: MarketCase
    as_of: pd.Period
    X: pd.DataFrame
    context: pd.DataFrame
    sequences: npt.NDArray[np.float64] | None
    targets: dict[str, pd.Series]
    known_at: dict[str, pd.Series]
    cash: dict[str, pd.Series]
    returns: pd.Series
    risk_free: pd.Series
    prices: pd.Series

    @property
    def signs(self) -> dict[str, int]:
        """Expected sign of each predictor's slope; 0 for no view."""
        return self.case.signs

    @property
    def schema(self) -> FeatureSchema:
        """What families are told of its columns."""
        steps = 0 if self.sequences is None else self.sequences.shape[1]
        return market_schema(
            list(map(str, self.X)), self.signs, list(map(str, self.context)), steps
        )

    def excess(self, model: str) -> pd.Series:
        """Return by origin what the market returned above cash."""
        target = self.targets[model]
        return target if self.case.target.kind == "excess" else target - self.cash[model]


def build_panel(case: MarketCase, folder: Path | None, as_of: AsOf = None) -> Panel:
    """Read the series of a case, check them, and build its panel.

    Parameters
    ----------
    case
        The use case.
    folder
        Folder of its files; None if it needs none.
    as_of
        Newest origin: a month, or a date (then the month that had ended by it). As late as the
        market's own series allows if left out.

    Raises
    ------
    InputRefused
        If a series breaks a rule, is stale at ``as_of``, or can't hold window and horizon.
    """
    return assemble(case, read_store(case, folder), as_of)


def read_store(case: MarketCase, folder: Path | None) -> dict[str, Series]:
    """Read and check the series of a case, by name."""
    if folder is not None and not case.needs_folder:
        raise InputRefused(
            f"{case.name} reads no file",
            where=str(folder),
            expected="no folder: its series come with the package arch",
            do="leave it out, or declare files in a use case of your own",
        )
    return load_series(
        case.series,
        folder,
        window=case.walk.min_train,
        stale=case.limits.stale_months,
        gap_months=case.limits.gap_months,
        gap_days=case.limits.gap_days,
        jump=case.limits.jump,
    )


def assemble(case: MarketCase, store: Mapping[str, Series], as_of: AsOf = None) -> Panel:
    """Build the panel of series that are already read; see ``build_panel``."""
    market = store["returns" if "returns" in store else "price"]
    newest = market.published[-1]
    month = newest if as_of is None else month_of(as_of)
    store = {name: series.cut(month) for name, series in store.items()}
    _check_fresh(store, market.name, month, asked=as_of is not None)

    view = View(store, pd.period_range(month, month))
    returns, risk_free = _returns(case, view)
    widest = max(model.skip for model in case.models.values())
    origins = pd.period_range(returns.index[0] - 1 - widest, month, freq="M", name="origin")
    view = View(store, origins)
    X, context = features(view, case.predictors), features(view, case.context)
    cash = {name: _ahead(risk_free, model, origins) for name, model in case.models.items()}
    targets = {name: _ahead(returns, model, origins) for name, model in case.models.items()}
    if case.target.kind == "excess":
        targets = {name: target - cash[name] for name, target in targets.items()}
    _check_window(case, targets)
    wealth = view.wealth()
    return Panel(
        case=case,
        as_of=month,
        X=X,
        context=context,
        sequences=windows(pd.concat([X, context], axis=1), case.steps),
        targets=targets,
        known_at={name: _known_at(case, model, origins) for name, model in case.models.items()},
        cash=cash,
        returns=returns,
        risk_free=risk_free,
        prices=pd.Series(np.exp(wealth), index=wealth.index),
    )


def month_of(as_of: str | date | pd.Period) -> pd.Period:
    """Return the month that had ended by a date; a month itself is taken at its end.

    Raises
    ------
    InputRefused
        If it is neither ``YYYY-MM`` nor a date.
    """
    if isinstance(as_of, pd.Period):
        return as_of.asfreq("M")
    refused = InputRefused(
        f"{as_of!r} is no date", where="--as-of", expected="2020-12 or 2020-12-31"
    )
    if isinstance(as_of, str) and not re.fullmatch(r"\d{4}-\d{2}(-\d{2})?", as_of):
        raise refused
    try:
        if isinstance(as_of, str) and len(as_of) == len("2020-12"):
            return pd.Period(as_of, "M")
        day = pd.Timestamp(as_of)
    except ValueError:
        raise refused from None
    return day.to_period("M") - int(not day.is_month_end)


def _check_fresh(
    store: Mapping[str, Series], market: str, month: pd.Period, *, asked: bool
) -> None:
    """Refuse a series that ends too long before the as-of date; one may not have begun yet.

    ``asked``: whether somebody named the date, so that another one can be.
    """
    for name, series in store.items():
        if (series.values.empty and name != market) or name == HISTORY:
            continue
        # Origins are the months of the market's own series, so it may not be late at all.
        limit = 0 if name == market else series.stale
        newest = series.published[-1] if len(series.values) else None
        if newest is None or newest + limit < month:
            last = "nothing" if newest is None else f"{series.values.index[-1]!s:.10}"
            others = (
                "an earlier --as-of"
                if asked
                else f"let all files end alike, or raise 'stale' of {name!r} in the use case"
            )
            raise InputRefused(
                f"the series {name!r} ends before the as-of date",
                where=f"{series.spec.source}: ends with {last}, as of the end of {month}",
                expected=f"a newest value published by {month - limit} or later",
                do=f"bring newer data of it, or {others}",
            )


def _check_window(case: MarketCase, targets: Mapping[str, pd.Series]) -> None:
    for name, target in targets.items():
        count, needed = int(target.notna().sum()), case.walk.min_train
        if count < needed:
            model = case.models[name]
            raise InputRefused(
                f"the data can't hold the horizon of {name!r}: {count} returns of "
                f"{model.horizon} months are known",
                where=f"origins up to {target.index[-1]}",
                expected=f"at least walk.min_train, {needed}",
                do="bring a longer history, or shorten the horizon or 'walk.min_train'",
            )


def _returns(case: MarketCase, view: View) -> tuple[pd.Series, pd.Series]:
    """Return the total return of the market and the return of cash by month, both (m,)."""
    if view.market == "returns":
        market = view.monthly("returns")
    else:
        # A twelfth of the past year's dividends is taken to be paid in a month.
        price, dividend = view.monthly("price"), view.monthly("dividend") / YEAR
        market = ((price + dividend.reindex(price.index)) / price.shift(1) - 1).iloc[1:]
    cash = _earned(view, "bill_rate").reindex(market.index)
    if HISTORY in view.store:
        cash = cash.fillna(_earned(view, HISTORY).reindex(market.index))
    if case.target.kind == "real_total":
        prices = view.monthly("cpi")
        deflator = (prices.shift(1) / prices).reindex(market.index)
        market, cash = (1 + market) * deflator - 1, (1 + cash) * deflator - 1
    return market.rename("market"), cash.rename("cash")


def _earned(view: View, name: str) -> pd.Series:
    """Return what a bill returned over each month, from its return or its yield a year."""
    bill = view.monthly(name)
    if view.store[name].spec.kind == "yield":
        return (bill / YEAR).shift(1)  # what was earned on a bill bought a month ago
    return bill


def _ahead(returns: pd.Series, model: Model, origins: pd.PeriodIndex) -> pd.Series:
    """Return by origin the return over a model's months, NaN where one of them is missing."""
    logs = log(1 + returns.reindex(origins))
    over = logs.rolling(model.horizon).sum().shift(-model.horizon - model.skip)
    return pd.Series(np.expm1(over), index=origins)


def _known_at(case: MarketCase, model: Model, origins: pd.PeriodIndex) -> pd.Series:
    # Unless the target is the excess, cash serves only to compare; nothing is trained on it.
    excess = case.target.kind == "excess"
    made_of = [case.series[name] for name in case.target_series if excess or name != "bill_rate"]
    late = max(spec.lag_months for spec in made_of) if case.target.known == "published" else 0
    return pd.Series(origins.shift(model.skip + model.horizon + late), index=origins)


def windows(table: pd.DataFrame, steps: int) -> npt.NDArray[np.float64] | None:
    """Return the ``steps`` rows up to each row, shape (n, steps, k)."""
    if steps == 0:
        return None
    values = table.to_numpy(dtype=float)
    before = np.full((steps - 1, values.shape[1]), np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(np.vstack([before, values]), steps, axis=0)
    return np.ascontiguousarray(windows.swapaxes(1, 2))


def changed(one: Panel, other: Panel, month: pd.Period) -> list[str]:
    """Return the features up to a month, and targets known by it, in which two panels differ."""
    past = one.X.index[one.X.index <= month]
    names = []
    for a, b in ((one.X, other.X), (one.context, other.context)):
        names += [c for c in a.columns if not a[c].reindex(past).equals(b[c].reindex(past))]
    if one.sequences is not None and other.sequences is not None:
        steps = one.sequences[: len(past)], other.sequences[: len(past)]
        names += [] if np.array_equal(*steps, equal_nan=True) else ["sequences"]
    for model, known_at in one.known_at.items():
        known = known_at.index[known_at <= month]
        same = one.targets[model].reindex(known).equals(other.targets[model].reindex(known))
        names += [] if same else [f"target {model}"]
    return names
