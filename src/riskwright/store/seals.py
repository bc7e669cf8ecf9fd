"""The hashes that the ledger keeps of what a version or a page rests on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlparse

from riskwright.home import Home
from riskwright.store import snapshots
from riskwright.store.manifest import file_digest, file_digests

SUFFIX = ".frozen.json"  # of a run's frozen specification, behind the SHA-256 of the file


def seals(home: Home, places: Iterable[Path]) -> dict[str, str]:
    """Return SHA-256 of each file, and of each file below each folder, by its name in the home."""
    found = {}
    for place in places:
        if place.is_file():
            found[named(home, place)] = file_digest(place)
        else:
            within = named(home, place)
            found |= {f"{within}/{name}": sha for name, sha in file_digests(place).items()}
    return dict(sorted(found.items()))


def version_seals(
    home: Home, usecase: str, evidence: Path, parts: Iterable[str], frozen: str | None
) -> dict[str, str]:
    """Return the hashes of a version's evidence, data and specification.

    Parameters
    ----------
    evidence
        Its folder.
    parts
        Hashes of its snapshots; their manifests, and those of what they were made from, are
        covered, and the data-quality page if there is one.
    frozen
        Hash of the run's frozen specification.
    """
    places = [evidence, *data_files(home, usecase, parts)]
    if frozen is not None:
        places.append(home.root / "work" / usecase / "specifications" / f"{frozen}{SUFFIX}")
    return seals(home, places)


def served_files(folder: Path) -> dict[str, str]:
    """Return the hash of each file that serves a model: MLmodel, the code, the bundle."""
    return {k: v for k, v in file_digests(folder).items() if not left_by_a_reader(k)}


def left_by_a_reader(name: str) -> bool:
    """Whether a file of a model's folder is one that reading it leaves there.

    Python's cache of a plain ``mlflow models serve``, and the note that MLflow 3 writes into the
    folder itself when a ``models:/`` address is loaded from a local store.
    """
    return "__pycache__" in name or name == "registered_model_meta"


def data_files(home: Home, usecase: str, parts: Iterable[str]) -> list[Path]:
    """Return snapshots, their manifests, those they were made from, and the data-quality page."""
    found: dict[Path, None] = {}
    for part in parts:
        for manifest in snapshots.chain(part, home):
            path = snapshots.find(manifest["hash"], home).path
            found |= {path: None, path.with_suffix(".json"): None}
            page = home.root / "reports" / usecase / f"quality-{manifest['hash'][:16]}.html"
            if page.is_file():
                found[page] = None
    return list(found)


def named(home: Home, place: Path) -> str:
    """Return a path as the ledger names it: seen from the home if it is in there."""
    place = place.resolve()
    inside = place.is_relative_to(home.root)
    return (place.relative_to(home.root) if inside else place).as_posix()


def placed(home: Home, name: str) -> Path:
    """Return where a file that the ledger names lies: what was in the home is looked for in it.

    Parameters
    ----------
    name
        A path from the home, or what ``Home.find`` understands: ``home:``, an absolute path, or a
        ``file:`` address. Versions registered by earlier releases name absolute ones.
    """
    found = home.find(name)
    path = Path(unquote(urlparse(found).path)) if found.startswith("file:") else Path(found)
    return home.root / path
