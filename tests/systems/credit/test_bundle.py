"""A bundle answers with the promised columns, exact contributions, and the same after loading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from tiny import Live, applications, tiny_text

from riskwright.case.usecase import parse_usecase
from riskwright.data.contract import Contract
from riskwright.stats.cutoffs import choose
from riskwright.systems.credit.bundle import COLUMNS, REASON_COLUMNS, Bundle, Limits, choose_limits
from riskwright.systems.credit.promotion import load_version

TARGET = "default.payment.next.month"
ROWS = 300


@pytest.fixture
def champion(live: Live) -> Bundle:
    return load_version(live.home, live.ledger, "tiny")


@pytest.fixture
def baseline(live: Live) -> Bundle:
    standby = [v for v in live.ledger.versions("tiny") if v.evidence["standby"]]
    return load_version(live.home, live.ledger, "tiny", str(standby[0].version))


@pytest.fixture(scope="module")
def cases() -> pd.DataFrame:
    """Canonical rows as the contract gives them, their index not 0, 1, 2 …"""
    usecase = parse_usecase(tiny_text(), where="test")
    return (
        Contract(usecase, "score").apply(applications(ROWS)).accepted.sample(frac=1, random_state=5)
    )


def test_columns_stand_in_the_promised_order(champion: Bundle, cases: pd.DataFrame) -> None:
    scored = champion.score(cases)
    assert list(scored.columns) == [
        *("pd", "member_min", "member_max", "disagreement", "decision"),
        *("reason_1", "reason_2", "reason_3", "reason_4", "model_version", "note"),
    ]
    assert scored["pd"].between(0, 1).all()
    assert (scored["member_min"] <= scored["member_max"]).all()
    assert (scored["disagreement"] >= 0).all()
    assert set(scored["decision"]) == {"approve", "refer", "decline"}
    assert set(scored["model_version"]) == {champion.version}


def test_rows_keep_their_order_and_name(champion: Bundle, cases: pd.DataFrame) -> None:
    scored = champion.score(cases)
    assert list(scored.index) == list(cases.index)
    pd.testing.assert_frame_equal(champion.score(cases.sort_index()), scored.sort_index())


def test_no_rows_give_no_rows(champion: Bundle, baseline: Bundle, cases: pd.DataFrame) -> None:
    for bundle in (champion, baseline):
        none, some = bundle.score(cases[:0], "all"), bundle.score(cases[:3], "all")
        assert len(none) == 0
        assert none.dtypes.to_dict() == some.dtypes.to_dict()


def test_reasons_for_declined_and_referred_rows_by_default(
    champion: Bundle, cases: pd.DataFrame
) -> None:
    adverse, everybody, nobody = (
        champion.score(cases, reasons) for reasons in ("adverse", "all", "none")
    )
    approved = adverse["decision"] == "approve"
    assert 0 < approved.sum() < len(cases)
    assert (adverse.loc[approved, REASON_COLUMNS] == "").all(axis=None)
    pd.testing.assert_frame_equal(adverse[~approved], everybody[~approved])
    assert (everybody.loc[approved, "reason_1"] != "").any()
    assert (nobody[REASON_COLUMNS] == "").all(axis=None)
    rest = [c for c in COLUMNS if c not in REASON_COLUMNS]
    pd.testing.assert_frame_equal(adverse[rest], everybody[rest])
    pd.testing.assert_frame_equal(adverse[rest], nobody[rest])


@pytest.mark.parametrize("which", ["champion", "baseline"])
def test_contributions_sum_to_the_log_odds_of_the_deployed_pd(
    which: str, request: pytest.FixtureRequest, cases: pd.DataFrame
) -> None:
    bundle: Bundle = request.getfixturevalue(which)
    contributions = bundle.ensemble.contributions(cases[bundle.schema.names])
    assert list(contributions.columns) == [*bundle.schema.names, "base"]
    assert list(contributions.index) == list(cases.index)
    wanted = logit(bundle.score(cases, "none")["pd"].to_numpy())
    np.testing.assert_allclose(contributions.sum(axis=1), wanted, rtol=0, atol=1e-6)


def test_reasons_are_the_largest_contributions_that_raise_the_pd(
    champion: Bundle, cases: pd.DataFrame
) -> None:
    contributions = champion.ensemble.contributions(cases[champion.schema.names])
    labels = {f.name: f.label for f in champion.schema.features}
    scored = champion.score(cases, "all")
    for row, added in contributions.drop(columns="base").iterrows():
        raising = added[added >= 0.005].sort_values(ascending=False, kind="stable")[:4]
        told = [text for text in scored.loc[row, REASON_COLUMNS] if text]
        assert [text.partition(": ")[0] for text in told] == [labels[n] for n in raising.index]
        amounts = [float(text.rpartition("(+")[2].rstrip(")")) for text in told]
        np.testing.assert_allclose(amounts, raising.to_numpy(), rtol=0, atol=0.005001)


def test_protected_columns_are_never_a_reason(champion: Bundle, cases: pd.DataFrame) -> None:
    assert {"SEX", "MARRIAGE", "AGE"}.isdisjoint(champion.schema.names)
    changed = cases.assign(SEX="1", MARRIAGE="2", AGE=70.0)
    pd.testing.assert_frame_equal(champion.score(changed, "all"), champion.score(cases, "all"))


def test_loaded_bundle_scores_identically_and_is_written_alike(
    champion: Bundle, cases: pd.DataFrame, tmp_path: Path
) -> None:
    digest = Bundle.write(
        tmp_path / "bundle",
        champion.usecase,
        champion.ensemble,
        champion.limits,
        champion.version,
    )
    assert digest == champion.digest, "the same content has another seal"
    again = Bundle.load(tmp_path / "bundle", digest)
    assert (again.version, again.limits, again.usecase) == (
        champion.version,
        champion.limits,
        champion.usecase,
    )
    pd.testing.assert_frame_equal(
        again.score(cases, "all"), champion.score(cases, "all"), check_exact=True
    )


def test_predict_answers_for_each_raw_row_in_its_order(champion: Bundle) -> None:
    raw = applications(60).drop(columns=TARGET).astype({"LIMIT_BAL": object, "EDUCATION": object})
    raw.index = raw.index[::-1]  # a caller's own index must not matter
    raw.iloc[3, raw.columns.get_loc("EDUCATION")] = "9"
    raw.iloc[10, raw.columns.get_loc("LIMIT_BAL")] = "a lot"
    raw.iloc[11, raw.columns.get_loc("ID")] = raw.iloc[12]["ID"]
    told = champion.predict(raw)
    assert list(told.columns) == COLUMNS
    assert list(told.index) == list(range(60))
    refused = told[told["decision"] == "refused"]
    assert list(refused.index) == [3, 10, 12]
    for row, word in ((3, "EDUCATION"), (10, "LIMIT_BAL"), (12, "id repeated")):
        assert word in refused.loc[row, "reason_1"]
    assert refused[["pd", "member_min", "member_max", "disagreement"]].isna().all(axis=None)
    assert (refused[REASON_COLUMNS[1:]] == "").all(axis=None)
    assert set(told["model_version"]) == {champion.version}
    # Each accepted row alone: nothing of it depends on its neighbours.
    whole = told.drop(index=refused.index)
    for row in (0, 30, 59):
        alone = champion.predict(raw.iloc[[row]])
        pd.testing.assert_frame_equal(alone, whole.loc[[row]].reset_index(drop=True))


def test_predict_when_every_row_is_refused(champion: Bundle) -> None:
    raw = applications(5).drop(columns=TARGET).assign(LIMIT_BAL="a lot")
    told = champion.predict(raw)
    assert list(told.columns) == COLUMNS
    assert list(told["decision"]) == ["refused"] * 5
    assert told["reason_1"].str.contains("LIMIT_BAL").all()


def test_disagreement_beyond_the_limit_is_referred_whatever_the_pd(
    champion: Bundle, cases: pd.DataFrame
) -> None:
    before = champion.score(cases, "none")
    limits = champion.limits
    worst = float(before["disagreement"].quantile(0.8))
    assert limits.refer_above is not None
    strict = Bundle(
        champion.usecase,
        champion.ensemble,
        Limits(limits.cutoff, limits.approve_below, limits.decline_from, worst),
        champion.version,
        champion.digest,
    )
    after = strict.score(cases, "none")
    apart = before["disagreement"] > worst
    assert (before.loc[apart, "decision"] == "approve").any()
    assert (after.loc[apart, "decision"] == "refer").all()
    pd.testing.assert_series_equal(after.loc[~apart, "decision"], before.loc[~apart, "decision"])


def test_the_registered_limit_refers_the_share_asked_for(champion: Bundle, live: Live) -> None:
    new = Contract(live.usecase, "score").apply(applications(3000, seed=7)).accepted
    spread = champion.score(new, "none")["disagreement"]
    share = float((spread > champion.limits.refer_above).mean())
    # Of 835 training rows 5 % are 42: the limit itself is known to within a third.
    assert share == pytest.approx(live.usecase.ensemble.refer_share, rel=0.5)


def test_baseline_alone(live: Live, baseline: Bundle, cases: pd.DataFrame) -> None:
    assert baseline.version != live.version
    assert list(baseline.ensemble.bags) == [live.usecase.baseline]
    assert baseline.limits.refer_above is None
    scored = baseline.score(cases)
    # Its members are the fold models: they differ, but there is no limit to refer by.
    assert (scored["disagreement"] > 0).any()
    between = scored["pd"].between(
        baseline.limits.approve_below, baseline.limits.decline_from, inclusive="left"
    )
    assert ((scored["decision"] == "refer") == between).all()
    assert set(scored["model_version"]) == {baseline.version}


@pytest.mark.parametrize(
    ("pd_", "spread", "refer_above", "decision"),
    [
        (0.09, 0.0, 1.0, "approve"),
        (0.10, 0.0, 1.0, "refer"),
        (0.2999, 0.0, 1.0, "refer"),
        (0.30, 0.0, 1.0, "decline"),
        (0.09, 1.0, 1.0, "approve"),
        (0.09, 1.01, 1.0, "refer"),
        (0.90, 1.01, 1.0, "refer"),
        (0.90, 99.0, None, "decline"),
    ],
)
def test_where_decisions_change(
    pd_: float, spread: float, refer_above: float | None, decision: str
) -> None:
    row = pd.DataFrame({"pd": [pd_], "disagreement": [spread]})
    assert list(Limits(0.2, 0.1, 0.3, refer_above).decide(row)) == [decision]


def test_limits_by_least_cost_or_as_the_use_case_says() -> None:
    rng = np.random.default_rng(1)
    p = rng.uniform(size=2000)
    y = (rng.uniform(size=2000) < p).astype(np.int8)
    by_cost = parse_usecase(
        tiny_text(costs={"bad_approved": 4, "good_declined": 1}, cutoffs={"refer_within": 0.25}),
        where="test",
    )
    found = choose_limits(by_cost, y, p, 0.7)
    cutoff, low, high = choose(y, p, bad_approved=4, good_declined=1)
    assert cutoff == 1 / 5, "PDs are right, so it is the cut-off of theory"
    assert low < cutoff < high
    assert found == Limits(cutoff, cutoff * 0.75, cutoff * 1.25, 0.7, low, high)
    own = parse_usecase(
        tiny_text(cutoffs={"approve_below": 0.1, "decline_from": 0.4}), where="test"
    )
    assert choose_limits(own, y, p, None) == Limits(0.25, 0.1, 0.4, None)
