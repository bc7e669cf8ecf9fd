"""What can't be deployed, or can't run where it is deployed, is refused."""

from __future__ import annotations

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from riskwright.errors import InputRefused, Unavailable
from riskwright.home import refuse_relative
from riskwright_flows import deployed


def refusal(capsys: pytest.CaptureFixture[str], variables: list[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        deployed.require(variables)
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_what_is_unset_is_not_deployed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RISKWRIGHT_HERE", "/data/batch.csv")
    deployed.require(["RISKWRIGHT_HERE"])
    for empty in ("", "  "):
        monkeypatch.setenv("RISKWRIGHT_GONE", empty)
        told = refusal(capsys, ["RISKWRIGHT_HERE", "RISKWRIGHT_GONE"])
        assert "since RISKWRIGHT_GONE is unset" in told


def test_what_is_a_secret_is_not_deployed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prefect keeps each parameter, and shows it."""
    monkeypatch.setenv("RISKWRIGHT_HERE", "https://h/container/batch.csv?sp=r&sig=s3cret")
    told = refusal(capsys, ["RISKWRIGHT_HERE"])
    assert "s3cret" not in told
    assert "RISKWRIGHT_HERE" in told
    assert "a signature" in told
    monkeypatch.setenv("RISKWRIGHT_HERE", "https://h/batch.csv?page=3")
    deployed.require(["RISKWRIGHT_HERE"])


@pytest.mark.parametrize("value", ["batch.csv", "data/batch.csv", "../batch.csv"])
def test_what_is_seen_from_the_shell_is_not_deployed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    """A run starts in an empty folder of its own: nothing lies there."""
    monkeypatch.setenv("RISKWRIGHT_HERE", value)
    told = refusal(capsys, ["RISKWRIGHT_HERE"])
    assert f"{value!r} is a path seen from the folder of this shell" in told
    assert f'export RISKWRIGHT_HERE="$PWD/{value}"' in told
    monkeypatch.setenv("RISKWRIGHT_HERE", "~/batch.csv")
    deployed.require(["RISKWRIGHT_HERE"])


@pytest.mark.parametrize(
    ("name", "value", "fine"),
    [
        ("RISKWRIGHT_HOME", "home", False),
        ("RISKWRIGHT_HOME", "~/home", True),
        ("RISKWRIGHT_LEDGER_URL", "sqlite:///ledger.db", False),
        ("RISKWRIGHT_LEDGER_URL", "sqlite:////srv/ledger.db", True),
        ("RISKWRIGHT_LEDGER_URL", "postgresql+psycopg2://db/ledger", True),
        ("RISKWRIGHT_MLFLOW_URI", "sqlite:///mlflow.db", False),
        ("RISKWRIGHT_MLFLOW_URI", "http://127.0.0.1:5000", True),
        ("RISKWRIGHT_DATA", "mirror", False),
    ],
)
def test_a_deployed_run_refuses_a_home_in_the_folder_that_it_starts_in(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, fine: bool
) -> None:
    """That folder is removed after the run, and what it learnt with it."""
    refuse_relative()
    monkeypatch.setenv(name, value)
    if fine:
        refuse_relative()
        return
    with pytest.raises(InputRefused, match="an empty one of its own") as refused:
        refuse_relative()
    assert name in refused.value.where


def test_deploy_wants_a_server_and_a_name_that_is_there(
    free_port: int,
) -> None:
    with pytest.raises(InputRefused, match="no Prefect server is set"):
        deployed.deploy([])
    with pytest.raises(InputRefused, match="there is no deployment 'weakly'") as refused:
        deployed.deploy(["weakly"])
    assert refused.value.do == "did you mean 'weekly'?"
    address = {PREFECT_API_URL: f"http://127.0.0.1:{free_port}/api"}
    with (
        temporary_settings(address),
        pytest.raises(Unavailable, match="the Prefect server can't be reached"),
    ):
        deployed.deploy(["weekly"])
