"""riskwright: train, promote and watch financial models, and keep the evidence.

The names below are the door for Python, such as in a notebook; each loads what it needs when it is
first used::

    import riskwright as rw

    done = rw.retrain("credit_assessment")      # a bar; then candidates, gates, verdict
    rw.candidates("credit_assessment")          # what waits for a second person
    scores = rw.score("credit_assessment", frame).frame

They do what the commands of the same names do, in the home that ``RISKWRIGHT_HOME`` names. Who acts
is the account of the process. What goes wrong is a ``RiskwrightError``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from riskwright.version import __version__

if TYPE_CHECKING:
    from riskwright.door.cases import check, use_case
    from riskwright.door.decisions import alerts, approve, decide
    from riskwright.door.money import forecast, value_book
    from riskwright.door.scores import explain, score
    from riskwright.door.training import candidates, retrain
    from riskwright.door.watch import monitor
    from riskwright.errors import (
        Conflict,
        GateRefused,
        InputRefused,
        IntegrityError,
        RiskwrightError,
        Unavailable,
    )

# Where each name lies. A subpackage of the same name would take its place once it is imported.
_NAMES = {
    "riskwright.door.cases": ("use_case", "check"),
    "riskwright.door.training": ("retrain", "candidates"),
    "riskwright.door.decisions": ("approve", "alerts", "decide"),
    "riskwright.door.scores": ("score", "explain"),
    "riskwright.door.watch": ("monitor",),
    "riskwright.door.money": ("value_book", "forecast"),
    "riskwright.errors": (
        *("RiskwrightError", "InputRefused", "GateRefused", "IntegrityError"),
        *("Unavailable", "Conflict"),
    ),
}
_WHERE = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "Conflict",
    "GateRefused",
    "InputRefused",
    "IntegrityError",
    "RiskwrightError",
    "Unavailable",
    "__version__",
    "alerts",
    "approve",
    "candidates",
    "check",
    "decide",
    "explain",
    "forecast",
    "monitor",
    "retrain",
    "score",
    "use_case",
    "value_book",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'riskwright' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_WHERE[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
