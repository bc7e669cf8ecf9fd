"""Go back to a former champion, once, however often the command is repeated."""

from __future__ import annotations

from collections.abc import Callable

from riskwright.account import Account
from riskwright.errors import Conflict
from riskwright.home import Home
from riskwright.ledger import Ledger, Promotion
from riskwright.ledger.tables import number
from riskwright.life.aliases import change_champion, follow


def roll_back(
    home: Home,
    ledger: Ledger,
    usecase: str,
    *,
    actor: Account,
    reason: str,
    to: int | None = None,
    tell: Callable[[str], object] = lambda note: None,
) -> Promotion:
    """Go back to the former champion, once: the same call again finds it done.

    Where the last change was a rollback already, only ``to`` goes further back: whoever repeats a
    command (because MLflow was down, because two people were called) means the same step.

    Raises
    ------
    Conflict
        If somebody else, or for another reason, rolled back already.
    """
    champion, to = ledger.champion(usecase), None if to is None else number("version", to)
    if champion is not None and (
        to == champion.version or (to is None and champion.kind == "rollback")
    ):
        last = ledger.history(usecase)[-1]
        same = last.reason == reason.strip() and actor.same(
            {"method": "program", "name": last.actor}
        )
        if to is None and not same:
            further = ledger.formers(usecase)
            raise Conflict(
                f"{usecase} was rolled back already: version {last.version} is live, "
                f"not version {last.previous}",
                where=f"at {last.at}, by {last.actor}: {last.reason}",
                do=f"to go further back say so: --to {further[0]}" if further else "",
            )
        tell(f"it was so already, since {last.at}: nothing was changed")
        follow(usecase, home, ledger, tell)
        return last
    expected = champion.version if champion else None
    more = {"expected": expected, "to": to}
    done: Promotion = change_champion(
        home, ledger, usecase, "rollback", actor=actor, reason=reason, tell=tell, **more
    )
    return done
