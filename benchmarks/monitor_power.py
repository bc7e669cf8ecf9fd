"""False alarms and power of the monitor, by family and window size.

    python benchmarks/monitor_power.py --windows 30 --sizes 200 1000 5000

On the Taiwan card defaults (folder in RISKWRIGHT_SHARED, or ../shared/data) windows are drawn
without replacement from rows that neither the model nor the reference has seen, so "none" is an
exact no-change window; faults and shifts are then put into them. On the simulator the named
scenarios are drawn afresh. Each replicate has its own model and reference.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from riskwright.case.usecase import UseCase
from riskwright.data.contract import Contract
from riskwright.data.simulators import SCENARIOS, simulate
from riskwright.data.sources import read_chunks
from riskwright.life.findings import Result
from riskwright.stats.estimates import wilson
from riskwright.systems.credit import batch_checks
from riskwright.systems.credit.case import load_usecase
from riskwright.systems.credit.labels import Labels
from riskwright.systems.credit.reference import Reference

Rng = np.random.Generator
Change = Callable[[pd.DataFrame, Rng], pd.DataFrame]
TRAIN, REFERENCE = 3_000, 6_000
RECESSION = "default 22 to 30 %"


def some(frame: pd.DataFrame, share: float, rng: Rng) -> np.ndarray:
    """Positions of a random share of the rows."""
    return np.flatnonzero(rng.random(len(frame)) < share)


def put(column: str, share: float, value: object) -> Change:
    """Overwrite a random share of a column."""

    def change(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
        frame = frame.copy()
        cells = frame[column].to_numpy(copy=True)
        cells[some(frame, share, rng)] = value
        frame[column] = cells
        return frame

    return change


def thousandfold(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    """Multiply PAY_AMT1 by 1,000 in 5 % of the rows."""
    factor = np.ones(len(frame))
    factor[some(frame, 0.05, rng)] = 1_000
    return frame.assign(PAY_AMT1=frame["PAY_AMT1"] * factor)


def shifted(column: str, spread: float) -> Change:
    """Add to a column, kept whole by stochastic rounding."""

    def change(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
        moved = frame[column] + spread * frame[column].std()
        whole = np.floor(moved + rng.random(len(frame)))
        return frame.assign(**{column: whole.clip(frame[column].min(), frame[column].max())})

    return change


def scaled(frame: pd.DataFrame, _: Rng) -> pd.DataFrame:
    """Spread BILL_AMT1 by 1.25 about its mean (which moves the many zeros)."""
    mean = frame["BILL_AMT1"].mean()
    return frame.assign(BILL_AMT1=(mean + 1.25 * (frame["BILL_AMT1"] - mean)).round())


def education(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    """Move ten points from level 2 to level 1."""
    codes = frame["EDUCATION"].astype(object).to_numpy(copy=True)
    from_two = np.flatnonzero(codes == "2")
    codes[rng.permutation(from_two)[: round(0.1 * len(frame))]] = "1"
    return frame.assign(EDUCATION=pd.Series(codes, index=frame.index, dtype="str"))


def reversed_labels(frame: pd.DataFrame, _: Rng) -> pd.DataFrame:
    """Reverse the outcomes along the score in the quarter with the highest limits."""
    frame = frame.copy()
    top = np.flatnonzero(frame["LIMIT_BAL"] > frame["LIMIT_BAL"].quantile(0.75))
    order = top[np.argsort(frame["pd"].to_numpy()[top])]
    y = frame["y"].to_numpy(copy=True)
    y[order] = y[order[::-1]]
    return frame.assign(y=y)


CHANGES: dict[str, Change] = {
    "none": lambda frame, _: frame,
    "AGE +0.25 sd": shifted("AGE", 0.25),
    "PAY_0 +0.25 sd": shifted("PAY_0", 0.25),
    "BILL_AMT1 spread x1.25": scaled,
    "education 10 points": education,
    "missing 1 to 10 %": put("LIMIT_BAL", 0.10, np.nan),
    "x1000 on 5 % PAY_AMT1": thousandfold,
    "BILL_AMT1 constant": put("BILL_AMT1", 1.01, 22_000.0),
    "new category 2 %": put("EDUCATION", 0.02, "9"),
    "infinity 2 %": put("BILL_AMT1", 0.02, np.inf),
    RECESSION: lambda frame, _: frame,  # drawn that way
    "labels reversed, top limits": reversed_labels,
}


class Model:
    """A quick boosting, so that the monitor has a score to look at."""

    def __init__(self, usecase: UseCase, frame: pd.DataFrame, y: np.ndarray, seed: int) -> None:
        from xgboost import XGBClassifier

        self.names = usecase.feature_names
        self.trees = XGBClassifier(
            n_estimators=80, max_depth=3, learning_rate=0.1, n_jobs=1, random_state=seed
        ).fit(self._matrix(frame), y)

    def _matrix(self, frame: pd.DataFrame) -> np.ndarray:
        return frame[self.names].astype("float64").to_numpy()

    def pd(self, frame: pd.DataFrame) -> np.ndarray:
        """PD of each row, shape (n,)."""
        return np.asarray(self.trees.predict_proba(self._matrix(frame))[:, 1], dtype=np.float64)


def canonical(usecase: UseCase, raw: pd.DataFrame) -> pd.DataFrame:
    """Rows as the training contract reads them, with the outcome as the column y."""
    frame = Contract(usecase, "train").apply(raw).accepted
    bad = frame[usecase.target.column] == usecase.target.bad
    return frame.assign(y=bad.astype("int64"))


def judge(usecase: UseCase, model: Model, reference: Reference, window: pd.DataFrame) -> Result:
    """Monitor one window, whose outcomes are in the column y."""
    raw = window.drop(columns=["y", "pd", usecase.target.column], errors="ignore")
    raw = raw.reset_index(drop=True)
    raw[usecase.id] = np.arange(len(raw)).astype(str)
    checked, header = batch_checks.examine(usecase, raw)
    accepted = checked.accepted
    return batch_checks.check_batch(
        usecase,
        reference=reference,
        raw=raw,
        checked=checked,
        header=header,
        pd=model.pd(accepted) if len(accepted) else None,
        labels=Labels(window["y"].to_numpy(dtype="float64")[accepted.index]),
    )


Told = tuple[str, str, int, Result]


def taiwan_rows(folder: Path) -> tuple[UseCase, pd.DataFrame]:
    """Return the real data's use case and its canonical rows."""
    usecase = load_usecase("credit_assessment")
    file = str(folder / "taiwan_credit_card" / "UCI_Credit_Card.csv")
    raw = pd.concat(list(read_chunks(usecase.source, file, columns=list(usecase.columns))))
    return usecase, canonical(usecase, raw)


