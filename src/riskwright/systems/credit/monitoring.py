"""Watch one batch: score it, hold it against the champion's reference, report, open an alert."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskwright.case.usecase import UseCase
from riskwright.data import novel
from riskwright.data.contract import Checked, HeaderVerdict
from riskwright.data.sources import read_chunks
from riskwright.errors import InputRefused, NoRows
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life.findings import Finding, Result, severity_of
from riskwright.life.look import Plain, finish, folder_of, named
from riskwright.life.policy import version_number
from riskwright.store import snapshots
from riskwright.systems.credit import batch_checks
from riskwright.systems.credit.bundle import Bundle
from riskwright.systems.credit.extension import extension_of
from riskwright.systems.credit.history import (
    History,
    Judged,
    cut,
    day_of,
    labels_in_time,
    mature_labels,
    seen_until,
)
from riskwright.systems.credit.labels import Labels, read_labels, words
from riskwright.systems.credit.promotion import load_registered
from riskwright.systems.credit.reference import Reference
from riskwright.systems.credit.report import draw_report
from riskwright.systems.credit.scored import judged_by, most_of, recorded, scored_by

MOST_APART = 5_000  # rows


@dataclass(frozen=True)
class _Opened:
    """A batch as one version sees it."""

    bundle: Bundle
    reference: Reference
    raw: pd.DataFrame
    batch: str
    checked: Checked
    header: HeaderVerdict
    labels: Labels | None
    by: NDArray[np.float64]  # which version scored each accepted row, where known
    history: History | None
    judged: Judged | None


def monitor_batch(
    usecase: UseCase,
    home: Home,
    ledger: Ledger,
    *,
    input: str,
    labels: str | None,
    as_of: str | None = None,
    version: str | None = None,
) -> dict[str, Any]:
    """Monitor a batch as it arrived.

    Parameters
    ----------
    input
        File or URL of the batch.
    labels
        File with the id and the target column, for the rows whose outcome is known by now;
        the batch's own target column is used if it has one and this is left out (of loans, where
        it is mature by the last payment in the file).
    as_of
        Date, such as ``2016-06-01``, by which the input is taken as a history of loans: what came
        later is ignored, the loans of its last twelve months of issue are the batch, and all of
        them are judged by their defaults so far (``loans.book_checks.judge_book``).
    version
        Hold the batch against this version: ``champion``, ``challenger`` or a number. If left out,
        against the version that scored most of the cases with a known outcome, where that is
        recorded or follows from the times of decision; else against the champion.

    Returns
    -------
    dict
        Verdicts by family, findings, the report's path, and the alert's id or None; what the
        ``labels`` are, and by which version they were judged; of a history also ``as_of``,
        ``window`` and the ``book``'s tables.

    Raises
    ------
    InputRefused
        If the batch can't be read at all, or the use case has no such version; of a history also
        if the date can't be one, or no loan was issued by then.
    """
    day = _day(as_of, labels)
    seen, why = _by_its_scorer(usecase.name, home, ledger, input, labels, day, version)
    usecase = seen.bundle.usecase  # its limits were registered with it, not today's YAML's
    scores, known = _scores(seen, home, ledger)
    result = _checked(seen, scores, known)
    told = _told(seen, input, known, why, result)

    def draw(folder: Path) -> Callable[[Plain], str]:
        frames = seen.reference, seen.checked.accepted
        render = draw_report(usecase, *frames, scores, result, folder, book=seen.judged)
        told["findings"] = result.as_dict()["findings"]  # with Evidently's failure, if it failed
        return render

    folder = folder_of(home, told, known.digest if known else "")
    severity = partial(severity_of, verdicts=result.verdicts)
    return finish(usecase, home, ledger, told, folder=folder, draw=draw, severity=severity)


def _day(as_of: str | None, labels: str | None) -> pd.Timestamp | None:
    """The date by which a history is taken; a history has its own outcomes."""
    if as_of is None:
        return None
    day = day_of(as_of)
    if labels is not None:
        raise InputRefused(
            "a history of loans has its own outcomes",
            where=f"--labels {labels} with --as-of {as_of}",
            expected="one of the two: labels have no date, so they can't be cut at one",
        )
    return day


def _by_its_scorer(
    name: str,
    home: Home,
    ledger: Ledger,
    input: str,
    labels: str | None,
    day: pd.Timestamp | None,
    version: str | None,
) -> tuple[_Opened, str]:
    """Open a batch by the version that was asked for, or that scored most of it; say why."""
    number = version_number(ledger, name, version or "champion")
    seen = _open(name, home, ledger, number, input, labels, day, version)
    scorer = None if seen.labels is None else most_of(seen.by, seen.labels)
    if version is None and scorer not in (None, number):
        seen = _open(name, home, ledger, int(scorer or 0), input, labels, day, version)
    return seen, _judged_by(seen, number, scorer, version)


def _checked(seen: _Opened, scores: NDArray[np.float64] | None, known: Labels | None) -> Result:
    """Hold the batch against the version's reference."""
    bundle, reference, accepted = seen.bundle, seen.reference, seen.checked.accepted
    result = batch_checks.check_batch(
        bundle.usecase,
        reference=reference,
        raw=seen.raw,
        checked=seen.checked,
        header=seen.header,
        pd=scores,
        labels=known,
        book=seen.judged.findings if seen.judged else None,
        apart=None if scores is None else _apart(bundle, reference, accepted),
    )
    return replace(result, findings=[*result.findings, *_never_in_training(bundle, accepted)])


