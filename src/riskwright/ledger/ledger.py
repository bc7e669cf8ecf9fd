"""The ledger: one object that holds every part."""

from __future__ import annotations

from riskwright.ledger.alerts import Alerts
from riskwright.ledger.runs import Runs


class Ledger(Alerts, Runs):
    """The append-only record of versions, gates, promotions, alerts, decisions and runs.

    Every change is one transaction that writes its rows and an event of the audit chain. Open it
    with ``Ledger(url)`` or ``Ledger.open(home)``; see ``Store`` for the database behind it.
    """
