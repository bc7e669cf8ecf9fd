"""One look of a monitor, at cases or at a market: what the command and the flow share."""

from __future__ import annotations

from typing import Any

from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life.named import named, trouble


def look(
    home: Home,
    ledger: Ledger,
    usecase: str,
    input: str | None,
    labels: str | None,
    as_of: str | None,
    version: str | None,
) -> dict[str, Any]:
    """Watch what is live, by the specification that it was trained with.

    Returns
    -------
    dict
        What ``monitor_batch`` or ``monitor_market`` tells, and ``notes``.
    """
    found = named(usecase, home, ledger)
    if found.market:
        from riskwright.systems.market.monitoring import monitor_market

        refuse_for_market(labels, version)
        result = monitor_market(found.name, home, ledger, input=input, as_of=as_of)
    else:
        from riskwright.systems.credit.monitoring import monitor_batch
        from riskwright.systems.credit.promotion import trained_usecase

        if input is None:
            raise InputRefused("which batch?", expected="--input FILE")
        spec = trained_usecase(home, ledger, found.name, version or "champion")
        result = monitor_batch(
            spec, home, ledger, input=input, labels=labels, as_of=as_of, version=version
        )
    return result | {"notes": [*result.get("notes", []), *trouble(found, home, ledger)]}


def refuse_for_market(labels: str | None, version: str | None) -> None:
    """Refuse what a monitor takes for cases alone."""
    if labels is not None:
        raise InputRefused(
            "the outcomes of a market forecast are in its series", expected="no --labels"
        )
    if version is not None:
        raise InputRefused(
            "a market's live forecast is watched, from its own training on", expected="no --version"
        )
