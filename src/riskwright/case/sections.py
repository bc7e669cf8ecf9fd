"""The sections of a use case's YAML, and the model inputs as the families see them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from riskwright.case.families import REFERENCES, SHIPPED, families
from riskwright.errors import InputRefused, closest

Code = str | int | float | bool  # as YAML may read one; kept as text


def code(value: object) -> str:
    """Return a code as text: typed ``1.0`` is ``1``, truth is ``true``, accents are composed."""
    if isinstance(value, bool):
        value = str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return unicodedata.normalize("NFC", str(value).strip())


def _said(value: object) -> str:
    """Return a code of the YAML as text; refuse none."""
    if value is None:
        raise ValueError("a code is empty (null): put it in quotes if it is meant as it stands")
    return code(value)


def _codes(values: object) -> object:
    if isinstance(values, dict):
        return {_said(k): str(k if v is None else v) for k, v in values.items()}
    if isinstance(values, (list, tuple)):
        return {_said(v): code(v) for v in values}
    return values


OneCode = Annotated[str, BeforeValidator(_said, json_schema_input_type=Code)]


class Strict(BaseModel):
    """Base of every part of the YAML: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(Strict):
    """Where rows come from when no ``--data`` is given, and how their file is written."""

    simulator: str | None = Field(None, description="name of the embedded simulator")
    rows: int = Field(6000, gt=0, description="rows to simulate")
    seed: int = Field(1, description="seed of the simulator")
    dataset: str | None = Field(None, description="public data set, see 'riskwright data list'")
    location: str | None = Field(
        None, description="path (seen from the YAML's folder), or SQLAlchemy URL of a database"
    )
    format: Literal["csv", "parquet", "arff", "sql"] | None = Field(
        None, description="by the file's extension if left out"
    )
    delimiter: str = ","
    header: bool = Field(True, description="false: columns are named in the order of 'columns'")
    encoding: str = "utf-8-sig"
    missing: tuple[OneCode, ...] = Field(("", "NA", "NaN", "nan", "null", "?"), description="cells")
    rename: dict[str, str] = Field({}, description="header in the file: name here")
    table: str | None = Field(None, description="SQL table, or a SELECT")
    dialect: Literal["lending_club"] | None = Field(
        None, description="a publisher's own way of writing, brought to one form when it is read"
    )


class Column(Strict):
    """One column: what its values mean and what may be done with it."""

    type: Literal["number", "integer", "category", "date", "text"]
    label: str = Field("", description="words for reasons and reports; the name if left out")
    unit: str = ""
    min: float | None = None
    max: float | None = None
    values: Annotated[
        dict[str, str],
        BeforeValidator(_codes, json_schema_input_type=dict[str, Code] | list[Code]),
    ] = Field({}, description="allowed codes, as a list or with their meaning")
    sentinels: dict[float, str] = Field({}, description="number that is a code: its meaning")
    direction: Literal["increasing", "decreasing"] | None = Field(
        None, description="how the PD moves when the value grows; enforced where a family can"
    )
    protected: bool = Field(False, description="not a feature unless 'feature: true'; monitored")
    after_decision: bool = Field(False, description="known only later: refused as a feature")
    feature: bool | None = Field(None, description="by type and the two flags above if left out")
    required: bool = Field(True, description="a file without it is refused")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        if self.type == "category" and not self.values:
            raise ValueError("a category lists its allowed 'values'")
        if self.type != "category" and self.values:
            raise ValueError("'values' belong to a category; numbers have min, max and sentinels")
        return self

    @property
    def numeric(self) -> bool:
        """Whether the canonical type is a float."""
        return self.type in ("number", "integer")


class Target(Strict):
    """The outcome column and the value that is bad."""

    column: str
    bad: OneCode
    good: OneCode
    open: tuple[OneCode, ...] = Field(
        (), description="outcome not known yet: never trained on, never counted as good"
    )


class Split(Strict):
    """How the test part and the folds are made. It never depends on the seed."""

    kind: Literal["hash", "out_of_time", "walk_forward", "file"] = "hash"
    test_share: float = Field(0.2, gt=0, lt=1)
    folds: int = Field(5, ge=2, description="folds, or forward-chained blocks with a time column")
    key: str = Field("riskwright", description="key of the hash of the id")
    test_from: date | None = Field(None, description="first day of the test part")
    purge_days: int = Field(0, ge=0, description="gap before each validation block")
    embargo_days: int = Field(0, ge=0, description="gap after the purge")
    window_days: int | None = Field(None, description="rolling window; expanding if left out")
    file: Path | None = Field(None, description="one test id a line")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.kind == "file" and self.file is None:
            raise ValueError("kind 'file' names the 'file' of test ids")
        return self


class Family(Strict):
    """One family: its parameters, and whether it may enter the ensemble."""

    params: dict[str, Any] = {}
    ensemble: bool = True

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, value in self.params.items():
            if isinstance(value, str) and value.lower() in ("yes", "no", "on", "off"):
                raise ValueError(f"parameter {name!r} is {value!r}: write true or false")
        return self


