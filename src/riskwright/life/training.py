"""What a kind of use case brings along for a retrain: its data, its steps, its challenger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

from riskwright.home import Home
from riskwright.life.steps import Data, Made, Step, Work
from riskwright.life.submission import Submission
from riskwright.life.system import System, system_of
from riskwright.life.tracking import Tracker


class Training(System, Protocol):
    """A kind of use case that can be trained, as every one can."""

    def ingest(self, case: Any, location: str | None, home: Home) -> Data:
        """Read, check and store what a source holds today; snapshots' names are their hashes.

        Parameters
        ----------
        location
            File, folder or address; the use case's own source if None.
        """

    def steps(self, case: Any) -> Sequence[Step]:
        """Return what a retrain does with those data, in order; the last one gives Evidence."""

    def log(self, work: Work, tracker: Tracker, parent: str, made: Made) -> None:
        """Write what the steps made to a retrain's run in MLflow, which is there already."""

    def submission(self, work: Work, run_id: str, made: Made) -> Submission:
        """Return what the registry needs of what the steps made."""

    def told(self, made: Made) -> dict[str, Any]:
        """Return what a retrain's answer says beside what all kinds say."""


def training_of(kind: str) -> Training:
    """Return what trains a kind of use case.

    Raises
    ------
    InputRefused
        If nobody knows the kind.
    """
    return cast(Training, system_of(kind))
