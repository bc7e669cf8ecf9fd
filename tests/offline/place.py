"""Where a test is at home."""

from __future__ import annotations

import pytest

from riskwright.home import Home


def enter(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set a home for a test and the processes that it starts."""
    for name, value in {
        "RISKWRIGHT_HOME": str(home.root),
        "MLFLOW_TRACKING_URI": home.mlflow_uri,
        "MLFLOW_REGISTRY_URI": home.mlflow_uri,  # MLflow leaves here what it was last told
        "PREFECT_HOME": str(home.root / "prefect"),
        "PREFECT_LOCAL_STORAGE_PATH": str(home.root / "prefect" / "results"),
    }.items():
        monkeypatch.setenv(name, value)
