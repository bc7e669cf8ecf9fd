"""Close what ended badly: runs that failed, and those whose process died without a word."""

from __future__ import annotations

import logging
from contextlib import suppress

from riskwright.home import Home
from riskwright.ledger import Ledger


def close_runs(home: Home, ledger: Ledger) -> None:
    """Mark every run crashed whose owner holds no lease, in the ledger and in MLflow.

    A process killed with -9 leaves its runs "Running" for ever in MLflow, and in an orchestrator.
    MLflow's trouble, or a run that somebody deleted there, stops nothing that begins now.
    """
    from riskwright.life.tracking import connect

    stale = [r for r in ledger.reap() if r.mlflow_run_id]
    if stale:
        try:
            client = connect(home)
            for run in stale:
                if client.get_run(run.mlflow_run_id).info.status == "RUNNING":
                    client.set_terminated(run.mlflow_run_id, status="KILLED")
        except Exception as error:  # noqa: BLE001  (whatever MLflow says, a look goes on without it)
            logging.getLogger(__name__).warning("MLflow still has a dead run at work: %s", error)


def mark_failed(home: Home, ledger: Ledger, usecase: str, key: str, error: BaseException) -> None:
    """Close the run of this key as failed, in the ledger and in MLflow."""
    from riskwright.life.tracking import connect

    detail = str(error) or type(error).__name__
    for run in ledger.runs(usecase, status="running"):
        if run.run_key == key:
            ledger.finish_run(run.id, "failed", detail)
            if run.mlflow_run_id:
                with suppress(Exception):  # MLflow itself may be what failed, or it lost the run
                    connect(home).set_terminated(run.mlflow_run_id, status="FAILED")
