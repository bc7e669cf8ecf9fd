"""Hold every file that the ledger names against the hash that the ledger holds of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from riskwright.errors import InputRefused, IntegrityError, RiskwrightError
from riskwright.home import Home
from riskwright.ledger import Ledger, Version
from riskwright.life.copies import addresses, evidence_copies, page_copies
from riskwright.life.named import kind_of_version
from riskwright.life.system import system_of
from riskwright.life.tracking import KEY, PARENT, ROLE, connect, model_folder
from riskwright.store import manifest, snapshots
from riskwright.store.seals import SUFFIX, left_by_a_reader, named, placed

State = Literal["intact", "altered", "missing", "not sealed", "unreachable"]
BAD: tuple[State, ...] = ("altered", "missing", "unreachable")
UNSEALED = "not sealed by the version that made it"


@dataclass(frozen=True)
class Finding:
    """What one file, or one run's metrics, is against the ledger.

    Attributes
    ----------
    what
        ``ledger``, ``bundle``, ``evidence``, ``snapshot``, ``specification``, ``page``,
        ``metrics`` …
    of
        Use case and version, or alert.
    where
        The file, seen from the home; or the run.
    state
        ``not sealed`` (no hash of it was kept) is no failure; ``unreachable`` is: nobody could
        look.
    """

    what: str
    of: str
    where: str
    state: State
    detail: str = ""

    @property
    def bad(self) -> bool:
        """Whether it isn't what the ledger says."""
        return self.state in BAD

    def as_dict(self) -> dict[str, str]:
        """Return it as plain text, for ``--json``."""
        return asdict(self)


def verify_home(home: Home, usecase: str | None = None) -> list[Finding]:
    """Check the audit chain, then every file that it names, and MLflow's figures.

    Parameters
    ----------
    usecase
        Only what belongs to one; all if left out.

    Returns
    -------
    list of Finding
        One for each file or folder, what is intact included; ``bad`` says which aren't what they
        were. Of what earlier releases made without a hash it says so, in state ``not sealed``.

    Raises
    ------
    InputRefused
        If there is no ledger, or nothing of the use case in it.
    """
    ledger = Ledger.open(home.existing())
    verdict = ledger.verify()
    found = [
        Finding("ledger", "audit chain", "ledger", "intact", f"{verdict.checked} events")
        if verdict.ok
        else Finding("ledger", "audit chain", "ledger", "altered", verdict.reason)
    ]
    registered = ledger.events(usecase, kind="version.registered")
    names = sorted({event.use_case for event in registered})
    if usecase is not None and not names:
        raise InputRefused(
            f"no version of {usecase} is registered",
            expected="a use case that was trained",
            do="run 'riskwright verify' for all of the home",
        )
    for name in names:
        for version in ledger.versions(name):
            if version.models:
                found += _version(home, ledger, version)
    found += _pages(home, ledger, usecase)
    return list({(f.what, f.of, f.where): f for f in found}.values())


def _version(home: Home, ledger: Ledger, version: Version) -> Iterator[Finding]:
    of, evidence = f"{version.use_case} version {version.version}", version.evidence
    for model in version.models:
        yield from _model(home, version, model, of)
    sealed = evidence.get("seals")
    yield from _folder(home, "evidence", of, evidence["folder"], evidence["sha256"], sealed or {})
    if (joined := evidence.get("joined")) is not None:
        yield from _folder(home, "walk-forward", of, joined["folder"], joined["sha256"], {})
    for part in ("train", "test", "reference"):
        if part in evidence:
            yield from _snapshot(home, evidence[part], f"{of}: {part}")
    if (frozen := evidence.get("frozen")) is not None:
        place = f"work/{version.use_case}/specifications/{frozen}{SUFFIX}"
        yield _file(home, "specification", of, place, frozen)
    if sealed is None:
        yield Finding("data manifests, quality page", of, "", "not sealed", UNSEALED)
    covered = named(home, placed(home, evidence["folder"]))
    for name, digest in (sealed or {}).items():
        if not name.startswith(f"{covered}/") and not name.endswith((".parquet", SUFFIX)):
            yield _file(home, "page" if name.endswith(".html") else "manifest", of, name, digest)
    yield from _run(home, ledger, version, of)


def _model(home: Home, version: Version, model: str, of: str) -> Iterator[Finding]:
    """The bundle against its digest; the model folder around it against the hash of each file."""
    ref = version.models[model]
    of = f"{of}, {model}"
    try:
        with model_folder(ref, home) as folder:
            yield from _inside(home, version, model, folder, of)
    except RiskwrightError as error:
        yield Finding("bundle", of, ref.uri, "unreachable", error.what)
    except Exception as error:  # noqa: BLE001  (whatever an artifact store raises)
        yield Finding("bundle", of, ref.uri, "unreachable", f"{type(error).__name__}: {error}")


