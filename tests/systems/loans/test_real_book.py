"""Lending Club as a lender would have seen it on a day of 2012."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml
from tiny import train

from riskwright.case.usecase import known_usecases, parse_usecase
from riskwright.data.contract import Contract
from riskwright.data.sources import read_chunks
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.systems.credit.history import as_known
from riskwright.systems.credit.monitoring import monitor_batch
from riskwright.systems.loans.status import status_of

DAY = "2012-02-01"


@pytest.mark.slow
def test_lending_club_on_a_day_of_2012(shared_data: Path, home: Home, tmp_path: Path) -> None:
    """Trained on the few loans whose labels were mature then: of the crisis, within the policy."""
    plain = yaml.safe_load(known_usecases(home)["loan_book"].read_text(encoding="utf-8"))
    plain |= {"name": "club", "families": ["logistic", "scorecard"]}
    plain["approval"] = {"policy": "automatic"}
    path = home.folder("usecases") / "club.yaml"
    path.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    usecase = parse_usecase(path.read_text(encoding="utf-8"), where=str(path))
    source = shared_data / "lending_club" / "lending_club_2007_2011.csv.gz"
    raw = pd.concat(list(read_chunks(usecase.source, str(source), columns=list(usecase.columns))))
    frame, day = Contract(usecase, "train").apply(raw).accepted, pd.Timestamp(DAY)
    then = as_known(usecase, frame, day)
    then["loan_status"] = then["loan_status"].fillna("Current")
    as_it_was = tmp_path / "then.csv"
    then.to_csv(as_it_was, index=False)
    train(home, usecase, str(as_it_was))
    ledger = Ledger.open(home)

    found = monitor_batch(usecase, home, ledger, input=str(source), labels=None, as_of=DAY)
    before = monitor_batch(usecase, home, ledger, input=str(as_it_was), labels=None, as_of=DAY)
    assert found["book"] == before["book"]

    assert found["window"]["until"] == "2011-12-01"
    assert found["verdicts"]["labels"] == "no labels"
    counted = {name: rows[0] for name, rows in found["book"]["tables"].items()}
    trained = int(found["book"]["words"].split(" were trained on")[0].split()[-1].replace(",", ""))
    assert 1_000 < trained < 2_000
    age = 12 * (2012 - frame["issue_d"].dt.year) + 2 - frame["issue_d"].dt.month
    old = {name: int((age >= 4)[frame["policy"] == name].sum()) for name in counted}
    assert 0 <= sum(old.values()) - sum(row["loans"] for row in counted.values()) - trained < 50

    # PDs of 2007 and 2008 expect more than the loans of 2009 and 2010 show, and less than those of
    # 2011; and loans outside the policy, which no model was trained on, fail far more often.
    table = pd.DataFrame(found["book"]["tables"]["standard"]).set_index("group")
    assert table.loc[["2009Q1", "2009Q3", "2010Q1"], "ratio"].max() < 0.8
    hit = {(f["code"], f["column"]) for f in found["findings"] if f["alarm"]}
    assert {("recent_defaults", "last 12 months"), ("all_defaults", "exception")} <= hit
    assert ("all_defaults", None) not in hit
    assert status_of(ledger, "club") == "amber"
