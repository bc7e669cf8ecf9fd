"""Where the YAML files of use cases lie, and of which kind each is.

Light, so that a command can tell the kinds apart before it imports what reads them.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from riskwright.case.kinds import DEFAULT, SHIPPED, packages, said_kind
from riskwright.errors import InputRefused, closest
from riskwright.home import Home

ACL_USER, ACL_GROUP, ACL_MASK = 0x02, 0x08, 0x10


@dataclass(frozen=True)
class Written:
    """A use case's file as it was read, once.

    Attributes
    ----------
    path, text
        Where it lay, and what it says.
    uid
        Its owner's number.
    others
        Who besides its owner may write it, and so may have changed it last; empty if nobody.
    """

    path: Path
    text: str
    uid: int
    others: str = ""


def read_file(path: Path) -> Written:
    """Read a use case's file; text and owner are those of one and the same file."""
    with path.open(encoding="utf-8") as stream:
        found = os.fstat(stream.fileno())
        return Written(
            path, stream.read(), found.st_uid, _others(found, _access_list(stream.fileno()))
        )


def _others(found: os.stat_result, acl: bytes = b"") -> str:
    """Say who besides its owner may write a file in place, which leaves the owner as it was."""
    import grp
    import pwd

    if found.st_mode & stat.S_IWOTH:
        return "everybody on this machine"
    if not found.st_mode & stat.S_IWGRP:  # of an access list: its mask
        return ""
    if _named_in(acl, found.st_uid):
        return "who its access list names"
    try:
        group, owner = grp.getgrgid(found.st_gid), pwd.getpwuid(found.st_uid)
    except KeyError:
        return f"the group {found.st_gid}"
    members = {entry.pw_uid for entry in pwd.getpwall() if entry.pw_gid == found.st_gid}
    for name in group.gr_mem:
        try:
            members.add(pwd.getpwnam(name).pw_uid)
        except KeyError:  # listed, and no account of this system's any more
            continue
    # Many systems give each account a group of its own, and new files are writable for it. Of any
    # other a directory service may know members that it doesn't list.
    own = (group.gr_name, found.st_gid) == (owner.pw_name, owner.pw_gid)
    return "" if own and not members - {found.st_uid, 0} else f"the group {group.gr_name}"


def _access_list(file: int) -> bytes:
    """Return an open file's access list as Linux keeps it; empty if it has none."""
    if not hasattr(os, "getxattr"):  # macOS
        return b""
    try:
        return os.getxattr(file, "system.posix_acl_access")
    except OSError:
        return b""


def _named_in(acl: bytes, owner: int) -> bool:
    """Whether an access list lets a user or group that it names write.

    A version number, then 8 bytes an entry: tag, rights, number (linux/posix_acl_xattr.h).
    """
    entries = list(struct.iter_unpack("<HHI", acl[4:]))
    mask = next((rights for tag, rights, _ in entries if tag == ACL_MASK), 0o7)
    return any(
        tag in (ACL_USER, ACL_GROUP) and rights & mask & 0o2 and (tag, who) != (ACL_USER, owner)
        for tag, rights, who in entries
    )


def known_usecases(home: Home) -> dict[str, Path]:
    """Return name to YAML file: those of the systems, and those in the home's folder."""
    return shipped() | {path.stem: path for path in _own(home)}


def shipped(*kinds: str) -> dict[str, Path]:
    """Return name to YAML file of the use cases that come with the systems.

    Parameters
    ----------
    kinds
        Which; left out: all.
    """
    of = packages()
    folders = [folder for kind in kinds or of if (folder := _folder(of[kind])) is not None]
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def is_path(name: str) -> bool:
    """Whether a use case is named by its file: a YAML, or a JSON, which is one too."""
    return name.endswith((".yaml", ".yml", ".json")) or "/" in name


def find(name: str, home: Home) -> Written:
    """Read the YAML of a use case by shipped name, name in the home, or path.

    Raises
    ------
    InputRefused
        If there is none, or two have the name.
    """
    known = known_usecases(home)
    refuse_twice(name, home)
    path = Path(name) if is_path(name) else known.get(name)
    if path is None:
        raise InputRefused(
            f"no use case is called {name!r}",
            expected=f"one of {', '.join(known)}, or a path to a YAML file",
            do=closest(name, known) or "run 'riskwright usecases'",
        )
    if not path.is_file():
        raise InputRefused(
            "the use case file doesn't exist",
            where=str(path),
            expected="a YAML file",
            do="check the path, or run 'riskwright usecases'",
        )
    return read_file(path)