def taiwan(folder: Path, windows: int, sizes: list[int], replicates: int) -> Iterator[Told]:
    """Windows of the real data, changed one way at a time."""
    usecase, frame = taiwan_rows(folder)
    for seed in range(replicates):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(frame))
        gaps = frame.assign(LIMIT_BAL=frame["LIMIT_BAL"].mask(rng.random(len(frame)) < 0.01)).iloc[
            order
        ]
        train, kept = gaps[:TRAIN], gaps[TRAIN : TRAIN + REFERENCE]
        model = Model(usecase, train, train["y"].to_numpy(), seed)
        pool = gaps[TRAIN + REFERENCE :]
        pool = pool.assign(pd=model.pd(pool))
        reference = Reference.build(usecase, kept, model.pd(kept), kept["y"], seed)
        bad = pool["y"].to_numpy() == 1
        tilt = np.where(bad, 0.30 / bad.sum(), 0.70 / (~bad).sum())
        for rows in sizes:
            for name, change in CHANGES.items():
                for _ in range(windows if name == "none" else max(windows // 3, 1)):
                    weights = tilt if name == RECESSION else None
                    window = pool.iloc[rng.choice(len(pool), rows, replace=False, p=weights)]
                    window = change(window.reset_index(drop=True), rng)
                    yield "Taiwan", name, rows, judge(usecase, model, reference, window)


def simulated(windows: int, sizes: list[int], replicates: int) -> Iterator[Told]:
    """Windows of the simulator's scenarios, changed from their first row on."""
    usecase = load_usecase("credit_assessment")

    def draw(rows: int, seed: int, scenario: str = "none") -> pd.DataFrame:
        drawn = simulate("credit_applications", rows, seed, scenario=scenario, onset=0).frame
        bad = drawn[usecase.target.column].astype("str") == usecase.target.bad
        return drawn.assign(y=bad.astype("int64"))

    for replicate in range(replicates):
        base = 10_000 * (replicate + 1)
        known = draw(TRAIN + REFERENCE, base)
        known = canonical(usecase, known.drop(columns="y"))
        train, kept = known[:TRAIN], known[TRAIN:]
        model = Model(usecase, train, train["y"].to_numpy(), replicate)
        reference = Reference.build(usecase, kept, model.pd(kept), kept["y"], replicate)
        seed = base
        for rows in sizes:
            for scenario in SCENARIOS:
                for _ in range(windows if scenario == "none" else max(windows // 3, 1)):
                    seed += 1
                    window = draw(rows, seed, scenario)
                    yield "simulator", scenario, rows, judge(usecase, model, reference, window)


def report(told: Iterator[Told]) -> None:
    """Print the share of windows with an alarm, by family, with the interval of the whole."""
    found = pd.DataFrame(
        [
            {
                "data": data,
                "change": change,
                "rows": rows,
                **{f"{f}": v in ("alarm", "failed") for f, v in result.verdicts.items()},
                "no labels": any(f.alarm for f in result.findings if f.family != "labels"),
                "any": result.alarm,
                "codes": sorted({f"{f.code}({f.column})" for f in result.alarms}),
            }
            for data, change, rows, result in told
        ]
    )
    columns = ["quality", "columns", "score", "labels", "no labels", "any"]
    print("Share of windows with an alarm, %; 'no labels' is any of the first three families.")
    for (data, rows), part in found.groupby(["data", "rows"], sort=False):
        print(f"\n{data}, {rows:,} rows")
        print(f"{'change':<28}{'windows':>8}" + "".join(f"{c:>11}" for c in columns) + "   95 %")
        for change, windows in part.groupby("change", sort=False):
            low, high = wilson(windows["any"].sum(), len(windows))
            shares = "".join(f"{100 * windows[c].mean():>11.1f}" for c in columns)
            print(f"{change:<28}{len(windows):>8}{shares}   {100 * low:.1f} to {100 * high:.1f}")
            if change == "none" and windows["any"].any():
                print(f"    alarms: {windows['codes'].explode().value_counts().to_dict()}")


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=30, help="no-change windows a cell")
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 1_000, 5_000])
    parser.add_argument("--replicates", type=int, default=2, help="models and references")
    options = parser.parse_args()
    share = max(options.windows // options.replicates, 1)
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("RISKWRIGHT_SHARED", default))
    started = time.perf_counter()
    report(simulated(share, options.sizes, options.replicates))
    if folder.is_dir():
        report(taiwan(folder, share, options.sizes, options.replicates))
    else:
        print(f"\nno real data at {folder}: RISKWRIGHT_SHARED names another folder")
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
