"""The home and its ledger, with the environment set for every library: how all work begins."""

from __future__ import annotations

from riskwright.home import Home, quiet_environment
from riskwright.ledger import Ledger


def opened(*, create: bool) -> tuple[Home, Ledger]:
    """Return the home of the settings and its ledger.

    Parameters
    ----------
    create
        Whether they are made where they are missing.

    Raises
    ------
    InputRefused
        If there is no home and none is to be made.
    Unavailable
        If the home or the ledger can't be used.
    """
    home = Home()
    quiet_environment(home)
    home = home.create() if create else home.existing()
    return home, Ledger.open(home, create=create)
