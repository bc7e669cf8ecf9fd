"""Whether the monitor doubts the live model: green, amber or red, by the alerts about it.

The portfolio turns it into a margin (``portfolio.status``).
"""

from __future__ import annotations

from riskwright.errors import InputRefused
from riskwright.ledger import Ledger
from riskwright.systems.loans.portfolio.status import Status

RED_LIGHT = "red_light"  # code of the book's finding that a bad year doesn't explain


def status_of(ledger: Ledger, usecase: str) -> Status:
    """Return the status of the champion, by the alerts about its version that are not settled.

    - ``green``: there is none;
    - ``red``: one is critical, or holds the book's red light;
    - ``amber``: any other.

    An alert is settled when it is decided; one that was decided ``retrain`` when that retrain is
    finished. Another champion has alerts of its own. Nothing is stored: the status follows the
    ledger.

    Raises
    ------
    InputRefused
        If the use case has no champion.
    """
    champion = ledger.champion(usecase)
    if champion is None:
        raise InputRefused(
            f"{usecase} has no champion, so its model has no status",
            expected="a version that was promoted",
            do=f"run 'riskwright retrain {usecase}'",
        )
    asked = {request.alert_id for request in ledger.requests(usecase)}
    doubts = [
        alert
        for alert in ledger.alerts(usecase, open_only=False)
        if alert.version == champion.version and (alert.status == "open" or alert.id in asked)
    ]
    if not doubts:
        return "green"
    if any(
        alert.severity == "critical" or any(f.get("code") == RED_LIGHT for f in alert.findings)
        for alert in doubts
    ):
        return "red"
    return "amber"
