"""What a search may try of a family: ranges of hyper-parameters, as Optuna proposes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna import Trial

    Suggest = Callable[[Trial, str], Any]
Space = dict[str, "Suggest"]  # by hyper-parameter


def real(low: float, high: float, *, log: bool = False) -> Suggest:
    """Return a number between two bounds; with ``log`` each of its orders is as likely."""
    return lambda trial, name: trial.suggest_float(name, low, high, log=log)


def whole(low: int, high: int) -> Suggest:
    """Return a whole number between two bounds, both included."""
    return lambda trial, name: trial.suggest_int(name, low, high)


def layers(*options: str) -> Suggest:
    """Return units by layer; Optuna keeps plain values only, so they travel as text: "128-64"."""
    return lambda trial, name: units(trial.suggest_categorical(name, options))


def units(text: str) -> list[int]:
    """Return "128-64" as [128, 64]."""
    return [int(count) for count in text.split("-")]
