"""The typed specification of a market forecast: one YAML file, strict and frozen.

``load_market_case`` finds it by shipped name, by name in the home, or by path. Everything that has
a sensible default may be left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from riskwright.case.base import Case
from riskwright.case.files import (
    read_yaml,
    shipped,
)
from riskwright.case.refusal import refusal
from riskwright.case.usecase import FeatureSchema
from riskwright.errors import InputRefused, closest
from riskwright.home import Home
from riskwright.life.system import load_case
from riskwright.systems.market.case_sections import (
    FAMILIES,
    SIGNS,
    SINGLE,
    Ensemble,
    Family,
    Gates,
    Limits,
    Model,
    Monitor,
    Strategy,
    Target,
    Walk,
    family_settings,
    market_schema,
)
from riskwright.systems.market.predictors import DAILY, HISTORY, MARKET, PREDICTORS, SERIES
from riskwright.systems.market.series_spec import SeriesSpec

# Of a series that the target is made of: what makes it another question.
SERIES_QUESTION = ("kind", "column", "scale", "per", "transform", "frequency")


class MarketCase(Case):
    """A market forecast: its series, its predictors, its models, and the rules they live by.

    A series' publication lag is a rule: a shorter one looks ahead.
    """

    kind: Literal["market"] = "market"
    series: dict[str, SeriesSpec]
    target: Target = Target()
    models: dict[str, Model] = Field(
        {"m1": {"horizon": 1}, "m12": {"horizon": 12}}, validate_default=True
    )
    predictors: dict[str, Literal["increasing", "decreasing"] | None] = Field(
        description="name: how the expected return moves with it"
    )
    context: tuple[str, ...] = Field(
        (), description="further predictors: in sequences, monitor and reports, not in the lines"
    )
    steps: int = Field(24, ge=0, le=120, description="months of a sequence; 0 for none")
    limits: Limits = Limits()
    walk: Walk = Walk()
    families: Annotated[
        dict[str, Family],
        BeforeValidator(
            family_settings, json_schema_input_type=dict[str, Family | None] | list[str]
        ),
    ] = Field(family_settings(list(FAMILIES)), validate_default=True)
    ensemble: Ensemble = Ensemble()
    strategy: Strategy = Strategy()
    gates: Gates = Gates()
    monitor: Monitor = Monitor()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, spec in self.series.items():
            _check_series(name, spec)
        self._check_predictors()
        self._check_models()
        return self

    def _check_predictors(self) -> None:
        if not self.predictors:
            raise ValueError("no predictor is named")
        names = [*self.predictors, *self.context]
        for name in names:
            if name not in PREDICTORS:
                near = closest(name, PREDICTORS) or ", ".join(PREDICTORS)
                raise ValueError(f"there is no predictor {name!r}; {near}")
            if names.count(name) > 1:
                raise ValueError(f"the predictor {name!r} is named twice")
        made_of = {name: PREDICTORS[name].needs for name in names} | {"target": self.target_series}
        used = {MARKET, HISTORY}
        for name, needs in made_of.items():
            used.update(needs)
            missing = [n for n in needs if n not in self.series and n != MARKET]
            if missing:
                raise ValueError(
                    f"{name!r} is made of the series {missing[0]!r}, which isn't declared; "
                    f"{closest(missing[0], self.series) or 'add it to series'}"
                )
        unused = sorted(set(self.series) - used)
        if unused:
            raise ValueError(f"no predictor and no target uses the series {unused[0]!r}: remove it")
        for family, settings in self.families.items():
            if family in SINGLE and settings.ensemble:
                raise ValueError(
                    f"{family!r} is a line on each predictor: the ensemble takes one, such as "
                    f"'{family}:{next(iter(self.predictors))}', or 'combination'"
                )
            of = family.partition(":")[2]
            if of and of not in self.predictors:
                raise ValueError(f"{family!r} names {of!r}, which is not among the predictors")

    def _check_models(self) -> None:
        if not self.models:
            raise ValueError("no model is named")
        for name, model in self.models.items():
            if name != f"m{model.horizon}":
                raise ValueError(f"the model of {model.horizon} months is called m{model.horizon}")
            price = self.series.get("price")
            if price and price.kind == "price_average" and model.skip == 0:
                raise ValueError(
                    f"the price is a monthly average, so {name!r} skips at least one month: "
                    "otherwise averaging makes returns look predictable"
                )

    @property
    def target_series(self) -> tuple[str, ...]:
        """Series that the target is made of."""
        market = ("returns",) if "returns" in self.series else ("price", "dividend")
        return (*market, *(("cpi",) if self.target.kind == "real_total" else ()), "bill_rate")

    @property
    def averaged(self) -> bool:
        """Whether the market's returns are those of a price averaged over each month."""
        return "returns" not in self.series and self.series["price"].kind == "price_average"

    @property
    def schema_(self) -> FeatureSchema:
        """The predictors, and what is read in sequence, as the families see them."""
        return market_schema(list(self.predictors), self.signs, self.context, self.steps)

    @property
    def signs(self) -> dict[str, int]:
        """Expected sign of each predictor's slope; 0 for no view."""
        return {name: SIGNS[direction] for name, direction in self.predictors.items()}

    @property
    def refit(self) -> dict[str, int]:
        """Months between two fits, of the families that state them."""
        return {name: f.refit for name, f in self.families.items() if f.refit is not None}

    @property
    def window(self) -> int | None:
        """Months that a row learnt from may lie back; None if the window expands."""
        return self.walk.min_train if self.walk.window == "rolling" else None

    @property
    def revised(self) -> list[str]:
        """Series whose later revisions remain in the data: only their delay is honest."""
        return [name for name, spec in self.series.items() if spec.revisions == "revised"]

    @property
    def needs_folder(self) -> bool:
        """Whether a series comes from a file, so that ``--data`` is needed."""
        return any(not spec.source.startswith("arch:") for spec in self.series.values())

    @property
    def own_source(self) -> str | None:
        """Where its series are found, as a person is told; None: it doesn't say."""
        return None if self.needs_folder else "the package arch"

    def within(self, budget: str | None) -> Self:
        """Return the case; what is tuned is chosen inside each window of its walk.

        Raises
        ------
        InputRefused
            If there is a budget.
        """
        if budget is None:
            return self
        raise InputRefused(
            "a market forecast has no budget for tuning",
            where="--budget",
            expected="what is tuned is chosen inside each window, among few configurations",
            do="leave --budget out",
        )

    def source_files(self, location: str | None) -> list[Path]:
        """Return the files of a folder that its series are read from."""
        named = [s.source for s in self.series.values() if not s.source.startswith("arch:")]
        return [] if location is None else [Path(location) / name for name in named]

    def is_rule(self, key: str) -> bool:
        """Whether a key is a rule; where a series comes from is none."""
        top, last = key.partition(".")[0], key.rpartition(".")[2]
        return super().is_rule(key) and not (top == "series" and last == "source")

    def is_question(self, key: str) -> bool:
        """Whether a rule says what is forecast, or over which horizon."""
        top, _, rest = key.partition(".")
        name, _, of = rest.rpartition(".")
        if top == "series":
            return name in self.target_series and of in SERIES_QUESTION
        return super().is_question(key)


