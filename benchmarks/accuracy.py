"""Accuracy on public data: every family and the ensemble beside two re-run yardsticks.

    make bench-accuracy
    python benchmarks/accuracy.py taiwan german --data ../shared/data

Taiwan and Give Me Some Credit: one stratified 80/20 split drawn with
``numpy.random.RandomState(20261122)`` (for class 0, then 1, the first 20 % of a permutation are
test). Lending Club: out of time, loans issued from 2011-10 are test, and both of its populations
are in both parts. German and Polish: repeated stratified 5-fold cross-validation, pooled by repeat,
because their test parts tell little apart.
All columns and rows of the yardsticks are used here, protected columns and loans outside the credit
policy too; ``--as-shipped`` leaves those out, as the shipped use cases do.

Paired standard errors: DeLong for the AUC, per-row differences for the log loss; with repeats,
the mean over repeats of both.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from riskwright.home import Home, quiet_environment

os.environ.setdefault("RISKWRIGHT_HOME", tempfile.mkdtemp(prefix="riskwright-bench-"))
quiet_environment(Home())

import numpy as np  # noqa: E402  (the environment comes first)
import pandas as pd  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import track  # noqa: E402
from rich.table import Table  # noqa: E402
from sklearn.model_selection import StratifiedKFold  # noqa: E402
from yardsticks import scorecard, xgb_earlystop  # noqa: E402

from riskwright.case.usecase import UseCase  # noqa: E402
from riskwright.data import splits  # noqa: E402
from riskwright.data.contract import target_of  # noqa: E402
from riskwright.data.ingest import ingest  # noqa: E402
from riskwright.data.train_test import usable  # noqa: E402
from riskwright.learn.bag import fit_bag  # noqa: E402
from riskwright.learn.calibration import fit_platt  # noqa: E402
from riskwright.learn.ensemble import Ensemble  # noqa: E402
from riskwright.learn.families import applicable, make_family  # noqa: E402
from riskwright.stats.calibration import ece, ece_when_calibrated  # noqa: E402
from riskwright.stats.metrics import evaluate  # noqa: E402
from riskwright.stats.paired import compare_auc, compare_log_loss  # noqa: E402
from riskwright.store import snapshots  # noqa: E402
from riskwright.systems.credit.case import load_usecase  # noqa: E402

SETS = {
    "taiwan": ("credit_assessment", "taiwan_credit_card/UCI_Credit_Card.csv", 0),
    "give_me_some_credit": ("give_me_some_credit", "give_me_some_credit/cs-training.csv.gz", 0),
    "german": ("german_credit", "german_credit/german.data", 4),
    "polish": ("company_credit", "polish_bankruptcy/1year.arff", 2),
    "lending_club": ("loan_book", "lending_club/lending_club_2007_2011.csv.gz", 0),
}
YARDSTICKS = ("xgb_earlystop", "scorecard_binned")
console = Console(stderr=True)


def main() -> int:
    """Run the chosen sets and print a table for each; the figures as JSON with ``--json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--data", default=os.environ.get("RISKWRIGHT_SHARED", "../shared/data"))
    parser.add_argument("--as-shipped", action="store_true")
    parser.add_argument("--without", nargs="*", default=[], help="families to leave out")
    parser.add_argument("--repeats", type=int, default=None)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    results = {}
    for name in arguments.sets:
        usecase, file, repeats = SETS[name]
        repeats = arguments.repeats if arguments.repeats is not None and repeats else repeats
        spec = load_usecase(usecase)
        if not arguments.as_shipped:
            spec = of_the_yardsticks(spec)
        results[name] = run(
            name, spec, Path(arguments.data) / file, repeats, set(arguments.without)
        )
        show(name, results[name])
        if arguments.json:
            arguments.json.write_text(json.dumps(results, indent=1))
    return 0


