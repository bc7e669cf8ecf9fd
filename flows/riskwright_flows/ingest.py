"""Ingest: raw rows to immutable snapshots, refused rows to quarantine, then the split."""

from __future__ import annotations

from typing import Any

from prefect import flow, task

from riskwright_flows import progress
from riskwright_flows.runtime import frozen, prepare, specification, world_failed


@task(retries=2, retry_delay_seconds=[1, 5], retry_condition_fn=world_failed)
def ingest_task(usecase: str, data: str | None) -> dict[str, Any]:
    """Read, check and store; the snapshots' names are their hashes."""
    from riskwright.data.ingest import ingest
    from riskwright.data.train_test import split

    home, _ = prepare()
    spec = specification(usecase)
    with progress.Step("ingest and check"):
        found = ingest(spec, data, home)
        train, test = split(spec, found.clean, home)
    return {
        "raw": found.raw.hash,
        "clean": found.clean.hash,
        "train": train.hash,
        "test": test.hash,
        "quarantine": str(found.quarantine) if found.quarantine else None,
        "report": found.report,
        "warnings": found.warnings,
    }


@task
def describe_task(usecase: str, clean: str) -> str:
    """Write the data-quality report, and make sure that MLflow answers, beside the first fits."""
    from riskwright.systems.credit.quality_report import quality_report_beside

    return quality_report_beside(usecase, clean)


@flow(name="ingest", validate_parameters=False)
def ingest_flow(usecase: str, data: str | None = None) -> dict[str, Any]:
    """Store what a source holds today as snapshots: raw, clean, train, test."""
    home, _ = prepare()
    result: dict[str, Any] = ingest_task(frozen(usecase, home), data)
    return result
