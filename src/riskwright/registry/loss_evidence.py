"""The evidence for LGD, EAD and the timing of defaults, on the test part of a loan book."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import logit
from scipy.stats import norm

from riskwright.bundle.loss import failed_loans, lgd_of
from riskwright.data import maturity
from riskwright.data.contract import target_of
from riskwright.usecase import UseCase

if TYPE_CHECKING:
    from riskwright.models.hazard import Hazard

YEAR = 12


def judge_loss(
    usecase: UseCase,
    frame: pd.DataFrame,
    pds: np.ndarray,
    hazard: Hazard | None,
    loss: dict[str, Any],
    folder: Path,
) -> dict[str, Any]:
    """Compare LGD, EAD and the timing of defaults with what happened to the test loans.

    Parameters
    ----------
    frame, pds
        Test loans (n,) and the deployed lifetime PDs.
    loss
        What ``fit_loss`` returned.
    folder
        Where ``expected_against_realised.csv`` goes: by month of issue, in money.

    Returns
    -------
    dict
        ``lgd`` (mean error against the constant's, with its standard error; ``constant`` says
        which of them is deployed), ``ead`` (predicted over realised), ``timing`` (share of loans
        that failed within twelve months, expected and realised).
    """
    from riskwright.models.exposure import Exposure
    from riskwright.models.severity import Severity

    held = maturity.loan_of(usecase)
    source = Path(loss["folder"])
    severity, exposure = Severity.load(source / "lgd"), Exposure.load(source / "ead.json")
    failed = failed_loans(usecase, frame)
    realised, owed = lgd_of(usecase, failed), maturity.owed_at_default(usecase, failed)
    found = severity.predict(failed[usecase.feature_names])
    gain = np.abs(found - realised) - np.abs(severity.mean - realised)
    se = float(gain.std(ddof=1) / np.sqrt(len(gain))) if len(gain) > 1 else float("inf")
    p = float(norm.cdf(gain.mean() / se)) if se > 0 and np.isfinite(se) else 1.0
    constant = not p < usecase.gates.alpha
    last = np.nan_to_num(maturity.months_between(failed[usecase.time], failed[held.closed]))
    scheduled = exposure.predict(failed[held.amount], failed[held.rate], failed[held.term], last)
    told: dict[str, Any] = {
        "failed": len(failed),
        "lgd": {
            "realised": float(np.average(realised, weights=owed)),
            "mean": severity.mean,
            "error_difference": float(gain.mean()),
            "se": se,
            "p": p,
            "constant": constant,
        },
        "ead": {"predicted_over_realised": float(scheduled.sum() / owed.sum())},
    }
    severity.constant = constant
    marginal = _marginal(usecase, frame, pds, hazard)
    if marginal is not None:
        month, ended = maturity.endings(usecase, frame)
        soon = (ended == maturity.FAILED) & (month <= YEAR)
        told["timing"] = {
            "expected_within_a_year": float(marginal[:, :YEAR].sum(axis=1).mean()),
            "realised_within_a_year": float(soon.mean()),
        }
        table = _by_vintage(usecase, frame, marginal, severity.predict, exposure.predict)
        table.to_csv(folder / "expected_against_realised.csv")
    return told


def _marginal(
    usecase: UseCase, frame: pd.DataFrame, pds: np.ndarray, hazard: Hazard | None
) -> np.ndarray | None:
    if hazard is None:
        return None
    held = maturity.loan_of(usecase)
    term = frame[held.term].to_numpy()
    margin = logit(np.clip(pds, 1e-6, 1 - 1e-6))
    return hazard.marginal_pd(margin, term, np.zeros(len(frame)), int(term.max()))


def _by_vintage(
    usecase: UseCase, frame: pd.DataFrame, marginal: np.ndarray, lgd: Any, ead: Any
) -> pd.DataFrame:
    """Expected and realised loans that fail, and money lost, by month of issue."""
    held = maturity.loan_of(usecase)
    share = lgd(frame[usecase.feature_names])
    money = np.zeros(len(frame))
    for j in range(marginal.shape[1]):
        # In default in month j + 1: the last payment was made the grace before.
        paid = np.full(len(frame), max(0, j + 1 - held.grace_months))
        owed = ead(frame[held.amount], frame[held.rate], frame[held.term], paid)
        money += marginal[:, j] * owed * share
    bad = target_of(usecase, frame).astype(bool)
    cost = np.zeros(len(frame))
    cost[bad] = lgd_of(usecase, frame[bad]) * maturity.owed_at_default(usecase, frame[bad])
    columns = pd.DataFrame(
        {
            "loans": 1,
            "expected_defaults": marginal.sum(axis=1),
            "defaults": bad.astype(int),
            "expected_loss": money,
            "loss": cost,
        }
    )
    vintage = frame[usecase.time].dt.to_period("M").astype("str").to_numpy()
    return columns.groupby(vintage).sum().rename_axis("vintage")
