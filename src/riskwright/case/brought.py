"""Which installed package brings an entry point; one name that several bring is refused."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from riskwright.errors import InputRefused


def distribution_of(point: EntryPoint) -> str:
    """Return name and version of the package that brings an entry point."""
    found = point.dist
    return f"{found.name} {found.version}" if found is not None else "an unknown package"


def refuse_several(group: str, name: str, where: str) -> None:
    """Raise ``InputRefused`` if several packages bring one name: the order on the path decides.

    Parameters
    ----------
    where
        What names it.
    """
    who = sorted({distribution_of(p) for p in entry_points(group=group) if p.name == name})
    if len(who) > 1:
        raise InputRefused(
            f"{' and '.join(who)} bring the same entry point {name!r} of {group}",
            where=where,
            expected="one package for each name",
            do="uninstall all of them but one",
        )
