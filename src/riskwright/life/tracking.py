"""What MLflow remembers of a retrain: a parent run, a child for each family, the model.

Every write is idempotent by the retrain's key, so that a killed retrain goes on in the same
runs and leaves no second parent and no orphan version.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from riskwright.case.base import Case
from riskwright.errors import Unavailable
from riskwright.home import Home, fit
from riskwright.ledger import ModelRef
from riskwright.life.system import system_of
from riskwright.life.tracking_file import make_store, move_addresses
from riskwright.store import writer
from riskwright.store.provenance import plugged_in
from riskwright.store.seals import placed
from riskwright.store.snapshots import Snapshot

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

KEY, ROLE, VERSION = "riskwright.key", "riskwright.role", "riskwright.version"
PARENT = "retrain"
ALIAS_TRIES = 10


class Tracker:
    """Writes one retrain of one use case to MLflow.

    Parameters
    ----------
    home
        Says where MLflow is: a server's address, or a SQLite file in the home.
    usecase
        Its name is the experiment's name.
    key
        The retrain's key: what makes a second call find the first one's runs.
    """

    def __init__(self, home: Home, usecase: Case, key: str) -> None:
        self.home, self.usecase, self.key = home, usecase, key
        self.client = connect(home)
        self.experiment = _experiment(self.client, home, usecase.name)

    def run(self, role: str, parent: str | None = None) -> str:
        """Return the id of the run with this role, made if it is missing."""
        wanted = f"tags.`{KEY}` = '{self.key}' and tags.`{ROLE}` = '{role}'"
        found = self.client.search_runs([self.experiment], wanted, max_results=1)
        if found:
            run_id: str = found[0].info.run_id
            if found[0].info.status != "RUNNING":
                self.client.update_run(run_id, status="RUNNING")
            return run_id
        tags = {KEY: self.key, ROLE: role}
        if parent:
            tags["mlflow.parentRunId"] = parent
        name = self.usecase.name if parent is None else role
        made = self.client.create_run(self.experiment, tags=tags, run_name=name)
        return str(made.info.run_id)

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, object] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        artifacts: Iterable[Path] = (),
        finish: bool = True,
    ) -> None:
        """Write parameters, metrics, tags and files (or folders) to a run in one batch each."""
        from mlflow.entities import Metric, Param, RunTag

        started = self.client.get_run(run_id).info.start_time
        self.client.log_batch(
            run_id,
            # The run's own start as time stamp: a second write repeats the same points.
            metrics=[Metric(k, float(v), started, 0) for k, v in (metrics or {}).items()],
            params=[Param(k, str(v)[:6000]) for k, v in (params or {}).items()],
            tags=[RunTag(k, v) for k, v in (tags or {}).items()],
        )
        for path in artifacts:
            self._make_way(run_id, path.name)
            if path.is_dir():
                self.client.log_artifacts(run_id, str(path), path.name)
            elif path.exists():
                self.client.log_artifact(run_id, str(path))
        if finish:
            self.client.set_terminated(run_id)

    def _make_way(self, run_id: str, name: str) -> None:
        """Remove what a colleague logged in this run under this name.

        MLflow copies over it and sets its times and mode, which only its owner may.
        """
        root = local_path(self.client.get_run(run_id).info.artifact_uri)
        target = root / name if root else None
        if target is None or not target.exists():
            return
        mine = os.getuid()
        if all(p.stat().st_uid == mine for p in (target, *target.rglob("*"))):
            return
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink()

    def log_snapshots(self, run_id: str, snapshots: Mapping[str, Snapshot]) -> None:
        """Write snapshots as the inputs of a run: name, hash and where they lie."""
        from mlflow.data.dataset_source_registry import resolve_dataset_source
        from mlflow.data.meta_dataset import MetaDataset
        from mlflow.entities import DatasetInput, InputTag

        inputs = []
        for context, snapshot in snapshots.items():
            with warnings.catch_warnings():
                # MLflow registers its local source twice and says so at each call.
                warnings.simplefilter("ignore", UserWarning)
                source = resolve_dataset_source(str(snapshot.path))
            dataset = MetaDataset(source, name=context, digest=snapshot.hash[:32])
            tag = InputTag("mlflow.data.context", context)
            inputs.append(DatasetInput(dataset._to_mlflow_entity(), [tag]))
        self.client.log_inputs(run_id, inputs)

    def log_model(self, run_id: str, model: str, bundle: Path, version: int) -> dict[str, Any]:
        """Log a sealed bundle as a pyfunc (models from code) and register it, once.

        Returns
        -------
        dict
            ``registered`` name, MLflow ``version`` and ``uri`` of the files.
        """
        import mlflow

        name = f"{self.usecase.name}.{model}"
        registered = self.client.search_model_versions(f"name='{name}'")
        found = [v for v in registered if v.tags.get(VERSION) == str(version)]
        if found:
            logged = mlflow.get_logged_model(found[0].source.removeprefix("models:/"))
            return {
                "registered": name,
                "version": int(found[0].version),
                "uri": logged.artifact_location,
            }
        # The other models of the set are logged by the same run.
        of_run = self.client.search_model_versions(f"run_id='{run_id}'")
        kept = {v.source.removeprefix("models:/") for v in (*registered, *of_run)}
        for logged in self._logged_models(run_id):
            if logged not in kept:  # of a retrain that was killed before it registered it
                self.client.delete_logged_model(logged)
        with warnings.catch_warnings():
            # Our contract, not type hints or an example row, says what the input is.
            warnings.simplefilter("ignore", UserWarning)
            with mlflow.start_run(run_id=run_id):
                info = mlflow.pyfunc.log_model(
                    name=f"{model}_v{version}",
                    python_model=str(resources.files("riskwright.life") / "served.py"),
                    artifacts={"bundle": str(bundle)},
                    pip_requirements=["riskwright", *_brought(self.usecase)],
                    signature=_signature(self.usecase, model),
                )
        if not registered and not self.client.search_registered_models(f"name='{name}'"):
            self.client.create_registered_model(name, description=self.usecase.question)
        made = self.client.create_model_version(
            name,
            source=info.model_uri,
            run_id=run_id,
            tags={KEY: self.key, VERSION: str(version)},
            model_id=info.model_id,
        )
        location = mlflow.get_logged_model(info.model_id).artifact_location
        for path in sorted((local_path(location) or Path(os.devnull)).rglob("*")):
            fit(path)  # MLflow's copies keep the mode of what they are of
        return {"registered": name, "version": int(made.version), "uri": location}

    def _logged_models(self, run_id: str) -> list[str]:
        found = self.client.search_logged_models(
            [self.experiment], filter_string=f"source_run_id='{run_id}'"
        )
        return [model.model_id for model in found]


def connect(home: Home) -> MlflowClient:
    """Return a client of the home's MLflow.

    Raises
    ------
    Unavailable
        If a server is set and doesn't answer.
    """
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # MLflow's own 7 would wait four minutes for a server that is down; our flows retry as well.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    import logging

    import mlflow
    from mlflow import MlflowClient

    for noisy in ("alembic", "mlflow.store.db.utils", "mlflow.tracking.fluent"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    mlflow.set_tracking_uri(home.mlflow_uri)
    mlflow.set_registry_uri(home.mlflow_uri)
    try:
        make_store(home)
        move_addresses(home)
        client = MlflowClient()
        client.search_experiments(max_results=1)
    except Exception as error:
        raise Unavailable(
            "MLflow doesn't answer",
            where=urlparse(home.mlflow_uri)._replace(netloc="").geturl()
            if "@" in home.mlflow_uri
            else home.mlflow_uri,
            expected=f"a tracking server or database ({type(error).__name__})",
            do="start it, or unset RISKWRIGHT_MLFLOW_URI to use the home's own",
        ) from error
    return client


def set_alias(client: MlflowClient, name: str, alias: str, version: int | None) -> bool:
    """Point an alias at a version (or remove it); return whether anything had to change."""
    from mlflow.exceptions import MlflowException

    found = client.search_registered_models(f"name='{name}'")
    if not found:
        return False
    tries = ALIAS_TRIES
    while True:
        now = client.get_registered_model(name).aliases.get(alias)
        if (int(now) if now is not None else None) == version:
            return False
        try:
            if version is None:
                client.delete_registered_model_alias(name, alias)
            else:
                client.set_registered_model_alias(name, alias, str(version))
            return True
        except MlflowException:
            # MLflow reads, then inserts: of two processes that do so at once one fails.
            tries -= 1
            if not tries:
                raise


def local_path(uri: str) -> Path | None:
    """Return the folder behind an artifact address, None if it isn't on this machine's disk."""
    if uri.startswith("/"):
        return Path(uri)
    parsed = urlparse(uri)
    return Path(unquote(parsed.path)) if parsed.scheme == "file" else None


def local_bundle(uri: str, cache: Path) -> Path:
    """Return the bundle's folder behind an artifact URI; a remote one is fetched into ``cache``.

    MLflow is imported for a remote one only: scoring from the home starts fast.
    """
    if (here := local_path(uri)) is not None:
        return here / "artifacts" / "bundle"
    if not cache.is_dir():
        import mlflow

        with writer.temporary(cache, folder=True) as part:
            fetched = mlflow.artifacts.download_artifacts(
                artifact_uri=f"{uri}/artifacts/bundle", dst_path=str(part)
            )
            writer.place(Path(fetched), cache)
    return cache


@contextmanager
def model_folder(ref: ModelRef, home: Home) -> Iterator[Path]:
    """Give a model's whole folder: MLmodel, the code that serves, and the bundle.

    One in a remote artifact store is fetched afresh, and removed afterwards.
    """
    if urlparse(ref.uri).scheme in ("", "file"):
        yield placed(home, ref.uri)
        return
    connect(home)
    import mlflow

    with TemporaryDirectory(prefix="riskwright-") as place:
        yield Path(mlflow.artifacts.download_artifacts(artifact_uri=ref.uri, dst_path=place))


def _experiment(client: MlflowClient, home: Home, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found:
        return str(found.experiment_id)
    local = home.settings.mlflow_uri is None
    location = (home.root / "mlartifacts" / name).as_uri() if local else None
    return str(client.create_experiment(name, artifact_location=location))


def _brought(case: Case) -> list[str]:
    """Return the packages that bring what a use case names, as pip asks for them."""
    found = {brought["distribution"].replace(" ", "==") for brought in plugged_in(case.plugs())}
    return sorted(found)


def _signature(case: Case, model: str) -> ModelSignature:
    """Any cell type in: the contract checks, and says more."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType

    of = system_of(case.kind).columns(case, model)
    types = {"number": DataType.double, "whole": DataType.long, "text": DataType.string}
    inputs = [ColSpec(AnyType(), name, required=needed) for name, needed in of.inputs.items()]
    outputs = [ColSpec(types[kind], name) for name, kind in of.outputs.items()]
    params = [ParamSpec("reasons", DataType.string, "adverse")] if of.reasons else []
    return ModelSignature(
        inputs=Schema(inputs),
        outputs=Schema(outputs),
        params=ParamSchema(params) if params else None,
    )


