"""What MLflow holds of a version, against the hashes that the ledger holds of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from riskwright.home import Home
from riskwright.ledger import Version
from riskwright.store.manifest import file_digest
from riskwright.store.seals import placed

# What a retrain logs of its evidence, beside each table (``.csv``) and the data-quality page.
LOGGED = ("evidence.json", "plots", "explanation", "backtest", "trials.json", "as_of.json")


def evidence_copies(
    client: Any, run_id: str, wanted: Mapping[str, str], *, all_logged: bool
) -> dict[str, str]:
    """Return which of the evidence's files MLflow lacks or holds otherwise, and what befell it.

    Parameters
    ----------
    wanted
        SHA-256 by the path in the run.
    all_logged
        Whether all of ``LOGGED`` were; of a version of before only what is there is held.
    """
    tops = {_top(name) for name in wanted}
    logged = {t for t in tops if t in LOGGED or t.endswith((".csv", ".html"))}
    return _copies(client, run_id, wanted, sorted(logged if all_logged else tops), all_logged)


def page_copies(client: Any, run_id: str, wanted: Mapping[str, str]) -> dict[str, str]:
    """Return which files of a look MLflow lacks or holds otherwise, and what befell it."""
    return _copies(client, run_id, wanted, sorted({_top(name) for name in wanted}), True)


def _copies(
    client: Any, run_id: str, wanted: Mapping[str, str], tops: Iterable[str], every: bool
) -> dict[str, str]:
    held = {entry.path for entry in client.list_artifacts(run_id)}
    wrong = {}
    with TemporaryDirectory() as place:
        for top in tops:
            if top not in held:
                if every:
                    wrong[top] = "is missing"
                continue
            path = Path(client.download_artifacts(run_id, top, place))
            for name in [n for n in wanted if _top(n) == top]:
                copy = path if name == top else path / name.removeprefix(f"{top}/")
                if not copy.is_file():
                    wrong[name] = "is missing"
                elif file_digest(copy) != wanted[name]:
                    wrong[name] = "was altered"
    return wrong


def addresses(client: Any, home: Home, version: Version) -> dict[str, str]:
    """Return which models MLflow's registry has lost, or would load from another place."""
    from mlflow.exceptions import MlflowException

    wrong = {}
    for model, ref in version.models.items():
        name = f"{ref.registered} version {ref.mlflow_version}"
        try:
            held = client.get_model_version(ref.registered, str(ref.mlflow_version))
            logged = client.get_logged_model(held.source.removeprefix("models:/"))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            wrong[name] = "is missing in its registry"
            continue
        if placed(home, logged.artifact_location) != placed(home, ref.uri):
            wrong[name] = f"leads to another {model} model ({logged.artifact_location})"
    return wrong


def _top(name: str) -> str:
    return PurePosixPath(name).parts[0]
