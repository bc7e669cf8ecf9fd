"""From a training snapshot to candidates: nothing leaks, everything repeats, resumes are honest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny import applications, tiny_text

from riskwright.case.usecase import UseCase, parse_usecase
from riskwright.data import splits
from riskwright.data.contract import Contract, target_of
from riskwright.data.ingest import ingest
from riskwright.data.train_test import split
from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.life.retrain import run_key
from riskwright.life.steps import Data
from riskwright.life.workplace import new_part, publish
from riskwright.systems.credit.candidates import fit_family, join, load_candidate
from riskwright.systems.credit.records import Fitted

REPOSITORY = Path(__file__).resolve().parents[3]
ROWS = 700
FAMILIES = {
    "logistic": {},
    "scorecard": {},
    "xgboost": {"params": {"learning_rate": 0.2, "max_trees": 60}},
    "article_mlp": {"params": {"epochs": 2}},
}


def usecase(**changes: Any) -> UseCase:
    return parse_usecase(tiny_text(**({"families": FAMILIES} | changes)), where="test")


def quick(**changes: Any) -> UseCase:
    return usecase(families={"logistic": {}, "scorecard": {}}, **changes)


def parts(spec: UseCase, home: Home, frame: pd.DataFrame, folder: Path) -> tuple[str, str]:
    """Hashes of the training and the test part of a CSV of these rows."""
    path = folder / "cases.csv"
    frame.to_csv(path, index=False)
    train, test = split(spec, ingest(spec, str(path), home).clean, home)
    return train.hash, test.hash


def fit_all(spec: UseCase, home: Home, train: str, folder: Path, seed: int = 0) -> dict[str, Any]:
    families = [
        fit_family(spec, home, train=train, name=name, seed=seed, folder=folder / name)
        for name in spec.families
    ]
    joined = join(spec, home, train=train, families=families, folder=folder / "joined")
    return {"families": families, "joined": joined}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Three families that may enter the ensemble and one reference, fitted once."""
    root = tmp_path_factory.mktemp("candidates")
    home, spec = Home(root / "home").create(), usecase()
    frame = applications(ROWS)
    train, test = parts(spec, home, frame, root)
    fitted = fit_all(spec, home, train, root / "work")
    return {"home": home, "frame": frame, "train": train, "test": test, "root": root, **fitted}


def hashes(fitted: dict[str, Any]) -> list[str]:
    return [step.sha256 for step in (*fitted["families"], fitted["joined"])]


def test_nothing_fitted_changes_when_the_test_part_does(
    world: dict[str, Any], tmp_path: Path
) -> None:
    """Ids stay, so every row stays in its part; all else of the test rows is scrambled."""
    spec, frame = quick(), world["frame"]
    mask = splits.test_mask(spec, Contract(spec, "train").apply(frame).accepted)
    assert 0.2 < mask.mean() < 0.4
    scrambled = frame.copy()
    rng = np.random.default_rng(4)
    held = frame.index[mask]
    for name in frame.columns.drop("ID"):
        scrambled.loc[held, name] = frame[name].to_numpy()[
            rng.permutation(len(frame))[: mask.sum()]
        ]
    outcomes = frame["default.payment.next.month"]
    assert (scrambled.loc[held] != frame.loc[held]).any(axis=None)
    assert (scrambled.loc[held, outcomes.name] != outcomes[held]).any()

    home = world["home"]
    before = fit_all(spec, home, parts(spec, home, frame, tmp_path)[0], tmp_path / "before")
    train, test = parts(spec, home, scrambled, tmp_path)
    assert test != world["test"]
    after = fit_all(spec, home, train, tmp_path / "after")
    assert train == world["train"]
    assert hashes(after) == hashes(before)
    states = [
        json.loads((f["joined"].place / "ensemble" / "ensemble.json").read_text())
        for f in (before, after)
    ]
    assert states[0] == states[1]


