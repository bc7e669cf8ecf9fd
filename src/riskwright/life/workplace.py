"""The workplace of a run: each step leaves one folder, whole or not at all, known by its hash."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from riskwright.store import writer
from riskwright.store.manifest import folder_digest

Progress = Callable[[float], None]  # called with the fraction done
_parts: dict[Path, Path] = {}  # what a step writes into, by the folder that it becomes


def new_part(folder: Path) -> Path:
    """Make an empty temporary folder beside ``folder``."""
    if folder in _parts:  # of a try that failed
        writer.drop(_parts.pop(folder))
    part = _parts[folder] = writer.begin(folder, folder=True)
    return part


def publish(part: Path, folder: Path) -> str:
    """Move a finished temporary folder into place and return its hash."""
    digest = folder_digest(part)
    shutil.rmtree(folder, ignore_errors=True)
    writer.place(part, folder)
    _parts.pop(folder, None)
    return digest
