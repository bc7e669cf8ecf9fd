"""Value a book with the champion's set of models, and keep the report under its version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from riskwright.case.usecase import UseCase
from riskwright.data import maturity, novel
from riskwright.data.outgoing import formulas, write_csv
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life.output import new_folder, refuse_taken
from riskwright.life.tracking import log_report
from riskwright.systems.credit.bundle import Bundle
from riskwright.systems.credit.promotion import load_version
from riskwright.systems.loans.book import Book, read_book
from riskwright.systems.loans.earlier_report import Report, bands_of, last_report, remember
from riskwright.systems.loans.loss_bundle import LossBundle
from riskwright.systems.loans.portfolio import backtests, report, stress, summary
from riskwright.systems.loans.portfolio.checks import confidence_level
from riskwright.systems.loans.portfolio.status import Status
from riskwright.systems.loans.promotion import load_loss
from riskwright.systems.loans.status import status_of
from riskwright.systems.loans.valuation import Valued, value_loans

Progress = Callable[[str, float], None]
LOANS = "loans.parquet"


def report_on(
    usecase: UseCase,
    home: Home,
    ledger: Ledger,
    *,
    input: str,
    output: Path,
    as_of: date | None = None,
    scenario: str = "base",
    confidence: float = 0.999,
    progress: Progress = lambda what, done: None,
) -> dict[str, Any]:
    """Say what the loans that we hold will lose.

    Parameters
    ----------
    input
        File or URL of the book (``data.book.read_book``).
    output
        Folder for the report; made, and complete or not there at all.
    as_of
        The book's date, where the file doesn't say it.
    scenario
        A shipped name, or a YAML file: the stress in the foreground.
    confidence
        Of the bad year, inside (0, 1).
    progress
        Called with what is being done and the fraction of it.

    Returns
    -------
    dict
        The headline figures, and where the report, the loans and the quarantine are.

    Raises
    ------
    InputRefused
        If the book, the scenario, the confidence or the output can't be used; nothing is written.
    """
    confidence_level(confidence)
    shock = stress.load_scenario(scenario)
    output = output.resolve()
    refuse_taken(output)
    maturity.loan_of(usecase)
    models = _Models.live(home, ledger, usecase.name)
    usecase = models.pd.usecase  # the champion's own: today's YAML may say otherwise
    progress("read the book", 0.0)
    book = read_book(usecase, input, as_of)
    of = _valuation(models, book, status_of(ledger, usecase.name), progress)
    place = home.folder("books", usecase.name)
    earlier = last_report(place, book.as_of)
    found = _summary(of, ledger, earlier, shock, confidence, progress)
    progress("write the report", 0.0)
    compared = "" if earlier is None else f"Against {earlier.day}: {earlier.of}."
    _write(of, found, output, compared, Path(input).name)
    told = _told(of, found, output, compared)
    remember(place, of.report)
    return told | _to_mlflow(usecase, home, ledger, output, told)


@dataclass(frozen=True)
class _Models:
    """The champion's models, promoted together."""

    pd: Bundle
    lgd: LossBundle
    ead: LossBundle

    @classmethod
    def live(cls, home: Home, ledger: Ledger, name: str) -> Self:
        bundle = load_version(home, ledger, name)
        lgd, ead = (load_loss(home, ledger, name, bundle.version, m) for m in ("lgd", "ead"))
        return cls(bundle, lgd, ead)


@dataclass(frozen=True)
class _Valuation:
    """A valued book: by which models, its loans by name, and the ways to divide them."""

    models: _Models
    status: Status
    book: Book
    valued: Valued
    loans: pd.DataFrame
    by: pd.DataFrame

    @property
    def version(self) -> int:
        return self.models.pd.version

    @property
    def report(self) -> Report:
        """What the next report is compared with."""
        return Report(
            f"{self.book.as_of:%Y-%m-%d}",
            f"{len(self.loans):,} loans, version {self.version}",
            summary.segments_for_waterfall(self.loans, self.by.iloc[:, 0]),
            bands_of(self.loans),
        )


