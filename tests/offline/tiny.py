"""A use case that trains in seconds, and the whole life of a version without Prefect.

``tests/offline`` is on the path of the suite and of the processes that it starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from riskwright.case.usecase import UseCase, parse_usecase
from riskwright.home import Home
from riskwright.ledger import Ledger

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
    version = train(home, usecase)["version"]
    return Live(home, usecase, path, version)


def train(home: Home, usecase: UseCase, data: str | None = None, seed: int = 0) -> dict[str, Any]:
    """The steps of the retrain flow, called one after the other."""
    from riskwright.data.ingest import ingest
    from riskwright.data.train_test import split
    from riskwright.life.submission import submit
    from riskwright.life.tracking import Tracker
    from riskwright.systems.credit.candidates import fit_family, join, run_key
    from riskwright.systems.credit.evidence import gather
    from riskwright.systems.credit.promotion import CreditSubmission
    from riskwright.systems.credit.record import record
    from riskwright.systems.credit.reference import make_reference

    ledger = Ledger.open(home, create=True)
    found = ingest(usecase, data, home)
    train_part, test_part = split(usecase, found.clean, home)
    hashes = {
        "raw": found.raw.hash,
        "clean": found.clean.hash,
        "train": train_part.hash,
        "test": test_part.hash,
    }
    key = run_key(usecase, train_part.hash, test_part.hash, seed)
    place = home.folder("work", usecase.name, key[:16])
    families = [
        fit_family(usecase, home, train=hashes["train"], name=name, seed=seed, folder=place / name)
        for name in usecase.families
    ]
    joined = join(usecase, home, train=hashes["train"], families=families, folder=place / "joined")
    loss = None
    if usecase.loan is not None:
        from riskwright.systems.loans.loss import fit_loss

        loss = fit_loss(
            usecase,
            home,
            train=hashes["train"],
            seed=seed,
            folder=place / "loss",
            clean=hashes["clean"],
        )
    ledger.count_reading(hashes["test"], usecase.name, "evaluate", key)
    evidence = gather(
        usecase,
        home,
        train=hashes["train"],
        test=hashes["test"],
        families=families,
        joined=joined,
        seed=seed,
        folder=place / "evidence",
        loss=loss,
        clean=hashes["clean"],
    )
    trained = {"families": families, "joined": joined, "evidence": evidence, "data": hashes}
    run = record(usecase, home, ledger, key=key, trained=trained, owner="tests:1")
    references = {
        kind: make_reference(
            usecase, home, test=hashes["test"], folder=Path(evidence["folder"]), kind=kind
        ).hash
        for kind in ("ensemble", "baseline")
    }
    submission = CreditSubmission(
        case=usecase,
        home=home,
        ledger=ledger,
        tracker=Tracker(home, usecase, key),
        run_id=run,
        train=hashes["train"],
        test=hashes["test"],
        references=references,
        joined=joined,
        evidence=evidence,
        folder=place,
        seed=seed,
        actor="trainer",
        loss=loss or {},
    )
    done = submit(submission)
    return {"version": done.version, "done": done, "key": key, "run": run, **trained}


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
    return Live(home, usecase, path, train(home, usecase)["version"])


def applications(rows: int, seed: int = 99, **scenario: Any) -> pd.DataFrame:
    """New simulated applications, outcomes included."""
    from riskwright.data.simulators import simulate

    return simulate("credit_applications", rows, seed, **scenario).frame
