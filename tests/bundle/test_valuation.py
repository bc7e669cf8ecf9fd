"""What each loan of a book is worth, by the fitted models of a small loan book."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tiny import Live

from riskwright.bundle import valuation
from riskwright.bundle.valuation import Valued, value_loans
from riskwright.data.loan_book import simulate_book
from riskwright.errors import InputRefused
from riskwright.portfolio.status import Status
from riskwright.portfolio.stress import SCENARIOS
from riskwright.registry.promotion import load_loss, load_version


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
