from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from riskwright.errors import Conflict, GateRefused, InputRefused
from riskwright.ledger import Gate, Ledger

Train = Callable[..., int]


def _promote(ledger: Ledger, version: int, expected: int | None, **change: object) -> object:
    said = {"actor": "oscar", "reason": "gates read", **change}
    return ledger.promote("credit", version, expected=expected, **said)  # type: ignore[arg-type]


def test_promotion_is_told_in_full(ledger: Ledger, train: Train) -> None:
    first, second = train(ledger), train(ledger)
    assert ledger.champion("credit") is None
    _promote(ledger, first, None)
    done = _promote(ledger, second, first, reason=" better ")
    assert ledger.history("credit")[-1] == done
    assert (done.sequence, done.version, done.previous) == (2, second, first)  # type: ignore[attr-defined]
    assert (done.actor, done.reason, done.kind) == ("oscar", "better", "promotion")  # type: ignore[attr-defined]
    champion = ledger.champion("credit")
    assert champion is not None
    assert (champion.version, champion.sequence, champion.at) == (second, 2, done.at)  # type: ignore[attr-defined]
    assert champion.models == ledger.version("credit", second).models
    assert [v.status for v in ledger.versions("credit")] == ["retired", "champion"]
    assert ledger.champion("another") is None


def test_the_loser_is_told_who_won_and_when(ledger: Ledger, train: Train) -> None:
    first, second = train(ledger), train(ledger)
    won = _promote(ledger, first, None)
    before = ledger.head()
    with pytest.raises(Conflict, match=f"version {first}") as told:
        _promote(ledger, second, None, actor="olga")
    assert "oscar" in told.value.where
    assert won.at in told.value.where  # type: ignore[attr-defined]
    with pytest.raises(Conflict):
        _promote(ledger, second, 99)
    with pytest.raises(Conflict, match="champion already"):
        _promote(ledger, first, first)
    assert ledger.head() == before


NO = Gate("calibration", False, "ECE 0.08", {})
FEW = Gate("champion", None, "not enough data", {})
YES = Gate("baseline", True, "better", {})


@pytest.mark.parametrize(
    ("gates", "refused"),
    [
        ((YES, NO), "1 of 2 gates"),
        ((YES, FEW), "1 of 2 gates"),
        ((NO, FEW), "2 of 2 gates"),
        ((), "no gates on record"),
        ((YES, Gate("fairness", False, "reported", {}, blocking=False)), None),
        ((YES, Gate("fairness", None, "few", {}, blocking=False)), None),
    ],
)
def test_gates_decide(
    ledger: Ledger, train: Train, gates: tuple[Gate, ...], refused: str | None
) -> None:
    version = train(ledger, gates=gates)
    if refused is None:
        _promote(ledger, version, None)
        return
    with pytest.raises(GateRefused, match=refused):
        _promote(ledger, version, None)
    assert ledger.champion("credit") is None
    event = ledger.events()[-1]
    assert (event.kind, event.actor, event.payload["version"]) == (
        "promotion.refused",
        "oscar",
        version,
    )
    assert refused in event.payload["why"]
    assert ledger.verify().ok


@pytest.mark.parametrize("actor", ["tess", " tess ", "TESS"])
def test_who_trained_may_not_approve_and_the_attempt_is_kept(
    ledger: Ledger, train: Train, actor: str
) -> None:
    version = train(ledger)
    with pytest.raises(GateRefused, match="trained by tess"):
        _promote(ledger, version, None, actor=actor)
    assert ledger.events()[-1].kind == "promotion.refused"
    assert ledger.events()[-1].actor == actor.strip()
    _promote(ledger, version, None)


def test_an_automatic_policy_acts_under_its_own_name(ledger: Ledger, train: Train) -> None:
    version = train(ledger)
    for actor, policy in [("tess", "automatic"), ("policy:automatic:ab12", None)]:
        with pytest.raises(InputRefused, match="policy"):
            _promote(ledger, version, None, actor=actor, policy=policy)
    done = _promote(ledger, version, None, actor="policy:automatic:ab12", policy="automatic")
    assert done.policy == "automatic"  # type: ignore[attr-defined]
    second = train(ledger, gates=(NO,))
    with pytest.raises(GateRefused, match="gates"):
        _promote(ledger, second, version, actor="policy:automatic:ab12", policy="automatic")


def test_reserved_and_rejected_versions_never_go_live(ledger: Ledger, train: Train) -> None:
    version = ledger.reserve_version("credit", "reserved")
    with pytest.raises(GateRefused, match="not registered"):
        _promote(ledger, version, None)
    rejected = train(ledger)
    ledger.reject("credit", rejected, actor="oscar", reason="small firms")
    with pytest.raises(GateRefused, match="was rejected"):
        _promote(ledger, rejected, None)
    with pytest.raises(Conflict, match="rejected already"):
        ledger.reject("credit", rejected, actor="oscar", reason="again")
    assert train(ledger, key="run 1") == rejected  # its resumed run changes nothing
    assert ledger.version("credit", rejected).status == "rejected"
    ledger.reject("credit", version, actor="oscar", reason="the run was stopped")
    with pytest.raises(Conflict, match="is rejected"):
        train(ledger, key="reserved")


