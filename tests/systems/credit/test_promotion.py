"""How a version goes live and comes back: gates, four eyes, aliases that follow the ledger."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from world import World

from riskwright.errors import Conflict, GateRefused, InputRefused, IntegrityError
from riskwright.ledger import Gate
from riskwright.life.aliases import change_champion, reconcile
from riskwright.life.specification import Frozen
from riskwright.life.submission import Submitted, submit
from riskwright.life.tracking import KEY, ROLE, connect, local_bundle
from riskwright.store import snapshots
from riskwright.systems.credit.promotion import CreditSubmission, _champion_pds, load_version
from riskwright_flows.cli import app


def aliases(world: World, name: str) -> dict[str, int]:
    """What MLflow says is champion and challenger."""
    found = connect(world.home).get_registered_model(f"{name}.pd").aliases
    return {alias: int(version) for alias, version in found.items()}


def mlflow_version(world: World, name: str, version: int) -> int:
    return world.ledger.version(name, version).models["pd"].mlflow_version


def gate(done: Submitted, name: str) -> Gate:
    return next(g for g in done.gates if g.name == name)


def change(world: World, name: str, action: str, **more: Any) -> Any:
    champion = world.ledger.champion(name)
    given = {"actor": "second", "reason": "tested", **more}
    if action != "reject":
        given.setdefault("expected", champion.version if champion else None)
    return change_champion(world.home, world.ledger, name, action, **given)


def two_versions(world: World, name: str) -> tuple[int, int]:
    """A baseline that is live, and an ensemble after it that is live now."""
    spec = world.usecase(name)
    first = submit(world.submission(spec, "one", "baseline")).version
    change(world, name, "promote", version=first)
    second = submit(world.submission(spec, "two", "ensemble")).version
    change(world, name, "promote", version=second)
    return first, second


def test_automatic_policy_promotes_at_once(world: World) -> None:
    spec = world.usecase("automatic", "automatic")
    done = submit(world.submission(spec, "one"))
    assert (done.passed, done.live, done.kind) == (True, True, "ensemble")
    live = world.ledger.champion("automatic")
    assert live is not None
    assert live.version == done.version
    assert live.actor == f"policy:automatic:{spec.digest[:12]}"
    assert aliases(world, "automatic") == {
        "champion": mlflow_version(world, "automatic", done.version)
    }


def test_no_policy_lets_a_telltale_column_go_live_alone(world: World) -> None:
    spec = world.usecase("telltale", "automatic")
    made = world.submission(spec, "one")
    found = [{"column": "PAID", "auc": 0.99, "detail": "PAID alone tells good from bad"}]
    done = submit(replace(made, evidence=made.evidence.model_copy(update={"telltales": found})))
    assert (done.passed, done.live) == (True, False)
    assert done.note == "a person decides: see telltale columns"
    assert [v.version for v in world.ledger.challengers("telltale")] == [done.version]


def test_approval_policy_waits_for_a_second_person(world: World) -> None:
    done = submit(world.submission(world.usecase("waits"), "one"))
    ledger = world.ledger
    assert (done.passed, done.live) == (True, False)
    assert ledger.champion("waits") is None
    assert [v.version for v in ledger.challengers("waits")] == [done.version]
    assert aliases(world, "waits") == {"challenger": mlflow_version(world, "waits", done.version)}
    with pytest.raises(InputRefused, match="waits has no champion"):
        load_version(world.home, ledger, "waits")

    with pytest.raises(GateRefused, match="was trained by trainer, who may not approve it"):
        change(world, "waits", "promote", version=done.version, actor="trainer")
    with pytest.raises(GateRefused, match="who may not approve it"):
        change(world, "waits", "promote", version=done.version, actor="Trainer")
    assert ledger.champion("waits") is None
    assert "champion" not in aliases(world, "waits")

    promoted = change(world, "waits", "promote", version=done.version)
    assert (promoted.actor, promoted.kind, promoted.previous) == ("second", "promotion", None)
    assert aliases(world, "waits") == {"champion": mlflow_version(world, "waits", done.version)}
    assert ledger.challengers("waits") == []
    assert load_version(world.home, ledger, "waits").version == done.version


def test_who_trained_is_told_no_on_the_command_line_with_exit_3(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    version = submit(world.submission(world.usecase("eyes"), "one", actor="tester")).version
    with pytest.raises(SystemExit) as ended:
        app(["approve", "eyes", str(version), "--reason", "mine is good"])
    told = capsys.readouterr()
    assert ended.value.code == 3
    assert "who may not approve it" in told.err
    assert world.ledger.champion("eyes") is None
    # The attempt itself is on record.
    events = [e for e in world.ledger.events("eyes") if e.kind == "promotion.refused"]
    assert [(e.actor, e.payload["version"]) for e in events] == [("tester", version)]


def test_an_approval_against_another_champion_is_a_conflict(world: World) -> None:
    _, second = two_versions(world, "race")
    before = aliases(world, "race")
    with pytest.raises(Conflict, match=f"the champion of race is version {second}"):
        change(world, "race", "rollback", expected=second - 1)
    assert aliases(world, "race") == before


def test_a_tie_keeps_the_champion(world: World) -> None:
    """The same ensemble under another key: it differs from the champion in nothing."""
    spec = world.usecase("tie", "automatic")
    first = submit(world.submission(spec, "one"))
    again = submit(world.submission(spec, "two"))
    assert again.version != first.version
    assert (again.passed, again.live) == (False, False)
    judged = gate(again, "champion")
    assert judged.passed is False
    assert judged.figures["log_loss_difference"] == pytest.approx(0, abs=1e-12)
    live = world.ledger.champion("tie")
    assert live is not None
    assert live.version == first.version
    assert aliases(world, "tie") == {
        "champion": mlflow_version(world, "tie", first.version),
        "challenger": mlflow_version(world, "tie", again.version),
    }
    with pytest.raises(GateRefused, match="didn't pass 1 of"):
        change(world, "tie", "promote", version=again.version)


def test_a_better_one_replaces_the_champion_on_rows_that_neither_knew(world: World) -> None:
    spec = world.usecase("better", "automatic")
    submit(world.submission(spec, "one", "baseline"))
    done = submit(world.submission(spec, "two", "ensemble"))
    judged = gate(done, "champion")
    assert (judged.passed, done.live) == (True, True)
    assert judged.figures["rows"] == world.evidence.test_rows
    assert "named anew" not in judged.detail
    assert judged.figures["log_loss_difference"] < 0


def test_rows_that_the_champion_was_trained_on_are_left_out(world: World) -> None:
    """A champion of another split has seen part of today's test rows."""
    spec = world.usecase("seen")
    home, data = world.home, world.data
    test = snapshots.read(data.test, home)
    known = pd.concat([snapshots.read(data.train, home), test[:200]])
    older = snapshots.write(known, home, kind="train", parents=(data.clean,))
    first = submit(replace(world.submission(spec, "one", "baseline"), train=older.hash))
    change(world, "seen", "promote", version=first.version)
    judged = gate(submit(world.submission(spec, "two")), "champion")
    assert judged.figures["rows"] == len(test) - 200
    # Its snapshot doesn't say how rows were named: it was parted by an earlier version.
    assert "rows are named anew (by ID; for version 1 by an earlier version" in judged.detail
    assert "only rows that version 1 never learnt count" in judged.detail

    everything = snapshots.write(
        pd.concat([known, test[200:]]), home, kind="train", parents=(data.clean,)
    )
    spec = world.usecase("knows_all")
    first = submit(replace(world.submission(spec, "one", "baseline"), train=everything.hash))
    change(world, "knows_all", "promote", version=first.version)
    judged = gate(submit(world.submission(spec, "two")), "champion")
    assert judged.passed is None
    assert "not enough data" in judged.detail


