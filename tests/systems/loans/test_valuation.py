"""What each loan of a book is worth, by the fitted models of a small loan book."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tiny import Live

from riskwright.data.loan_book import simulate_book
from riskwright.errors import InputRefused
from riskwright.systems.credit.promotion import load_version
from riskwright.systems.loans import valuation
from riskwright.systems.loans.portfolio import basel, pricing
from riskwright.systems.loans.portfolio.status import Status
from riskwright.systems.loans.portfolio.stress import SCENARIOS
from riskwright.systems.loans.promotion import load_loss
from riskwright.systems.loans.valuation import Valued, price_applications, value_loans


@pytest.fixture(scope="module")
def parts(shared_book: Live) -> dict[str, Any]:
    home, ledger, name = shared_book.home, shared_book.ledger, "small_book"
    book, truth = simulate_book(3000, 21)
    book = book.assign(
        days_past_due=0.0, pd_at_origination=np.nan, lgd_assessed=np.nan
    )  # as ``read_book`` fills them
    return {
        "bundle": load_version(home, ledger, name),
        "lgd": load_loss(home, ledger, name, shared_book.version, "lgd"),
        "ead": load_loss(home, ledger, name, shared_book.version, "ead"),
        "book": book,
        "truth": truth,
    }


def valued(parts: dict[str, Any], status: Status = "green", **changes: Any) -> Valued:
    return value_loans(
        parts["bundle"],
        parts["lgd"],
        parts["ead"],
        parts["book"].assign(**changes),
        status=status,
        scenarios=SCENARIOS.values(),
    )


def test_the_expected_loss_is_near_the_truth_and_its_parts_multiply(parts: Any) -> None:
    found = valued(parts)
    loans = found.loans
    truth = parts["truth"].loss_within(parts["book"]["months_on_book"]).sum()
    assert loans["el"].sum() == pytest.approx(truth, rel=0.25)
    product = loans["pd"] * loans["ead"] * loans["lgd"]
    assert loans["el"].to_numpy() == pytest.approx(product.to_numpy())
    assert found.members_el.shape == (len(found.weights), len(loans))
    assert found.weights.sum() == pytest.approx(1)
    assert (loans["price_cautious"] >= loans["price"] - 1e-9).all()
    booked = sum(SCENARIOS[name].weight * money for name, money in found.scenario_ecl.items())
    assert loans["ecl"].sum() == pytest.approx(booked)
    assert found.scenario_ecl["severe"] > found.scenario_ecl["base"]


@pytest.mark.parametrize("status", ["green", "amber", "red"])
def test_without_news_about_a_loan_neither_scenarios_nor_a_doubted_safe_loan_move_its_stage(
    parts: Any, status: Status
) -> None:
    loans = valued(parts, status).loans
    assert (loans["stage"] == 1).all()
    assert (loans["ecl"] == loans["ecl_12m"]).all()


def test_a_status_moves_the_money_and_not_the_figure_beside_it(parts: Any) -> None:
    green, red = valued(parts).loans, valued(parts, "red").loans
    assert (red["el"] == green["el"]).all()
    assert (red["el_status"] > green["el_status"]).all()
    assert (red["overlay"] > 0).all()
    assert (green["overlay"] == 0).all()


def test_a_chunk_more_changes_nothing(parts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = valued(parts)
    monkeypatch.setattr(valuation, "CHUNK", 700)
    pieces = valued(parts)
    for column in ("pd", "ead", "lgd", "ecl", "price"):
        assert pieces.loans[column].to_numpy() == pytest.approx(whole.loans[column].to_numpy())
    assert pieces.errors == pytest.approx(whole.errors)


def test_an_instalment_loan_never_owes_more_than_today(parts: Any) -> None:
    """Old vintages above all: of the last payments a schedule's step back is a multiple."""
    book = parts["book"]
    term = (book["product"] == "term").to_numpy()
    loans = valued(parts).loans[term]
    old = (book["months_left"][term] <= 3).to_numpy()
    assert old.any()
    added = max(1.0, parts["ead"].fitted.ratio)
    assert (loans["ead"] <= added * book["balance"][term] * (1 + 1e-9)).all()


def test_the_price_rests_on_the_hazards_and_a_new_loan_has_that_of_its_application(
    parts: Any,
) -> None:
    """By the version's own months; the same for a loan just made and for its application."""
    book = parts["book"].head(200).copy()
    bundle, lgd = parts["bundle"], parts["lgd"]
    told = price_applications(bundle, lgd, book.drop(columns=["balance", "months_on_book"]))
    term = book["term"].to_numpy(dtype=float)
    new = book.assign(months_on_book=0.0, months_left=term)
    priced = value_loans(
        bundle, lgd, parts["ead"], new, status="green", scenarios=SCENARIOS.values()
    ).loans
    np.testing.assert_allclose(told["price"], priced["price"], rtol=1e-9)
    np.testing.assert_allclose(told["price_cautious"], priced["price_cautious"], rtol=1e-9)
    share, costs = lgd.score(book), bundle.usecase.loan.pricing
    fails, repaid = bundle.hazard.paths(
        bundle.ensemble.margin(book[bundle.schema.names]), term, np.zeros(200), int(term.max())
    )
    k = basel.capital_requirement(fails[:, :12].sum(axis=1), share, "retail")
    outlay = costs.funding + costs.cost + costs.margin + k * costs.hurdle
    nothing = pricing.value(told["price"], fails, share, term, outlay, repaid, 4)
    np.testing.assert_allclose(nothing, 0, atol=1e-8)
    blank = price_applications(bundle, lgd, book.assign(term=np.nan))
    assert blank.isna().all(axis=None)


def test_an_impaired_book_is_certain_to_default(parts: Any) -> None:
    found = valued(parts, days_past_due=90.0)
    loans = found.loans
    assert (loans["pd"] == 1).all()
    assert (loans["stage"] == 3).all()
    assert loans["ead"].to_numpy() == pytest.approx(parts["book"]["balance"].to_numpy())
    assert found.errors["pd"] == 0


def test_a_loans_own_lgd_is_taken(parts: Any) -> None:
    assert (valued(parts, lgd_assessed=0.25).loans["lgd"] == 0.25).all()


def test_scenarios_whose_weights_do_not_sum_to_one_are_refused(parts: Any) -> None:
    with pytest.raises(InputRefused, match="don't sum to 1"):
        value_loans(
            parts["bundle"],
            parts["lgd"],
            parts["ead"],
            parts["book"],
            status="green",
            scenarios=[replace(SCENARIOS["mild"], weight=0.5)],
        )