def _check_series(name: str, spec: SeriesSpec) -> None:
    if name not in SERIES:
        raise ValueError(f"unknown series {name!r}; {closest(name, SERIES) or ', '.join(SERIES)}")
    for key, example in (("lag", "0m"), ("revisions", "none")):
        if key not in spec.model_fields_set:
            raise ValueError(
                f"the series {name!r} doesn't say its {key!r}: when its values are published, and "
                f"whether they are revised later, decides what a forecast may see ({example}?)"
            )
    kinds, words = SERIES[name]
    if spec.kind not in kinds:
        raise ValueError(f"the series {name!r} ({words}) has kind {' or '.join(kinds)}")
    if name != "implied_volatility" and (spec.frequency == "daily") != (name in DAILY):
        raise ValueError(f"the series {name!r} is {'daily' if name in DAILY else 'monthly'}")


def load_market_case(name: str | Path, home: Home | None = None) -> MarketCase:
    """Load a market case by shipped name, name in the home, or path to a YAML file.

    Raises
    ------
    InputRefused
        If it isn't found, isn't YAML, breaks the specification, or is about something else.
    """
    found, written = load_case(name, home or Home())
    if isinstance(found, MarketCase):
        return found
    raise InputRefused(
        f"no market use case is called {str(name)!r}: its kind is {found.kind!r}",
        where=str(written.path),
        expected=f"one of {', '.join(shipped('market'))}, or a path to a YAML file",
        do="run 'riskwright usecases'",
    )


def parse_market_case(text: str, *, where: str) -> MarketCase:
    """Read the YAML text of a market case.

    Raises
    ------
    InputRefused
        With the key, what was expected there, and the closest known key.
    """
    try:
        return MarketCase.model_validate(read_yaml(text, where))
    except ValidationError as error:
        raise refusal(error, where, MarketCase, "'riskwright usecases --schema'") from None
