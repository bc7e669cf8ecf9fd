"""What an application of a loan use case has to pay, beside its score."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd

from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.systems.credit.bundle import Bundle
from riskwright.systems.loans.promotion import load_loss
from riskwright.systems.loans.valuation import price_applications


def pricer(
    home: Home, ledger: Ledger, bundle: Bundle
) -> Callable[[pd.DataFrame], pd.DataFrame] | None:
    """Return what prices canonical applications by the version's PD and LGD; None without loans."""
    if bundle.usecase.loan is None:
        return None
    lgd = load_loss(home, ledger, bundle.usecase.name, bundle.version, "lgd")
    return partial(price_applications, bundle, lgd)
