"""The bundle of a market forecast: the live members, their weights, and what the interval needs.

It forecasts from its newest origin on. Earlier months are history: what it would say of them now
was learnt from what came later, so it doesn't say it (the walk-forward's own forecasts are kept
with the evidence).
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskwright.errors import InputRefused, closest
from riskwright.life.system import Reasons
from riskwright.store import manifest
from riskwright.store.provenance import made_by
from riskwright.systems.market import forecast_columns
from riskwright.systems.market.case import MarketCase
from riskwright.systems.market.checks import BENCHMARK, monthly
from riskwright.systems.market.families import Family, frame_of
from riskwright.systems.market.model_forecasts import Kind
from riskwright.systems.market.moving import moved
from riskwright.systems.market.panel import Panel, windows
from riskwright.systems.market.records import Joined
from riskwright.systems.market.storage import load_family
from riskwright.systems.market.tables import read_months, write_months
from riskwright.systems.market.volatility import predictive_sd

COLUMNS = [
    *(c for c in forecast_columns.COLUMNS if c not in ("sd", "mean_weight")),
    "rule_weight",
    "model_version",
]
HISTORY, CHANGES = "history.parquet", "changes.parquet"


@dataclass(frozen=True)
class State:
    """What a bundle knows beside its members.

    Attributes
    ----------
    model
        ``m12``.
    deployed
        ``ensemble``, or the historical ``mean`` alone.
    version
        The use case's version number.
    newest
        Its newest origin, from which on it forecasts.
    weights
        Of the members, in their order; what they lack to one is the historical mean's.
    mean
        The historical mean of the returns known at the newest origin.
    learnt
        Months learnt from.
    sequences
        Whether a member reads sequences.
    share
        Of the way from the strategic weight to the rule's that may be moved (``market.moving``).
    """

    model: str
    deployed: Kind
    version: int
    newest: str
    weights: dict[str, float]
    mean: float
    learnt: float
    sequences: bool
    share: float = 0.0  # of a version that was made before moving was tested


class ForecastBundle:
    """What goes live of a market forecast. Made by ``write``, read by ``load``.

    Parameters
    ----------
    case
        The specification it was trained under.
    state
        Its numbers.
    members
        The fitted families, in the order of the weights.
    history
        By origin: ``forecast``, ``actual``, ``known_at`` and ``garch``, for the intervals.
    changes
        Log change of the market's price by the month in which it was known.
    digest
        The manifest's digest.
    """

    def __init__(
        self,
        case: MarketCase,
        state: State,
        members: list[Family],
        history: pd.DataFrame,
        changes: pd.Series,
        digest: str,
    ) -> None:
        self.case, self.state, self.members = case, state, members
        self.history, self.changes, self.digest = history, changes, digest
        self.version, self.spec = state.version, case.models[state.model]
        self.newest = pd.Period(state.newest, "M")

    @staticmethod
    def write(
        folder: Path,
        case: MarketCase,
        panel: Panel,
        model: str,
        kind: Kind,
        joined: Joined,
        version: int,
        share: float,
    ) -> str:
        """Write a bundle into an empty folder, seal it, and return its digest.

        Parameters
        ----------
        panel
            That the members were fitted on.
        joined
            What ``candidates.join_models`` returned.
        share
            See ``State``.
        """
        folder.mkdir(parents=True, exist_ok=True)
        source, found = joined.place / model, joined.models[model]
        live = kind == "ensemble"
        state = {
            "kind": "forecast",
            "model": model,
            "deployed": kind,
            "version": version,
            "share": share,
            **found.plain(),
            "weights": found.weights if live else {},
        }
        (folder / "case.json").write_text(case.model_dump_json(indent=1), encoding="utf-8")
        (folder / "bundle.json").write_text(json.dumps(state, indent=1), encoding="utf-8")
        forecasts = read_months(source / "forecasts.parquet")
        history = forecasts[["actual", "known_at"]].assign(
            forecast=forecasts["ensemble" if live else BENCHMARK],
            garch=read_months(source / "basis.parquet")["garch"],
        )
        write_months(folder / HISTORY, history)
        write_months(folder / CHANGES, forecast_columns.price_changes(panel).to_frame("change"))
        if live and found.weights:
            shutil.copytree(source / "members", folder / "members")
        return manifest.seal(folder, made_by())

    @classmethod
    def load(cls, folder: Path, digest: str | None = None) -> ForecastBundle:
        """Verify every file's hash, then read the bundle.

        Raises
        ------
        IntegrityError
            If any file is not what was sealed, or the digest is not the one given.
        """
        found = manifest.verify(folder, digest)
        plain = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
        state = State(**{k: v for k, v in plain.items() if k != "kind"})
        places = sorted((folder / "members").glob("*")) if state.weights else []
        case = MarketCase.model_validate_json((folder / "case.json").read_text(encoding="utf-8"))
        return cls(
            case,
            state,
            [load_family(place, case.schema_) for place in places],
            read_months(folder / HISTORY),
            read_months(folder / CHANGES)["change"],
            found,
        )

    @property
    def inputs(self) -> list[str]:
        """Columns that ``predict`` reads."""
        return ["origin", *self.case.predictors, *self.case.context, "change", "cash"]

    def forecast(self, panel: Panel) -> pd.DataFrame:
        """Forecast at a panel's origins from the newest one of the bundle on.

        Returns
        -------
        DataFrame
            Index origin, ``forecast_columns.COLUMNS``, ``mean`` (the historical mean's
            forecast) and ``model_version``. ``weight`` is the rule's.

        Raises
        ------
        InputRefused
            If the panel ends before that.
        """
        return self._answer(served_table(panel).drop(columns="origin"), panel.sequences)

    def predict(self, raw: pd.DataFrame, reasons: Reasons = "none") -> pd.DataFrame:
        """Forecast from rows of predictors, month by month; there are no reasons.

        Parameters
        ----------
        raw
            ``inputs``: ``origin`` (a month), the predictors, ``change`` (log change of the price
            that became known in the month) and ``cash`` (what cash is expected to return a month).
            Rows are history in order; sequences are made of them.

        Returns
        -------
        DataFrame
            ``COLUMNS``, one row for each row given; NaN before the bundle's newest origin.
            ``weight`` is as far from the strategic one towards ``rule_weight`` as its test allows.

        Raises
        ------
        InputRefused
            If a column is missing, an origin is no month, or months are missing or out of order.
        """
        for name in self.inputs:
            if name not in raw:
                raise InputRefused(
                    f"the column {name!r} is missing",
                    expected=", ".join(self.inputs),
                    do=closest(name, map(str, raw.columns)),
                )
        try:
            origins = pd.PeriodIndex(raw["origin"].astype("str"), freq="M", name="origin")
            table = raw[self.inputs[1:]].astype(float).set_axis(origins, axis=0)
        except (ValueError, TypeError) as error:
            raise InputRefused(
                f"a cell can't be read: {error}", expected="an origin like 2020-12, and numbers"
            ) from None
        monthly("the rows", table)
        names = [*self.case.predictors, *self.case.context]
        steps = windows(table[names], self.case.steps)
        needed = self.newest - (self.case.steps - 1 if self.state.sequences else 0)
        if origins[0] > needed:
            raise InputRefused(
                f"the rows begin with {origins[0]}", expected=f"history from {needed} on"
            )
        found = self._answer(table, steps).reindex(origins)
        rule, strategic = found["weight"], self.case.strategy.strategic_weight
        found = found.assign(rule_weight=rule, weight=moved(rule, strategic, self.state.share))
        found = found[COLUMNS]
        return found.assign(model_version=self.version).reset_index(drop=True)

    def reasons(self, panel: Panel) -> pd.DataFrame:
        """Return what each predictor adds to the historical mean, at the same origins.

        Returns
        -------
        DataFrame
            One column a predictor, and ``rest``; a row sums to forecast less historical mean.
        """
        here = np.flatnonzero(panel.X.index >= self.newest)
        total = np.zeros((len(here), panel.X.shape[1] + 1))
        given = self._given(panel.X, panel.sequences, here)
        for member, weight in zip(self.members, self.state.weights.values(), strict=True):
            parts = member.contributions(given).to_numpy(copy=True)
            parts[:, -1] -= self.state.mean
            total += weight * parts
        forecast = self._points(given)["forecast"].to_numpy()
        total[:, -1] += forecast - self.state.mean - total.sum(axis=1)  # the floor's part
        return pd.DataFrame(total, panel.X.index[here], [*panel.X.columns, "rest"])

    def _given(
        self, table: pd.DataFrame, steps: np.ndarray | None, here: np.ndarray
    ) -> pd.DataFrame:
        """Return what members read of some rows."""
        x = table[list(self.case.predictors)].astype(float).iloc[here]
        return frame_of(self.case.schema_, x, None if steps is None else steps[here])

    def _points(self, given: pd.DataFrame) -> pd.DataFrame:
        """Return forecast and spread of the members for rows of predictors."""
        mean, weights = self.state.mean, list(self.state.weights.values())
        found = [member.predict(given) for member in self.members]
        forecast = mean + sum(
            (w * (f - mean) for w, f in zip(weights, found, strict=True)), np.zeros(len(given))
        )
        if self.state.deployed == "ensemble" and self.case.ensemble.floor is not None:
            forecast = np.maximum(forecast, self.case.ensemble.floor)
        columns = {str(i): f for i, f in enumerate([np.full(len(given), mean), *found])}
        return forecast_columns.spread(pd.DataFrame(columns)).assign(forecast=forecast)

    def _answer(self, table: pd.DataFrame, steps: np.ndarray | None) -> pd.DataFrame:
        origins = pd.PeriodIndex(table.index)
        here = np.flatnonzero(origins >= self.newest)
        if not len(here):
            raise InputRefused(
                f"the rows end with {origins[-1]}, before the version's newest origin",
                expected=f"origins from {self.newest} on",
            )
        new, rows = origins[here], table.iloc[here]
        points = self._points(self._given(table, steps, here)).set_axis(new, axis=0)
        horizon = self.spec.horizon
        sd = predictive_sd(self._changes(table), new, horizon=horizon, skip=self.spec.skip)
        cash = forecast_columns.over_horizon(rows["cash"], horizon)
        past = self.history[self.history.index < new[0]]

        def joined(name: str, values: Any) -> pd.Series:
            both: pd.Series = pd.concat([past[name], pd.Series(values, new)])
            return both

        known_at = pd.Series(pd.PeriodIndex(joined("known_at", str(new[-1] + 1)), freq="M"))
        known_at.index = past.index.append(new)
        found = forecast_columns.bounds(
            joined("forecast", points["forecast"]),
            joined("actual", np.nan),
            known_at,
            joined("garch", sd),
            pd.concat([pd.Series(np.nan, past.index), cash]),
            horizon=horizon,
            embargo=self.case.walk.embargo,
        ).loc[new]
        both = pd.DataFrame({"live": points["forecast"], BENCHMARK: self.state.mean})
        weight = forecast_columns.weights(
            self.case,
            horizon,
            both,
            sd=found["sd"],
            cash=cash,
            learnt=pd.Series(self.state.learnt, new),
            disagreement=points["disagreement"],
            mean=BENCHMARK,
        )
        position = "live" if self.state.deployed == "ensemble" else BENCHMARK
        out = pd.concat([points, found], axis=1).assign(
            weight=weight[position], mean_weight=weight[BENCHMARK], mean=self.state.mean
        )
        return out[[*forecast_columns.COLUMNS, "mean"]].assign(model_version=self.version)

    def _changes(self, table: pd.DataFrame) -> pd.Series:
        """Return the price's changes: those that the bundle knows, then the newer ones given."""
        later = table.loc[table.index > self.changes.index[-1], "change"]
        both: pd.Series = pd.concat([self.changes, later])
        return both


def served_table(panel: Panel) -> pd.DataFrame:
    """Return a panel as the rows that ``ForecastBundle.predict`` reads."""
    table = pd.concat([panel.X, panel.context], axis=1)
    changes = forecast_columns.price_changes(panel).reindex(table.index)
    table = table.assign(change=changes, cash=forecast_columns.known_cash(panel))
    table.insert(0, "origin", table.index.astype("str"))
    return table
