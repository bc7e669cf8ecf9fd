"""Gates say yes, no, or "not enough data", with the figures that they judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from tiny import tiny_text

from riskwright.case.usecase import UseCase, parse_usecase
from riskwright.ledger import Gate
from riskwright.stats.paired import compare_log_loss
from riskwright.systems.credit.choice import Choice, choose_challenger
from riskwright.systems.credit.gates import _discrimination, gates

ROWS = 4000
RNG = np.random.default_rng(11)
TRUE = expit(RNG.normal(-1.5, 1.0, ROWS))
Y = (RNG.uniform(size=ROWS) < TRUE).astype(np.int8)
NOISY = expit(logit(TRUE) + RNG.normal(0, 0.7, ROWS))
CONSTANT = np.full(ROWS, Y.mean())
WIDE, WIDER = expit(1.3 * logit(TRUE)), expit(2.0 * logit(TRUE))
HALVED = TRUE / 2
BOTH = ["ensemble", "scorecard"]
# Four PDs: right on average, and by log loss as good as WIDE.
_FOURTH = np.searchsorted(np.quantile(TRUE, [0.25, 0.5, 0.75]), TRUE)
COARSE = np.array([TRUE[i == _FOURTH].mean() for i in range(4)])[_FOURTH]
ENSEMBLE = Choice("ensemble", "better", {"p": 0.01})
BASELINE = Choice("baseline", "simple is enough", {"p": 0.4})
EVERYWHERE = np.ones(ROWS, dtype=bool)
NO_GROUPS = pd.DataFrame(columns=["column", "group", "ratio", "ratio_low", "ratio_high"])


def usecase(**changes: Any) -> UseCase:
    return parse_usecase(tiny_text(**changes), where="test")


def judge(**changes: Any) -> dict[str, Gate]:
    """Judge the true PDs, without a champion; ``changes`` replace what is judged."""
    given: dict[str, Any] = {
        "choice": ENSEMBLE,
        "y": Y,
        "pd_challenger": TRUE,
        "against": None,
        "unseen_by_champion": None,
        "pd_champion": None,
        "fairness": NO_GROUPS,
        "readings": 1,
        "seed": 0,
    }
    spec = changes.pop("usecase", None) or usecase()
    found = gates(spec, **(given | changes))
    assert len({g.name for g in found}) == len(found)
    assert all(g.detail for g in found), "a gate without its reason"
    return {g.name: g for g in found}


def against(champion: np.ndarray, unseen: np.ndarray = EVERYWHERE, **changes: Any) -> Gate:
    """The champion gate, where the champion says this of the rows that it hasn't seen."""
    given = {"against": 7, "unseen_by_champion": unseen, "pd_champion": champion[unseen]}
    return judge(**given, **changes)["champion"]


def test_all_gates_pass_for_the_truth_and_are_named() -> None:
    found = judge()
    assert list(found) == [
        *("test data", "baseline", "champion", "calibration", "discrimination", "leakage"),
        "approval ratios",
    ]
    assert all(g.passed is True for g in found.values())
    assert [n for n, g in found.items() if not g.blocking] == ["baseline", "approval ratios"]
    assert found["champion"].figures == {"against": None}


@pytest.mark.parametrize(
    ("ensemble", "baseline", "kind"),
    [
        pytest.param(TRUE, NOISY, "ensemble", id="the ensemble is better"),
        pytest.param(TRUE, CONSTANT, "ensemble", id="the baseline knows nothing"),
        pytest.param(NOISY, TRUE, "baseline", id="the baseline is better"),
        pytest.param(TRUE, TRUE, "baseline", id="a tie"),
        pytest.param(TRUE, TRUE + 1e-9, "baseline", id="a hair"),
        pytest.param(np.minimum(2 * TRUE, 0.99), TRUE, "baseline", id="same ranking, doubled"),
    ],
)
def test_the_baseline_is_the_challenger_unless_it_is_beaten(
    ensemble: np.ndarray, baseline: np.ndarray, kind: str
) -> None:
    choice = choose_challenger(usecase(), Y, ensemble, baseline, seed=0)
    assert choice.kind == kind
    assert "scorecard" in choice.why
    paired = compare_log_loss(Y, ensemble, baseline)
    assert choice.figures["log_loss_difference"] == paired.difference
    assert choice.figures["p"] == paired.p_greater
    # The reason is told with the figures, whichever way it went.
    assert f"{paired.difference:+.4f}" in choice.why
    gate = judge(choice=choice)["baseline"]
    assert (gate.passed, gate.detail, gate.figures) == (True, choice.why, choice.figures)


