"""Watch one batch: score it, hold it against the champion's reference, report, open an alert."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskwright.data import snapshots
from riskwright.data.meaning import ids_of, outcomes
from riskwright.data.sources import read_chunks
from riskwright.errors import InputRefused, NoRows
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.monitoring import monitor
from riskwright.monitoring.book import judge_book
from riskwright.monitoring.findings import severity_of
from riskwright.monitoring.history import cut, day_of, mature_labels, seen_until
from riskwright.monitoring.look import Plain, finish, folder_of, named
from riskwright.monitoring.reference import Reference
from riskwright.monitoring.report import draw_report
from riskwright.registry.promotion import load_version
from riskwright.usecase import UseCase


def watch(
    usecase: UseCase,
    home: Home,
    ledger: Ledger,
    *,
    input: str,
    labels: str | None,
    as_of: str | None = None,
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
        them are judged by their defaults so far (``book.judge_book``).

    Returns
    -------
    dict
        Verdicts by family, findings, the report's path, and the alert's id or None; of a history
        also ``as_of``, ``window`` and the ``book``'s tables.

    Raises
    ------
    InputRefused
        If the batch can't be read at all, or the use case has no champion; of a history also if
        the date can't be one, or no loan was issued by then.
    """
    day = day_of(as_of) if as_of is not None else None
    if day is not None and labels is not None:
        raise InputRefused(
            "a history of loans has its own outcomes",
            where=f"--labels {labels} with --as-of {as_of}",
            expected="one of the two: labels have no date, so they can't be cut at one",
        )
    bundle = load_version(home, ledger, usecase.name)
    usecase = bundle.usecase  # its limits were registered with it; today's YAML may say otherwise
    version = ledger.version(usecase.name, bundle.version)
    reference = Reference.from_frame(snapshots.read(version.evidence["reference"], home))
    raw, batch = _batch(usecase, input)
    history, judged = None, None
    if day is not None and len(raw):
        history = cut(usecase, raw, day, input)
        judged = judge_book(
            bundle, reference, history, lambda: snapshots.read(version.evidence["train"], home)
        )
        raw, batch = history.recent, hashlib.sha256(f"{batch} {day:%F}".encode()).hexdigest()
    checked, header = monitor.examine(usecase, raw)
    scores = None
    if all(n in checked.accepted for n in bundle.schema.names) and len(checked.accepted):
        scores = bundle.score(checked.accepted, reasons="none")["pd"].to_numpy()
    if usecase.loan is not None and labels is None:
        seen = history.seen if history else seen_until(usecase, raw)
        known_labels = mature_labels(usecase, raw, checked.accepted, seen)
    else:
        known_labels = _labels(usecase, raw, checked.accepted, labels)
    result = monitor.run(
        usecase,
        reference=reference,
        raw=raw,
        checked=checked,
        header=header,
        pd=scores,
        labels=known_labels,
        book=judged.findings if judged else None,
    )
    told: dict[str, Any] = {
        "usecase": usecase.name,
        "version": bundle.version,
        "batch": batch,
        "input": named(input),
        **result.as_dict(),
    }
    if history is not None and judged is not None:
        told |= {
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

    def draw(folder: Path) -> Callable[[Plain], str]:
        render = draw_report(
            usecase, reference, checked.accepted, scores, result, folder, book=judged
        )
        told["findings"] = result.as_dict()["findings"]  # with Evidently's failure, if it failed
        return render

    folder = folder_of(home, told, _labels_hash(known_labels))
    severity = partial(severity_of, verdicts=result.verdicts)
    return finish(usecase, home, ledger, told, folder=folder, draw=draw, severity=severity)


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


def _labels(
    usecase: UseCase, raw: pd.DataFrame, accepted: pd.DataFrame, path: str | None
) -> np.ndarray | None:
    """Outcome of each accepted row (1 = bad), NaN where unknown."""
    target = usecase.target.column
    if path is None:
        if target not in raw:
            return None
        given = raw.loc[accepted.index, target]
        return _coded(usecase, given)
    if usecase.id is None:
        raise InputRefused(
            f"{usecase.name} has no id column to join labels on",
            where=path,
            expected=f"the outcome as the column {target!r} of the batch itself",
        )
    wanted = {name: usecase.columns[name] for name in (usecase.id, target)}
    known = pd.concat(list(read_chunks(usecase.source, path, columns=wanted)))
    for name in (usecase.id, target):
        if name not in known:
            raise InputRefused(
                f"the labels lack the column {name!r}",
                where=path,
                expected=f"columns {usecase.id!r} and {target!r}",
            )
    known = pd.DataFrame(
        {
            usecase.id: ids_of(usecase, known[usecase.id]),
            target: outcomes(usecase, known[target]),
        }
    ).drop_duplicates()
    repeated = known[known[usecase.id].duplicated()][usecase.id]
    if len(repeated):
        raise InputRefused(
            f"{len(repeated):,} ids have contradicting labels",
            where=f"{path}: {usecase.id} {repeated.iloc[0]}",
            expected="one outcome for each id",
        )
    by_id = known.set_index(usecase.id)[target]
    labels = _coded(usecase, accepted[usecase.id].map(by_id))
    if len(accepted) and np.isnan(labels).all():
        raise InputRefused(
            "no label belongs to the batch",
            where=f"{path}: {len(by_id):,} labels, such as {usecase.id} {by_id.index[0]}: "
            f"{by_id.iloc[0]}"
            if len(by_id)
            else path,
            expected=f"ids of the batch, and {usecase.target.bad!r} (bad) or "
            f"{usecase.target.good!r} (good) as {target!r}",
            do="check that the file belongs to this batch",
        )
    return labels


def _coded(usecase: UseCase, given: pd.Series) -> np.ndarray:
    codes = outcomes(usecase, given)
    return np.where(
        codes == usecase.target.bad, 1.0, np.where(codes == usecase.target.good, 0.0, np.nan)
    )


def _labels_hash(labels: np.ndarray | None) -> str:
    return "" if labels is None else hashlib.sha256(labels.tobytes()).hexdigest()


def _batch_hash(raw: pd.DataFrame) -> str:
    digest = hashlib.sha256("|".join(map(str, raw.columns)).encode())
    digest.update(pd.util.hash_pandas_object(raw.astype("str"), index=False).to_numpy().tobytes())
    return digest.hexdigest()
