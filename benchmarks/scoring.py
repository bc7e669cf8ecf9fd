"""Batch scoring of a large file against the members' own bare predict calls; reasons by family.

    python benchmarks/scoring.py [--rows 1000000] [--small] [--place FOLDER]

Makes a bundle of credit_assessment (six families in its bags of eight, fitted on 3,000 simulated
rows) and a CSV of simulated cases. Every member gets the same weight, whatever the fit would give
it, so that all of them are called. Then, each in a fresh process:

* ``score``: ``score_file`` from CSV to Parquet without reasons: reading, contract, encoding, 48
  members, decisions, writing.
* ``bare``: the members' predict calls alone, on matrices that are encoded and in memory: the
  logistic's dot product, the scorecard's table look-up (on raw values: it has no matrix), XGBoost's
  ``inplace_predict`` and the networks' compiled graph, in blocks. Nothing else is timed.
* ``reasons``: ``score_file`` with ``adverse`` and ``all``, and each family's contributions, on
  ``--reason-rows`` rows.

``ratio`` is bare time over score time (median of the rounds), by wall clock and by processor time
(the fairer one where other work shares the processors). ``--place`` keeps bundle and cases, and
finds them there again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROWS, SMALL_ROWS = 1_000_000, 20_000
TRAINING_ROWS = 3_000
FAMILIES = ("logistic", "scorecard", "xgboost", "mlp", "gru", "cnn")
CHUNK = 100_000
GIB = 2**30


def main() -> int:
    """Print one line of JSON for each measurement, and the ratios last."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--reason-rows", type=int, default=SMALL_ROWS)
    parser.add_argument("--rounds", type=int, default=3, help="of score and bare, in turn")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--place", type=Path)
    parser.add_argument("--step", choices=STEPS)
    given = parser.parse_args()
    if given.small:
        given.rows, given.reason_rows, given.rounds = SMALL_ROWS, 2_000, 1
    if given.step:
        STEPS[given.step](given.place, given)
        return 0
    with tempfile.TemporaryDirectory(prefix="riskwright-bench-") as folder:
        place = given.place or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        run("prepare", place, given)
        rounds = [
            (run("score", place, given), run("bare", place, given)) for _ in range(given.rounds)
        ]
        run("reasons", place, given)
    for clock in ("wall_s", "cpu_s"):
        ratios = [round(bare[clock] / score[clock], 3) for score, bare in rounds]
        tell({"ratio_by": clock, "ratio": statistics.median(ratios), "rounds": ratios, "goal": 0.7})
    return 0


