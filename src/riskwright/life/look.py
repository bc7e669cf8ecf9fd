"""What every look of a monitor ends with: its page, its findings, its alert, its run in MLflow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from riskwright.case.base import Case
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life.findings import Severity, title_of
from riskwright.life.tracking import log_report
from riskwright.store.seals import seals
from riskwright.store.writer import write, write_json

PAGE, KEPT = "report.html", "findings.json"

Plain = Mapping[str, Any]
Severities = Callable[[Sequence[Plain]], Severity]


def folder_of(home: Home, told: Plain, labels: str = "") -> Path:
    """Return the folder of a look's page: of this batch, version, labels and verdicts alone.

    An alert cites the page, and a person decides by it: a look under another champion, with other
    labels or with other verdicts has a page of its own.

    Parameters
    ----------
    told
        Its ``usecase``, ``batch``, ``version`` and ``findings``.
    labels
        What names the outcomes that were known.
    """
    names = ("family", "code", "column", "segment", "direction", "verdict")
    verdicts = [[finding[name] for name in names] for finding in told["findings"]]
    digest = hashlib.sha256(json.dumps([labels, verdicts]).encode()).hexdigest()[:8]
    name = f"monitor-{told['batch'][:16]}-v{told['version']}-{digest}"
    return home.folder("reports", told["usecase"], name)


def finish(
    case: Case,
    home: Home,
    ledger: Ledger,
    told: dict[str, Any],
    *,
    folder: Path,
    draw: Callable[[Path], Callable[[Plain], str]],
    severity: Severities,
) -> dict[str, Any]:
    """Record the findings, write the page, open an alert if one is due, tell MLflow.

    A page that is there already stays as it is: looked at again, nothing is different.

    Parameters
    ----------
    told
        What the look answers; ``report``, ``alert`` and what is known of it are added.
    folder
        As ``folder_of`` gives it.
    draw
        Draws the page's pictures into the folder, and gives what makes its text of what is told:
        that is asked a second time, when the alert has a number.
    severity
        Of the findings that no decision covers.
    """
    page = folder / PAGE
    told |= {
        "looked_at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "report": str(page),
        "alert": None,
        "alert_open": False,
        "decided_before": 0,
    }
    render = None if (folder / KEPT).exists() else draw(folder)
    if render:
        write(page, render(told))
    name, version = told["usecase"], told["version"]
    ledger.record_findings(name, told["batch"], told["findings"], version)
    told |= _alert(ledger, told, severity)
    if render:
        write(page, render(told))
        write_json(folder / KEPT, told, default=str)
        ledger.seal(name, f"look with version {version}", seals(home, [folder]))
    kept = log_report(
        home,
        case,
        folder.name,
        "monitor",
        folder,
        params={"version": told["version"], "batch": told["batch"]},
        metrics={"alarms": sum(finding["alarm"] for finding in told["findings"])},
        tags={"riskwright.alert": str(told["alert"])},
    )
    return told | {name: value for name, value in kept.items() if name == "mlflow"}


def _alert(ledger: Ledger, told: Plain, severity: Severities) -> dict[str, Any]:
    """Open an alert if something alarms; whether it is open, and what was decided before."""
    alarms = [finding for finding in told["findings"] if finding["alarm"]]
    if not alarms:
        return {}
    name, batch, version = told["usecase"], told["batch"], told["version"]
    new = ledger.undecided(name, findings=alarms, batch_hash=batch, version=version)
    alert = ledger.open_alert(
        name,
        title=title_of(new or alarms),
        findings=alarms,
        severity=severity(new or alarms),
        batch_hash=batch,
        version=version,
        report=told["report"],
    )
    return {
        "alert": alert,
        "alert_open": ledger.alert(alert).status == "open",
        "decided_before": len(alarms) - len(new),
    }


def named(location: str) -> str:
    """Return the last part of a path or address: what a page may say of it, and no password."""
    return unquote(location.partition("?")[0].rpartition("@")[2].rstrip("/").rpartition("/")[2])
