"""How often the skill gate calls forecasts skilful that can't be: its level, and its power.

    python benchmarks/market_placebo.py --series 200 --workers 2
    python benchmarks/market_placebo.py --case market_return_shiller --data ../shared/data/market
    python benchmarks/market_placebo.py --planted 0.01
    python benchmarks/market_placebo.py --intervals

The predictors of the use case stay as they are. The monthly returns of its target are cut into
blocks, whose order is drawn anew for each series, and made into returns over the horizon again:
whatever the forecasts then see in the predictors is chance. The linear families walk forward with
the library's own purge, refitted yearly, and they and their ensemble stand before the gate, whose
level is shared by the horizons: what counts is how often it finds skill at any of them. With
``--planted`` each monthly return gets a part that the first predictor foretells, of that share of
its variance. ``--intervals`` measures, on simulated forecasts with a little skill, how often the
interval of R² holds the true R², and how often block bootstraps' would.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from arch.bootstrap import MovingBlockBootstrap, StationaryBootstrap
from scipy import stats
from scipy.signal import lfilter

from riskwright.errors import InputRefused
from riskwright.stats.comparison import block_length, r2_interval
from riskwright.systems.market.case import load_market_case
from riskwright.systems.market.checks import BENCHMARK
from riskwright.systems.market.ensemble import combine
from riskwright.systems.market.panel import Panel, build_panel
from riskwright.systems.market.skill import skill_gate
from riskwright.systems.market.walk import walk

FAMILIES = ["mean", "combination", "combination_ct", "ridge", "pls"]
MEMBERS = ["combination", "ridge", "pls"]
FORECASTS = ["combination", "combination_ct", "ridge", "pls", "ensemble"]


def shuffled(returns: np.ndarray, block: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a new order for the blocks of a series; where the first one ends is drawn too."""
    borders = np.arange(1 + rng.integers(block), len(returns), block)
    parts = np.split(returns, borders)
    return np.concatenate([parts[i] for i in rng.permutation(len(parts))])


def placebo(panel: Panel, model: str, block: int, planted: float, seed: int) -> Panel:
    """Return the panel with shuffled returns, to which a predictable part may be added."""
    rng = np.random.default_rng(seed)
    spec = panel.case.models[model]
    real = panel.returns.dropna()
    logs = pd.Series(np.log1p(shuffled(real.to_numpy(), block, rng)), real.index)
    if planted:
        x = panel.X.iloc[:, 0].shift(1 + spec.skip).reindex(real.index)
        part = ((x - x.mean()) / x.std()).fillna(0.0)
        logs += logs.std() * np.sqrt(planted / (1 - planted)) * part
    ahead = logs.reindex(panel.X.index).rolling(spec.horizon).sum()
    target = np.expm1(ahead.shift(-spec.horizon - spec.skip))
    return replace(panel, targets={**panel.targets, model: target})


def one(panel: Panel, models: list[str], block: int, planted: float, seed: int) -> list[tuple]:
    """Return for each model and family of a series whether the gate passed, R² and both p."""
    alpha = panel.case.gates.alpha / len(panel.case.models)
    return [
        (model, *row)
        for model in models
        for row in judged(panel, model, block, planted, alpha, seed)
    ]


def judged(
    panel: Panel, model: str, block: int, planted: float, alpha: float, seed: int
) -> list[tuple]:
    """Walk over one series; return for each family whether the gate passed, R² and both p."""
    series = placebo(panel, model, block, planted, seed)
    yearly = dict.fromkeys(FAMILIES, 12)
    found = walk(series, model, FAMILIES, min_train=240, refit=yearly).forecasts
    rows, h = [], panel.case.models[model].horizon
    known = series.known_at[model]
    found["ensemble"] = combine(found, known, model=model, horizon=h, members=MEMBERS).forecast
    forecasts = found.drop(columns="actual").rename(columns={"mean": BENCHMARK})
    for family in FORECASTS:
        passed, _, figures = skill_gate(forecasts, found["actual"], h, alpha, family=family)
        p, habit = figures.get("p", 1.0), figures.get("p_newey_west", 1.0)
        rows.append((family, bool(passed), figures.get("r2", 0.0), p, habit))
    return rows


