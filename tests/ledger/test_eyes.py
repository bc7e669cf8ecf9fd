"""Who may approve, reject and decide: authors may not, nor an account that isn't one person."""

from __future__ import annotations

import grp
import os
import pwd
import struct
from pathlib import Path
from typing import Any

import pytest

from riskwright.account import Account
from riskwright.case.files import _others, read_file
from riskwright.errors import GateRefused, InputRefused
from riskwright.ledger import Gate, Ledger, ModelRef
from riskwright.ledger.eyes import unknown_author

ANN = Account("ann", 1001, "desk", "os-account")
BEN = Account("ben", 1002, "desk", "os-account")
ANNA = Account("anna", 1004, "desk", "os-account")
ROOT = Account("root", 0, "desk", "os-account", False, "root can be anyone")
WROTE = {"name": "ben", "uid": 1002, "host": "desk", "shipped": False}
LONG = "read the report, the feed was broken"


def train(ledger: Ledger, *, by: Account = ANN, run: str = "r", **evidence: Any) -> int:
    version = ledger.reserve_version("credit", f"run {len(ledger.versions('credit'))}")
    ref = ModelRef("pd", "credit-pd", version, f"{version:064x}", f"models:/m-{version}")
    said = {"approval": "approval", **evidence}
    ledger.register("credit", version, models={"pd": ref}, actor=by, run_id=run, evidence=said)
    if not evidence.get("standby"):
        ledger.record_gates("credit", version, [Gate("baseline", True, "better", {})])
    return version


def promote(ledger: Ledger, version: int, by: Account) -> Any:
    live = ledger.champion("credit")
    expected = live.version if live else None
    return ledger.promote("credit", version, expected=expected, actor=by, reason="gates read")


def alert(ledger: Ledger, version: int, severity: str = "critical") -> int:
    said = {"title": "t", "findings": [], "severity": severity, "report": ""}
    return ledger.open_alert("credit", batch_hash=f"b{severity}", version=version, **said)


def asks(ledger: Ledger, *people: Account) -> None:
    """Somebody asks for a retrain, and a worker is at it."""
    for who in people:
        ledger.request("credit", actor=who, reason="a new channel")
        assert ledger.claim_request("worker:1:1") is not None


@pytest.mark.parametrize(
    ("asked", "author", "actor", "why"),
    [
        ([], None, ANN, "was trained by ann"),
        ([], None, Account("ANN", 7, "elsewhere", "postgresql-role"), "was trained by ann"),
        ([BEN], None, BEN, "was asked for by ben"),
        ([], WROTE, BEN, "last changed by ben"),
        # Two names of one number, or two roles of one account: one person.
        ([], None, Account("anna", 1001, "desk", "os-account"), "was trained by ann"),
        ([BEN], None, Account("benedict", 1002, "desk", "os-account"), "by ben"),
        ([], WROTE, Account("chief", 1002, "desk", "postgresql-role"), "by ben"),
    ],
)
def test_no_author_approves_or_rejects(
    ledger: Ledger, asked: list[Account], author: Any, actor: Account, why: str
) -> None:
    asks(ledger, *asked)
    version = train(ledger, author=author)
    standby = train(ledger, standby=True, baseline=True, author=author)
    with pytest.raises(GateRefused, match=f"{why}, who may not approve it"):
        promote(ledger, version, actor)
    for number in (version, standby):
        with pytest.raises(GateRefused, match=f"{why}, who may not reject it"):
            ledger.reject("credit", number, actor=actor, reason="away with it")
    kinds = [e.kind for e in ledger.events("credit") if e.kind.endswith("refused")]
    assert kinds == ["promotion.refused", *["rejection.refused"] * 2]
    assert {v.status for v in ledger.versions("credit")} == {"challenger"}
    assert promote(ledger, version, Account("cleo", 1003, "desk", "os-account")).actor == "cleo"
    assert ledger.verify().ok


@pytest.mark.parametrize(
    "other",
    [
        Account("cleo", 1002, "another host", "os-account"),  # a number counts on its own host
        Account("cleo", 0, "desk", "postgresql-role"),  # containers: everybody is number 0
    ],
)
def test_another_person_is_no_author(lite: Ledger, other: Account) -> None:
    asks(lite, BEN)
    wrote = {"name": "root", "uid": 0, "host": "desk", "shipped": False}
    assert promote(lite, train(lite, author=wrote), other).version == 1


