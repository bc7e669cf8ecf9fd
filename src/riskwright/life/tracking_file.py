"""MLflow's SQLite file in the home: made whole or not at all, and at home wherever the home is."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from riskwright.home import Home, make_database
from riskwright.store.writer import temporary, to_disk

# Where MLflow's own file keeps addresses of artifacts, from their root on.
ADDRESSES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}


def make_store(home: Home) -> None:
    """Make MLflow's SQLite file complete or not at all.

    MLflow migrates a new file in dozens of steps, and can't go on from one in which it was killed:
    the home would be lost. So it makes the file under another name.
    """
    path = Path(home.mlflow_uri.removeprefix("sqlite:///"))
    if not home.mlflow_uri.startswith("sqlite:///") or path.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with temporary(path) as part:
        make_database(part)
        store = SqlAlchemyStore(f"sqlite:///{part}", (home.root / "mlartifacts").as_uri())
        store.engine.dispose()
        to_disk(part)
        with suppress(FileExistsError):  # another process was faster: its file may be in use
            os.link(part, path)


def move_addresses(home: Home) -> None:
    """Make MLflow's file follow a home that was moved, or restored elsewhere.

    It keeps whole addresses, so it would write into the folder where the home once was, or find
    nothing. Artifacts that somebody put elsewhere stay where they are.
    """
    path = Path(home.mlflow_uri.removeprefix("sqlite:///"))
    here = home.root / "mlartifacts"
    if home.settings.mlflow_uri is not None or not path.is_file():
        return
    now = here.as_uri()
    with closing(sqlite3.connect(path, timeout=30)) as store, store:
        told = store.execute("SELECT artifact_location FROM experiments").fetchall()
        roots = {f"{a.rpartition('/mlartifacts')[0]}/mlartifacts" for (a,) in told if a}
        for was in roots - {now}:
            if not was.startswith("file:///"):
                continue
            for table, columns in ADDRESSES.items():
                for column in columns:
                    store.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608
                        f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                        (now, len(was) + 1, was, len(was) + 1, f"{was}/"),
                    )
