"""The typed specification of a use case: one YAML file, strict and frozen.

Unknown keys are refused with the closest known one. Everything that has a sensible default may be
left out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from riskwright.case.base import Case
from riskwright.case.families import FAMILIES, GROUP
from riskwright.case.files import (
    known_usecases,
    read_yaml,
    shipped,
)
from riskwright.case.loan import Loan
from riskwright.case.plugins import source_of
from riskwright.case.refusal import refusal
from riskwright.case.sections import (
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
    Target,
    Tuning,
    code,
    family_settings,
)
from riskwright.case.select import one_select
from riskwright.errors import InputRefused, closest

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
    "known_usecases",
    "parse_usecase",
    "shipped",
]


# Of a loan book's section: what is asked, and of whom.
LOAN_QUESTION = (
    "population", "grace_months", "amount", "rate", "term", "closed", "repaid", "recovered",
    "recovery_costs", "owed", "recovered_on", "revolving",
)  # fmt: skip
# Of the source: how cells are read. The rest says where they come from.
READING = ("source.missing", "source.rename", "source.dialect")
TEXTS = ("label", "unit", "description")


class UseCase(Case):
    """A use case about cases: its data, its models, and the rules they live by."""

    TUNED = True
    NO_RULES = (*Case.NO_RULES, "tuning")

    kind: Literal["credit", "loans"] = "credit"
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
        if (self.loan is None) != (self.kind == "credit"):
            raise ValueError(
                f"its kind is {self.kind!r}: a use case of the kind 'loans', and only it, has a "
                "'loan'"
            )
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

    @property
    def own_source(self) -> str | None:
        """Where its own cases are found, as a person is told; None: nowhere."""
        source = self.source
        if source.location is not None:
            return source.location
        if source.dataset is not None:
            return f"the public data set {source.dataset}"
        return None if source.simulator is None else "simulated cases"

    @property
    def simulated(self) -> bool:
        """Whether its own cases are simulated: they stand in until there are real ones."""
        return self.source.location is None and self.source.simulator is not None

    def plugs(self) -> set[tuple[str, str]]:
        """Return group and name of all that it names and that a package may bring."""
        own = {(GROUP, name) for name in self.families if name not in FAMILIES}
        return super().plugs() | own | source_of(self.source.location)

    def within(self, budget: str | None) -> Self:
        """Return the use case with tuning on, within a budget of time such as ``10m``."""
        return self.model_copy(update={"tuning": self.tuning.within(budget)})

    def source_files(self, location: str | None) -> list[Path]:
        """Return the file, or SQLite's, that cases are read from; none of a server's."""
        location = location or self.source.location or ""
        kind, mark, rest = location.partition("://")
        if not mark and location:
            return [Path(location).expanduser()]
        if kind.startswith("sqlite"):
            return [Path(rest.removeprefix("/").partition("?")[0])]
        return []

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
    def location(self) -> str | None:
        """The address or path that its cases come from, if it names one."""
        return self.source.location

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

    def is_rule(self, key: str) -> bool:
        """Whether a key is a rule; so are those of the source that say how cells are read."""
        top, last = key.partition(".")[0], key.rpartition(".")[2]
        if top == "source":
            return key.startswith(READING)
        return super().is_rule(key) and not (top == "columns" and last in TEXTS)

    def is_question(self, key: str) -> bool:
        """Whether a rule says what is good and bad, of whom, or over which time."""
        top, _, rest = key.partition(".")
        if top == "columns":
            return rest.split(".")[0] == self.target.column
        if top == "loan":
            return not rest or rest.split(".")[0] in LOAN_QUESTION
        return key in ("source.table", "columns, in order") or super().is_question(key)

    def more_rules(self) -> dict[str, Any]:
        """Return what can turn good and bad round: a SELECT, and the order of nameless columns."""
        found: dict[str, Any] = {}
        if self.source.table is not None and one_select(self.source.table) is not None:
            found["source.table"] = self.source.table
        if not self.source.header:
            found["columns, in order"] = list(self.columns)
        return found


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


def sealed_usecase(folder: Path) -> UseCase:
    """Return the specification that lies in a bundle.

    Raises
    ------
    InputRefused
        If what is installed here can't read it: a family's package is gone, say.
    """
    path = folder / "usecase.json"
    try:
        return UseCase.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        found = refusal(error, str(path), UseCase, "its manifest.json")
        raise InputRefused(
            f"what is installed here can't read the bundle: {found.what}",
            where=found.where,
            do="install what it was made with: the release and the packages of its families",
        ) from None
