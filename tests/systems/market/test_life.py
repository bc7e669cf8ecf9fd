"""How a market forecast goes live: skill by test, renewal, four eyes, the mean that stands by."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from place import enter
from tiny_market import (
    LiveMarket,
    make_market,
    market_case,
    series,
    train_market,
    write_series,
)

from riskwright.errors import GateRefused, InputRefused, IntegrityError
from riskwright.home import Home
from riskwright.ledger import Gate
from riskwright.life.aliases import change_champion, reconcile
from riskwright.life.policy import rules_digest
from riskwright.life.retrain import Retrained
from riskwright.life.submission import Submitted, submit
from riskwright.life.tracking import PARENT, ROLE, Tracker, connect, local_bundle
from riskwright.stats.comparison import diebold_mariano
from riskwright.systems.market.backtest import backtest
from riskwright.systems.market.candidates import read_joined
from riskwright.systems.market.evidence import planned, trial_log
from riskwright.systems.market.forecasting import LIVE, WALKED, forecast_of
from riskwright.systems.market.gates import Rival, _coverage, compare_squared_error, gates
from riskwright.systems.market.ingest import panel_of
from riskwright.systems.market.life import (
    MarketSubmission,
    _other_question,
    kept_walk,
    load_forecast,
)
from riskwright.systems.market.record import declare, tried_before
from riskwright.systems.market.records import MarketEvidence, Walked

NAME = "tiny_market"


def gate(done: Submitted | Retrained | list[Gate], name: str) -> Gate:
    found = done if isinstance(done, list) else done.gates
    return next(g for g in found if g.name == name)


def aliases(live: LiveMarket, model: str) -> dict[str, int]:
    found = connect(live.home).get_registered_model(f"{NAME}.{model}").aliases
    return {alias: int(version) for alias, version in found.items()}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> LiveMarket:
    """The same retrain on real months, in which nothing beats the historical mean."""
    return make_market(tmp_path_factory.mktemp("plain"))


@pytest.fixture
def no_skill(plain: LiveMarket, monkeypatch: pytest.MonkeyPatch) -> LiveMarket:
    enter(plain.home, monkeypatch)
    return plain


# ---- what goes live


def test_without_skill_the_historical_mean_is_the_champion_and_says_so(
    no_skill: LiveMarket,
) -> None:
    done = no_skill.trained
    assert (done.kind, done.passed, done.live) == ("mean", True, True)
    assert done.why.count("no skill beyond the mean") == 2
    assert not gate(done, "skill").blocking
    champion = no_skill.ledger.champion(NAME)
    assert champion is not None
    assert champion.evidence["deployed"] == {"m1": "mean", "m12": "mean"}
    assert champion.evidence["baseline"] is True
    assert not any(v.evidence["standby"] for v in no_skill.ledger.versions(NAME))
    said = forecast_of(NAME, no_skill.home, no_skill.ledger)
    assert said["forecast"] == said["historical_mean"] == said["member_max"]
    assert said["reasons"] == []
    assert "no skill beyond the historical mean" in said["sentence"]
    # Its weight was tested too, and the investor's own is kept unless moving was worth it.
    moving = no_skill.evidence.models["m12"]["moving"]["mean"]
    assert said["moving"] == moving == champion.evidence["moving"]["m12"]
    assert moving["tested"][0]["share"] == 0.25
    by_hand = 0.6 + moving["share"] * (said["rule_weight"] - 0.6)
    assert said["weight"] == pytest.approx(by_hand, abs=1e-12)
    assert ("there is no evidence for moving" in said["sentence"]) is (moving["share"] == 0)


def test_with_skill_the_ensemble_is_live_and_the_mean_stands_by(market: LiveMarket) -> None:
    done = market.trained
    assert (done.kind, done.passed, done.live) == ("ensemble", True, True)
    ledger = market.ledger
    held = ledger.version(NAME, done.version)
    assert held.models.keys() == {"m1", "m12"}
    standby = [v for v in ledger.versions(NAME) if v.evidence["standby"]]
    assert [v.evidence["kind"] for v in standby] == ["mean"]
    assert ledger.challengers(NAME) == []
    for model in ("m1", "m12"):
        assert aliases(market, model) == {"champion": held.models[model].mlflow_version}
        # On another machine, without alias: the digest is in the ledger.
        bundle = load_forecast(market.home, ledger, NAME, model)
        assert bundle.digest == held.models[model].digest
        assert bundle.state.deployed == "ensemble"
    assert {g.name for g in done.gates} == {
        "skill", "champion", "coverage", "as-of", "golden set", "trials",
    }  # fmt: skip
    assert reconcile(NAME, market.home, ledger) == []


def test_fallback_makes_the_mean_live_and_rollback_takes_it_back(market: LiveMarket) -> None:
    ledger, version = market.ledger, market.trained.version
    alert = ledger.open_alert(
        NAME, title="t", findings=[], severity="high", batch_hash="b", version=version, report=""
    )
    ledger.decide_alert(alert, "fallback", actor="second", reason="errors drift")
    reconcile(NAME, market.home, ledger)
    said = forecast_of(NAME, market.home, ledger)
    assert said["deployed"] == "mean"
    assert said["sentence"].endswith("Evidence: none; the forecast is the historical mean.")
    assert said["version"] != version
    assert aliases(market, "m12")["champion"] == ledger.champion(NAME).models["m12"].mlflow_version  # type: ignore[union-attr]
    live = ledger.champion(NAME)
    assert live is not None
    change_champion(
        market.home, ledger, NAME, "rollback", actor="second", reason="it passed",
        expected=live.version,
    )  # fmt: skip
    assert forecast_of(NAME, market.home, ledger)["version"] == version


def test_each_model_of_the_set_stays_logged(market: LiveMarket) -> None:
    import mlflow

    mlflow.set_tracking_uri(market.home.mlflow_uri)
    for model in ("m1", "m12"):
        loaded = mlflow.pyfunc.load_model(f"models:/{NAME}.{model}@champion")
        assert loaded.metadata.get_output_schema().input_names()[0] == "forecast"


def test_the_same_retrain_again_registers_nothing(market: LiveMarket) -> None:
    before = market.ledger.versions(NAME)
    again = submit(market.submission)
    assert again.version == market.trained.version
    assert market.ledger.versions(NAME) == before
    found = connect(market.home).search_model_versions(f"name='{NAME}.m1'")
    assert len(found) == len(before)


# ---- against the champion


def again(of: MarketSubmission, key: str, **changes: Any) -> Submitted:
    """Submit a finished training once more, under another key."""
    case = changes.get("case", of.case)
    tracker = Tracker(of.home, case, key)
    folder = of.home.folder("work", case.name, key)
    return submit(
        replace(of, tracker=tracker, run_id=tracker.run(PARENT), folder=folder, **changes)
    )


def test_a_tie_keeps_the_champion_and_newer_data_renew_it(
    no_skill: LiveMarket, tmp_path: Path
) -> None:
    first = no_skill.trained.version
    # Another seed of families that don't draw: the same forecasts of the same months.
    tie = again(no_skill.submission, "tie", seed=1)
    assert gate(tie, "champion").passed is False
    assert "the champion stays" in gate(tie, "champion").detail
    assert gate(tie, "champion").figures["m1"]["statistic"] is None
    assert (tie.passed, tie.live) == (False, False)

    folder = write_series(tmp_path / "newer", series(end="2012-12"))
    newer = train_market(no_skill.home, no_skill.case, folder)
    done = newer
    assert gate(done, "champion").detail.startswith("a renewal")
    assert gate(done, "champion").figures["against"] == first
    assert done.live
    said = forecast_of(NAME, no_skill.home, no_skill.ledger)
    assert (said["version"], said["origin"]) == (done.version, "2012-12")


def test_a_retrain_that_was_killed_in_its_walk_counts_as_tried(
    market: LiveMarket, tmp_path: Path
) -> None:
    panel = panel_of(market.case, market.trained.data.clean, market.home)
    log = planned(market.case, panel, 0)
    assert log == trial_log(market.case, market.joined, 0)
    home = Home(tmp_path / "home").create()
    assert tried_before(home, market.case) == []
    declare(market.case, home, key="killed", log=log)
    assert tried_before(home, market.case) == sorted(entry["key"] for entry in log)


def test_another_target_is_never_compared(no_skill: LiveMarket) -> None:
    of = no_skill.submission
    real = market_case(target={"kind": "real_total"})
    assert _other_question(real, of.case) == "it forecasts another target"
    skipped = market_case(models={"m1": {"horizon": 1, "skip": 1}})
    assert _other_question(skipped, of.case) == "its m1 skips other months"
    more = market_case(models={"m1": {"horizon": 1}, "m6": {"horizon": 6}})
    assert _other_question(more, of.case) == ""
    assert "it has other models" in _other_question(
        market_case(models={"m6": {"horizon": 6}}), of.case
    )
    done = again(of, "real", case=real)
    assert gate(done, "champion").passed is None
    assert "can't be compared with: it forecasts another target" in gate(done, "champion").detail


def test_another_seed_or_lag_makes_other_trials(market: LiveMarket) -> None:
    joined = market.joined
    plain = market.case.model_dump()
    plain["series"]["cpi"] |= {"lag": "2m"}
    late = market_case(series=plain["series"])
    logs = [trial_log(market.case, joined, 0), trial_log(market.case, joined, 1)]
    logs.append(trial_log(late, joined, 0))
    keys = {entry["key"] for log in logs for entry in log}
    assert len(keys) == 3 * len(logs[0])
    assert [e["key"] for e in trial_log(market_case(title="Another title"), joined, 0)] == [
        e["key"] for e in logs[0]
    ]
    # Whoever trains writes the YAML: a shorter lag is a rule, and a person decides about it.
    assert rules_digest(late) != rules_digest(market.case)
    assert rules_digest(market_case(title="Another title")) == rules_digest(market.case)


# ---- gates, by hand-made evidence


def evidence(**changes: Any) -> dict[str, Any]:
    held = {"passed": True, "detail": "held", "figures": {}}
    model = {
        "skill": {"passed": False, "detail": "no skill", "figures": {}},
        "coverage": {"ensemble": held, "mean": held},
    }
    plain: dict[str, Any] = {
        "why": "m1: no skill",
        "chosen": "mean",
        "deployed": {"m1": "mean"},
        "models": {"m1": model},
        "as_of": {
            "series": ["a", "b"],
            "dates": ["2000-01"],
            "families": ["mean"],
            "changed": [],
            "networks": "2000-01",
        },
        "trials": {"now": 3, "ever": 7},
    }
    return plain | changes


def as_record(plain: dict[str, Any]) -> MarketEvidence:
    """The same as the step hands it over."""
    more = {"why": "", "chosen": "mean", "strategy": {}, "origins": {}} | plain
    return MarketEvidence(folder="", sha256="", **more)


def table(n: int = 240, off: float = 0.0, seed: int = 1) -> pd.DataFrame:
    """Outcomes, and forecasts that are off by noise of this size."""
    months = pd.period_range("1990-01", periods=n, freq="M")
    rng = np.random.default_rng(3)
    actual = rng.normal(0.01, 0.04, n)
    wrong = np.random.default_rng(seed).normal(0, off, n)
    return pd.DataFrame({"forecast": actual * 0.2 + wrong, "actual": actual}, months)


def judged(
    rival: Rival | None = None, mine: pd.DataFrame | None = None, gap: float = 0.0, **more: Any
) -> list[Gate]:
    challenger = {"m1": table() if mine is None else mine}
    return gates(
        market_case(), as_record(evidence(**more)), challenger, rival, {"m1": gap}, readings=2
    )


def rival(theirs: pd.DataFrame | None, *, renewed: bool = False) -> Rival:
    if theirs is None:
        return Rival(4, {}, renewed, "the walk-forward's forecasts are gone (/some/where)")
    return Rival(4, {"m1": theirs["forecast"]}, renewed)


@pytest.mark.parametrize(
    ("theirs", "mine", "renewed", "passed", "words"),
    [
        (table(off=0.03), table(), False, True, "better than the champion"),
        (table(), table(off=0.03), False, False, "worse than the champion by test"),
        (table(), table(off=0.03), True, False, "worse than the champion by test"),
        (table(), table(), False, False, "not better by test: the champion stays"),
        (table(), table(), True, True, "a renewal"),
        (table(off=0.002, seed=11), table(off=0.002, seed=12), False, False, "the champion stays"),
        (table(40), table(40), True, None, "too few common forecasts"),
        (
            None,
            table(),
            True,
            None,
            "can't be compared with: the walk-forward's",
        ),
    ],
)
def test_the_champion_stays_unless_it_is_beaten_or_renewed(
    theirs: pd.DataFrame | None,
    mine: pd.DataFrame,
    renewed: bool,
    passed: bool | None,
    words: str,
) -> None:
    found = gate(judged(rival(theirs, renewed=renewed), mine), "champion")
    assert found.passed is passed
    assert words in found.detail
    assert found.figures["against"] == 4


def test_each_gate_says_no_for_its_own_reason() -> None:
    assert [g.name for g in judged() if g.blocking and not g.passed] == []
    leak = evidence()["as_of"] | {"changed": ["2000-01: 'a' changes momentum"]}
    assert gate(judged(as_of=leak), "as-of").passed is False
    assert "changes momentum" in gate(judged(as_of=leak), "as-of").detail
    assert gate(judged(gap=1e-3), "golden set").passed is False
    assert gate(judged(gap=float("nan")), "golden set").passed is False
    off = {"passed": False, "detail": "coverage is not as stated", "figures": {}}
    models = evidence()["models"]
    models["m1"]["coverage"] = {"ensemble": off, "mean": off}
    mixed = {"m1": "ensemble", "m12": "mean"}
    held = {"passed": True, "detail": "held", "figures": {}}
    apart = {
        "m1": models["m1"] | {"coverage": {"ensemble": held, "mean": off}},
        "m12": models["m1"],
    }
    both = evidence(models=apart, deployed=mixed, chosen="ensemble")
    assert _coverage(as_record(both)).passed is False
    assert gate(judged(models=models), "coverage").passed is False  # the first one neither
    assert gate(judged(rival(table(off=0.03)), models=models), "coverage").passed is False
    ensemble = {"models": models, "deployed": {"m1": "ensemble"}, "chosen": "ensemble"}
    assert gate(judged(**ensemble), "coverage").passed is False
    trials = gate(judged(), "trials")
    assert (trials.blocking, trials.figures["readings"]) == (False, 2)


def test_the_comparison_agrees_with_diebold_and_mariano_on_independent_months() -> None:
    one, two = table(600, off=0.02), table(600, off=0.03, seed=5)
    y = one["actual"].to_numpy()
    found = compare_squared_error(y, two["forecast"].to_numpy(), one["forecast"].to_numpy(), 1)
    known = diebold_mariano(y, two["forecast"].to_numpy(), one["forecast"].to_numpy(), 1)
    assert found["statistic"] == pytest.approx(known.statistic, rel=0.35)
    assert found["p_better"] + found["p_worse"] == pytest.approx(1)
    back = compare_squared_error(y, one["forecast"].to_numpy(), two["forecast"].to_numpy(), 1)
    assert back["p_better"] == pytest.approx(found["p_worse"])
    assert found["reduction"] > 0 > back["reduction"]


# ---- what it answers


def test_an_earlier_date_is_answered_by_the_walk_and_never_by_the_bundle(
    market: LiveMarket, tmp_path: Path
) -> None:
    said = forecast_of(NAME, market.home, market.ledger, as_of="1999-12-31", horizon="1m")
    assert (said["source"], said["origin"], said["model"]) == (WALKED, "1999-12", "m1")
    walk = market.trained.made.every(Walked)[0]
    walked = pd.read_parquet(walk.place / "forecasts.parquet").set_index("origin")
    assert said["historical_mean"] == walked.loc["1999-12", "mean"]
    moved = said["forecast"] - said["historical_mean"]
    assert sum(r["adds"] for r in said["reasons"]) == pytest.approx(moved, abs=1e-5)
    assert [abs(r["adds"]) for r in said["reasons"]] == sorted(
        (abs(r["adds"]) for r in said["reasons"]), reverse=True
    )
    # What is said of skill is what was known by then: fewer outcomes, in months that follow.
    skill = market.evidence.models["m1"]["skill"]["figures"]
    joined = market.joined
    judged = read_joined(joined, "m1", "answers_ensemble").index
    known = read_joined(joined, "m1", "forecasts").loc[judged, "known_at"] <= "1999-12"
    assert said["evidence"]["figures"]["months"] == known.sum() < skill["months"]
    assert (
        0 < said["moving"]["months"] < market.evidence.models["m1"]["moving"]["ensemble"]["months"]
    )
    early = forecast_of(NAME, market.home, market.ledger, as_of=str(judged[5]), horizon="1m")
    assert early["weight"] == early["strategic_weight"] == 0.6
    assert "months are too few to test it" in early["sentence"]
    assert early["evidence"]["passed"] is None
    assert "too few outcomes are known" in early["sentence"]
    # A day inside a month stands for the month before.
    again = forecast_of(NAME, market.home, market.ledger, as_of="2000-01-30", horizon="1m")
    assert again == said
    folder = write_series(tmp_path, series(planted=True, end="2005-12"))
    with pytest.raises(InputRefused, match="is kept with version"):
        forecast_of(NAME, market.home, market.ledger, data=str(folder))
    folder = write_series(tmp_path / "newer", series(planted=True, end="2018-12"))
    late = forecast_of(NAME, market.home, market.ledger, data=str(folder))
    assert "retrain first" in late["sentence"]
    assert any("months before: retrain it" in note for note in late["notes"])
    now = forecast_of(NAME, market.home, market.ledger)
    assert any("bring newer ones" in note for note in now["notes"])
    assert (now["source"], now["origin"], now["horizon"]) == (LIVE, "2010-12", 12)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"horizon": "3m"}, "'3m' is no horizon"),
        ({"horizon": "m12"}, "'m12' is no horizon"),
        ({"as_of": "yesterday"}, "is no date"),
        ({"as_of": "1950-01"}, "no forecast was made at the end of 1950-01"),
        ({"as_of": "2011-06"}, "ends before the as-of date"),
        ({"data": "nowhere"}, "the file of a series doesn't exist"),
        ({"data": "nowhere", "as_of": "1999-12"}, "is kept with version"),
    ],
)
def test_what_cant_be_answered_is_refused(
    market: LiveMarket, options: dict[str, str], words: str
) -> None:
    with pytest.raises(InputRefused) as refused:
        forecast_of(NAME, market.home, market.ledger, **options)
    assert words in str(refused.value)


def test_a_backtest_is_kept_under_its_version_and_never_overwrites(
    market: LiveMarket, tmp_path: Path
) -> None:
    output = tmp_path / "report"
    found = backtest(NAME, market.home, market.ledger, output)
    assert Path(found["report"]).read_text(encoding="utf-8").count("Version ") >= 1
    assert (output / "skill_m12.csv").is_file()
    assert found["trials"] == len(tried_before(market.home, market.case))
    run = connect(market.home).get_run(found["run_id"])
    assert run.data.tags["riskwright.version"] == str(found["version"])
    held = market.ledger.version(NAME, found["version"])
    assert run.data.tags["mlflow.parentRunId"] == held.run_id
    assert found["strategy"]["ensemble"]["ce_gain"] > 0
    with pytest.raises(InputRefused, match="never overwritten"):
        backtest(NAME, market.home, market.ledger, output)
    with pytest.raises(InputRefused, match="folder doesn't exist"):
        backtest(NAME, market.home, market.ledger, tmp_path / "no" / "report")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report"]


def test_mlflow_has_a_child_a_family_and_every_trial(market: LiveMarket) -> None:
    client = connect(market.home)
    experiment = client.get_experiment_by_name(NAME)
    parent = client.search_runs([experiment.experiment_id], f"tags.`{ROLE}` = '{PARENT}'")[0]
    children = client.search_runs(
        [experiment.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
    )
    names = {run.info.run_name for run in children}
    assert {"mean", "combination_ct", "ridge", "ensemble"} <= names
    ridge = next(run for run in children if run.info.run_name == "ridge")
    assert ridge.data.params["trials"] == "26"  # 13 penalties, two models
    assert {"m1.r2", "m12.rmse", "m1.cpu_seconds"} <= set(ridge.data.metrics)
    assert parent.data.metrics["trials"] == len(tried_before(market.home, market.case))


# ---- integrity


def test_files_that_changed_are_refused(market: LiveMarket, tmp_path: Path) -> None:
    held = market.ledger.version(NAME, market.trained.version)
    path = local_bundle(held.models["m1"].uri, tmp_path) / "history.parquet"
    before = path.read_bytes()
    path.write_bytes(before[:-10] + bytes(10))
    try:
        with pytest.raises(IntegrityError, match="was altered"):
            load_forecast(market.home, market.ledger, NAME, "m1")
    finally:
        path.write_bytes(before)
    joined = held.evidence["joined"]
    assert kept_walk(held.evidence).plain() == joined
    copy = tmp_path / "joined"
    shutil.copytree(joined["folder"], copy)
    moved = {"joined": {**joined, "folder": str(copy)}}
    assert kept_walk(moved).folder == str(copy)
    (copy / "m1" / "trials.json").write_text("[]")
    with pytest.raises(IntegrityError, match="aren't what they were"):
        kept_walk(moved)
    with pytest.raises(IntegrityError):
        kept_walk({"joined": {**joined, "folder": str(tmp_path / "gone")}})


def test_a_model_or_version_that_is_not_there_is_refused(market: LiveMarket) -> None:
    with pytest.raises(InputRefused, match="has no model m3"):
        load_forecast(market.home, market.ledger, NAME, "m3")
    with pytest.raises(InputRefused, match="unknown version"):
        load_forecast(market.home, market.ledger, NAME, "m1", "newest")


def test_under_approval_it_waits_for_a_second_person(market: LiveMarket) -> None:
    case = market_case(name="waiting", approval={"policy": "approval"})
    done = again(market.submission, "waits", case=case)
    assert (done.passed, done.live) == (True, False)
    ledger = market.ledger
    assert ledger.champion("waiting") is None
    with pytest.raises(GateRefused, match="may not approve it"):
        ledger.promote("waiting", done.version, expected=None, actor="trainer", reason="mine")
    promoted = change_champion(
        market.home, ledger, "waiting", "promote", actor="second", reason="read",
        version=done.version, expected=None,
    )  # fmt: skip
    assert promoted.version == done.version