def test_what_is_fitted_does_change_with_the_training_part(
    world: dict[str, Any], tmp_path: Path
) -> None:
    """The test above could pass for a model that looks at nothing."""
    spec, frame = quick(), world["frame"].copy()
    mask = splits.test_mask(spec, Contract(spec, "train").apply(frame).accepted)
    row = frame.index[~mask][0]
    frame.loc[row, "LIMIT_BAL"] = 990000.0
    train, test = parts(spec, world["home"], frame, tmp_path)
    assert (train != world["train"], test) == (True, world["test"])
    step = fit_family(
        spec, world["home"], train=train, name="logistic", seed=0, folder=tmp_path / "logistic"
    )
    assert step.sha256 != world["families"][0].sha256


def test_the_same_seed_gives_the_same_files(world: dict[str, Any], tmp_path: Path) -> None:
    again = fit_all(usecase(), world["home"], world["train"], tmp_path)
    assert hashes(again) == hashes(world)


def test_another_seed_gives_another_model(world: dict[str, Any], tmp_path: Path) -> None:
    step = fit_family(
        usecase(),
        world["home"],
        train=world["train"],
        name="xgboost",
        seed=1,
        folder=tmp_path / "x",
    )
    assert step.sha256 != world["families"][2].sha256


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "gru",
        "mlp",
        "cnn",
    ],
)
def test_deep_families_repeat_too(name: str, world: dict[str, Any], tmp_path: Path) -> None:
    params = {"max_epochs": 4} if name == "mlp" else {}
    spec = usecase(families={"scorecard": {}, name: {"params": params}}, split={"folds": 2})
    steps = [
        fit_family(
            spec, world["home"], train=world["train"], name=name, seed=3, folder=tmp_path / place
        )
        for place in ("a", "b")
    ]
    assert steps[0].sha256 == steps[1].sha256
    oofs = [np.load(tmp_path / place / "oof.npy") for place in ("a", "b")]
    assert np.isfinite(oofs[0]).all()
    np.testing.assert_array_equal(*oofs)


def test_a_reference_is_fitted_once_and_stays_outside(world: dict[str, Any]) -> None:
    step = world["families"][3]
    assert (step.name, step.members, step.skipped) == ("article_mlp", 1, "")
    assert not (Path(step.folder) / "oof.npy").exists()
    assert set(world["joined"].calibration) == {"logistic", "scorecard", "xgboost"}
    for candidate in world["joined"].candidates.values():
        assert "article_mlp" not in candidate.weights
    for step in world["families"][:3]:
        assert step.members == 3
        assert np.isfinite(np.load(Path(step.folder) / "oof.npy")).all()


def test_out_of_fold_margins_come_from_models_that_never_saw_the_row(
    world: dict[str, Any],
) -> None:
    """Each row's margin is that of the fold model which left it out, and of no other."""
    from riskwright.learn.bag import Bag
    from riskwright.store import snapshots

    spec = usecase()
    frame = snapshots.read(world["train"], world["home"])
    folder = Path(world["families"][0].folder)
    oof, bag = np.load(folder / "oof.npy"), Bag.load(folder / "bag")
    margins = bag.member_margins(frame[spec.feature_names])
    for member, (_, left_out) in enumerate(
        splits.folds(spec, frame, target_of(spec, frame)), start=0
    ):
        np.testing.assert_allclose(oof[left_out], margins[member, left_out], atol=1e-9)
        others = np.delete(margins[:, left_out], member, axis=0)
        assert (np.abs(others - oof[left_out]) > 1e-6).mean() > 0.9


def test_candidates_are_the_ensemble_and_the_baseline_alone(world: dict[str, Any]) -> None:
    joined = world["joined"]
    assert set(joined.candidates) == {"ensemble", "baseline"}
    for kind, told in joined.candidates.items():
        ensemble, limits = load_candidate(joined, kind)
        assert ensemble.weights == told.weights
        assert sum(told.weights.values()) == pytest.approx(1)
        assert all(w > 0 for w in told.weights.values())
        assert vars(limits) == told.limits
        assert limits.approve_below < limits.cutoff < limits.decline_from
    assert list(joined.candidates["baseline"].weights) == ["scorecard"]


