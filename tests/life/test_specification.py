"""A run's specification is read once: what is fitted, judged and registered has that one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import tiny_text
from tiny_market import market_plain

from riskwright.errors import IntegrityError
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life.retrain import steps_of
from riskwright.life.specification import Frozen, freeze, is_frozen, specified, thaw
from riskwright.life.steps import Work, run
from riskwright.life.system import load_case
from riskwright.store.manifest import file_digest
from riskwright.systems.credit.case import load_usecase
from riskwright.systems.credit.records import Fitted

SYSTEMS = {
    "tiny": tiny_text(),
    "tiny_market": yaml.safe_dump(market_plain()),
    "loan_book": "",
}


def frozen(home: Home, name: str) -> tuple[Path, Any]:
    if text := SYSTEMS[name]:
        (home.folder("usecases") / f"{name}.yaml").write_text(text, encoding="utf-8")
    case, written = load_case(name, home)
    return freeze(case, written, name, home), case


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_was_frozen_comes_back_with_its_text_and_author(home: Home, name: str) -> None:
    path, case = frozen(home, name)
    found = thaw(path)
    assert found.case == case
    assert found.case.digest == case.digest
    assert found.named == name
    assert found.sha256 == file_digest(path)
    assert yaml.safe_load(found.yaml)["name"] == name
    assert found.author["shipped"] is (name == "loan_book")
    if not found.author["shipped"]:
        assert found.author["uid"] == os.getuid()
    assert is_frozen(path)
    assert not is_frozen("tiny.yaml")


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_frozen_specification_that_was_edited_or_is_gone_is_refused(
    home: Home, name: str
) -> None:
    path, _ = frozen(home, name)
    path.write_bytes(path.read_bytes().replace(b"tiny", b"Tiny").replace(b"loan_b", b"Loan_b"))
    with pytest.raises(IntegrityError, match="isn't what it was"):
        thaw(path)
    path.unlink()
    with pytest.raises(IntegrityError, match="is gone"):
        thaw(path)


def test_what_a_version_said_first_stays() -> None:
    began: Any = Frozen(None, "other.yaml", {"uid": 1}, "", "b" * 64)  # type: ignore[arg-type]
    said = {"specification": "mine.yaml", "frozen": "a" * 64, "author": {"uid": 0}}
    assert specified(said, began) == said
    assert specified({"specification": "old"}, began) == {"specification": "old"}
    assert specified({}, began)["specification"] == "other.yaml"


def test_a_step_after_an_edit_fits_what_the_run_began_with(home: Home) -> None:
    path, case = frozen(home, "tiny")
    ledger = Ledger.open(home, create=True)
    edited = tiny_text(families={"logistic": {"params": {"C": 0.5}}, "scorecard": {}})
    (home.root / "usecases" / "tiny.yaml").write_text(edited, encoding="utf-8")
    assert load_usecase("tiny", home).digest != case.digest
    began = thaw(path)
    work = Work(began.case, home, ledger, "a" * 64, home.folder("work", "tiny", "a"), began=began)
    some = [step for step in steps_of(began.case) if step.name in ("data", "fit_logistic")]
    assert run(some, work).one(Fitted).params == case.families["logistic"].params
