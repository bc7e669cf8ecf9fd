"""Score on schedule: the same library call as ``riskwright score``, with a flow's retries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, task

from riskwright_flows.at_work import at_work
from riskwright_flows.runtime import prepare, world_failed


@task(retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=world_failed)
def score_task(usecase: str, input: str, output: str, version: str, reasons: str) -> dict[str, Any]:
    """Score one file with a registered version."""
    from riskwright.life import commands
    from riskwright.life.aliases import reconcile
    from riskwright.life.named import named

    home, ledger = prepare(create=False)
    reconcile(named(usecase, home, ledger).name, home, ledger)
    return commands.score(
        usecase,
        home,
        ledger,
        input=input,
        output=Path(output),
        version=version,
        reasons=reasons,
    )


@flow(name="score", validate_parameters=False)
@at_work(create=False)
def score_flow(
    usecase: str,
    input: str,
    output: str,
    version: str = "champion",
    reasons: str = "adverse",
) -> dict[str, Any]:
    """Score a file; refused rows go to a quarantine file beside the output."""
    result: dict[str, Any] = score_task(usecase, input, output, version, reasons)
    return result