def _open(
    name: str,
    home: Home,
    ledger: Ledger,
    number: int,
    input: str,
    labels: str | None,
    day: pd.Timestamp | None,
    version: str | None,
) -> _Opened:
    """Read batch and outcomes as a version understands them."""
    bundle = load_registered(home, ledger, name, number)
    usecase, evidence = bundle.usecase, ledger.version(name, number).evidence
    reference = Reference.from_frame(snapshots.read(evidence["reference"], home))
    raw, batch = _batch(usecase, input)
    history, judged = None, None
    if day is not None and len(raw):
        history = cut(usecase, raw, day, input)
        judged = extension_of(usecase).judge_history(
            bundle, reference, history, lambda: snapshots.read(evidence["train"], home)
        )
        raw, batch = history.recent, hashlib.sha256(f"{batch} {day:%F}".encode()).hexdigest()
    checked, header = batch_checks.examine(usecase, raw)
    accepted = checked.accepted
    if usecase.loan is not None and labels is None:
        seen = history.seen if history else seen_until(usecase, raw)
        known = mature_labels(usecase, raw, accepted, seen, history)
    else:
        known = read_labels(usecase, raw, accepted, labels)
        if usecase.loan is not None and known is not None:
            known = labels_in_time(usecase, raw, accepted, known, str(labels))
    by = np.empty(0)
    if known is not None:
        # Who names a version knows better than the calendar; a history is of loans of many years,
        # and asks whether what is live still fits them.
        asked = version is not None or day is not None
        by = recorded(known) if asked else scored_by(ledger, usecase, known, accepted)
    return _Opened(bundle, reference, raw, batch, checked, header, known, by, history, judged)