def test_a_champion_that_cannot_be_read_is_no_verdict(world: World, tmp_path: Path) -> None:
    spec = world.usecase("damaged", "automatic")
    first = submit(world.submission(spec, "one", "baseline"))
    ref = world.ledger.version("damaged", first.version).models["pd"]
    (local_bundle(ref.uri, tmp_path) / "bundle.json").write_text("{}")
    with pytest.raises(IntegrityError):
        load_version(world.home, world.ledger, "damaged")
    done = submit(world.submission(spec, "two"))
    judged = gate(done, "champion")
    assert (judged.passed, done.live) == (None, False)
    assert "can't score these rows" in judged.detail


def test_a_champion_whose_column_is_no_longer_declared_says_what_to_do(world: World) -> None:
    spec = world.usecase("narrower", "automatic")
    first = submit(world.submission(spec, "one", "baseline"))
    rows = snapshots.read(world.data.test, world.home).drop(columns="LIMIT_BAL")
    with pytest.raises(InputRefused, match="reads LIMIT_BAL, which") as caught:
        _champion_pds(spec, world.home, world.ledger, rows, first.version)
    assert "feature: false" in caught.value.do


def test_files_that_score_otherwise_than_evaluated_do_not_go_live(
    world: World, tmp_path: Path
) -> None:
    of = world.submission(world.usecase("golden", "automatic"), "one")
    shutil.copytree(of.evidence.place, tmp_path / "evidence")
    table = pd.read_parquet(tmp_path / "evidence" / "predictions.parquet")
    table["ensemble"] *= 0.999
    table.to_parquet(tmp_path / "evidence" / "predictions.parquet")
    done = submit(
        replace(of, evidence=of.evidence.model_copy(update={"folder": str(tmp_path / "evidence")}))
    )
    judged = gate(done, "golden set")
    assert (judged.passed, judged.blocking, done.live) == (False, True, False)
    assert judged.figures["largest_difference"] > 1e-6
    assert world.ledger.champion("golden") is None


