"""The one family of errors: what was wrong, where, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class RiskwrightError(Exception):
    """Something went wrong that a person can act on.

    Parameters
    ----------
    what
        What is wrong, as one sentence.
    where
        File, row, column or setting; empty if it would only repeat ``what``.
    expected
        What would have been right.
    do
        What to do now.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", expected: str = "", do: str = "") -> None:
        self.what, self.where, self.expected, self.do = what, where, expected, do
        super().__init__(what)

    def __str__(self) -> str:
        lines = [self.what]
        lines += [
            f"  {name}: {text}"
            for name, text in (
                ("where", self.where),
                ("expected", self.expected),
                ("do", self.do),
            )
            if text
        ]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, str]:
        """Return the four parts, for ``--json``."""
        return {
            "error": type(self).__name__,
            "what": self.what,
            "where": self.where,
            "expected": self.expected,
            "do": self.do,
        }


class InputRefused(RiskwrightError):
    """The input (data, use case, option) can't be accepted; nothing was written."""

    exit_code = 2


class NoRows(InputRefused):
    """The input can be read and holds no row: no cases, which to a monitor is a finding."""


class GateRefused(RiskwrightError):
    """A gate, or the four-eyes rule, said no."""

    exit_code = 3


class IntegrityError(RiskwrightError):
    """A stored file or record is not what was stored."""


class Unavailable(RiskwrightError):
    """A server, a disk or a network that is needed can't be used."""


class Conflict(RiskwrightError):
    """Somebody else changed the same thing first."""


def closest(name: str, known: Iterable[str]) -> str:
    """Return ``"did you mean 'x'?"`` for the closest known name, else an empty string."""
    matches = get_close_matches(name, [str(k) for k in known], n=1, cutoff=0.5)
    return f"did you mean {matches[0]!r}?" if matches else ""
