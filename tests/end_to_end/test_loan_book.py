"""A loan book through the command line: three models, promoted together."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from scipy.special import logit

from riskwright.case.usecase import known_usecases
from riskwright.data.loan_book import simulate_book
from riskwright.data.loan_truth import CCF
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life.aliases import change_champion
from riskwright.life.tracking import connect
from riskwright.systems.credit.promotion import load_version
from riskwright.systems.loans.exposure import Exposure
from riskwright.systems.loans.promotion import load_loss
from riskwright_flows.cli import app

MODELS = ["ead", "lgd", "pd"]


@pytest.mark.slow
def test_three_models_go_live_as_one(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = yaml.safe_load(known_usecases(home)["loan_book"].read_text(encoding="utf-8"))
    plain |= {
        "name": "small_book",
        "families": ["logistic", "scorecard"],
        "approval": {"policy": "approval"},
    }
    plain["source"] |= {"rows": 4000}
    path = home.folder("usecases") / "small_book.yaml"
    path.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        app(["retrain", "small_book", "--json"])
    told = capsys.readouterr()
    assert ended.value.code == 0, told.err
    trained = json.loads(told.out)
    ledger, number = Ledger.open(home), trained["version"]
    version = ledger.version("small_book", number)
    assert sorted(version.models) == MODELS
    gate = next(g for g in trained["gates"] if g["name"] == "lgd and ead")
    assert not gate["blocking"]
    assert "conversion factor" in gate["detail"]

    change_champion(
        home, ledger, "small_book", "promote", version=number, actor="second", reason="read",
        expected=None,
    )  # fmt: skip
    for model in MODELS:
        live = connect(home).get_model_version_by_alias(f"small_book.{model}", "champion")
        assert live.tags["riskwright.version"] == str(number)

    book, truth = simulate_book(3000, 9)
    bundle = load_version(home, ledger, "small_book")
    assert bundle.hazard is not None
    lgd = load_loss(home, ledger, "small_book", number, "lgd").score(book)
    assert lgd.mean() == pytest.approx(truth.lgd.mean(), abs=0.05)
    ead = load_loss(home, ledger, "small_book", number, "ead")
    line = (book["product"] == "revolving").to_numpy()
    owed = ead.score(book)
    assert owed[~line].sum() == pytest.approx(book["balance"][~line].sum(), rel=0.02)
    assert isinstance(ead.fitted, Exposure)
    assert ead.fitted.ccf == pytest.approx(CCF[0], abs=4 * ead.fitted.ccf_error)
    assert owed[line].sum() == pytest.approx(truth.owed(0)[line].sum(), rel=0.1)
    pds = bundle.score(book, "none")["pd"]
    assert pds.mean() == pytest.approx(truth.lifetime_pd.mean(), rel=0.2)
    age = book["months_on_book"].to_numpy()
    marginal = bundle.hazard.marginal_pd(logit(pds), book["term"], age, 12)
    loss = (marginal * ead.profile(book, 12)).sum(axis=1) * lgd
    assert loss.sum() == pytest.approx(truth.loss_within(age).sum(), rel=0.3)

    evidence = Path(trained["evidence"])
    table = pd.read_csv(evidence / "expected_against_realised.csv")
    assert table["loans"].sum() == trained["test_rows"]
    ratio = table["expected_loss"].sum() / table["loss"].sum()
    assert 0.6 < ratio < 1.6
