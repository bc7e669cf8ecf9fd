"""What a retrain reads that names no data."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny import tiny_text
from tiny_market import market_case

from riskwright.case.usecase import UseCase, parse_usecase
from riskwright.errors import InputRefused, Unavailable
from riskwright.home import Home
from riskwright.life import renewal
from riskwright.life.renewal import learnt_from, nothing_new, place_of, served_since


def usecase(folder: Path, **source: Any) -> UseCase:
    return parse_usecase(tiny_text(source=source), where="tests", folder=folder)


def ledger(data: str | None) -> Any:
    """A ledger whose champion learnt from data named by hand, or from the use case's own."""
    champion = SimpleNamespace(version=4, evidence={"data": data})
    return SimpleNamespace(champion=lambda name: champion)


NONE: Any = SimpleNamespace(champion=lambda name: None)


@pytest.mark.parametrize("named", [None, "elsewhere.csv"])
def test_the_use_cases_own_source_is_read_whatever_was_named_once(
    tmp_path: Path, named: str | None
) -> None:
    (tmp_path / "cases.csv").write_text("x\n1\n")
    for source, words in (
        ({"location": "cases.csv"}, str(tmp_path / "cases.csv")),
        ({"location": "postgresql://db/x?sslmode=require", "table": "t"}, "postgresql://db/x?…"),
        ({"dataset": "statlog-german-credit"}, "the public data set statlog-german-credit"),
    ):
        place = place_of(usecase(tmp_path, **source), ledger(named))
        assert place.location is None
        assert place.words == f"the use case's own source ({words})"


def test_simulated_cases_never_follow_real_ones(tmp_path: Path) -> None:
    spec = usecase(tmp_path, simulator="credit_applications")
    assert place_of(spec, ledger(None)).location is None
    assert place_of(spec, NONE).words == "the use case's own source (simulated cases)"
    with pytest.raises(InputRefused, match="named by hand, and the use case's own source is sim"):
        place_of(spec, ledger("cards.csv"))
    assert place_of(spec, ledger("cards.csv"), "new.csv").location == "new.csv"


def test_without_a_source_of_its_own_it_is_the_place_named_last_and_told(tmp_path: Path) -> None:
    path = tmp_path / "cards.csv"
    path.write_text("x\n1\n")
    place = place_of(usecase(tmp_path, delimiter=","), ledger(str(path)))
    assert place.location == str(path)
    assert "named with version 4" in place.words
    case = market_case()
    (tmp_path / "series.csv").write_text("x\n1\n")
    assert place_of(case, ledger(str(tmp_path))).location == str(tmp_path)
    assert place_of(case, NONE).location is None


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ({"location": "late.csv"}, None),
        ({"location": "sqlite:///{}/late.db", "table": "t"}, None),
        ({"delimiter": ","}, "{}/late.csv"),
    ],
)
def test_a_file_that_is_late_is_no_refusal(
    tmp_path: Path, source: dict[str, Any], named: str | None
) -> None:
    source = {k: v.format(tmp_path) for k, v in source.items()}
    with pytest.raises(Unavailable, match="isn't there") as late:
        place_of(usecase(tmp_path, **source), ledger(named and named.format(tmp_path)))
    assert str(tmp_path / "late.") in late.value.where
    with pytest.raises(Unavailable, match="isn't there"):
        place_of(market_case(), ledger(str(tmp_path)))


def version(number: int, train: str, *, at: str = "2026-02", **more: Any) -> Any:
    plain = {
        "version": number,
        "status": "champion",
        "trained_by": "trainer",
        "run_key": f"key{number}:ensemble",
        "at": at,
        "evidence": {"train": train, "test": "t", "standby": False},
    }
    return SimpleNamespace(**(plain | more))


def held(*versions: Any, ended: tuple[str, ...] = ()) -> Any:
    runs = [SimpleNamespace(run_key=key) for key in ended]
    return SimpleNamespace(versions=lambda name: list(versions), runs=lambda name, status: runs)


def test_what_was_learnt_from_already_is_told_by_data_and_rules(
    tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = usecase(tmp_path, location="cases.csv")
    other_rules = parse_usecase(tiny_text(quarantine_limit=0.2), where="tests", folder=tmp_path)
    kept = {3: other_rules}
    monkeypatch.setattr(renewal, "kept_case", lambda home, v: kept.get(v.version, spec))
    waits = version(2, "b", status="challenger")
    # An earlier release made another digest of the same rules.
    old = version(1, "a", evidence={"train": "a", "test": "t", "rules": "of another release"})
    assert learnt_from(home, held(old, waits), spec, ("a", "t")) is old
    assert learnt_from(home, held(old, waits), spec, ("c", "t")) is None
    # A challenger of a retrain that was killed may lack its gates.
    assert learnt_from(home, held(old, waits), spec, ("b", "t")) is None
    assert learnt_from(home, held(old, waits, ended=("key2",)), spec, ("b", "t")) is waits
    other = version(3, "a", evidence={"train": "a", "test": "t", "rules": "x"})
    assert learnt_from(home, held(other), spec, ("a", "t")) is None
    standby = version(4, "a", evidence={"train": "a", "test": "t", "standby": True})
    assert learnt_from(home, held(standby), spec, ("a", "t")) is None
    (tmp_path / "cases.csv").write_text("x")
    told = nothing_new(place_of(spec, NONE), "0123456789abcdef", old)
    assert told.startswith("nothing new to learn from: the use case's own source (")
    assert "still holds snapshot 0123456789ab…, from which version 1 (champion) learnt" in told


def test_a_request_is_served_by_any_retrain_on_newer_data() -> None:
    request: Any = SimpleNamespace(use_case="tiny", at="2026-03")
    before = version(1, "a")
    assert served_since(held(before), request) is None
    assert served_since(held(before, version(2, "a", at="2026-04")), request) is None
    newer = version(3, "b", at="2026-04")
    assert served_since(held(before, newer), request) is newer
