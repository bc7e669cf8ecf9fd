"""A use case that trains in seconds, and the whole life of a version without Prefect.

``tests/offline`` is on the path of the suite and of the processes that it starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from riskwright.case.usecase import UseCase, parse_usecase
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life.retrain import Retrained, retrain
from riskwright.life.steps import Record, Step
from riskwright.life.workplace import Progress
from riskwright.systems.credit.records import Described

ROWS = 1200


@dataclass(frozen=True)
class Live:
    """A home with a champion, and where its use case's file lies."""

    home: Home
    usecase: UseCase
    yaml: Path
    version: int

    @property
    def ledger(self) -> Ledger:
        """The home's ledger."""
        return Ledger.open(self.home)


def tiny_text(**changes: Any) -> str:
    """The shipped credit_assessment, cut to three quick families and 1,200 rows."""
    from importlib import resources

    text = (resources.files("riskwright.systems.credit") / "credit_assessment.yaml").read_text()
    plain = yaml.safe_load(text)
    plain |= {
        "name": "tiny",
        "families": {
            "logistic": {},
            "scorecard": {},
            "xgboost": {"params": {"learning_rate": 0.1, "max_trees": 200}},
        },
        "split": {"test_share": 0.3, "folds": 3},
        "approval": {"policy": "automatic"},
    }
    plain["source"] = {"simulator": "credit_applications", "rows": ROWS, "seed": 3}
    plain["columns"]["EDUCATION"]["required"] = False
    plain |= changes
    return yaml.safe_dump(plain, sort_keys=False)


def make_live(folder: Path, **changes: Any) -> Live:
    """Train, judge and promote the tiny use case in a fresh home, as the flows do."""
    home = Home(folder).create()
    path = home.folder("usecases") / "tiny.yaml"
    path.write_text(tiny_text(**changes), encoding="utf-8")
    usecase = parse_usecase(path.read_text(encoding="utf-8"), where=str(path))
    version = train(home, usecase).version
    return Live(home, usecase, path, version)


def without_page(step: Step, go: Callable[[Progress], Record]) -> Record:
    """Do a step, but for the data-quality page: ten CPU seconds, looked at by tests of its own."""
    if step.gives is Described:
        return Described(page="no data-quality report: left out")
    return go(lambda fraction: None)


def train(home: Home, usecase: UseCase, data: str | None = None, seed: int = 0) -> Retrained:
    """A retrain without Prefect."""
    ledger = Ledger.open(home, create=True)
    return retrain(
        usecase, home, ledger, data=data, seed=seed, actor="trainer", perform=without_page
    )


def make_book(folder: Path) -> Live:
    """Train, judge and promote a small loan book in a fresh home."""
    from importlib import resources

    text = (resources.files("riskwright.systems.loans") / "loan_book.yaml").read_text()
    plain = yaml.safe_load(text)
    plain |= {
        "name": "small_book",
        "families": ["logistic", "scorecard"],
        "approval": {"policy": "automatic"},
    }
    plain["source"] |= {"rows": 4000}
    home = Home(folder).create()
    path = home.folder("usecases") / "small_book.yaml"
    path.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    usecase = parse_usecase(path.read_text(encoding="utf-8"), where=str(path))
    return Live(home, usecase, path, train(home, usecase).version)


def applications(rows: int, seed: int = 99, **scenario: Any) -> pd.DataFrame:
    """New simulated applications, outcomes included."""
    from riskwright.data.simulators import simulate

    return simulate("credit_applications", rows, seed, **scenario).frame
