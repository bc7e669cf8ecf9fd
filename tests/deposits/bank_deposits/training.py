"""A retrain: accounts are read and parted, rates fitted, judged, and handed to the registry."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from bank_deposits.model import Retention, examine, fit, read
from riskwright.data.outgoing import write_csv
from riskwright.errors import InputRefused
from riskwright.ledger import Gate
from riskwright.life.bundles import open_bundle
from riskwright.life.policy import version_number
from riskwright.life.rules import changes, write_changes
from riskwright.life.steps import Data, Evidence, Kept, Step
from riskwright.life.submission import Submission
from riskwright.life.tracking import PARENT, local_bundle, rules_tag
from riskwright.life.workplace import new_part, publish
from riskwright.store import snapshots, writer

MODEL, KINDS = "retention", ("by_segment", "one_rate")


class Book(Data):
    """What ingestion made of a source."""

    test: str
    read: int
    refused: int
    quarantine: str | None = None


class Fitted(Kept):
    """The rates, in a folder."""


class DepositEvidence(Evidence):
    """Both candidates' errors on the test part."""

    metrics: dict[str, dict[str, float]]
    accounts: dict[str, int]


def ingest(case, location, home) -> Book:
    """Store what a source holds as snapshots; refused rows go to quarantine."""
    place = location or case.source
    if place is None:
        raise InputRefused(
            "no data is named, and the use case has no source of its own",
            where=f"use case {case.name!r}",
            do="give a file with --data, or set 'source' in the use case",
        )
    rows = read(place)
    accounts, refused = examine(case, rows, outcome=True)
    if len(refused) > case.monitor.refused * len(rows):
        raise InputRefused(
            f"{len(refused)} of {len(rows)} rows are refused: {refused['reason'].iloc[0]}",
            where=str(place),
            expected=f"at most {case.monitor.refused:.0%}",
        )
    said = {"usecase": case.name}
    raw = snapshots.write(rows.astype("str"), home, kind="raw", meta=said)
    clean = snapshots.write(accounts, home, kind="clean", parents=[raw.hash], meta=said)
    # By the account alone: one that is sent again stays in its part.
    digest = accounts["account"].map(lambda a: hashlib.sha256(str(a).encode()).hexdigest()[:8])
    held = digest.map(lambda text: int(text, 16) / 16**8) < case.test_share
    train, test = (
        snapshots.write(accounts[rows], home, kind=kind, parents=[clean.hash], meta=said).hash
        for kind, rows in (("train", ~held), ("test", held))
    )
    quarantine, warnings = None, []
    if len(refused):
        quarantine = home.root / "quarantine" / case.name / f"{raw.hash}.csv"
        with writer.replacing(quarantine, private=True) as part:
            write_csv(refused, part)
        warnings = [f"{len(refused)} rows refused, see {quarantine}"]
    return Book(
        clean=clean.hash,
        train=train,
        test=test,
        warnings=warnings,
        read=len(rows),
        refused=len(refused),
        quarantine=None if quarantine is None else str(quarantine),
    )


def fit_rates(work, at, made) -> Fitted:
    """Fit a rate for each segment, and one for all."""
    train = snapshots.read(made.one(Book).train, work.home)
    every = fit(train)
    by_segment = {name: fit(train[train["segment"] == name]) for name in work.case.segments}
    part = new_part(at.folder)
    rates = {"by_segment": by_segment, "one_rate": dict.fromkeys(work.case.segments, every)}
    (part / "rates.json").write_text(json.dumps(rates), encoding="utf-8")
    return Fitted(folder=str(at.folder), sha256=publish(part, at.folder))


def judge(work, at, made) -> DepositEvidence:
    """Compare both candidates on accounts that neither learnt from; a test chooses."""
    data, rates = made.one(Book), rates_of(made)
    work.ledger.count_reading(data.test, work.case.name, "evaluate", work.key)
    test = snapshots.read(data.test, work.home)
    errors = {kind: losses(test, Retention(work.case, rates[kind], 0, "")) for kind in KINDS}
    p = better(errors["one_rate"], errors["by_segment"])
    chosen = "by_segment" if p < work.case.gates.alpha else "one_rate"
    part = new_part(at.folder)
    changed = changes(work.home, work.ledger, work.case, work.key)
    found = DepositEvidence(
        folder=str(at.folder),
        sha256="",
        chosen=chosen,
        why=f"a rate for each segment against one for all: p = {p:.3g}",
        metrics={kind: {"squared_error": float(e.mean())} for kind, e in errors.items()},
        accounts=test["segment"].value_counts().to_dict(),
        **write_changes(part, changed),
    )
    return found.finished(part)


STEPS = [
    Step("rates", "fit rates", Fitted, fit_rates, ("data",), 1.0),
    Step("evidence", "judge on held-out accounts", DepositEvidence, judge, ("data", "rates"), 1.0),
]


