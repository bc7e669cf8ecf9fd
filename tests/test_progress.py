"""The time left: from the work done, steady, near the truth on the real steps of each retrain."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from riskwright.life.retrain import plan
from riskwright.progress import Pace
from riskwright.systems.credit.case import load_usecase
from riskwright.systems.market.case import load_market_case
from riskwright_flows.cli_loans import STAGES

PLANS = {
    "credit": plan(load_usecase("credit_assessment")),
    "loans": plan(load_usecase("loan_book")),
    "market": plan(load_market_case("market_return")),
    "portfolio": STAGES,
}
SILENT = ("ingest and check", "join the ensemble", "evaluate and explain", "log to MLflow")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def drive(
    plan: dict[str, float], speed: float, uneven: np.ndarray, skip: int = 0
) -> list[tuple[float, float]]:
    """Run the steps; what was said to be left, and what was, at each 200th of the time."""
    clock = Clock()
    pace = Pace(plan, clock)
    took = {name: cost * speed * u for (name, cost), u in zip(plan.items(), uneven, strict=True)}
    steps = list(plan)[skip:]
    whole = sum(took[name] for name in steps)
    seen, spent = [], 0.0
    for name in steps:
        pace.move(name, 0.0)
        parts = max(1, round(200 * took[name] / whole))
        for part in range(1, parts + 1):
            clock.now += took[name] / parts
            spent += took[name] / parts
            if name not in SILENT or part == parts:
                pace.move(name, part / parts)
            seen.append((pace.left, whole - spent))
    return seen


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("speed", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_left_is_steady_and_near_the_truth(
    plan: str, speed: float, skip: int, seed: int
) -> None:
    """Machines of other speeds, steps between two thirds and one and a half of their cost."""
    steps = PLANS[plan]
    uneven = np.exp(np.random.default_rng(seed).uniform(np.log(2 / 3), np.log(1.5), len(steps)))
    seen = drive(steps, speed, uneven, skip)
    whole = seen[0][1]
    late = [(said, true) for said, true in seen[len(seen) // 4 :] if true > 0.1 * whole]
    assert late
    for said, true in late:
        assert true / 3 < said < 3 * true
    jumps = [abs(a[0] - b[0]) for a, b in pairwise(seen[20:])]
    assert max(jumps) < 0.25 * whole
    assert seen[-1][0] == pytest.approx(0, abs=1e-6)


def test_a_step_that_says_nothing_counts_down_and_never_below_its_share() -> None:
    clock = Clock()
    pace = Pace({"one": 10, "two": 10}, clock)
    pace.move("one", 0.0)
    clock.now += 5
    assert pace.left == pytest.approx(15)
    clock.now += 500
    assert pace.left == pytest.approx(10 + 0.5)


def test_steps_that_were_finished_before_say_nothing_of_the_pace() -> None:
    clock = Clock()
    pace = Pace({"done": 1000, "left": 10, "last": 10}, clock)
    pace.move("left", 0.0)
    clock.now += 1000
    pace.move("left", 1.0)
    assert pace.left > 100, "a hundred times slower than planned, as far as was seen"
    pace.move("unplanned", 0.5)
    assert pace.left > 100
