"""What every flow needs: the home, the ledger, and when another try is worth it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from riskwright.data.databases import refuse_secrets
from riskwright.errors import RiskwrightError, Unavailable
from riskwright.home import Home, make_database
from riskwright.ledger import Ledger
from riskwright.life.opened import opened
from riskwright_flows.stop import at_once


def prepare(*, create: bool = True) -> tuple[Home, Ledger]:
    """Return the home and its ledger, with the environment set for every library."""
    home, ledger = opened(create=create)
    place = home.root / "prefect"
    if create and Path(os.environ["PREFECT_HOME"]) == place:
        make_database(home.folder("prefect") / "prefect.db")
    return home, ledger


def run(flow: Callable[..., Any], *arguments: Any) -> Any:
    """Run a flow from a command line; Prefect keeps its arguments, so none may be a secret.

    Without a server of its own there are no automations to hear a flow's heartbeat, whose sender
    keeps each flow waiting up to a second at its end.
    """
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    for argument in arguments:
        if isinstance(argument, str) and "://" in argument:
            refuse_secrets(argument)

    if os.environ.get("PREFECT_API_URL"):
        return flow(*arguments)
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}), at_once():
        return flow(*arguments)


def world_failed(task: Any, run: Any, state: Any) -> bool:
    """Prefect's retry condition: a server, disk or network failed; refused input never heals."""
    try:
        state.result()
    except Unavailable:
        return True
    except RiskwrightError:
        return False
    except Exception as error:  # noqa: BLE001  (whatever failed, the question is whether to retry)
        return isinstance(error, (ConnectionError, TimeoutError))
    return False
