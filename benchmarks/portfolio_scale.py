"""The loss distribution of a million loans: time, memory, growth, and against a plain loop.

    python benchmarks/portfolio_scale.py [--small]

The book is mixed: ten segments, PDs lognormal around 3 %, LGDs and balances spread, the capital
formula's correlations for retail loans. Each step runs in a fresh process:

* ``simulate``: ``portfolio.losses.simulate`` for 10,000, 100,000 and 1,000,000 loans and 1,000 and
  10,000 scenarios; the last one is the promise (under 10 minutes on two cores and 4 GiB).
* ``plain``: the loop that anybody would write first, loan by loan: for each scenario one factor,
  one draw a loan, and the losses summed by segment. On few scenarios, since it is linear in them;
  ``all_scenarios_s`` extrapolates. Two forms: ``uniform`` compares a uniform number with the PD in
  that scenario, ``normal`` compares a normal number with the threshold (quicker: no N(x) a loan).
  The loop runs in one thread, the engine in as many as there are processors: so ``ratio`` is given
  by wall clock and by processor time (the fairer one where other work shares the processors).
* ``compare``: 100,000 loans by cells and loan by loan. The same seed gives both the same factors,
  so that the difference of their quantiles is told apart from the error of the simulation, which
  is given beside it (standard errors by resampling scenarios, 95 % intervals of the VaR).
  ``expected_by_factor`` needs no simulation: by how much a segment's expected loss is off at most
  once the factor is known, over factors from -4.5 to 4.

Every line tells the load of the machine before it started; a load near the number of processors
means that others were at work.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

GIB = 2**30
LOANS, SCENARIOS = (10_000, 100_000, 1_000_000), (1_000, 10_000)
COMPARED, PLAIN_SCENARIOS = 100_000, 40
LEVELS = (0.95, 0.99, 0.999)
SEGMENTS = 10


def main() -> int:
    """Print one line of JSON for each measurement, and what they come to last."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a tenth of the loans and scenarios")
    parser.add_argument("--step", choices=STEPS)
    parser.add_argument("--loans", type=int, default=0)
    parser.add_argument("--scenarios", type=int, default=0)
    given = parser.parse_args()
    if given.step:
        STEPS[given.step](given.loans, given.scenarios)
        return 0
    less = 10 if given.small else 1
    loans, scenarios = ([n // less for n in sizes] for sizes in (LOANS, SCENARIOS))
    grid = {(n, m): run("simulate", n, m) for n in loans for m in scenarios}
    plain = run("plain", loans[-1], PLAIN_SCENARIOS)
    run("compare", COMPARED // less, scenarios[-1])
    ours = grid[loans[-1], scenarios[-1]]
    tell(
        {
            "promise": f"{loans[-1]:,} loans, {scenarios[-1]:,} scenarios",
            "wall_s": ours["wall_s"],
            "under_10_min": ours["wall_s"] < 600,
            "peak_rss_gib": ours["peak_rss_gib"],
            "under_4_gib": ours["peak_rss_gib"] < 4,
        }
    )
    for form in ("uniform", "normal"):
        whole = plain[f"{form}_ms_a_scenario"] * scenarios[-1] / 1000
        tell(
            {
                "plain_loop": form,
                "all_scenarios_s": round(whole, 1),
                "extrapolated_from": PLAIN_SCENARIOS,
                "ratio_by_wall": round(whole / ours["wall_s"], 2),
                "ratio_by_cpu": round(whole / ours["cpu_s"], 2),
            }
        )
    for m in scenarios:
        small, large = (grid[n, m]["cpu_s"] for n in (loans[0], loans[-1]))
        tell(growth("loans", f"{m:,} scenarios", loans[-1] / loans[0], large / small))
    for n in loans:
        few, many = (grid[n, m]["cpu_s"] for m in (scenarios[0], scenarios[-1]))
        tell(growth("scenarios", f"{n:,} loans", scenarios[-1] / scenarios[0], many / few))
    return 0


def growth(what: str, at: str, times: float, cost: float) -> dict[str, Any]:
    """How the processor time grows: linearly if ``cost_a_unit`` is 1, less than that below 1."""
    return {
        "growth_in": what,
        "at": at,
        "times_larger": round(times),
        "times_the_cpu": round(cost, 1),
        "cost_a_unit": round(cost / times, 2),
    }


def run(step: str, loans: int, scenarios: int) -> dict[str, Any]:
    """Run one step in a process of its own, pass its lines on, and return the last one."""
    sizes = ["--loans", str(loans), "--scenarios", str(scenarios)]
    done = subprocess.run(
        [sys.executable, __file__, "--step", step, *sizes],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    print(done.stdout, end="", flush=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def book(n: int) -> dict[str, Any]:
    """A mixed book: arguments of ``simulate``; each segment has its own size and level of risk."""
    import numpy as np

    from riskwright.systems.loans.portfolio import basel

    rng = np.random.default_rng(20261122)
    share = 0.8 ** np.arange(SEGMENTS)
    of = rng.choice(SEGMENTS, n, p=share / share.sum())
    centre = np.log(0.022) + np.linspace(-0.5, 0.9, SEGMENTS)[of]
    pd_ = np.clip(np.exp(centre + 0.7 * rng.standard_normal(n)), 0.0003, 0.6)
    return {
        "ead": np.round(rng.lognormal(9, 0.8, n), 2),
        "pd_": pd_,
        "lgd": rng.beta(4, 3, n),
        "rho": basel.correlation(pd_, "retail"),
        "segment": np.array([f"segment {i}" for i in range(SEGMENTS)])[of],
    }


def simulate(loans: int, scenarios: int) -> None:
    """Time the engine, and tell its peak memory."""
    from riskwright.systems.loans.portfolio import losses

    given = book(loans)
    before = peak_rss()
    load, wall, cpu = os.getloadavg()[0], time.monotonic(), time.process_time()
    found = losses.simulate(**given, scenarios=scenarios)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    tell(
        {
            "step": "simulate",
            "loans": loans,
            "mean_pd": round(float(given["pd_"].mean()), 4),
            "scenarios": scenarios,
            "cells": found.cells,
            "wall_s": round(wall, 2),
            "cpu_s": round(cpu, 2),
            "peak_rss_gib": round(peak_rss() / GIB, 3),
            "of_it_the_book_gib": round(before / GIB, 3),
            "el_share": round(found.expected_loss / given["ead"].sum(), 5),
            "var_share": round(found.var / given["ead"].sum(), 5),
            "load": round(load, 2),
        }
    )


def plain(loans: int, scenarios: int) -> None:
    """Time the plain loop over scenarios in both forms, by processor time."""
    import numpy as np
    from scipy.special import ndtr, ndtri

    given = book(loans)
    loss = given["ead"] * given["lgd"]
    _, of = np.unique(given["segment"], return_inverse=True)
    own = ndtri(given["pd_"]) / np.sqrt(1 - given["rho"])
    slope = np.sqrt(given["rho"] / (1 - given["rho"]))
    rng = np.random.default_rng(0)

    def uniform(z: float) -> np.ndarray:
        return rng.random(loans) < ndtr(own - slope * z)

    def normal(z: float) -> np.ndarray:
        return rng.standard_normal(loans) < own - slope * z

    line: dict[str, Any] = {"step": "plain", "loans": loans, "scenarios": scenarios}
    load = os.getloadavg()[0]
    for form in (uniform, normal):
        cpu = time.process_time()
        for z in rng.standard_normal(scenarios):
            fails = form(z)
            np.bincount(of[fails], loss[fails], minlength=SEGMENTS)
        spent = (time.process_time() - cpu) / scenarios
        line[f"{form.__name__}_ms_a_scenario"] = round(1000 * spent, 2)
    tell({**line, "peak_rss_gib": round(peak_rss() / GIB, 3), "load": round(load, 2)})


def compare(loans: int, scenarios: int) -> None:
    """Hold quantiles by cells against those loan by loan, for each level."""
    import numpy as np
    from scipy.stats import ks_2samp

    from riskwright.systems.loans.portfolio import losses

    given = book(loans)
    cells = losses.simulate(**given, scenarios=scenarios)
    losses.LOAN_BY_LOAN, threshold = loans, losses.LOAN_BY_LOAN
    alone = losses.simulate(**given, scenarios=scenarios)
    assert alone.cells == loans
    losses.LOAN_BY_LOAN = threshold
    rng = np.random.default_rng(1)
    picks = rng.integers(0, scenarios, (500, scenarios))
    tell(
        {
            "step": "compare",
            "loans": loans,
            "scenarios": scenarios,
            "cells": cells.cells,
            "expected_by_factor": round(worst_by_factor(given), 6),
            "ks_p": round(float(ks_2samp(cells.losses, alone.losses).pvalue), 3),
            "correlation_of_losses": round(float(np.corrcoef(cells.losses, alone.losses)[0, 1]), 5),
        }
    )
    for level in LEVELS:
        rank = losses._rank(scenarios, level)
        one, two = (np.sort(found.losses)[rank] for found in (cells, alone))
        low, high = losses._interval(alone.losses, level)
        again = [
            np.partition(cells.losses[p], rank)[rank] / np.partition(alone.losses[p], rank)[rank]
            - 1
            for p in picks
        ]
        tell(
            {
                "step": "compare",
                "level": level,
                "var_cells": round(float(one)),
                "var_alone": round(float(two)),
                "relative_difference": round(float(one / two - 1), 5),
                "its_se": round(float(np.std(again)), 5),
                "interval_of_var_alone": [round(low), round(high)],
                "inside": bool(low <= one <= high),
            }
        )


def worst_by_factor(given: dict[str, Any]) -> float:
    """By how much cells are off at most, of a segment's expected loss with the factor known."""
    import numpy as np

    from riskwright.systems.loans.portfolio import losses
    from riskwright.systems.loans.portfolio.vasicek import conditional_pd

    loss = given["ead"] * given["lgd"]
    _, of = np.unique(given["segment"], return_inverse=True)
    cells = losses._cells(given["pd_"], loss, given["rho"], of)
    gaps = []
    for z in np.linspace(-4.5, 4, 18):
        wanted = np.bincount(of, loss * conditional_pd(given["pd_"], given["rho"], z))
        part = cells["n"] * cells["loss"] * conditional_pd(cells["p"], cells["rho"], z)
        gaps.append(np.abs(np.bincount(cells["segment"], part) / wanted - 1).max())
    return float(max(gaps))


def peak_rss() -> int:
    """Peak resident bytes of this program alone (``ru_maxrss`` also counts who started it)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024


def tell(line: dict[str, Any]) -> None:
    """Print a line of JSON."""
    print(json.dumps(line), flush=True)


STEPS = {"simulate": simulate, "plain": plain, "compare": compare}


if __name__ == "__main__":
    sys.exit(main())
