"""Outcomes are held against the version that scored the cases, and not by what it learnt from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny import ROWS, Live, applications, tiny_text

from riskwright.case.usecase import parse_usecase
from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.ledger import Gate, Ledger, ModelRef
from riskwright.store import snapshots
from riskwright.systems.credit.labels import Labels
from riskwright.systems.credit.monitoring import monitor_batch
from riskwright.systems.credit.scored import most_of, scored_by

TARGET = "default.payment.next.month"


@pytest.fixture
def ledger(home: Home) -> Ledger:
    """Version 1 was live, then version 2, then 1 again."""
    made = Ledger.open(home, create=True)
    for key in ("one", "two"):
        version = made.reserve_version("tiny", key)
        ref = ModelRef("pd", "tiny.pd", version, "0" * 64, "models:/x")
        made.register("tiny", version, models={"pd": ref}, actor="ann", run_id=key, evidence={})
        made.record_gates("tiny", version, [Gate("baseline", True, "better", {})])
        expected = version - 1 or None
        made.promote("tiny", version, actor="bob", reason="good", expected=expected)
    made.rollback("tiny", actor="bob", reason="not so good", expected=2)
    return made


def test_the_version_is_what_was_recorded_else_what_was_live_then(ledger: Ledger) -> None:
    plain = tiny_text()
    usecase = parse_usecase(plain, where="test")
    since = [pd.Timestamp(p.at).tz_localize(None) for p in ledger.history("tiny")]
    little = pd.Timedelta("1us")
    times = pd.Series([since[0] - little, *since, since[2] + little, pd.NaT])
    accepted = pd.DataFrame({"day": times.astype("datetime64[us]")})
    y = np.array([1.0, 0, 1, 0, np.nan, 1])
    assert np.isnan(scored_by(ledger, usecase, Labels(y), accepted)).all()  # no time column

    dated = usecase.model_copy(update={"time": "day"})
    by = scored_by(ledger, dated, Labels(y), accepted)
    np.testing.assert_array_equal(by, [np.nan, 1, 2, 1, 1, np.nan])
    assert most_of(by, Labels(y)) == 1
    recorded = Labels(y, version=np.array([2, 2, np.nan, 2, np.nan, np.nan]))
    by = scored_by(ledger, dated, recorded, accepted)
    np.testing.assert_array_equal(by, [2, 2, 2, 2, 1, np.nan])
    assert most_of(by, recorded) == 2
    assert most_of(np.full(6, np.nan), recorded) is None


def test_rows_that_the_version_learnt_from_are_not_judged(live: Live, tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    frame = applications(ROWS, seed=3)  # what it was trained and tested on
    frame.to_csv(path, index=False)
    found = monitor_batch(live.usecase, live.home, live.ledger, input=str(path), labels=None)
    evidence = live.ledger.version("tiny", live.version).evidence
    learnt = len(snapshots.read(evidence["train"], live.home))
    assert found["labels"]["trained_on"] == learnt
    assert (
        f"{learnt:,} known outcomes are of cases that this version was trained on"
        in (found["labels"]["words"])
    )
    (ratio,) = [f for f in found["findings"] if f["code"] == "observed_expected"]
    assert f"of {ROWS - learnt:,} (" in ratio["detail"]
    assert found["judged_by"].startswith("which version scored these cases isn't known")


def test_a_look_is_about_the_version_that_scored(world: Any, tmp_path: Path) -> None:
    from riskwright.life.submission import submit

    spec = world.usecase("scored", "automatic")
    submit(world.submission(spec, "one", "baseline"))
    submit(world.submission(spec, "two", "ensemble"))
    first, live = (p.version for p in world.ledger.history("scored"))
    frame = applications(900, seed=21)
    cases, outcomes = tmp_path / "cases.csv", tmp_path / "outcomes.csv"
    frame.drop(columns=TARGET).to_csv(cases, index=False)
    versions = np.where(np.arange(900) < 800, first, live)
    frame[["ID", TARGET]].assign(model_version=versions).to_csv(outcomes, index=False)

    def look(**more: Any) -> dict[str, Any]:
        labels = {"labels": str(outcomes)} | more
        return monitor_batch(spec, world.home, world.ledger, input=str(cases), **labels)

    assert look(labels=None)["version"] == live
    found = look()
    assert found["version"] == first
    assert found["labels"]["other_version"] == 100
    assert (
        f"version {first}, that most of these cases were scored by; version {live} is live"
        in (found["judged_by"])
    )
    page = Path(found["report"]).read_text(encoding="utf-8")
    assert f"Version {first}." in page
    assert "100 known outcomes are of cases that another version scored" in page
    asked = look(version=str(live))
    assert (asked["version"], asked["labels"]["other_version"]) == (live, 800)
    with pytest.raises(InputRefused, match="99"):
        look(version="99")
    world.ledger.reject("scored", first, actor="reviewer", reason="it was wrong")
    assert look()["version"] == first  # rejected since: it scored them all the same
