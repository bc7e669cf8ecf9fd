"""The append-only record of versions, promotions, alerts and decisions, with its audit chain."""

from riskwright.ledger.ledger import Ledger
from riskwright.ledger.records import (
    Alert,
    ChampionInfo,
    Decision,
    Event,
    FindingSet,
    Gate,
    Lease,
    ModelRef,
    Promotion,
    Reading,
    Request,
    Run,
    Verdict,
    Version,
)

__all__ = [
    "Alert",
    "ChampionInfo",
    "Decision",
    "Event",
    "FindingSet",
    "Gate",
    "Lease",
    "Ledger",
    "ModelRef",
    "Promotion",
    "Reading",
    "Request",
    "Run",
    "Verdict",
    "Version",
]