def test_who_owns_a_file_that_others_may_write_is_refused_as_its_owner(lite: Ledger) -> None:
    wrote = {**WROTE, "others": "the group risk"}
    version = train(lite, author=wrote)
    with pytest.raises(GateRefused, match="whose file belongs to ben, who may not approve it"):
        promote(lite, version, BEN)
    told = unknown_author(lite.version("credit", version).evidence)
    assert "besides its owner ben the group risk may write it" in told
    assert unknown_author({"author": WROTE}) == unknown_author({"author": None}) == ""
    assert promote(lite, version, Account("cleo", 1003, "desk", "os-account")).actor == "cleo"
    (event,) = lite.events(kind="promotion")
    assert event.payload["author_unknown"] == told  # it was known when he approved
    promote(lite, train(lite, author=WROTE), ANNA)
    assert "author_unknown" not in lite.events(kind="promotion")[-1].payload
    assert lite.verify().ok


@pytest.mark.parametrize(
    ("mode", "members", "others"),
    [
        (0o644, ["mia", "tom"], ""),
        (0o664, [], "the group risk"),  # a directory service may not list its members
        (0o664, ["mia"], "the group risk"),
        (0o664, ["mia", "tom"], "the group risk"),
        (0o660, None, "the group 3000"),
        (0o666, [], "everybody on this machine"),
    ],
)
def test_who_may_write_a_use_case_besides_its_owner(
    mode: int,
    members: list[str] | None,
    others: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers = {"mia": os.getuid(), "tom": 4711}

    def group(number: int) -> Any:
        if members is None:
            raise KeyError(number)
        return grp.struct_group(("risk", "x", number, members))

    def account(name: str) -> Any:
        return pwd.struct_passwd((name, "x", numbers[name], 3000, "", "/", "/bin/sh"))

    monkeypatch.setattr(grp, "getgrgid", group)
    monkeypatch.setattr(pwd, "getpwnam", account)
    monkeypatch.setattr(pwd, "getpwall", list)
    path = tmp_path / "u.yaml"
    path.write_text("name: u")
    path.chmod(mode)
    found = os.stat_result([*path.stat()[:5], 3000, *path.stat()[6:]])
    monkeypatch.setattr("os.fstat", lambda _: found)
    assert read_file(path).others == others


@pytest.mark.parametrize(
    ("members", "first", "others"),
    [
        ([], 3000, ""),  # a group of the account's own
        (["mia", "gone"], 3000, ""),
        (["tom"], 3000, "the group mia"),
        ([], 4000, "the group mia"),  # of its name, and not its first group
    ],
)
def test_a_group_is_an_accounts_own_by_name_and_number(
    members: list[str], first: int, others: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = {
        name: pwd.struct_passwd((name, "x", number, group, "", "/", "/bin/sh"))
        for name, number, group in (("mia", 1001, first), ("tom", 4711, 4711))
    }
    group = grp.struct_group(("mia", "x", 3000, members))
    monkeypatch.setattr(grp, "getgrgid", lambda _: group)
    monkeypatch.setattr(pwd, "getpwnam", accounts.__getitem__)
    monkeypatch.setattr(pwd, "getpwuid", lambda _: accounts["mia"])
    monkeypatch.setattr(pwd, "getpwall", lambda: list(accounts.values()))
    assert _others(os.stat_result([0o100664, 0, 0, 0, 1001, 3000, *[0] * 4])) == others


@pytest.mark.parametrize(
    ("entries", "others"),
    [
        ([(2, 6, 4711)], True),
        ([(8, 6, 4711)], True),
        ([(2, 4, 4711)], False),  # may read
        ([(2, 6, 4711), (16, 4, 0)], False),  # the mask takes it away
        ([(2, 6, 1001)], False),  # the owner
        ([], False),
    ],
)
def test_whom_an_access_list_names_may_have_edited_the_file(
    entries: list[tuple[int, int, int]], others: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    mia = pwd.struct_passwd(("mia", "x", 1001, 3000, "", "/", "/bin/sh"))
    monkeypatch.setattr(grp, "getgrgid", lambda _: grp.struct_group(("mia", "x", 3000, [])))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: mia)
    monkeypatch.setattr(pwd, "getpwall", lambda: [mia])
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    found = os.stat_result([0o100664, 0, 0, 0, 1001, 3000, *[0] * 4])
    assert _others(found, acl) == ("who its access list names" if others else "")
    assert _others(found, b"") == ""


def test_nobody_wrote_what_came_with_the_package(lite: Ledger) -> None:
    shipped = {**WROTE, "shipped": True}
    assert promote(lite, train(lite, author=shipped), BEN).actor == "ben"


def test_the_same_training_again_changes_nothing_whoever_asks_by_now(lite: Ledger) -> None:
    train(lite)
    asks(lite, BEN)
    held = lite.version("credit", 1)
    lite.register(
        "credit", 1, models=held.models, actor=BEN, run_id="r", evidence={"approval": "approval"}
    )
    assert lite.version("credit", 1) == held


def test_the_record_says_how_the_name_is_known(ledger: Ledger) -> None:
    done = promote(ledger, train(ledger), BEN)
    by = {"uid": 1002, "host": "desk", "method": "os-account", "verified": True}
    assert done.by == by
    assert ledger.history("credit") == [done]
    (event,) = ledger.events(kind="promotion")
    assert (event.actor, event.payload["by"]) == ("ben", by)


def test_an_unverified_account_approves_rejects_and_decides_nothing(ledger: Ledger) -> None:
    version = train(ledger)
    with pytest.raises(GateRefused, match="root is unverified and may not approve") as told:
        promote(ledger, version, ROOT)
    assert "root can be anyone" in told.value.where
    with pytest.raises(GateRefused, match="unverified and may not reject"):
        ledger.reject("credit", version, actor=ROOT, reason="no")
    promote(ledger, version, BEN)
    id = alert(ledger, version, "low")
    for decision in ("accept", "retrain"):
        with pytest.raises(GateRefused, match="unverified and may not decide"):
            ledger.decide_alert(id, decision, actor=ROOT, reason=LONG)
    assert ledger.alert(id).status == "open"
    refused = [e.payload["decision"] for e in ledger.events(kind="decision.refused")]
    assert refused == ["accept", "retrain"]


def test_an_unverified_account_goes_back_to_what_was_approved_and_nowhere_else(
    ledger: Ledger,
) -> None:
    """A first version went live by a policy; the next two wanted a second person."""
    first = train(ledger, approval="automatic")
    ledger.promote(
        "credit", first, expected=None, actor="policy:automatic:1", reason="r", policy="automatic"
    )
    promote(ledger, train(ledger), BEN)
    promote(ledger, train(ledger), BEN)
    done = ledger.rollback("credit", actor=ROOT, reason="at three", expected=3)
    assert (done.version, done.by["verified"]) == (2, False)
    with pytest.raises(GateRefused, match="version 1 of credit, which no second person approved"):
        ledger.rollback("credit", actor=ROOT, reason="further", expected=2)
    assert ledger.rollback("credit", actor=BEN, reason="further", expected=2).version == 1


def test_an_unverified_account_falls_back_to_the_baseline_of_an_approved_ensemble(
    ledger: Ledger,
) -> None:
    train(ledger, run="one", baseline=True, standby=True)
    promote(ledger, train(ledger, run="one"), BEN)
    done = ledger.decide_alert(alert(ledger, 2), "fallback", actor=ROOT, reason="at three o'clock")
    assert done.promotion.version == 1
    assert done.by["verified"] is False
    assert ledger.alert(1).by == done.by


@pytest.mark.parametrize("policies", [("automatic", "approval"), ("approval", "automatic")])
def test_four_eyes_hold_if_the_old_or_the_new_version_wants_them(
    lite: Ledger, policies: tuple[str, str]
) -> None:
    """A use case whose policy was loosened is approved by a person under the policy before."""
    promote(lite, train(lite, approval=policies[0]), BEN)
    with pytest.raises(GateRefused, match="unverified"):
        promote(lite, train(lite, approval=policies[1]), ROOT)


def test_without_four_eyes_an_unverified_account_decides_and_it_is_recorded(lite: Ledger) -> None:
    done = promote(lite, train(lite, approval="automatic"), ROOT)
    assert done.by["verified"] is False
    lite.decide_alert(alert(lite, 1), "accept", actor=ROOT, reason=LONG)
    # A home of before: no policy is on record, but a policy promoted.
    old = train(lite, approval=None)
    lite.promote("credit", old, expected=1, actor="policy:a:1", reason="r", policy="a")
    lite.decide_alert(alert(lite, old), "accept", actor=ROOT, reason=LONG)


@pytest.mark.parametrize(
    ("policy", "approval", "severity", "refused"),
    [
        (None, "approval", "critical", True),
        (None, None, "critical", True),  # a version of before: neither is on record
        (None, "approval", "high", True),
        (None, "approval", "medium", False),
        (None, "automatic", "critical", False),
        ("any", "approval", "critical", False),
        ("second_person", "approval", "low", True),
        ("second_person", "automatic", "low", True),
    ],
)
def test_who_trained_decides_about_his_own_model_where_the_policy_lets_him(
    ledger: Ledger, policy: str | None, approval: str, severity: str, refused: bool
) -> None:
    promote(ledger, train(ledger, approval=approval, alert_policy=policy), BEN)
    id = alert(ledger, 1, severity)
    if refused:
        with pytest.raises(GateRefused, match="who may not decide"):
            ledger.decide_alert(id, "accept", actor=ANN, reason=LONG)
        assert ledger.alert(id).status == "open"
        done = ledger.decide_alert(id, "accept", actor=BEN, reason=LONG)
        assert done.own_model is ledger.alert(id).own_model is False
        return
    done = ledger.decide_alert(id, "accept", actor=ANN, reason=LONG)
    assert done.own_model is True
    assert ledger.alert(id).own_model is True
    assert ledger.alerts(open_only=False) == [ledger.alert(id)]
    assert ledger.events(kind="alert.decided")[0].payload["own_model"] is True
    assert ledger.verify().ok


def test_who_trained_may_always_take_his_model_off(lite: Ledger) -> None:
    promote(lite, train(lite), BEN)
    promote(lite, train(lite), BEN)
    done = lite.decide_alert(alert(lite, 2), "rollback", actor=ANN, reason="it was my mistake")
    assert (done.promotion.version, done.own_model) == (1, True)


@pytest.mark.parametrize("reason", ["x", "ok then", "xxxxxxxxxxxxxxx", "- - - - - -"])
def test_a_reason_about_a_grave_alert_says_something(lite: Ledger, reason: str) -> None:
    promote(lite, train(lite), BEN)
    id = alert(lite, 1)
    with pytest.raises(InputRefused, match="the reason says nothing"):
        lite.decide_alert(id, "accept", actor=BEN, reason=reason)
    assert lite.alert(id).status == "open"
    lite.decide_alert(alert(lite, 1, "medium"), "accept", actor=BEN, reason=reason)


def test_a_rollback_may_name_its_target(ledger: Ledger) -> None:
    for _ in range(4):
        promote(ledger, train(ledger), BEN)
    ledger.reject("credit", 3, actor=BEN, reason="a bug")
    for nowhere in (3, 4):
        with pytest.raises((GateRefused, InputRefused)):
            ledger.rollback("credit", actor=BEN, reason="r", expected=4, to=nowhere)
    assert ledger.rollback("credit", actor=BEN, reason="r", expected=4, to=1).version == 1
    with pytest.raises(GateRefused, match="version 2 of credit is not the former champion"):
        ledger.rollback("credit", actor=BEN, reason="r", expected=1, to=2)


def test_on_postgresql_the_role_that_signed_in_is_the_name(postgres_url: str) -> None:
    """One role with a password, one that the server lets in unasked, and the superuser."""
    with Ledger(postgres_url) as owner:
        assert owner.who().doubt.startswith(("a superuser", "the database lets in"))
        assert (owner.who().name, owner.who().verified) == ("ledger", False)
        with owner.engine.begin() as connection:
            run = connection.exec_driver_sql
            schema = run("SELECT current_schema()").scalar_one()
            for role in ("ann", "ben"):
                run(f"DROP ROLE IF EXISTS {role}")
                run(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
                run(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
                rights = "SELECT, INSERT, UPDATE"
                run(f"GRANT {rights} ON ALL TABLES IN SCHEMA {schema} TO {role}")
                run(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}")
                run(f"GRANT DELETE ON ledger_leases TO {role}")
            rules = Path(run("SHOW hba_file").scalar_one())
            kept = rules.read_text()
            rules.write_text(f"local all ann scram-sha-256\n{kept}")
            run("SELECT pg_reload_conf()")
            told = int(run("SHOW server_version_num").scalar_one()) >= 160000
        try:
            url = postgres_url.replace("postgresql://ledger@", "postgresql://ann:secret@")
            with Ledger(url, create=False) as ann:
                me = ann.who()
                assert (me.name, me.method, me.verified) == ("ann", "postgresql-role", True)
                version = train(ann, by=me)
            with Ledger(postgres_url.replace("//ledger@", "//ben@"), create=False) as ben:
                assert ben.who().name == "ben"
                assert ben.who().verified is not told
                other = Account("ben", 1, "elsewhere", "postgresql-role")
                assert promote(ben, version, other).actor == "ben"
        finally:
            rules.write_text(kept)
            with owner.engine.begin() as connection:
                connection.exec_driver_sql("SELECT pg_reload_conf()")
                for role in ("ann", "ben"):
                    connection.exec_driver_sql(f"DROP OWNED BY {role}")
                    connection.exec_driver_sql(f"DROP ROLE {role}")


def test_what_a_colleague_is_asked_to_run_is_a_whole_command(ledger: Ledger) -> None:
    version = train(ledger)
    with pytest.raises(GateRefused) as approving:
        promote(ledger, version, ANN)
    assert "'riskwright approve credit 1 --reason WHY'" in approving.value.do
    promote(ledger, version, BEN)
    number = alert(ledger, version)
    with pytest.raises(GateRefused) as deciding:
        ledger.decide_alert(number, "accept", actor=ANN, reason=LONG)
    assert "'riskwright alerts decide NUMBER accept --reason WHY'" in deciding.value.do


@pytest.mark.parametrize(
    ("actor", "severity", "more", "why"),
    [
        (ANN, "critical", {}, "was trained by ann, who may not decide a critical alert about it"),
        (ANN, "low", {"alert_policy": "second_person"}, "was trained by ann"),
        (ROOT, "low", {}, "root is unverified and may not decide"),
        (ANN, "critical", {"alert_policy": "any"}, ""),
        (ANN, "low", {}, ""),
        (BEN, "critical", {}, ""),
    ],
)
def test_who_may_not_accept_an_alert_may_not_withdraw_what_was_decided(
    ledger: Ledger, actor: Account, severity: str, more: dict[str, Any], why: str
) -> None:
    promote(ledger, train(ledger, **more), BEN)
    cleo = Account("cleo", 1003, "desk", "os-account")
    asked = ledger.decide_alert(alert(ledger, 1, severity), "retrain", actor=cleo, reason=LONG)
    number = asked.request.id
    if not why:
        gone = ledger.withdraw_request(number, actor=actor, reason=LONG)
        assert (gone.outcome, ledger.alert(1).status) == ("withdrawn", "closed")
        return
    with pytest.raises(GateRefused, match=why) as refused:
        ledger.withdraw_request(number, actor=actor, reason=LONG)
    if actor is ANN:
        assert f"'riskwright alerts withdraw {number} --reason WHY'" in refused.value.do
    assert [r.status for r in ledger.requests()] == ["pending"]
    (event,) = ledger.events(kind="decision.refused")
    told = (
        event.actor,
        event.payload["request"],
        event.payload["decision"],
        event.payload["alert"],
    )
    assert told == (actor.name, number, "withdraw", 1)
    assert event.payload["reason"] == LONG
    assert ledger.verify().ok


def test_a_withdrawal_about_a_grave_alert_says_why(lite: Ledger) -> None:
    promote(lite, train(lite), BEN)
    number = lite.decide_alert(alert(lite, 1), "retrain", actor=BEN, reason=LONG).request.id
    with pytest.raises(InputRefused, match="the reason says nothing: 'x'"):
        lite.withdraw_request(number, actor=BEN, reason="x")
    assert lite.requests()[0].status == "pending"
    assert lite.withdraw_request(number, actor=BEN, reason=LONG).outcome == "withdrawn"
    # One that no alert led to is nobody's decision.
    other = lite.request("credit", actor=BEN, reason="r").id
    assert lite.withdraw_request(other, actor=ANN, reason="x").outcome == "withdrawn"
