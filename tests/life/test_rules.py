"""What is a rule, what makes the question, and that a change of either waits for a person."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from tiny import Live, tiny_text
from tiny_market import market_case
from world import World

from riskwright.case.usecase import UseCase, parse_usecase
from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life.aliases import change_champion
from riskwright.life.rules import (
    Changes,
    Difference,
    compare,
    kept_case,
    rules_digest,
    rules_set,
    version_changes,
    write_changes,
)
from riskwright.life.submission import submit
from riskwright.systems.credit.case import load_usecase
from riskwright.systems.credit.promotion import load_version


def tiny(**changes: Any) -> UseCase:
    return parse_usecase(tiny_text(**changes), where="tests")


def columns(**changed: dict[str, Any]) -> dict[str, Any]:
    """The tiny use case's columns, some with other keys."""
    found: dict[str, Any] = yaml.safe_load(tiny_text())["columns"]
    return found | {name: found[name] | more for name, more in changed.items()}


def swapped() -> dict[str, Any]:
    target: dict[str, Any] = yaml.safe_load(tiny_text())["target"]
    return target | {"bad": target["good"], "good": target["bad"]}


def book(**loan: Any) -> UseCase:
    plain = load_usecase("loan_book").model_dump(mode="json")
    return UseCase.model_validate(plain | {"loan": plain["loan"] | loan})


TINY = tiny()
SAME: list[dict[str, Any]] = [
    {"title": "Another title"},
    {"question": "Another question in words?"},
    {"source": {"simulator": "credit_applications", "rows": 900, "seed": 9}},
    {"tuning": {"trials": 5, "budget": "1m"}},
    {"columns": columns(LIMIT_BAL={"label": "another label", "unit": "EUR"})},
    {"gates": {"alpha": 0.05}},  # at its default, said or not
]
OTHER: list[tuple[dict[str, Any], str]] = [
    ({"gates": {"alpha": 0.5}}, "gates.alpha"),
    ({"columns": columns(SEX={"feature": True})}, "columns.SEX.feature"),
    ({"cutoffs": {"approve_below": 0.6, "decline_from": 0.9}}, "cutoffs.approve_below"),
    ({"costs": {"bad_approved": 1}}, "costs.bad_approved"),
    ({"families": {"logistic": {}, "scorecard": {}}}, "families.xgboost"),
    ({"split": {"test_share": 0.1, "folds": 3}}, "split.test_share"),
    ({"duplicate_rows": "drop"}, "duplicate_rows"),
    ({"approval": {"policy": "approval"}}, "approval.policy"),
    ({"quarantine_limit": 0.9}, "quarantine_limit"),
    ({"target": swapped()}, "target.bad"),
]


@pytest.mark.parametrize("changed", SAME)
def test_names_texts_sources_and_compute_are_no_rules(changed: dict[str, Any]) -> None:
    assert compare(TINY, tiny(**changed)) == []
    assert rules_digest(TINY) == rules_digest(tiny(**changed))


@pytest.mark.parametrize(("changed", "key"), OTHER)
def test_every_other_key_is_a_rule_and_is_named(changed: dict[str, Any], key: str) -> None:
    found = compare(TINY, tiny(**changed))
    assert key in [d.key for d in found]
    if key != "approval.policy":  # back at its default
        assert rules_digest(TINY) != rules_digest(tiny(**changed))
    assert Changes(1, found).wait


def test_what_makes_the_question() -> None:
    assert [d.key for d in compare(TINY, tiny(target=swapped())) if d.question] == [
        "target.bad",
        "target.good",
    ]
    old = book()
    assert [(d.key, d.question) for d in compare(old, book(grace_months=12))] == [
        ("loan.grace_months", True)
    ]
    assert [(d.key, d.question) for d in compare(old, book(rho=0.2))] == [("loan.rho", False)]
    market = market_case()
    assert not any(d.question for d in compare(market, market_case(gates={"as_of_dates": 1})))
    assert all(d.question for d in compare(market, market_case(target={"kind": "real_total"})))


def test_a_select_or_an_order_of_columns_can_turn_the_question_round() -> None:
    source = {"location": "sqlite:///loans.db", "table": "SELECT * FROM loans"}
    turned = source | {"table": "SELECT *, 1 - y AS y FROM loans"}
    found = compare(tiny(source=source), tiny(source=turned))
    assert [(d.key, d.question) for d in found] == [("source.table", True)]
    # Where rows lie is no rule: a table of another name, or another file.
    moved = {"location": "sqlite:///other.db", "table": "loans_2026"}
    assert compare(tiny(source=source | {"table": "loans"}), tiny(source=moved)) == []
    order = dict(reversed(columns().items()))
    headless = {"location": "cases.csv", "header": False}
    found = compare(tiny(source=headless), tiny(source=headless, columns=order))
    assert [(d.key, d.question) for d in found] == [("columns, in order", True)]
    assert compare(TINY, tiny(columns=order)) == []


