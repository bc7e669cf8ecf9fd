"""A use case given as a dictionary: read as its YAML would be, and kept as one once trained."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riskwright import account
from riskwright.case.files import read_file, shipped
from riskwright.case.kinds import said_kind
from riskwright.errors import InputRefused
from riskwright.store import writer

if TYPE_CHECKING:
    from riskwright.case.base import Case
    from riskwright.home import Home

WHERE = "the dictionary of the use case"
MARK = "# given as a dictionary in Python"


def plain(of: Mapping[str, Any]) -> dict[str, Any]:
    """Return a dictionary with the types that a YAML has; relative paths become whole ones.

    Raises
    ------
    InputRefused
        If a value is of none of these types.
    """
    found: dict[str, Any] = _plain(of, "")
    for section, key in (("source", "location"), ("split", "file")):
        inner = found.get(section)
        if isinstance(inner, dict) and isinstance(inner.get(key), str) and "://" not in inner[key]:
            inner[key] = str(Path.cwd() / Path(inner[key]).expanduser())
    return found


def parse(found: Mapping[str, Any]) -> Case:
    """Check a use case as its kind does.

    Raises
    ------
    InputRefused
        As for a YAML file.
    """
    from riskwright.life.system import system_of

    kind = said_kind(found)
    return system_of(kind, f"{WHERE}: kind").parse(_text(found), where=WHERE)


def keep(of: Mapping[str, Any], home: Home) -> str:
    """Keep a dictionary as the YAML of its name in the home, and return the name.

    From then on it is a use case like any other: by name for every command and schedule, its author
    the account that gave it. Given again it replaces what it was, never a file that a person wrote.

    Raises
    ------
    InputRefused
        If it breaks the specification, or its name is taken.
    """
    found = plain(of)
    case = parse(found)
    if case.name in shipped():
        raise InputRefused(
            f"the use case {case.name!r} ships with riskwright",
            where=f"{WHERE}: name",
            expected="a name of its own",
        )
    path = home.folder("usecases") / f"{case.name}.yaml"
    text = _text(found)
    if path.is_file():
        before = path.read_text(encoding="utf-8")
        if before.partition("\n")[2] == text:
            return case.name
        if not before.startswith(MARK):
            raise InputRefused(
                f"there is a file of a use case {case.name!r} that wasn't given in Python",
                where=str(path),
                do="use it by its name, or give the dictionary another one",
            )
    said = (
        f"{MARK}, by {account.who().name}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; edit it there\n"
    )
    writer.write(path, (said + text).encode())
    # The group of a shared home may read it; who wrote it stays known.
    path.chmod(path.stat().st_mode & ~0o022)
    return case.name


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
