"""The sections of a market case's YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from riskwright.case.sections import Feature, FeatureSchema, Strict
from riskwright.errors import closest

FAMILIES = (
    "mean", "ols", "ct", "combination", "combination_ct", "kitchen_sink", "ridge", "pls",
    "xgboost", "article_mlp", "gru", "cnn",
)  # fmt: skip
SINGLE = ("ols", "ct")  # of every predictor, or of one: 'ols:log_dp'
MEMBERS = ("combination_ct", "ridge", "pls", "xgboost", "gru", "cnn")  # of the ensemble
STRATEGIC = 0.6  # weight of equities of an investor who says nothing else
SIGNS = {"increasing": 1, "decreasing": -1, None: 0}


def market_schema(
    predictors: Sequence[str],
    signs: Mapping[str, int],
    context: Sequence[str] = (),
    steps: int = 0,
) -> FeatureSchema:
    """Return what families are told of a market's frame.

    Parameters
    ----------
    predictors, signs
        Names, and the expected sign of each one's slope: 1, -1, or 0 for no view.
    context
        Further channels of the sequences.
    steps
        Months of a sequence; 0 for none.
    """
    features = (Feature(name, "number", name, direction=signs.get(name, 0)) for name in predictors)
    channels = (*predictors, *context) if steps else ()
    before = range(1 - steps, 1)
    return FeatureSchema(
        tuple(features), tuple((name, tuple(f"{name}[{t}]" for t in before)) for name in channels)
    )


class Model(Strict):
    """One forecast: so many months, after so many that are skipped."""

    horizon: int = Field(gt=0, le=120, description="months of return")
    skip: int = Field(
        0, ge=0, le=12, description="months between the origin and the first month of the return"
    )


class Target(Strict):
    """What is forecast: made of ``returns``, or of ``price`` and ``dividend``."""

    kind: Literal["nominal_total", "real_total", "excess"] = Field(
        "nominal_total",
        description="real: less inflation, by 'cpi'; excess: less what bills return, the equity "
        "premium of the literature",
    )
    known: Literal["published", "over"] = Field(
        "published", description="trained on once its last figure is published, or already once "
        "its last month is over (ANCHORS' protocol; looks ahead by the publication lag)"
    )  # fmt: skip


class Limits(Strict):
    """What is tolerated of series that state no limit of their own."""

    stale_months: int = Field(3, ge=0, description="months that the newest value may be late")
    gap_months: int = Field(0, ge=0, description="missing months inside a monthly series")
    gap_days: int = Field(14, ge=0, description="days without a value inside a daily series")
    jump: float = Field(
        3.0, gt=1, description="times that a price may be larger or smaller than just before"
    )


class Walk(Strict):
    """The walk-forward."""

    window: Literal["expanding", "rolling"] = "expanding"
    min_train: int = Field(
        360, ge=24, description="months: fewest to learn from; all there are in a rolling window"
    )
    embargo: int = Field(0, ge=0, description="months left out beside the purge")
    first: str | None = Field(
        None, pattern=r"^\d{4}-\d{2}$", description="first origin; as early as possible if left out"
    )


class Family(Strict):
    """One family: how often it is fitted, and whether it may enter the ensemble."""

    refit: int | None = Field(None, ge=1, description="months; the family's own if left out")
    ensemble: bool = True


def family_settings(value: object) -> object:
    """Let the YAML name families as a list, or with settings; refuse unknown ones."""
    if isinstance(value, (list, tuple)):
        value = {name: {} for name in value}
    if not isinstance(value, dict):
        return value
    value = value if "mean" in value else {"mean": {}, **value}
    for name in value:
        kind, _, predictor = str(name).partition(":")
        if kind not in FAMILIES or (predictor and kind not in SINGLE):
            raise ValueError(
                f"unknown family {name!r}; {closest(str(name), FAMILIES) or ', '.join(FAMILIES)}"
            )
    return {
        name: {"ensemble": name in MEMBERS} | (settings or {})
        if isinstance(settings, (dict, type(None)))
        else settings
        for name, settings in value.items()
    }


class Ensemble(Strict):
    """The mean of its members, shrunk to the historical mean."""

    learn_after: int = Field(
        120, ge=24, description="months of forecasts from which the shrinkage is learnt"
    )
    weight: float = Field(
        1.0, ge=0, le=1, description="of the members until then; they are shrunk already"
    )
    floor: float | None = Field(0.0, description="no forecast is below it")


class Strategy(Strict):
    """From forecast to weight."""

    min_weight: float = Field(0.0, ge=0)
    max_weight: float = Field(1.5, gt=0, le=1.5)
    strategic_weight: float = Field(
        STRATEGIC, ge=0, le=1.5, description="of equities, held where no test says that moving pays"
    )
    cost_bp: float = Field(10.0, ge=0, description="of what is traded, in basis points")
    risk_aversion: float = Field(3.0, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _within(cls, given: Any) -> Any:
        """Take the nearest weight within the bounds where none is said: older cases say none."""
        if not isinstance(given, dict) or "strategic_weight" in given:
            return given
        least, most = given.get("min_weight", 0.0), given.get("max_weight", 1.5)
        plain = all(isinstance(bound, (int, float)) for bound in (least, most))
        if not plain or least <= STRATEGIC <= most or least > most:
            return given
        return {**given, "strategic_weight": min(max(STRATEGIC, least), most)}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_weight > self.max_weight:
            raise ValueError("'min_weight' is above 'max_weight'")
        if not self.min_weight <= self.strategic_weight <= self.max_weight:
            raise ValueError("'strategic_weight' isn't between 'min_weight' and 'max_weight'")
        return self


class Gates(Strict):
    """What a challenger must pass."""

    alpha: float = Field(0.05, gt=0, lt=1, description="one-sided level of the test of skill")
    coverage_p: float = Field(0.01, gt=0, lt=1, description="level of the test of coverage")
    as_of_dates: int = Field(12, ge=1, description="dates of the as-of test")


class Monitor(Strict):
    """Limits of the monitor."""

    min_months: int = Field(24, ge=12, description="fewer forecasts: 'not enough data'")
    predictor_p: float = Field(0.001, gt=0, lt=1)
    error_p: float = Field(0.01, gt=0, lt=1, description="CUSUM of the forecast error")
    coverage_p: float = Field(0.01, gt=0, lt=1)
