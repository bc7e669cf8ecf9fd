from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from riskwright.errors import Conflict, InputRefused
from riskwright.ledger import Ledger

Train = Callable[..., int]
SCORE = {"code": "score_drift", "column": None, "p": 1e-6}
INCOME = {"code": "column_drift", "column": "income", "p": 1e-9}
AUC = {"code": "auc", "column": None, "segment": None, "direction": "down", "band": 1}
RATIO = {"code": "observed_expected", "column": None, "segment": None, "direction": "up", "band": 0}


def _open(ledger: Ledger, **change: Any) -> int:
    said = {
        "title": "scores moved",
        "findings": [SCORE, INCOME],
        "severity": "high",
        "batch_hash": "june",
        "version": 1,
        "report": "reports/june.html",
        **change,
    }
    return ledger.open_alert("credit", **said)


def test_an_alert_is_told_in_full(ledger: Ledger, live: Train) -> None:
    live(ledger)
    alert = ledger.alert(_open(ledger))
    assert (alert.title, alert.severity, alert.report) == (
        "scores moved",
        "high",
        "reports/june.html",
    )
    assert alert.findings == [SCORE, INCOME]
    assert (alert.status, alert.seen, alert.opened_at == alert.last_seen) == ("open", 1, True)
    assert ledger.alerts() == ledger.alerts("credit") == [alert]
    assert ledger.alerts("another") == []


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"findings": [INCOME, SCORE, AUC], "severity": "critical"}, True),  # the batch again
        ({"batch_hash": "july"}, True),
        ({"batch_hash": "july", "findings": [{**INCOME, "p": 1e-3}, SCORE]}, True),
        ({"batch_hash": "july", "severity": "critical"}, False),
        ({"batch_hash": "july", "findings": [SCORE]}, False),
        ({"batch_hash": "july", "findings": [SCORE, {**INCOME, "column": "age"}]}, False),
        ({"version": 2}, False),
    ],
)
def test_the_same_alert_is_raised_once(ledger: Ledger, change: dict[str, Any], same: bool) -> None:
    first = _open(ledger)
    second = _open(ledger, **change)
    assert (second == first) == same
    assert len(ledger.alerts()) == (1 if same else 2)
    newest = ledger.alert(second)
    assert newest.seen == (2 if same else 1)
    for name, value in change.items():
        assert getattr(newest, name) == value  # what was seen last is what is shown
    kinds = [e.kind for e in ledger.events()]
    assert kinds == ["alert.opened", "alert.seen" if same else "alert.opened"]
    assert ledger.verify().ok


def test_a_decided_batch_stays_decided_and_another_one_is_new(ledger: Ledger) -> None:
    first = _open(ledger)
    ledger.decide_alert(first, "accept", actor="oscar", reason="known campaign")
    assert ledger.alerts() == []
    assert _open(ledger) == first
    assert ledger.alerts() == []
    second = _open(ledger, batch_hash="another")
    assert second != first
    assert [a.id for a in ledger.alerts(open_only=False)] == [first, second]


def test_a_look_that_sees_less_takes_nothing_back(ledger: Ledger) -> None:
    """A look without labels after one with labels: the alarm about outcomes stays."""
    alert = _open(ledger, findings=[AUC, SCORE], report="with labels")
    assert _open(ledger, findings=[SCORE], severity="low", report="without") == alert
    shown = ledger.alert(alert)
    assert (shown.findings, shown.severity, shown.seen) == ([AUC, SCORE], "high", 2)
    assert shown.report == "with labels"
    assert _open(ledger, findings=[RATIO], severity="low", report="others") == alert
    shown = ledger.alert(alert)
    assert (shown.findings, shown.severity) == ([RATIO, AUC, SCORE], "high")
    worse = {**RATIO, "band": 3}
    assert _open(ledger, findings=[worse], report="worse") == alert
    shown = ledger.alert(alert)
    assert (shown.findings, shown.report) == ([worse, AUC, SCORE], "worse")
    assert ledger.verify().ok


@pytest.mark.parametrize(
    ("later", "beyond"),
    [
        ([SCORE, INCOME], []),
        ([{**SCORE, "p": 0.5}], []),
        ([SCORE, INCOME, AUC], [AUC]),
        ([RATIO], []),
        ([{**RATIO, "band": 2}], [{**RATIO, "band": 2}]),  # four times as far off
        ([{**RATIO, "direction": "down"}], [{**RATIO, "direction": "down"}]),
        ([{**RATIO, "segment": "women"}], [{**RATIO, "segment": "women"}]),
        ([{**INCOME, "column": "age"}, SCORE], [{**INCOME, "column": "age"}]),
    ],
)
def test_a_decision_covers_what_it_was_taken_on_and_nothing_else(
    ledger: Ledger, later: list[dict[str, Any]], beyond: list[dict[str, Any]]
) -> None:
    first = _open(ledger, findings=[SCORE, INCOME, RATIO])
    ledger.decide_alert(first, "accept", actor="oscar", reason="known campaign")
    held = ledger.events(kind="alert.decided")[-1].payload["covers"]
    assert [kind["code"] for kind in held] == ["score_drift", "column_drift", "observed_expected"]
    said = {"findings": later, "batch_hash": "june", "version": 1}
    assert ledger.undecided("credit", **said) == beyond  # type: ignore[arg-type]
    second = _open(ledger, findings=later)
    assert (second == first) == (not beyond)
    assert [a.findings for a in ledger.alerts()] == [beyond] * bool(beyond)
    assert _open(ledger, findings=later) == second  # looked at once more
    assert len(ledger.alerts()) == bool(beyond)
    if beyond:
        # A look without labels while the second alert waits: it is the one to be told of.
        assert _open(ledger, findings=[SCORE]) == second
        ledger.decide_alert(second, "accept", actor="oscar", reason="known as well")
        assert ledger.undecided("credit", **said) == []  # type: ignore[arg-type]
    assert ledger.verify().ok


