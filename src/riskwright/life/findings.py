"""What a monitor saw: findings, the verdict of each family, and how serious it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

# Of a batch of cases, and of a market forecast.
FamilyName = Literal[
    "quality", "columns", "score", "labels", "book", "predictors", "error", "coverage", "own"
]
Verdict = Literal["ok", "alarm", "not enough data", "failed", "can't be judged", "told"]
Severity = Literal["none", "low", "medium", "high", "critical"]

NOT_ENOUGH: Literal["not enough data"] = "not enough data"
CANT: Literal["can't be judged"] = "can't be judged"
NO_LABELS = "no labels"

# Without these columns or rows there is nothing to judge: the worst that a feed can do.
CRITICAL = ("missing_column", "empty_batch", "nothing_accepted", "all_missing")


@dataclass(frozen=True)
class Finding:
    """One thing that a monitor looked at, with its numbers.

    Parameters
    ----------
    family
        ``quality``, ``columns``, ``score``, ``labels`` or ``book``; of a market forecast
        ``predictors``, ``error`` or ``coverage``; of other packages' checks ``own``.
    code
        Name of the check, such as ``missing_rate``.
    column
        The column it is about (of a book: the vintage or grade), or None for the whole batch.
    verdict
        ``failed`` means that the check itself broke: what it would have seen is unknown;
        ``can't be judged`` that chance or change can't be told from how the data came about;
        ``told`` that there was nothing to judge, and something to know.
    statistic, value, threshold
        What was computed, its value, and the limit that it was held against.
    p_value
        How often chance alone shows as much, where the check is a test.
    effect
        The size of the change in words' plainest unit (a distance, a share, a ratio).
    detail
        One sentence for a person, with counts and the number of an example row.
    alarm
        Whether it asks for a person.
    segment
        The group of cases that it is about, where it isn't about all of them.
    direction
        Which way it moved, where it can move both ways.
    band
        How grave: doublings of its floor (0: less than twice, 1: two to four times …). A decision
        about an alert covers no higher band of the same finding. None where the same batch can't
        show more of it later.
    """

    family: FamilyName
    code: str
    column: str | None
    verdict: Verdict
    statistic: str = ""
    value: float | None = None
    threshold: float | None = None
    p_value: float | None = None
    effect: float | None = None
    detail: str = ""
    alarm: bool = False
    segment: str | None = None
    direction: Literal["up", "down"] | None = None
    band: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; a number that isn't finite becomes None."""
        return {key: _plain(value) for key, value in asdict(self).items()}


def way(change: float) -> Literal["up", "down"]:
    """Return which way a change goes."""
    return "up" if change >= 0 else "down"


def band(size: float, floor: float) -> int:
    """Return how often a size doubles its floor: 0 below twice the floor."""
    return max(int(math.log2(size / floor)), 0) if size > 0 else 0


def failed(family: FamilyName, code: str, column: str | None, error: Exception) -> Finding:
    """Return the finding for a check that broke: an alarm, since nobody looked there."""
    what = str(error).strip().splitlines()
    return Finding(
        family,
        code,
        column,
        "failed",
        detail=f"the check itself failed: {type(error).__name__}: {what[0] if what else ''}",
        alarm=True,
    )


def of_each(
    checks: Mapping[FamilyName, Callable[[], list[Finding]]],
) -> dict[FamilyName, list[Finding]]:
    """Return what each family's check finds; one that breaks is an alarm, and the others go on."""
    found: dict[FamilyName, list[Finding]] = {}
    for family, check in checks.items():
        try:
            found[family] = check()
        except Exception as error:  # noqa: BLE001 - one family's fault must not hide the others
            found[family] = [failed(family, family, None, error)]
    return found


@dataclass(frozen=True)
class Result:
    """All findings about one batch.

    Parameters
    ----------
    findings
        In the order of the families, alarms first.
    verdicts
        Family to ``ok``, ``alarm``, ``not enough data``, ``failed``; labels also ``no labels`` and
        ``can't be judged``.
    rows_read, accepted, refused
        Rows of the batch; the last two add up to the first.
    alarm
        Whether any finding asks for a person.
    severity
        By consequence: ``critical`` (nothing to judge by), ``high`` (the PDs are off, or fed with
        faults), ``medium`` (inputs changed, effect on the PD not known), ``low`` (inputs changed,
        the PD hardly moved), ``none``.
    title
        One line for the alert.
    """

    findings: list[Finding]
    verdicts: dict[str, str]
    rows_read: int
    accepted: int
    refused: int
    alarm: bool
    severity: Severity
    title: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        plain = asdict(self)
        plain["findings"] = [finding.as_dict() for finding in self.findings]
        return plain

    @property
    def alarms(self) -> list[Finding]:
        """The findings that ask for a person."""
        return [finding for finding in self.findings if finding.alarm]


def family_verdict(findings: list[Finding]) -> Verdict:
    """Return the verdict of one family: an alarm first, then what couldn't be seen, then clean."""
    verdicts = {finding.verdict for finding in findings}
    order: tuple[Verdict, ...] = ("alarm", "failed", CANT, "ok")
    return next((v for v in order if v in verdicts), NOT_ENOUGH)


def severity_of(
    findings: Sequence[Finding | Mapping[str, Any]], verdicts: Mapping[str, str]
) -> Severity:
    """Return how serious it is: by the consequence for the PD, not by the count of findings."""
    plain = [f.as_dict() if isinstance(f, Finding) else f for f in findings]
    alarms = [finding for finding in plain if finding["alarm"]]
    if not alarms:
        return "none"
    if any(finding["code"] in CRITICAL for finding in alarms):
        return "critical"
    if any(finding["family"] in ("quality", "score", "labels", "book") for finding in alarms):
        return "high"
    if any(finding["family"] == "own" for finding in alarms):
        return "medium"  # what it means for the PD nobody here can say
    return "low" if verdicts["score"] == "ok" else "medium"


def title_of(findings: Sequence[Finding | Mapping[str, Any]]) -> str:
    """Return one line: the first alarm, and how many more there are.

    Parameters
    ----------
    findings
        As found, or as ``as_dict`` gives them.
    """
    plain = [f.as_dict() if isinstance(f, Finding) else f for f in findings]
    alarms = [finding for finding in plain if finding["alarm"]]
    if not alarms:
        return "no alarm"
    first = alarms[0]
    what = str(first["code"]).replace("_", " ")
    text = f"{first['column']}: {what}" if first["column"] else what
    return text if len(alarms) == 1 else f"{text}, and {len(alarms) - 1} more"


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
