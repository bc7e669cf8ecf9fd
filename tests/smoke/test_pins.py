"""Versions that look compatible and are not stay out of the lock."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from packaging.version import Version


@pytest.mark.parametrize(
    ("name", "below", "because"),
    [
        ("fastapi", "0.151", "Prefect 3.8.8's server answers 422 to null, or does not start"),
        ("sqlalchemy", "2.1", "Prefect 3.8.8's scheduler creates no cron runs"),
        ("pandas", "3.1", "evidently 0.7.23 can't be imported"),
        ("plotly", "6", "evidently 0.7.23 does not work with it"),
    ],
)
def test_version_is_below(name: str, below: str, because: str) -> None:
    assert Version(version(name)) < Version(below), because


@pytest.mark.parametrize(
    ("name", "least", "because"),
    [
        ("keras", "3.11", "a .keras file could run code in spite of safe_mode (CVE-2025-9906)"),
        ("mlflow", "3.16.1", "a default admin password shipped (CVE-2026-2635)"),
    ],
)
def test_version_is_at_least(name: str, least: str, because: str) -> None:
    assert Version(version(name)) >= Version(least), because


def test_xgboost_is_the_cpu_package_alone() -> None:
    from importlib.metadata import packages_distributions

    assert packages_distributions()["xgboost"] == ["xgboost-cpu"]