def test_a_family_that_does_not_apply_is_skipped_with_its_reason(
    world: dict[str, Any], tmp_path: Path
) -> None:
    spec = usecase(sequences={}, families={"scorecard": {}, "gru": {}})
    step = fit_family(
        spec, world["home"], train=world["train"], name="gru", seed=0, folder=tmp_path / "gru"
    )
    assert step == Fitted(name="gru", skipped="not applicable: no sequences declared")
    assert step.whole()
    assert list(tmp_path.iterdir()) == []


def test_a_baseline_that_may_not_enter_the_ensemble_is_refused(
    world: dict[str, Any], tmp_path: Path
) -> None:
    spec = usecase(families={"logistic": {}, "scorecard": {"ensemble": False}})
    with pytest.raises(InputRefused, match="baseline 'scorecard' was not fitted with folds"):
        join(
            spec,
            world["home"],
            train=world["train"],
            families=world["families"][:2],
            folder=tmp_path / "joined",
        )
    assert list(tmp_path.iterdir()) == []


def test_the_key_changes_with_data_specification_and_seed() -> None:
    def data(train: str, test: str) -> Data:
        return Data(clean="all", train=train, test=test)

    spec = quick()
    keys = [
        run_key(spec, data("a", "b"), 0),
        run_key(spec, data("c", "b"), 0),
        run_key(spec, data("a", "c"), 0),
        run_key(spec, data("a", "b"), 1),
        run_key(quick(costs={"bad_approved": 6}), data("a", "b"), 0),
        run_key(quick(split={"folds": 4, "test_share": 0.3}), data("a", "b"), 0),
        run_key(usecase(), data("a", "b"), 0),
        run_key(quick(name="other"), data("a", "b"), 0),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0] == run_key(quick(), data("a", "b"), 0)


def test_the_key_changes_with_the_code_and_with_what_is_installed(tmp_path: Path) -> None:
    """A copy of the library; one byte more; another SciPy. A tool beside it changes nothing."""
    library = tmp_path / "lib" / "riskwright"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "src" / "riskwright", library, ignore=ignored)

    def digest() -> str:
        program = "from riskwright.store.provenance import code_digest; print(code_digest())"
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": str(library.parent)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    found = [digest()]
    with (library / "learn" / "bag.py").open("a") as file:
        file.write("#\n")
    found.append(digest())
    for name in ("scipy", "a-tool"):
        info = library.parent / f"{name}-99.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.0\n")
        found.append(digest())
    assert len(set(found)) == 3
    assert found[2] == found[3]


@pytest.mark.parametrize("fault", ["byte", "missing", "extra", "renamed", "gone"])
def test_a_step_that_was_tampered_with_is_found(
    fault: str, world: dict[str, Any], tmp_path: Path
) -> None:
    step = world["families"][1]
    folder = tmp_path / "scorecard"
    shutil.copytree(step.folder, folder)
    step = step.model_copy(update={"folder": str(folder)})
    assert step.whole()
    victim = folder / "oof.npy"
    if fault == "byte":
        content = bytearray(victim.read_bytes())
        content[-1] ^= 1
        victim.write_bytes(content)
    elif fault == "missing":
        victim.unlink()
    elif fault == "extra":
        (folder / "bag" / "extra.json").write_text("{}")
    elif fault == "renamed":
        victim.rename(folder / "oof_.npy")
    else:
        shutil.rmtree(folder)
    assert not step.whole()


def test_a_result_appears_whole_and_replaces_the_former(tmp_path: Path) -> None:
    folder = tmp_path / "step"
    for content in ("first", "second"):
        (new_part(folder) / "half").write_text(content)
        part = new_part(folder)  # tried again
        assert list(part.iterdir()) == [], "left over from another attempt"
        (part / "result").write_text(content)
        publish(part, folder)
        assert [p.name for p in tmp_path.iterdir()] == ["step"]
        assert (folder / "result").read_text() == content
