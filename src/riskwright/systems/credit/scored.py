"""Which version scored a batch's cases, and which of them it can be judged by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2

from riskwright.case.usecase import UseCase
from riskwright.data.contract import target_of
from riskwright.data.units import row_keys
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.store import snapshots
from riskwright.systems.credit.bundle import Bundle
from riskwright.systems.credit.labels import Labels
from riskwright.systems.credit.reference import Reference

DECISIONS = {"approve", "refer", "decline"}
SAME_PD = 1e-6
IDENTIFIES = 0.05  # chance of being like a training row, up to which content names a case
FAR_MORE, MOSTLY = 0.1, 0.5  # more than chance by this share, where it explains less than half
SENT_AGAIN_SHARE, TOO_ALIKE = 0.9, 1e-6


def recorded(labels: Labels) -> NDArray[np.float64]:
    """Return the version that is recorded for each row (n,), NaN where none is."""
    return np.full(len(labels.y), np.nan) if labels.version is None else labels.version


def scored_by(
    ledger: Ledger, usecase: UseCase, labels: Labels, accepted: pd.DataFrame
) -> NDArray[np.float64]:
    """Return the version that scored each row (n,); NaN where that can't be known.

    As recorded beside the outcomes or in the batch (``model_version``), else the version that was
    live at the row's time of decision, by the ledger's history.
    """
    by, history = recorded(labels), ledger.history(usecase.name)
    if usecase.time is None or usecase.time not in accepted or not history:
        return by
    told_since = ledger.live_since(usecase.name)[: len(history)]
    since = np.array([pd.Timestamp(at).tz_localize(None) for at in told_since], dtype="M8[us]")
    times = accepted[usecase.time].to_numpy(dtype="M8[us]")
    spot = np.searchsorted(since, times, side="right") - 1  # NaT sorts last
    live = np.array([p.version for p in history], dtype=np.float64)[spot]
    told = np.isnan(by) & (spot >= 0) & ~np.isnat(times)
    return np.where(told, live, by)


def most_of(by: NDArray[np.float64], labels: Labels) -> int | None:
    """Return the version that scored most of the rows whose outcome is known."""
    known = by[np.isfinite(labels.y) & np.isfinite(by)]
    if not len(known):
        return None
    versions, counts = np.unique(known, return_counts=True)
    return int(versions[counts.argmax()])


def judged_by(
    bundle: Bundle,
    home: Home,
    ledger: Ledger,
    reference: Reference,
    accepted: pd.DataFrame,
    labels: Labels,
    by: NDArray[np.float64],
) -> tuple[NDArray[np.float64], Labels]:
    """Score the rows, and leave out those whose outcomes say nothing of this version.

    Parameters
    ----------
    by
        Which version scored each row, shape (n,), NaN where unknown.

    Returns
    -------
    PDs (n,), and the labels with what was left out, the decisions, and the counts of both.
    """
    usecase = bundle.usecase
    scored = bundle.score(accepted, reasons="none")
    pds = scored["pd"].to_numpy()
    known = np.isfinite(labels.y)
    other = np.isfinite(by) & (by != bundle.version)
    train = snapshots.read(ledger.version(usecase.name, bundle.version).evidence["train"], home)
    trained, chance, cant = _trained_on(usecase, train, accepted, labels.y)
    counts = labels.counts | {
        "other_version": int((known & other).sum()),
        "trained_on": int((known & trained & ~other).sum()),
    }
    if chance is not None:
        counts["chance_alike"] = chance
    if labels.pd is not None:
        differs = np.abs(labels.pd - pds) > SAME_PD
        counts["pd_differs"] = int((differs & ~other).sum())
    decision = scored["decision"].to_numpy(dtype=object)
    if labels.decision is not None:
        told = np.isin(labels.decision.astype(str), list(DECISIONS))
        decision = np.where(told, labels.decision, decision)
    return pds, replace(
        labels,
        counts=counts,
        cant=cant,
        decision=decision,
        excluded=other | trained | (False if labels.excluded is None else labels.excluded),
        reference_decisions=lambda: bundle.score(reference.frame, reasons="none")["decision"],
    )


def _trained_on(
    usecase: UseCase,
    train: pd.DataFrame,
    accepted: pd.DataFrame,
    y: NDArray[np.float64],
) -> tuple[NDArray[np.bool_], float | None, str]:
    """Return which rows the version learnt from: their outcomes say nothing of it.

    A later case of a borrower whom it knows is none of them: that is what it will meet.

    Without an id a row is named by its content, and where few combinations of features are there,
    a new case is like a training row by chance. By which chance the training rows say themselves:
    the share of them that aren't alone (Good 1953, Biometrika 40, 237-264). Up to 5 % content
    names a case. Beyond, what is alike is judged, unless it is far more than chance brings, or the
    training rows were sent again: all, or a part that new cases may be among.

    Parameters
    ----------
    train
        Rows that the version learnt from.
    accepted, y
        Rows of the batch (n,) and their outcomes, NaN where unknown.

    Returns
    -------
    Mask (n,); the chance of being like a training row, where that is why rows are judged; and why
    nothing can be judged, if so.
    """
    names = row_keys(usecase, train)
    known = set(names)
    keys = row_keys(usecase, accepted)
    same = np.array([key in known for key in keys], dtype=bool)
    if usecase.id is not None or not same.any():
        return same, None, ""
    counts = pd.Series(names).value_counts()
    chance = 1 - float((counts == 1).sum()) / len(names)
    far_more = chance < MOSTLY and float(same.mean()) > chance + FAR_MORE
    labelled = pd.Series(keys)[same & np.isfinite(y)], y[same & np.isfinite(y)]
    learnt = pd.Series(names), target_of(usecase, train)
    if chance <= IDENTIFIES or far_more:
        return same, None, ""
    if _sent_again(labelled, learnt):
        if len(labelled[1]) >= SENT_AGAIN_SHARE * len(learnt[1]):
            return same, None, ""
        cant = (
            f"{same.mean():.0%} of the cases are alike with training rows, and their outcomes "
            "agree with these better than new cases' would: a part of the training rows seems to "
            "have been sent again, and which it is can't be told"
        )
        return np.zeros(len(keys), dtype=bool), chance, cant
    return np.zeros(len(keys), dtype=bool), chance, ""


def _sent_again(
    batch: tuple[pd.Series, NDArray[Any]], learnt: tuple[pd.Series, NDArray[Any]]
) -> bool:
    """Whether names and outcomes agree with the training rows' better than new cases' would.

    Chi-square of two samples' counts by name and outcome (Press et al., Numerical Recipes,
    14.3), in its lower tail. A part of f of the training rows leaves (1 - f) / (1 + f) of what new
    cases bring, so a small part of few combinations isn't noticed.
    """
    now, then = (pd.DataFrame({"key": k.to_numpy(), "y": y}).value_counts() for k, y in
                 (batch, learnt))  # fmt: skip
    both = pd.concat([now, then], axis=1).fillna(0.0).to_numpy()
    a, b = both.sum(axis=0)
    if a > b / SENT_AGAIN_SHARE:  # more rows than were learnt from
        return False
    gaps = (b / a) ** 0.5 * both[:, 0] - (a / b) ** 0.5 * both[:, 1]
    statistic = float((gaps**2 / both.sum(axis=1)).sum())
    return bool(chi2.cdf(statistic, max(len(both) - 1, 1)) < TOO_ALIKE)