def test_the_champion_cannot_be_rejected(ledger: Ledger, live: Train) -> None:
    version = live(ledger)
    with pytest.raises(Conflict, match="is the champion") as told:
        ledger.reject("credit", version, actor="oscar", reason="no")
    assert "roll back first" in told.value.do


@pytest.mark.parametrize("change", [{"actor": " "}, {"reason": ""}])
def test_a_decision_has_a_name_and_a_reason(
    lite: Ledger, train: Train, live: Train, change: dict[str, str]
) -> None:
    live(lite)
    version = live(lite)
    said = {"actor": "oscar", "reason": "why", **change}
    for attempt in (
        lambda: lite.promote("credit", 1, expected=version, **said),
        lambda: lite.rollback("credit", expected=version, **said),
        lambda: lite.reject("credit", 1, **said),
    ):
        with pytest.raises(InputRefused, match="is empty"):
            attempt()
    assert len(lite.history("credit")) == 2


def test_rollback_undoes_step_by_step(ledger: Ledger, live: Train) -> None:
    for _ in range(3):
        live(ledger)

    def back(expected: int) -> tuple[int, int | None]:
        done = ledger.rollback("credit", actor="oscar", reason="worse", expected=expected)
        assert done.kind == "rollback"
        return done.version, done.previous

    assert back(3) == (2, 3)
    assert back(2) == (1, 2)  # not back to 3, which was withdrawn
    with pytest.raises(InputRefused, match="no former champion"):
        back(1)
    assert live(ledger) == 4
    assert back(4) == (1, 4)
    assert [v.status for v in ledger.versions("credit")] == ["champion", *["retired"] * 3]


def test_rollback_passes_over_rejected_versions(ledger: Ledger, live: Train) -> None:
    for _ in range(3):
        live(ledger)
    ledger.reject("credit", 2, actor="oscar", reason="a bug")
    assert ledger.rollback("credit", actor="oscar", reason="worse", expected=3).version == 1


def test_rollback_and_fallback_compare_first(ledger: Ledger, live: Train) -> None:
    live(ledger, baseline=True)
    live(ledger)
    for act in (ledger.rollback, ledger.fallback):
        with pytest.raises(Conflict, match="version 2"):
            act("credit", actor="oscar", reason="late", expected=1)
    with pytest.raises(InputRefused):
        ledger.rollback("never trained", actor="oscar", reason="?", expected=None)


def test_fallback_takes_the_newest_baseline_that_was_live_before(
    ledger: Ledger, live: Train, train: Train
) -> None:
    """One that the gates refused, or that waits for approval, is no way round them."""
    live(ledger)
    train(ledger, baseline=True, gates=(NO,))
    train(ledger, baseline=True)
    with pytest.raises(InputRefused, match="no baseline"):
        ledger.fallback("credit", actor="oscar", reason="drift", expected=1)
    live(ledger, baseline=True)
    dropped = live(ledger, baseline=True)
    live(ledger)
    ledger.reject("credit", dropped, actor="oscar", reason="no")
    done = ledger.fallback("credit", actor="tess", reason="drift", expected=6)
    assert (done.version, done.kind, done.actor) == (4, "fallback", "tess")
    with pytest.raises(InputRefused, match="but the one that is live"):
        ledger.fallback("credit", actor="oscar", reason="drift", expected=4)
    assert ledger.rollback("credit", actor="oscar", reason="over", expected=4).version == 6


@pytest.mark.parametrize("kind", ["rollback", "fallback"])
def test_rollback_and_fallback_are_no_way_round_the_gates(
    ledger: Ledger, live: Train, train: Train, kind: str
) -> None:
    live(ledger, baseline=True)
    live(ledger)
    bad = train(ledger, gates=(NO,))
    with pytest.raises(GateRefused, match=r"is not the (former champion|newest baseline)"):
        _promote(ledger, bad, 2, kind=kind, actor="tess")
    assert _promote(ledger, 1, 2, kind=kind).version == 1  # type: ignore[attr-defined]


def test_the_champion_at_a_moment(ledger: Ledger, live: Train) -> None:
    live(ledger)
    live(ledger)
    first, second = (datetime.fromisoformat(p.at) for p in ledger.history("credit"))
    tick = timedelta(microseconds=1)
    for moment, expected in [
        (first - tick, None),
        (first, 1),
        (second - tick, 1),
        (second, 2),
        (second + timedelta(days=365), 2),
    ]:
        found = ledger.champion("credit", at=moment)
        assert (found.version if found else None) == expected
    with pytest.raises(InputRefused, match="no zone"):
        ledger.champion("credit", at=datetime(2026, 6, 30))  # noqa: DTZ001


def test_use_cases_do_not_mix(ledger: Ledger, live: Train) -> None:
    live(ledger, use_case="a")
    live(ledger, use_case="b")
    live(ledger, use_case="b")
    assert [p.version for p in ledger.history("a")] == [1]
    assert [p.sequence for p in ledger.history("b")] == [1, 2]
