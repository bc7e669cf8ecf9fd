"""The specification of a run: read once when it starts, kept as it was, and never read again.

A YAML that somebody edits while a retrain runs, or between a crash and the run that goes on,
changes nothing of it: whatever is fitted, judged and registered has one specification. An edited
file is another run, with a key of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname
from typing import Any

from riskwright.account import name_of
from riskwright.case.base import Case
from riskwright.case.files import Written, shipped
from riskwright.data.databases import refuse_secrets
from riskwright.errors import IntegrityError
from riskwright.home import Home
from riskwright.life.system import system_of
from riskwright.store.seals import SUFFIX
from riskwright.store.writer import write


@dataclass(frozen=True)
class Frozen:
    """A specification as a run found it.

    Attributes
    ----------
    case
        The use case or market case.
    named
        How it was named: a name, or the path of its YAML.
    author
        Who owned the YAML's file: ``uid`` and ``name``, and ``shipped`` if it came with the
        package, which no user wrote; ``others`` says who else may write it.
    yaml
        The text it was read from.
    sha256
        Of the frozen file.
    """

    case: Case
    named: str
    author: dict[str, Any]
    yaml: str
    sha256: str


def freeze(case: Case, written: Written, named: str, home: Home) -> Path:
    """Keep a specification in the use case's workplace; return its file, named by its hash.

    Parameters
    ----------
    case
        As it was parsed from ``written``; a budget of the command line may have been added.
    """
    if case.location is not None:
        refuse_secrets(case.location)  # before it is kept
    content = {
        "kind": case.kind,
        "case": case.model_dump(mode="json"),
        "named": named,
        "author": _author(written),
        "yaml": written.text,
    }
    # Keys in their own order: that of the columns is that of the model's inputs.
    text = json.dumps(content, ensure_ascii=False, indent=1).encode()
    name = hashlib.sha256(text).hexdigest()
    path = home.folder("work", case.name, "specifications") / f"{name}{SUFFIX}"
    write(path, text)
    return path


def is_frozen(name: str | Path) -> bool:
    """Whether a name is the file of a frozen specification, not a use case's name or YAML."""
    return str(name).endswith(SUFFIX)


def thaw(path: str | Path) -> Frozen:
    """Read a frozen specification; its file's name holds its hash.

    Raises
    ------
    IntegrityError
        If the file is gone or isn't what it was.
    """
    path = Path(path)
    try:
        text = path.read_bytes()
    except OSError:
        text = b""
    found = hashlib.sha256(text).hexdigest()
    if found != path.name.removesuffix(SUFFIX):
        raise IntegrityError(
            "the specification that this run began with is gone, or isn't what it was",
            where=str(path),
            do="run the command again: it begins anew with today's file",
        )
    content = json.loads(text)
    case = system_of(content["kind"]).case().model_validate_json(json.dumps(content["case"]))
    return Frozen(case, content["named"], content["author"], content["yaml"], found)


def specified(held: Mapping[str, Any], began: Frozen | None) -> dict[str, Any]:
    """Return what a version's evidence says of its specification.

    Parameters
    ----------
    held
        What it says already: the same specification by another path doesn't change it.
    began
        None: it was given as an object, not read from a file.

    Returns
    -------
    dict
        ``specification`` (how it was named), ``frozen`` (hash of the frozen file) and ``author``.
    """
    keys = ("specification", "frozen", "author")
    if "specification" in held:
        return {key: held[key] for key in keys if key in held}
    if began is None:
        return {"specification": "", "frozen": None, "author": None}
    return dict(zip(keys, (began.named, began.sha256, began.author), strict=True))


def _author(written: Written) -> dict[str, Any]:
    name = name_of(written.uid)
    came = written.path in shipped().values()
    found = {"uid": written.uid, "name": name, "host": gethostname(), "shipped": came}
    return found | ({"others": written.others} if written.others and not came else {})