def _valuation(models: _Models, book: Book, status: Status, progress: Progress) -> _Valuation:
    usecase = models.pd.usecase
    valued = value_loans(
        models.pd,
        models.lgd,
        models.ead,
        book.frame,
        status=status,
        scenarios=stress.outlooks(maturity.loan_of(usecase)),
        progress=lambda done: progress("value the loans", done),
    )
    loans = _named(usecase, book, valued, models.pd.version)
    return _Valuation(models, status, book, valued, loans, _divisions(usecase, book.frame))


def _summary(
    of: _Valuation,
    ledger: Ledger,
    earlier: Report | None,
    shock: stress.Scenario,
    confidence: float,
    progress: Progress,
) -> summary.Summary:
    """The figures, what the PDs of bands and grades did, and what a reader has to know."""
    bundle, valued = of.models.pd, of.valued
    found = summary.summarise(
        maturity.loan_of(bundle.usecase),
        of.loans,
        of.by,
        members_el=valued.members_el,
        weights=valued.weights,
        errors=valued.errors,
        scenario_ecl=valued.scenario_ecl,
        confidence=confidence,
        scenario=shock,
        status=of.status,
        before=None if earlier is None else earlier.segments,
        progress=lambda done: progress("simulate bad years", done),
    )
    found.notes[:0] = _notes(bundle, of.book, _converts(of.models.ead))
    if _simulated(ledger, bundle):
        found.notes.insert(0, "the champion learnt on simulated loans: train it on your own first")
    if earlier is not None:
        found.tables["Migration between bands of the PD"] = backtests.migration(
            earlier.bands, bands_of(of.loans)
        ).rename_axis(index="before", columns=None)
    graded, tilt = _grades(ledger, bundle)
    if graded is not None:
        found.tables["PD of the grades against what came of the test loans"] = graded
        found.notes.extend(tilt)
    return found


def _write(
    of: _Valuation, found: summary.Summary, output: Path, compared: str, source: str
) -> None:
    """Write the report, the loans and the quarantine; the folder is whole or not there."""
    book = of.book
    with new_folder(output) as part:
        divided = pd.concat([of.loans, of.by.add_prefix("segment_")], axis=1)
        divided.to_parquet(part / LOANS, index=False)
        if len(book.quarantine):
            changed = write_csv(book.quarantine, part / "quarantine.csv")
            found.notes.extend([formulas(changed, "quarantine.csv")] * bool(changed))
        report.write(
            part,
            found,
            title=f"{of.models.pd.usecase.title} on {book.as_of:%Y-%m-%d}",
            facts={
                "Version": str(of.version),
                "loans": f"{len(of.loans):,}",
                "file": source,
                "PD, LGD and EAD": "promoted together",
            },
            compared=compared,
        )


def _told(of: _Valuation, found: summary.Summary, output: Path, compared: str) -> dict[str, Any]:
    book = of.book
    return {
        "usecase": of.models.pd.usecase.name,
        "version": of.version,
        "as_of": f"{book.as_of:%Y-%m-%d}",
        **found.headline,
        "read": book.read,
        "refused": len(book.quarantine),
        "left_out": book.left_out,
        "notes": found.notes,
        "stress": found.tables["Stress"].reset_index().to_dict("records"),
        "worst_by": next(iter(found.groups)),
        "worst": next(iter(found.groups.values())).head(5).reset_index().to_dict("records"),
        "steps": None if found.steps is None else found.steps.to_dict(),
        "compared": compared,
        "report": str(output / report.PAGE),
        "loans_file": str(output / LOANS),
    }


def _divisions(usecase: UseCase, frame: pd.DataFrame) -> pd.DataFrame:
    """The ways to divide the book: grade, the segments of the use case, the quarter of issue."""
    held = maturity.loan_of(usecase)
    names = [n for n in ([held.grade] if held.grade else []) + list(held.segments) if n in frame]
    out = {
        n: frame[n].map(lambda v: f"{v:g}" if isinstance(v, float) else v).fillna("not known")
        for n in names
    }
    out["vintage"] = frame[str(usecase.time)].dt.to_period("Q").astype("str")
    return pd.DataFrame(out).astype("str")


