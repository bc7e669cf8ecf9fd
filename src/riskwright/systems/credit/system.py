"""Credit as a system: how likely is this applicant or company to default."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riskwright.case.usecase import UseCase, parse_usecase
from riskwright.systems.credit.extension import Extension, extension_of

if TYPE_CHECKING:
    from riskwright.home import Home
    from riskwright.ledger import Ledger
    from riskwright.life.commands import Read
    from riskwright.life.steps import Made, Step, Work
    from riskwright.life.submission import Submission
    from riskwright.life.system import Columns, Reasons, Served
    from riskwright.life.tracking import Tracker
    from riskwright.systems.credit.records import Tables

NUMBERS = {"pd", "member_min", "member_max", "disagreement"}


class Credit:
    """What ``life`` asks of the kind ``credit``."""

    kind = "credit"
    about = "is about credit"
    extension = Extension()

    def case(self) -> type[UseCase]:
        """Return the class of its use cases."""
        return UseCase

    def parse(self, text: str, *, where: str, folder: Path | None = None) -> UseCase:
        """Read the YAML text of a use case; relative paths in it are seen from ``folder``."""
        return parse_usecase(text, where=where, folder=folder)

    def open(self, folder: Path, digest: str | None) -> Served:
        """Read a bundle whose files were checked."""
        from riskwright.systems.credit.bundle import Bundle

        return Bundle.load(folder, digest)

    def columns(self, case: UseCase, model: str) -> Columns:
        """Any cell type in (the contract checks and says more), the score's columns out."""
        from riskwright.life.system import Columns
        from riskwright.systems.credit.bundle import COLUMNS

        kinds = dict.fromkeys(NUMBERS, "number") | {"model_version": "whole"}
        outputs: Any = {name: kinds.get(name, "text") for name in COLUMNS}
        return Columns(asked(case), outputs, reasons=True)

    def ingest(self, case: UseCase, location: str | None, home: Home) -> Tables:
        """Store what a source holds today as snapshots: raw, clean, train, test."""
        from riskwright.systems.credit.steps import ingest

        return ingest(case, location, home)

    def steps(self, case: UseCase) -> Sequence[Step]:
        """Fit each family, join the ensemble, evaluate on the test part and explain."""
        from riskwright.systems.credit.steps import steps

        return steps(case)

    def log(self, work: Work, tracker: Tracker, parent: str, made: Made) -> None:
        """Write figures, plots and snapshots, and a child run for each family."""
        from riskwright.systems.credit.record import record

        record(tracker, parent, made)

    def submission(self, work: Work, run_id: str, made: Made) -> Submission:
        """Return the candidates with their evidence and the monitor's references."""
        from riskwright.systems.credit.promotion import submission

        return submission(work, run_id, made)

    def told(self, made: Made) -> dict[str, Any]:
        """Return every candidate's figures, the cut-offs, and how the test part is decided."""
        from riskwright.systems.credit.records import CreditEvidence, Described, Fitted, Tables

        plain = made.one(CreditEvidence).plain()
        keep = ("metrics", "limits", "decisions", "test_rows", "test_bads")
        page = made.one(Described).page
        return {
            **{name: plain[name] for name in keep},
            "families": [
                {"name": f.name, "skipped": f.skipped}
                | {k: None if f.skipped else getattr(f, k) for k in ("seconds", "members")}
                for f in made.every(Fitted)
            ],
            "data": made.one(Tables).plain() | {"quality_report": page},
        }

    def logged_metrics(
        self, evidence: Mapping[str, Any], roles: Collection[str]
    ) -> dict[str, dict[str, float]]:
        """Return what each of a retrain's runs in MLflow was given, by role, from its evidence."""
        from riskwright.systems.credit.record import logged_metrics

        return logged_metrics(dict(evidence))

    def check(self, case: UseCase, location: str | None, home: Home) -> dict[str, Any]:
        """Hold data against the contract and report on its quality."""
        from riskwright.systems.credit.data_check import check_data

        return check_data(case, location, home)

    def score(
        self,
        name: str,
        home: Home,
        ledger: Ledger,
        *,
        input: str,
        output: Path,
        version: str,
        reasons: Reasons,
        progress: Read | None = None,
    ) -> dict[str, Any]:
        """Score a file: PD, spread of the members, decision and reasons; of loans the price."""
        from dataclasses import asdict

        from riskwright.systems.credit.promotion import load_version
        from riskwright.systems.credit.scoring import score_file

        bundle = load_version(home, ledger, name, version)
        price = extension_of(bundle.usecase).pricer(home, ledger, bundle)
        done = score_file(bundle, input, output, reasons=reasons, price=price, progress=progress)
        return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(done).items()}

    def monitor(
        self,
        name: str,
        home: Home,
        ledger: Ledger,
        *,
        input: str | None,
        labels: str | None,
        as_of: str | None,
        version: str | None,
    ) -> dict[str, Any]:
        """Hold a batch of scored cases, or a history of loans, against the version's reference."""
        from riskwright.errors import InputRefused
        from riskwright.systems.credit.monitoring import monitor_batch
        from riskwright.systems.credit.promotion import trained_usecase

        if input is None:
            raise InputRefused("which batch?", expected="--input FILE")
        spec = trained_usecase(home, ledger, name, version or "champion")
        return monitor_batch(
            spec, home, ledger, input=input, labels=labels, as_of=as_of, version=version
        )


def asked(case: UseCase) -> dict[str, bool]:
    """Return the columns that a case to score may have: all that is known before the decision."""
    return {
        name: False
        for name, column in case.columns.items()
        if name != case.target.column and not column.after_decision
    }


SYSTEM = Credit()
