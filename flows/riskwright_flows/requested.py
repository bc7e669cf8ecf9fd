"""Requests: retrains that alert review asked for, each served once, or waiting with its reason."""

from __future__ import annotations

import os
from typing import Any

from prefect import flow
from prefect.states import Completed, Failed

from riskwright.errors import RiskwrightError
from riskwright.home import Home
from riskwright.ledger import Ledger, Request
from riskwright.life.named import specification_of
from riskwright.life.process import owner
from riskwright.life.renewal import learnt_from, nothing_new, place_of, served_since
from riskwright.life.system import load_case
from riskwright.life.training import training_of
from riskwright_flows.at_work import at_work
from riskwright_flows.retrain import retrain_flow
from riskwright_flows.runtime import prepare
from riskwright_flows.say_models import verdict
from riskwright_flows.stop import on_the_way_out


def serve(
    home: Home, ledger: Ledger, request: Request, budget: str | None
) -> dict[str, Any] | None:
    """Retrain for one request; None if another process is at it.

    It ends when a version learnt from data that none had when it was made, and only then: an
    outage, refused input and a source that holds nothing new leave it waiting.

    Returns
    -------
    dict
        ``request``, ``use_case``, ``told`` (a line), ``exit_code``, ``waits``, and what the
        retrain answered if there was one.
    """
    said: dict[str, Any] = {"request": request.id, "use_case": request.use_case, "waits": False}
    if (newer := served_since(ledger, request)) is not None:
        if ledger.claim_request(owner(), id=request.id) is None:
            return None
        told = f"version {newer.version} ({newer.status}) learnt from newer data since"
        return said | {"told": _finish(ledger, request, told), "exit_code": 0}
    claimed = False
    try:
        asked = _ask(home, ledger, request, budget)
        if isinstance(asked, str):
            ledger.note_request(request.id, asked)
            return said | _unchanged(asked, request)
        if ledger.claim_request(owner(), id=request.id) is None:
            return None
        claimed = True
        with on_the_way_out(lambda: ledger.return_request(request.id, owner(), "it was stopped")):
            result: dict[str, Any] = retrain_flow(**asked)
        if result.get("nothing_new"):
            ledger.return_request(request.id, owner(), result["told"])
            return said | _unchanged(result["told"], request)
    except Exception as error:
        why = _one_line(error)
        if claimed:
            ledger.return_request(request.id, owner(), why)
        else:
            ledger.note_request(request.id, why)
        if os.environ.get("RISKWRIGHT_DEBUG"):
            raise
        code = error.exit_code if isinstance(error, RiskwrightError) else 1
        told = f"request {request.id} waits: {why}"
        return said | {"waits": True, "error": why, "told": told, "exit_code": code}
    except BaseException as error:  # stopped
        if claimed:
            ledger.return_request(request.id, owner(), _one_line(error))
        raise
    told = _finish(ledger, request, verdict(result))
    return {**said, **result, "told": told, "exit_code": 0 if result["passed"] else 3}


def _unchanged(why: str, request: Request) -> dict[str, Any]:
    told = f"{why}; request {request.id} waits"
    return {"waits": True, "nothing_new": True, "told": told, "exit_code": 0}


def _one_line(error: BaseException) -> str:
    """What went wrong and where, in a line."""
    said = str(error) or type(error).__name__
    if isinstance(error, RiskwrightError):
        said = f"{error.what} ({error.where})" if error.where else error.what
    return " ".join(said.split())


def _finish(ledger: Ledger, request: Request, told: str) -> str:
    """Write down how a request ended, and return the line that says so."""
    ledger.finish_request(request.id, "done", told, owner=owner())
    return f"request {request.id} is done: {told}"


def _ask(home: Home, ledger: Ledger, request: Request, budget: str | None) -> str | dict[str, Any]:
    """Return the arguments of the retrain that serves a request, or why there is nothing to do.

    What drifted is learnt from once its outcomes are in the source: a retrain on what was learnt
    from already would change nothing and close the alert.
    """
    champion = ledger.champion(request.use_case)
    held = champion.evidence if champion else {}
    named = held.get("specification") or specification_of(request.use_case, home, ledger)
    case = load_case(named, home)[0]
    budget = (budget or held.get("budget")) if case.TUNED else None
    case = case.within(budget)
    place = place_of(case, ledger)
    data = training_of(case.kind).ingest(case, place.location, home)
    known = learnt_from(home, ledger, case, (data.train, data.test))
    if known is not None:
        return nothing_new(place, data.clean, known)
    return {"usecase": named, "budget": budget, "seed": held.get("seed", 0)}


@flow(name="retrain-requested", validate_parameters=False)
@at_work()
def retrain_requested_flow(usecase: str | None = None, budget: str | None = None) -> Any:
    """Serve every waiting request; what can't be served now goes on waiting, and says why.

    Parameters
    ----------
    usecase
        Only its requests, by name.
    budget
        Time for tuning; that of the champion's retrain if left out. Kinds without one ignore it.
    """
    home, ledger = prepare()
    served = [
        answer
        for request in ledger.requests(usecase)
        if (answer := serve(home, ledger, request, budget)) is not None
    ]
    told = "; ".join(answer["told"] for answer in served) or "no request waits"
    result = {"requests": served}
    if any(answer["exit_code"] in (1, 2) for answer in served):
        return Failed(message=told, data=result)
    return Completed(message=told, data=result)
