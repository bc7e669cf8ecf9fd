"""The vintage table tells of all loans, immature ones too, of the trained population."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from riskwright.data import maturity
from riskwright.data.simulators import simulate
from riskwright.data.train_test import usable
from riskwright.systems.credit.case import load_usecase
from riskwright.systems.loans.vintages import judge_vintages


def test_the_vintages_count_immature_loans(tmp_path: Path) -> None:
    usecase = load_usecase("loan_book")
    drawn = simulate("loan_book", 3000, 5)
    # Seen up to a date at which the younger half's lives aren't over.
    seen = drawn.frame["issue_d"].median() + pd.DateOffset(months=40)
    clean = drawn.frame.assign(last_pymnt_d=drawn.frame["last_pymnt_d"].clip(upper=seen))
    clean.loc[clean.index[::9], "policy"] = "exception"
    assert maturity.observed_until(usecase, clean) == seen
    ready = usable(usecase, clean)
    train, test = ready[::2], ready[1::2]
    pds = np.full(len(test), 0.15)
    (tmp_path / "plots").mkdir()
    judge_vintages(usecase, train, test, pds, tmp_path, clean)
    table = pd.read_csv(tmp_path / "vintages.csv")
    ours = clean[clean["policy"] == "standard"]
    done = maturity.mature(usecase, ours, seen)
    assert table["loans"].sum() == len(ours)
    assert table["mature"].sum() == done.sum() == len(ready)
    assert table["immature"].sum() == (~done).sum() > 500
    # From the parts alone, which hold mature loans only, nothing would be immature.
    judge_vintages(usecase, train, test, pds, tmp_path)
    assert pd.read_csv(tmp_path / "vintages.csv")["loans"].sum() == len(ready)