def of_the_yardsticks(spec: UseCase) -> UseCase:
    """The use case with its protected columns as features and all populations of its loans."""
    columns = {
        n: c.model_copy(update={"feature": True}) if c.protected else c
        for n, c in spec.columns.items()
    }
    loan = spec.loan.model_copy(update={"population": None}) if spec.loan else None
    return spec.model_copy(update={"columns": columns, "loan": loan})


def run(name: str, spec: UseCase, file: Path, repeats: int, without: set[str]) -> dict[str, Any]:
    """Fit on each training part, predict its test part, and compare on the same rows."""
    found = ingest(spec, str(file), Home().create())
    if found.report["refused"]:
        console.print(f"{name}: {found.report['refused']} rows refused", style="red")
    frame = snapshots.read(found.clean, Home())
    frame = usable(spec, frame)
    y = target_of(spec, frame)
    parts: list[list[tuple[np.ndarray, np.ndarray]]]
    if repeats:
        parts = [
            list(
                StratifiedKFold(5, shuffle=True, random_state=20261122 + r).split(
                    np.zeros(len(y)), y
                )
            )
            for r in range(repeats)
        ]
    else:
        ordered = splits.time_ordered(spec)
        test = np.flatnonzero(splits.test_mask(spec, frame)) if ordered else protocol_test_rows(y)
        parts = [[(np.setdiff1d(np.arange(len(y)), test), test)]]
    started, cpu = time.monotonic(), time.process_time()
    pooled: list[dict[str, np.ndarray]] = []
    for repeat in parts:
        predictions: dict[str, np.ndarray] = {}
        for train, test in track(repeat, f"{name}", console=console):
            for model, p in fit_predict(spec, frame, y, train, test, without).items():
                predictions.setdefault(model, np.full(len(y), np.nan))[test] = p
        pooled.append(predictions)
    table = {model: score(y, pooled, model) for model in pooled[0]}
    return {
        "rows": len(y),
        "test_rows": int(np.isfinite(pooled[0]["ensemble"]).sum()),
        "models": table,
        "wall_s": time.monotonic() - started,
        "cpu_s": time.process_time() - cpu,
    }


def protocol_test_rows(y: np.ndarray) -> np.ndarray:
    """The fixed stratified 20 %."""
    rs = np.random.RandomState(20261122)
    test = []
    for c in (0, 1):
        perm = rs.permutation(np.flatnonzero(y == c))
        test.append(perm[: round(0.2 * len(perm))])
    return np.sort(np.concatenate(test))


def fit_predict(
    spec: UseCase,
    frame: pd.DataFrame,
    y: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    without: set[str],
) -> dict[str, np.ndarray]:
    """PDs of the test rows by both yardsticks, every family and the ensemble."""
    schema = spec.schema_
    ordered = splits.time_ordered(spec)
    if ordered:
        train = train[np.argsort(frame[str(spec.time)].to_numpy()[train], kind="stable")]
    part, y_train = frame.iloc[train], y[train]
    x, x_test = part[schema.names], frame.iloc[test][schema.names]
    # A column that the file lacks (a product, of Lending Club's loans) is none of the yardsticks'.
    there = [f for f in schema.features if x[f.name].notna().any()]
    categories = [f.name for f in there if f.kind == "category"]
    theirs = [f.name for f in there]
    out = {
        "xgb_earlystop": xgb_earlystop(x[theirs], y_train, x_test[theirs], categories),
        "scorecard_binned": scorecard(x[theirs], y_train, x_test[theirs], categories),
    }
    folds = splits.folds(spec, part, y_train)
    bags, oofs = {}, {}
    for name, family in spec.families.items():
        if applicable(name, schema) or name in without:
            continue
        started = time.monotonic()
        params = dict(family.params)
        if family.ensemble:
            bags[name], oofs[name] = fit_bag(
                name, schema, x, y_train, folds, seed=0, params=params, time_ordered=ordered
            )
            known = np.isfinite(oofs[name])
            a, b = fit_platt(oofs[name][known], y_train[known])
            margin = a + b * bags[name].margin(x_test)
        else:
            margin = make_family(name, schema, 0, params).fit(x, y_train).margin(x_test)
        out[name] = 1 / (1 + np.exp(-margin))
        console.print(f"  {name}: {time.monotonic() - started:.0f} s")
    ensemble = Ensemble.fit(bags, oofs, y_train)
    if ordered:
        ensemble.anchor(x, y_train)
    out["ensemble"] = ensemble.predict(x_test)["pd"].to_numpy()
    console.print(f"  weights: {ensemble.describe().get('weights')}")
    return out


