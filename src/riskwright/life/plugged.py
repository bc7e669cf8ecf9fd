"""Gates and monitor checks of other packages, beside those of a use case's own kind."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from riskwright.case.base import Case
from riskwright.case.plugins import CHECKS, GATES, Plugin, plugin
from riskwright.errors import RiskwrightError
from riskwright.ledger import Gate
from riskwright.life.findings import NOT_ENOUGH, Finding, failed

if TYPE_CHECKING:
    import pandas as pd


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
            said = judge(challenger, **called.params)
        except RiskwrightError:
            raise
        except Exception as error:
            raise gate.failed(error) from error
        found.append(_gate(gate, said))
    return found


def _gate(plug: Plugin, said: object) -> Gate:
    """Return a gate whose values are plain."""
    if not isinstance(said, Gate) or said.name != plug.name:
        raise plug.broken(f"returned {type(said).__name__}, not a Gate named {plug.name!r}")
    passed = None if said.passed is None else bool(said.passed)
    try:
        json.dumps(said.figures)
    except (TypeError, ValueError) as error:
        raise plug.broken(f"has figures that aren't plain: {error}") from error
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
                said = list(check.load()(reference.copy(), batch.copy(), **called.params))
            except RiskwrightError:
                raise
            except Exception as error:
                raise check.failed(error) from error
            found += [_finding(check, one) for one in said]
        except RiskwrightError as error:
            found.append(failed("own", name, None, error))
    return _corrected(found)


def _finding(check: Plugin, said: object) -> Finding:
    if not isinstance(said, Finding):
        raise check.broken(f"gave a {type(said).__name__}, not a Finding")
    if said.p_value is not None:
        if not 0 <= said.p_value <= 1:  # NaN is neither
            raise check.broken(f"gave a p-value of {said.p_value}")
        if said.threshold is None or not 0 < said.threshold < 1:
            raise check.broken("gave a p-value and no level for it in 'threshold'")
    return replace(said, family="own", code=check.name)


def _corrected(found: list[Finding]) -> list[Finding]:
    from riskwright.stats.several import holm

    tests = [i for i, one in enumerate(found) if one.p_value is not None]
    for i, p in zip(tests, holm([float(found[i].p_value or 0.0) for i in tests]), strict=True):
        alarm = bool(p < (found[i].threshold or math.nan))
        found[i] = replace(
            found[i], p_value=float(p), alarm=alarm, verdict="alarm" if alarm else "ok"
        )
    return found