def _inside(home: Home, version: Version, model: str, folder: Path, of: str) -> Iterator[Finding]:
    bundle = folder / "artifacts" / "bundle"
    where = named(home, bundle)
    if not bundle.is_dir():
        yield Finding("bundle", of, where, "missing", "its folder is gone")
    else:
        try:
            manifest.verify(bundle, version.models[model].digest)
            yield Finding("bundle", of, where, "intact", _made_by(bundle))
        except IntegrityError as error:
            yield Finding("bundle", of, where, "altered", error.what)
    served = version.evidence.get("served", {}).get(model)
    if served is None:
        told = f"{UNSEALED}: the code and MLmodel beside the bundle"
        yield Finding("served code", of, named(home, folder), "not sealed", told)
        return
    present = manifest.file_digests(folder) if folder.is_dir() else {}
    wrong = differences(served, present)
    left = [name for name in wrong if left_by_a_reader(name)]
    for name in left:
        del wrong[name]
    state: State = "altered" if wrong else "intact"
    yield Finding("served code", of, named(home, folder), state, _listed(wrong))
    if left:
        told = "left by a plain load or serving of MLflow's; nothing of ours reads it"
        yield Finding("served code", of, named(home, folder / left[0]), "not sealed", told)


def differences(wanted: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
    """Return the files that aren't what was sealed, each with what happened to it."""
    wrong = {}
    for name in sorted(wanted.keys() | present.keys()):
        if name not in present:
            wrong[name] = "is missing"
        elif name not in wanted:
            wrong[name] = "was added"
        elif wanted[name] != present[name]:
            wrong[name] = "was altered"
    return wrong


def _made_by(bundle: Path) -> str:
    said = manifest.made_by(bundle)
    if not said:
        return "its manifest doesn't say what made it"
    commit = said["commit"] or "of no known commit"
    return f"made by riskwright {said['riskwright']} ({commit}), lock {said['lock'][:12]}"


def _folder(
    home: Home, what: str, of: str, name: str, digest: str, files: Mapping[str, str]
) -> Iterator[Finding]:
    """A folder against its hash; which file it was, where the ledger holds each one's."""
    folder = placed(home, name)
    where = named(home, folder)
    if not folder.is_dir():
        yield Finding(what, of, where, "missing", "the folder is gone")
        return
    present = manifest.file_digests(folder)
    if manifest.files_digest(present) == digest:
        yield Finding(what, of, where, "intact")
        return
    wanted = {
        key.removeprefix(f"{where}/"): sha
        for key, sha in files.items()
        if key.startswith(f"{where}/")
    }
    told = _listed(differences(wanted, present)) if wanted else "a file of it was altered"
    yield Finding(what, of, where, "altered", told or "a file of it was altered")


def _listed(wrong: Mapping[str, str]) -> str:
    more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
    return ", ".join(f"{name} {why}" for name, why in list(wrong.items())[:5]) + more


def _snapshot(home: Home, digest: str, of: str) -> Iterator[Finding]:
    """A snapshot and all that it was made from, each against the hash in its name."""
    try:
        chain = [entry["hash"] for entry in snapshots.chain(digest, home)]
    except RiskwrightError as error:
        yield Finding("snapshot", of, f"snapshots/*/{digest}", "missing", error.what)
        chain = []
    for found in chain:
        path = snapshots.find(found, home).path
        yield _file(home, "snapshot", of, named(home, path), found)


def _file(home: Home, what: str, of: str, name: str, digest: str) -> Finding:
    path = placed(home, name)
    try:
        found = manifest.file_digest(path)
    except OSError as error:
        return Finding(what, of, name, "missing", error.strerror or "it can't be read")
    if found != digest:
        told = f"SHA-256 {found[:12]}, the ledger's is {digest[:12]}"
        return Finding(what, of, name, "altered", told)
    return Finding(what, of, name, "intact")


def _pages(home: Home, ledger: Ledger, usecase: str | None) -> Iterator[Finding]:
    """What a monitor wrote, against the newest seal of it; the pages that alerts cite."""
    sealed: dict[str, tuple[str, str]] = {}
    for event in ledger.events(usecase, kind="files.sealed"):
        for name, digest in event.payload["files"].items():
            sealed[name] = (f"{event.use_case}: {event.payload['of']}", digest)
    for name, (of, digest) in sealed.items():
        yield _file(home, "page", of, name, digest)
    yield from _page_copies(home, sealed)
    for alert in ledger.alerts(usecase, open_only=False):
        page = named(home, placed(home, alert.report))
        if alert.report and page not in sealed:
            exists = placed(home, page).is_file()
            told = UNSEALED if exists else "the page that the alert cites is gone"
            state: State = "not sealed" if exists else "missing"
            yield Finding("page", f"alert {alert.id} of {alert.use_case}", page, state, told)


def _page_copies(home: Home, sealed: Mapping[str, tuple[str, str]]) -> Iterator[Finding]:
    """MLflow's copies of what looks wrote; one that was never logged (the look said so) isn't."""
    from mlflow.entities import ViewType

    looks: dict[Path, dict[str, str]] = {}
    for name, (_, digest) in sealed.items():
        path = Path(name)
        if path.parts[0] == "reports" and len(path.parts) > 3:
            inside = Path(*path.parts[2:]).as_posix()
            looks.setdefault(Path(*path.parts[:3]), {})[inside] = digest
    for folder, files in looks.items():
        of, key = sealed[f"{folder.parent}/{next(iter(files))}"][0], folder.name
        try:
            client = connect(home)
            experiment = client.get_experiment_by_name(folder.parts[1])
            wanted = f"tags.`{KEY}` = '{key}' and tags.`{ROLE}` = 'monitor'"
            where_to = [experiment.experiment_id] if experiment else []
            for run in client.search_runs(where_to, wanted, ViewType.ALL) if where_to else []:
                wrong = page_copies(client, run.info.run_id, files)
                if run.info.status != "FINISHED":  # its logging was cut short, and the look said so
                    wrong = {name: why for name, why in wrong.items() if why != "is missing"}
                if run.info.lifecycle_stage == "deleted":
                    wrong["the run"] = "was deleted"
                where = f"MLflow run {run.info.run_id}"
                yield Finding("MLflow's copies", of, where, _state(wrong), _listed(wrong))
        except RiskwrightError as error:
            yield Finding("MLflow's copies", of, folder.as_posix(), "unreachable", error.what)
        except Exception as error:  # noqa: BLE001  (whatever MLflow or its store raises)
            told = f"{type(error).__name__}: {error}"
            yield Finding("MLflow's copies", of, folder.as_posix(), "missing", told)


def _run(home: Home, ledger: Ledger, version: Version, of: str) -> Iterator[Finding]:
    """MLflow's figures and files of a version's run, against its evidence and gates."""
    folder = placed(home, version.evidence["folder"])
    try:
        evidence = json.loads((folder / "evidence.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # told already: the evidence isn't what it was
    where = f"MLflow run {version.run_id}"
    try:
        client = connect(home)
        run = client.get_run(str(version.run_id))
        children = client.search_runs(
            [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
        )
        wanted_files = _of_evidence(home, version, folder)
        sealed = version.evidence.get("seals") is not None
        copies = evidence_copies(client, run.info.run_id, wanted_files, all_logged=sealed)
        lost = addresses(client, home, version)
    except RiskwrightError as error:
        yield Finding("metrics", of, where, "unreachable", error.what)
        return
    except Exception as error:  # noqa: BLE001  (whatever MLflow raises, the run can't be read)
        yield Finding("metrics", of, where, "missing", f"{type(error).__name__}: {error}")
        return
    present = {r.data.tags.get(ROLE, ""): r.data.metrics for r in (run, *children)}
    wanted = system_of(kind_of_version(version)).logged_metrics(evidence, present.keys())
    if not version.evidence.get("standby"):
        for gate in ledger.gates(version.use_case, version.version):
            name = f"gate.{gate.name.replace(' ', '_')}"
            if name in run.data.metrics:  # they are told to MLflow last
                wanted[PARENT][name] = float(bool(gate.passed))
    wrong = {}
    for role, metrics in wanted.items():
        if role not in present:
            wrong[f"the run of {role}"] = "is missing"
            continue
        for name, value in metrics.items():
            got = present[role].get(name)
            if got is None:
                wrong[f"{role} {name}"] = "is missing"
            elif got != value and not (math.isnan(got) and math.isnan(value)):
                wrong[f"{role} {name}"] = f"is {got:.6g}, {value:.6g} in the evidence"
    if run.info.lifecycle_stage == "deleted":
        wrong["the run"] = "was deleted"
    yield Finding("metrics", of, where, _state(wrong), _listed(wrong))
    yield Finding("MLflow's copies", of, where, _state(copies), _listed(copies))
    yield Finding("MLflow's registry", of, where, _state(lost), _listed(lost))


def _of_evidence(home: Home, version: Version, folder: Path) -> dict[str, str]:
    """The hash of each file that MLflow was given a copy of: the ledger's, if it holds them."""
    sealed = version.evidence.get("seals")
    if sealed is None:
        return manifest.file_digests(folder)
    within = f"{named(home, folder)}/"
    found = {n.removeprefix(within): sha for n, sha in sealed.items() if n.startswith(within)}
    return found | {Path(n).name: sha for n, sha in sealed.items() if n.startswith("reports/")}


def _state(wrong: Mapping[str, str]) -> State:
    """What is only gone is missing; one file that is otherwise makes it altered."""
    if not wrong:
        return "intact"
    return "missing" if all("missing" in why for why in wrong.values()) else "altered"
