"""The kinds of use cases: one table of their systems, those shipped and those installed beside."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from riskwright.case.brought import refuse_several
from riskwright.errors import InputRefused, closest

SHIPPED = {
    "credit": "riskwright.systems.credit",
    "loans": "riskwright.systems.loans",
    "market": "riskwright.systems.market",
}
GROUP = "riskwright.systems"  # of entry points: kind = package
DEFAULT = "credit"
# Files of before there was a 'kind' say theirs by a key that no other kind has: read for one more
# version, so that what runs today goes on.
BEFORE = {"series": "market", "loan": "loans"}


def packages() -> dict[str, str]:
    """Return kind to package: the YAML files lie there, and the module ``system``."""
    return _installed(tuple(sys.path)) | SHIPPED


@cache
def _installed(places: tuple[str, ...]) -> dict[str, str]:
    """Search every distribution in these places, once: it takes as long as a YAML file."""
    return {found.name: found.value for found in entry_points(group=GROUP)}


def package_of(kind: str, where: str = "kind") -> str:
    """Return the package of a kind.

    Parameters
    ----------
    where
        Which file says it.

    Raises
    ------
    InputRefused
        If no system is of that kind, or several packages bring it.
    """
    if kind in SHIPPED:  # entry points are searched in every installed distribution: last
        return SHIPPED[kind]
    known = packages()
    if kind not in known:
        raise InputRefused(
            f"there is no kind {kind!r} of use cases",
            where=where,
            expected=", ".join(known),
            do=closest(kind, known) or f"leave it out for {DEFAULT!r}",
        )
    refuse_several(GROUP, kind, where)
    return known[kind]


def said_kind(plain: Mapping[str, object]) -> str:
    """Return the kind that a use case says; one that is left empty isn't said."""
    if plain.get("kind") is not None:
        return str(plain["kind"])
    return next((kind for key, kind in BEFORE.items() if plain.get(key) is not None), DEFAULT)
