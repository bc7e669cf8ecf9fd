"""False alarms and power of the checks of outcomes where these are known of approved cases alone.

    python benchmarks/approved_outcomes.py --windows 100 --sizes 1000 5000

Data, models, references and windows are those of ``monitor_power.py``. Cases are approved, referred
or declined by cut-offs of least cost (five bads approved for one good declined). "compared with
all" is what a monitor without decisions makes of a file of approved cases.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from monitor_power import (
    RECESSION,
    REFERENCE,
    TRAIN,
    Model,
    canonical,
    reversed_labels,
    taiwan_rows,
)

from riskwright.case.usecase import UseCase
from riskwright.data.simulators import simulate
from riskwright.stats.cutoffs import choose
from riskwright.stats.estimates import wilson
from riskwright.systems.credit.case import load_usecase
from riskwright.systems.credit.labels import Labels
from riskwright.systems.credit.outcomes import check_labels
from riskwright.systems.credit.reference import Reference

NONE, REVERSED, WITHIN = "none", "labels reversed, top limits", "labels reversed, all approved"
Mask = np.ndarray
# Which rows are in the file, and of which of them the outcome is known.
KNOWN: dict[str, Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[Mask, Mask]]] = {
    "all": lambda d, pd, rng: (pd >= 0, pd >= 0),
    "approved": lambda d, pd, rng: (pd >= 0, d == "approve"),
    "approved, alone in the file": lambda d, pd, rng: (d == "approve", d == "approve"),
    "under a stricter cut-off": lambda d, pd, rng: (pd >= 0, pd < np.quantile(pd, 0.4)),
    "bads at once, 70 % of the goods": lambda d, pd, rng: (pd >= 0, pd >= 0),  # see ``judged``
    "compared with all": lambda d, pd, rng: (d == "approve", d == "approve"),
}

CHANGED = ("all", "approved")  # of which windows with a change are looked at


class Desk:
    """A model, its reference, and decisions by cut-offs of least cost."""

    def __init__(self, usecase: UseCase, train: pd.DataFrame, kept: pd.DataFrame, seed: int):
        self.usecase = usecase
        self.model = Model(usecase, train, train["y"].to_numpy(), seed)
        scores = self.model.pd(kept)
        self.reference = Reference.build(usecase, kept, scores, kept["y"], seed)
        y = kept["y"].to_numpy()
        self.cut = choose(y, scores, bad_approved=5.0, good_declined=1.0).cutoff

    def decide(self, scores: np.ndarray) -> np.ndarray:
        """Decisions, a tenth around the cut-off referred."""
        found = np.where(scores < 0.9 * self.cut, "approve", "refer").astype(object)
        return np.where(scores >= 1.1 * self.cut, "decline", found)

    def judged(
        self, window: pd.DataFrame, known: str, rng: np.random.Generator
    ) -> tuple[bool, bool]:
        """Whether the family alarms, and whether something can't be judged."""
        scores = self.model.pd(window)
        decisions, y = self.decide(scores), window["y"].to_numpy(dtype="float64")
        rows, there = KNOWN[known](decisions, scores, rng)
        if known.startswith("bads"):
            there = (y == 1) | (rng.random(len(y)) < 0.7)
        plain = known == "compared with all"
        labels = Labels(
            np.where(there, y, np.nan)[rows],
            decision=None if plain else decisions[rows],
            reference_decisions=lambda: self.decide(self.reference.pd),
        )
        found = check_labels(self.usecase, self.reference, window[rows], scores[rows], labels)
        return any(f.alarm for f in found), any(f.verdict == "can't be judged" for f in found)


def changed(desk: Desk, window: pd.DataFrame, change: str) -> pd.DataFrame:
    """Put a change into the outcomes of a window."""
    window = window.reset_index(drop=True)
    window = window.assign(pd=desk.model.pd(window))
    if change == REVERSED:
        return reversed_labels(window, np.random.default_rng(0))
    if change == WITHIN:
        approved = np.flatnonzero(desk.decide(window["pd"].to_numpy()) == "approve")
        order = approved[np.argsort(window["pd"].to_numpy()[approved])]
        y = window["y"].to_numpy(copy=True)
        y[order] = y[order[::-1]]
        return window.assign(y=y)
    return window


