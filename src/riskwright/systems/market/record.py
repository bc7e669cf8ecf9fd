"""What MLflow remembers of a market retrain: a parent run, a child a family, every trial."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from riskwright.home import Home
from riskwright.life.steps import Made
from riskwright.life.tracking import PARENT, ROLE, Tracker, connect, rules_tag
from riskwright.store import snapshots
from riskwright.systems.market.case import MarketCase
from riskwright.systems.market.records import Joined, MarketEvidence, SeriesData, Walked

TRIALS = "trials.json"
PLANNED = "trials"  # role of the run that holds what a retrain is about to try


def record(case: MarketCase, tracker: Tracker, parent: str, made: Made) -> None:
    """Log parameters, metrics, the report and the trial log of what the steps made.

    Parameters
    ----------
    parent
        Id of the run that stands for the retrain.
    """
    data, joined, evidence = made.one(SeriesData), made.one(Joined), made.one(MarketEvidence)
    tracker.log_snapshots(parent, {"series": snapshots.find(data.clean, tracker.home)})
    folder, plain = evidence.place, evidence.plain()
    log = json.loads((folder / TRIALS).read_text(encoding="utf-8"))
    for family in [*case.families, "ensemble"]:
        _log_family(tracker, parent, family, plain, made.every(Walked), log)
    weights = {
        f"weight.{model}.{family}": weight
        for model, found in joined.models.items()
        for family, weight in found.weights.items()
    }
    tracker.log(
        parent,
        params={
            "usecase": case.name,
            "usecase_digest": case.digest,
            "series_snapshot": data.clean,
            **{f"deployed.{model}": kind for model, kind in evidence.deployed.items()},
            **weights,
        },
        metrics=logged_metrics(plain)[PARENT],
        tags={"riskwright.why": evidence.why, **rules_tag(evidence.rules_changed)},
        artifacts=[folder / n for n in ("backtest", TRIALS, "as_of.json", "evidence.json")],
        finish=False,
    )


def declare(case: MarketCase, home: Home, *, key: str, log: list[dict[str, Any]]) -> None:
    """Log what a retrain is about to try, before it knows a result: a killed one counts as well."""
    tracker = Tracker(home, case, key)
    with TemporaryDirectory() as place:
        path = Path(place) / TRIALS
        path.write_text(json.dumps(log, indent=1), encoding="utf-8")
        tracker.log(tracker.run(PLANNED), metrics={"trials": len(log)}, artifacts=[path])


def tried_before(home: Home, case: MarketCase) -> list[str]:
    """Return the keys of every configuration that earlier retrains tried, from their trial logs."""
    client = connect(home)
    experiment = client.get_experiment_by_name(case.name)
    if experiment is None:
        return []
    found: set[str] = set()
    token: str | None = None
    with TemporaryDirectory() as place:
        while True:
            runs = client.search_runs(
                [experiment.experiment_id], f"tags.`{ROLE}` = '{PLANNED}'", page_token=token
            )
            for run in runs:
                if any(a.path == TRIALS for a in client.list_artifacts(run.info.run_id)):
                    path = Path(client.download_artifacts(run.info.run_id, TRIALS, place))
                    found |= {e["key"] for e in json.loads(path.read_text(encoding="utf-8"))}
            token = runs.token
            if not token:
                return sorted(found)


def _log_family(
    tracker: Tracker,
    parent: str,
    family: str,
    evidence: dict[str, Any],
    walks: Sequence[Walked],
    log: list[dict[str, Any]],
) -> None:
    """One child run: a family, with all its columns where it has one a predictor."""
    run = tracker.run(family, parent)
    mine = _mine(evidence, family)
    metrics = _of_family(evidence, family)
    for step in walks:
        spent = [s for n, s in step.cpu_seconds.items() if n == family or n in mine]
        metrics[f"{step.model}.cpu_seconds"] = sum(spent)
    tried = [e for e in log if e["family"] in ({family} | mine)]
    tracker.log(run, params={"family": family, "trials": len(tried)}, metrics=metrics)


def logged_metrics(
    evidence: dict[str, Any], roles: Iterable[str] = ()
) -> dict[str, dict[str, float]]:
    """Return what the runs of a retrain were given, by role, from its evidence (no seconds).

    Parameters
    ----------
    roles
        Families that have a run; a column that none of them covers is of one that is missing.
    """
    found = {
        PARENT: {
            **_flat("", evidence["models"], "ensemble"),
            "trials": float(evidence["trials"]["now"]),
            "trials_ever": float(evidence["trials"]["ever"]),
            "ce_gain": float(evidence["strategy"]["ensemble"]["ce_gain"]),
        }
    }
    families = set(roles)
    families |= {_family(n) for n in _columns(evidence) if not {n, _family(n)} & families}
    return found | {family: _of_family(evidence, family) for family in sorted(families)}


def _family(column: str) -> str:
    return "mean" if column == "historical_mean" else column.partition(":")[0]


def _mine(evidence: dict[str, Any], family: str) -> set[str]:
    """The columns of a family: one, or one a predictor."""
    return {name for name in _columns(evidence) if _family(name) == family}


def _of_family(evidence: dict[str, Any], family: str) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for name in {family} if ":" in family else _mine(evidence, family):
        predictor = name.partition(":")[2]
        prefix = f"{predictor}." if predictor and ":" not in family else ""
        metrics |= _flat(prefix, evidence["models"], name)
    return metrics


def _columns(evidence: dict[str, Any]) -> list[str]:
    return [str(name) for name in next(iter(evidence["models"].values()))["metrics"]]


def _flat(prefix: str, models: Mapping[str, Any], family: str) -> dict[str, float]:
    """Return the known figures of a family at every model: ``m12.r2`` and so on."""
    return {
        f"{model}.{prefix}{name}": value
        for model, found in models.items()
        for name, value in found["metrics"][family].items()
        if value is not None
    }