def test_all_batches_of_an_alert_are_decided_with_it(ledger: Ledger) -> None:
    first = _open(ledger, findings=[RATIO])
    worse = {**RATIO, "band": 3}
    assert _open(ledger, batch_hash="july", findings=[worse]) == first
    assert _open(ledger, batch_hash="august", findings=[RATIO]) == first
    ledger.decide_alert(first, "accept", actor="oscar", reason="known campaign")
    for batch in ("june", "july", "august"):
        assert _open(ledger, batch_hash=batch, findings=[worse]) == first
    assert ledger.alerts() == []
    assert _open(ledger, batch_hash="september", findings=[RATIO]) != first
    assert _open(ledger, version=2, findings=[RATIO]) != first


def test_what_earlier_versions_decided_stands(ledger: Ledger) -> None:
    """Their findings had no direction and no band: such a decision covers either."""
    drift = {"code": "distribution", "column": "income", "alarm": True}
    first = _open(ledger, findings=[drift])
    ledger.decide_alert(first, "accept", actor="oscar", reason="known campaign")
    told = {**drift, "segment": None, "direction": "up", "band": 2}
    assert _open(ledger, findings=[told]) == first
    waiting = _open(ledger, findings=[drift], batch_hash="july")
    assert _open(ledger, findings=[told], batch_hash="august") == waiting
    assert ledger.alert(waiting).findings == [told]  # and not both
    assert _open(ledger, findings=[told, AUC]) != first


@pytest.mark.parametrize("decision", ["accept", "retrain", "fallback", "rollback"])
def test_a_decision_acts_and_closes(ledger: Ledger, live: Train, decision: Any) -> None:
    live(ledger, baseline=True)
    live(ledger)
    alert = _open(ledger, version=2)
    done = ledger.decide_alert(alert, decision, actor="oscar", reason=" seen ")
    closed = ledger.alert(alert)
    assert (closed.status, closed.decision, closed.decided_by) == ("closed", decision, "oscar")
    assert (closed.reason, closed.decided_at) == ("seen", done.at)
    requests, champion = ledger.requests(), ledger.champion("credit")
    assert champion is not None
    if decision == "retrain":
        assert [done.request] == requests
        assert (requests[0].alert_id, requests[0].actor) == (alert, "oscar")
    else:
        assert requests == []
        assert done.request is None
    if decision in ("fallback", "rollback"):
        assert ledger.history("credit")[-1] == done.promotion
        assert (champion.version, champion.kind, champion.actor) == (1, decision, "oscar")
    else:
        assert done.promotion is None
        assert champion.version == 2
    before = ledger.head()
    with pytest.raises(Conflict, match=f"{decision}, by oscar") as told:
        ledger.decide_alert(alert, "accept", actor="olga", reason="late")
    assert done.at in told.value.where
    assert ledger.head() == before
    assert ledger.verify().ok


@pytest.mark.parametrize("decision", ["fallback", "rollback"])
def test_an_alert_about_a_former_champion_does_not_withdraw_the_new_one(
    ledger: Ledger, live: Train, decision: Any
) -> None:
    live(ledger, baseline=True)
    live(ledger)
    alert = _open(ledger, version=2)
    live(ledger)
    before = ledger.head()
    with pytest.raises(Conflict, match="version 3"):
        ledger.decide_alert(alert, decision, actor="oscar", reason="drift")
    assert ledger.alert(alert).status == "open"
    assert ledger.head() == before


def test_an_alert_stays_open_when_there_is_nothing_to_go_back_to(
    ledger: Ledger, live: Train
) -> None:
    live(ledger)
    alert = _open(ledger)
    for decision in ("rollback", "fallback"):
        with pytest.raises(InputRefused, match="nothing to go back to"):
            ledger.decide_alert(alert, decision, actor="oscar", reason="drift")  # type: ignore[arg-type]
    assert ledger.alert(alert).status == "open"


def test_bad_decisions_are_refused(ledger: Ledger) -> None:
    alert = _open(ledger)
    with pytest.raises(InputRefused, match="no alert 99"):
        ledger.alert(99)
    for id, decision, actor, reason, match in [
        (99, "accept", "oscar", "why", "no alert 99"),
        (alert, "rolback", "oscar", "why", "unknown decision"),
        (alert, "accept", "", "why", "actor is empty"),
        (alert, "accept", "oscar", "  ", "reason is empty"),
    ]:
        with pytest.raises(InputRefused, match=match):
            ledger.decide_alert(id, decision, actor=actor, reason=reason)  # type: ignore[arg-type]
    with pytest.raises(InputRefused) as refused:
        ledger.decide_alert(alert, "rolback", actor="o", reason="w")  # type: ignore[arg-type]
    assert "'rollback'" in refused.value.do


def test_findings_are_kept_once_for_the_same_look(ledger: Ledger) -> None:
    first = ledger.record_findings("credit", "june", [SCORE], 1)
    assert ledger.record_findings("credit", "june", [SCORE], 1) == first
    labelled = ledger.record_findings("credit", "june", [SCORE, {"code": "gini"}], 1)
    nothing = ledger.record_findings("credit", "july", [], 1)
    assert ledger.findings("credit", "june") == [first, labelled]
    assert ledger.findings("credit") == [first, labelled, nothing]
    assert nothing.findings == []
    assert len(ledger.events(kind="findings.recorded")) == 3
