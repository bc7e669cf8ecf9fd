"""What people may not do, by the command line: the lines of the table about who acts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from world import World

from riskwright.account import Account
from riskwright.life.submission import submit
from riskwright_flows.cli import app

NAME = "people"
TABLE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "bad_input.md"
WHY = ("--reason", "read the gates and the limits")

Become = Callable[[str], Account]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def _say(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            app(list(arguments))
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out + told.err

    return _say


def waiting(world: World, key: str, kind: str) -> str:
    """A challenger that ann trained."""
    return str(submit(world.submission(world.usecase(NAME), key, kind, actor="ann")).version)


def alert(world: World, version: int) -> str:
    return str(
        world.ledger.open_alert(
            NAME,
            title="scores moved",
            findings=[{"code": "score_drift"}],
            severity="high",
            batch_hash="b",
            version=version,
            report="",
        )
    )


def test_who_may_not_and_what_may_not_be_done_twice(
    world: World, become: Become, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Account("root", 0, "here", "os-account", False, "root can be anyone")

    def as_root() -> None:
        monkeypatch.setattr("riskwright.account.who", lambda: root)

    first = waiting(world, "one", "baseline")
    for act in ("approve", "reject"):
        become("ann")
        assert say(act, NAME, first, *WHY)[0] == 3
        as_root()
        code, told = say(act, NAME, first, *WHY)
        assert (code, "root is unverified" in told) == (3, True)
    become("ben")
    assert say("approve", NAME, first, *WHY)[0] == 0
    second = waiting(world, "two", "ensemble")
    assert say("approve", NAME, second, *WHY)[0] == 0

    id = alert(world, int(second))
    become("ann")
    assert say("alerts", "decide", id, "accept", *WHY)[0] == 3
    as_root()
    assert say("alerts", "decide", id, "retrain", *WHY)[0] == 3
    become("ben")
    code, told = say("alerts", "decide", id, "accept", "--reason", "x")
    assert (code, "says nothing" in told) == (2, True)
    assert world.ledger.alert(int(id)).status == "open"
    assert say("alerts", "decide", id, "retrain", *WHY)[0] == 0
    request = str(world.ledger.requests(NAME)[-1].id)
    become("ann")
    assert say("alerts", "withdraw", request, *WHY)[0] == 3
    as_root()
    assert say("alerts", "withdraw", request, *WHY)[0] == 3
    become("ben")
    assert say("alerts", "withdraw", request, "--reason", "x")[0] == 2
    code, told = say("alerts", "withdraw", request, *WHY)
    told = " ".join(told.split())
    assert (code, f"alert {id} (high) stays closed: retrain, by ben" in told) == (0, True)

    as_root()  # at three in the morning: back to what was approved
    back = ("rollback", NAME, "--reason", "approvals fell by half")
    code, told = say(*back)
    assert (code, "by root (unverified)" in told) == (0, True)
    code, told = say(*back)
    assert (code, "nothing was changed" in told) == (0, True)
    become("ben")
    code, told = say(*back)
    assert (code, "was rolled back already" in told) == (1, True)
    code, told = say(*back, "--to", second)
    assert (code, "is not the former champion" in told) == (3, True)
    assert "root (unverified)" in say("history", NAME)[1].replace("\n", " ")
    kinds = [e.kind for e in world.ledger.events(NAME) if e.kind.endswith("refused")]
    assert kinds == [
        *("promotion.refused",) * 2,
        *("rejection.refused",) * 2,
        *("decision.refused",) * 4,
        "promotion.refused",
    ]


def test_these_lines_stand_in_the_table() -> None:
    told = TABLE.read_text(encoding="utf-8")
    for line in (
        "| `approve`, `reject`, or accepting a grave alert, by an author of the version | exit 3",
        "| `alerts withdraw` of a retrain that an alert led to, by who may not accept that alert |",
        "| the same by root, or in a user namespace, under `approval` | exit 3",
        "| a reason about a grave alert that says nothing | exit 2",
        "| `rollback` typed again by the same person for the same reason | exit 0",
    ):
        assert line in told
