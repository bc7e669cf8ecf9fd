"""The seal of a bundle: SHA-256 of every file, checked before anything is deserialised."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from riskwright.errors import IntegrityError
from riskwright.store import writer

MANIFEST = "manifest.json"


def file_digest(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all files below a folder (links not followed)."""
    return files_digest(file_digests(folder))


def files_digest(files: Mapping[str, str]) -> str:
    """SHA-256 over what ``file_digests`` returned."""
    return hashlib.sha256(_canonical(dict(files))).hexdigest()


def seal(folder: Path, made_by: Mapping[str, Any] | None = None) -> str:
    """Write the manifest of a finished bundle and return its digest.

    The manifest is canonical JSON that repeats its own digest, so that a byte altered in the
    manifest itself shows even without the ledger's copy of the digest.

    Parameters
    ----------
    made_by
        What made the bundle (``provenance.made_by``); covered by the digest.
    """
    content: dict[str, Any] = {"files": file_digests(folder)}
    if made_by is not None:
        content["made_by"] = dict(made_by)
    digest = _digest(content)
    writer.write(folder / MANIFEST, _canonical({"digest": digest, **content}))
    return digest


def verify(folder: Path, digest: str | None = None) -> str:
    """Check every file of a bundle against its manifest, and the manifest against ``digest``.

    Raises
    ------
    IntegrityError
        If a file is altered, missing or unknown, or the manifest is not the one that was sealed.
    """
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
        manifest = json.loads(content)
        found, files = manifest["digest"], manifest["files"]
        said = {key: value for key, value in manifest.items() if key != "digest"}
        intact = content == _canonical(manifest) and found == _digest(said)
    except FileNotFoundError:
        raise _refused(folder, "it has no manifest") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        intact = False
    if not intact:
        raise _refused(folder, f"{MANIFEST} was altered")
    if digest is not None and found != digest:
        raise _refused(folder, f"its digest is {found[:12]}, the ledger holds {digest[:12]}")
    present = file_digests(folder)
    for name in sorted(files.keys() | present.keys()):
        if present.get(name) != files.get(name):
            why = (
                "is missing"
                if name not in present
                else "is not in the manifest"
                if name not in files
                else "was altered"
            )
            raise _refused(folder, f"{name} {why}")
    return str(found)


def file_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below a folder, by its name seen from there; no manifest on top."""
    return {
        path.relative_to(folder).as_posix(): file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / MANIFEST
    }


def made_by(folder: Path) -> dict[str, Any]:
    """Return what a bundle's manifest says of what made it; nothing of one made before it did."""
    content = json.loads((folder / MANIFEST).read_bytes())
    return dict(content.get("made_by") or {})


def _digest(content: dict[str, Any]) -> str:
    """Of all that a manifest says; of one that names nothing but files, of these alone."""
    return hashlib.sha256(
        _canonical(content["files"] if set(content) == {"files"} else content)
    ).hexdigest()


def _canonical(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _refused(folder: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"the bundle is not what was registered: {why}",
        where=str(folder),
        expected="the files with the SHA-256 that the manifest holds",
        do="restore the bundle from a backup, or roll back to another version",
    )


def finished_bundle(folder: Path, write: Callable[[Path], str]) -> tuple[Path, str]:
    """Write the bundle, or return the one that a killed retrain had finished."""
    try:
        return folder, verify(folder)
    except IntegrityError:
        shutil.rmtree(folder, ignore_errors=True)
    with writer.new_folder(folder) as part:
        digest = write(part)
    return folder, digest
