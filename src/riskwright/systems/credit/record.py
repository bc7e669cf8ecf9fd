"""Write a finished training to MLflow: the parent run, and a child for each family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from riskwright.case.usecase import UseCase
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life.tracking import PARENT, Tracker, rules_tag
from riskwright.store import snapshots


def record(
    usecase: UseCase,
    home: Home,
    ledger: Ledger,
    *,
    key: str,
    trained: dict[str, Any],
    owner: str,
) -> str:
    """Log parameters, metrics, plots, reports and snapshots; return the parent run's id.

    Parameters
    ----------
    trained
        The steps' results: ``data``, ``families``, ``joined``, ``evidence``.
    owner
        The process whose lease keeps the run alive.
    """
    tracker = Tracker(home, usecase, key)
    parent = tracker.run(PARENT)
    ledger.start_run(usecase.name, "retrain", key, owner, parent)
    evidence, joined, data = trained["evidence"], trained["joined"], trained["data"]
    kept = {name: snapshots.find(data[name], home) for name in ("raw", "clean", "train", "test")}
    tracker.log_snapshots(parent, kept)
    for step in trained["families"]:
        _log_family(tracker, parent, step, evidence, joined)
    folder = Path(evidence["folder"])
    files = [folder / n for n in ("plots", "explanation", "evidence.json")]
    files += list(folder.glob("*.csv"))
    quality = home.root / "reports" / usecase.name / f"quality-{data['clean'][:16]}.html"
    candidate = joined["candidates"][evidence["chosen"]]
    tracker.log(
        parent,
        params={
            "usecase": usecase.name,
            "usecase_digest": usecase.digest,
            "rows_train_snapshot": data["train"],
            "chosen": evidence["chosen"],
            **{f"limit.{k}": v for k, v in evidence["limits"].items()},
            **{f"weight.{k}": v for k, v in candidate.get("weights", {}).items()},
        },
        metrics=logged_metrics(evidence)[PARENT],
        tags={"riskwright.why": evidence["why"], **rules_tag(evidence)},
        artifacts=[*files, quality],
        finish=False,
    )
    return parent


def _log_family(
    tracker: Tracker,
    parent: str,
    step: dict[str, Any],
    evidence: dict[str, Any],
    joined: dict[str, Any],
) -> None:
    name = step["name"]
    run = tracker.run(name, parent)
    if step["skipped"]:
        tracker.log(run, tags={"riskwright.skipped": step["skipped"]})
        return
    folder = Path(step["folder"])
    calibration = joined["calibration"].get(name)
    tracker.log(
        run,
        params={
            "family": name,
            "members": step["members"],
            "trials": step["trials"],
            "calibration": calibration or "none: a reference, not a member",
            **{f"param.{k}": v for k, v in step["params"].items()},
        },
        metrics={**logged_metrics(evidence)[name], "fit_seconds": step["seconds"]},
        tags={"riskwright.sha256": step["sha256"]},
        artifacts=[folder / "cleaning.json", folder / "trials.json", folder / "bag"],
    )


def logged_metrics(evidence: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return what each run of a retrain was given, by role, from its evidence."""
    found = {PARENT: _flat(evidence["metrics"][evidence["chosen"]])}
    families = [name for name in evidence["metrics"] if name not in ("ensemble", "baseline")]
    return found | {name: _flat(evidence["metrics"][name]) for name in families}


def _flat(metrics: dict[str, dict[str, float]]) -> dict[str, float]:
    """Each metric's point figure under its name, its interval under ``_low`` and ``_high``."""
    flat = {}
    for name, estimate in metrics.items():
        flat[name] = estimate["value"]
        flat[f"{name}_low"], flat[f"{name}_high"] = estimate["low"], estimate["high"]
    return flat