def test_rollback_reject_and_history(world: World) -> None:
    first, second = two_versions(world, "back")
    assert load_version(world.home, world.ledger, "back").version == second
    done = change(world, "back", "rollback", reason="approvals fell by half")
    assert (done.version, done.previous, done.kind) == (first, second, "rollback")
    assert aliases(world, "back")["champion"] == mlflow_version(world, "back", first)
    assert load_version(world.home, world.ledger, "back").version == first

    change(world, "back", "reject", version=second)
    with pytest.raises(GateRefused, match="was rejected"):
        change(world, "back", "promote", version=second)
    with pytest.raises(InputRefused, match="nothing to go back to"):
        change(world, "back", "rollback")
    with pytest.raises(Conflict, match="is the champion"):
        change(world, "back", "reject", version=first)
    told = [(p.version, p.kind) for p in world.ledger.history("back")]
    assert told == [(first, "promotion"), (second, "promotion"), (first, "rollback")]
    assert aliases(world, "back")["champion"] == mlflow_version(world, "back", first)


def test_a_rejected_challenger_loses_its_alias(world: World) -> None:
    version = submit(world.submission(world.usecase("turned_down"), "one")).version
    assert "challenger" in aliases(world, "turned_down")
    change(world, "turned_down", "reject", version=version)
    assert aliases(world, "turned_down") == {}


def test_the_standby_baseline_takes_over_and_scores(world: World) -> None:
    submit(world.submission(world.usecase("falls", "automatic"), "one"))
    ledger = world.ledger
    standby = [v for v in ledger.versions("falls") if v.evidence["standby"]]
    assert len(standby) == 1
    assert standby[0].version not in [v.version for v in ledger.challengers("falls")]
    done = change(world, "falls", "fallback", reason="the ensemble drifts")
    assert (done.version, done.kind) == (standby[0].version, "fallback")
    assert aliases(world, "falls")["champion"] == standby[0].models["pd"].mlflow_version

    bundle = load_version(world.home, ledger, "falls")
    assert list(bundle.ensemble.bags) == ["scorecard"]
    frame = snapshots.read(world.data.test, world.home)
    folder = world.evidence.place
    wanted = pd.read_parquet(folder / "predictions.parquet")["baseline"]
    scored = bundle.score(frame)
    np.testing.assert_allclose(scored["pd"], wanted, rtol=0, atol=1e-9)
    assert set(scored["model_version"]) == {standby[0].version}
    with pytest.raises(InputRefused, match="no baseline but the one that is live"):
        change(world, "falls", "fallback")


def test_a_chosen_baseline_has_no_twin_on_standby(world: World) -> None:
    submit(world.submission(world.usecase("simple"), "one", "baseline"))
    versions = world.ledger.versions("simple")
    assert [(v.evidence["kind"], v.evidence["standby"]) for v in versions] == [("baseline", False)]


