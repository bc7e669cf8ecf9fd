"""Which code made a bundle: the library, its commit, and the versions of all it stands on."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Collection
from contextlib import suppress
from functools import cache
from importlib import metadata, resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from riskwright.store.manifest import file_digest
from riskwright.version import __version__

SERVED = "served.py"  # what MLflow runs, copied beside each bundle that it serves


def made_by() -> dict[str, Any]:
    """Return what made a bundle, for its manifest.

    Returns
    -------
    dict
        ``riskwright`` (version), ``commit`` (None if unknown; ``…+edited`` of an edited checkout),
        ``code`` (SHA-256 of the library and its lock), ``lock`` (SHA-256 of the name and version of
        every distribution that it needs), ``python``, and ``serves``: SHA-256 of the code that
        MLflow runs beside the bundle.
    """
    return {
        "riskwright": __version__,
        "commit": commit(),
        "code": code_digest(),
        "lock": lock_digest(),
        "python": platform.python_version(),
        "serves": {SERVED: file_digest(Path(str(resources.files("riskwright.life") / SERVED)))},
    }


@cache
def code_digest() -> str:
    """SHA-256 of the library, and of the versions of all that it stands on.

    The developers' tools aren't among these: installing them makes no new retrain. What plugs in
    neither: only a use case that uses it depends on it (``plugged_in``).
    """
    digest = hashlib.sha256()
    root = _root()
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".yaml") and path.is_file():
            digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    digest.update("\n".join(_versions()).encode())
    return digest.hexdigest()


@cache
def lock_digest() -> str:
    """SHA-256 of the name and version of every distribution that riskwright needs, as installed."""
    return hashlib.sha256("\n".join(_versions()).encode()).hexdigest()


@cache
def commit() -> str | None:
    """Return the commit that this library is of, by pip's own record or a checkout; None: unknown.

    Source: PEP 610 (``direct_url.json``).
    """
    with suppress(metadata.PackageNotFoundError, ValueError, KeyError, TypeError):
        record = metadata.distribution("riskwright").read_text("direct_url.json")
        return str(json.loads(record or "")["vcs_info"]["commit_id"])
    # Only where the library itself is tracked: a .venv inside somebody's repository isn't.
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    head = _git("rev-parse", "HEAD")
    if not head:
        return None
    return f"{head}+edited" if _git("status", "--porcelain", "--", ".") else head


def _entry_points() -> list[tuple[metadata.Distribution, metadata.EntryPoint]]:
    found: dict[tuple[str, str, str], tuple[metadata.Distribution, metadata.EntryPoint]] = {}
    for one in metadata.distributions():
        for point in one.entry_points:
            if point.group.startswith("riskwright."):
                # Of a package that is on the path twice the first one counts.
                found.setdefault(
                    (point.group, point.name, canonicalize_name(one.name)), (one, point)
                )
    return [found[key] for key in sorted(found)]


def plugged_in(used: Collection[tuple[str, str]]) -> list[dict[str, str]]:
    """Return what plugs in, with its package and the digest of its code, none of it imported.

    Parameters
    ----------
    used
        Group and name of what a use case names (``Case.plugs``); what is shipped isn't among them.
    """
    found = []
    for distribution, point in _entry_points():
        if (point.group, point.name) not in used:
            continue
        digest = hashlib.sha256()
        for path in _sources(point.module):
            digest.update(path.name.encode() + path.read_bytes())
        found.append(
            {
                "group": point.group,
                "name": point.name,
                "value": point.value,
                "distribution": f"{distribution.name} {distribution.version}",
                "sha256": digest.hexdigest(),
            }
        )
    return found


def _sources(module: str) -> list[Path]:
    """Return the Python files of the package that a module is in; none if it isn't there.

    All of them: a module's helpers may lie beside it. Asked of the package at the top, which is
    found without running any of its code.
    """
    with suppress(ImportError, ValueError):
        spec = find_spec(module.partition(".")[0])
        if spec is not None and spec.submodule_search_locations:
            places = [Path(place) for place in spec.submodule_search_locations]
            return sorted(path for place in places for path in place.rglob("*.py"))
        if spec is not None and spec.origin is not None:
            return [Path(spec.origin)]
    return []


def _root() -> Path:
    return Path(str(resources.files("riskwright")))


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=_root(), capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _versions() -> list[str]:
    """Return name and version of the distributions that riskwright needs, and that these need."""
    found: dict[str, str] = {}
    waiting = ["riskwright"]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        found[name] = distribution.version
        for text in distribution.requires or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(needed.name)
    return [f"{name}=={version}" for name, version in sorted(found.items())]