def log_report(
    home: Home,
    case: Case,
    key: str,
    role: str,
    folder: Path,
    *,
    parent: str | None = None,
    params: Mapping[str, object],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
) -> dict[str, str]:
    """Keep a report's folder in a run of its own; its absence is told, never the end.

    Parameters
    ----------
    key
        What makes the report the same one.
    role
        What the run stands for, such as ``backtest``.
    parent
        Run of the version that the report is of.

    Returns
    -------
    dict
        ``run_id``; or ``mlflow``, what prevented it.
    """
    try:
        tracker = Tracker(home, case, key)
        run = tracker.run(role, parent)
        try:
            tracker.log(run, params=params, metrics=metrics, tags=tags, artifacts=[folder])
        except Exception:
            with suppress(Exception):
                tracker.client.set_terminated(run, "FAILED")
            raise
        return {"run_id": run}
    except Exception as error:  # noqa: BLE001  (the report is written, whatever MLflow says)
        return {"mlflow": f"the report is not in MLflow: {type(error).__name__}: {error}"}


def rules_tag(found: Mapping[str, Any] | None) -> dict[str, str]:
    """Return a tag that names each changed rule, old and new; none where nothing changed."""
    if not found:
        return {}
    told = [f"{d['rule']}: {d['old']} → {d['new']} {d['note']}" for d in found["differences"]]
    return {"riskwright.rules_changed": "; ".join(told or [found["trouble"]])[:5000]}