def everything(world: World, of: CreditSubmission) -> dict[str, Any]:
    """What a submission leaves in the ledger and in MLflow."""
    client, name = connect(world.home), of.case.name
    experiment = client.get_experiment_by_name(name).experiment_id
    return {
        "versions": world.ledger.versions(name),
        "gates": [world.ledger.gates(name, v.version) for v in world.ledger.versions(name)],
        "history": world.ledger.history(name),
        "runs": sorted(r.info.run_id for r in client.search_runs([experiment])),
        "parents": [
            r.data.tags[KEY] for r in client.search_runs([experiment], f"tags.`{ROLE}` = 'retrain'")
        ],
        "registered": sorted(
            (v.version, v.source, tuple(v.aliases))
            for v in client.search_model_versions(f"name='{name}.pd'")
        ),
        "logged": sorted(m.model_id for m in client.search_logged_models([experiment])),
        "bundles": sorted(p for p in of.folder.rglob("*") if p.is_file()),
    }


@pytest.mark.parametrize("kind", ["ensemble", "baseline"])
def test_submitting_the_same_key_again_changes_nothing(kind: str, world: World) -> None:
    spec = world.usecase(f"again_{kind}", "automatic")
    of = world.submission(spec, "one", kind)
    done = submit(of)
    before = everything(world, of)
    assert before["parents"] == ["one"]
    assert len(before["registered"]) == len(before["versions"]) == 1 + (kind == "ensemble")
    again = submit(world.submission(spec, "one", kind))
    assert (again.version, again.live, again.gates) == (done.version, True, done.gates)
    assert everything(world, of) == before


def test_the_same_rows_from_another_file_are_the_same_version(world: World) -> None:
    """The key is of content: columns in another order, another path, another name for the YAML."""
    spec = world.usecase("same_rows", "automatic")
    began = Frozen(spec, "same_rows", {"uid": 1, "name": "a", "shipped": False}, "", "1" * 64)
    first = replace(world.submission(spec, "one"), data="a.csv", began=began)
    done = submit(first)
    began = replace(began, named="elsewhere/same_rows.yaml")
    again = submit(replace(first, data="b.csv", began=began))
    assert again.version == done.version
    kept = world.ledger.version("same_rows", done.version).evidence
    assert (kept["data"], kept["specification"]) == ("a.csv", "same_rows")


def test_an_old_key_does_not_push_out_what_was_promoted_since(world: World) -> None:
    spec = world.usecase("old", "automatic")
    first = submit(world.submission(spec, "one", "baseline"))
    second = submit(world.submission(spec, "two", "ensemble"))
    assert (first.live, second.live) == (True, True)
    again = submit(world.submission(spec, "one", "baseline"))
    assert (again.version, again.live) == (first.version, False)
    change(world, "old", "rollback")
    again = submit(world.submission(spec, "two", "ensemble"))
    assert (again.version, again.live) == (second.version, False)
    live = world.ledger.champion("old")
    assert live is not None
    assert (live.version, live.kind) == (first.version, "rollback")


def test_gates_hold_against_the_champion_they_were_judged_by(world: World) -> None:
    """Two challengers wait; once one is live, the other was compared with yesterday's."""
    spec = world.usecase("two")
    first = submit(world.submission(spec, "one", "baseline")).version
    second = submit(world.submission(spec, "two", "ensemble")).version
    change(world, "two", "promote", version=first)
    with pytest.raises(GateRefused, match=f"judged against no champion, and version {first}"):
        change(world, "two", "promote", version=second)
    live = world.ledger.champion("two")
    assert live is not None
    assert live.version == first


def test_changed_rules_need_a_person_however_often_they_are_submitted(world: World) -> None:
    """Whoever trains writes the YAML: looser gates must not let their own author's model live."""
    strict = world.usecase("rules", "automatic", gates={"alpha": 0.2, "min_test_bads": 20})
    first = submit(world.submission(strict, "one", "baseline"))
    assert first.live
    loose = world.usecase("rules", "automatic", gates={"alpha": 0.2, "min_test_bads": 5})
    for key in ("two", "three"):
        done = submit(world.submission(loose, key, "ensemble"))
        assert (done.passed, done.live) == (True, False)
        assert "a person decides" in done.note
    change(world, "rules", "promote", version=done.version)
    # Now the new rules are those that a second person let live.
    again = submit(world.submission(loose, "four", "baseline"))
    assert again.note == ""
    live = world.ledger.champion("rules")
    assert live is not None
    assert live.version == done.version