Told = tuple[str, str, str, int, bool, bool]


def taiwan(folder: Path, windows: int, sizes: list[int], replicates: int) -> Iterator[Told]:
    """Windows of the real data, drawn without replacement."""
    usecase, frame = taiwan_rows(folder)
    for seed in range(replicates):
        rng = np.random.default_rng(seed)
        mixed = frame.iloc[rng.permutation(len(frame))]
        desk = Desk(usecase, mixed[:TRAIN], mixed[TRAIN : TRAIN + REFERENCE], seed)
        pool = mixed[TRAIN + REFERENCE :]
        bad = pool["y"].to_numpy() == 1
        tilt = np.where(bad, 0.30 / bad.sum(), 0.70 / (~bad).sum())
        for rows in sizes:
            for change in (NONE, RECESSION, REVERSED, WITHIN):
                for _ in range(windows if change == NONE else max(windows // 3, 1)):
                    weights = tilt if change == RECESSION else None
                    window = pool.iloc[rng.choice(len(pool), rows, replace=False, p=weights)]
                    window = changed(desk, window, change)
                    for known in KNOWN if change == NONE else CHANGED:
                        yield "Taiwan", change, known, rows, *desk.judged(window, known, rng)


def simulated(windows: int, sizes: list[int], replicates: int) -> Iterator[Told]:
    """Windows of the simulator, drawn afresh."""
    usecase = load_usecase("credit_assessment")

    def draw(rows: int, seed: int, scenario: str = "none") -> pd.DataFrame:
        drawn = simulate("credit_applications", rows, seed, scenario=scenario, onset=0).frame
        return canonical(usecase, drawn)

    for replicate in range(replicates):
        seed = 20_000 * (replicate + 1)
        known_rows = draw(TRAIN + REFERENCE, seed)
        desk = Desk(usecase, known_rows[:TRAIN], known_rows[TRAIN:], replicate)
        rng = np.random.default_rng(replicate)
        for rows in sizes:
            for change in (NONE, "recession", "concept_change"):
                for _ in range(windows if change == NONE else max(windows // 3, 1)):
                    seed += 1
                    window = draw(rows, seed, change).reset_index(drop=True)
                    for known in KNOWN if change == NONE else CHANGED:
                        yield "simulator", change, known, rows, *desk.judged(window, known, rng)


def report(told: Iterator[Told]) -> None:
    """Print how many windows alarm, with the interval of the share, or can't be judged."""
    columns = ["data", "change", "known", "rows", "alarm", "unjudged"]
    found = pd.DataFrame(list(told), columns=columns)
    for (data, rows, change), part in found.groupby(["data", "rows", "change"], sort=False):
        print(f"\n{data}, {rows:,} rows, change: {change}")
        for known, windows in part.groupby("known", sort=False):
            k, n = int(windows["alarm"].sum()), len(windows)
            low, high = wilson(k, n)
            print(
                f"  {known:<34}{k:>4} of {n} alarm ({100 * low:.1f} to {100 * high:.1f} %), "
                f"{int(windows['unjudged'].sum())} can't be judged"
            )


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--windows", type=int, default=100, help="without change; a third of them of each change"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 5_000])
    parser.add_argument("--replicates", type=int, default=4, help="models and references")
    parser.add_argument("--data", nargs="+", default=["simulator", "taiwan"])
    options = parser.parse_args()
    share = max(options.windows // options.replicates, 1)
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("RISKWRIGHT_SHARED", default))
    started = time.perf_counter()
    if "simulator" in options.data:
        report(simulated(share, options.sizes, options.replicates))
    if "taiwan" in options.data and folder.is_dir():
        report(taiwan(folder, share, options.sizes, options.replicates))
    elif "taiwan" in options.data:
        print(f"\nno real data at {folder}: RISKWRIGHT_SHARED names another folder")
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
