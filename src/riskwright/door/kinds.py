"""What only some kinds of use cases have; the others are refused, and told what they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from riskwright.errors import InputRefused

if TYPE_CHECKING:
    from riskwright.life.named import Named

INSTEAD = {
    "credit": "'score' says how likely cases default, 'explain' why",
    "loans": "'score' prices applications, 'value_book' says what a book will lose",
    "market": "'forecast' says what is expected, and why",
}


def only(found: Named, what: str, *kinds: str) -> str:
    """Return a use case's name.

    Parameters
    ----------
    what
        What was asked for, such as ``a book to value``.
    kinds
        Those that have it.

    Raises
    ------
    InputRefused
        If it is of another kind.
    """
    if found.kind in kinds:
        return found.name
    raise InputRefused(
        f"{found.name!r} is of the kind {found.kind!r}: there is not {what}",
        expected=f"a use case of the kind {' or '.join(kinds)}",
        do=INSTEAD.get(found.kind, ""),
    )
