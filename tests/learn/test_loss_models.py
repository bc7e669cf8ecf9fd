"""Hazard, LGD and EAD models against closed forms and a known truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from riskwright.data.loan_book import simulate_book
from riskwright.data.maturity import FAILED, RAN_OUT, REPAID, endings, schedule_balance
from riskwright.data.simulators import simulate
from riskwright.errors import InputRefused, IntegrityError
from riskwright.learn.hazard import Hazard
from riskwright.systems.credit.case import load_usecase
from riskwright.systems.loans.exposure import Exposure
from riskwright.systems.loans.severity import Severity, realised_lgd


def test_a_constant_hazard_gives_a_geometric_law() -> None:
    rng = np.random.default_rng(0)
    n, monthly, early = 60_000, 0.01, 0.02
    fails, repaid = rng.geometric(monthly, n), rng.geometric(early, n)
    month = np.minimum(np.minimum(fails, repaid), 36)
    ended = np.where(fails <= np.minimum(repaid, 36), FAILED,
                     np.where(repaid <= 36, REPAID, RAN_OUT))  # fmt: skip
    model = Hazard.fit(rng.normal(size=n), np.full(n, 36), month, ended)
    found = model.marginal_pd([0.0], [36], [0], 36)[0]
    k = np.arange(36)
    wanted = monthly * ((1 - monthly) * (1 - early)) ** k
    assert found.sum() == pytest.approx(wanted.sum(), rel=0.03)
    np.testing.assert_allclose(found[:24], wanted[:24], rtol=0.12)
    later = model.marginal_pd([0.0], [36], [24], 36)[0]
    assert (later[12:] == 0).all()
    assert later[0] == pytest.approx(monthly, rel=0.12)


def test_without_early_repayments_the_hazard_of_one_is_nothing() -> None:
    rng = np.random.default_rng(1)
    fails = rng.geometric(0.01, 20_000)
    ended = np.where(fails <= 36, FAILED, RAN_OUT)
    model = Hazard.fit(np.zeros(20_000), np.full(20_000, 36), np.minimum(fails, 36), ended)
    failed, repaid = model.paths([0.0], [36], [0], 36)
    assert repaid.sum() < 1e-10
    assert failed.sum() == pytest.approx(1 - 0.99**36, rel=0.03)


def test_open_loans_are_censored_and_ended_ones_alone_overstate_default() -> None:
    """Thirty-year loans of a constant hazard, seen for one to five years: most are open."""
    rng = np.random.default_rng(2)
    n, monthly, early = 40_000, 0.004, 0.008
    fails, repaid = rng.geometric(monthly, n), rng.geometric(early, n)
    seen = rng.integers(12, 61, n)
    month = np.minimum(np.minimum(fails, repaid), seen)
    ended = np.where(fails <= np.minimum(repaid, seen), FAILED,
                     np.where(repaid <= seen, REPAID, RAN_OUT))  # fmt: skip
    assert (ended == RAN_OUT).mean() > 0.5
    term = rng.choice([180, 240, 300, 360], n)
    model = Hazard.fit(rng.normal(size=n), term, month, ended)
    k = np.arange(60)
    wanted = (monthly * ((1 - monthly) * (1 - early)) ** k).sum()
    found = model.marginal_pd([0.0], [360], [0], 60)[0].sum()
    assert found == pytest.approx(wanted, rel=0.06)
    over = ended != RAN_OUT
    alone = Hazard.fit(np.zeros(over.sum()), term[over], month[over], ended[over])
    assert alone.marginal_pd([0.0], [360], [0], 60)[0].sum() > 1.5 * wanted
    # Beyond what was seen the hazards are held: nothing explodes, nothing dies out.
    assert model.last == pytest.approx(60 / 180)
    far, _ = model.paths([0.0], [360], [200], 100)
    assert far[0, 0] == pytest.approx(monthly, rel=0.35)
    assert (np.diff(far[0]) < 0).all()


def test_the_term_structure_finds_the_truth_of_a_live_book() -> None:
    """Fitted on loans that are over, told the true lifetime PD, judged on another, live book."""
    drawn = simulate("loan_book", 30_000, 11)
    month, ended = endings(load_usecase("loan_book"), drawn.frame)
    model = Hazard.fit(logit(drawn.true_pd), drawn.frame["term"], month, ended)
    book, truth = simulate_book(20_000, 12)
    age = book["months_on_book"].to_numpy()
    marginal = model.marginal_pd(logit(truth.lifetime_pd), book["term"], age, 60)
    for horizon in (12, 60):
        found, wanted = marginal[:, :horizon].sum(axis=1), truth.pd_within(age, horizon)
        assert found.mean() == pytest.approx(wanted.mean(), rel=0.06)
        assert np.corrcoef(found, wanted)[0, 1] > 0.95
    by_age = (
        pd.DataFrame({"a": age // 12, "p": marginal[:, :12].sum(axis=1)}).groupby("a")["p"].mean()
    )
    true = pd.Series(truth.pd_within(age)).groupby(age // 12).mean()
    np.testing.assert_allclose(by_age, true, rtol=0.15)


@pytest.mark.parametrize(("fitted", "unseen"), [((36,), (60, 480)), ((36, 60), (12, 480))])
def test_the_effect_of_a_term_is_not_extrapolated(
    fitted: tuple[int, ...], unseen: tuple[int, ...]
) -> None:
    drawn = simulate("loan_book", 12_000, 11)
    month, ended = endings(load_usecase("loan_book"), drawn.frame)
    term = drawn.frame["term"].to_numpy()
    rows = np.isin(term, fitted)
    model = Hazard.fit(logit(drawn.true_pd[rows]), term[rows], month[rows], ended[rows])
    terms = np.array(sorted({*fitted, *unseen}), dtype=float)
    assert model.seen(terms).tolist() == [t in fitted for t in terms]
    margin = logit(np.full(len(terms), 0.2))
    lifetime = model.marginal_pd(margin, terms, np.zeros(len(terms)), 480).sum(axis=1)
    by_term = dict(zip(terms.tolist(), lifetime.tolist(), strict=True))
    assert by_term[36.0] == pytest.approx(0.2, abs=0.05)
    assert by_term[max(unseen)] > 0.99 * by_term[max(fitted)]
    # Month for month it is the nearest known term's, at the same share of its life.
    near = model.marginal_pd(margin[:1], [min(fitted)], [0], min(fitted))
    short = model.marginal_pd(margin[:1], [terms[0]], [0], int(terms[0]))
    assert short.sum() <= near.sum() * (1 + 1e-12)


def test_a_hazard_needs_failures_and_comes_back_from_its_file(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="no loan failed"):
        Hazard.fit([0.0, 1.0], [36, 36], [3, 4], [REPAID, RAN_OUT])
    model = Hazard(tuple(np.arange(8) / 10 - 1), tuple(np.arange(8) / 20 - 2), (36.0, 60.0))
    model.save(tmp_path / "hazard.json")
    assert Hazard.load(tmp_path / "hazard.json") == model
    (tmp_path / "hazard.json").write_text("{}", encoding="utf-8")
    with pytest.raises(IntegrityError, match="hazard"):
        Hazard.load(tmp_path / "hazard.json")


@pytest.mark.parametrize(
    ("owed", "recovered", "costs", "rate", "months", "lgd"),
    [
        (1000, 242, 0, 0.10, 24, 0.8),
        (1000, 0, 0, 0.1, 12, 1.0),
        (1000, 300, 100, 0.0, 12, 0.8),
        (1000, 330, 110, 0.10, 12, 0.8),
        (1000, 1500, 0, 0.0, 0, 0.0),
        (1000, 10, 60, 0.0, 0, 1.0),
    ],
)
def test_realised_lgd(
    owed: float, recovered: float, costs: float, rate: float, months: float, lgd: float
) -> None:
    assert realised_lgd([owed], [recovered], [costs], [rate], months)[0] == pytest.approx(lgd)


@pytest.fixture(scope="module")
def failed() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Failed loans whose recovery rests on their features: renters pay less, some are cured."""
    frame = simulate("loan_book", 12_000, 4).frame
    frame = frame[frame["loan_status"] == "Charged Off"].reset_index(drop=True)
    rng = np.random.default_rng(0)
    rent = (frame["home_ownership"] == "RENT").to_numpy()
    cured = rng.random(len(frame)) < np.where(rent, 0.05, 0.45)
    noise = rng.normal(0, 0.04, len(frame))
    lgd = np.clip(np.where(cured, 0.1, 0.85 + 0.004 * (frame["dti"] - 13)) + noise, 0, 1)
    return frame, lgd, frame["owed_at_default"].to_numpy()


