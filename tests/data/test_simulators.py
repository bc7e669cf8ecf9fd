"""The simulator: its margins, its truth, and what each scenario changes and leaves alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from scipy.stats import binomtest, chi2, ks_2samp
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from riskwright.data.contract import Contract
from riskwright.data.credit_applications import STATUS, TARGET
from riskwright.data.simulators import SCENARIOS, Simulated, simulate
from riskwright.errors import InputRefused
from riskwright.systems.credit.case import load_usecase

ROWS = 40_000
BILLS = [f"BILL_AMT{k}" for k in range(6, 0, -1)]  # oldest first
PAYMENTS = [f"PAY_AMT{k}" for k in range(6, 0, -1)]
CHANGES = [name for name in SCENARIOS if name != "none"]


@pytest.fixture(scope="module")
def base() -> Simulated:
    """Give one large sample without a change."""
    return simulate("credit_applications", ROWS, 11)


@pytest.fixture(scope="module")
def changed() -> dict[str, Simulated]:
    """Give the same customers under each change."""
    return {name: simulate("credit_applications", ROWS, 11, scenario=name) for name in CHANGES}


def labels(drawn: Simulated) -> np.ndarray:
    return (drawn.frame[TARGET] == "1").to_numpy()


def late_half(drawn: Simulated) -> np.ndarray:
    return np.arange(len(drawn.frame)) % 6 >= 3


# ---- the shape of the data


def test_frame_is_what_the_contract_makes_of_it(base: Simulated) -> None:
    usecase = load_usecase("credit_assessment")
    frame = base.frame.head(2_000)
    checked = Contract(usecase, "train").apply(frame)
    assert checked.refused.empty
    assert not checked.warnings
    assert list(frame.columns) == list(usecase.columns)
    pd.testing.assert_frame_equal(checked.accepted[list(usecase.columns)], frame)
    assert base.frame["ID"].is_unique


def test_cohorts_take_turns_from_the_month_after_the_last_status(base: Simulated) -> None:
    months = pd.date_range("2005-10-01", periods=6, freq="MS")
    assert base.frame["cohort"].head(12).tolist() == [*months, *months]


def test_same_seed_same_rows_and_another_seed_other_rows(base: Simulated) -> None:
    again = simulate("credit_applications", ROWS, 11)
    pd.testing.assert_frame_equal(again.frame, base.frame)
    np.testing.assert_array_equal(again.true_pd, base.true_pd)
    other = simulate("credit_applications", ROWS, 12)
    assert (other.frame["PAY_0"] != base.frame["PAY_0"]).mean() > 0.3
    assert not set(other.frame["ID"]) & set(base.frame["ID"])


def test_a_row_does_not_depend_on_how_many_follow(base: Simulated) -> None:
    few = simulate("credit_applications", 500, 11)
    pd.testing.assert_frame_equal(few.frame, base.frame.head(500))
    np.testing.assert_array_equal(few.true_pd, base.true_pd[:500])


# ---- margins: documented figures of the Taiwan data, with the tolerance the docs state


def test_default_rate_and_amounts(base: Simulated) -> None:
    frame = base.frame
    for name, found, published, tolerance in [
        ("default rate", base.true_pd.mean(), 0.2212, 0.006),
        ("mean limit", frame["LIMIT_BAL"].mean(), 167_484, 3_000),
        ("median limit", frame["LIMIT_BAL"].median(), 140_000, 10_000),
        ("mean age", frame["AGE"].mean(), 35.49, 0.4),
        ("sd of age", frame["AGE"].std(), 9.22, 0.6),
        ("mean latest bill", frame["BILL_AMT1"].mean(), 51_223, 5_000),
        ("mean oldest bill", frame["BILL_AMT6"].mean(), 38_872, 3_000),
        ("median latest payment", frame["PAY_AMT1"].median(), 2_100, 200),
        ("no payment", (frame["PAY_AMT1"] == 0).mean(), 0.175, 0.015),
        ("credit balance", (frame["BILL_AMT1"] < 0).mean(), 0.0197, 0.005),
    ]:
        assert found == pytest.approx(published, abs=tolerance), name


@pytest.mark.parametrize(
    ("column", "shares"),
    [
        ("SEX", {"1": 0.396, "2": 0.604}),
        ("EDUCATION", {"1": 0.353, "2": 0.468, "3": 0.164, "4": 0.004, "5": 0.009}),
        ("MARRIAGE", {"1": 0.455, "2": 0.532, "3": 0.011}),
        ("PAY_0", {-2: 0.092, -1: 0.190, 0: 0.491, 1: 0.123, 2: 0.089, 3: 0.011}),
        ("PAY_6", {-2: 0.163, -1: 0.191, 0: 0.543, 2: 0.092}),
    ],
)
def test_shares(base: Simulated, column: str, shares: dict[object, float]) -> None:
    found = base.frame[column].value_counts(normalize=True)
    for value, share in shares.items():
        assert found[value] == pytest.approx(share, abs=0.035), value


@pytest.mark.parametrize(
    ("status", "rate"), [(-2, 0.132), (-1, 0.168), (0, 0.128), (1, 0.339), (2, 0.691), (3, 0.758)]
)
def test_default_rate_by_latest_status(base: Simulated, status: int, rate: float) -> None:
    assert base.true_pd[base.frame["PAY_0"] == status].mean() == pytest.approx(rate, abs=0.03)


def test_default_rate_falls_with_the_limit(base: Simulated) -> None:
    bands = pd.cut(base.frame["LIMIT_BAL"], [0, 3e4, 9e4, 19e4, 34e4, 1e7])
    rates = pd.Series(base.true_pd).groupby(bands.to_numpy()).mean()
    assert rates.is_monotonic_decreasing
    assert rates.iloc[0] == pytest.approx(0.358, abs=0.04)
    assert rates.iloc[-1] == pytest.approx(0.134, abs=0.03)


def test_real_file_has_the_figures_quoted_above(shared_data: Path) -> None:
    real = pd.read_csv(shared_data / "taiwan_credit_card" / "UCI_Credit_Card.csv")
    assert real[TARGET].mean() == pytest.approx(0.2212, abs=5e-5)
    assert real["LIMIT_BAL"].mean() == pytest.approx(167_484, abs=1)
    assert real["AGE"].mean() == pytest.approx(35.49, abs=0.01)
    assert real["BILL_AMT1"].mean() == pytest.approx(51_223, abs=1)
    rates = real.groupby("PAY_0")[TARGET].mean()
    assert rates[[-2, -1, 0, 1, 2, 3]].tolist() == pytest.approx(
        [0.132, 0.168, 0.128, 0.339, 0.691, 0.758], abs=6e-4
    )


# ---- sequences: an account adds up, and a payment is what its status says


def test_account_adds_up(base: Simulated) -> None:
    bills, paid = base.frame[BILLS].to_numpy(), base.frame[PAYMENTS].to_numpy()
    purchases = bills[:, 1:] - (bills[:, :-1] - paid[:, 1:])
    assert purchases.min() >= 0
    assert np.all(bills == np.round(bills))
    assert np.all(paid == np.round(paid))
    overpaid = (bills[:, :-1] >= 0) & (bills[:, 1:] < 0)
    assert overpaid.mean() > 0.005
    assert np.all(purchases[overpaid] == 0)


def test_payment_is_what_the_status_says(base: Simulated) -> None:
    bills, paid = base.frame[BILLS].to_numpy(), base.frame[PAYMENTS].to_numpy()
    status = base.frame[list(STATUS)].to_numpy()
    due, now, pays = np.maximum(bills[:, :-1], 0), status[:, 1:], paid[:, 1:]
    assert np.all(pays[now < 0] >= due[now < 0])
    large = (now == 0) & (due > 2_000)
    assert np.all(pays[large] >= np.floor(0.04 * due[large]))
    assert np.all(pays[large] < due[large])
    assert np.all(pays[now > 0] <= 0.045 * due[now > 0])


def test_statuses_move_as_in_the_file(base: Simulated) -> None:
    status = base.frame[list(STATUS)].to_numpy()
    assert set(np.unique(status)) <= set(range(-2, 9))
    assert not np.any(status[:, :-1] == 1), "one month late shows in the last status alone"
    assert np.all(status[:, 1:] - status[:, :-1] <= np.where(status[:, :-1] < 1, 4, 1))
    stays = np.mean(status[:, 1][status[:, 0] == 0] == 0)
    assert stays == pytest.approx(0.905, abs=0.06)


# ---- the truth


def test_labels_are_drawn_from_the_true_pd(base: Simulated) -> None:
    """In each twentieth by true PD, the bads are as many as a binomial draw allows."""
    y, p = labels(base), base.true_pd
    order = np.array_split(np.argsort(p, kind="stable"), 20)
    z = [
        (y[part].sum() - p[part].sum()) / np.sqrt((p[part] * (1 - p[part])).sum()) for part in order
    ]
    assert chi2.sf(np.square(z).sum(), df=20) > 1e-3
    assert binomtest(int(y.sum()), ROWS, float(p.mean())).pvalue > 1e-3


def test_true_pd_is_a_function_of_the_row(base: Simulated) -> None:
    """Rebuilt here from the frame alone, by the formula of docs/reference/simulator.md."""
    f = base.frame
    effect = dict(
        zip(range(-2, 9), [-0.25, 0.18, -0.2, 0.45, 1.95, 1.9, 1.4] + [0.7] * 4, strict=True)
    )
    education = {"0": -1.5, "1": 0, "2": 0, "3": -0.05, "4": -1.1, "5": -1.2, "6": -0.3}
    use = (f["BILL_AMT1"] / f["LIMIT_BAL"]).clip(0, 1.2)
    growth = ((f["BILL_AMT1"] - f["BILL_AMT6"]) / f["LIMIT_BAL"]).clip(-1, 1)
    log_odds = (
        -2.06
        + f["PAY_0"].map(effect)
        + 0.28 * (f[list(STATUS[:-1])] >= 2).sum(axis=1)
        - 0.15 * (np.log(f["LIMIT_BAL"]) - 11.66)
        - 0.18 * (np.log1p(f["PAY_AMT1"] / 1000) - 1.1)
        - 0.10 * (np.log1p(f["PAY_AMT2"] / 1000) - 1.1)
        + (f["PAY_0"] == 0) * (0.35 * (use - 0.5) + 0.40 * growth)
        + f["EDUCATION"].map(education).astype(float)
        + 0.012 * (f["AGE"] - 33).abs()
        + 0.25 * (f["SEX"] == "1")
        + 0.25 * (f["MARRIAGE"] == "1")
    )
    np.testing.assert_allclose(expit(log_odds.to_numpy()), base.true_pd, rtol=1e-12)


def test_a_plain_scorecard_comes_near_the_truth(base: Simulated) -> None:
    """The process is not made for deep models: binned logistic regression all but reaches it."""
    names = [*STATUS, "LIMIT_BAL", "BILL_AMT1", "PAY_AMT1", "PAY_AMT2"]
    fit = np.arange(ROWS) < 30_000
    matrix = []
    for name in names:
        x = base.frame[name].to_numpy()
        kept = x[fit]
        edges = (
            np.unique(kept) if name in STATUS else np.unique(np.quantile(kept, np.arange(1, 8) / 8))
        )
        matrix.append(
            np.eye(len(edges) + 1, dtype="float32")[np.searchsorted(edges, x, side="right")]
        )
    design, y = np.hstack(matrix), labels(base)
    model = LogisticRegression(C=0.1, max_iter=200).fit(design[fit], y[fit])
    rest = ~fit
    reached = roc_auc_score(y[rest], model.predict_proba(design[rest])[:, 1])
    best = roc_auc_score(y[rest], base.true_pd[rest])
    assert 0.74 < best < 0.79
    assert best - 0.02 < reached < best


# ---- scenarios


@pytest.mark.parametrize("column", ["LIMIT_BAL", "AGE", "PAY_0", "BILL_AMT1", "PAY_AMT1"])
def test_without_a_scenario_all_months_are_alike(base: Simulated, column: str) -> None:
    assert base.onset is None
    values, late = base.frame[column].to_numpy(), late_half(base)
    assert ks_2samp(values[~late], values[late]).pvalue > 1e-3
    assert ks_2samp(base.true_pd[~late], base.true_pd[late]).pvalue > 1e-3


@pytest.mark.parametrize("name", CHANGES)
def test_rows_before_the_onset_are_unchanged(
    name: str, base: Simulated, changed: dict[str, Simulated]
) -> None:
    drawn, early = changed[name], ~late_half(base)
    assert drawn.onset == 3
    pd.testing.assert_frame_equal(drawn.frame[early], base.frame[early])
    np.testing.assert_array_equal(drawn.true_pd[early], base.true_pd[early])
    assert not drawn.frame[~early].equals(base.frame[~early])


@pytest.mark.parametrize("name", CHANGES)
def test_no_strength_is_no_change(name: str) -> None:
    still = simulate("credit_applications", 600, 5, scenario=name, strength=0.0)
    pd.testing.assert_frame_equal(still.frame, simulate("credit_applications", 600, 5).frame)


@pytest.mark.parametrize(("months", "onset"), [(1, 0), (12, 9), (4, 1)])
def test_onset_can_be_chosen(months: int, onset: int) -> None:
    drawn = simulate(
        "credit_applications", 2400, 5, scenario="recession", months=months, onset=onset
    )
    calm = simulate("credit_applications", 2400, 5, months=months)
    changed_months = np.arange(2400) % months >= onset
    assert drawn.onset == onset
    np.testing.assert_array_equal(drawn.true_pd != calm.true_pd, changed_months)


@pytest.mark.parametrize("name", CHANGES)
def test_labels_follow_the_true_pd_in_every_scenario(
    name: str, changed: dict[str, Simulated]
) -> None:
    drawn, late = changed[name], late_half(changed[name])
    y, p = labels(drawn)[late], drawn.true_pd[late]
    assert abs((y.sum() - p.sum()) / np.sqrt((p * (1 - p)).sum())) < 3.3


def test_recession_raises_pds_and_worsens_statuses(
    base: Simulated, changed: dict[str, Simulated]
) -> None:
    late, drawn = late_half(base), changed["recession"]
    assert drawn.true_pd[late].mean() == pytest.approx(base.true_pd[late].mean() + 0.12, abs=0.03)
    before = (base.frame["PAY_0"][late] >= 2).mean()
    assert (drawn.frame["PAY_0"][late] >= 2).mean() > 1.4 * before
    for column in ("LIMIT_BAL", "AGE", "SEX", "EDUCATION"):
        assert drawn.frame[column].equals(base.frame[column]), "who applies doesn't change"


def test_new_channel_brings_the_young_with_low_limits(
    base: Simulated, changed: dict[str, Simulated]
) -> None:
    late, drawn = late_half(base), changed["new_channel"]
    came = (drawn.frame["AGE"] != base.frame["AGE"]).to_numpy() & late
    assert came[late].mean() == pytest.approx(0.5, abs=0.06)
    assert drawn.frame["AGE"][late].mean() < base.frame["AGE"][late].mean() - 3
    assert drawn.frame["LIMIT_BAL"][late].mean() < 0.75 * base.frame["LIMIT_BAL"][late].mean()
    # A change of mix, not of the concept: the same columns still mean the same PD.
    same = drawn.frame[[*STATUS, *BILLS, *PAYMENTS]] == base.frame[[*STATUS, *BILLS, *PAYMENTS]]
    untouched = same.all(axis=1).to_numpy() & ~came & late
    untouched &= (drawn.frame["MARRIAGE"] == base.frame["MARRIAGE"]).to_numpy()
    np.testing.assert_array_equal(drawn.true_pd[untouched], base.true_pd[untouched])


def test_broken_feed_harms_the_data_and_not_the_customers(
    base: Simulated, changed: dict[str, Simulated]
) -> None:
    late, drawn = late_half(base), changed["broken_feed"]
    np.testing.assert_array_equal(drawn.true_pd, base.true_pd)
    assert drawn.frame[TARGET].equals(base.frame[TARGET])
    broken, sound = drawn.frame[late], base.frame[late]
    assert broken["LIMIT_BAL"].isna().mean() == pytest.approx(0.10, abs=0.01)
    assert (broken["EDUCATION"] == "7").mean() == pytest.approx(0.02, abs=0.005)
    paying = sound["PAY_AMT1"] > 0
    ratio = broken["PAY_AMT1"][paying] / sound["PAY_AMT1"][paying]
    assert set(ratio) == {1.0, 1000.0}
    assert (ratio == 1000.0).mean() == pytest.approx(0.05, abs=0.008)


def test_concept_change_turns_the_signs_of_high_limits_alone(
    base: Simulated, changed: dict[str, Simulated]
) -> None:
    drawn = changed["concept_change"]
    inputs = [name for name in base.frame if name != TARGET]
    pd.testing.assert_frame_equal(drawn.frame[inputs], base.frame[inputs])
    turned = late_half(base) & (base.frame["LIMIT_BAL"] >= 240_000).to_numpy()
    np.testing.assert_array_equal(drawn.true_pd[~turned], base.true_pd[~turned])
    np.testing.assert_allclose(
        logit(drawn.true_pd[turned]) + 2.0, -(logit(base.true_pd[turned]) + 2.0), atol=1e-9
    )


# ---- refusals


@pytest.mark.parametrize(
    ("arguments", "what", "do"),
    [
        ({"name": "credit_aplications"}, "credit_aplications", "credit_applications"),
        ({"scenario": "recesion"}, "recesion", "recession"),
        ({"scenario": "zzz"}, "zzz", "choose one"),
        ({"rows": 0}, "0 rows", ""),
        ({"seed": -1}, "seed -1", ""),
        ({"months": 0}, "0 months", ""),
        ({"onset": 6}, "onset 6", ""),
        ({"strength": -0.5}, "strength -0.5", ""),
        ({"strength": float("nan")}, "strength nan", ""),
    ],
)
def test_refused(arguments: dict[str, object], what: str, do: str) -> None:
    with pytest.raises(InputRefused) as refusal:
        simulate(**{"name": "credit_applications", "rows": 10, "seed": 1, **arguments})
    assert what in refusal.value.what
    assert do in refusal.value.do
    assert refusal.value.expected
