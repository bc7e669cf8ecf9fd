"""A bundle that MLflow serves is held against the ledger before anything of it is read."""

from __future__ import annotations

import json
from pathlib import Path

from riskwright.errors import IntegrityError, RiskwrightError
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.store import manifest


def registered_digest(folder: Path) -> str:
    """Return the digest that the ledger holds of a bundle; only what is registered is served.

    Raises
    ------
    IntegrityError
        If no ledger can be found, or it doesn't know the bundle, or rejected its version.
    """
    try:
        said = str(json.loads((folder / manifest.MANIFEST).read_bytes())["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        raise _refused(folder, f"its {manifest.MANIFEST} can't be read") from None
    try:
        with Ledger.open(Home().existing()) as ledger:
            known = [
                (version.version, version.status)
                for name in {e.use_case for e in ledger.events(kind="version.registered")}
                for version in ledger.versions(name)
                if any(ref.digest == said for ref in version.models.values())
            ]
    except RiskwrightError as error:
        raise _refused(folder, f"no ledger can be asked for its digest ({error.what})") from error
    if not known:
        raise _refused(folder, "the ledger knows no bundle with its digest: it was altered")
    number, status = known[-1]
    if status == "rejected":
        raise _refused(folder, f"version {number} was rejected")
    return said


def _refused(folder: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"this model isn't served: {why}",
        where=str(folder),
        expected="a bundle that the ledger of RISKWRIGHT_HOME (or RISKWRIGHT_LEDGER_URL) holds",
        do="serve it with 'riskwright serve USECASE', where that ledger is",
    )
