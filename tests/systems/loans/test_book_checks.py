"""A book against the live model: silent where nothing changed, and not blind to a recession."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskwright.data.contract import Contract, target_of
from riskwright.data.simulators import simulate
from riskwright.data.train_test import split
from riskwright.home import Home
from riskwright.store import snapshots
from riskwright.systems.credit.bundle import Bundle
from riskwright.systems.credit.candidates import fit_family, join, load_candidate, load_hazard
from riskwright.systems.credit.case import load_usecase
from riskwright.systems.credit.history import Judged, cut, defaults_by
from riskwright.systems.credit.reference import Reference
from riskwright.systems.loans.book_checks import judge_book
from riskwright.systems.loans.defaults import ALL, RECENT, TENTH, VINTAGE
from riskwright.systems.loans.status import RED_LIGHT

DAY = pd.Timestamp("2016-12-01")
ONSET = 36  # 2015-01
Judge = Callable[..., Judged]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Reference]:
    """A PD and its timing, learnt from enough loans: by tenths 5 to 11 % off on books 301 to 310.

    The alarm begins at 20 %, which a model of 4,000 loans is off by itself.
    """
    usecase = load_usecase("loan_book")
    changes = {
        "families": {"logistic": usecase.families["logistic"]},
        "baseline": "logistic",
        "split": usecase.split.model_copy(update={"folds": 2}),
    }
    usecase = usecase.model_copy(update=changes)
    home = Home(tmp_path_factory.mktemp("fitted")).create()
    frame = Contract(usecase, "train").apply(simulate("loan_book", 14_000, 1).frame).accepted
    clean = snapshots.write(frame, home, kind="clean", parents=(), meta={})
    train, test = split(usecase, clean, home)
    common: dict[str, Any] = {"train": train.hash, "folder": home.root / "fit"}
    step = fit_family(usecase, home, name="logistic", seed=0, **common)
    joined = join(usecase, home, families=[step], **common | {"folder": home.root / "joined"})
    ensemble, limits = load_candidate(joined, "ensemble")
    bundle = Bundle(usecase, ensemble, limits, 1, "", load_hazard(joined, "ensemble"))
    rest = snapshots.read(test, home)
    pds = bundle.score(rest, "none")["pd"].to_numpy()
    return bundle, Reference.build(usecase, rest, pds, target_of(usecase, rest), version=1)


@pytest.fixture(scope="module")
def bundle(fitted: tuple[Bundle, Reference]) -> Bundle:
    return fitted[0]


@pytest.fixture(scope="module")
def reference(fitted: tuple[Bundle, Reference]) -> Reference:
    return fitted[1]


@pytest.fixture(scope="module")
def judge(bundle: Bundle, reference: Reference) -> Judge:
    def judged(raw: pd.DataFrame, day: pd.Timestamp = DAY, trained: Any = None) -> Judged:
        history = cut(bundle.usecase, raw, day, "test")
        return judge_book(
            bundle, reference, history, lambda: raw[:0] if trained is None else trained
        )

    return judged


def book(rows: int, seed: int, scenario: str = "none", **change: Any) -> pd.DataFrame:
    made = simulate("loan_book", rows, seed, scenario=scenario, onset=ONSET, **change).frame
    return made.rename_axis("row")


def alarms(found: Judged) -> set[str]:
    return {f.code for f in found.findings if f.alarm}


@pytest.fixture(scope="module")
def calm(judge: Judge) -> Judged:
    return judge(book(6_000, 301))


@pytest.fixture(scope="module")
def bad_times(judge: Judge) -> Judged:
    return judge(book(12_000, 301, "recession"))


def test_a_book_without_change_is_silent(calm: Judged) -> None:
    assert not alarms(calm)
    assert {f.verdict for f in calm.findings} == {"ok", "not enough data"}
    total = calm.tables["standard"].query("by == 'all'").iloc[0]
    assert total["loans"] == 6_000
    assert 0.8 < total["ratio"] < 1.2
    assert total["light"] == "green"
    assert calm.words.startswith("6,000 loans issued by 2016-12-01; 0 break the contract")


def test_a_recession_is_found_in_the_vintages_that_it_hit(bad_times: Judged) -> None:
    hit = {f.column for f in bad_times.findings if f.code.endswith("_defaults") and f.alarm}
    assert "last 12 months" in hit
    assert hit <= {"2015Q1", "2015Q2", "2015Q3", "2015Q4", "last 12 months"}
    finding = next(f for f in bad_times.findings if f.column == "last 12 months")
    assert finding.alarm
    assert finding.value == finding.effect > finding.threshold == 1.2
    assert "times as many" in finding.detail
    lights = bad_times.tables["standard"].set_index("group")["light"]
    assert {lights[name] for name in hit} <= {"amber", "red"}
    assert lights["2013Q1"] == "green"


def test_each_loan_is_counted_once_in_every_division(calm: Judged, bad_times: Judged) -> None:
    for found in (calm, bad_times):
        table = found.tables["standard"]
        for column in ("loans", "defaults", "expected"):
            sums = table[table["by"] != RECENT].groupby("by")[column].sum()
            assert sums.to_numpy() == pytest.approx(sums[ALL])


def test_the_future_changes_nothing(judge: Judge) -> None:
    """The file as it was on the date, and the one that knows how all ended, say the same."""
    day = pd.Timestamp("2014-06-01")
    frame = book(3_000, 302)
    then = frame[frame["issue_d"] <= day].copy()
    later = then["last_pymnt_d"] > day
    then["loan_status"] = then["loan_status"].mask(later, "Current")
    then["last_pymnt_d"] = then["last_pymnt_d"].mask(later)
    then[["total_rec_prncp", "recoveries", "collection_recovery_fee"]] = 0.0
    with_hindsight, as_it_was = judge(frame, day), judge(then, day)
    assert with_hindsight.findings == as_it_was.findings
    pd.testing.assert_frame_equal(with_hindsight.tables["standard"], as_it_was.tables["standard"])
    assert with_hindsight.tables["standard"]["loans"].iloc[0] < len(then)  # some are too young


def test_expected_defaults_are_the_hazards_sum_over_the_months_lived(
    bundle: Bundle, judge: Judge
) -> None:
    frame = book(300, 303)
    months, default = defaults_by(bundle.usecase, frame, DAY)
    margin = bundle.score(frame, "none")["pd"].pipe(lambda p: np.log(p / (1 - p)))
    assert bundle.hazard is not None
    expected = sum(
        bundle.hazard.marginal_pd(margin[i : i + 1], frame["term"][i : i + 1], [0.0], n).sum()
        for i, n in enumerate(months.tolist())
    )
    total = judge(frame).tables["standard"].iloc[0]
    assert total["expected"] == pytest.approx(expected)
    assert total["defaults"] == default.sum()


def test_loans_that_were_trained_on_are_left_out(judge: Judge) -> None:
    frame = book(3_000, 304)
    found = judge(frame, trained=frame.head(1_000))
    assert "1,000 were trained on, 2,000 are judged" in found.words
    assert found.tables["standard"].iloc[0]["loans"] == 2_000
    nothing = judge(frame, trained=frame)
    assert not nothing.tables
    assert [f.verdict for f in nothing.findings] == ["not enough data"]
    assert "3,000 were trained on, 0 are judged" in nothing.findings[0].detail


def test_loans_outside_the_policy_are_never_mixed_in(judge: Judge) -> None:
    usual = book(3_000, 305)
    worse = book(3_000, 306).assign(
        policy="exception", loan_status="Charged Off", id=lambda f: "X" + f["id"]
    )
    found = judge(pd.concat([usual, worse.head(800)], ignore_index=True).rename_axis("row"))
    assert list(found.tables) == ["exception", "standard"]
    pd.testing.assert_frame_equal(
        found.tables["standard"].drop(columns="light"),
        judge(usual).tables["standard"].drop(columns="light"),
    )
    hit = [f.column for f in found.findings if f.alarm and f.column]
    assert hit
    assert all(str(name).startswith("exception") for name in hit)
    assert RED_LIGHT in alarms(found)  # no year explains that all of them fail


def test_what_can_not_be_judged_says_so(judge: Judge, bundle: Bundle, reference: Reference) -> None:
    frame = book(2_000, 307)
    for lacking in (["last_pymnt_d"], ["loan_status"], ["dti"]):
        found = judge(frame.drop(columns=lacking))
        assert [f.verdict for f in found.findings] == ["not enough data"]
        assert lacking[0] in found.findings[0].detail
    young = judge(frame, pd.Timestamp("2012-02-01"))
    assert {f.verdict for f in young.findings} == {"not enough data"}
    few = judge(frame.head(60))
    assert {f.verdict for f in few.findings} == {"not enough data"}
    assert set(few.tables["standard"].query("by != 'tenth'")["light"]) == {"too few"}
    timeless = Bundle(bundle.usecase, bundle.ensemble, bundle.limits, 1, "", None)
    history = cut(bundle.usecase, frame, DAY, "test")
    found = judge_book(timeless, reference, history, lambda: frame[:0])
    assert "retrain it" in found.findings[0].detail


def test_what_breaks_is_a_finding(bundle: Bundle, reference: Reference) -> None:
    frame = book(1_500, 308)
    history = cut(bundle.usecase, frame, DAY, "test")
    found = judge_book(bundle, reference, history, lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    assert [(f.family, f.verdict, f.alarm) for f in found.findings] == [("book", "failed", True)]
    assert "ZeroDivisionError" in found.findings[0].detail


def test_grades_that_the_reference_lacks_are_not_judged(
    bundle: Bundle, reference: Reference
) -> None:
    """They can only be held against how they did there."""
    frame = book(1_500, 308)
    history = cut(bundle.usecase, frame, DAY, "test")
    bare = replace(reference, frame=reference.frame.drop(columns="grade"))
    found = judge_book(bundle, bare, history, lambda: frame[:0])
    assert set(found.tables["standard"]["by"]) == {ALL, RECENT, VINTAGE, TENTH}
    assert "grade_defaults" not in {f.code for f in found.findings}


def test_payments_before_the_issue_are_a_fault(judge: Judge) -> None:
    frame = book(1_500, 309)
    frame.loc[frame.index[7], "last_pymnt_d"] = pd.Timestamp("1999-01-01")
    found = judge(frame)
    assert alarms(found) == {"outcome_before_issue"}
    assert (
        "1 loans were last paid before they were issued, such as row 7" in found.findings[0].detail
    )
    assert found.tables["standard"].iloc[0]["loans"] == 1_499
