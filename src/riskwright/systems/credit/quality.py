"""Data quality of a batch as it arrived: hard rules, read before anything is refused or filled.

These faults are near-certain and cheap to see; two-sample tests on the cleaned columns miss most
of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Protocol

import pandas as pd

from riskwright.case.usecase import UseCase
from riskwright.data.contract import Checked
from riskwright.data.meaning import ids_of
from riskwright.data.textfiles import FAULT
from riskwright.errors import closest
from riskwright.life.findings import NOT_ENOUGH, Finding, failed
from riskwright.systems.credit.cells import check_cells, faults
from riskwright.systems.credit.reference import Reference, watched

SHOWN = 6


class Header(Protocol):
    """What the contract said of the column names (``data.contract.HeaderVerdict``)."""

    @property
    def missing(self) -> Iterable[str]:
        """Columns of the use case that are absent."""

    @property
    def extra(self) -> Iterable[str]:
        """Columns that nobody asked for."""


def check_quality(
    usecase: UseCase, reference: Reference, raw: pd.DataFrame, checked: Checked, header: Header
) -> list[Finding]:
    """Check the batch as it arrived.

    Parameters
    ----------
    raw
        The cells as read (text or native), shape (n, any); its index tells the row numbers.
    checked
        The same rows after the contract.

    Returns
    -------
    list of Finding
        Alarms and failures first, then what was seen below its limit, then one summary. Under
        ``monitor.min_rows`` rows nothing is called ok.
    """
    if raw.empty:
        detail = "the batch has no rows"
        return [
            Finding(
                "quality", "empty_batch", None, "alarm", "rows", 0, 1, detail=detail, alarm=True
            )
        ]
    findings = _guarded("schema", None, lambda: _schema(usecase, reference, raw, header))
    findings += _guarded("quarantine_share", None, lambda: _quarantine(usecase, raw, checked))
    findings += _guarded("ragged_rows", None, lambda: _ragged(raw))
    if usecase.id is not None and usecase.id in raw:
        findings += _guarded("ids", usecase.id, lambda: _ids(usecase, raw))
    names = [name for name in watched(usecase) if name in raw]
    for name in names:
        findings += _guarded(
            "cells", name, lambda name=name: check_cells(usecase, reference, raw, name)
        )
    notable = [f for f in findings if f.alarm or f.verdict == "failed" or f.value]
    notable.sort(key=lambda f: (not f.alarm, f.column is None))
    rest = f"{len(raw):,} rows, {len(names)} columns: {sum(f.alarm for f in notable)} alarms"
    notable.append(Finding("quality", "summary", None, "ok", "rows", len(raw), detail=rest))
    if len(raw) < usecase.monitor.min_rows:
        fewer = f"; fewer than {usecase.monitor.min_rows} rows can't be called clean"
        notable = [
            replace(f, verdict=NOT_ENOUGH, detail=f.detail + fewer * (f.code == "summary"))
            if f.verdict == "ok"
            else f
            for f in notable
        ]
    return notable


def _guarded(code: str, column: str | None, check: Any) -> list[Finding]:
    """Run one check; if it breaks, that is a finding and the others go on."""
    try:
        return list(check())
    except Exception as error:  # noqa: BLE001 - any fault of one column must not hide the others
        return [failed("quality", code, column, error)]


def _schema(
    usecase: UseCase, reference: Reference, raw: pd.DataFrame, header: Header
) -> Iterator[Finding]:
    expected = [*([usecase.id] if usecase.id else []), *watched(usecase)]
    absent = [n for n in expected if n not in raw or n in set(header.missing)]
    extra = [str(n) for n in raw.columns if n not in usecase.columns and n != FAULT]
    extra += [n for n in header.extra if n not in extra]
    empty_before = {name for name, share in reference.missing.items() if share == 1.0}
    for name in absent:
        known = name == usecase.id or (name in reference.frame and name not in empty_before)
        alarm = usecase.columns[name].required or known
        offer = closest(name, extra)
        yield Finding(
            "quality",
            "missing_column",
            name,
            "alarm" if alarm else "ok",
            "columns absent",
            1.0,
            0.0,
            effect=1.0,
            detail=f"{name}: the column is absent from the batch"
            + ("" if alarm else "; it is optional, and the reference has no values either")
            + f"; {offer}" * bool(offer),
            alarm=alarm,
        )
    if extra:
        listed = ", ".join(extra[:SHOWN]) + ", …" * (len(extra) > SHOWN)
        yield Finding(
            "quality",
            "extra_columns",
            None,
            "ok",
            "columns",
            float(len(extra)),
            detail=f"{len(extra)} columns that the use case doesn't name, ignored: {listed}",
        )


def _quarantine(usecase: UseCase, raw: pd.DataFrame, checked: Checked) -> Iterator[Finding]:
    refused, read = len(checked.refused), len(raw)
    if refused + len(checked.accepted) != read:
        raise ValueError(
            f"{len(checked.accepted):,} accepted + {refused:,} refused rows are not the "
            f"{read:,} that were read"
        )
    share, limit = refused / read, usecase.quarantine_limit
    reasons = checked.refused["reason"]
    told = "; ".join(
        f"{text} ({count:,}, such as row {checked.refused['row'][reasons == text].iloc[0]})"
        for text, count in reasons.value_counts().head(3).items()
    )
    alarm = share > limit
    yield Finding(
        "quality",
        "nothing_accepted" if refused == read else "quarantine_share",
        None,
        "alarm" if alarm else "ok",
        "share of rows refused",
        share,
        limit,
        effect=share,
        detail=f"{refused:,} of {read:,} rows break the contract ({share:.1%}, limit {limit:.1%})"
        + f": {told}" * bool(told),
        alarm=alarm,
    )


def _ragged(raw: pd.DataFrame) -> Iterator[Finding]:
    if FAULT in raw:
        bad = raw[FAULT].notna().to_numpy(dtype=bool)
        yield faults(
            "ragged_rows",
            None,
            bad,
            raw,
            "rows have the wrong number of cells, or a cell that is no plain value",
        )


def _ids(usecase: UseCase, raw: pd.DataFrame) -> Iterator[Finding]:
    ids = ids_of(usecase, raw[usecase.id])
    missing = ids.isna().to_numpy(dtype=bool)
    again = ids.duplicated().to_numpy(dtype=bool) & ~missing
    yield faults("missing_ids", usecase.id, missing, raw, "ids are missing")
    yield faults("duplicate_ids", usecase.id, again, raw, "ids were seen before in this batch")