def run(step: str, place: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Run one step in a process of its own, pass its lines on, and return the last one."""
    sizes = ["--rows", str(given.rows), "--reason-rows", str(given.reason_rows)]
    done = subprocess.run(
        [sys.executable, __file__, "--step", step, "--place", str(place), *sizes],
        env={**os.environ, "RISKWRIGHT_HOME": str(place / "home")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    print(done.stdout, end="", flush=True)
    found: dict[str, Any] = json.loads((done.stdout.splitlines() or ["{}"])[-1])
    return found


def prepare(place: Path, given: argparse.Namespace) -> None:
    """Fit the bundle and write the cases, unless they are there."""
    from riskwright.data import simulators

    if not (place / "bundle").is_dir():
        write_bundle(place)
    for rows in {given.rows, given.reason_rows}:
        path = cases(place, rows)
        for start in range(0, 0 if path.exists() else rows, CHUNK):
            # A seed for each part: ids hold the seed, so they don't repeat.
            part = simulators.simulate(
                "credit_applications", min(CHUNK, rows - start), 100 + start // CHUNK
            ).frame
            part.to_csv(path, mode="a", header=start == 0, index=False)


def write_bundle(place: Path) -> None:
    """Fit all families and seal them as one bundle in which each counts."""
    import numpy as np
    from scipy.special import expit

    from riskwright.data.contract import target_of
    from riskwright.data.ingest import ingest
    from riskwright.home import Home
    from riskwright.learn.bag import Bag
    from riskwright.learn.calibration import fit_platt
    from riskwright.learn.ensemble import Ensemble
    from riskwright.store import snapshots
    from riskwright.systems.credit.bundle import Bundle, choose_limits
    from riskwright.systems.credit.candidates import fit_family
    from riskwright.systems.credit.case import load_usecase

    home = Home().create()
    usecase = load_usecase("credit_assessment")
    source = usecase.source.model_copy(update={"rows": TRAINING_ROWS})
    usecase = usecase.model_copy(update={"source": source})
    train = ingest(usecase, None, home).clean.hash
    frame = snapshots.read(train, home)
    y = target_of(usecase, frame)
    bags, platt, margins = {}, {}, []
    for name in FAMILIES:
        folder = home.folder("work") / name
        fit_family(usecase, home, train=train, name=name, seed=0, folder=folder)
        oof = np.load(folder / "oof.npy")
        bags[name], platt[name] = Bag.load(folder / "bag"), fit_platt(oof, y)
        margins.append(platt[name][0] + platt[name][1] * oof)
    weights = dict.fromkeys(FAMILIES, 1 / len(FAMILIES))
    mean = np.mean(margins, axis=0)
    ensemble = Ensemble(bags, platt, weights, fit_platt(mean, y))
    predicted = ensemble.predict(frame[usecase.feature_names])
    refer_above = float(predicted["disagreement"].quantile(0.95))
    intercept, slope = ensemble.final
    limits = choose_limits(usecase, y, expit(intercept + slope * mean), refer_above)
    Bundle.write(place / "bundle", usecase, ensemble, limits, version=1)


def score(place: Path, given: argparse.Namespace) -> None:
    """Time ``score_file`` without reasons."""
    from riskwright.systems.credit.scoring import score_file

    with told({"step": "load"}):
        bundle = loaded(place)
    with told({"step": "score", "rows": given.rows}):
        score_file(bundle, str(cases(place, given.rows)), place / "none.parquet", reasons="none")


def bare(place: Path, given: argparse.Namespace) -> None:
    """Time the predict calls of all members, and nothing else."""
    import numpy as np

    from riskwright.data.contract import Contract
    from riskwright.data.sources import read_chunks

    bundle = loaded(place)
    usecase = bundle.usecase
    contract = Contract(usecase, "score")
    members = {
        name: [predict_call(m) for m in bag.members] for name, bag in bundle.ensemble.bags.items()
    }
    spent = {name: [0.0, 0.0] for name in members}
    location = str(cases(place, given.rows))
    for raw in read_chunks(usecase.source, location, columns=list(usecase.columns)):
        x = contract.apply(raw).accepted[bundle.schema.names]
        for name, bag in bundle.ensemble.bags.items():
            for member, call in zip(bag.members, members[name], strict=True):
                given_rows = (
                    np.ascontiguousarray(member.encode(x)) if hasattr(member, "features_") else x
                )
                wall, cpu = time.monotonic(), time.process_time()
                call(given_rows)
                spent[name][0] += time.monotonic() - wall
                spent[name][1] += time.process_time() - cpu
    for name, (wall, cpu) in spent.items():
        tell({"step": "bare", "family": name, "wall_s": round(wall, 2), "cpu_s": round(cpu, 2)})
    wall, cpu = (sum(part[i] for part in spent.values()) for i in (0, 1))
    tell(
        {
            "step": "bare",
            "rows": given.rows,
            "wall_s": round(wall, 2),
            "cpu_s": round(cpu, 2),
            "rows_per_s": round(given.rows / wall),
        }
    )


def predict_call(member: Any) -> Any:
    """Return the barest call that gives a member's log-odds."""
    import numpy as np

    from riskwright.learn.keras_net import BLOCK

    if member.name == "logistic":
        coef = member.coef_.astype(np.float32)
        return lambda matrix: matrix @ coef + member.intercept_
    if member.name == "scorecard":
        return member.margin
    if member.name == "xgboost":
        return lambda matrix: member.booster_.inplace_predict(matrix, predict_type="margin")
    import tensorflow as tf

    network = member.network_
    graph = tf.function(lambda rows: network(rows, training=False)).get_concrete_function(
        tf.TensorSpec((None, len(member.features_.names_)), tf.float32)
    )
    graph(tf.zeros((2, len(member.features_.names_))))

    def call(matrix: np.ndarray) -> None:
        for start in range(0, len(matrix), BLOCK):
            graph(tf.constant(matrix[start : start + BLOCK])).numpy()

    return call


def reasons(place: Path, given: argparse.Namespace) -> None:
    """Time scoring with reasons, and the contributions of each family."""
    from riskwright.data.contract import Contract
    from riskwright.data.sources import read_chunks
    from riskwright.systems.credit.bundle import Reasons
    from riskwright.systems.credit.scoring import score_file

    bundle = loaded(place)
    usecase = bundle.usecase
    rows = given.reason_rows
    location = str(cases(place, rows))
    raw = next(read_chunks(usecase.source, location, columns=list(usecase.columns)))
    x = Contract(usecase, "score").apply(raw).accepted[bundle.schema.names]
    kinds: tuple[Reasons, ...] = ("none", "adverse", "all")
    for kind in kinds:
        with told({"step": "score", "reasons": kind, "rows": rows}) as line:
            done = score_file(bundle, location, place / f"{kind}.parquet", reasons=kind)
            line["decisions"] = done.decisions
    for name, bag in bundle.ensemble.bags.items():
        with told({"step": "contributions", "family": name, "rows": len(x)}):
            bag.contributions(x)


@contextmanager
def told(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Print what the block cost, with the process's peak memory so far."""
    wall, cpu = time.monotonic(), time.process_time()
    yield line
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    rate = {"rows_per_s": round(line["rows"] / wall)} if "rows" in line else {}
    peak = {"peak_rss_gib": round(peak_rss() / GIB, 2)}
    tell({**line, "wall_s": round(wall, 2), "cpu_s": round(cpu, 2), **rate, **peak})


def peak_rss() -> int:
    """Peak resident bytes of this program alone (``ru_maxrss`` also counts who started it)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024


def loaded(place: Path) -> Any:
    """Return the bundle."""
    from riskwright.systems.credit.bundle import Bundle

    return Bundle.load(place / "bundle")


def cases(place: Path, rows: int) -> Path:
    """Where the file of so many cases is."""
    return place / f"cases_{rows}.csv"


def tell(line: dict[str, Any]) -> None:
    """Print a line of JSON."""
    print(json.dumps(line), flush=True)


STEPS = {"prepare": prepare, "score": score, "bare": bare, "reasons": reasons}


if __name__ == "__main__":
    from riskwright.home import Home, quiet_environment

    quiet_environment(Home())
    sys.exit(main())
