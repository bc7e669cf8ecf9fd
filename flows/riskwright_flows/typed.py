"""Commands as they are printed: what is shown can be typed, wherever one stands."""

from __future__ import annotations

import re
import shutil
import sys
from functools import cache
from pathlib import Path

NAME = "riskwright"
# A command inside a sentence stands in single quotes.
_QUOTED = re.compile(r"'riskwright (?=[a-z-])")


@cache
def program() -> str:
    """Return how to call this command line: its name if that finds it, else where it is.

    The script lies beside the interpreter; a copy that was never installed is run as a module.
    """
    script = Path(sys.executable).with_name(NAME)
    found = shutil.which(NAME)
    if found is not None and Path(found).resolve() == script.resolve():
        return NAME
    return str(script) if script.is_file() else f"{sys.executable} -m riskwright_flows.cli"


def command(arguments: str) -> str:
    """Return a command to type, such as ``riskwright alerts show 1``."""
    return f"{program()} {arguments}"


def typed(text: str) -> str:
    """Return a message with the commands that it quotes as they can be typed."""
    return _QUOTED.sub(lambda _: f"'{program()} ", text)
