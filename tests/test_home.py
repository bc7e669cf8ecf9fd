"""What a home sets for the libraries, and what it knows of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from riskwright.home import LEASES_ON_DISK, Home, cores, quiet_environment

REPOSITORY = Path(__file__).resolve().parents[1]
LEASES = "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"


def test_cores_where_the_system_does_not_tell_which_are_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python on macOS has no os.sched_getaffinity."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert cores() == 8
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1


def test_a_server_keeps_on_disk_who_is_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect's default, memory, never frees the slot of a run that died with its server."""
    monkeypatch.delenv(LEASES, raising=False)
    quiet_environment(Home(tmp_path))
    assert os.environ[LEASES] == LEASES_ON_DISK
    from prefect.server.concurrency.lease_storage import get_concurrency_lease_storage

    assert get_concurrency_lease_storage().__class__.__module__ == LEASES_ON_DISK


@pytest.mark.parametrize("name", ["Dockerfile", "README.md"])
def test_every_description_of_a_server_says_so(name: str) -> None:
    told = (REPOSITORY / "deploy" / name).read_text(encoding="utf-8")
    assert f"{LEASES}={LEASES_ON_DISK}" in told


def test_the_servers_folder_outlives_its_container() -> None:
    compose = yaml.safe_load((REPOSITORY / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    prefect = compose["services"]["prefect"]
    volume, _, place = prefect["volumes"][0].partition(":")
    assert volume in compose["volumes"]
    assert prefect["environment"]["PREFECT_HOME"].startswith(place)