def rates_of(made):
    """Return candidate to segment to its rate."""
    return json.loads((made.one(Fitted).place / "rates.json").read_text(encoding="utf-8"))


def losses(frame, model) -> np.ndarray:
    """Squared error of the share that stays, an account each."""
    share = frame["stayed"] / frame["balance"]
    return ((share - model.rate(frame)) ** 2).to_numpy()


def better(theirs, mine) -> float:
    """One-sided p of a paired test that mine are smaller (normal approximation)."""
    lead = theirs - mine
    error = lead.std(ddof=1) / np.sqrt(len(lead)) if len(lead) > 1 else 0.0
    return float(norm.sf(lead.mean() / error)) if error > 0 else 1.0


def logged_metrics(evidence):
    """Return what the run in MLflow was given, by the evidence: 'verify' compares."""
    found = {f"{kind}.{n}": v for kind, m in evidence["metrics"].items() for n, v in m.items()}
    return {PARENT: found}


def log(tracker, parent, made) -> None:
    """Write figures, snapshots and the evidence to the run."""
    data, evidence = made.one(Book), made.one(DepositEvidence)
    kept = {name: snapshots.find(getattr(data, name), tracker.home) for name in ("train", "test")}
    tracker.log_snapshots(parent, kept)
    tracker.log(
        parent,
        params={"usecase": tracker.usecase.name, "chosen": evidence.chosen},
        metrics=logged_metrics(evidence.plain())[PARENT],
        tags=rules_tag(evidence.rules_changed),
        artifacts=sorted(evidence.place.iterdir()),
        finish=False,
    )


@dataclass(frozen=True, kw_only=True)
class DepositSubmission(Submission):
    """What the registry needs."""

    data_made: Book
    rates: dict

    @property
    def baseline(self) -> str:
        return "one_rate"

    def writers(self, kind):
        return {
            MODEL: lambda version, part: Retention.write(part, self.case, self.rates[kind], version)
        }

    def told(self, kind):
        made = self.data_made
        said = {"train": made.train, "test": made.test, "reference": made.test}
        return {**said, "metrics": self.evidence.metrics[kind]}

    def snapshots(self, kind):
        return (self.data_made.train, self.data_made.test)

    def judge(self, version, changed):
        test = snapshots.read(self.data_made.test, self.home)
        return [_enough(self), _champion(self, test, changed), _golden(self, test, version)]


def submission(work, run_id, made) -> DepositSubmission:
    """Return what the registry needs of what the steps made."""
    return DepositSubmission(
        **DepositSubmission.common(work, run_id),
        evidence=made.one(DepositEvidence),
        data_made=made.one(Book),
        rates=rates_of(made),
    )


def load(home, ledger, usecase, which="champion") -> Retention:
    """Open a registered version, every file checked."""
    number = version_number(ledger, usecase, which)
    ref = ledger.version(usecase, number).models[MODEL]
    return open_bundle(local_bundle(ref.uri, home.root / "bundles" / ref.digest), ref.digest)


def _enough(of) -> Gate:
    needed = of.case.gates.min_accounts
    few = [s for s in of.case.segments if of.evidence.accounts.get(s, 0) < needed]
    detail = f"test accounts: {of.evidence.accounts}"
    if few:
        detail += f"; not enough data, {needed} of each segment are needed"
    return Gate("test data", None if few else True, detail, {"accounts": of.evidence.accounts})


def _champion(of, test, changed) -> Gate:
    """Not worse than what is live, on accounts that neither learnt from."""
    live = of.ledger.champion(of.case.name)
    told = {"against": live.version if live else None}  # a promotion needs it
    if live is None:
        return Gate("champion", True, "there is no champion yet", told)
    if changed.question:
        return Gate("champion", None, "it answers another question", told, blocking=False)
    learnt = snapshots.read(live.evidence["train"], of.home)["account"]
    new = test[~test["account"].isin(learnt)]
    champion = load(of.home, of.ledger, of.case.name)
    mine = losses(new, Retention(of.case, of.rates[of.kind], 0, ""))
    p = better(mine, losses(new, champion))
    detail = f"the champion is better by test: p = {p:.3g} on {len(new)} accounts"
    return Gate("champion", p >= of.case.gates.alpha, detail, {**told, "p": p})


def _golden(of, test, version) -> Gate:
    """The registered files, loaded back, give what was evaluated."""
    again = load(of.home, of.ledger, of.case.name, str(version)).answer(test)
    first = Retention(of.case, of.rates[of.kind], version, "").answer(test)
    apart = float((again["stays"] - first["stays"]).abs().max())
    return Gate("golden set", apart < 1e-9, f"within {apart:.1e} when loaded back", {})
