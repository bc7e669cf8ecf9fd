"""What the steps of a training about credit hand over."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from riskwright.life.steps import Data, Evidence, Kept, Record


class Tables(Data):
    """What ingestion made of a source, and how it was divided.

    Attributes
    ----------
    raw
        The snapshot as the source had it.
    quarantine
        The file of refused rows, if there are any.
    report
        Counts of the contract, of rows alike, and columns that may tell the outcome.
    """

    raw: str
    test: str
    quarantine: str | None = None
    report: dict[str, Any] = Field(default_factory=dict)


class Described(Record):
    """The data-quality report.

    Attributes
    ----------
    page
        Its path, or a sentence that says why there is none.
    """

    page: str


class Fitted(Record):
    """A family's fold bag, or why there is none.

    Attributes
    ----------
    name
        The family.
    skipped
        Why it wasn't fitted; else empty.
    folder, sha256
        Where the bag lies, and the hash of the folder.
    seconds
        Of the clock.
    params
        Hyper-parameters, tuned or given.
    trials, members
        How many were tried in tuning; how many models the bag holds.
    """

    name: str
    skipped: str = ""
    folder: str = ""
    sha256: str = ""
    seconds: float = 0.0
    params: dict[str, Any] = Field(default_factory=dict)
    trials: int = 0
    members: int = 0

    def whole(self) -> bool:
        """Whether the bag still is what the step wrote."""
        return bool(self.skipped) or Kept(folder=self.folder, sha256=self.sha256).whole()

    def mark(self) -> str:
        """Return the bag's hash, or why there is none."""
        return f"{self.name} {self.skipped or self.sha256}"


class Candidate(Record):
    """What a candidate is made of.

    Attributes
    ----------
    limits
        Where its decisions change (``bundle.Limits``).
    weights
        Of its families.
    platt, final
        Intercept and slope of each member's calibration, and of the last one.
    seen
        What training saw of categories.
    """

    limits: dict[str, float | None]
    weights: dict[str, float]
    platt: dict[str, tuple[float, float]]
    final: tuple[float, float]
    seen: Any = None

    @property
    def slopes(self) -> list[float]:
        """Slopes of all calibrations behind its PDs: the members' and the last."""
        return [slope for _, slope in [*self.platt.values(), self.final]]


class Joined(Kept):
    """The candidates: the ensemble, and the baseline alone.

    Attributes
    ----------
    candidates
        What ``ensemble`` and ``baseline`` are made of.
    calibration
        Each family's own intercept and slope, for its figures alone.
    """

    candidates: dict[str, Candidate]
    calibration: dict[str, tuple[float, float]]


class Figure(Record):
    """A point figure and its 95 % interval."""

    value: float
    low: float
    high: float


class CreditEvidence(Evidence):
    """Every candidate on the test part.

    Attributes
    ----------
    figures
        What the choice between ensemble and baseline rests on.
    metrics
        Candidate → metric → figure.
    paired_to_baseline
        Candidate → metric → difference, its standard error and p.
    confusion
        Counts at the challenger's cut-off.
    limits
        Where the challenger's decisions change.
    decisions
        How many test rows it would approve, refer and decline.
    test_rows, test_bads
        Size of the test part.
    kin
        Its figures on rows without a twin or a relative in training.
    telltales
        Columns that may tell the outcome.
    """

    figures: dict[str, Any]
    metrics: dict[str, dict[str, Figure]]
    paired_to_baseline: dict[str, dict[str, dict[str, float]]]
    confusion: dict[str, Any]
    limits: dict[str, float | None]
    decisions: dict[str, int]
    test_rows: int
    test_bads: int
    kin: dict[str, Any] | None = None
    telltales: list[Any] = Field(default_factory=list)
