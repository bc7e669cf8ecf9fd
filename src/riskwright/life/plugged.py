"""Gates and monitor checks of other packages, beside those of a use case's own kind."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from riskwright.case.base import Case
from riskwright.case.plugins import CHECKS, GATES, Plugin, plugin
from riskwright.errors import RiskwrightError
from riskwright.ledger import Gate
from riskwright.life.findings import NOT_ENOUGH, Finding, Verdict, failed

if TYPE_CHECKING:
    import pandas as pd

BOOLS = (bool, np.bool_)
NUMBERS = ("value", "threshold", "p_value", "effect")  # of a finding


def own_gates(case: Case, challenger: object, judged: Sequence[Gate]) -> list[Gate]:
    """Return what the gates that a use case names say of a challenger.

    Parameters
    ----------
    challenger
        What a gate is given: a ``submission.Submission``.
    judged
        The gates of its kind.

    Raises
    ------
    InputRefused
        If one isn't installed, raises, or returns no gate of its name: nothing is judged then.
    """
    found: list[Gate] = []
    for name, called in case.own_gates.items():
        gate = plugin(GATES, name, f"use case {case.name}: own_gates")
        if any(other.name == name for other in judged):
            raise gate.broken("has the name of another gate")
        judge = gate.load()
        try:
            found.append(_gate(gate, judge(challenger, **called.params)))
        except RiskwrightError:
            raise
        except (Exception, SystemExit) as error:  # (exiting is no answer)
            raise gate.failed(error) from error
    return found


def _gate(plug: Plugin, said: object) -> Gate:
    """Return a gate whose values are plain; what is no clear yes, no or nothing is refused."""
    if not isinstance(said, Gate) or said.name != plug.name:
        raise plug.broken(f"returned {type(said).__name__}, not a Gate named {plug.name!r}")
    if said.passed is not None and not isinstance(said.passed, BOOLS):
        raise plug.broken(f"says 'passed' by a {type(said.passed).__name__}: no bool, no None")
    if not isinstance(said.blocking, BOOLS):
        raise plug.broken(f"says 'blocking' by a {type(said.blocking).__name__}: no bool")
    if not isinstance(said.detail, str):
        raise plug.broken(f"says 'detail' by a {type(said.detail).__name__}: no text")
    if not isinstance(said.figures, dict):
        raise plug.broken(f"has figures in a {type(said.figures).__name__}: no dict")
    try:
        json.dumps(said.figures)
    except (TypeError, ValueError) as error:
        raise plug.broken(f"has figures that aren't plain: {error}") from error
    passed = None if said.passed is None else bool(said.passed)
    return replace(said, passed=passed, blocking=bool(said.blocking))


def own_checks(case: Case, reference: pd.DataFrame, batch: pd.DataFrame) -> list[Finding]:
    """Return what the checks that a use case names find in a batch.

    Where a finding has a p-value it is a test: all tests of a look are corrected together by Holm,
    and one alarms if its corrected p-value is below its ``threshold``. Other findings say
    themselves whether they alarm. A check that breaks is an alarm of its own, and the others go on.

    Parameters
    ----------
    reference, batch
        Rows that the model didn't learn from, and the accepted rows that are looked at.
    """
    found: list[Finding] = []
    for name, called in case.own_checks.items():
        if not len(batch):
            found.append(Finding("own", name, None, NOT_ENOUGH, detail=f"{name}: no rows"))
            continue
        try:
            check = plugin(CHECKS, name, f"use case {case.name}: own_checks")
            try:
                said = check.load()(reference.copy(), batch.copy(), **called.params)
                found += [_finding(check, one) for one in said]  # all of them, or none
            except RiskwrightError:
                raise
            except (Exception, SystemExit) as error:  # (exiting would hide the others)
                raise check.failed(error) from error
        except RiskwrightError as error:
            found.append(failed("own", name, None, error))
    return _corrected(found)


def _finding(check: Plugin, said: object) -> Finding:
    """Return a finding whose values are plain, of their types, and don't contradict each other."""
    if not isinstance(said, Finding):
        raise check.broken(f"gave a {type(said).__name__}, not a Finding")
    numbers = {name: _number(check, name, getattr(said, name)) for name in NUMBERS}
    for name in ("column", "segment"):
        if not isinstance(getattr(said, name), str | None):
            raise check.broken(f"gave a {type(getattr(said, name)).__name__} as {name!r}")
    for name in ("statistic", "detail"):
        if not isinstance(getattr(said, name), str):
            raise check.broken(f"gave a {type(getattr(said, name)).__name__} as {name!r}")
    _refuse_contradiction(check, said)
    p, level = numbers["p_value"], numbers["threshold"]
    if p is not None:
        if not 0 <= p <= 1:  # NaN is neither
            raise check.broken(f"gave a p-value of {p}")
        if level is None or not 0 < level < 1:
            raise check.broken("gave a p-value and no level for it in 'threshold'")
    plain: dict[str, Any] = {**numbers, "alarm": bool(said.alarm), "family": "own"}
    return replace(said, code=check.name, **plain)


def _number(check: Plugin, name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real):
        raise check.broken(f"gave a {type(value).__name__} as {name!r}: no number")
    return float(value)


def _refuse_contradiction(check: Plugin, said: Finding) -> None:
    """Refuse a verdict that is none, or that its alarm contradicts."""
    if not isinstance(said.verdict, str) or said.verdict not in get_args(Verdict):
        raise check.broken(f"gave a verdict that isn't one of {', '.join(get_args(Verdict))}")
    if not isinstance(said.alarm, BOOLS):
        raise check.broken(f"says 'alarm' by a {type(said.alarm).__name__}: no bool")
    if said.p_value is not None:
        if said.verdict not in ("ok", "alarm"):
            raise check.broken(f"gave a p-value and the verdict {said.verdict!r}")
    elif bool(said.alarm) != (said.verdict in ("alarm", "failed")):
        raise check.broken(f"gave the verdict {said.verdict!r} with alarm={bool(said.alarm)}")


def _corrected(found: list[Finding]) -> list[Finding]:
    from riskwright.stats.several import holm

    tests = [i for i, one in enumerate(found) if one.p_value is not None]
    for i, p in zip(tests, holm([float(found[i].p_value or 0.0) for i in tests]), strict=True):
        alarm = bool(p < (found[i].threshold or math.nan))
        found[i] = replace(
            found[i], p_value=float(p), alarm=alarm, verdict="alarm" if alarm else "ok"
        )
    return found