def test_a_better_ensemble_that_is_not_calibrated_gives_way_to_the_baseline() -> None:
    """Its ranking beats a constant by far, its PDs are wrong: a use case ends with a champion."""
    extreme = expit(1.3 * logit(TRUE))
    assert compare_log_loss(Y, extreme, CONSTANT).p_greater < 1e-6
    choice = choose_challenger(usecase(), Y, extreme, CONSTANT, seed=0)
    assert choice.kind == "baseline"
    assert "not calibrated" in choice.why


@pytest.mark.parametrize(
    ("ensemble", "baseline", "kind", "wrong", "live"),
    [
        pytest.param(TRUE, NOISY, "ensemble", ["scorecard"], True, id="ensemble passes, better"),
        pytest.param(TRUE, CONSTANT, "ensemble", [], True, id="both pass, ensemble better"),
        pytest.param(TRUE, TRUE, "baseline", [], True, id="both pass, a tie"),
        pytest.param(WIDE, CONSTANT, "baseline", ["ensemble"], True, id="ensemble fails"),
        pytest.param(WIDE, WIDER, "ensemble", BOTH, False, id="both fail, baseline worse"),
        pytest.param(WIDE, HALVED, "ensemble", BOTH, False, id="both fail, ECE against log loss"),
        pytest.param(WIDER, WIDE, "baseline", BOTH, False, id="both fail, ensemble worse"),
        pytest.param(CONSTANT, WIDE, "baseline", ["scorecard"], False, id="baseline fails, better"),
        pytest.param(COARSE, WIDE, "ensemble", ["scorecard"], True, id="baseline fails, a tie"),
        pytest.param(WIDE, COARSE, "baseline", ["ensemble"], True, id="ensemble fails, a tie"),
    ],
)
def test_a_choice_among_candidates_that_fail_names_both_figures(
    ensemble: np.ndarray, baseline: np.ndarray, kind: str, wrong: list[str], live: bool
) -> None:
    """Only the ensemble's error was named, and a baseline that was further off was taken."""
    spec = usecase()
    choice = choose_challenger(spec, Y, ensemble, baseline, seed=0)
    told = choice.why.partition("not calibrated: ")[2]
    assert choice.kind == kind
    assert (told.partition(" (")[0] == " and ".join(wrong)) if wrong else not told
    if wrong:
        for name in ("ece", "ece_limit", "ece_baseline", "ece_limit_baseline"):
            assert f"{choice.figures[name]:.4f}" in told
    assert ("neither can go live" in told) == (len(wrong) == 2)
    gate = judge(choice=choice, pd_challenger=ensemble if kind == "ensemble" else baseline)
    assert gate["calibration"].passed is live, gate["calibration"].detail
    assert gate["calibration"].blocking


def test_the_level_of_the_test_is_the_use_cases() -> None:
    rows = slice(0, 300)
    p = compare_log_loss(Y[rows], TRUE[rows], NOISY[rows]).p_greater
    assert 1e-6 < p < 0.5
    for alpha, kind in ((p * 1.01, "ensemble"), (p * 0.99, "baseline")):
        spec = usecase(gates={"alpha": alpha})
        assert choose_challenger(spec, Y[rows], TRUE[rows], NOISY[rows], seed=0).kind == kind


@pytest.mark.parametrize(
    ("champion", "passed"),
    [
        pytest.param(NOISY, True, id="better than the champion"),
        pytest.param(TRUE, False, id="a tie keeps the champion"),
        pytest.param(TRUE + 1e-9, False, id="a hair keeps the champion"),
    ],
)
def test_champion(champion: np.ndarray, passed: bool) -> None:
    gate = against(champion)
    assert gate.passed is passed
    assert gate.blocking
    assert ("the champion stays" in gate.detail) is not passed
    assert (gate.figures["rows"], gate.figures["against"]) == (ROWS, 7)


