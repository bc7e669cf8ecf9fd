"""Rows without an id and with few combinations of features: content names no case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from tiny import Live, train

from riskwright.case.usecase import parse_usecase
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.store import snapshots
from riskwright.systems.credit.monitoring import monitor_batch
from riskwright.systems.credit.scored import _sent_again

LEVELS = {"job": 6, "home": 5, "region": 4}
PLAIN: dict[str, Any] = {
    "name": "tiny",
    "title": "Few codes",
    "question": "Who defaults?",
    "target": {"column": "bad", "bad": 1, "good": 0},
    "families": ["logistic"],
    "baseline": "logistic",
    "split": {"test_share": 0.3, "folds": 3},
    "approval": {"policy": "automatic"},
    "columns": {
        **{n: {"type": "category", "values": list("abcdef"[:k])} for n, k in LEVELS.items()},
        "bad": {"type": "category", "values": [0, 1]},
    },
}


def drawn(rows: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    """Cases of at most 120 combinations; a shift adds to the log-odds of going bad."""
    rng = np.random.default_rng(seed)
    codes = {name: rng.integers(0, k, rows) for name, k in LEVELS.items()}
    margin = -1.4 + shift + 0.6 * (codes["job"] - 2.5) - 0.4 * (codes["home"] - 2)
    frame = pd.DataFrame({name: np.array(list("abcdef"))[c] for name, c in codes.items()})
    return frame.assign(bad=(rng.uniform(size=rows) < 1 / (1 + np.exp(-margin))).astype(int))


@pytest.fixture(scope="module")
def few_codes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Live, Path]:
    folder = tmp_path_factory.mktemp("few")
    drawn(2500, 1).to_csv(folder / "train.csv", index=False)
    home = Home(folder / "home").create()
    plain = PLAIN | {"source": {"location": str(folder / "train.csv")}}
    path = home.folder("usecases") / "tiny.yaml"
    path.write_text(yaml.safe_dump(plain), encoding="utf-8")
    usecase = parse_usecase(path.read_text(encoding="utf-8"), where=str(path))
    Ledger.open(home, create=True)
    live = Live(home, usecase, path, train(home, usecase).version)
    return live, folder / "train.csv"


def look(live: Live, path: Path) -> dict[str, Any]:
    return monitor_batch(live.usecase, live.home, live.ledger, input=str(path), labels=None)


def test_outcomes_of_new_cases_are_judged_although_all_are_like_training_rows(
    few_codes: tuple[Live, Path], tmp_path: Path
) -> None:
    live, _ = few_codes
    for shift, verdict in ((0.0, "ok"), (1.0, "alarm")):
        path = tmp_path / f"new{shift}.csv"
        drawn(2500, 2, shift).to_csv(path, index=False)
        found = look(live, path)
        (ratio,) = [f for f in found["findings"] if f["code"] == "observed_expected"]
        assert ratio["verdict"] == verdict
        assert "of 2,500 (" in ratio["detail"]
        assert found["labels"]["trained_on"] == 0
        assert found["labels"]["chance_alike"] == 1
        assert "by chance" in found["labels"]["words"]
        assert "so they are judged" in found["labels"]["words"]


def test_the_training_file_sent_again_is_noticed(
    few_codes: tuple[Live, Path], tmp_path: Path
) -> None:
    live, given = few_codes
    again = pd.read_csv(given).sample(frac=1, random_state=3)
    again[3:].to_csv(tmp_path / "again.csv", index=False)  # in another order, three rows short
    found = look(live, tmp_path / "again.csv")
    assert found["labels"]["trained_on"] > 1000
    assert "chance_alike" not in found["labels"]
    assert "trained on, so not judged" in found["labels"]["words"]


@pytest.mark.parametrize("share", [pytest.param(0.4, marks=pytest.mark.slow), 0.7])
def test_of_a_part_of_the_training_file_nothing_can_be_judged(
    few_codes: tuple[Live, Path], tmp_path: Path, share: float
) -> None:
    """Which rows they are content can't tell; that they are too much like them it can."""
    live, _ = few_codes
    learnt = snapshots.read(live.ledger.version("tiny", live.version).evidence["train"], live.home)
    learnt.sample(frac=share, random_state=3).to_csv(tmp_path / "part.csv", index=False)
    found = look(live, tmp_path / "part.csv")
    (said,) = [f for f in found["findings"] if f["family"] == "labels"]
    assert said["verdict"] == "can't be judged"
    assert "a part of the training rows seems to have been sent again" in said["detail"]


@pytest.mark.slow
def test_new_cases_are_hardly_ever_taken_for_a_part_of_the_training_file() -> None:
    def counted(rows: int, seed: int) -> tuple[pd.Series, np.ndarray]:
        frame = drawn(rows, seed)
        return frame[list(LEVELS)].agg("".join, axis=1), frame["bad"].to_numpy()

    learnt = counted(1750, 1)
    sizes = (100, 400, 900, 1500)
    assert not any(_sent_again(counted(n, 10 + i), learnt) for n in sizes for i in range(40))
