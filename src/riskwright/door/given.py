"""A use case given as a dictionary: read as its YAML would be, and kept as one once trained."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riskwright import account
from riskwright.case.files import is_path, read_file, shipped
from riskwright.case.kinds import said_kind
from riskwright.errors import InputRefused
from riskwright.store import writer

if TYPE_CHECKING:
    from riskwright.case.base import Case
    from riskwright.home import Home
    from riskwright.ledger import Ledger

WHERE = "the dictionary of the use case"
MARK = "# given as a dictionary in Python"


def plain(of: Mapping[str, Any]) -> dict[str, Any]:
    """Return a dictionary with the types that a YAML has; relative paths become whole ones.

    Raises
    ------
    InputRefused
        If a value is of none of these types.
    """
    return absolute(_plain(of, ""), Path.cwd())


def absolute(found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a dictionary whose relative paths, seen from a folder, are whole ones."""
    for section, key in (("source", "location"), ("split", "file")):
        inner = found.get(section)
        if isinstance(inner, dict) and isinstance(inner.get(key), str) and "://" not in inner[key]:
            inner[key] = str(folder / Path(inner[key]).expanduser())
    return found


def parse(found: Mapping[str, Any]) -> Case:
    """Check a use case as its kind does.

    Raises
    ------
    InputRefused
        As for a YAML file, or if an address in it holds a secret: it would be kept.
    """
    from riskwright.data.databases import refuse_secrets
    from riskwright.life.system import refuse_lacking, system_of

    kind = said_kind(found)
    case = system_of(kind, f"{WHERE}: kind").parse(_text(found), where=WHERE)
    for address in _addresses(found):
        refuse_secrets(address)
    refuse_lacking(case, WHERE)
    return case


def keep(of: Mapping[str, Any], home: Home, ledger: Ledger) -> str:
    """Keep a dictionary as the YAML of its name in the home, and return the name.

    From then on it is a use case like any other: by name for every command and schedule, its author
    the account that gave it. Given again it replaces what it was, never a file that a person wrote
    or changed.

    Raises
    ------
    InputRefused
        As ``parse`` and ``refuse_taken``.
    """
    found = plain(of)
    case = parse(found)
    path = refuse_taken(case, home, ledger)
    text = _text(found)
    if path.is_file() and _split(path.read_text(encoding="utf-8"))[1] == text:
        return case.name
    said = (
        f"{MARK}, by {account.who().name}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; edit it there; "
        f"{_digest(text)}\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    writer.write(path, (said + text).encode())
    # The group of a shared home may read it; who wrote it stays known.
    path.chmod(path.stat().st_mode & ~0o022)
    return case.name


def refuse_taken(case: Case, home: Home, ledger: Ledger) -> Path:
    """Refuse a dictionary whose name is another use case's; return the file that it is kept in.

    Raises
    ------
    InputRefused
        If the name ships with riskwright, if versions of it were trained from a file elsewhere, or
        if the home has a file of it that a person wrote or changed.
    """
    if case.name in shipped():
        raise InputRefused(
            f"the use case {case.name!r} ships with riskwright",
            where=f"{WHERE}: name",
            expected="a name of its own",
        )
    path = home.root / "usecases" / f"{case.name}.yaml"
    for version in ledger.versions(case.name):
        trained = str(version.evidence.get("specification") or "")
        if is_path(trained) and Path(trained).expanduser().resolve() != path.resolve():
            raise InputRefused(
                f"version {version.version} of {case.name!r} was trained from a file",
                where=trained,
                do="use that file, or give the dictionary a name of its own",
            )
    if path.is_file():
        first, rest = _split(path.read_text(encoding="utf-8"))
        if not first.startswith(MARK):
            raise InputRefused(
                f"there is a file of a use case {case.name!r} that wasn't given in Python",
                where=str(path),
                do="use it by its name, or give the dictionary another one",
            )
        if not first.endswith(f"; {_digest(rest)}"):
            raise InputRefused(
                f"the file of {case.name!r} was changed since it was given in Python",
                where=str(path),
                expected="the text that was written; a person's changes are never overwritten",
                do="use it by its name, give the dictionary another one, or remove the file",
            )
    return path


def said_of(name: str, home: Home) -> str:
    """Say where a use case is from that was given as a dictionary; empty of any other."""
    path = home.root / "usecases" / f"{name}.yaml"
    if not path.is_file():
        return ""
    written = read_file(path)
    if not written.text.startswith(MARK):
        return ""
    when = written.text.partition("\n")[0].rpartition(", ")[2].partition(";")[0]
    return f"{name} is as {account.name_of(written.uid)} gave it in Python on {when}: {path}"


def _split(written: str) -> tuple[str, str]:
    """The first line of a kept file, which says who gave it, and what was given."""
    first, _, rest = written.partition("\n")
    return first, rest


def _digest(text: str) -> str:
    return f"sha256 {hashlib.sha256(text.encode()).hexdigest()}"


def _addresses(value: Any) -> Iterator[str]:
    """Yield every text of a dictionary that is an address, wherever it stands."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _addresses(inner)
    elif isinstance(value, str) and "://" in value:
        yield value


def _text(found: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(dict(found), sort_keys=False, allow_unicode=True)


def _plain(value: Any, key: str) -> Any:
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:  # NumPy's numbers
        value = value.item()
    if isinstance(value, Mapping):
        return {
            _plain(name, key): _plain(inner, f"{key}.{name}" if key else str(name))
            for name, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_plain(inner, key) for inner in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise InputRefused(
        f"a use case holds no {type(value).__name__}",
        where=f"{WHERE}: {key}",
        expected="text, numbers, true or false, lists and dictionaries",
    )
