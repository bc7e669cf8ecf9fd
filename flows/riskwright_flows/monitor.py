"""Monitor a batch against the champion's reference; findings past the limits open an alert."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prefect import flow, task
from prefect.client.schemas.objects import State
from prefect.states import Completed

from riskwright.life import commands
from riskwright_flows.at_work import at_work
from riskwright_flows.runtime import prepare, world_failed
from riskwright_flows.say import alert_words

THIS_MONTH = "this-month"  # a schedule can't write a date


@task(retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=world_failed)
def monitor_task(
    usecase: str, input: str | None, labels: str | None, as_of: str | None, version: str | None
) -> dict[str, Any]:
    """Look at one batch; write the report, the findings and, if need be, the alert."""
    home, ledger = prepare(create=False)
    if as_of == THIS_MONTH:
        as_of = datetime.now(UTC).date().replace(day=1).isoformat()
    return commands.monitor(
        usecase, home, ledger, input=input, labels=labels, as_of=as_of, version=version
    )


@flow(name="monitor", validate_parameters=False)
@at_work(create=False)
def monitor_flow(
    usecase: str,
    input: str | None = None,
    labels: str | None = None,
    as_of: str | None = None,
    version: str | None = None,
) -> State[dict[str, Any]]:
    """Look at a batch of scored cases, a loan book, or (without input) a market forecast.

    The state is "Completed" whatever was found; its message says whether an alert is open.
    ``as_of`` is a date, or ``this-month`` for its first day.
    """
    result: dict[str, Any] = monitor_task(usecase, input, labels, as_of, version)
    return Completed(message=alert_words(result), data=result)
