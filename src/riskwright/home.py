"""Where things live on disk, and the settings (``RISKWRIGHT_*``) that move them."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

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


HERE = "home:"
# The folders of a home that the ledger's records name.
ROOMS = ("work", "mlartifacts", "bundles", "reports", "snapshots", "usecases", "demo")
# The keys of the ledger's records whose values this library wrote. What stands under others
# ("data") was named by hand, and may lie anywhere.
OURS = ("folder", "uri", "report")


class Settings(BaseSettings):
    """Settings from the environment, each named ``RISKWRIGHT_`` and the field's name."""

    model_config = SettingsConfigDict(env_prefix="RISKWRIGHT_", frozen=True)

    home: Path | None = None
    data: str | None = None
    ledger_url: str | None = None
    mlflow_uri: str | None = None


def refuse_relative() -> None:
    """Refuse settings that name a place seen from the folder in which a process was started.

    Each run of a deployment starts in an empty folder of its own, which is removed after it: a
    relative home would be made there, be empty, and be gone with it.

    Raises
    ------
    InputRefused
        If the home, the ledger, MLflow's store or the mirror of public data is such a place.
    """
    for name, value in Settings().model_dump(exclude_none=True).items():
        scheme, mark, rest = str(value).partition("://")
        place = rest[1:] if scheme.startswith("sqlite") else "/" if mark else str(value)
        if not Path(place).expanduser().is_absolute():
            raise InputRefused(
                f"{value} is seen from the folder that a run starts in, an empty one of its own",
                where=f"RISKWRIGHT_{name.upper()}, in the environment of the worker",
                expected="an absolute path (of SQLite: sqlite:////four/slashes)",
                do="set it, and start the worker again",
            )


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
        """Make the folder (readable by its owner alone); one that is there keeps its mode.

        Where its group may write, this process makes everything so (``_share``).

        Raises
        ------
        Unavailable
            If it can't be made or written.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(
                f"the home can't be made: {error.strerror}",
                where=str(self.root),
                do="set RISKWRIGHT_HOME to a folder you may write",
            ) from error
        self._share()
        return self

    def _share(self) -> None:
        """Make what this process writes follow a home that a group shares.

        The umask covers what we and every library make; SQLite and temporary files, which don't
        follow it, go through ``fit``. The folder's set-group-id bit hands its group down.
        """
        if not is_shared(self.root):
            return
        mode = self.root.stat().st_mode
        os.umask(0o777 & ~mode)
        if not mode & stat.S_ISGID:
            with suppress(PermissionError):  # its owner's to do; 'doctor' tells him
                self.root.chmod(stat.S_IMODE(mode) | stat.S_ISGID)

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
        self._share()
        return self

    def folder(self, *parts: str) -> Path:
        """Return a folder of the home, made if it is missing."""
        path = self.root.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def shorten(self, value: Any) -> Any:
        """Return a value for the ledger: what lies in this home as ``home:`` and its path there.

        Dictionaries and lists are gone through; addresses of files (``file:``) count as paths. So a
        home can be moved, and restored elsewhere: nothing that is hashed says where it was.
        """
        if isinstance(value, dict):
            return {k: self.shorten(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.shorten(v) for v in value]
        if isinstance(value, str) and (path := _as_path(value)) and path.is_relative_to(self.root):
            return HERE + path.relative_to(self.root).as_posix()
        return value

    def find(self, value: Any, ours: bool = True) -> Any:
        """Return what ``shorten`` made short, as paths in this home.

        Homes of before kept whole paths and addresses: one that this library wrote into a home,
        wherever that lay, is one into this home, the file missing or not. A copy never reads the
        original instead.

        Parameters
        ----------
        ours
            Whether this library wrote the value; of dictionaries the key says it (``OURS``). What a
            person named is in this home only if it is found there.
        """
        if isinstance(value, dict):
            return {k: self.find(v, k in OURS) for k, v in value.items()}
        if isinstance(value, list):
            return [self.find(v, ours) for v in value]
        if not isinstance(value, str):
            return value
        if value.startswith(HERE):
            return str(self.root / value.removeprefix(HERE))
        path = _as_path(value)
        if path is None or path.is_relative_to(self.root):
            return value
        ends = [
            self.root.joinpath(*path.parts[i:])
            for i, part in enumerate(path.parts)
            if part in ROOMS and _was_home(Path(*path.parts[:i]))
        ]
        last = ends[-1] if ends and ours else value
        return str(next((end for end in ends if end.exists()), last))

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


def _as_path(value: str) -> Path | None:
    """An absolute path, or the path of a ``file:`` address; None for any other text."""
    if value.startswith("file:///"):
        return Path(unquote(urlparse(value).path))
    return Path(value) if value.startswith("/") else None


def _was_home(folder: Path) -> bool:
    """Whether a folder is a home, or one that was moved away.

    Its ledger may be on a server; a folder called ``snapshots`` alone is in many a store of data.
    """
    if not folder.exists() or (folder / "ledger.db").exists():
        return True
    return (folder / "snapshots").exists() and (folder / "work").exists()


def is_shared(folder: Path) -> bool:
    """Whether a group works in a folder: it may write there, and not everybody may."""
    return folder.stat().st_mode & 0o022 == 0o020


def fit(path: Path) -> bool:
    """Give a file or folder the group and the rights of the shared folder that it lies in.

    Returns
    -------
    bool
        Whether it has them; only its owner can change it. A folder that isn't shared asks nothing.
    """
    if not is_shared(path.parent):
        return True
    above, mine = path.parent.stat(), path.stat()
    right = above.st_mode & (0o2777 if path.is_dir() else 0o666)
    right |= 0 if path.is_dir() else mine.st_mode & 0o110
    try:
        if mine.st_gid != above.st_gid:
            os.chown(path, -1, above.st_gid)
        if stat.S_IMODE(path.stat().st_mode) != right:
            path.chmod(right)
    except PermissionError:
        return False
    return True


def make_database(path: Path) -> None:
    """Make an SQLite file before a library does, so that it follows its folder.

    SQLite gives a file of its own making 0644 at most; the journals beside a file take its mode.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))
    fit(path)


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
        # Prefect makes this note to itself 0600, whatever the umask: so one for each account.
        "PREFECT_MEMO_STORE_PATH": str(home.root / "prefect" / f"memo_store.{os.getuid()}.toml"),
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