def kind_of(name: str | Path, home: Home | None = None) -> str:
    """Return the kind that the YAML of a use case says, by its path or its name in a home.

    A file that can't be read is of the default kind: what reads it says what is wrong with it.
    """
    known = known_usecases(home) if home is not None else {}
    path = known.get(str(name), Path(name))
    try:
        return said_kind(read_yaml(path.read_text(encoding="utf-8"), str(path)))
    except (OSError, UnicodeDecodeError, InputRefused):
        return DEFAULT


def read_yaml(text: str, where: str) -> dict[str, Any]:
    """Read the YAML text of a use case: a plain scalar is what was written.

    Of YAML 1.1's readings only ``true`` and ``false``, plain decimal numbers and null are kept. It
    takes ``NO`` for false, ``010`` for 8 and ``12:30`` for 750, and such codes would match no cell.

    Raises
    ------
    InputRefused
        If it isn't YAML or no mapping, or says a key twice: plain YAML lets the last one win.
    """
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the fast one, where it was built

    class Loader(base):
        yaml_implicit_resolvers = _plain_scalars(base)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
            twice = next((key for key in keys if keys.count(key) > 1), None)
            if twice is not None:
                raise InputRefused(
                    f"the key {twice!r} is there twice",
                    where=f"{where}, line {node.start_mark.line + 1} and below",
                    expected="each key once in a mapping",
                )
            found: dict[Any, Any] = super().construct_mapping(node, deep=deep)
            return found

    try:
        plain: Any = yaml.load(text, Loader)  # noqa: S506  (a SafeLoader)
    except yaml.YAMLError as error:
        raise InputRefused(
            "the use case is not valid YAML", where=f"{where}: {error}", do="mend the syntax"
        ) from error
    if not isinstance(plain, dict):
        raise InputRefused(
            "the use case is not a YAML mapping", where=where, expected="keys such as 'name:'"
        )
    return plain


def _plain_scalars(base: Any) -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Return PyYAML's implicit resolvers, by first character, with those types made narrower."""
    tag = "tag:yaml.org,2002:"
    dropped = {tag + kind for kind in ("bool", "int", "float", "timestamp")}
    found = {
        first: [rule for rule in rules if rule[0] not in dropped]
        for first, rules in base.yaml_implicit_resolvers.items()
    }
    for kind, firsts, pattern in (
        ("bool", "tTfF", r"true|True|TRUE|false|False|FALSE"),
        ("int", "-+0123456789", r"[-+]?(?:0|[1-9][0-9]*)"),
        (
            "float",
            "-+.0123456789",
            r"[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?",
        ),
        ("float", "-+.", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"),
    ):
        for first in firsts:
            rule = (tag + kind, re.compile(f"(?:{pattern})$"))
            found.setdefault(first, []).append(rule)
    return found


def refuse_other_name(text: str, said: str, path: Path) -> None:
    """Refuse a known file that says it is another use case.

    Raises
    ------
    InputRefused
        With the file.
    """
    if said != text:
        raise InputRefused(
            f"the file of the use case {text!r} says its name is {said!r}",
            where=str(path),
            expected=f"name: {text}",
            do="make the file's name and 'name:' the same",
        )


def refuse_twice(name: str, home: Home) -> None:
    """Refuse a name that both a shipped use case and a file in the home have.

    Raises
    ------
    InputRefused
        With that file.
    """
    mine = home.root / "usecases" / f"{name}.yaml"
    if mine.is_file() and name in shipped():
        raise InputRefused(
            f"two use cases are called {name!r}: a shipped one, and one in the home",
            where=str(mine),
            do="give the one in the home another name (of the file, and its 'name:')",
        )


def _folder(package: str) -> Path | None:
    """Where a system's package lies; None if another's can't be imported (its use is refused)."""
    try:
        return Path(str(resources.files(package)))
    except Exception:
        if package in SHIPPED.values():
            raise
        return None


def _own(home: Home) -> list[Path]:
    return sorted((home.root / "usecases").glob("*.yaml"))