def test_a_worse_challenger_keeps_the_champion() -> None:
    assert against(TRUE, pd_challenger=NOISY).passed is False


def test_champion_is_compared_on_rows_that_neither_was_trained_on() -> None:
    """Better on the seen half, worse on the other: only the other counts."""
    seen = np.arange(ROWS) < ROWS // 2
    challenger = np.where(seen, TRUE, NOISY)
    champion = np.where(seen, NOISY, TRUE)
    assert against(champion, ~seen, pd_challenger=challenger).passed is False
    assert against(champion, seen, pd_challenger=challenger).passed is True
    figures = against(champion, ~seen, pd_challenger=challenger).figures
    paired = compare_log_loss(Y[~seen], challenger[~seen], champion[~seen])
    assert figures["rows"] == ROWS - ROWS // 2
    assert figures["log_loss_difference"] == paired.difference


@pytest.mark.parametrize("rows", [0, 1, 30])
def test_too_few_unseen_rows_are_no_verdict_on_the_champion(rows: int) -> None:
    unseen = np.arange(ROWS) < rows
    assert Y[unseen].sum() < 10
    gate = against(NOISY, unseen)
    assert gate.passed is None
    assert gate.blocking, "no verdict must not let a challenger go live"
    assert "not enough data" in gate.detail
    assert gate.figures["against"] == 7


def test_a_champion_that_cannot_score_is_no_verdict() -> None:
    gate = judge(against=7)["champion"]
    assert (gate.passed, gate.blocking) == (None, True)
    assert gate.figures == {"against": 7}


@pytest.mark.parametrize(
    ("bads", "goods", "passed"), [(10, 500, True), (9, 500, None), (500, 9, None), (0, 500, None)]
)
def test_too_few_of_a_class_are_no_verdict(bads: int, goods: int, passed: bool | None) -> None:
    y = np.array([1] * bads + [0] * goods, dtype=np.int8)
    gate = judge(y=y, pd_challenger=np.full(len(y), 0.1), readings=3)["test data"]
    assert gate.passed is passed
    assert gate.blocking
    assert "read 3 times" in gate.detail
    assert ("not enough data" in gate.detail) == (passed is None)


@pytest.mark.parametrize(
    ("pds", "passed"),
    [
        pytest.param(TRUE, True, id="calibrated"),
        pytest.param(np.minimum(2 * TRUE, 0.999), False, id="doubled"),
        pytest.param(TRUE / 2, False, id="halved"),
        pytest.param(expit(1.6 * logit(TRUE)), False, id="too extreme"),
    ],
)
def test_calibration(pds: np.ndarray, passed: bool) -> None:
    gate = judge(pd_challenger=pds)["calibration"]
    assert (gate.passed, gate.blocking) == (passed, True)
    assert (gate.figures["ece"] <= gate.figures["limit"]) is passed


def test_calibration_fails_by_chance_as_rarely_as_the_use_case_says() -> None:
    rng = np.random.default_rng(3)
    p = TRUE[:600]
    failed = 0
    for seed in range(120):
        y = (rng.uniform(size=len(p)) < p).astype(np.int8)
        failed += not judge(
            y=y, pd_challenger=p, seed=seed, usecase=usecase(gates={"calibration_quantile": 0.95})
        )["calibration"].passed
    assert 1 <= failed <= 15, "5 % of 120, four standard errors around"


@pytest.mark.parametrize("choice", [ENSEMBLE, BASELINE])
@pytest.mark.parametrize("champion", [None, 7])
def test_the_first_champion_must_pass_the_same_gates(choice: Choice, champion: int | None) -> None:
    """A first baseline used to go live with any calibration error, and on any few rows."""
    doubled = np.minimum(2 * TRUE, 0.999)
    given: dict[str, Any] = {"choice": choice, "against": champion}
    if champion:
        given |= {"unseen_by_champion": EVERYWHERE, "pd_champion": NOISY}
    found = judge(pd_challenger=doubled, **given)["calibration"]
    assert (found.passed, found.blocking) == (False, True)
    y = np.array([1] * 3 + [0] * 100, dtype=np.int8)
    few = judge(y=y, pd_challenger=np.full(103, 0.03), choice=choice)
    assert few["test data"].passed is None
    assert not all(g.passed for g in few.values() if g.blocking)


