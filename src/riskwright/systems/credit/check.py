"""What 'riskwright check' does: the contract's verdict and a quality report, nothing trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from riskwright.case.usecase import UseCase
from riskwright.data.ingest import ingest
from riskwright.home import Home
from riskwright.store.snapshots import read
from riskwright.systems.credit.report import data_quality_report


def check_data(usecase: UseCase, data: str | None, home: Home) -> dict[str, Any]:
    """Ingest, then describe the accepted rows.

    Raises
    ------
    InputRefused
        If the data can't be used to train: the same verdict that ``retrain`` would give.
    """
    found = ingest(usecase, data, home)
    told = quality_report(usecase, found.clean.hash, home)
    warnings = [*found.warnings, *([told] if isinstance(told, str) else [])]
    return {
        "usecase": usecase.name,
        "report": found.report,
        "warnings": warnings,
        "clean": found.clean.hash,
        "quarantine": str(found.quarantine) if found.quarantine else None,
        "quality_report": None if isinstance(told, str) else str(told),
    }


def quality_report(usecase: UseCase, clean: str, home: Home) -> Path | str:
    """Write Evidently's summary of a clean snapshot once.

    Returns
    -------
    The page's path, or a sentence that says why there is none; never raises for the data.
    """
    path = home.folder("reports", usecase.name) / f"quality-{clean[:16]}.html"
    if path.exists():
        return path
    return data_quality_report(usecase, read(clean, home), path)
