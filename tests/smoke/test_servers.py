"""The servers that riskwright stands on start, answer, and do what a bad pin would break."""

from __future__ import annotations

import time
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.server
def test_prefect_server_answers_its_client_and_schedules(
    tmp_path: Path, free_port: int, start
) -> None:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
    from prefect.client.schemas.schedules import CronSchedule

    address = f"http://127.0.0.1:{free_port}/api"
    start(
        ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(free_port)],
        f"{address}/health",
        {
            "PREFECT_HOME": str(tmp_path / "prefect"),
            "PREFECT_API_URL": address,
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
            "PREFECT_SERVER_UI_ENABLED": "false",
        },
    )
    with SyncPrefectClient(address) as client:
        # A null in the body: HTTP 422 with fastapi 0.154.
        assert client.read_flow_runs() == []

        # A cron schedule makes runs: it never does with SQLAlchemy 2.1.
        flow_id = client.create_flow_from_name("smoke")
        every_minute = DeploymentScheduleCreate(schedule=CronSchedule(cron="* * * * *"))
        deployment = client.create_deployment(flow_id, "smoke", schedules=[every_minute])
        of_this = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
        until = time.monotonic() + 60
        while not (runs := client.read_flow_runs(deployment_filter=of_this)):
            assert time.monotonic() < until, "the scheduler made no run within a minute"
            time.sleep(0.5)
        assert {run.state.name for run in runs} == {"Scheduled"}


@pytest.mark.slow
@pytest.mark.server
def test_mlflow_server_keeps_a_run(tmp_path: Path, free_port: int, start) -> None:
    from mlflow import MlflowClient

    address = f"http://127.0.0.1:{free_port}"
    start(
        [
            "mlflow", "server", "--host", "127.0.0.1", "--port", str(free_port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{tmp_path / 'mlflow.db'}",
            "--artifacts-destination", str(tmp_path / "artifacts"),
        ],
        f"{address}/health",
        {},
    )  # fmt: skip
    client = MlflowClient(tracking_uri=address)
    run = client.create_run(client.create_experiment("smoke"))
    client.log_metric(run.info.run_id, "auc", 0.75)
    client.log_text(run.info.run_id, "kept", "note.txt")
    assert client.get_run(run.info.run_id).data.metrics == {"auc": 0.75}
    assert [f.path for f in client.list_artifacts(run.info.run_id)] == ["note.txt"]