def test_an_error_that_is_certain_but_small_stops_nobody() -> None:
    """On many rows chance alone is tiny: what stops is beyond chance and beyond the floor."""
    rng = np.random.default_rng(8)
    p = expit(rng.normal(-1.5, 1.0, 60_000))
    y = (rng.uniform(size=len(p)) < p).astype(np.int8)
    for shift, passed in ((0.015, True), (0.05, False)):
        gate = judge(y=y, pd_challenger=np.clip(p + shift, 0, 1))["calibration"]
        assert gate.figures["ece"] > gate.figures["limit"]
        assert gate.figures["floor"] == 0.02
        assert gate.passed is passed
    # Where few go bad, a fifth of the bad rate is the floor: 0.008 is a PD 80 % too high.
    rare = expit(rng.normal(-5.0, 0.7, 60_000))
    y = (rng.uniform(size=len(rare)) < rare).astype(np.int8)
    gate = judge(y=y, pd_challenger=rare + 0.008)["calibration"]
    assert gate.figures["floor"] == pytest.approx(0.2 * y.mean())
    assert gate.passed is False


@pytest.mark.parametrize(
    ("pds", "slopes", "passed", "says"),
    [
        pytest.param(TRUE, [1.0, 0.9], True, "against none", id="the truth"),
        pytest.param(CONSTANT, [1.0], False, "all PDs are alike", id="no spread"),
        pytest.param(CONSTANT + 1e-9 * TRUE, [1.0], False, "all PDs are alike", id="a hair"),
        pytest.param(TRUE, [1.0, 1e-3], False, "slope is on its bound", id="bound"),
        pytest.param(1 - TRUE, [1.0], False, "no better than one rate", id="turned round"),
        pytest.param(np.full(ROWS, 0.5) + 0.1 * TRUE, [1.0], False, "no better", id="level"),
    ],
)
def test_pds_must_tell_goods_from_bads(
    pds: np.ndarray, slopes: list[float], passed: bool, says: str
) -> None:
    gate = judge(pd_challenger=pds, slopes=slopes)["discrimination"]
    assert (gate.passed, gate.blocking) == (passed, True)
    assert says in gate.detail


def test_an_order_by_chance_is_no_verdict() -> None:
    rng = np.random.default_rng(5)
    passed = [
        _discrimination(usecase(), Y, np.clip(rng.normal(Y.mean(), 0.01, ROWS), 0.01, 0.99), [])
        for _ in range(40)
    ]
    assert sum(g.passed is True for g in passed) <= 8, "5 % of 40, four standard errors above"
    assert {g.blocking for g in passed} == {True}


def test_a_telltale_column_is_put_before_a_person() -> None:
    found = [{"column": "paid", "auc": 0.99, "detail": "paid alone tells good from bad"}]
    gate = judge(telltales=found)["telltale columns"]
    assert (gate.passed, gate.blocking) == (False, False)
    assert gate.figures == {"columns": ["paid"], "person": True}
    assert "known before the decision" in gate.detail


def test_test_rows_with_kin_in_training_are_told_with_the_figures_of_the_others() -> None:
    auc, loss = ({"value": v, "low": v - 0.1, "high": v + 0.1} for v in (0.7, 0.4))
    without = {"rows": 80, "bads": 20, "roc_auc": auc, "log_loss": loss}
    gate = judge(kin={"rows": 100, "with_kin": 20, "without": without})["twins and relatives"]
    assert (gate.passed, gate.blocking) == (True, False)
    assert "20 of 100 test rows" in gate.detail
    assert "on the 80 others AUC 0.700 (0.600 to 0.800)" in gate.detail
    assert "twins and relatives" not in judge(kin={"rows": 9, "with_kin": 0, "without": None})


