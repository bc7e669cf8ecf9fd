"""A use case says its kind, and its system is found by it; nothing else is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import tiny_text
from tiny_market import market_plain

from riskwright.case.files import kind_of, known_usecases, shipped
from riskwright.case.kinds import SHIPPED, packages
from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.life.system import load_case, system_of


@pytest.mark.parametrize("kind", SHIPPED)
def test_every_shipped_use_case_lies_in_the_folder_of_its_kind(kind: str, home: Home) -> None:
    named = shipped(kind)
    assert named
    for name, path in named.items():
        case, written = load_case(name, home)
        assert (case.kind, case.name, written.path) == (kind, name, path)
        assert isinstance(case, system_of(kind).case())
        assert "kind" in yaml.safe_load(path.read_text(encoding="utf-8")), path


def write(folder: Path, text: str, name: str = "tiny_market.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("said", [True, False], ids=["kind said", "of before kinds"])
@pytest.mark.parametrize(
    "written",
    [
        lambda plain: yaml.safe_dump(plain, sort_keys=False),
        lambda plain: yaml.safe_dump(plain).replace("\nseries:", '\n"series":'),
        lambda plain: yaml.safe_dump(plain, default_flow_style=True),
        json.dumps,
        lambda plain: json.dumps(plain, indent=1),
        lambda plain: "# series: of prices\n\n" + yaml.safe_dump(plain),
    ],
    ids=["plain", "quoted", "flow", "json", "json over lines", "a remark first"],
)
def test_a_market_case_is_one_however_it_is_written(
    written: Callable[[Any], str], said: bool, tmp_path: Path, home: Home
) -> None:
    plain = market_plain() | ({"kind": "market"} if said else {})
    path = write(tmp_path, written(plain))
    assert kind_of(path) == "market"
    assert load_case(path, home)[0].kind == "market"


def test_what_names_a_series_elsewhere_is_no_market(tmp_path: Path, home: Home) -> None:
    text = tiny_text(question="Of which\nseries: of loans?")
    path = write(tmp_path, text, "tiny.yaml")
    assert load_case(path, home)[0].kind == "credit"


def test_an_unknown_kind_is_refused_with_those_that_are_there(tmp_path: Path, home: Home) -> None:
    path = write(tmp_path, tiny_text(kind="lones"), "tiny.json")
    with pytest.raises(InputRefused, match="no kind 'lones'") as refused:
        load_case(path, home)
    assert refused.value.expected == "credit, loans, market"
    assert "loans" in refused.value.do
    assert refused.value.where == f"{path}: kind"


@pytest.mark.parametrize("kind", ["loans", "market"])
def test_a_kind_that_the_rest_contradicts_is_refused(kind: str, tmp_path: Path, home: Home) -> None:
    path = write(tmp_path, tiny_text(kind=kind), "tiny.yaml")
    with pytest.raises(InputRefused):
        load_case(path, home)


def test_a_kind_may_come_from_another_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))  # what was found elsewhere is known already
    beside = EntryPoint("deposits", "bank.deposits", "riskwright.systems")
    stolen = EntryPoint("credit", "bank.credit", "riskwright.systems")
    monkeypatch.setattr(
        "riskwright.case.kinds.entry_points", lambda *, group: EntryPoints([beside, stolen])
    )
    assert packages() == {"deposits": "bank.deposits", **SHIPPED}


def test_the_home_and_the_systems_are_known_together(home: Home) -> None:
    write(home.folder("usecases"), yaml.safe_dump(market_plain()))
    known = known_usecases(home)
    assert {"credit_assessment", "loan_book", "market_return", "tiny_market"} <= set(known)
