"""The specification of a deposit book."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from riskwright.case.base import Case
from riskwright.case.files import read_yaml
from riskwright.case.refusal import refusal
from riskwright.case.sections import Strict


class Gates(Strict):
    """What a challenger must pass."""

    alpha: float = Field(0.05, gt=0, lt=1, description="one-sided level of the paired test")
    min_accounts: int = Field(
        30, ge=2, description="fewer in a segment of the test part: no verdict"
    )


class Monitor(Strict):
    """Limits of the monitor."""

    p: float = Field(0.001, gt=0, lt=1, description="chance of a false alarm of a family")
    refused: float = Field(0.1, gt=0, le=1, description="share of refused rows")


class DepositCase(Case):
    """A deposit book: accounts in segments, each with its balance now and in a year."""

    kind: Literal["deposits"] = "deposits"
    segments: tuple[str, ...] = Field(min_length=1)
    test_share: float = Field(0.3, gt=0, lt=1)
    source: str | None = Field(None, description="file of the accounts, seen from the YAML")
    gates: Gates = Gates()
    monitor: Monitor = Monitor()

    def is_question(self, key: str) -> bool:
        """Whether a rule says of whom it is forecast."""
        return key == "segments" or super().is_question(key)

    @property
    def location(self) -> str | None:
        """The file that it names as its own source."""
        return self.source

    @property
    def own_source(self) -> str | None:
        """Where a retrain that names no data reads."""
        return self.source

    def source_files(self, location: str | None) -> list[Path]:
        """Return the file that a retrain reads."""
        place = location or self.source
        return [] if place is None or "://" in place else [Path(place)]


def parse_case(text: str, *, where: str, folder: Path | None = None) -> DepositCase:
    """Read the YAML text of a deposit book; its source is seen from ``folder``."""
    try:
        case = DepositCase.model_validate(read_yaml(text, where))
    except ValidationError as error:
        raise refusal(error, where, DepositCase, "bank_deposits.case") from None
    if folder is None or case.source is None or "://" in case.source:
        return case
    return case.model_copy(update={"source": str(folder / case.source)})
