"""Commands about models: retrain, challengers, approve, reject, rollback, history."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from riskwright_flows import say, say_models
from riskwright_flows.cli_cases import Json, UseCaseName
from riskwright_flows.say import answer

Reason = Annotated[str, typer.Option(help="why; kept in the ledger")]
Version = Annotated[int, typer.Argument(metavar="VERSION")]


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (retrain, challengers, approve, reject, rollback, history, verify, serve):
        app.command()(command)


def retrain(
    usecase: Annotated[str | None, typer.Argument(metavar="USECASE")] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="file or URL (of a market, a folder), this once; else the use case's own source"
        ),
    ] = None,
    budget: Annotated[str | None, typer.Option(help="time for tuning, such as 10m")] = None,
    seed: Annotated[int, typer.Option(help="of everything random; never of the split")] = 0,
    requested: Annotated[bool, typer.Option(help="serve the waiting requests instead")] = False,
    as_json: Json = False,
) -> int:
    """Train every family, judge the challenger, and promote it as the use case's policy says.

    A killed retrain goes on where it was when the same command runs again.

    Example: riskwright retrain german_credit --data german.data
    """
    from riskwright.case.files import is_path
    from riskwright.errors import InputRefused
    from riskwright.life.named import specification_of
    from riskwright.life.renewal import place_of
    from riskwright.life.system import load_case
    from riskwright.life.training import training_of
    from riskwright_flows.runtime import prepare, run

    home, ledger = prepare()
    if requested:
        return _serve(home, ledger, usecase, data, budget, as_json)
    if usecase is None:
        raise InputRefused(
            "which use case?", expected="a USECASE, or --requested", do="see 'riskwright usecases'"
        )
    usecase = specification_of(usecase, home, ledger)
    case = load_case(usecase, home)[0].within(budget)
    if data is not None and Path(data).exists():
        data = str(Path(data).resolve())
    named = str(Path(usecase).resolve()) if is_path(usecase) else usecase
    # Refused input is told before the orchestrator starts; the flow finds the snapshots made.
    training_of(case.kind).ingest(case, place_of(case, ledger, data).location, home)
    from riskwright_flows.retrain import retrain_flow

    result: dict[str, Any] = run(retrain_flow, named, data, budget, seed)
    answer(result, as_json, lambda: say_models.retrained(result))
    return 0 if result["passed"] else 3


def _serve(
    home: Any,
    ledger: Any,
    usecase: str | None,
    data: str | None,
    budget: str | None,
    as_json: bool,
) -> int:
    """Serve the waiting requests: 1 if an outage leaves one waiting, 2 input, 3 a gate."""
    from riskwright.case.sections import Tuning
    from riskwright.errors import InputRefused
    from riskwright_flows.requested import retrain_requested_flow
    from riskwright_flows.runtime import run

    if data is not None:
        raise InputRefused(
            "a requested retrain reads the use case's own source",
            where="--data with --requested",
            expected="one of the two",
            do="retrain by hand with --data: it serves the requests that wait, if the data are new",
        )
    Tuning().within(budget)
    name = None if usecase is None else _name(usecase, home, ledger)
    state = run(partial(retrain_requested_flow, return_state=True), name, budget)
    served = state.result(raise_on_failure=False)
    if isinstance(served, BaseException):
        raise served
    answer(served, as_json, lambda: say_models.requests(served))
    codes = {request["exit_code"] for request in served["requests"]}
    return min(codes - {0}, default=0)


def challengers(usecase: UseCaseName, as_json: Json = False) -> None:
    """Show what waits for a decision, with its gates.

    Example: riskwright challengers company_credit
    """
    from riskwright.home import Home
    from riskwright.life.waiting import waiting

    ledger, name = _open(usecase)
    rows = [found.as_dict() for found in waiting(Home(), ledger, name)]
    answer(rows, as_json, lambda: say_models.challengers(name, rows))


def approve(usecase: UseCaseName, version: Version, reason: Reason, as_json: Json = False) -> None:
    """Let a challenger go live. Who trained it may not approve it.

    What differs in its rules from the champion's is shown first.

    Example: riskwright approve company_credit 2 --reason "gates read, limits agreed"
    """
    from riskwright.life import approval
    from riskwright_flows.runtime import prepare

    home, ledger = prepare(create=False)
    name = _name(usecase, home, ledger)

    def show(author: str, changed: Mapping[str, Any]) -> None:
        if not as_json:
            say.author(author)
            say.rules_changed(changed)

    done = approval.approve(home, ledger, name, version, reason, show=show)
    rules = {**done.rules_changed, "author": done.author}
    _changed(name, done.promotion, list(done.notes), as_json, rules)


def reject(usecase: UseCaseName, version: Version, reason: Reason, as_json: Json = False) -> None:
    """Turn a challenger down for good.

    Example: riskwright reject company_credit 2 --reason "calibration of small firms"
    """
    from riskwright.life.aliases import change_champion
    from riskwright_flows.runtime import prepare

    home, ledger = prepare(create=False)
    name = _name(usecase, home, ledger)
    notes: list[str] = []
    more: dict[str, Any] = {"actor": ledger.who(), "reason": reason, "version": version}
    change_champion(home, ledger, name, "reject", tell=notes.append, **more)
    result = {"usecase": name, "version": version, "status": "rejected", "notes": notes}
    say.decided(result, f"{name}: version {version} is rejected", as_json)


def rollback(
    usecase: UseCaseName,
    reason: Reason,
    to: Annotated[
        int | None, typer.Option(help="a champion before it; else the last of them")
    ] = None,
    as_json: Json = False,
) -> None:
    """Go back to the former champion. The same again changes nothing; --to goes further back.

    Example: riskwright rollback company_credit --reason "approval rate fell by half"
    """
    from riskwright.life.rollback import roll_back
    from riskwright_flows.runtime import prepare

    home, ledger = prepare(create=False)
    name = _name(usecase, home, ledger)
    notes: list[str] = []
    actor = ledger.who()
    done = roll_back(home, ledger, name, actor=actor, reason=reason, to=to, tell=notes.append)
    _changed(name, done, notes, as_json)


def history(
    usecase: UseCaseName,
    at: Annotated[str | None, typer.Option(help="date, or date and time (UTC)")] = None,
    as_json: Json = False,
) -> None:
    """Show which version was live, since when, and by whose decision.

    Example: riskwright history credit_assessment --at 2026-06-30
    """
    ledger, name = _open(usecase)
    doubt = ledger.doubtful_promotions(name)
    rows = [
        {
            "version": p.version,
            "since": str(p.at),
            "kind": p.kind,
            "actor": p.actor,
            "reason": p.reason,
            "previous": p.previous,
            "by": p.by,
            "clock": doubt.get(p.sequence),
        }
        for p in ledger.history(name)
    ]
    if at is not None:
        live = ledger.champion(name, at=_moment(at))
        rows = [rows[live.sequence - 1]] if live is not None else []
    title = f"Champions of {name}" + (f" at {at}" if at else "")
    answer(rows, as_json, lambda: say.history(title, rows))


def serve(
    usecase: UseCaseName,
    port: Annotated[int, typer.Option(help="on loopback", min=1, max=65535)] = 5055,
    model: Annotated[
        str | None, typer.Option(help="pd, lgd, ead, m1 …; the first if left out")
    ] = None,
) -> None:
    """Serve the live version on loopback, after every file of it was checked against the ledger.

    Example: riskwright serve company_credit --port 5055
    """
    from riskwright.life import serving
    from riskwright_flows.runtime import prepare

    home, ledger = prepare(create=False)
    name = _name(usecase, home, ledger)
    bundle, version = serving.load_live(home, ledger, name, model)
    told = f"{name} version {version} answers on http://127.0.0.1:{port}/invocations"
    print(told, flush=True)
    serving.serve(bundle, name, version, port)


def verify(
    usecase: Annotated[str | None, typer.Argument(metavar="USECASE")] = None,
    as_json: Json = False,
) -> int:
    """Hold every file that the ledger names against its hash; exit 1 if one isn't what it was.

    Example: riskwright verify company_credit
    """
    from riskwright.home import Home, quiet_environment
    from riskwright.life.verify import verify_home

    home = Home().existing()
    quiet_environment(home)
    found = verify_home(home, usecase)
    ok = not any(f.bad for f in found)
    told = {"ok": ok, "findings": [f.as_dict() for f in found]}
    answer(told, as_json, lambda: say.verified(told))
    return 0 if ok else 1


def _changed(
    name: str, done: Any, notes: list[str], as_json: bool, rules: dict[str, Any] | None = None
) -> None:
    result = {
        **({"rules_changed": rules} if rules is not None else {}),
        "usecase": name,
        "version": done.version,
        "previous": done.previous,
        "kind": done.kind,
        "actor": done.actor,
        "by": done.by,
        "at": str(done.at),
        "notes": notes,
    }
    before = "the first" if done.previous is None else f"before: {done.previous}"
    told = f"{name}: version {done.version} is live ({before}), {done.kind}"
    say.decided(result, told, as_json)


def _open(usecase: str) -> tuple[Any, str]:
    from riskwright.home import Home
    from riskwright.ledger import Ledger

    home = Home().existing()
    ledger = Ledger.open(home)
    return ledger, _name(usecase, home, ledger)


def _name(usecase: str, home: Any, ledger: Any) -> str:
    """The use case's own name; what was trained once is known, whatever its YAML says today."""
    from riskwright.life.named import named

    return named(usecase, home, ledger).name


def _moment(text: str) -> datetime:
    from riskwright.errors import InputRefused

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputRefused(
            f"{text!r} is not a date", expected="2026-06-30 or 2026-06-30T12:00"
        ) from None
    if len(text) <= 10:  # a day means its end: what was live when it closed
        moment = moment.replace(hour=23, minute=59, second=59, microsecond=999999)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
