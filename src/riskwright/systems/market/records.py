"""What the steps of a market's retrain hand over."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from riskwright.life.steps import Data, Evidence, Kept, Record
from riskwright.systems.market.model_forecasts import Kind


class SeriesData(Data):
    """What ingestion made of the series.

    Attributes
    ----------
    newest
        Newest origin.
    rows, series
        How many values there are, of how many series.
    """

    newest: str
    rows: int
    series: int


class Tried(Record):
    """What earlier retrains tried.

    Attributes
    ----------
    keys
        Of every configuration.
    """

    keys: list[str]


class Walked(Kept):
    """A model's forecasts at every origin.

    Attributes
    ----------
    model
        Its name.
    seconds
        Of the clock.
    cpu_seconds
        By family.
    first, last
        Origins.
    """

    model: str
    seconds: float
    cpu_seconds: dict[str, float]
    first: str
    last: str


class LiveModel(Record):
    """What of a model is live.

    Attributes
    ----------
    newest
        Newest origin.
    weights
        Of the live members; what they lack to one is the historical mean's.
    mean
        The historical mean's forecast.
    learnt
        Months learnt from.
    sequences
        Whether a member reads sequences.
    """

    newest: str
    weights: dict[str, float]
    mean: float
    learnt: float
    sequences: bool


class Joined(Kept):
    """Ensemble, intervals and weights at each origin, and the live members, by model."""

    # Ledgers keep it: one of another release may say more.
    model_config = ConfigDict(frozen=True, extra="ignore")

    models: dict[str, LiveModel]


class MarketEvidence(Evidence):
    """Skill and coverage by test, the as-of test, the backtest.

    Attributes
    ----------
    deployed
        What may go live of each model: ``ensemble`` or ``mean``.
    models
        Skill, coverage, moving and metrics of each.
    as_of
        What was scrambled, and which forecasts changed.
    trials
        How many configurations were tried: ``now`` and ``ever``.
    strategy
        The strategies' headline.
    origins
        First and last origin that is judged, by model.
    """

    deployed: dict[str, Kind]
    models: dict[str, dict[str, Any]]
    as_of: dict[str, Any]
    trials: dict[str, int]
    strategy: dict[str, dict[str, float | None]]
    origins: dict[str, tuple[str, str]]
