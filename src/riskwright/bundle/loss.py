"""From a training snapshot to LGD, EAD and the timing of defaults: the other models of a book."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import logit

from riskwright.bundle.candidates import Progress, new_part, publish
from riskwright.data import maturity, snapshots
from riskwright.data.contract import target_of
from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.usecase import UseCase

if TYPE_CHECKING:
    from riskwright.models.hazard import Hazard

FEWEST = 30  # failed loans, under which LGD and EAD can't be learnt


def fit_loss(
    usecase: UseCase,
    home: Home,
    *,
    train: str,
    seed: int,
    folder: Path,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Fit LGD and EAD on the failed loans of a training snapshot.

    Returns
    -------
    dict
        ``folder``, ``sha256``, ``failed`` (how many loans), ``lgd_mean`` and ``ead_ratio``.

    Raises
    ------
    InputRefused
        If fewer than 30 loans failed.
    """
    from riskwright.models.exposure import Exposure
    from riskwright.models.severity import Severity

    held = maturity.loan_of(usecase)
    frame = failed_loans(usecase, snapshots.read(train, home))
    if len(frame) < FEWEST:
        raise InputRefused(
            f"{len(frame)} loans of the training part failed and owed something",
            expected=f"at least {FEWEST}, to learn LGD and EAD from",
            do="bring more data, or set models: [pd]",
        )
    owed = maturity.owed_at_default(usecase, frame)
    last = maturity.months_between(frame[usecase.time], frame[held.closed])
    exposure = Exposure.fit(
        frame[held.amount], frame[held.rate], frame[held.term], np.nan_to_num(last), owed
    )
    severity = Severity.fit(
        usecase.schema_,
        frame[usecase.feature_names],
        lgd_of(usecase, frame),
        owed,
        families=[n for n, f in usecase.families.items() if f.ensemble and n != "scorecard"],
        seed=seed,
        progress=progress,
    )
    part = new_part(folder)
    severity.save(part / "lgd")
    exposure.save(part / "ead.json")
    return {
        "folder": str(folder),
        "sha256": publish(part, folder),
        "failed": len(frame),
        "lgd_mean": severity.mean,
        "ead_ratio": exposure.ratio,
    }


def failed_loans(usecase: UseCase, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the loans that failed and still owed something."""
    bad = target_of(usecase, frame).astype(bool)
    return frame[bad & (maturity.owed_at_default(usecase, frame) > 0)]


def lgd_of(usecase: UseCase, frame: pd.DataFrame) -> np.ndarray:
    """Realised LGD of failed loans, shape (n,)."""
    from riskwright.models.severity import realised_lgd

    held = maturity.loan_of(usecase)
    return realised_lgd(
        maturity.owed_at_default(usecase, frame),
        frame[held.recovered],
        frame[held.recovery_costs],
        frame[held.rate],
        held.recovery_months,
    )


def fit_hazard(usecase: UseCase, frame: pd.DataFrame, oof_pd: np.ndarray) -> Hazard:
    """Fit the timing of defaults on training loans and their out-of-fold PDs (NaN: left out)."""
    from riskwright.models.hazard import Hazard

    held = maturity.loan_of(usecase)
    known = np.isfinite(oof_pd)
    month, ended = maturity.endings(usecase, frame)
    return Hazard.fit(
        logit(np.clip(oof_pd[known], 1e-6, 1 - 1e-6)),
        frame[held.term].to_numpy()[known],
        month[known],
        ended[known],
    )
