"""Stress, model status and the waterfall: what moves the money, and that it adds up."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from riskwright.case.loan import Driver, Loan
from riskwright.errors import InputRefused
from riskwright.systems.loans.portfolio import status, stress
from riskwright.systems.loans.portfolio.waterfall import STEPS, waterfall

SHARE = st.floats(0.001, 0.999)


@given(pd_=SHARE, lgd=SHARE)
def test_worse_scenarios_cost_more_and_the_base_nothing(pd_: float, lgd: float) -> None:
    losses = []
    for name in ("upside", "base", "mild", "adverse", "severe"):
        p, loss = stress.stressed([pd_], [lgd], stress.SCENARIOS[name])
        losses.append(float(p[0] * loss[0]))
    assert losses[1] == pytest.approx(pd_ * lgd)
    assert losses == sorted(losses)


def test_the_mapping_is_the_stated_one() -> None:
    p, _ = stress.stressed([0.05], [0.5], stress.Scenario("u", {"unemployment": 3.0}))
    odds = 0.05 / 0.95 * np.exp(3 * 0.24)
    assert p[0] == pytest.approx(odds / (1 + odds))
    certain, _ = stress.stressed([0.0, 1.0], [0.5, 0.5], stress.SCENARIOS["severe"])
    assert certain.tolist() == [0.0, 1.0]
    assert sum(s.weight for s in stress.SCENARIOS.values()) == pytest.approx(1)


def test_the_booked_losss_scenarios_favour_neither_side() -> None:
    """IFRS 9, 5.5.17(a): unbiased. Their mean leaves the log-odds of the PD where they are."""
    loan = Loan(amount="a", rate="r", term="t", closed="c", repaid="p", recovered="v",
                recovery_costs="k")  # fmt: skip
    shifts = {s.name: (s.weight, s.shift()[0]) for s in stress.outlooks(loan)}
    assert sum(w for w, _ in shifts.values()) == pytest.approx(1)
    assert sum(w * shift for w, shift in shifts.values()) == pytest.approx(0, abs=0.05)
    assert shifts["upside"][1] < 0 == shifts["base"][1] < shifts["mild"][1]
    p = np.array([0.02, 0.05, 0.15])
    booked = sum(w * expit(logit(p) + shift) for w, shift in shifts.values())
    assert ((booked / p > 1) & (booked / p < 1.2)).all()  # convexity alone
    assert set(get_args(Driver)) == set(stress.SENSITIVITIES)


@pytest.mark.parametrize(
    ("scenarios", "told"),
    [
        ({"a": {"weight": 0.5}, "b": {"weight": 0.4}}, "sum to 0.9"),
        ({"a": {"weight": 1.0}}, "at least 2"),
        ({"a": {"weight": 0.5}, "b": {"weight": 0.5, "shocks": {"wind": 1}}}, "unemployment"),
        ({"a": {"weight": 1.5}, "b": {"weight": -0.5}}, "less than or equal to 1"),
    ],
)
def test_scenarios_that_a_use_case_may_not_name(scenarios: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Loan.model_validate(
            {"amount": "a", "rate": "r", "term": "t", "closed": "c", "repaid": "p",
             "recovered": "v", "recovery_costs": "k", "scenarios": scenarios}
        )  # fmt: skip


def test_a_scenario_says_where_its_pd_comes_from() -> None:
    said = stress.told(stress.SCENARIOS["severe"])
    assert said.startswith("odds of the PD times 11.7 = exp(0.24 x +6 (unemployment)")
    assert stress.told(stress.SCENARIOS["base"]) == "the PD stays"


@pytest.mark.parametrize(
    ("extra", "told"),
    [([1.0, 1.05], "nothing carries the stress"), ([1.0, 4.0], "grade b carries the stress")],
)
def test_what_carries_a_stress_is_said_or_that_nothing_does(extra: list[float], told: str) -> None:
    before = np.array([100.0, 100.0])
    table = stress.carriers(before, before + extra, pd.DataFrame({"grade": ["a", "b"]}))
    assert stress.carried(table).startswith(told)


def test_scenarios_from_files(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nshocks: {unemployment: 2}\n", encoding="utf-8")
    assert stress.load_scenario(str(path)).shocks == {"unemployment": 2.0}
    assert stress.load_scenario("adverse") is stress.SCENARIOS["adverse"]
    path.write_text("shocks: {unemploymnt: 2}\n", encoding="utf-8")
    with pytest.raises(InputRefused, match="unknown driver 'unemploymnt'") as refused:
        stress.load_scenario(str(path))
    assert "unemployment" in refused.value.do
    assert refused.value.where == str(path)
    for text in ("shocks: 3", "[1, 2]", "shocks: {unemployment: much}", "{"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputRefused, match="can't be read"):
            stress.load_scenario(str(path))
    with pytest.raises(InputRefused, match="no scenario is called 'sever'") as refused:
        stress.load_scenario("sever")
    assert "severe" in refused.value.do


def test_reverse_stress_finds_the_part_that_reaches_the_limit() -> None:
    pd_, lgd = np.full(10, 0.04), np.full(10, 0.5)

    def loss(part: float) -> float:
        p, share = stress.stressed(pd_, lgd, stress.SCENARIOS["severe"], part)
        return float((p * share).sum())

    part = stress.reverse_stress(loss, 0.4)
    assert part is not None
    assert loss(part) == pytest.approx(0.4, abs=1e-5)
    assert stress.reverse_stress(loss, 0.1) == 0.0
    assert stress.reverse_stress(loss, 100.0) is None


def test_carriers_share_out_the_extra_loss() -> None:
    by = pd.DataFrame({"grade": list("AABB"), "state": list("xyxy")})
    table = stress.carriers([1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 3.0, 2.0], by)
    assert table.iloc[0][["feature", "value"]].tolist() == ["grade", "B"]
    assert table.iloc[0]["share"] == 1.0
    assert table.iloc[0]["lift"] == 2.0
    assert table.groupby("feature")["share"].sum().tolist() == [1.0, 1.0]


@given(pd_=SHARE)
def test_status_moves_the_odds_and_comes_off_again(pd_: float) -> None:
    assert status.pd_with_margin([pd_], "green")[0] == pytest.approx(pd_, rel=1e-12)
    amber, red = (float(status.pd_with_margin([pd_], s)[0]) for s in ("amber", "red"))
    assert pd_ < amber < red < 1
    assert red / (1 - red) == pytest.approx(1.25 * pd_ / (1 - pd_))
    assert status.overlay([100.0], "red").tolist() == [15.0]
    assert status.overlay([100.0], "green").tolist() == [0.0]


def test_a_status_that_there_is_not() -> None:
    with pytest.raises(InputRefused, match="'blue'"):
        status.pd_with_margin([0.1], "blue")  # type: ignore[arg-type]


SEGMENT = st.tuples(st.floats(1, 1e6), SHARE, SHARE, st.floats(0, 100))


@given(
    before=st.dictionaries(st.sampled_from("abcd"), SEGMENT, min_size=1),
    after=st.dictionaries(st.sampled_from("abcd"), SEGMENT, min_size=1),
)
def test_the_steps_sum_to_the_difference(
    before: dict[str, tuple[float, ...]], after: dict[str, tuple[float, ...]]
) -> None:
    columns = ["ead", "pd", "lgd", "overlay"]
    one, two = (pd.DataFrame.from_dict(d, orient="index", columns=columns) for d in (before, after))
    found = waterfall(one, two)
    for table, end in ((one, "before"), (two, "after")):
        whole = (table["ead"] * table["pd"] * table["lgd"]).sum() + table["overlay"].sum()
        assert found[end] == pytest.approx(whole)
    moved = found[list(STEPS)].sum()
    assert moved == pytest.approx(found["after"] - found["before"], rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("step", "change"),
    [
        ("volume", {"ead": [200.0, 200.0]}),
        ("mix", {"ead": [50.0, 150.0]}),
        ("pd", {"pd": [0.2, 0.2]}),
        ("lgd", {"lgd": [0.9, 0.5]}),
        ("status", {"overlay": [5.0, 0.0]}),
    ],
)
def test_one_change_moves_one_step(step: str, change: dict[str, list[float]]) -> None:
    before = pd.DataFrame(
        {"ead": [100.0, 100.0], "pd": [0.1, 0.2], "lgd": [0.5, 0.5], "overlay": 0.0},
        index=["a", "b"],
    )
    found = waterfall(before, before.assign(**change))
    moved = {s for s in STEPS if abs(found[s]) > 1e-9}
    assert moved == {step}


def test_an_empty_book_cannot_be_compared() -> None:
    table = pd.DataFrame({"ead": [1.0], "pd": [0.1], "lgd": [0.5], "overlay": [0.0]}, index=["a"])
    with pytest.raises(InputRefused, match="book before"):
        waterfall(table.assign(ead=0.0), table)
