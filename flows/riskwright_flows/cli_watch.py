"""Commands about watching: monitor, alerts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from riskwright_flows import say, say_models
from riskwright_flows.cli_cases import Json, UseCaseName
from riskwright_flows.say import answer
from riskwright_flows.typed import typed

DECISIONS = ("accept", "retrain", "fallback", "rollback")


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (monitor, alerts):
        app.command()(command)


def monitor(
    usecase: UseCaseName,
    input: Annotated[
        str | None,
        typer.Option(help="batch of cases, as it arrived; of a market, the folder of its series"),
    ] = None,
    labels: Annotated[str | None, typer.Option(help="file with the id and the outcome")] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            help="the input is a history of loans: judge it as of then; of a market, look then",
        ),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(help="that scored the batch; else what is recorded, or was live then"),
    ] = None,
    as_json: Json = False,
) -> int:
    """Hold a batch against the champion's reference; findings past the limits open an alert.

    Outcomes are held against the version that scored the cases. Of a loan book, --as-of judges
    all loans so far; of a market, nothing but its name is needed.
    Exit code 3: an alert about what was looked at is open.

    Example: riskwright monitor credit_assessment --input batch.csv --labels outcomes.csv
    """
    from riskwright.life import commands
    from riskwright.progress import console
    from riskwright_flows.runtime import prepare

    home, ledger = prepare(create=False)
    with console.status("monitoring"):
        result = commands.monitor(
            usecase, home, ledger, input=input, labels=labels, as_of=as_of, version=version
        )
    answer(result, as_json, lambda: say_models.monitored(result))
    return 3 if result["alert_open"] else 0


def alerts(
    what: Annotated[
        str | None, typer.Argument(metavar="[USECASE] | show | decide | withdraw")
    ] = None,
    id: Annotated[
        int | None,
        typer.Argument(metavar="[ID]", help="of an alert; of withdraw: of a REQUEST"),
    ] = None,
    decision: Annotated[str | None, typer.Argument(metavar="[DECISION]")] = None,
    reason: Annotated[str, typer.Option(help="why; kept in the ledger")] = "",
    all: Annotated[bool, typer.Option("--all", help="decided ones too")] = False,
    as_json: Json = False,
) -> None:
    """List open alerts, show one, or decide it: accept, retrain, fallback or rollback.

    'alerts withdraw REQUEST' ends a retrain that was asked for and is wanted no longer; REQUEST is
    the request's number, not the alert's. Who may not accept its alert may not withdraw it.

    Example: riskwright alerts decide 3 retrain --reason "new channel is here to stay"
    """
    from riskwright.errors import InputRefused
    from riskwright.home import Home
    from riskwright.ledger import Ledger

    home = Home().existing()
    ledger = Ledger.open(home)
    if what == "decide":
        if id is None or decision not in DECISIONS or not reason.strip():
            raise InputRefused(
                "a decision needs an alert, what to do, and a reason",
                expected=f"alerts decide ID {'|'.join(DECISIONS)} --reason TEXT",
            )
        _decide(home, ledger, id, decision, reason, as_json)
        return
    if what == "withdraw":
        if id is None or not reason.strip():
            raise InputRefused(
                "a withdrawal needs the number of a request, and a reason",
                expected="alerts withdraw REQUEST --reason TEXT",
                do="riskwright alerts",
            )
        _withdraw(ledger, id, reason, as_json)
        return
    if what == "show":
        if id is None:
            raise InputRefused("which alert?", expected="alerts show ID", do="riskwright alerts")
        shown = ledger.alert(id)
        asked = [
            asdict(r) for r in ledger.requests(shown.use_case, open_only=False) if r.alert_id == id
        ]
        found = asdict(shown) | {"request": asked[0] if asked else None}
        answer(found, as_json, lambda: say.alert(found))
        return
    if what is not None:
        from riskwright_flows.cli_models import _name

        what = _name(what, home, ledger)
    rows = [asdict(a) for a in ledger.alerts(what, open_only=not all)]
    waiting = [asdict(request) for request in ledger.requests(what)]
    answer(rows, as_json, lambda: say.alerts(rows, waiting))


def _decide(home: Any, ledger: Any, id: int, decision: str, reason: str, as_json: bool) -> None:
    from riskwright.home import quiet_environment

    done = ledger.decide_alert(id, decision, actor=ledger.who(), reason=reason)
    notes: list[str] = []
    if decision in ("fallback", "rollback"):
        from riskwright.life.aliases import follow

        quiet_environment(home)
        follow(ledger.alert(id).use_case, home, ledger, notes.append)
    after = {
        "accept": "the champion stays",
        "retrain": "a request waits: 'riskwright retrain --requested' learns from the use case's "
        "own source, once that holds what came since",
        "fallback": "the baseline is live",
        "rollback": "the former champion is live",
    }[decision]
    own = " (by an author of the model)" if done.own_model else ""
    told = typed(f"alert {id}: {decision}{own}; {after}")
    say.decided(asdict(done) | {"notes": notes}, told, as_json)


def _withdraw(ledger: Any, id: int, reason: str, as_json: bool) -> None:
    gone = ledger.withdraw_request(id, actor=ledger.who(), reason=reason)
    told = (
        f"request {id} is withdrawn: the {gone.kind} of {gone.use_case} that {gone.actor} asked "
        f"for ({gone.reason})"
    )
    alert = ledger.alert(gone.alert_id) if gone.alert_id is not None else None
    if alert is not None:
        told += (
            f"; alert {alert.id} ({alert.severity}) stays {alert.status}: {alert.decision}, by "
            f"{alert.decided_by}. Nothing is done about it now; what a later look finds beyond it "
            "opens another"
        )
    found = asdict(gone) | {"alert": asdict(alert) if alert else None}
    answer(found, as_json, lambda: print(typed(told)))
