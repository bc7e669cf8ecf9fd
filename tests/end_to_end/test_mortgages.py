"""A book of mortgages: thirty years of term, five of history, nearly all of it open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from tiny import train

from riskwright.case.usecase import UseCase, parse_usecase
from riskwright.data import maturity
from riskwright.data.ingest import ingest
from riskwright.data.train_test import usable
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.store import snapshots
from riskwright.systems.loans.valued import report_on

HISTORY, TERM, GRACE = 60, 360, 3
FAILS, LEAVES = 0.003, 0.010  # a month, at the mean of the features


def usecase(prepaid: bool = True) -> UseCase:
    columns = {
        "id": {"type": "text"},
        "made": {"type": "date"},
        "status": {"type": "category", "values": ["default", "paid off", "open"]},
        "ltv": {"type": "number"},
        "score": {"type": "number"},
        "amount": {"type": "number", "feature": False, "min": 1},
        "rate": {"type": "number", "feature": False},
        "term": {"type": "integer", "feature": False},
        **{n: {"type": "number", "after_decision": True} for n in ("repaid", "back", "costs")},
        "closed": {"type": "date", "after_decision": True},
    }
    plain = {
        "name": "mortgages",
        "title": "Mortgages",
        "question": "What will they lose?",
        "source": {},
        "id": "id",
        "time": "made",
        "target": {"column": "status", "bad": "default", "good": "paid off", "open": ["open"]},
        "models": ["pd", "lgd", "ead"],
        "loan": {
            "amount": "amount", "rate": "rate", "term": "term", "closed": "closed",
            "repaid": "repaid", "recovered": "back", "recovery_costs": "costs",
            "exposure": "mortgage", "grace_months": GRACE, "recovery_months": 0,
        },
        "columns": columns,
        "split": {"kind": "out_of_time", "test_share": 0.2, "folds": 3},
        "families": ["logistic", "scorecard"],
        "approval": {"policy": "automatic"},
    }  # fmt: skip
    return parse_usecase(yaml.safe_dump(plain), where="mortgages.yaml")


def history(n: int = 5000, seed: int = 0, leaves: float = LEAVES) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    made = rng.integers(0, HISTORY, n)
    ltv, score = rng.uniform(0.4, 1.0, n), rng.normal(700, 50, n)
    hazard = FAILS * np.exp(2 * (ltv - 0.7) - 0.01 * (score - 700))
    last = rng.geometric(hazard)  # of the last payment; in default months later
    left = rng.geometric(leaves, n) if leaves else np.full(n, 10_000)
    failed = (last + GRACE <= HISTORY - made) & (last <= left)
    paid = ~failed & (left <= HISTORY - made)
    start = pd.Timestamp("2010-01-01").to_period("M")
    end = np.where(failed, last, np.where(paid, left, HISTORY - made))
    amount = rng.uniform(5e4, 5e5, n).round()
    rest = maturity.schedule_balance(amount, 0.05, TERM, end)
    return pd.DataFrame(
        {
            "id": [f"M{i}" for i in range(n)],
            "made": [(start + int(m)).to_timestamp() for m in made],
            "status": np.where(failed, "default", np.where(paid, "paid off", "open")),
            "ltv": ltv, "score": score, "amount": amount, "rate": 0.05, "term": TERM,
            "repaid": np.where(paid, amount, amount - rest),
            "back": np.where(failed, 0.7 * rest * rng.uniform(0.5, 1.2, n), 0.0), "costs": 0.0,
            "closed": [(start + int(m + e)).to_timestamp() for m, e in zip(made, end, strict=True)],
        }
    )  # fmt: skip


def test_enough_of_a_mortgage_book_is_mature(tmp_path: Path) -> None:
    frame = history()
    frame.to_csv(tmp_path / "m.csv", index=False)
    spec, home = usecase(), Home(tmp_path / "home").create()
    found = ingest(spec, str(tmp_path / "m.csv"), home)
    ready = usable(spec, snapshots.read(found.clean, home))
    assert len(ready) > 0.4 * len(frame)
    assert (ready["status"] == "open").mean() > 0.4
    assert any("window_months" in w for w in found.warnings)


@pytest.mark.slow
@pytest.mark.parametrize("leaves", [LEAVES, 0.0], ids=["some repay early", "none repays early"])
def test_a_mortgage_book_trains_and_its_default_rate_is_not_that_of_ended_loans(
    tmp_path: Path, leaves: float
) -> None:
    frame = history(12_000, leaves=leaves)  # fewer, and a first champion's ECE is up to chance
    frame.to_csv(tmp_path / "m.csv", index=False)
    spec, home = usecase(), Home(tmp_path / "home").create()
    train(home, spec, str(tmp_path / "m.csv"))
    live = frame[frame["status"] == "open"].head(1500)
    book = live[["id", "made", "ltv", "score", "amount", "rate", "term"]].assign(as_of="2015-01-01")
    age = maturity.months_between(book["made"], pd.Timestamp("2015-01-01"))
    book["balance"] = maturity.schedule_balance(book["amount"], 0.05, TERM, age)
    book[age < TERM].to_csv(tmp_path / "book.csv", index=False)
    told = report_on(
        spec, home, Ledger.open(home), input=str(tmp_path / "book.csv"), output=tmp_path / "report"
    )
    hazard = FAILS * np.exp(2 * (live["ltv"] - 0.7) - 0.01 * (live["score"] - 700))
    stays = (1 - hazard) * (1 - leaves)
    wanted = float((hazard * (1 - stays**12) / (1 - stays)).mean())
    assert told["pd"] == pytest.approx(wanted, rel=0.35)
    assert any("held where they were" in n for n in told["notes"])
    assert told["error_level"] > 0.1
