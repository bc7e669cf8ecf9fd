"""Which candidate becomes the challenger, by paired test and by calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from riskwright.case.usecase import UseCase
from riskwright.stats.calibration import ece, ece_when_calibrated
from riskwright.stats.estimates import Clusters, design_factor
from riskwright.stats.paired import compare_auc, compare_log_loss

# A calibration error below both moves no decision that a person would notice, however certain it
# is on many rows: two points of PD, and a fifth of the bad rate where that is less.
ECE_FLOOR, ECE_SHARE = 0.02, 0.2


@dataclass(frozen=True)
class Choice:
    """Which candidate becomes the challenger, and why."""

    kind: str
    why: str
    figures: dict[str, Any]


def choose_challenger(
    usecase: UseCase,
    y: np.ndarray,
    ensemble: np.ndarray,
    baseline: np.ndarray,
    seed: int,
    groups: Clusters | None = None,
) -> Choice:
    """The ensemble if it beats the baseline by a paired test, else the baseline.

    Of two that are as good by test, or where the ensemble is better, one that isn't calibrated
    gives way to one that is. Where neither is, the better one is shown with both figures, and the
    calibration gate stops it. An ensemble that is worse by test never takes over.

    Parameters
    ----------
    y, ensemble, baseline
        Outcomes (1 = bad) and PDs of the same test rows, shape (n,).
    groups
        Of ``units.clusters``, shape (n,): paired tests and the calibration's limit go by them.
    """
    loss = compare_log_loss(y, ensemble, baseline, groups)
    auc = compare_auc(y, ensemble, baseline, groups)
    figures = {
        "log_loss_difference": loss.difference,
        "log_loss_se": loss.se,
        "p": loss.p_greater,
        "auc_difference": auc.difference,
        "auc_se": auc.se,
    }
    told = f"log loss {loss.difference:+.4f} (se {loss.se:.4f}), {p_words(loss.p_greater)}"
    errors = {
        "ensemble": calibration_error(usecase, y, ensemble, seed, groups),
        usecase.baseline: calibration_error(usecase, y, baseline, seed, groups),
    }
    figures |= {
        "ece": errors["ensemble"].found,
        "ece_baseline": errors[usecase.baseline].found,
        "ece_limit": errors["ensemble"].allowed,
        "ece_limit_baseline": errors[usecase.baseline].allowed,
    }
    wrong = [name for name, error in errors.items() if not error.passed]
    more = _not_calibrated(errors, wrong)
    if loss.p_greater >= usecase.gates.alpha:
        why = f"the ensemble doesn't beat the {usecase.baseline} by test ({told})"
        worse = compare_log_loss(y, baseline, ensemble, groups).p_greater < usecase.gates.alpha
        if wrong == [usecase.baseline] and not worse:
            why += f"{more}: the ensemble, which isn't worse by test, is taken"
            return Choice("ensemble", why, figures)
        why += ": simple is enough"
        return Choice("baseline", why + more, figures)
    why = f"the ensemble beats the {usecase.baseline}: {told}"
    if wrong == ["ensemble"]:
        return Choice("baseline", f"{why}{more}: the baseline is taken", figures)
    return Choice("ensemble", why + more, figures)


def _not_calibrated(errors: Mapping[str, CalibrationError], wrong: list[str]) -> str:
    if not wrong:
        return ""
    each = ", ".join(
        f"{name} ECE {e.found:.4f}, limit {e.allowed:.4f}" for name, e in errors.items()
    )
    more = f"; not calibrated: {' and '.join(wrong)} ({each})"
    return more + (": neither can go live" if len(wrong) == 2 else "")


class CalibrationError(NamedTuple):
    """A calibration error, what a calibrated model stays below by chance, and the floor."""

    found: float
    limit: float
    floor: float

    @property
    def allowed(self) -> float:
        """The larger of both: below it nobody is stopped."""
        return max(self.limit, self.floor)

    @property
    def passed(self) -> bool:
        """Whether it stops nobody."""
        return self.found <= self.allowed


def calibration_error(
    usecase: UseCase, y: np.ndarray, p: np.ndarray, seed: int, groups: Clusters | None = None
) -> CalibrationError:
    """Return the error of PDs (n,) for outcomes (n,), its limit by chance, and the floor.

    The limit is simulated with independent rows; of ``groups`` (n,) it is as much larger as the
    error of the mean gap is by groups.
    """
    draws = ece_when_calibrated(p, seed=seed).draws
    limit = float(np.quantile(draws, usecase.gates.calibration_quantile))
    limit *= design_factor(y - p, groups)
    return CalibrationError(float(ece(y, p)), limit, min(ECE_FLOOR, ECE_SHARE * float(np.mean(y))))


def p_words(p: float) -> str:
    """Write a p-value for a person."""
    return "p < 0.001" if p < 0.001 else f"p {p:.3f}"