def test_loosened_gates_are_named_first() -> None:
    found = compare(TINY, tiny(gates={"alpha": 0.5, "min_test_bads": 1}, duplicate_rows="drop"))
    assert [(d.key, d.old, d.new, d.loosened) for d in found] == [
        ("gates.alpha", 0.05, 0.5, True),
        ("gates.min_test_bads", 10, 1, True),
        ("duplicate_rows", "keep", "drop", False),
    ]
    assert not any(d.loosened for d in compare(tiny(gates={"alpha": 0.5}), TINY))


def test_a_new_key_changes_nothing_and_a_new_default_is_told_without_waiting() -> None:
    plain = json.loads(TINY.model_dump_json())
    del plain["gates"]["min_test_bads"]  # a release that didn't know the key
    older = UseCase.model_validate_json(json.dumps(plain))
    assert compare(older, TINY) == []
    plain["gates"]["min_test_bads"] = 25  # a release with another default
    older = UseCase.model_validate_json(json.dumps(plain))
    found = Changes(1, compare(older, TINY, old_set=rules_set(TINY)))
    assert [(d.key, d.default) for d in found.differences] == [("gates.min_test_bads", True)]
    assert not found.wait
    assert "the default changed" in str(found)
    # Where it isn't known that the old one was a default, or it was said, a person decides.
    assert Changes(1, compare(older, TINY)).wait
    assert Changes(1, compare(older, TINY, old_set=["gates.min_test_bads"])).wait


def test_a_changed_question_is_never_compared_and_waits(world: World) -> None:
    first = submit(world.submission(world.usecase("turned", "automatic"), "one", "baseline"))
    assert first.live
    turned = world.usecase("turned", "automatic", target=swapped())
    done = submit(world.submission(turned, "two", "ensemble"))
    assert not done.live
    gate = next(g for g in done.gates if g.name == "champion")
    assert (gate.passed, gate.blocking) == (None, False)
    assert "answers another question (target.bad, target.good changed)" in gate.detail
    assert "better" not in gate.detail


@pytest.mark.parametrize(
    "changed",
    [
        {"columns": columns(SEX={"feature": True})},
        {"cutoffs": {"approve_below": 0.6, "decline_from": 0.9}},
    ],
)
def test_another_feature_or_cut_off_waits_under_an_automatic_policy(
    world: World, changed: dict[str, Any]
) -> None:
    name = f"waits_{next(iter(changed))}"
    first = submit(world.submission(world.usecase(name, "automatic"), "one", "baseline"))
    assert first.live
    done = submit(world.submission(world.usecase(name, "automatic", **changed), "two", "ensemble"))
    assert not done.live
    assert done.changed.wait


def test_under_approval_the_note_and_the_commands_show_old_and_new_first(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    from riskwright_flows.cli import app

    strict = world.usecase("told", gates={"alpha": 0.05})
    first = submit(world.submission(strict, "one", "baseline")).version
    change_champion(
        world.home, world.ledger, "told", "promote",
        actor="reviewer", reason="read", expected=None, version=first,
    )  # fmt: skip
    loose = world.usecase("told", gates={"alpha": 0.5, "min_test_bads": 1})
    done = submit(world.submission(loose, "two", "ensemble"))
    assert "gates.alpha 0.05 → 0.5 (loosened)" in done.note
    with pytest.raises(SystemExit):
        app(["challengers", "told", "--json"])
    (row,) = json.loads(capsys.readouterr().out)
    rules = {d["rule"]: d for d in row["rules_changed"]["differences"]}
    assert rules["gates.alpha"] == {
        "rule": "gates.alpha", "old": 0.05, "new": 0.5, "note": "loosened",
    }  # fmt: skip
    with pytest.raises(SystemExit):
        app(["challengers", "told"])
    shown = capsys.readouterr().out
    assert 0 < shown.index("gates.alpha") < shown.index("why:")
    with pytest.raises(SystemExit):
        app(["approve", "told", str(done.version), "--reason", "gates were read"])
    assert "gates.min_test_bads" in capsys.readouterr().out


def test_the_specification_of_a_version_is_read_from_its_sealed_bundle(live: Live) -> None:
    version = live.ledger.version(live.usecase.name, live.version)
    assert kept_case(live.home, version) == live.usecase
    assert version_changes(live.home, live.ledger, version) == Changes()


def test_the_evidence_holds_both_sides(tmp_path: Any) -> None:
    assert write_changes(tmp_path, Changes()) == {}
    found = Changes(3, compare(TINY, tiny(gates={"alpha": 0.5})))
    told = write_changes(tmp_path, found)["rules_changed"]
    assert told["against"] == 3
    assert "gates.alpha,0.05,0.5,loosened" in (tmp_path / "rules_changed.csv").read_text()
    write_changes(tmp_path, Changes(3, [Difference("baseline", "scorecard", "=cmd|' /C x'!A0")]))
    assert ",'=cmd|" in (tmp_path / "rules_changed.csv").read_text()


def test_what_is_not_registered_yet_is_refused_in_words(home: Home) -> None:
    ledger = Ledger.open(home, create=True)
    number = ledger.reserve_version("tiny", "a run that was killed")
    changed = version_changes(home, ledger, ledger.version("tiny", number))
    assert changed.wait
    assert "isn't registered yet" in str(changed)
    with pytest.raises(InputRefused, match="isn't registered yet"):
        load_version(home, ledger, "tiny", str(number))
