"""How often the market monitor alarms without a change, and how often it finds one.

    python benchmarks/market_alarms.py --draws 200

A champion of the quick families is trained on all of ``market_return``. Then five further years are
drawn from the past (``market.scenario``), without a change or with the demo's, and monitored: the
share of draws in which each family of checks alarms, with its 95 % interval. With ``--looks`` the
monitor looks at the end of each of these months, and one alarm among all looks counts.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

FAMILIES = ["mean", "combination_ct", "ridge", "pls"]


def prepare(place: Path, name: str, data: Path | None) -> dict[str, Any]:
    """Train the champion; return where its parts lie."""
    from riskwright.home import Home
    from riskwright.systems.market.bundle import ForecastBundle
    from riskwright.systems.market.candidates import join_models, walk_model
    from riskwright.systems.market.case import load_market_case
    from riskwright.systems.market.ingest import ingest

    case, home = load_market_case(name), Home(place / "home").create()
    kept = {f: case.families[f] for f in FAMILIES}
    case = case.model_copy(update={"families": kept})
    found = ingest(case, data, home)
    common = {"data": found.snapshot.hash, "seed": 0}
    walks = [
        walk_model(case, home, model=m, folder=place / m, **common)  # type: ignore[arg-type]
        for m in case.models
    ]
    joined = join_models(case, home, walks=walks, folder=place / "joined", **common)  # type: ignore[arg-type]
    for model in case.models:
        folder = place / "bundles" / model
        ForecastBundle.write(folder, case, found.panel, model, "mean", joined, 1)
    return {"home": str(home.root), "data": found.snapshot.hash, "joined": joined}


def one(
    place: Path, trained: dict[str, Any], months: int, looks: bool, change: bool, seed: int
) -> list[bool]:
    """Draw further months, monitor them; return whether each family alarms (at any look)."""
    from riskwright.home import Home
    from riskwright.store import snapshots
    from riskwright.systems.market import monitoring as market
    from riskwright.systems.market.bundle import ForecastBundle
    from riskwright.systems.market.ingest import panel_of
    from riskwright.systems.market.panel import assemble
    from riskwright.systems.market.scenario import further_months
    from riskwright.systems.market.tables import from_table

    home = Home(Path(trained["home"]))
    paths = sorted((place / "bundles").iterdir())
    bundles = {path.name: ForecastBundle.load(path) for path in paths}
    case = next(iter(bundles.values())).case
    store = from_table(case, snapshots.read(trained["data"], home))
    panel = assemble(case, further_months(store, months, seed=seed, change=change))
    old = panel_of(case, trained["data"], home)
    since = {m: market.since_training(b, trained["joined"], panel) for m, b in bundles.items()}
    alarms = np.zeros(3, dtype=bool)
    for month in panel.X.index[-1:] if not looks else panel.X.index[-months:]:
        by_then = replace(panel, X=panel.X.loc[:month], context=panel.context.loc[:month])
        known = {
            m: replace(s, now=s.now[(panel.known_at[m].reindex(s.now.index) <= month)])
            for m, s in since.items()
        }
        found = (
            market.check_predictors(case, old, by_then),
            market.check_errors(case, known),
            market.check_coverage(case, known),
        )
        alarms |= [any(f.alarm for f in family) for family in found]
    return alarms.tolist()


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--case", default="market_return")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--months", type=int, default=60)
    parser.add_argument("--looks", action="store_true", help="look each month, not at the end")
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RISKWRIGHT_HOME"] = folder
        place = Path(folder)
        trained = prepare(place, args.case, args.data)
        for change in (False, True):
            began = time.perf_counter()
            job = partial(one, place, trained, args.months, args.looks, change)
            with ProcessPoolExecutor(args.workers) as pool:
                rows = list(pool.map(job, range(args.draws)))
            title = "with the injected change" if change else "without a change"
            print(f"{args.case}, {args.months} further months, {title}, {args.draws} draws "
                  f"({time.perf_counter() - began:.0f} s)")  # fmt: skip
            for name, alarms in zip(
                ("predictors", "error", "coverage", "any"),
                [*zip(*rows, strict=True), [any(r) for r in rows]],
                strict=True,
            ):
                count = sum(alarms)
                low, high = stats.binomtest(count, len(rows)).proportion_ci(method="wilson")
                print(f"  {name:11} {count / len(rows):.3f} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
