"""The walk-forward of a market forecast: skill of each family, worst years, coverage by decade.

    python benchmarks/market_forecast.py --case market_return_shiller --data ../shared/data/market \
        --known over
    python benchmarks/market_forecast.py

Every family walks forward at both horizons, as in a retrain, and the ensemble joins them. With
``--known over`` a return is learnt from once its last month is over, as in the yardstick's
protocol; otherwise as the use case says, once its last figure is published. How long the walks took
comes first, the strategies last; the tables are markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from riskwright.home import Home, cores, quiet_environment

os.environ.setdefault("RISKWRIGHT_HOME", tempfile.mkdtemp(prefix="riskwright-bench-"))
quiet_environment(Home())

import pandas as pd  # noqa: E402  (the environment comes first)

from riskwright.errors import InputRefused  # noqa: E402
from riskwright.systems.market.backtest_report import (  # noqa: E402
    horizon_of,
    moving_of,
    strategies_of,
)
from riskwright.systems.market.candidates import join_models, walk_model  # noqa: E402
from riskwright.systems.market.case import MarketCase, load_market_case  # noqa: E402
from riskwright.systems.market.case_sections import FAMILIES, family_settings  # noqa: E402
from riskwright.systems.market.coverage import coverage_by_decade, coverage_table  # noqa: E402
from riskwright.systems.market.ingest import ingest  # noqa: E402
from riskwright.systems.market.model_forecasts import KINDS  # noqa: E402
from riskwright.systems.market.skill import judge  # noqa: E402

Words = dict[str, Callable[[Any], str]]


def percent(value: float) -> str:
    """Return a share in percent, empty if it is unknown."""
    return "" if pd.isna(value) else f"{100 * value:.2f}"


def number(value: float) -> str:
    """Return a number with four significant digits at most, empty if it is unknown."""
    return "" if pd.isna(value) else f"{value:.4f}".rstrip("0").rstrip(".")


SKILL: Words = {
    **dict.fromkeys(("r2", "r2_low", "r2_high"), percent),
    **dict.fromkeys(("robust_p", "clark_west_p", "mae", "rmse"), number),
    **dict.fromkeys(("dm", "dm_mae", "hit_rate", "pt_p", "mcs_p"), number),
    "r2_december": percent,
}
WORST: Words = {"first": str, "last": str, **dict.fromkeys(("r2", "r2_low", "r2_high"), percent)}
COVERAGE: Words = dict.fromkeys(("nominal", "months", "coverage", "low", "high", "p"), number)
STRATEGY: Words = {
    **dict.fromkeys(("annual_return", "volatility", "max_drawdown", "ce_gain"), percent),
    **dict.fromkeys(("ce_gain_low", "ce_gain_high"), percent),
    **dict.fromkeys(("sharpe", "sharpe_low", "sharpe_high", "turnover", "mean_weight"), number),
}


def show(title: str, table: pd.DataFrame, words: Words | None = None) -> None:
    """Print a table as markdown."""
    words = words or dict.fromkeys(map(str, table), number)
    names = [name for name in words if name in table]
    print(f"\n{title}\n\n| {table.index.name} | {' | '.join(names)} |")
    print("|---" * (len(names) + 1) + "|")
    for key, row in table.iterrows():
        print(f"| {key} | {' | '.join(words[name](row[name]) for name in names)} |")


def asked(name: str, known: str | None, families: list[str]) -> MarketCase:
    """Return the case with every family, and with another rule of what is known if one is given."""
    case = load_market_case(name)
    target = case.target if known is None else case.target.model_copy(update={"known": known})
    settings = MarketCase.model_validate(
        case.model_dump() | {"families": family_settings(families), "target": target.model_dump()}
    )
    return settings


def main() -> None:
    """Walk, join, judge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--case", default="market_return")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--known", choices=("published", "over"))
    parser.add_argument("--families", nargs="+", default=list(FAMILIES))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    case, home = asked(args.case, args.known, args.families), Home().create()
    try:
        found = ingest(case, args.data, home)
    except InputRefused as error:
        raise SystemExit(str(error)) from error
    place, common = home.folder("work"), {"data": found.snapshot.hash, "seed": args.seed}
    began = time.perf_counter()
    walks = [
        walk_model(case, home, model=m, folder=place / m, **common)  # type: ignore[arg-type]
        for m in case.models
    ]
    walked = time.perf_counter() - began
    joined = join_models(case, home, walks=walks, folder=place / "joined", **common)  # type: ignore[arg-type]
    for step in walks:
        print(json.dumps({"model": step.model, "cpu_seconds": step.cpu_seconds}))
    print(json.dumps({"walks_s": round(walked, 1), "workers": cores(),
                      "with_the_ensemble_s": round(time.perf_counter() - began, 1)}))  # fmt: skip
    for model in case.models:
        one = horizon_of(case, joined, model)
        skill = judge(one.forecasts, one.actual, one.h, seed=args.seed)
        span = f"origins {skill.origins[0]} to {skill.origins[1]}"
        show(f"{model}, {span}; SPA p {number(skill.spa_p or float('nan'))}", skill.table, SKILL)
        show(f"{model}, worst 20 years of each family", skill.worst, WORST)
        held = coverage_table(one.intervals, one.actual, one.h)
        show(f"{model}, coverage of the ensemble's intervals", held, COVERAGE)
        show(f"{model}, by decade", coverage_by_decade(one.intervals, one.actual, one.h))
        ours = skill.by_decade.xs("ensemble", level="family")
        show(f"{model}, R² of the ensemble by decade", ours, {"months": number, **WORST})
    for model in case.models:
        for kind in KINDS:
            moving = moving_of(case, found.panel, joined, model, kind)
            print(json.dumps({"model": model, "weights_by": kind, "moving": moving}))
    strategies = strategies_of(case, found.panel, joined)[0]
    show(f"strategies, {strategies.cost_bp:g} basis points", strategies.table, STRATEGY)


if __name__ == "__main__":
    main()
