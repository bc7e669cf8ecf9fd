"""The typed specification of a use case: one YAML file, strict and frozen.

``load_usecase`` finds it by shipped name, by name in the home, or by path, and refuses unknown
keys with the closest known one. Everything that has a sensible default may be left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator

from riskwright.errors import InputRefused, closest
from riskwright.home import Home
from riskwright.usecase_files import (
    Written,
    is_market,
    known_usecases,
    market_files,
    read_file,
    read_yaml,
    refuse_other_name,
    refuse_twice,
    shipped,
)
from riskwright.usecase_loan import Loan
from riskwright.usecase_parts import (
    FAMILIES,
    AlertPolicy,
    Approval,
    Column,
    Costs,
    Cutoffs,
    Ensemble,
    Family,
    Feature,
    FeatureSchema,
    Gates,
    Monitor,
    Source,
    Split,
    Strict,
    Target,
    Tuning,
    code,
    family_settings,
)

__all__ = [
    "FAMILIES",
    "Column",
    "Costs",
    "Cutoffs",
    "Family",
    "Feature",
    "FeatureSchema",
    "Loan",
    "Monitor",
    "Source",
    "Split",
    "UseCase",
    "code",
    "json_schema",
    "known_usecases",
    "load_usecase",
    "parse_usecase",
    "refusal",
    "shipped",
]


class UseCase(Strict):
    """A use case: its data, its models, and the rules they live by."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    question: str
    source: Source
    id: str | None = Field(None, description="column that names a row; its content if left out")
    group: str | None = Field(
        None,
        description="column that names whose row it is (a borrower): rows of one stay together",
    )
    time: str | None = Field(None, description="column of the decision's date")
    target: Target
    columns: dict[str, Column]
    sequences: dict[str, tuple[str, ...]] = Field({}, description="name: columns, oldest first")
    models: tuple[Literal["pd", "lgd", "ead"], ...] = ("pd",)
    loan: Loan | None = Field(None, description="for a loan book: its money")
    quarantine_limit: float = Field(0.05, ge=0, le=1, description="share of refused rows")
    duplicate_rows: Literal["keep", "drop"] = "keep"
    split: Split = Split()
    families: Annotated[
        dict[str, Family],
        BeforeValidator(
            family_settings, json_schema_input_type=dict[str, Family | None] | list[str]
        ),
    ] = Field(family_settings(list(FAMILIES)), validate_default=True)
    baseline: Literal["logistic", "scorecard"] = "scorecard"
    tuning: Tuning = Tuning()
    ensemble: Ensemble = Ensemble()
    costs: Costs = Costs()
    cutoffs: Cutoffs = Cutoffs()
    gates: Gates = Gates()
    monitor: Monitor = Monitor()
    approval: Approval = Approval()
    alert_policy: AlertPolicy = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        def known(name: str, what: str) -> Column:
            if name not in self.columns:
                raise ValueError(
                    f"{what} names {name!r}, which is not in 'columns'; "
                    f"{closest(name, self.columns)}"
                )
            return self.columns[name]

        known(self.target.column, "target")
        if self.id is not None:
            known(self.id, "id")
        self._check_group(known)
        if self.time is not None and known(self.time, "time").type != "date":
            raise ValueError(f"time {self.time!r} must have type 'date'")
        if self.split.kind in ("out_of_time", "walk_forward") and self.time is None:
            raise ValueError(f"split kind {self.split.kind!r} needs a 'time' column")
        for name, column in self.columns.items():
            if column.feature and column.after_decision:
                raise ValueError(
                    f"column {name!r} is known only after the decision (leakage): it can't be a "
                    "feature; remove 'feature: true'"
                )
            if column.feature and name in (self.target.column, self.id, self.time):
                raise ValueError(f"column {name!r} is the target, id or time: not a feature")
        self._check_models(known)
        lengths = {len(steps) for steps in self.sequences.values()}
        if len(lengths) > 1:
            raise ValueError("all sequences have the same number of steps")
        for sequence, steps in self.sequences.items():
            for step in steps:
                if not known(step, f"sequence {sequence!r}").numeric:
                    raise ValueError(f"sequence {sequence!r}: {step!r} is not a number")
        if not self.feature_names:
            raise ValueError("no column is a feature")
        if self.baseline not in self.families:
            raise ValueError(f"the baseline {self.baseline!r} is not among the families")
        return self

    def _check_group(self, known: Callable[[str, str], Column]) -> None:
        if self.group is None:
            return
        if self.group in (self.id, self.target.column, self.time):
            raise ValueError(
                f"group {self.group!r} is the id, target or time: it names whose row it is, and "
                "several rows share it"
            )
        if known(self.group, "group").after_decision:
            raise ValueError(f"group {self.group!r} is marked 'after_decision'")
        if self.columns[self.group].feature:
            raise ValueError(f"column {self.group!r} is the group: not a feature")

    def _check_models(self, known: Callable[[str, str], Column]) -> None:
        if self.models not in (("pd",), ("pd", "lgd", "ead")):
            raise ValueError("models are [pd], or [pd, lgd, ead]")
        if (self.loan is None) != (self.models == ("pd",)):
            raise ValueError("a use case with the models lgd and ead, and only it, has a 'loan'")
        if self.loan is None:
            return
        if self.split.kind not in ("out_of_time", "walk_forward"):
            raise ValueError("a loan book needs a split in time: 'out_of_time' or 'walk_forward'")
        for name in (self.loan.amount, self.loan.rate, self.loan.term):
            if not known(name, "loan").numeric:
                raise ValueError(f"loan names {name!r}, which is not a number")
        for name in self.outcome_names:
            if not known(name, "loan").after_decision:
                raise ValueError(f"loan column {name!r} is an outcome: mark it 'after_decision'")
        day = self.loan.recovered_on
        if day is not None and self.columns[day].type != "date":
            raise ValueError(f"loan.recovered_on {day!r} must have type 'date'")
        if (lines := self.loan.revolving) is not None:
            if lines.value not in known(lines.product, "loan.revolving").values:
                raise ValueError(f"column {lines.product!r} has no value {lines.value!r}")
            if not known(lines.limit, "loan.revolving").numeric:
                raise ValueError(f"loan.revolving names {lines.limit!r}, which is not a number")
        self._check_population(self.loan, known)
        for name in (*self.loan.segments, *([self.loan.grade] if self.loan.grade else [])):
            known(name, "loan")

    def _check_population(self, loan: Loan, known: Callable[[str, str], Column]) -> None:
        for name, value in (loan.population or {}).items():
            if value not in known(name, "loan.population").values:
                raise ValueError(f"loan.population: column {name!r} has no value {value!r}")
            if self.columns[name].after_decision or not self.columns[name].required:
                raise ValueError(
                    f"loan.population: {name!r} is to be required and known before the decision"
                )

    def is_feature(self, name: str) -> bool:
        """Whether a column is a model input."""
        column = self.columns[name]
        if column.feature is not None:
            return column.feature
        return not (
            column.protected
            or column.after_decision
            or column.type in ("date", "text")
            or name in (self.target.column, self.id, self.group, self.time)
        )

    @property
    def feature_names(self) -> list[str]:
        """Names of the model inputs, in the order of the YAML."""
        return [name for name in self.columns if self.is_feature(name)]

    @property
    def outcome_names(self) -> tuple[str, ...]:
        """Columns, known only after the decision, that training keeps as outcomes."""
        return (*self.loan.outcomes, *self.loan.optional_outcomes) if self.loan else ()

    @property
    def protected_names(self) -> list[str]:
        """Columns whose groups are watched for fairness."""
        return [name for name, column in self.columns.items() if column.protected]

    @property
    def schema_(self) -> FeatureSchema:
        """The model inputs as the families see them."""
        signs = {"increasing": 1, "decreasing": -1, None: 0}
        features = tuple(
            Feature(
                name=name,
                kind="number" if column.numeric else "category",
                label=column.label or name,
                unit=column.unit,
                values=tuple(column.values.items()),
                sentinels=tuple(column.sentinels.items()),
                direction=signs[column.direction],
            )
            for name, column in self.columns.items()
            if self.is_feature(name)
        )
        chosen = set(self.feature_names)
        sequences = tuple(
            (name, steps) for name, steps in self.sequences.items() if chosen.issuperset(steps)
        )
        return FeatureSchema(features, sequences)

    @property
    def digest(self) -> str:
        """SHA-256 of the specification."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def load_usecase(name: str | Path, home: Home | None = None) -> UseCase:
    """Load a use case by shipped name, name in the home, or path to a YAML file.

    Raises
    ------
    InputRefused
        If it isn't found, isn't YAML, or breaks the specification.
    """
    return read_usecase(name, home)[0]


def read_usecase(name: str | Path, home: Home | None = None) -> tuple[UseCase, Written]:
    """Load a use case as ``load_usecase`` does; return the file that it was read from as well."""
    text = str(name)
    home = home or Home()
    known = known_usecases(home)
    refuse_twice(text, home)
    if is_market(text, home):
        raise InputRefused(
            f"{text!r} forecasts a market: there are no cases to check, score or add up",
            expected="a use case about credit",
            do=f"run 'riskwright forecast {text}' or 'riskwright backtest {text} --output DIR'",
        )
    path = Path(text) if text.endswith((".yaml", ".yml")) or "/" in text else known.get(text)
    if path is None:
        raise InputRefused(
            f"no use case is called {text!r}",
            expected=f"one of {', '.join([*known, *market_files(home)])}, or a path to a YAML file",
            do=closest(text, [*known, *market_files(home)]) or "run 'riskwright usecases'",
        )
    if not path.is_file():
        raise InputRefused(
            "the use case file doesn't exist",
            where=str(path),
            expected="a YAML file",
            do="check the path, or run 'riskwright usecases'",
        )
    written = read_file(path)
    found = parse_usecase(written.text, where=str(path), folder=path.parent)
    if text in known:
        refuse_other_name(text, found.name, path)
    return found, written


def parse_usecase(text: str, *, where: str, folder: Path | None = None) -> UseCase:
    """Read the YAML text of a use case; relative paths in it are seen from ``folder``.

    Raises
    ------
    InputRefused
        With the key, what was expected there, and the closest known key.
    """
    try:
        usecase = UseCase.model_validate(read_yaml(text, where))
    except ValidationError as error:
        raise refusal(error, where, UseCase, "'riskwright usecases --schema'") from None
    if folder is None:
        return usecase
    file, location = usecase.split.file, usecase.source.location
    if file is not None:
        split = usecase.split.model_copy(update={"file": folder / file.expanduser()})
        usecase = usecase.model_copy(update={"split": split})
    if location is not None and "://" not in location:
        path = str(folder / Path(location).expanduser())
        source = usecase.source.model_copy(update={"location": path})
        usecase = usecase.model_copy(update={"source": source})
    return usecase


def refusal(
    error: ValidationError, where: str, model: type[BaseModel], described: str
) -> InputRefused:
    """Turn pydantic's first complaint into ours, with the closest key for an unknown one.

    Parameters
    ----------
    error, where
        What broke the specification, and the file.
    model, described
        The specification, and where a person can read it.
    """
    # An unknown key explains the missing one that it was meant to be.
    unknown = [e for e in error.errors() if e["type"] == "extra_forbidden"]
    first = (unknown or error.errors())[0]
    path = [str(part) for part in first["loc"]]
    key = ".".join(path) or "the use case"
    rest = len(error.errors()) - 1
    more = f" (and {rest} more)" if rest else ""
    if first["type"] == "extra_forbidden":
        fields = _fields_at(model, path[:-1])
        return InputRefused(
            f"unknown key {path[-1]!r} in the use case{more}",
            where=f"{where}: {key}",
            expected=", ".join(fields),
            do=closest(path[-1], fields) or "remove it",
        )
    message = first["msg"].removeprefix("Value error, ")
    return InputRefused(
        f"the use case breaks its specification at {key}: {message}{more}",
        where=f"{where}: {key}",
        expected=f"see {described}",
        do="mend that key",
    )


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """Names of the fields of the part that a key path leads to."""
    for part in path:
        if part not in model.model_fields:
            continue  # a name inside a mapping, such as a column's
        for candidate in (
            annotation := model.model_fields[part].annotation,
            *get_args(annotation),
        ):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                model = candidate
    return list(model.model_fields)


def json_schema() -> str:
    """Return the JSON schema of the YAML, as text."""
    return json.dumps(UseCase.model_json_schema(), indent=2)
