"""One progress bar for the work in hand, with the time left; silent where nobody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from flows.terminal import Terminal

# Rough relative costs: they only shape the bar.
COSTS = {"article_mlp": 8, "gru": 8, "mlp": 6, "cnn": 5, "xgboost": 3, "scorecard": 3}

console = Terminal(stderr=True)


class _Bar:
    """The bar of this process, if one is shown, and how far it is."""

    progress: Progress | None = None
    task = TaskID(0)
    done = 0.0


@contextmanager
def bar(total: float, title: str) -> Iterator[None]:
    """Show a bar for ``total`` units of work while the block runs."""
    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        _Bar.progress, _Bar.task, _Bar.done = progress, progress.add_task(title, total=total), 0.0
        try:
            yield
        finally:
            _Bar.progress = None


class Step:
    """A step of the bar, worth ``cost`` units; call it with the fraction done."""

    def __init__(self, title: str, cost: float = 1) -> None:
        self.title, self.cost, self.start = title, cost, _Bar.done

    def __enter__(self) -> Step:
        self(0.0)
        if _Bar.progress is not None and not console.is_terminal:
            console.print(f"{self.title} …", highlight=False)  # a log, a scheduler
        return self

    def __call__(self, fraction: float) -> None:
        """Move the bar to this fraction of the step."""
        _Bar.done = self.start + self.cost * min(fraction, 1.0)
        if _Bar.progress is not None:
            _Bar.progress.update(_Bar.task, completed=_Bar.done, description=self.title)

    def __exit__(self, failed: object, *_: object) -> None:
        if failed is None:
            self(1.0)


def mover(costs: Mapping[str, float]) -> Callable[[str, float], None]:
    """Return what moves the bar through named stages, each with its cost, in their order."""
    names = list(costs)

    def move(what: str, done: float) -> None:
        before = sum(costs[name] for name in names[: names.index(what)])
        if _Bar.progress is not None:
            completed = before + costs[what] * min(done, 1.0)
            _Bar.progress.update(_Bar.task, completed=completed, description=what)

    return move
