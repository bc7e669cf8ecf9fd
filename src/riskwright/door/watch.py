"""Looks at what came since the training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riskwright.door import frames, page, pictures
from riskwright.door.cases import name_of
from riskwright.door.results import Result
from riskwright.errors import InputRefused
from riskwright.life.opened import opened
from riskwright.stats.figures import BAD, GOOD

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from riskwright.door.cases import Of

SHOWN = 15  # findings in a picture
COLUMNS = (
    *("family", "code", "column", "segment", "verdict", "alarm"),
    *("statistic", "value", "threshold", "p_value", "effect", "detail"),
)


@dataclass(frozen=True, repr=False, eq=False)
class Monitored(Result):
    """What a monitor saw.

    Attributes
    ----------
    usecase, kind, version
        Which version was looked at.
    verdicts
        Family of checks: ``ok``, ``alarm``, ``not enough data``, …
    findings
        All that was looked at, alarms or not (``life.findings.Finding`` as plain values).
    alert, alert_open
        The alert's number, if there is one, and whether it is open.
    report
        The page.
    notes
        What a reader has to know.
    """

    usecase: str
    kind: str
    version: int
    verdicts: Mapping[str, str]
    findings: tuple[Mapping[str, Any], ...]
    alert: int | None
    alert_open: bool
    report: Path
    notes: tuple[str, ...]

    @property
    def headline(self) -> str:
        """Whether there is an alert."""
        told = f"{self.usecase}, version {self.version}: "
        if self.alert is None:
            return told + "no alert"
        what = "is open" if self.alert_open else "of this batch was decided already"
        return f"{told}alert {self.alert} {what}"

    @property
    def frame(self) -> pd.DataFrame:
        """The findings, a row each."""
        import pandas as pd

        rows = [{name: finding.get(name) for name in COLUMNS} for finding in self.findings]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def plot(self) -> Figure:
        """Draw findings against their limits, alarms first: beyond 1 is past the limit."""
        held = [
            (f, float(f["value"]) / float(f["threshold"]))
            for f in self.findings
            if f.get("value") is not None and f.get("threshold")
        ]
        held = sorted(held, key=lambda pair: (not pair[0]["alarm"], -pair[1]))[:SHOWN]
        figure = pictures.bars(
            [" ".join(str(f[k]) for k in ("column", "code") if f.get(k)) for f, _ in held],
            [ratio for _, ratio in held],
            unit="value, in multiples of its limit",
            of="finding",
            sentence=self.headline,
            note="red: alarms; some need a size of effect or a test beside the limit",
            colours=[BAD if f["alarm"] else GOOD for f, _ in held],
        )
        figure.axes[0].axvline(1, color=BAD, lw=1, ls="--")
        return figure

    def _parts(self) -> Iterator[str]:
        yield page.table([{"checks": k, "verdict": v} for k, v in self.verdicts.items()])
        yield page.lines(f["detail"] for f in self.findings if f["alarm"])
        yield page.lines(self.notes)
        yield page.line(f"report: {self.report}")


def monitor(
    of: Of,
    data: pd.DataFrame | str | Path | None = None,
    *,
    labels: pd.DataFrame | str | Path | None = None,
    as_of: str | None = None,
    version: str | int | None = None,
) -> Monitored:
    """Hold what came since the training against it; findings past the limits open an alert.

    Parameters
    ----------
    of
        The use case.
    data
        The batch as it arrived: a frame, or the path or address of a file; of a market the folder
        of its series, or None for where the champion's came from.
    labels
        The outcomes that are known by now: a frame, or a file, of the id and the target's column.
    as_of
        Date, such as ``2016-06-01``: the data are a history of loans, judged as of then; of a
        market: look then.
    version
        That the batch is held against: ``champion``, ``challenger`` or a number; what scored the
        batch, or is live, if None.

    Raises
    ------
    InputRefused
        If nothing is live, or the data can't be looked at.
    """
    from riskwright.life import commands
    from riskwright.life.named import named
    from riskwright.life.system import system_of

    home, ledger = opened(create=False)
    found = named(name_of(of), home, ledger)
    case = None
    if frames.is_frame(data) or frames.is_frame(labels):
        if not hasattr(system_of(found.kind), "score"):
            raise InputRefused(
                f"{found.name!r} is of the kind {found.kind!r}: there are no cases to look at",
                expected="the path of a folder of its data (of a market: its series), or nothing",
            )
        case = frames.written_as(found, home, ledger)
    with frames.as_file(data, case) as batch, frames.as_file(labels, case) as outcomes:
        which = None if version is None else str(version)
        told = commands.monitor(
            name_of(of), home, ledger, input=batch, labels=outcomes, as_of=as_of, version=which
        )
    return _monitored(told)


def _monitored(told: Mapping[str, Any]) -> Monitored:
    notes = [*told["notes"], *([told["mlflow"]] if "mlflow" in told else [])]
    return Monitored(
        usecase=told["usecase"],
        kind=told["system"],
        version=told["version"],
        verdicts=told.get("verdicts", {}),
        findings=tuple(told["findings"]),
        alert=told["alert"],
        alert_open=told["alert_open"],
        report=Path(told["report"]),
        notes=tuple(notes),
    )
