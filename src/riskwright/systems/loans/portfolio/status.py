"""Model status moves the money: what a green, amber or red model adds to PD and expected loss.

The margins are a stated convention, not an estimate: a model that the monitor doubts is believed a
little less until somebody has decided about it. They are multiplied onto the odds of the PD, never
stored with it, so that a model that turns green again has its own figures back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from riskwright.errors import InputRefused
from riskwright.systems.loans.portfolio.checks import FloatArray, amounts, probabilities

Status = Literal["green", "amber", "red"]


@dataclass(frozen=True)
class Margin:
    """What a status adds: a factor on the odds of the PD, and a share of EL as overlay."""

    odds: float
    overlay: float


MARGINS: dict[Status, Margin] = {
    "green": Margin(1.0, 0.0),
    "amber": Margin(1.10, 0.05),
    "red": Margin(1.25, 0.15),
}


def pd_with_margin(pd: npt.ArrayLike, status: Status) -> FloatArray:
    """Return the PD with the status's margin on its odds; green changes nothing."""
    p = probabilities("pd", pd)
    factor = _margin(status).odds
    return np.asarray(factor * p / (1 - p + factor * p))


def overlay(expected_loss: npt.ArrayLike, status: Status) -> FloatArray:
    """Return the money that the status adds on top of each loan's expected loss."""
    return amounts("expected loss", expected_loss) * _margin(status).overlay


def _margin(status: Status) -> Margin:
    if status not in MARGINS:
        raise InputRefused(
            f"no model status is called {status!r}", expected=", ".join(get_args(Status))
        )
    return MARGINS[status]
