"""Submit a market challenger: its models registered as one set, judged, and live by the policy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from riskwright.account import Account
from riskwright.bundle.forecast_bundle import ForecastBundle
from riskwright.bundle.forecast_steps import read_joined
from riskwright.bundle.manifest import finished_bundle, folder_digest
from riskwright.errors import InputRefused, IntegrityError
from riskwright.home import Home
from riskwright.ledger import ChampionInfo, Gate, Ledger, ModelRef
from riskwright.market.case import MarketCase
from riskwright.market.ingest import panel_of
from riskwright.market.joined import Kind
from riskwright.market.tables import at
from riskwright.registry.aliases import follow
from riskwright.registry.market_gates import Rival, gates
from riskwright.registry.policy import go_live, version_number
from riskwright.registry.promotion import Submitted
from riskwright.registry.rules import Changes, changes, rules_digest, rules_set
from riskwright.registry.seals import served_files, version_seals
from riskwright.registry.specification import Frozen, specified
from riskwright.registry.tracking import Tracker, local_bundle, model_folder


@dataclass(frozen=True)
class MarketSubmission:
    """All that a finished retrain hands to the registry.

    Attributes
    ----------
    run_id
        MLflow's parent run.
    data
        Hash of the snapshot of series.
    joined, evidence
        What ``forecast_steps.join_models`` and ``market_evidence.gather`` returned.
    folder
        The retrain's workplace.
    source
        Folder that the series came from; None if the case needs none.
    began
        The specification that the run began with, frozen; None: given as an object, not read.
    """

    case: MarketCase
    home: Home
    ledger: Ledger
    tracker: Tracker
    run_id: str
    data: str
    joined: dict[str, Any]
    evidence: dict[str, Any]
    folder: Path
    seed: int
    actor: str | Account
    source: str | None = None
    began: Frozen | None = None


def submit(of: MarketSubmission) -> Submitted:
    """Register a challenger once, judge it, and promote it if the policy is automatic."""
    case, ledger, chosen = of.case, of.ledger, str(of.evidence["chosen"])
    if chosen != "mean":
        # The historical mean must be able to take over at any time: it is registered beside.
        _register(of, dict.fromkeys(case.models, "mean"), "mean", standby=True)
    version = _register(of, of.evidence["deployed"], chosen, standby=False)
    judged = ledger.gates(case.name, version)
    changed = changes(of.home, ledger, case, of.tracker.key)
    if not judged:
        judged = _judge(of, version, changed)
        ledger.record_gates(case.name, version, judged)
    live, note = go_live(case, ledger, version, judged, of.evidence["why"], changed)
    waiting: list[str] = []
    follow(case.name, of.home, ledger, waiting.append)
    note = "; ".join(filter(None, [note, *waiting]))
    return Submitted(version, chosen, of.evidence["why"], judged, live, note, changed)


def load_forecast(
    home: Home, ledger: Ledger, usecase: str, model: str, which: str = "champion"
) -> ForecastBundle:
    """Load a model of the champion, the newest challenger or a version; digests are checked.

    Raises
    ------
    InputRefused
        If there is no such version or model.
    IntegrityError
        If a file of the bundle is not what was registered.
    """
    number = version_number(ledger, usecase, which)
    held = ledger.version(usecase, number).models
    if model not in held:
        raise InputRefused(
            f"version {number} of {usecase} has no model {model}", expected=", ".join(held)
        )
    ref = held[model]
    bundle = ForecastBundle.load(
        local_bundle(ref.uri, home.root / "bundles" / ref.digest), ref.digest
    )
    if bundle.version != number:
        raise IntegrityError(f"the bundle of version {number} says it is {bundle.version}")
    return bundle


def kept_walk(evidence: dict[str, Any]) -> dict[str, Any]:
    """Return what a registered version's walk-forward kept, after checking its hash.

    Parameters
    ----------
    evidence
        Of the version.

    Raises
    ------
    IntegrityError
        If the folder is gone, or a file isn't what it was.
    """
    joined: dict[str, Any] = evidence["joined"]
    folder = Path(joined["folder"])
    if not folder.is_dir() or folder_digest(folder) != joined["sha256"]:
        raise IntegrityError(
            "the walk-forward's forecasts are gone, or aren't what they were",
            where=str(folder),
            do="restore the folder, or retrain",
        )
    return joined


def _register(of: MarketSubmission, kinds: dict[str, Kind], kind: str, *, standby: bool) -> int:
    """Bundle, log and register one set of models, once; return its version."""
    name = of.case.name
    version = of.ledger.reserve_version(name, f"{of.tracker.key}:{kind}")
    # The same data from another folder, or the case by another path: what was said first stays.
    held = of.ledger.version(name, version).evidence
    panel = panel_of(of.case, of.data, of.home)
    models: dict[str, ModelRef] = {}
    served = {}
    for model, deployed in kinds.items():
        write = partial(_write, of, panel, model, deployed, version)
        bundle, digest = finished_bundle(of.folder / kind / model / "bundle", write)
        logged = of.tracker.log_model(of.run_id, model, bundle, version)
        models[model] = ModelRef(
            model, logged["registered"], logged["version"], digest, logged["uri"]
        )
        with model_folder(models[model], of.home) as folder:
            served[model] = served_files(folder)
    evidence = of.evidence
    of.ledger.register(
        name,
        version,
        models=models,
        actor=of.actor,
        run_id=of.run_id,
        evidence={
            "kind": kind,
            "baseline": kind == "mean",
            "standby": standby,
            "why": evidence["why"],
            "deployed": kinds,
            "metrics": {m: _figures(evidence, m, deployed) for m, deployed in kinds.items()},
            "skill": {m: evidence["models"][m]["skill"] for m in kinds},
            "moving": {m: evidence["models"][m]["moving"][k] for m, k in kinds.items()},
            "train": of.data,
            "newest": {m: of.joined["models"][m]["newest"] for m in kinds},
            "joined": of.joined,
            "folder": evidence["folder"],
            "sha256": evidence["sha256"],
            "served": held.get("served") or served,
            "seals": held.get("seals") or _seals(of),
            "usecase": of.case.digest,
            "seed": of.seed,
            "rules": rules_digest(of.case),
            "rules_set": rules_set(of.case),
            "approval": of.case.approval.policy,
            "alert_policy": of.case.alert_policy,
            "data": held.get("data", of.source),
            **specified(held, of.began),
        },
    )
    return version


def _seals(of: MarketSubmission) -> dict[str, str]:
    folder, frozen = Path(of.evidence["folder"]), of.began.sha256 if of.began else None
    return version_seals(of.home, of.case.name, folder, (of.data,), frozen)


def _write(
    of: MarketSubmission, panel: Any, model: str, kind: Kind, version: int, part: Path
) -> str:
    share = of.evidence["models"][model]["moving"][kind]["share"]
    return ForecastBundle.write(part, of.case, panel, model, kind, of.joined, version, share)


def _figures(evidence: dict[str, Any], model: str, kind: Kind) -> dict[str, Any]:
    """Skill of what is deployed, and how its intervals held."""
    found = evidence["models"][model]
    family = "ensemble" if kind == "ensemble" else "historical_mean"
    return {
        **found["metrics"][family],
        "coverage": found["coverage"][kind]["figures"],
        "months": found["skill"]["figures"]["months"],
    }


def _judge(of: MarketSubmission, version: int, changed: Changes) -> list[Gate]:
    challenger = {
        model: _challenger(of.joined, model, kind)
        for model, kind in of.evidence["deployed"].items()
    }
    champion = of.ledger.champion(of.case.name)
    return gates(
        of.case,
        of.evidence,
        challenger,
        _rival(of, champion, changed) if champion else None,
        _golden(of, version),
        readings=len(of.ledger.readings(of.data)),
    )


def _challenger(joined: dict[str, Any], model: str, kind: Kind) -> pd.DataFrame:
    answers = read_joined(joined, model, f"answers_{kind}")
    return answers[["forecast"]].join(read_joined(joined, model, "forecasts")["actual"])


def _rival(of: MarketSubmission, champion: ChampionInfo, changed: Changes) -> Rival:
    held = champion.evidence
    forecasts: dict[str, pd.Series] = {}
    broken = other = ""
    try:
        joined = kept_walk(held)
        theirs_case = load_forecast(
            of.home, of.ledger, of.case.name, next(iter(held["deployed"])), str(champion.version)
        ).case
        other = _other_question(of.case, theirs_case)
        series = [key for key in changed.question if key.startswith("series.")]
        if not other and series:
            other = f"its target is made of other series: {', '.join(series)}"
        for model, kind in held["deployed"].items():
            forecasts[model] = read_joined(joined, model, f"answers_{kind}")["forecast"]
    except IntegrityError as error:
        broken = f"{error.what} ({error.where})"
    mine = {m: found["newest"] for m, found in of.joined["models"].items()}
    theirs = held.get("newest", {})
    renewed = (
        not changed.wait
        and held.get("seed") == of.seed
        and all(mine[m] > theirs.get(m, mine[m]) for m in mine)
    )
    return Rival(champion.version, forecasts, renewed, broken, other)


def _other_question(mine: MarketCase, theirs: MarketCase) -> str:
    """Say why two cases' forecasts can't be compared; empty if they can."""
    if mine.target != theirs.target:
        return "it forecasts another target"
    shared = [name for name in mine.models if name in theirs.models]
    if not shared:
        return f"it has other models: {', '.join(theirs.models)}"
    skips = [name for name in shared if mine.models[name] != theirs.models[name]]
    return f"its {skips[0]} skips other months" if skips else ""


def _golden(of: MarketSubmission, version: int) -> dict[str, float]:
    """How far each registered bundle, loaded back, is from the walk at the newest origin."""
    panel = panel_of(of.case, of.data, of.home)
    gaps = {}
    for model, kind in of.evidence["deployed"].items():
        bundle = load_forecast(of.home, of.ledger, of.case.name, model, str(version))
        again = at(bundle.forecast(panel), bundle.newest)
        walked = at(read_joined(of.joined, model, f"answers_{kind}"), bundle.newest)
        same = walked.index.intersection(again.index)
        apart = (again[same].astype(float) - walked[same].astype(float)).abs()
        one_sided = bool((again[same].isna() != walked[same].isna()).any())
        gaps[model] = float("inf") if one_sided else float(apart.max())  # NaN: neither knows cash
    return gaps
