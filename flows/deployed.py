"""Steps of ``deploy/prefect.yaml``."""

from __future__ import annotations

import os
import sys

from riskwright.errors import InputRefused


def require(variables: list[str]) -> None:
    """Refuse to deploy while a variable is unset: Prefect would deploy an empty parameter.

    Raises
    ------
    SystemExit
        With 2 if one is unset or empty: Prefect would show an error as forty lines of traceback.
    """
    unset = [name for name in variables if not os.environ.get(name, "").strip()]
    if unset:
        refused = InputRefused(
            f"not deployed, since {' and '.join(unset)} {'is' if len(unset) == 1 else 'are'} unset",
            where="deploy/prefect.yaml",
            expected="every variable that it names, set in the shell that applies it",
            do="set it, or choose deployments with '-n NAME' instead of '--all'",
        )
        print(f"riskwright: {refused}", file=sys.stderr)
        sys.exit(refused.exit_code)
