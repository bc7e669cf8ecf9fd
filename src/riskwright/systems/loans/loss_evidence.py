"""The evidence for LGD, EAD and the timing of defaults, on the test part of a loan book."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logit
from scipy.stats import norm

from riskwright.case.usecase import UseCase
from riskwright.data import maturity
from riskwright.data.contract import target_of
from riskwright.data.losses import known_losses
from riskwright.data.outgoing import write_csv
from riskwright.ledger.tables import plain
from riskwright.life.steps import Kept
from riskwright.systems.loans.loss import (
    YEAR,
    drawn_before,
    lgd_of,
    owed_later,
    owed_within_the_year,
    year_of_default,
)

if TYPE_CHECKING:
    from riskwright.learn.hazard import Hazard
    from riskwright.systems.loans.exposure import Exposure
    from riskwright.systems.loans.severity import Severity

FloatArray = npt.NDArray[np.float64]


def judge_loss(
    usecase: UseCase,
    frame: pd.DataFrame,
    pds: np.ndarray,
    hazard: Hazard | None,
    loss: Kept,
    folder: Path,
    seen: pd.Timestamp | None = None,
) -> dict[str, Any]:
    """Compare LGD, EAD and the timing of defaults with what happened to the test loans.

    Standard errors take loans for independent: a bad year for all of them is not in them.

    Parameters
    ----------
    frame, pds
        Test loans (n,) and the deployed lifetime PDs.
    loss
        What ``fit_loss`` returned.
    folder
        Where ``expected_against_realised.csv`` goes: by month of issue, in money. ``unsettled``
        are failed loans whose loss isn't known: it counts as far as it was seen.
    seen
        Up to when recoveries were seen; the frame's own last date if None.

    Returns
    -------
    dict
        ``failed`` loans with a known loss, ``left_out`` (others, by reason); ``lgd`` (errors of
        each family beside the mean's; ``constant`` says which of them is deployed, as decided on
        training loans left out), ``ead`` (predicted over realised, of instalment loans and of lines
        of credit), ``timing`` (share of loans that failed within a year and within the months
        that count, expected and realised). None where fewer than two loans can tell.
    """
    from riskwright.systems.loans.exposure import Exposure
    from riskwright.systems.loans.severity import Severity

    source = loss.place
    severity, exposure = Severity.load(source / "lgd"), Exposure.load(source / "ead.json")
    known, left_out = known_losses(usecase, frame, seen)
    failed = frame[known]
    lgd = _lgd(usecase, failed, severity)
    margin = logit(np.clip(pds, 1e-6, 1 - 1e-6))
    chances = None if hazard is None else _that_year(usecase, failed, hazard, margin[known])
    told: dict[str, Any] = {
        "failed": len(failed),
        "left_out": left_out,
        "lgd": lgd,
        "ead": _ead(usecase, failed, exposure, chances),
    }
    if hazard is not None:
        marginal = _until_counted(usecase, frame, hazard, margin)
        told["timing"] = _timing(usecase, frame, marginal)
        live = severity.live(constant=lgd["constant"])
        table = _by_vintage(usecase, frame, marginal, live, exposure, known)
        write_csv(table, folder / "expected_against_realised.csv", index=True)
    return dict(plain(told))


def _that_year(
    usecase: UseCase, failed: pd.DataFrame, hazard: Hazard, margin: np.ndarray
) -> np.ndarray:
    """Chance of failing in each month of the year in which a loan failed."""
    term = failed[maturity.loan_of(usecase).term].to_numpy()
    return hazard.marginal_pd(margin, term, year_of_default(usecase, failed), YEAR)


def _until_counted(
    usecase: UseCase, frame: pd.DataFrame, hazard: Hazard, margin: np.ndarray
) -> np.ndarray:
    """Chance of failing in each month of a loan's life, 0 beyond the months that count."""
    counted = maturity.outcome_months(usecase, frame)
    term = frame[maturity.loan_of(usecase).term].to_numpy()
    marginal = hazard.marginal_pd(margin, term, np.zeros(len(frame)), int(counted.max()))
    marginal[np.arange(1, marginal.shape[1] + 1) > counted[:, None]] = 0.0
    return marginal


def _lgd(usecase: UseCase, failed: pd.DataFrame, severity: Severity) -> dict[str, Any]:
    """Errors weighted by exposure, as the loss in money is.

    Judged by squared error: it is least for the mean, which an expected loss needs. The absolute
    error, shown beside it, would favour a median. Which of them is deployed was decided on training
    loans left out (``p_left_out``); ``p`` is the same test here, and decides nothing.
    """
    realised, owed = lgd_of(usecase, failed), maturity.owed_at_default(usecase, failed)
    x = failed[usecase.feature_names]
    both = severity.predict(x)
    said = {**severity.predict_each(x), "two parts": both}
    share = owed / owed.sum()
    base = severity.mean - realised

    def errors(found: FloatArray) -> dict[str, float]:
        gap = found - realised
        return {"mae": float(share @ np.abs(gap)), "rmse": float(np.sqrt(share @ gap**2))}

    rows: dict[str, dict[str, float]] = {"mean": errors(np.full(len(realised), severity.mean))}
    for name, found in said.items():
        gap = found - realised
        mae, mae_se = _mean(np.abs(gap) - np.abs(base), owed)
        square, square_se = _mean(gap**2 - base**2, owed)
        rows[name] = errors(found) | {
            "mae_difference": mae,
            "mae_se": mae_se,
            "squared_difference": square,
            "squared_se": square_se,
        }
    gain, se = rows["two parts"]["squared_difference"], rows["two parts"]["squared_se"]
    p = float(norm.cdf(gain / se)) if se > 0 else 1.0
    constant = not severity.p < usecase.gates.alpha
    mean, mean_se = _mean(realised, owed)
    return {
        "realised": mean,
        "realised_se": mean_se,
        "mean": severity.mean,
        "predicted": severity.mean if constant else float(share @ both),
        "families": rows,
        "weights": severity.lost.weights if severity.lost else {},
        "p": p,
        "p_left_out": severity.p,
        "constant": constant,
        "deployed": "mean" if constant else "two parts",
    }


