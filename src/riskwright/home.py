"""Where things live on disk, and the settings (``RISKWRIGHT_*``) that move them."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
from pydantic_settings import BaseSettings, SettingsConfigDict

from riskwright.errors import InputRefused, Unavailable

# Every dependency's own switch; MLflow wants exactly "true".
TELEMETRY_OFF = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "ANONYMIZED_TELEMETRY": "false",
    "HF_HUB_OFFLINE": "1",
}

LEASES_ON_DISK = "prefect.server.concurrency.lease_storage.filesystem"


class Settings(BaseSettings):
    """Settings from the environment, each named ``RISKWRIGHT_`` and the field's name."""

    model_config = SettingsConfigDict(env_prefix="RISKWRIGHT_", frozen=True)

    home: Path | None = None
    data: str | None = None
    ledger_url: str | None = None
    mlflow_uri: str | None = None


class Home:
    """The folder that holds everything riskwright writes.

    Parameters
    ----------
    root
        The folder; by default ``RISKWRIGHT_HOME``, else the user's data folder.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.settings = Settings()
        chosen = root or self.settings.home or Path(platformdirs.user_data_dir("riskwright"))
        self.root = Path(chosen).expanduser().resolve()

    def create(self) -> Home:
        """Make the folder (readable by its owner alone).

        Raises
        ------
        Unavailable
            If it can't be made or written.
        """
        try:
            self.root.mkdir(
                mode=0o700, parents=True, exist_ok=True
            )  # one that exists keeps its own
        except OSError as error:
            raise Unavailable(
                f"the home can't be made: {error.strerror}",
                where=str(self.root),
                do="set RISKWRIGHT_HOME to a folder you may write",
            ) from error
        return self

    def existing(self) -> Home:
        """Return the home if it is there.

        Raises
        ------
        InputRefused
            If nothing was ever written there: a read command must not invent an empty home.
        """
        if self.root.is_dir() and not os.access(self.root, os.R_OK | os.X_OK):
            raise Unavailable(
                "the home belongs to another user",
                where=str(self.root),
                expected="a folder that this user may read",
                do="share it with a group (README, 'A second person')",
            )
        if not self.root.is_dir():
            raise InputRefused(
                "there is no home yet",
                where=str(self.root),
                expected="a folder that 'riskwright retrain' or 'riskwright demo' has made",
                do="run one of them first, or set RISKWRIGHT_HOME",
            )
        return self

    def folder(self, *parts: str) -> Path:
        """Return a folder of the home, made if it is missing."""
        path = self.root.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL of the ledger."""
        return self.settings.ledger_url or f"sqlite:///{self.root / 'ledger.db'}"

    @property
    def mlflow_uri(self) -> str:
        """MLflow tracking URI: a server's address, or the SQLite file in the home."""
        return self.settings.mlflow_uri or f"sqlite:///{self.root / 'mlflow.db'}"

    @property
    def data_mirror(self) -> str | None:
        """Folder or base URL that public data sets are read from instead of their publishers."""
        return self.settings.data


def cores() -> int:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1  # macOS doesn't tell which are ours


def quiet_environment(home: Home) -> None:
    """Set, before any library is imported, what keeps it offline, quiet and inside the home."""
    os.environ.update(TELEMETRY_OFF)
    for name, value in {
        "PREFECT_HOME": str(home.root / "prefect"),
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",  # its default is pickle
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_LOCAL_STORAGE_PATH": str(home.root / "prefect" / "results"),
        # Its default keeps who is at work in memory: a server that was killed never frees the slot.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES_ON_DISK,
        "MLFLOW_TRACKING_URI": home.mlflow_uri,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
        "KERAS_BACKEND": "tensorflow",
        "OMP_WAIT_POLICY": "PASSIVE",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MPLBACKEND": "Agg",
    }.items():
        os.environ.setdefault(name, value)
