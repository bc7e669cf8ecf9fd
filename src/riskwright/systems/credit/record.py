"""Write a finished training to MLflow: the parent run, and a child for each family."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from riskwright.life.steps import Made
from riskwright.life.tracking import PARENT, Tracker, rules_tag
from riskwright.store import snapshots
from riskwright.systems.credit.records import CreditEvidence, Fitted, Joined, Tables


def record(tracker: Tracker, parent: str, made: Made) -> None:
    """Log parameters, metrics, plots, reports and snapshots of what the steps made.

    Parameters
    ----------
    parent
        Id of the run that stands for the retrain.
    """
    usecase, home = tracker.usecase, tracker.home
    data, joined, evidence = made.one(Tables), made.one(Joined), made.one(CreditEvidence)
    parts = {"raw": data.raw, "clean": data.clean, "train": data.train, "test": data.test}
    tracker.log_snapshots(parent, {n: snapshots.find(hash, home) for n, hash in parts.items()})
    metrics = logged_metrics(evidence.plain())
    for step in made.every(Fitted):
        _log_family(tracker, parent, step, joined, metrics)
    folder = evidence.place
    files = [folder / n for n in ("plots", "explanation", "evidence.json")]
    files += list(folder.glob("*.csv"))
    quality = home.root / "reports" / usecase.name / f"quality-{data.clean[:16]}.html"
    tracker.log(
        parent,
        params={
            "usecase": usecase.name,
            "usecase_digest": usecase.digest,
            "rows_train_snapshot": data.train,
            "chosen": evidence.chosen,
            **{f"limit.{k}": v for k, v in evidence.limits.items()},
            **{f"weight.{k}": v for k, v in joined.candidates[evidence.chosen].weights.items()},
        },
        metrics=metrics[PARENT],
        tags={"riskwright.why": evidence.why, **rules_tag(evidence.rules_changed)},
        artifacts=[*files, quality],
        finish=False,
    )


def _log_family(
    tracker: Tracker,
    parent: str,
    step: Fitted,
    joined: Joined,
    metrics: Mapping[str, Mapping[str, float]],
) -> None:
    name = step.name
    run = tracker.run(name, parent)
    if step.skipped:
        tracker.log(run, tags={"riskwright.skipped": step.skipped})
        return
    folder = Path(step.folder)
    calibration = joined.calibration.get(name)
    tracker.log(
        run,
        params={
            "family": name,
            "members": step.members,
            "trials": step.trials,
            "calibration": list(calibration) if calibration else "none: a reference, not a member",
            **{f"param.{k}": v for k, v in step.params.items()},
        },
        metrics={**metrics[name], "fit_seconds": step.seconds},
        tags={"riskwright.sha256": step.sha256},
        artifacts=[folder / "cleaning.json", folder / "trials.json", folder / "bag"],
    )


def logged_metrics(evidence: Mapping[str, Any]) -> dict[str, dict[str, float]]:
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