def test_two_parts_beat_the_mean_where_there_is_something_to_find(
    failed: tuple[pd.DataFrame, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    frame, lgd, owed = failed
    schema = load_usecase("loan_book").schema_
    fit = np.arange(len(frame)) % 2 == 0
    told: list[float] = []
    model = Severity.fit(
        schema, frame[fit], lgd[fit], owed[fit], families=("logistic", "xgboost"), seed=1,
        progress=told.append,
    )  # fmt: skip
    assert told == sorted(told)
    assert told[-1] == 1
    found = model.predict(frame[~fit])
    assert ((found >= 0) & (found <= 1)).all()
    error, plain = (found - lgd[~fit]) ** 2, (model.mean - lgd[~fit]) ** 2
    gain = plain - error
    assert gain.mean() > 3 * gain.std() / np.sqrt(len(gain))
    assert model.p < 0.01
    weighted = np.average(found, weights=owed[~fit])
    assert weighted == pytest.approx(np.average(lgd[~fit], weights=owed[~fit]), abs=0.05)
    each = model.predict_each(frame[~fit])
    assert set(each) == {"linear", "xgboost"}
    for said in each.values():
        assert np.corrcoef(said, found)[0, 1] > 0.9
    model.save(tmp_path / "lgd")
    again = Severity.load(tmp_path / "lgd")
    assert again.p == model.p
    np.testing.assert_array_equal(again.predict(frame[~fit]), found)
    np.testing.assert_array_equal(again.predict(frame[~fit].iloc[:7]), found[:7])
    np.testing.assert_array_equal(model.live(constant=False).predict(frame[~fit]), found)


def test_two_parts_do_not_beat_the_mean_where_there_is_nothing_to_find(
    failed: tuple[pd.DataFrame, np.ndarray, np.ndarray],
) -> None:
    frame, _, owed = failed
    lgd = np.random.default_rng(2).beta(3, 2, len(frame))
    schema = load_usecase("loan_book").schema_
    model = Severity.fit(schema, frame, lgd, owed, families=("logistic", "xgboost"))
    fits = (model.predict(frame) - lgd) ** 2 - (model.mean - lgd) ** 2
    assert np.average(fits, weights=owed) < 0  # on its own loans it would seem better
    assert model.p > 0.05


def test_the_mean_alone_goes_live_without_the_parts_that_do_not_beat_it(
    failed: tuple[pd.DataFrame, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    frame, lgd, owed = failed
    model = Severity.fit(
        load_usecase("loan_book").schema_, frame, lgd, owed, families=("logistic",)
    )
    model.live(constant=True).save(tmp_path)
    again = Severity.load(tmp_path)
    assert again.predict_each(frame) == {}
    assert set(again.predict(frame)) == {np.average(lgd, weights=owed)}
    assert [p.name for p in tmp_path.iterdir()] == ["severity.json"]


def test_the_error_of_the_level_is_that_of_the_bootstrap() -> None:
    rng = np.random.default_rng(3)
    frame = simulate("loan_book", 400, 4).frame
    n = len(frame)
    lgd, owed = rng.beta(8, 2, n), rng.exponential(1000, n)
    model = Severity.fit(load_usecase("loan_book").schema_, frame, lgd, owed, families=())
    drawn = rng.integers(0, n, (2000, n))
    means = (lgd[drawn] * owed[drawn]).sum(axis=1) / owed[drawn].sum(axis=1)
    assert model.relative_error * model.mean == pytest.approx(means.std(), rel=0.1)


def test_without_cured_loans_one_part_is_fitted(
    failed: tuple[pd.DataFrame, np.ndarray, np.ndarray],
) -> None:
    frame, _, owed = failed
    lgd = np.full(len(frame), 0.9)
    model = Severity.fit(
        load_usecase("loan_book").schema_, frame, lgd, owed, families=("logistic",)
    )
    assert model.cure is None
    np.testing.assert_allclose(model.predict(frame), 0.9)


def test_a_saved_lgd_model_that_is_not_one(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="LGD"):
        Severity.load(tmp_path)


def test_exposure_is_the_schedule_times_the_measured_ratio(tmp_path: Path) -> None:
    amount, rate, term, last = [1000.0, 2000.0], [0.1, 0.2], [36, 60], [5, 20]
    owed = 1.02 * schedule_balance(amount, rate, term, last)
    model = Exposure.fit(amount, rate, term, last, owed)
    assert model.ratio == pytest.approx(1.02)
    assert model.error == pytest.approx(0, abs=1e-9)
    assert model.ccf is None
    np.testing.assert_allclose(model.predict(amount, rate, term, last), owed)
    # Without a factor the whole limit, and what is drawn beyond it.
    assert model.predict_lines([500, 500, 500], [100, 600, np.nan]).tolist() == [500, 600, 500]
    model.save(tmp_path / "ead.json")
    assert Exposure.load(tmp_path / "ead.json") == model
    with pytest.raises(InputRefused, match="no failed loan"):
        Exposure.fit([], [], [], [], [])
    with pytest.raises(IntegrityError, match="exposure"):
        Exposure.load(tmp_path / "none.json")


def test_the_conversion_factor_is_the_share_of_the_undrawn_that_was_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    n = 4000
    line = np.arange(n) % 2 == 0
    limit = np.where(line, rng.uniform(1000, 9000, n), np.nan)
    before = limit * rng.random(n)
    before[rng.random(n) < 0.1] = np.nan  # no line a year before: left out
    owed = np.where(line, before + rng.beta(3, 2, n) * (limit - before), 800.0)
    owed = np.where(np.isnan(owed), limit, owed)
    model = Exposure.fit(
        np.full(n, 1000.0), np.full(n, 0.1), np.full(n, 36), np.full(n, 8), owed, limit, before
    )
    assert model.ccf_error is not None
    assert abs(model.ccf - 0.6) < 4 * model.ccf_error < 0.04
    assert model.lines == np.isfinite(before).sum()
    assert model.predict_lines([1000], [400])[0] == pytest.approx(400 + model.ccf * 600)
    assert model.predict_lines([1000], [1200])[0] == 1200
    assert model.predict_lines([1000], [np.nan])[0] == pytest.approx(
        1000 * owed[line].sum() / limit[line].sum()
    )
    assert 0 < model.relative_error < model.ccf_error
    model.save(tmp_path / "ead.json")
    assert Exposure.load(tmp_path / "ead.json") == model


def test_a_conversion_factor_stays_between_nothing_and_all_of_the_limit() -> None:
    ones = np.ones(40)
    limit = np.where(ones.cumsum() > 20, 1000.0, np.nan)
    for owed, ccf in ((50.0, 0.0), (2000.0, 1.0)):
        model = Exposure.fit(
            1000 * ones, 0.1 * ones, 36 * ones, 5 * ones, owed * ones, limit, 100 * ones
        )
        assert model.ccf == ccf
    few = Exposure.fit(
        1000 * ones, 0.1 * ones, 36 * ones, 5 * ones, 500 * ones,
        np.where(ones.cumsum() > 31, 1000.0, np.nan), 100 * ones,
    )  # fmt: skip
    assert few.ccf is None
