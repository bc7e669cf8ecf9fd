"""What a series of a market case is, and when each of its values was known.

A value belongs to a month (or a day) and is published some time after that is over: its
*publication lag*. ``Series.known`` gives what had been published by the end of a month, and nothing
else may be seen from there. Values are as the file holds them today: of a series that is revised,
only the delay is honest, not the figures.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, field_validator, model_validator

from riskwright.case.sections import Strict

SHORTEST_MONTH = 28  # days

Kind = Literal["price_average", "price_close", "yield", "index", "return", "flow"]


class SeriesSpec(Strict):
    """Where a series comes from, what its values mean, and when they are known."""

    source: str = Field(
        description="arch:frenchdata, arch:default, arch:core_cpi, arch:sp500, or a file name seen "
        "from the folder given by --data"
    )
    column: tuple[str, ...] = Field(description="column; of several the sum is taken")
    kind: Kind = Field(description="a price that is averaged over the month isn't its close")
    frequency: Literal["monthly", "daily"] = "monthly"
    per: Literal["year", "quarter", "month"] | None = Field(
        None, description="span that each value of a flow is the sum over; a year's if left out"
    )
    stamp: Literal["start", "end"] = Field(
        "start", description="which end of its month a monthly value's date is; known at its end"
    )
    lag: str = Field(
        "0m", pattern=r"^\d+[md]$", description="from the end of the month, or day, to publication"
    )
    published_late: bool = Field(False, description="states that 'lag' can't be 0")
    revisions: Literal["none", "revised"] = Field(
        "none", description="revised: the file holds later figures than those first published"
    )
    scale: float = Field(1.0, description="0.01 for percent")
    zero_is_missing: bool = False
    transform: bool = Field(True, description="apply the 'Transform:' row of a FRED-MD file")
    gap: int | None = Field(
        None, ge=0, description="missing months, or days between two values, that are tolerated"
    )
    stale: int | None = Field(None, ge=0, description="months that the newest value may be late")

    @field_validator("column", mode="before", json_schema_input_type=str | tuple[str, ...])
    @classmethod
    def _one_column(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("lag", mode="before")
    @classmethod
    def _with_unit(cls, value: object) -> object:
        if not re.fullmatch(r"\d+[md]", str(value)):
            raise ValueError(f"a lag is a number and m or d, such as 0m, 3m or 15d, not {value!r}")
        return value

    @model_validator(mode="after")
    def _lag_is_stated(self) -> Self:
        if self.lag_count == 0 and (self.published_late or self.revisions == "revised"):
            why = "published late" if self.published_late else "revised"
            raise ValueError(f"the series is {why}, but its lag is 0: state the publication lag")
        if not self.column:
            raise ValueError("'column' names at least one column")
        if self.per is not None and self.kind != "flow":
            raise ValueError(f"'per' is for a flow, and the kind is {self.kind!r}")
        if self.scale == 0:
            raise ValueError("a scale of 0 leaves nothing of the series")
        return self

    @property
    def lag_count(self) -> int:
        """The number in ``lag``."""
        return int(self.lag[:-1])

    @property
    def lag_months(self) -> int:
        """Months from a month's end to the first month's end by which its value is published."""
        return self.lag_count if self.lag[-1] == "m" else math.ceil(self.lag_count / SHORTEST_MONTH)


@dataclass(frozen=True)
class Series:
    """A checked series.

    Attributes
    ----------
    name
        As in the case.
    spec
        What it is.
    values
        Without missing ones: by month (``PeriodIndex``) if monthly, by day (``DatetimeIndex``) if
        daily; in the units of the case (after ``scale``).
    stale
        Months that the newest value may be late.
    """

    name: str
    spec: SeriesSpec
    values: pd.Series
    stale: int

    @property
    def published(self) -> pd.PeriodIndex:
        """Month by whose end each value was published, shape (n,)."""
        index = self.values.index
        if isinstance(index, pd.PeriodIndex):
            return index.shift(self.spec.lag_months)
        days = pd.DatetimeIndex(index)
        if self.spec.lag[-1] == "d":
            return (days + pd.Timedelta(days=self.spec.lag_count)).to_period("M")
        return days.to_period("M").shift(self.spec.lag_count)

    def known(self, as_of: pd.Period) -> pd.Series:
        """Return the values published by the end of a month."""
        return self.values[self.published <= as_of]

    def cut(self, as_of: pd.Period) -> Series:
        """Return the series as it was known at the end of a month."""
        return replace(self, values=self.known(as_of))

    def scrambled(self, as_of: pd.Period, seed: int) -> Series:
        """Return the series with every value published after a month replaced by chance."""
        later = np.asarray(self.published > as_of)
        old = self.values.to_numpy(dtype=float)
        noise = np.random.default_rng(seed).uniform(0.2, 5.0, len(old))
        if self.spec.kind in ("return", "yield"):
            new = np.maximum(old * noise + 0.1 * np.log(noise), -0.9)
        else:
            new = old * noise
        return replace(self, values=pd.Series(np.where(later, new, old), index=self.values.index))
