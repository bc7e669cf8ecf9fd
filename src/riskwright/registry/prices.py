"""What an application of a loan use case has to pay, beside its score."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd

from riskwright.bundle.bundle import Bundle
from riskwright.bundle.valuation import price_applications
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.registry.promotion import load_loss


def pricer(
    home: Home, ledger: Ledger, bundle: Bundle
) -> Callable[[pd.DataFrame], pd.DataFrame] | None:
    """Return what prices canonical applications by the version's PD and LGD; None without loans."""
    if bundle.usecase.loan is None:
        return None
    lgd = load_loss(home, ledger, bundle.usecase.name, bundle.version, "lgd")
    return partial(price_applications, bundle, lgd)