def family_settings(value: object) -> object:
    """Let the YAML name families as a list, or with settings; refuse unknown ones."""
    if isinstance(value, (list, tuple)):
        value = {name: {} for name in value}
    if isinstance(value, dict):
        value = {
            name: ({"ensemble": name not in REFERENCES} | (settings or {}))
            if isinstance(settings, (dict, type(None)))
            else settings
            for name, settings in value.items()
        }
        # Entry points are searched in every installed distribution: only where they are needed.
        known = SHIPPED if set(value) <= set(SHIPPED) else families()
        for name in value:
            if name not in known:
                raise ValueError(
                    f"unknown family {name!r}, and no installed package brings it; "
                    f"{closest(str(name), known) or ', '.join(known)}"
                )
    return value


class Tuning(Strict):
    """How much search; a count of trials repeats exactly, the budget is its cap in time."""

    trials: int = Field(0, ge=0)
    budget: str = Field("10m", pattern=r"^\d+[smh]$")
    families: tuple[str, ...] = ("xgboost", "mlp")

    @property
    def seconds(self) -> float:
        """The budget in seconds."""
        return float(self.budget[:-1]) * {"s": 1, "m": 60, "h": 3600}[self.budget[-1]]

    def within(self, budget: str | None) -> Tuning:
        """Return the tuning with a budget that was asked for beside the YAML; it turns it on.

        Raises
        ------
        InputRefused
            If it is no span of time.
        """
        if budget is None:
            return self
        plain = {**self.model_dump(), "budget": budget, "trials": self.trials or 20}
        try:
            return Tuning.model_validate(plain)
        except ValueError:
            raise InputRefused(
                f"{budget!r} is not a budget of time",
                expected="a number and s, m or h, such as 10m",
            ) from None


class Ensemble(Strict):
    """How members are joined."""

    refer_share: float = Field(
        0.05, ge=0, lt=1, description="share with the worst disagreement that goes to refer"
    )


class Costs(Strict):
    """Cost of the two errors, in units of one good applicant declined."""

    bad_approved: float = Field(5.0, gt=0)
    good_declined: float = Field(1.0, gt=0)


class Cutoffs(Strict):
    """Approve below, decline from, refer between; chosen out of fold by cost if left out."""

    approve_below: float | None = Field(None, ge=0, le=1)
    decline_from: float | None = Field(None, ge=0, le=1)
    refer_within: float = Field(0.1, ge=0, lt=1, description="share around the chosen cut-off")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.approve_below is None) != (self.decline_from is None):
            raise ValueError("give both 'approve_below' and 'decline_from', or neither")
        if self.approve_below is not None and self.approve_below > self.decline_from:  # type: ignore[operator]
            raise ValueError("'approve_below' is above 'decline_from'")
        return self


class Gates(Strict):
    """What a challenger must pass."""

    alpha: float = Field(0.05, gt=0, lt=1, description="one-sided level of the paired tests")
    min_test_bads: int = Field(10, ge=1, description="fewer bads in the test part: no verdict")
    calibration_quantile: float = Field(
        0.99, gt=0, lt=1, description="of the ECE that a calibrated model would show"
    )


class Monitor(Strict):
    """Limits of the monitor (measured on real windows, see the model-risk guide)."""

    min_rows: int = Field(200, ge=1, description="fewer: 'not enough data'")
    column_fdr: float = Field(0.005, gt=0, lt=1)
    column_effect: float = Field(0.06, gt=0, description="KS distance or total variation")
    score_p: float = Field(0.001, gt=0, lt=1)
    score_effect: float = Field(0.04, gt=0)
    label_z: float = Field(3.3, gt=0)
    min_bads: int = Field(20, ge=1, description="fewer: no verdict on labels")
    report_rows: int = Field(20000, ge=200, description="rows sampled for Evidently's pictures")


class Approval(Strict):
    """Who lets a challenger go live."""

    policy: Literal["automatic", "approval"] = "approval"


AlertPolicy = Annotated[
    Literal["any", "second_person"] | None,
    Field(
        description="who may accept an alert, or ask for a retrain: not its model's authors where "
        "a second_person is wanted; if left out one is for high and critical, under approval"
    ),
]


@dataclass(frozen=True)
class Feature:
    """One model input as the families see it (canonical: float64, or text for a category)."""

    name: str
    kind: Literal["number", "category"]
    label: str
    unit: str = ""
    values: tuple[tuple[str, str], ...] = ()
    sentinels: tuple[tuple[float, str], ...] = ()
    direction: int = 0


@dataclass(frozen=True)
class FeatureSchema:
    """All model inputs, and which of them are steps (oldest first) of which sequence."""

    features: tuple[Feature, ...]
    sequences: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def names(self) -> list[str]:
        """Names of the features, in order."""
        return [f.name for f in self.features]

    def as_dict(self) -> dict[str, Any]:
        """Return plain lists and dictionaries, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> FeatureSchema:
        """Rebuild what ``as_dict`` returned."""

        def pairs(items: Iterable[Iterable[Any]]) -> tuple[tuple[Any, Any], ...]:
            return tuple((a, b) for a, b in items)

        features = tuple(
            Feature(**{**f, "values": pairs(f["values"]), "sentinels": pairs(f["sentinels"])})
            for f in plain["features"]
        )
        return cls(features, tuple((name, tuple(steps)) for name, steps in plain["sequences"]))
