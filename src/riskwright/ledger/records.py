"""What the ledger returns: small frozen records. Times are ISO text, UTC, with microseconds.

``by`` says how an actor's name is known (number, host, method, verified); it is None for what was
recorded before that was kept, and where no person acted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["reserved", "challenger", "champion", "retired", "rejected"]
PromotionKind = Literal["promotion", "rollback", "fallback"]
Choice = Literal["accept", "retrain", "fallback", "rollback"]


@dataclass(frozen=True)
class ModelRef:
    """One model of a version: where the registry keeps it, and the digest of its bundle."""

    model: str
    registered: str
    mlflow_version: int
    digest: str
    uri: str


@dataclass(frozen=True)
class Gate:
    """One check of a challenger; ``passed`` None means "not enough data".

    A blocking gate lets a version go live only when ``passed`` is True.
    """

    name: str
    passed: bool | None
    detail: str
    figures: dict[str, Any]
    blocking: bool = True


@dataclass(frozen=True)
class Version:
    """A version of a use case: the set of models that go live together."""

    use_case: str
    version: int
    status: Status
    run_key: str
    trained_by: str | None
    run_id: str | None
    models: dict[str, ModelRef]
    evidence: dict[str, Any]
    at: str


@dataclass(frozen=True)
class Promotion:
    """One entry of a use case's history of champions."""

    sequence: int
    version: int
    previous: int | None
    actor: str
    at: str
    reason: str
    kind: PromotionKind
    policy: str | None
    use_case: str
    by: dict[str, Any] | None = None


@dataclass(frozen=True)
class ChampionInfo:
    """The live version: since when (``at``), by whom and why, and its models."""

    use_case: str
    version: int
    at: str
    actor: str
    reason: str
    kind: PromotionKind
    sequence: int
    models: dict[str, ModelRef]
    evidence: dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """One time that a test snapshot was read."""

    snapshot_hash: str
    use_case: str
    purpose: str
    run_key: str
    at: str


@dataclass(frozen=True)
class FindingSet:
    """What one monitor run found in one batch."""

    id: int
    use_case: str
    version: int
    batch_hash: str
    findings: list[dict[str, Any]]
    at: str


@dataclass(frozen=True)
class Alert:
    """Findings that need a person; ``seen`` counts the monitor runs that raised it.

    ``by`` and ``own_model`` are about its decision: whether an author of the model took it.
    """

    id: int
    use_case: str
    version: int
    title: str
    severity: str
    findings: list[dict[str, Any]]
    batch_hash: str
    report: str
    status: Literal["open", "closed"]
    seen: int
    opened_at: str
    last_seen: str
    decision: Choice | None
    decided_by: str | None
    decided_at: str | None
    reason: str | None
    by: dict[str, Any] | None = None
    own_model: bool = False


@dataclass(frozen=True)
class Request:
    """Work that somebody asked for; a flow claims it, once."""

    id: int
    use_case: str
    kind: str
    actor: str
    reason: str
    alert_id: int | None
    at: str
    status: Literal["pending", "claimed", "finished"]
    owner: str | None
    claimed_at: str | None
    outcome: str | None
    detail: str | None
    finished_at: str | None
    by: dict[str, Any] | None = None


@dataclass(frozen=True)
class Decision:
    """What a person decided about an alert, and what followed from it at once.

    ``own_model`` says that an author of the model decided about it.
    """

    alert_id: int
    use_case: str
    decision: Choice
    actor: str
    reason: str
    at: str
    promotion: Promotion | None = None
    request: Request | None = None
    by: dict[str, Any] | None = None
    own_model: bool = False


@dataclass(frozen=True)
class Lease:
    """Who says to be at work on what; not ``live`` once its time ran out without being renewed."""

    name: str
    owner: str
    live: bool


@dataclass(frozen=True)
class Run:
    """A run of a flow; ``attempt`` counts how often its key was started."""

    id: int
    use_case: str
    kind: str
    run_key: str
    owner: str
    mlflow_run_id: str | None
    status: Literal["running", "finished", "failed", "crashed"]
    attempt: int
    started: str
    finished: str | None
    detail: str


@dataclass(frozen=True)
class Event:
    """One link of the audit chain."""

    id: int
    at: str
    actor: str
    use_case: str
    kind: str
    payload: dict[str, Any]
    prev_hash: str
    hash: str


@dataclass(frozen=True)
class Verdict:
    """What the verifier says: ``first_bad`` is the id of the first event that can't be trusted."""

    ok: bool
    checked: int
    first_bad: int | None = None
    reason: str = ""
