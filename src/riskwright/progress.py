"""One progress bar for the work in hand, with the time left; silent where nobody looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from typing import TypeVar

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from riskwright.terminal import Terminal

PRIOR = 0.05  # share of the plan that the plan's own pace counts for beside the one so far
CERTAIN = 0.95  # of a step that says nothing, as much as time alone makes it seem done

T = TypeVar("T")

console = Terminal(stderr=True)


def drawn() -> bool:
    """Whether a bar can be drawn: in a terminal, and in a notebook that has widgets.

    Elsewhere (a log, a scheduler, a plain notebook) each step is a line of text.
    """
    notebook = console.is_jupyter and find_spec("ipywidgets") is not None
    return console.is_terminal or notebook


class Pace:
    """How much of a plan is done, and how long the rest takes at the pace of what was done.

    Only work done here counts for the pace: steps that an earlier run left finished take no time.

    Parameters
    ----------
    plan
        Cost of each step, in seconds where it was measured.
    clock
        Seconds, from anywhere.
    """

    def __init__(
        self, plan: Mapping[str, float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.plan, self.clock = dict(plan), clock
        self.total = float(sum(self.plan.values()))
        self.began = self.told = clock()
        self.at = 0.0  # position in the plan when it was told last
        self.end = 0.0  # of the step at work
        self.skipped = 0.0

    def move(self, step: str, fraction: float) -> None:
        """Say that this fraction of a step is done; steps before it that weren't were skipped."""
        if step not in self.plan:
            return
        names = list(self.plan)
        before = float(sum(self.plan[name] for name in names[: names.index(step)]))
        if self.end < before:
            self.skipped += before - self.end
        at = before + self.plan[step] * min(max(fraction, 0.0), 1.0)
        if at > self.at or self.end != before + self.plan[step]:
            self.at, self.told = max(at, self.at), self.clock()
        self.end = before + self.plan[step]

    @property
    def pace(self) -> float:
        """Seconds that a unit of the plan takes."""
        prior = PRIOR * self.total
        return (self.told - self.began + prior) / (self.at - self.skipped + prior)

    @property
    def left(self) -> float:
        """Seconds that are left."""
        since = (self.clock() - self.told) / self.pace
        return (self.total - self.at - min(since, CERTAIN * (self.end - self.at))) * self.pace


class _Bar:
    """The bar of this process, if one is shown, and how far it is."""

    progress: Progress | None = None
    task = TaskID(0)
    pace = Pace({})


class _Left(ProgressColumn):
    """The time that is left."""

    def render(self, task: Task) -> Text:
        return Text(str(timedelta(seconds=round(_Bar.pace.left))), style="progress.remaining")


@contextmanager
def bar(plan: Mapping[str, float], title: str) -> Iterator[None]:
    """Show a bar for the steps of a plan (``Pace``) while the block runs."""
    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        _Left(),
    )
    _Bar.pace = Pace(plan)
    with Progress(*columns, console=console, disable=not drawn()) as progress:
        _Bar.progress, _Bar.task = progress, progress.add_task(title, total=_Bar.pace.total)
        try:
            yield
        finally:
            _Bar.progress = None


class Step:
    """A step of the bar; call it with the fraction done."""

    def __init__(self, title: str) -> None:
        self.title = title

    def __enter__(self) -> Step:
        self(0.0)
        if _Bar.progress is not None and not drawn():
            console.print(f"{self.title} …", highlight=False)
        return self

    def __call__(self, fraction: float) -> None:
        """Move the bar to this fraction of the step."""
        move(self.title, fraction)

    def __exit__(self, failed: object, *_: object) -> None:
        if failed is None:
            self(1.0)


def told(title: str, cost: float, go: Callable[[Callable[[float], None]], T]) -> T:
    """Do a step that says how far it is, with its place in the bar; one without a cost has none."""
    if not cost:
        return go(lambda fraction: None)
    with Step(title) as step:
        return go(step)


def move(step: str, fraction: float) -> None:
    """Move the bar to this fraction of a step."""
    _Bar.pace.move(step, fraction)
    if _Bar.progress is not None:
        _Bar.progress.update(_Bar.task, completed=_Bar.pace.at, description=step)
