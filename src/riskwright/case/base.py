"""What every use case says, of whatever kind it is."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from riskwright.case.kinds import DEFAULT, SHIPPED, said_kind
from riskwright.case.plugins import CHECKS, GATES, SYSTEMS, Calls
from riskwright.case.sections import AlertPolicy, Approval, Strict
from riskwright.errors import InputRefused


class Case(Strict):
    """The base of a use case: its name, its kind, who lets a challenger go live.

    A system's own case adds the rest, and says which of its keys are no *rules* and which make
    the *question*. Rules are every key but names, texts, sources, schedule, compute and
    notification: a change of rules waits for a person; across a changed question nothing is
    compared.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: str = Field(DEFAULT, description="the system that understands it")
    title: str
    question: str
    approval: Approval = Approval()
    alert_policy: AlertPolicy = None
    own_gates: Calls = Field({}, description="gates of other packages: names, or with params")
    own_checks: Calls = Field({}, description="checks of other packages, in the monitor's looks")

    TUNED: ClassVar[bool] = False  # whether a retrain takes a budget of time for tuning

    # First parts of keys that are no rules.
    NO_RULES: ClassVar[tuple[str, ...]] = (
        *("name", "title", "question", "source", "schedule", "compute", "notification"),
    )

    @model_validator(mode="before")
    @classmethod
    def _kind(cls, plain: Any) -> Any:
        return plain | {"kind": said_kind(plain)} if isinstance(plain, dict) else plain

    @property
    def digest(self) -> str:
        """SHA-256 of the specification."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def is_rule(self, key: str) -> bool:
        """Whether a key, with dots between its parts, is a rule."""
        return key.partition(".")[0] not in self.NO_RULES

    def is_question(self, key: str) -> bool:
        """Whether a rule says what is forecast, of whom, or over which horizon."""
        return key.partition(".")[0] in ("kind", "target", "models")

    def more_rules(self) -> dict[str, Any]:
        """Return rules that no key of the YAML holds alone, by name."""
        return {}

    @property
    def location(self) -> str | None:
        """The address or path that it names as its own source, if it does."""
        return None

    @property
    def own_source(self) -> str | None:
        """Where a retrain that names no data reads, as a person is told; None: nowhere."""
        return None

    @property
    def simulated(self) -> bool:
        """Whether its own source is a simulator, which stands in until there are real data."""
        return False

    def plugs(self) -> set[tuple[str, str]]:
        """Return group and name of all that it names and that a package may bring."""
        called = ((GATES, self.own_gates), (CHECKS, self.own_checks))
        named = {(group, name) for group, names in called for name in names}
        return named if self.kind in SHIPPED else named | {(SYSTEMS, self.kind)}

    def within(self, budget: str | None) -> Self:
        """Return the use case with tuning on, within a budget of time such as ``10m``.

        Raises
        ------
        InputRefused
            If its kind has no tuning, or the budget is no span of time.
        """
        if budget is None:
            return self
        raise InputRefused(
            f"a use case of kind {self.kind!r} has no budget for tuning",
            where="--budget",
            do="leave --budget out",
        )

    def source_files(self, location: str | None) -> list[Path]:
        """Return the files that a retrain reads: they may be late.

        Parameters
        ----------
        location
            Data named by hand; None: its own source.
        """
        return []
