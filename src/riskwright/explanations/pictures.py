"""Saving pictures, and the one lock around pyplot, which shap draws with."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

from riskwright.stats.figures import plain
from riskwright.store.writer import replacing

__all__ = ["drawing", "load_shap", "plain", "save"]

_PYPLOT = Lock()  # pyplot's current figure is global: one task draws at a time


def load_shap() -> Any:
    """Import shap when it is first needed, without its compiler.

    numba would compile shap's loops for 4 to 20 s in each process, for the handful of cases that
    we explain in a tenth of a second without it.
    """
    settings: Any = import_module("numba").config
    before = settings.DISABLE_JIT
    settings.DISABLE_JIT = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # shap's own imports are deprecated ones
            import shap
    finally:
        settings.DISABLE_JIT = before
    return shap


@contextmanager
def drawing() -> Iterator[Any]:
    """Lend pyplot with a fresh current figure, closed afterwards."""
    import matplotlib.pyplot as plt

    with _PYPLOT:
        figure = plt.figure(dpi=120)
        try:
            yield plt
        finally:
            plt.close(figure)


def save(figure: Any, path: Path) -> Path:
    """Write a PNG; an existing file is replaced only once the new one is complete."""
    with replacing(path) as part:
        figure.savefig(part, format="png", facecolor="white", bbox_inches="tight")
    return path