def _named(usecase: UseCase, book: Book, valued: Valued, version: int) -> pd.DataFrame:
    held = maturity.loan_of(usecase)
    frame = book.frame
    ids = frame[usecase.id] if usecase.id else pd.Series(frame.index.astype("str"), frame.index)
    return valued.loans.assign(
        id=ids,
        as_of=book.as_of,
        rate=frame[held.rate],
        months_left=frame["months_left"],
        effective_maturity=frame["effective_maturity"],
        days_past_due=frame["days_past_due"],
        model_version=version,
    )


def _notes(bundle: Bundle, book: Book, conversion: bool) -> list[str]:
    notes = [*book.notes, *novel.notes_on(bundle.ensemble.seen, book.frame)]
    blank = [n for n in bundle.schema.names if book.frame[n].isna().all()]
    if blank:
        notes.insert(
            0,
            f"{len(blank)} columns that the PD rests on are missing in every row: "
            f"{', '.join(blank)}; the expected loss is that of loans about which nothing is known "
            "there: compare with the trained data",
        )
    term = book.frame["months_on_book"] + book.frame["months_left"]
    new = ~bundle.hazard.seen(term) if bundle.hazard is not None else np.zeros(len(term), bool)
    if new.any():
        owed = book.frame.loc[new, "balance"].sum()
        notes.append(
            f"{int(new.sum()):,} loans that owe {owed:,.0f} have terms that no training loan had: "
            "their timing is that of the nearest term seen"
        )
    if bundle.hazard is not None and bundle.hazard.last < 1:
        notes.append(
            f"no training loan was seen beyond {bundle.hazard.last:.0%} of its term: from there on "
            "the hazards of failing and of early repayment are held where they were"
        )
    if not conversion:
        notes.append(
            "the training data hold no revolving lines (no credit conversion factor was learnt), "
            "and where they have no dates of recoveries and cures, stated rules stand in"
        )
    if len(book.quarantine):
        notes.append(
            f"{len(book.quarantine):,} loans couldn't be read and are in no figure: see "
            f"quarantine.csv; what they owe: {_owed(book.left_out)}"
        )
    return notes


def _grades(ledger: Ledger, bundle: Bundle) -> tuple[pd.DataFrame | None, list[str]]:
    """The version's backtest by grade, and a note if the PDs of the grades are off."""
    path = Path(ledger.version(bundle.usecase.name, bundle.version).evidence.get("folder", ""))
    try:
        table = pd.read_csv(path / "backtest_by_grade.csv", index_col=0)
        told = table[["loans", "defaults", "mean_pd", "rate"]]
    except (OSError, ValueError, KeyError):
        return None, []
    said, grade = backtests.off_by_grade(told), str(maturity.loan_of(bundle.usecase).grade)
    if said and grade not in bundle.usecase.feature_names:
        said += f"; the PD isn't made of the grade: 'feature: true' of the column {grade!r} lets it"
    over = told["mean_pd"] / told["rate"].where(told["rate"] > 0)
    return told.assign(pd_over_rate=over), [said] * bool(said)


def _simulated(ledger: Ledger, bundle: Bundle) -> bool:
    """Whether the champion was trained on the use case's simulator."""
    source, name = bundle.usecase.source, bundle.usecase.name
    given = ledger.version(name, bundle.version).evidence.get("data")
    return given is None and source.location is None and source.simulator is not None


def _owed(money: float) -> str:
    return "the source doesn't say" if np.isnan(money) else f"{money:,.0f}"


def _converts(ead: LossBundle) -> bool:
    """Whether a credit conversion factor was learnt."""
    return getattr(ead.fitted, "ccf", None) is not None


def _to_mlflow(
    usecase: UseCase, home: Home, ledger: Ledger, output: Path, told: dict[str, Any]
) -> dict[str, str]:
    """Keep the report under the champion's version; its absence is told, never the end."""
    plain = json.dumps(told, sort_keys=True, default=str)
    key = f"book-{told['as_of']}-{hashlib.sha256(plain.encode()).hexdigest()[:12]}"
    figures = {
        k: float(v)
        for k, v in told.items()
        if isinstance(v, (int, float)) and not isinstance(v, bool)
    }
    version = told["version"]
    return log_report(
        home,
        usecase,
        key,
        "portfolio",
        output,
        parent=ledger.version(usecase.name, version).run_id,
        params={"version": version, "as_of": told["as_of"]},
        metrics=figures,
        tags={"riskwright.version": str(version)},
    )
