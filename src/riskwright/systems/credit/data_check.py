"""What 'riskwright check' does: the contract's verdict and a quality report, nothing trained."""

from __future__ import annotations

from typing import Any

from riskwright.case.usecase import UseCase
from riskwright.data.ingest import ingest
from riskwright.home import Home
from riskwright.systems.credit.quality_report import write_quality_report


def check_data(usecase: UseCase, data: str | None, home: Home) -> dict[str, Any]:
    """Ingest, then describe the accepted rows.

    Raises
    ------
    InputRefused
        If the data can't be used to train: the same verdict that ``retrain`` would give.
    """
    found = ingest(usecase, data, home)
    told = write_quality_report(usecase, found.clean.hash, home)
    warnings = [*found.warnings, *([told] if isinstance(told, str) else [])]
    return {
        "usecase": usecase.name,
        "report": found.report,
        "warnings": warnings,
        "clean": found.clean.hash,
        "quarantine": str(found.quarantine) if found.quarantine else None,
        "quality_report": None if isinstance(told, str) else str(told),
    }
