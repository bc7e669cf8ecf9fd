"""Score on schedule: the same library call as ``riskwright score``, with a flow's retries."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from prefect import flow, task

from riskwright_flows.at_work import at_work
from riskwright_flows.runtime import prepare, world_failed


@task(retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=world_failed)
def score_task(usecase: str, input: str, output: str, version: str, reasons: str) -> dict[str, Any]:
    """Score one file with a registered version."""
    from riskwright.life.aliases import reconcile
    from riskwright.life.named import named, of_cases, trouble
    from riskwright.systems.credit.promotion import load_version
    from riskwright.systems.credit.scoring import score_file
    from riskwright.systems.loans.prices import pricer

    home, ledger = prepare(create=False)
    found = named(usecase, home, ledger)
    name = of_cases(found)
    reconcile(name, home, ledger)
    bundle = load_version(home, ledger, name, version)
    price = pricer(home, ledger, bundle)
    done = score_file(bundle, input, Path(output), reasons=reasons, price=price)  # type: ignore[arg-type]
    done.warnings.extend(trouble(found, home, ledger))
    return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(done).items()}


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
