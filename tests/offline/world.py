"""A home to change: one training of the tiny use case, submitted again and again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tiny import Live, tiny_text, train

from riskwright.case.usecase import UseCase, parse_usecase
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life.retrain import Retrained
from riskwright.life.steps import Work
from riskwright.life.tracking import PARENT, Tracker
from riskwright.systems.credit.promotion import CreditSubmission, submission
from riskwright.systems.credit.records import CreditEvidence, Tables


@dataclass(frozen=True)
class World:
    """A home of its own and what one training of the tiny use case left there."""

    live: Live
    trained: Retrained

    @property
    def home(self) -> Home:
        """The home."""
        return self.live.home

    @property
    def ledger(self) -> Ledger:
        """Its ledger."""
        return self.live.ledger

    def usecase(self, name: str, policy: str = "approval", **changes: Any) -> UseCase:
        """Another use case in the home; its trainings are those of the tiny one."""
        path = self.home.folder("usecases") / f"{name}.yaml"
        # A wide level: the ensemble's lead over the baseline on 365 rows is small.
        plain = {"name": name, "approval": {"policy": policy}, "gates": {"alpha": 0.2}}
        text = tiny_text(**(plain | changes))
        path.write_text(text, encoding="utf-8")
        return parse_usecase(text, where=str(path))

    def submission(
        self, usecase: UseCase, key: str, kind: str = "ensemble", actor: str = "trainer"
    ) -> CreditSubmission:
        """The training as a submission of this use case under this key."""
        tracker = Tracker(self.home, usecase, key)
        place = self.home.folder("work", usecase.name, key)
        work = Work(usecase, self.home, self.ledger, key, place, actor=actor)
        made = submission(work, tracker.run(PARENT), self.trained.made)
        said = {"chosen": kind, "why": f"{kind} by test"}
        return replace(made, evidence=self.evidence.model_copy(update=said))

    @property
    def data(self) -> Tables:
        """What the training learnt from."""
        return self.trained.made.one(Tables)

    @property
    def evidence(self) -> CreditEvidence:
        """What it gathered."""
        return self.trained.made.one(CreditEvidence)


def make_world(folder: Path) -> World:
    """Train the tiny use case once in a fresh home."""
    home = Home(folder).create()
    path = home.folder("usecases") / "tiny.yaml"
    path.write_text(tiny_text(), encoding="utf-8")
    usecase = parse_usecase(path.read_text(encoding="utf-8"), where=str(path))
    done = train(home, usecase)
    return World(Live(home, usecase, path, done.version), done)
