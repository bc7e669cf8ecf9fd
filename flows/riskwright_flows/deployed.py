"""Steps of ``deploy/prefect.yaml``."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from riskwright.data.databases import refuse_secrets
from riskwright.errors import InputRefused


def require(variables: list[str]) -> None:
    """Refuse to deploy while a variable is unset, or an address that is a secret.

    Prefect would deploy an empty parameter; it keeps, and shows, each one in plain.

    Raises
    ------
    SystemExit
        With 2 for either: Prefect would show an error as forty lines of traceback.
    """
    unset = [name for name in variables if not os.environ.get(name, "").strip()]
    if unset:
        refused = InputRefused(
            f"not deployed, since {' and '.join(unset)} {'is' if len(unset) == 1 else 'are'} unset",
            where="deploy/prefect.yaml",
            expected="every variable that it names, set in the shell that applies it",
            do="set it, or choose deployments with '-n NAME' instead of '--all'",
        )
        _end(refused)
    for name in variables:
        try:
            if "://" in os.environ[name]:
                refuse_secrets(os.environ[name])
        except InputRefused as secret:
            what, where = f"not deployed: {secret.what}", f"{name}: {secret.where}"
            _end(InputRefused(what, where=where, expected=secret.expected, do=secret.do))


def _end(refused: InputRefused) -> NoReturn:
    print(f"riskwright: {refused}", file=sys.stderr)
    sys.exit(refused.exit_code)
