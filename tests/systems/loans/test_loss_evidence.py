"""What is told of LGD, EAD and timing on the test part, where the truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from riskwright.case.usecase import UseCase
from riskwright.data import maturity
from riskwright.data.loan_truth import CCF
from riskwright.data.simulators import simulate
from riskwright.home import Home
from riskwright.learn.hazard import Hazard
from riskwright.store import snapshots
from riskwright.systems.credit.case import load_usecase
from riskwright.systems.loans.gates import loss_gate
from riskwright.systems.loans.loss import fit_loss
from riskwright.systems.loans.loss_evidence import judge_loss
from riskwright.systems.loans.severity import Severity

ROWS = 14_400


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Train on the older half, judge on the newer one, told the true PDs."""
    folder = tmp_path_factory.mktemp("loss")
    home = Home(folder / "home").create()
    spec = usecase()
    drawn = simulate("loan_book", ROWS, 3)
    new = np.arange(ROWS) % 48 >= 24
    train = snapshots.write(drawn.frame[~new], home, kind="train")
    loss = fit_loss(spec, home, train=train.hash, seed=0, folder=folder / "fit")
    month, ended = maturity.endings(spec, drawn.frame[~new])
    hazard = Hazard.fit(logit(drawn.true_pd[~new]), drawn.frame["term"][~new], month, ended)
    told = judge_loss(spec, drawn.frame[new], drawn.true_pd[new], hazard, loss, folder)
    return {"told": told, "folder": folder, "frame": drawn.frame[new], "loss": loss}


def usecase() -> UseCase:
    spec = load_usecase("loan_book")
    kept = ("logistic", "xgboost")
    return spec.model_copy(update={"families": {n: spec.families[n] for n in kept}})


def test_each_family_of_the_lgd_is_told_beside_the_mean(judged: dict[str, Any]) -> None:
    lgd = judged["told"]["lgd"]
    assert set(lgd["families"]) == {"mean", "linear", "xgboost", "two parts"}
    assert set(lgd["weights"]) == {"linear", "xgboost"}
    base = lgd["families"]["mean"]
    for name in ("linear", "xgboost", "two parts"):
        part = lgd["families"][name]
        assert part["mae_difference"] == pytest.approx(part["mae"] - base["mae"])
        assert part["squared_difference"] == pytest.approx(part["rmse"] ** 2 - base["rmse"] ** 2)
        assert part["mae_se"] > 0
        assert part["squared_se"] > 0
    # Decided on training loans left out; the test part only reports.
    fitted = Severity.load(Path(judged["loss"].folder) / "lgd")
    assert lgd["p_left_out"] == fitted.p
    assert lgd["constant"] == (fitted.p >= usecase().gates.alpha)
    assert lgd["p"] != lgd["p_left_out"]
    assert lgd["deployed"] == ("mean" if lgd["constant"] else "two parts")
    assert abs(lgd["realised"] - lgd["mean"]) < 4 * np.sqrt(2) * lgd["realised_se"] < 0.06


def test_errors_are_weighted_by_what_was_owed(judged: dict[str, Any]) -> None:
    frame = judged["frame"]
    failed = frame[frame["loan_status"] == "Charged Off"]
    back = failed["recoveries"] - failed["collection_recovery_fee"]
    months = maturity.recovery_months(usecase(), failed)
    lgd = 1 - back * (1 + failed["int_rate"]) ** (-months / 12) / failed["owed_at_default"]
    gap = (lgd.clip(0, 1) - judged["told"]["lgd"]["mean"]).abs()
    wanted = np.average(gap, weights=failed["owed_at_default"])
    assert judged["told"]["lgd"]["families"]["mean"]["mae"] == pytest.approx(wanted)
    assert judged["told"]["failed"] == len(failed)


def test_exposures_and_the_conversion_factor_are_near_what_happened(
    judged: dict[str, Any],
) -> None:
    ead = judged["told"]["ead"]
    assert ead["instalment"]["predicted_over_realised"] == pytest.approx(1, abs=1e-4)
    # Without knowing the last payment it is a forecast, and less exact.
    forecast = ead["forecast"]
    assert forecast["loans"] == ead["instalment"]["loans"]
    assert 1e-3 < abs(forecast["predicted_over_realised"] - 1) < 4 * forecast["se"] + 0.02 < 0.05
    lines = ead["revolving"]
    assert abs(lines["predicted_over_realised"] - 1) < 4 * lines["se"] < 0.2
    assert abs(lines["ccf"] - CCF[0]) < 4 * lines["ccf_se"] < 0.15
    assert abs(lines["ccf_realised"] - CCF[0]) < 4 * lines["ccf_realised_se"] < 0.15
    failed = judged["frame"].query("loan_status == 'Charged Off'")
    assert lines["loans"] == failed["drawn_year_before"].notna().sum()
    assert ead["instalment"]["loans"] == (failed["product"] == "term").sum()
    assert ead["loans"] == len(failed)


def test_defaults_come_when_they_were_expected(judged: dict[str, Any]) -> None:
    for part in judged["told"]["timing"].values():
        assert abs(part["expected"] - part["realised"]) < 4 * part["se"] < 0.03
    table = pd.read_csv(judged["folder"] / "expected_against_realised.csv")
    assert table["loans"].sum() == len(judged["frame"])
    assert len(table) == 24
    assert table["expected_loss"].sum() == pytest.approx(table["loss"].sum(), rel=0.15)
    life = judged["told"]["timing"]["lifetime"]
    assert table["expected_defaults"].sum() / ROWS * 2 == pytest.approx(life["expected"])
    assert table["defaults"].sum() / ROWS * 2 == pytest.approx(life["realised"])


def test_the_gate_says_it_in_one_sentence(judged: dict[str, Any]) -> None:
    gate = loss_gate(judged["told"])
    assert not gate.blocking
    # A window that is shorter than the term is not "ever".
    told = ("test loans that failed", "failed within the months that count", "RMSE", "(se 0.0")
    for words in (*told, "conversion factor 0.5"):
        assert words in gate.detail


def test_a_source_without_lines_of_credit_says_so(judged: dict[str, Any], tmp_path: Path) -> None:
    frame = judged["frame"]
    pds = np.full(len(frame), 0.1)
    term = frame["product"] == "term"
    bare = frame.assign(product=None, credit_limit=np.nan, owed_at_default=np.nan)
    told = judge_loss(usecase(), bare[term], pds[term], None, judged["loss"], tmp_path)
    assert told["ead"]["revolving"] is None
    assert told["ead"]["instalment"] == {
        k: told["ead"][k] for k in ("loans", "predicted_over_realised", "se")
    }
    assert "timing" not in told
    assert "no line of credit failed" in loss_gate(told).detail
    # A single failed loan gives no error; nothing is made up.
    bad = (frame["loan_status"] == "Charged Off").to_numpy()
    few = frame[~bad].head(20)
    one = pd.concat([few, frame[bad & term.to_numpy()].head(1)])
    told = judge_loss(usecase(), one, np.full(21, 0.1), None, judged["loss"], tmp_path)
    assert told["ead"]["se"] is None
    assert told["lgd"]["constant"]
    assert "unknown" in loss_gate(told).detail