def score(y: np.ndarray, pooled: list[dict[str, np.ndarray]], model: str) -> dict[str, float]:
    """Metrics, and paired differences to both yardsticks, averaged over repeats."""
    rows: dict[str, list[float]] = {}
    for predictions in pooled:
        known = np.isfinite(predictions[model])
        yy, p = y[known], predictions[model][known]
        found = evaluate(yy, p, cutoff=0.5, seed=0, n_boot=100)
        figures = {k: found[k].value for k in ("roc_auc", "ks", "pr_auc", "brier", "log_loss")}
        figures["ece"] = ece(yy, p)
        figures["ece_calibrated_p95"] = ece_when_calibrated(p, seed=0).p95
        for yardstick in YARDSTICKS:
            other = predictions[yardstick][known]
            auc, loss = compare_auc(yy, p, other), compare_log_loss(yy, p, other)
            figures |= {
                f"dauc_{yardstick}": auc.difference,
                f"dauc_{yardstick}_se": auc.se,
                f"dlogloss_{yardstick}": loss.difference,
                f"dlogloss_{yardstick}_se": loss.se,
            }
        for key, value in figures.items():
            rows.setdefault(key, []).append(float(value))
    return {key: float(np.mean(values)) for key, values in rows.items()}


def show(name: str, result: dict[str, Any]) -> None:
    """Print one set's table, and whether the floor holds."""
    table = Table(
        title=f"{name}: {result['test_rows']:,} test rows, {result['wall_s']:.0f} s wall, "
        f"{result['cpu_s']:.0f} s CPU; paired differences (standard error)"
    )
    for head in ("model", "AUC", "KS", "Brier", "log loss", "ECE (95 % of calibrated)"):
        table.add_column(head)
    for yardstick in YARDSTICKS:
        table.add_column(f"dAUC {yardstick}")
        table.add_column("dlogloss")
    for model, f in result["models"].items():
        cells = [f"{f['roc_auc']:.4f}", f"{f['ks']:.3f}", f"{f['brier']:.5f}"]
        cells += [f"{f['log_loss']:.4f}", f"{f['ece']:.4f} ({f['ece_calibrated_p95']:.4f})"]
        for yardstick in YARDSTICKS:
            for kind in ("dauc", "dlogloss"):
                key = f"{kind}_{yardstick}"
                cells.append(f"{f[key]:+.4f} ({f[key + '_se']:.4f})")
        table.add_row(model, *cells)
    Console(width=200).print(table)
    ours = result["models"]["ensemble"]
    better_auc = max(YARDSTICKS, key=lambda m: result["models"][m]["roc_auc"])
    better_loss = min(YARDSTICKS, key=lambda m: result["models"][m]["log_loss"])
    checks = {
        "AUC": ours[f"dauc_{better_auc}"] >= -ours[f"dauc_{better_auc}_se"],
        "log loss": ours[f"dlogloss_{better_loss}"] <= ours[f"dlogloss_{better_loss}_se"],
        "ECE": ours["ece"] <= ours["ece_calibrated_p95"],
    }
    told = ", ".join(f"{k} {'holds' if ok else 'MISSED'}" for k, ok in checks.items())
    print(f"{name}: floor against the better yardstick: {told}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
