"""The typed specification of a market forecast: one YAML file, strict and frozen.

``load_market_case`` finds it by shipped name, by name in the home, or by path. Everything that has
a sensible default may be left out.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from riskwright.errors import InputRefused, closest
from riskwright.home import Home
from riskwright.market.case_parts import (
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
)
from riskwright.market.predictors import DAILY, HISTORY, MARKET, PREDICTORS, SERIES
from riskwright.market.series import SeriesSpec
from riskwright.usecase import refusal
from riskwright.usecase_files import (
    Written,
    market_files,
    read_file,
    read_yaml,
    refuse_other_name,
    refuse_twice,
)
from riskwright.usecase_parts import AlertPolicy, Approval, Strict


class MarketCase(Strict):
    """A market forecast: its series, its predictors, its models, and the rules they live by."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    question: str
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
    families: Annotated[dict[str, Family], BeforeValidator(family_settings)] = Field(
        family_settings(list(FAMILIES)), validate_default=True
    )
    ensemble: Ensemble = Ensemble()
    strategy: Strategy = Strategy()
    gates: Gates = Gates()
    monitor: Monitor = Monitor()
    approval: Approval = Approval()
    alert_policy: AlertPolicy = None

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
    def digest(self) -> str:
        """SHA-256 of the specification."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


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
        If it isn't found, isn't YAML, or breaks the specification.
    """
    return read_market_case(name, home)[0]


def read_market_case(name: str | Path, home: Home | None = None) -> tuple[MarketCase, Written]:
    """Load a case as ``load_market_case`` does; return the file that it was read from as well."""
    text = str(name)
    home = home or Home()
    known = market_files(home)
    refuse_twice(text, home)
    path = Path(text) if text.endswith((".yaml", ".yml")) or "/" in text else known.get(text)
    if path is None or not path.is_file():
        raise InputRefused(
            f"no market use case is called {text!r}",
            where="" if path is None else str(path),
            expected=f"one of {', '.join(known)}, or a path to a YAML file",
            do=closest(text, known) or "run 'riskwright usecases'",
        )
    written = read_file(path)
    found = parse_market_case(written.text, where=str(path))
    if text in known:
        refuse_other_name(text, found.name, path)
    return found, written


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
        raise refusal(error, where, MarketCase, "docs/reference/market.md") from None
