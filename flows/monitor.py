"""Monitor a batch against the champion's reference; findings past the limits open an alert."""

from __future__ import annotations

from typing import Any

from prefect import flow, task

from flows.runtime import prepare, world_failed


@task(retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=world_failed)
def monitor_task(usecase: str, input: str, labels: str | None) -> dict[str, Any]:
    """Look at one batch; write the report, the findings and, if need be, the alert."""
    from riskwright.monitoring.watch import watch
    from riskwright.usecase import load_usecase

    home, ledger = prepare(create=False)
    return watch(load_usecase(usecase, home), home, ledger, input=input, labels=labels)


@flow(name="monitor", validate_parameters=False)
def monitor_flow(usecase: str, input: str, labels: str | None = None) -> dict[str, Any]:
    """Look at one batch of scored cases, with labels where they have matured."""
    result: dict[str, Any] = monitor_task(usecase, input, labels)
    return result
