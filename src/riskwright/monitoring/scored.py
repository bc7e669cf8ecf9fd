"""Which version scored a batch's cases, and which of them it can be judged by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskwright.bundle.bundle import Bundle
from riskwright.data import snapshots
from riskwright.data.units import row_keys
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.monitoring.labels import Labels
from riskwright.monitoring.reference import Reference
from riskwright.usecase import UseCase

DECISIONS = {"approve", "refer", "decline"}
SAME_PD = 1e-6


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
    trained = _trained_on(usecase, home, ledger, bundle.version, accepted)
    counts = labels.counts | {
        "other_version": int((known & other).sum()),
        "trained_on": int((known & trained & ~other).sum()),
    }
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
        decision=decision,
        excluded=other | trained | (False if labels.excluded is None else labels.excluded),
        reference_decisions=lambda: bundle.score(reference.frame, reasons="none")["decision"],
    )


def _trained_on(
    usecase: UseCase, home: Home, ledger: Ledger, version: int, accepted: pd.DataFrame
) -> NDArray[np.bool_]:
    """Return which rows the version learnt from: their outcomes say nothing of it.

    A later case of a borrower whom it knows is none of them: that is what it will meet.
    """
    train = snapshots.read(ledger.version(usecase.name, version).evidence["train"], home)
    known = set(row_keys(usecase, train))
    return np.array([key in known for key in row_keys(usecase, accepted)], dtype=bool)
