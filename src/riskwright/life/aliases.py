"""MLflow's aliases follow the ledger, also when MLflow couldn't be had for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from riskwright.account import Account
from riskwright.errors import RiskwrightError
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life.tracking import connect, set_alias


def reconcile(usecase: str, home: Home, ledger: Ledger) -> list[str]:
    """Make MLflow's aliases follow the ledger; return what had to change."""
    client = connect(home)
    changed: list[str] = []
    while True:
        champion = ledger.champion(usecase)
        waiting = ledger.challengers(usecase)
        names = {r.registered for v in ledger.versions(usecase) for r in v.models.values()}
        wanted = {
            "champion": champion.models if champion else {},
            "challenger": waiting[-1].models if waiting else {},
        }
        for name in sorted(names):
            for alias, models in wanted.items():
                found = [r.mlflow_version for r in models.values() if r.registered == name]
                if set_alias(client, name, alias, found[0] if found else None):
                    changed.append(f"{name}@{alias}")
        # Another process may have promoted between the reading and the writing.
        if ledger.champion(usecase) == champion and ledger.challengers(usecase) == waiting:
            return changed


def follow(
    usecase: str, home: Home, ledger: Ledger, tell: Callable[[str], object] = lambda note: None
) -> None:
    """Reconcile; if MLflow can't be had, tell so: what the ledger holds is decided all the same."""
    try:
        reconcile(usecase, home, ledger)
    except Exception as error:  # noqa: BLE001  (whatever MLflow says, the decision is taken)
        what = error.what if isinstance(error, RiskwrightError) else f"MLflow failed: {error}"
        champion = ledger.champion(usecase)
        live = f"version {champion.version} is live" if champion else "no version is live"
        tell(
            f"{what}. In the ledger {live}; MLflow's aliases follow with 'riskwright doctor "
            "--mend', or at the next decision"
        )


def change_champion(
    home: Home,
    ledger: Ledger,
    usecase: str,
    action: str,
    *,
    actor: str | Account,
    reason: str,
    tell: Callable[[str], object] = lambda note: None,
    **more: Any,
) -> Any:
    """Run one of the ledger's transactions (``promote``, ``rollback`` …), then the aliases.

    Parameters
    ----------
    tell
        Called with what is left to do, where MLflow can't be had.
    """
    try:
        return getattr(ledger, action)(usecase, actor=actor, reason=reason, **more)
    finally:
        follow(usecase, home, ledger, tell)