def test_a_leakage_column_blocks_even_if_the_specification_was_bypassed() -> None:
    spec = usecase()
    columns = dict(spec.columns)
    columns["PAY_AMT1"] = columns["PAY_AMT1"].model_copy(
        update={"after_decision": True, "feature": True}
    )
    gate = judge(usecase=spec.model_copy(update={"columns": columns}))["leakage"]
    assert (gate.passed, gate.blocking) == (False, True)
    assert "PAY_AMT1" in gate.detail


def test_approval_ratios_are_told_and_never_block() -> None:
    table = pd.DataFrame(
        {
            "column": ["SEX", "SEX", "MARRIAGE"],
            "group": ["male", "female", "other"],
            "ratio": [1.0, 0.42, np.nan],
            "ratio_low": [1.0, 0.35, np.nan],
            "ratio_high": [1.0, 0.5, np.nan],
        }
    )
    gate = judge(fairness=table)["approval ratios"]
    assert (gate.passed, gate.blocking) == (True, False)
    assert "SEX female" in gate.detail
    assert "0.42" in gate.detail
    assert gate.figures == {"worst_ratio": 0.42}
    small = judge(fairness=table[2:])["approval ratios"]
    assert "too small" in small.detail


def test_paired_gates_go_by_the_declared_groups() -> None:
    """Every row five times, as a borrower's five loans: no verdict gets surer by it."""
    rows = slice(0, 200)
    five, who = np.repeat(np.arange(200), 5), np.repeat(np.arange(200), 5)
    y, true, noisy = Y[rows], TRUE[rows], NOISY[rows]
    once = choose_challenger(usecase(), y, true, noisy, seed=0)
    grouped = choose_challenger(usecase(), y[five], true[five], noisy[five], seed=0, groups=who)
    assert grouped.figures["p"] == pytest.approx(once.figures["p"])
    assert grouped.figures["auc_se"] == pytest.approx(once.figures["auc_se"])
    assert choose_challenger(usecase(), y[five], true[five], noisy[five], seed=0).figures[
        "p"
    ] < 0.5 * min(once.figures["p"], 1 - once.figures["p"])
    found = [
        judge(
            y=y[i], pd_challenger=true[i], against=7, unseen_by_champion=np.ones(len(i), bool),
            pd_champion=noisy[i], groups=groups,
        )
        for i, groups in ((np.arange(200), None), (five, who))
    ]  # fmt: skip
    for name, figure in (("champion", "p"), ("discrimination", "p_base_rate_is_better")):
        one, other = (gates[name].figures[figure] for gates in found)
        assert other == pytest.approx(one)
    assert found[1]["discrimination"].figures["p"] > 1e-12


def calibrated_in_groups(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right PDs of 200 borrowers whose 20 loans have one outcome each."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(200), 20)
    p = expit(rng.normal(-1.0, 0.5, 200))
    y = (rng.uniform(size=200) < p).astype(np.int8)
    return y[groups], p[groups], groups


def test_right_pds_of_borrowers_with_many_loans_pass_the_calibration_gate() -> None:
    """By rows half of them fail, since a borrower's loans go bad together."""
    passed = {False: 0, True: 0}
    for seed in range(10):
        y, p, groups = calibrated_in_groups(seed)
        for declared in passed:
            by = groups if declared else None
            found = judge(y=y, pd_challenger=p, groups=by)["calibration"]
            passed[declared] += found.passed is True
    assert passed[False] <= 3
    assert passed[True] >= 9
    y, p, groups = calibrated_in_groups(0)
    assert judge(y=y, pd_challenger=p / 3, groups=groups)["calibration"].passed is False


def test_few_borrowers_are_not_enough_test_data() -> None:
    groups = np.arange(ROWS) % 5
    found = judge(groups=groups, against=7, unseen_by_champion=EVERYWHERE, pd_champion=NOISY)
    assert found["test data"].passed is None
    assert "10 groups with each are needed" in found["test data"].detail
    assert found["champion"].passed is None
    assert judge(groups=np.arange(ROWS))["test data"].passed is True
    one = judge(groups=np.zeros(ROWS))["calibration"].figures
    assert np.isfinite(one["limit"])
