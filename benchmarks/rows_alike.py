"""Rows alike in all features with outcomes of both kinds: PDs without an id beside those with one.

``python benchmarks/rows_alike.py [ROWS]`` simulates applications by a logistic model, of which 6 %
are alike in all features, half of them bad: in pairs, or all of them one blank form. A row without
an id was once named by its features and its outcome. The bad copies of the form then were in one
fold and the good ones in another, each was forecast from its opposite, the calibration's slope
fell to its bound, and every PD became one number; pairs didn't show it. Prints log loss and
calibration error of the test part.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from riskwright.case.usecase import parse_usecase
from riskwright.data.contract import target_of
from riskwright.data.ingest import ingest
from riskwright.data.train_test import split
from riskwright.home import Home
from riskwright.stats.calibration import ece, ece_when_calibrated
from riskwright.stats.metrics import evaluate
from riskwright.store import snapshots
from riskwright.systems.credit.candidates import fit_family, join, load_candidate

SHARE = 0.06
FAMILIES: dict[str, Any] = {
    "logistic": {},
    "scorecard": {},
    # Quick and coarse: what is measured is what the folds tell, not how good trees can be.
    "xgboost": {"params": {"learning_rate": 0.1, "max_trees": 200}},
}


def simulated(rows: int, shape: str = "pairs", seed: int = 1) -> pd.DataFrame:
    """Applications with an id, outcomes by a logistic model; 6 % alike, half of them bad.

    Parameters
    ----------
    shape
        ``pairs`` of one bad and one good, or ``form``: one form without an entry, again and again.
    """
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "income": np.exp(rng.normal(10, 0.5, rows)).round(-2),
            "age": rng.integers(18, 75, rows).astype(float),
            "used": rng.beta(2, 3, rows).round(3),
            "late": rng.poisson(0.5, rows).astype(float),
            "home": rng.choice(["own", "rent", "free"], rows, p=[0.5, 0.4, 0.1]),
        }
    )
    margin = (
        -2.2
        - 0.7 * (np.log(frame["income"]) - 10)
        + 2.5 * (frame["used"] - 0.4)
        + 0.6 * frame["late"]
        + 0.4 * (frame["home"] == "rent")
    )
    bad = rng.random(rows) < 1 / (1 + np.exp(-margin))
    pairs = round(SHARE * rows / 2)
    if shape == "form":
        frame.iloc[: 2 * pairs] = np.nan
    else:
        frame.iloc[pairs : 2 * pairs] = frame.iloc[:pairs].to_numpy()
    bad[:pairs], bad[pairs : 2 * pairs] = True, False
    frame["bad"] = bad.astype(int)
    frame = frame.sample(frac=1, random_state=seed).reset_index(drop=True)
    frame.insert(0, "id", [f"A{i:06d}" for i in range(rows)])
    return frame


def usecase_text(*, named: bool, families: dict[str, Any] = FAMILIES) -> str:
    """The YAML of these applications, with or without an id."""
    plain = {
        "name": "rows_alike",
        "title": "Rows alike",
        "question": "Who goes bad?",
        "source": {"location": "nowhere.csv"},
        "target": {"column": "bad", "bad": 1, "good": 0},
        "columns": {
            "id": {"type": "text"},
            **{name: {"type": "number"} for name in ("income", "age", "used", "late")},
            "home": {"type": "category", "values": ["own", "rent", "free"]},
            "bad": {"type": "category", "values": [0, 1]},
        },
        "families": families,
    }
    return yaml.safe_dump({**plain, **({"id": "id"} if named else {})}, sort_keys=False)


def judged(
    folder: Path, frame: pd.DataFrame, *, named: bool, families: dict[str, Any] = FAMILIES
) -> dict[str, float]:
    """Train as a retrain does and judge both candidates on the test part."""
    home = Home(folder).create()
    usecase = parse_usecase(usecase_text(named=named, families=families), where="rows_alike")
    path = folder / "rows.csv"
    frame.to_csv(path, index=False)
    found = ingest(usecase, str(path), home)
    train, test = split(usecase, found.clean, home)
    steps = [
        fit_family(usecase, home, train=train.hash, name=name, seed=0, folder=folder / name)
        for name in usecase.families
    ]
    joined = join(usecase, home, train=train.hash, families=steps, folder=folder / "joined")
    rows = snapshots.read(test, home)
    y = target_of(usecase, rows)
    out: dict[str, float] = {"test rows": float(len(y)), "bad rate": float(y.mean())}
    for kind in ("baseline", "ensemble"):
        candidate, _ = load_candidate(joined, kind)
        p = candidate.predict(rows[usecase.feature_names])["pd"].to_numpy()
        metrics = evaluate(y, p, cutoff=0.5, seed=0)
        out |= {
            f"{kind} log loss": metrics["log_loss"].value,
            f"{kind} AUC": metrics["roc_auc"].value,
            f"{kind} ECE": float(ece(y, p)),
            f"{kind} ECE limit": ece_when_calibrated(p, seed=0).p99,
            f"{kind} least PD": float(p.min()),
            f"{kind} greatest PD": float(p.max()),
        }
    return out


def main() -> None:
    """Print both columns."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    table = {}
    for shape in ("pairs", "form"):
        frame = simulated(rows, shape)
        for word, named in (("with an id", True), ("without", False)):
            with tempfile.TemporaryDirectory() as folder:
                table[f"{shape} {word}"] = judged(Path(folder), frame, named=named)
    print(pd.DataFrame(table).round(4).to_string())


if __name__ == "__main__":
    main()