def _apart(
    bundle: Bundle, reference: Reference, accepted: pd.DataFrame
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Which rows of batch and reference (of at most 5,000 each) members disagree on too much."""
    limit = bundle.limits.refer_above
    if limit is None:
        return None
    frames = (f.iloc[:: -(-len(f) // MOST_APART)] for f in (accepted, reference.frame) if len(f))
    found = [
        bundle.ensemble.predict(f[bundle.schema.names])["disagreement"].to_numpy() > limit
        for f in frames
    ]
    return (found[0], found[1]) if len(found) == 2 else None


def _never_in_training(bundle: Bundle, accepted: pd.DataFrame) -> list[Finding]:
    """What of the batch is scored at a neutral place, since training had nothing like it."""
    return [
        Finding("quality", "never_in_training", None, "told", detail=detail)
        for detail in novel.notes_on(bundle.ensemble.seen, accepted)
    ]


def _scores(
    seen: _Opened, home: Home, ledger: Ledger
) -> tuple[NDArray[np.float64] | None, Labels | None]:
    """Score the accepted rows; leave out outcomes that say nothing of the version."""
    bundle, accepted, labels = seen.bundle, seen.checked.accepted, seen.labels
    if not len(accepted) or any(n not in accepted for n in bundle.schema.names):
        return None, labels
    if labels is None or not np.isfinite(labels.y).any():
        return bundle.score(accepted, reasons="none")["pd"].to_numpy(), labels
    return judged_by(bundle, home, ledger, seen.reference, accepted, labels, seen.by)


def _judged_by(seen: _Opened, live: int, scorer: int | None, asked: str | None) -> str:
    """Say why outcomes are held against this version; empty if there are none."""
    version = seen.bundle.version
    if seen.labels is None or not np.isfinite(seen.labels.y).any() or seen.history is not None:
        return ""
    if asked is not None:
        return f"outcomes are held against version {version}, as asked"
    if scorer is None:
        return (
            "which version scored these cases isn't known: their outcomes are held against "
            f"version {version}, which is live"
        )
    what = "that most of these cases were scored by"
    return f"outcomes are held against version {version}, {what}" + (
        f"; version {live} is live" if version != live else ""
    )


def _told(
    seen: _Opened, input: str, known: Labels | None, why: str, result: Result
) -> dict[str, Any]:
    return {
        "usecase": seen.bundle.usecase.name,
        "version": seen.bundle.version,
        "batch": seen.batch,
        "input": named(input),
        "labels": None if known is None else known.counts | {"words": words(known)},
        "judged_by": why,
        **result.as_dict(),
        **_of_history(seen),
    }


def _of_history(seen: _Opened) -> dict[str, Any]:
    """What is told of a history of loans besides."""
    history, judged = seen.history, seen.judged
    if history is None or judged is None:
        return {}
    return {
        "as_of": f"{history.as_of:%F}",
        "window": {
            "since": f"{history.since:%F}",
            "until": f"{history.until:%F}",
            "later_loans_ignored": history.later,
        },
        "book": {
            "words": judged.words,
            "tables": {
                name: table.astype(object).where(table.notna(), None).to_dict("records")
                for name, table in judged.tables.items()
            },
        },
    }


def _batch(usecase: UseCase, input: str) -> tuple[pd.DataFrame, str]:
    """Read a batch; return its rows as they arrived, and its name.

    A batch without rows is a batch: that nothing arrived is what a monitor is there to tell. It is
    named by where and on which day it was looked for, so that each day's is an alert of its own.

    Raises
    ------
    InputRefused
        If it can't be read, or is another file.
    """
    names = list(usecase.columns)
    chunks = read_chunks(
        usecase.source, input, columns=usecase.columns, target=usecase.target.column
    )
    try:
        raw = pd.concat(list(chunks))
    except NoRows:
        looked = f"no rows in {input} on {datetime.now(UTC):%F}"
        nothing = pd.DataFrame(columns=list(names), dtype="str").rename_axis("row")
        return nothing, hashlib.sha256(looked.encode()).hexdigest()
    features = usecase.feature_names
    lost = [n for n in features if n not in raw]
    if len(lost) > len(features) / 2 and any(usecase.columns[n].required for n in lost):
        raise InputRefused(
            f"only {len(features) - len(lost)} of the {len(features)} features are in the batch: "
            "this is another file, or it is written otherwise",
            where=f"{input}: {', '.join(map(str, raw.columns[:8]))}",
            expected=", ".join(features[:8]) + ", …",
            do="check the file, its delimiter and its header",
        )
    return raw, _batch_hash(raw)


def _batch_hash(raw: pd.DataFrame) -> str:
    digest = hashlib.sha256("|".join(map(str, raw.columns)).encode())
    digest.update(pd.util.hash_pandas_object(raw.astype("str"), index=False).to_numpy().tobytes())
    return digest.hexdigest()