def simulated(n: int, h: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return overlapping outcomes and forecasts of them that know a little, shape (n,)."""
    x = lfilter([1.0], [1.0, -0.98], 0.2 * rng.normal(size=n + h + 200))[200:]
    returns = 0.0025 * x + rng.normal(0, 0.04, n + h)
    total = np.concatenate([[0.0], np.cumsum(returns)])
    return (total[h:] - total[:-h])[:n], 0.0025 * 1.3 * x[:n] * (1 - 0.98**h) / 0.02


def intervals(series: int) -> None:
    """Print how often intervals of R² hold the true one."""
    rng = np.random.default_rng(0)
    for h, n in ((1, 700), (12, 700), (12, 240)):
        y, f = simulated(300_000, h, rng)
        true = r2_interval(y, np.zeros_like(y), f, h)[0]
        held = np.zeros(3)
        for seed in range(series):
            y, f = simulated(n, h, rng)
            ends = [r2_interval(y, np.zeros(n), f, h)[1:]]
            losses = np.column_stack([y**2, (y - f) ** 2])
            block = block_length(losses, h)
            for kind in (StationaryBootstrap, MovingBlockBootstrap):
                draws = kind(block, np.arange(n), seed=seed).bootstrap(399)
                sums = np.array([losses[data[0][0]].sum(axis=0) for data in draws])
                ends.append(tuple(np.quantile(1 - sums[:, 1] / sums[:, 0], [0.025, 0.975])))
            held += [low <= true <= high for low, high in ends]
        told = ", ".join(
            f"{name} {share:.3f}"
            for name, share in zip(
                ("cosines", "stationary bootstrap", "moving blocks"), held / series, strict=True
            )
        )
        print(f"h = {h}, {n} months, true R² {100 * true:.2f} %: {told} ({series} series)")


def main() -> None:
    """Print the share of series that the gate calls skilful, by horizon and family."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--case", default="market_return")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--block", type=int, default=24, help="months")
    parser.add_argument("--planted", type=float, default=0.0, help="share of a month's variance")
    parser.add_argument("--models", nargs="+", default=["m1", "m12"])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--intervals", action="store_true")
    args = parser.parse_args()
    if args.intervals:
        intervals(2 * args.series)
        return
    try:
        panel = build_panel(load_market_case(args.case), args.data)
    except InputRefused as error:
        raise SystemExit(str(error)) from error
    print(f"{args.case}, blocks of {args.block} months, planted {args.planted:g} of the variance")
    began = time.perf_counter()
    job = partial(one, panel, args.models, args.block, args.planted)
    with ProcessPoolExecutor(args.workers) as pool:
        rows = [
            (seed, *row)
            for seed, rows in enumerate(pool.map(job, range(args.series)))
            for row in rows
        ]
    columns = ["series", "model", "family", "passed", "r2", "p", "habit"]
    table = pd.DataFrame(rows, columns=columns)
    print(f"{args.series} series, {time.perf_counter() - began:.0f} s")
    for model, of_model in table.groupby("model", sort=False):
        print(f"{model}:")
        for family, part in of_model.groupby("family", sort=False):
            print(
                f"  {family:15} gate says skill: {share(part['passed'])}; Clark-West p < 0.05 by "
                f"cosines {(part['p'] < 0.05).mean():.3f}, by Newey-West "
                f"{(part['habit'] < 0.05).mean():.3f}; median R² {100 * part['r2'].median():+.2f} %"
            )
    print("any horizon:")
    for family, part in table.groupby("family", sort=False):
        print(f"  {family:15} gate says skill: {share(part.groupby('series')['passed'].any())}")


def share(passed: pd.Series) -> str:
    """Return a share with its 95 % interval."""
    found = stats.binomtest(int(passed.sum()), len(passed))
    low, high = found.proportion_ci(method="wilson")
    return f"{passed.mean():.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