def _ead(
    usecase: UseCase, failed: pd.DataFrame, exposure: Exposure, chances: FloatArray | None
) -> dict[str, Any]:
    """Predicted over realised: of instalment loans at the last payment, of lines a year before.

    ``forecast`` is of instalment loans, without knowing the last payment: as seen at the start of
    the year of their life in which they were in default.
    """
    held = maturity.loan_of(usecase)
    owed = maturity.owed_at_default(usecase, failed)
    limit, before = maturity.credit_limits(usecase, failed), drawn_before(usecase, failed)
    line = ~np.isnan(limit)
    last = np.nan_to_num(maturity.months_between(failed[usecase.time], failed[held.closed]))
    scheduled = exposure.predict(failed[held.amount], failed[held.rate], failed[held.term], last)
    found = np.where(line, exposure.predict_lines(limit, before), scheduled)
    seen = line & ~np.isnan(before)
    ahead = owed_within_the_year(usecase, exposure, failed, chances)
    told: dict[str, Any] = {
        **_over(found, owed),
        "instalment": _over(found[~line], owed[~line]),
        "forecast": _over(ahead[~line], owed[~line]),
    }
    if not line.any():
        return {**told, "revolving": None}
    room = np.maximum(limit - before, 0.0)[seen]
    ccf, ccf_se = _mean(
        np.divide((owed - before)[seen], room, out=np.zeros(len(room)), where=room > 0), room
    )
    revolving = _over(found[seen], owed[seen]) | {
        "ccf": exposure.ccf,
        "ccf_se": exposure.ccf_error,
        "ccf_realised": ccf,
        "ccf_realised_se": ccf_se,
    }
    return {**told, "revolving": revolving}


def _timing(usecase: UseCase, frame: pd.DataFrame, marginal: FloatArray) -> dict[str, Any]:
    month, ended = maturity.endings(usecase, frame)
    failed = (ended == maturity.FAILED) & (month <= YEAR)
    told = {}
    for name, p, happened in (
        ("within_a_year", marginal[:, :YEAR].sum(axis=1), failed),
        ("lifetime", marginal.sum(axis=1), target_of(usecase, frame) == 1),
    ):
        told[name] = {
            "expected": float(p.mean()),
            "realised": float(happened.mean()),
            # Of the realised share, were the expected PDs right.
            "se": float(np.sqrt((p * (1 - p)).sum()) / len(p)),
        }
    return told


def _by_vintage(
    usecase: UseCase,
    frame: pd.DataFrame,
    marginal: FloatArray,
    severity: Severity,
    exposure: Exposure,
    known: npt.NDArray[np.bool_],
) -> pd.DataFrame:
    """Expected and realised loans that fail, and money lost, by month of issue."""
    owed = owed_later(usecase, exposure, frame, marginal.shape[1])
    share = severity.predict(frame[usecase.feature_names])
    bad = target_of(usecase, frame).astype(bool)
    cost = np.zeros(len(frame))
    money = maturity.owed_at_default(usecase, frame)
    cost[bad] = np.nan_to_num(lgd_of(usecase, frame[bad]) * money[bad])
    columns = pd.DataFrame(
        {
            "loans": 1,
            "expected_defaults": marginal.sum(axis=1),
            "defaults": bad.astype(int),
            "expected_loss": (marginal * owed).sum(axis=1) * share,
            "loss": cost,
            "unsettled": (bad & ~known & ~(money <= 0)).astype(int),
        }
    )
    vintage = frame[usecase.time].dt.to_period("M").astype("str").to_numpy()
    return columns.groupby(vintage).sum().rename_axis("vintage")


def _mean(values: FloatArray, weight: FloatArray) -> tuple[float, float]:
    """Weighted mean of loans, and its standard error; NaN where fewer than two are there."""
    total = float(weight.sum())
    if len(values) < 2 or total <= 0:
        return float("nan"), float("nan")
    mean = float((weight * values).sum() / total)
    return mean, float(np.sqrt(((weight * (values - mean)) ** 2).sum())) / total


def _over(predicted: FloatArray, realised: FloatArray) -> dict[str, float]:
    """Predicted over realised money, with its standard error by loan, and how many loans."""
    known = np.isfinite(predicted) & (realised > 0)
    ratio, se = _mean(predicted[known] / realised[known], realised[known])
    return {"loans": int(known.sum()), "predicted_over_realised": ratio, "se": se}