def test_a_policy_turned_automatic_needs_a_person_too(world: World) -> None:
    spec = world.usecase("policy", "approval")
    first = submit(world.submission(spec, "one"))
    assert not first.live
    spec = world.usecase("policy", "automatic")
    for key in ("two", "three"):
        done = submit(world.submission(spec, key))
        assert (done.passed, done.live) == (True, False)
        assert "a person decides" in done.note
    assert world.ledger.champion("policy") is None


def test_a_rejected_version_does_not_score(world: World) -> None:
    version = submit(world.submission(world.usecase("no"), "one")).version
    assert load_version(world.home, world.ledger, "no", str(version)).version == version
    change(world, "no", "reject", version=version)
    with pytest.raises(GateRefused, match="was rejected"):
        load_version(world.home, world.ledger, "no", str(version))


def test_a_standby_counts_only_once_its_ensemble_was_trusted(world: World) -> None:
    """The rows of a retrain that nobody approved must not come in by the back door."""
    spec = world.usecase("door")
    first = submit(world.submission(spec, "one", "ensemble")).version
    change(world, "door", "promote", version=first)
    standby = first - 1
    waiting = submit(world.submission(spec, "two", "ensemble"))
    newer = world.ledger.version("door", waiting.version - 1)
    assert newer.evidence["standby"]
    done = change(world, "door", "fallback")
    assert done.version == standby != newer.version


def test_reconcile_mends_aliases_that_were_moved_by_hand(world: World) -> None:
    first, second = two_versions(world, "moved")
    waiting = submit(world.submission(world.usecase("moved"), "three")).version
    right = {
        "champion": mlflow_version(world, "moved", second),
        "challenger": mlflow_version(world, "moved", waiting),
    }
    assert aliases(world, "moved") == right
    assert reconcile("moved", world.home, world.ledger) == []

    client = connect(world.home)
    wrong = str(mlflow_version(world, "moved", first))
    client.set_registered_model_alias("moved.pd", "champion", wrong)
    client.delete_registered_model_alias("moved.pd", "challenger")
    changed = reconcile("moved", world.home, world.ledger)
    assert sorted(changed) == ["moved.pd@challenger", "moved.pd@champion"]
    assert aliases(world, "moved") == right


@pytest.mark.parametrize(
    ("which", "word"),
    [
        ("99", "has no version 99"),
        ("best", "unknown version 'best'"),
        ("-1", "unknown version '-1'"),
        ("challenger", "has no challenger"),
    ],
)
def test_versions_that_there_are_not(which: str, word: str, world: World) -> None:
    with pytest.raises(InputRefused, match=word):
        load_version(world.home, world.ledger, "tiny", which)


def test_load_by_number_and_by_role(world: World) -> None:
    first, second = two_versions(world, "roles")
    waiting = submit(world.submission(world.usecase("roles"), "three")).version
    found = {
        which: load_version(world.home, world.ledger, "roles", which).version
        for which in ("champion", "challenger", str(first))
    }
    assert found == {"champion": second, "challenger": waiting, str(first): first}


def test_what_a_version_rests_on_is_in_its_evidence(world: World) -> None:
    version = world.ledger.version("tiny", world.live.version)
    data = world.data
    assert version.trained_by == "trainer"
    assert (version.evidence["train"], version.evidence["test"]) == (data.train, data.test)
    assert version.evidence["usecase"] == world.live.usecase.digest
    chain = snapshots.chain(version.evidence["reference"], world.home)
    assert [m["kind"] for m in chain][:2] == ["reference", "test"]
    folder = Path(version.evidence["folder"])
    told = json.loads((folder / "evidence.json").read_text())
    assert told["metrics"][version.evidence["kind"]] == version.evidence["metrics"]
    assert world.ledger.verify().ok
