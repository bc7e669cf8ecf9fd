"""The whole monitor: silence where nothing changed, and what a result says of itself."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from riskwright.data.simulators import simulate
from riskwright.systems.credit import batch_checks
from riskwright.systems.credit.case import load_usecase
from riskwright.systems.credit.labels import Labels
from riskwright.systems.credit.reference import Reference


@pytest.mark.parametrize(
    ("rows", "windows"), [pytest.param(200, 30, marks=pytest.mark.slow), (1_000, 10)]
)
def test_windows_without_change_rarely_alarm(
    rows: int, windows: int, draw: Any, judge: Any
) -> None:
    """Alarms stay within what a 2 % rate per window allows in 99.9 % of such runs."""
    titles = []
    for seed in range(windows):
        drawn = draw(rows, 70_000 + seed)
        result = judge(drawn.raw, drawn.y)
        titles += [result.title] * result.alarm
    assert len(titles) <= stats.binom.ppf(0.999, windows, 0.02), titles


def test_a_result_is_plain_json_and_adds_up(draw: Any, judge: Any) -> None:
    drawn = draw(600, 3)
    raw = drawn.raw.assign(INCOME="inf")
    result = judge(raw, drawn.y)
    plain = result.as_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["accepted"] + plain["refused"] == plain["rows_read"] == 600
    assert plain["alarm"] == any(f["alarm"] for f in plain["findings"])
    assert list(plain["verdicts"]) == ["quality", "columns", "score", "labels"]
    assert plain["verdicts"]["columns"] == "not enough data"  # every row was refused
    assert {"family", "code", "column", "verdict", "value", "threshold", "p_value"} <= set(
        plain["findings"][0]
    )


def test_severity_is_by_consequence(draw: Any, judge: Any, scored: Any) -> None:
    raw = draw(1_000, 4).raw
    age = (raw["AGE"].astype("float64") + 6).clip(upper=99)
    older = judge(raw.assign(AGE=age.map("{:g}".format).astype("str")))
    assert (older.severity, older.verdicts["score"]) == ("low", "ok")  # the score ignores age
    late = (raw["LATE"].astype("float64") + 1).replace(97, 96)
    poorer = judge(raw.assign(LATE=late.map("{:g}".format).astype("str")))
    assert (poorer.severity, poorer.verdicts["score"]) == ("high", "alarm")
    assert judge(raw.drop(columns="LATE")).severity == "critical"
    assert judge(raw).severity == "none"
    assert judge(raw).title == "no alarm"
    assert judge(raw.assign(EDU="z")).title.startswith("EDU: retyped, and ")


def test_a_family_that_breaks_hides_no_other(
    usecase: Any, reference: Any, draw: Any, scored: Any
) -> None:
    raw = draw(1_000, 5).raw
    checked, header = batch_checks.examine(usecase, raw)
    result = batch_checks.check_batch(
        usecase,
        reference=reference,
        raw=raw,
        checked=checked,
        header=header,
        pd=scored(checked.accepted)[:-1],
        labels=None,
    )
    assert result.verdicts["score"] == "failed"
    assert result.verdicts["quality"] == result.verdicts["columns"] == "ok"
    assert result.alarm
    assert "999" in next(f.detail for f in result.findings if f.family == "score")


def test_examine_takes_a_batch_that_lacks_columns(usecase: Any, draw: Any) -> None:
    raw = draw(300, 6).raw
    checked, header = batch_checks.examine(usecase, raw.drop(columns=["PAID", "key"]))
    assert set(header.missing) == {"PAID", "key", "NOTE"}
    assert len(checked.accepted) == 300
    assert "PAID" not in checked.accepted
    assert "NOTE" in checked.accepted  # optional: canonical, and empty
    assert "LIMIT" in checked.accepted


def test_simulated_scenarios_are_told_apart() -> None:
    """Broken feed by quality, recession by the score, concept change by labels alone."""
    usecase = load_usecase("credit_assessment")
    target = usecase.target.column

    def drawn(rows: int, seed: int, scenario: str) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
        made = simulate("credit_applications", rows, seed, scenario=scenario, onset=0)
        known = simulate("credit_applications", rows, seed, onset=0).true_pd  # a stale model
        y = (made.frame[target].astype("str") == usecase.target.bad).to_numpy(dtype="float64")
        return (
            made.frame.drop(columns=target),
            y,
            known if scenario != "recession" else made.true_pd,
        )

    raw, y, pds = drawn(4_000, 1, "none")
    checked, _ = batch_checks.examine(usecase, raw)
    kept = checked.accepted.index.to_numpy()
    reference = Reference.build(usecase, checked.accepted, pds[kept], y[kept])

    def verdicts(scenario: str) -> dict[str, str]:
        raw, y, pds = drawn(2_000, 2, scenario)
        checked, header = batch_checks.examine(usecase, raw)
        kept = checked.accepted.index.to_numpy()
        return batch_checks.check_batch(
            usecase,
            reference=reference,
            raw=raw,
            checked=checked,
            header=header,
            pd=pds[kept],
            labels=Labels(y[kept]),
        ).verdicts

    assert set(verdicts("none").values()) == {"ok"}
    assert verdicts("broken_feed")["quality"] == "alarm"
    assert verdicts("recession")["score"] == "alarm"
    concept = verdicts("concept_change")
    assert (concept.pop("labels"), set(concept.values())) == ("alarm", {"ok"})
