"""What the steps of a training about a loan book hand over beside credit's."""

from __future__ import annotations

from typing import Any

from riskwright.life.steps import Kept
from riskwright.systems.credit.records import CreditEvidence


class LossFit(Kept):
    """LGD and EAD, fitted.

    Attributes
    ----------
    failed
        How many loans they rest on.
    left_out
        How many other failed loans, by reason.
    lgd_mean
        Mean of their realised LGD, a share of what was owed.
    lgd_weights
        Of the families; empty: the mean is all.
    ead_ratio
        What was owed at default over what the schedule said.
    ccf
        Credit conversion factor of lines of credit; None where too few of them failed.
    """

    failed: int
    left_out: dict[str, int]
    lgd_mean: float
    lgd_weights: dict[str, float]
    ead_ratio: float
    ccf: float | None = None


class BookEvidence(CreditEvidence):
    """Every candidate on the test part, and what else a book's version holds.

    Attributes
    ----------
    loss
        LGD, EAD and the timing of defaults (``loss_evidence.judge_loss``).
    grades
        The vintages' calibration by grade (``vintages.judge_vintages``).
    """

    loss: dict[str, Any] | None = None
    grades: dict[str, Any] | None = None
