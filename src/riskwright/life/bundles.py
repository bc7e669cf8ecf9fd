"""Open a bundle of any kind, as MLflow's servers, ``load_model`` and ``riskwright serve`` do."""

from __future__ import annotations

from pathlib import Path

from riskwright.life.guard import registered_digest
from riskwright.life.system import Served, case_in, system_of
from riskwright.store import manifest


def open_bundle(folder: Path, digest: str | None = None) -> Served:
    """Read a bundle of any kind.

    Parameters
    ----------
    digest
        What the ledger holds of it. Of a bundle that lies in an MLflow model, and of which no
        digest is given, the ledger is asked: MLflow's own servers and ``load_model`` come here.

    Raises
    ------
    IntegrityError
        If a file isn't what was sealed, or the ledger doesn't know the bundle.
    """
    if digest is None and (folder.parent.parent / "MLmodel").exists():
        digest = registered_digest(folder)
    manifest.verify(folder, digest)
    return system_of(case_in(folder).kind).open(folder, digest)
