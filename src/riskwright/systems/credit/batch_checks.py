"""Hold one batch against the reference: quality first, then columns, score and outcomes.

Each family is a test with an effect floor, measured on real windows (docs/reference/monitoring.md).
Nothing here raises for bad data: what can't be judged is a finding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame

from riskwright.case.usecase import UseCase
from riskwright.data.contract import Checked, Contract, HeaderVerdict
from riskwright.life.findings import (
    NO_LABELS,
    FamilyName,
    Finding,
    Result,
    family_verdict,
    of_each,
    severity_of,
    title_of,
)
from riskwright.life.plugged import own_checks
from riskwright.systems.credit.drift import check_columns, check_referred, check_score
from riskwright.systems.credit.labels import Labels
from riskwright.systems.credit.outcomes import check_labels
from riskwright.systems.credit.quality import Header, check_quality
from riskwright.systems.credit.reference import Reference


def check_batch(
    usecase: UseCase,
    *,
    reference: Reference,
    raw: DataFrame,
    checked: Checked,
    header: Header,
    pd: NDArray[np.float64] | None,
    labels: Labels | None,
    book: list[Finding] | None = None,
    apart: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None,
) -> Result:
    """Judge one batch.

    Parameters
    ----------
    reference
        Rows that the model was not trained on.
    raw
        The batch as it arrived, cells as text or native, shape (n, any).
    checked, header
        What the contract made of it (``examine`` gives both, even where columns are absent).
    pd
        PDs of the accepted rows in their order, or None if they weren't scored.
    labels
        What is known of the outcomes of the accepted rows, in their order; or None.
    book
        What ``book.judge_book`` found in the loans behind the batch, if it comes from a loan book.
    apart
        Which rows of the batch, and of the reference, members disagree on beyond the limit.

    Returns
    -------
    Result
        A check that breaks is an alarm of its own, and the others go on.
    """
    accepted = checked.accepted
    families: dict[FamilyName, Callable[[], list[Finding]]] = {
        "quality": lambda: check_quality(usecase, reference, raw, checked, header),
        "columns": lambda: check_columns(usecase, reference, accepted),
        "score": lambda: [
            *check_score(usecase, reference, pd, len(accepted)),
            *(check_referred(usecase, *apart) if apart else []),
        ],
        "labels": lambda: check_labels(usecase, reference, accepted, pd, labels),
    }
    if book is not None:
        families["book"] = lambda: book
    if usecase.own_checks:
        families["own"] = lambda: own_checks(usecase, reference.frame, accepted)
    return _result(of_each(families), len(raw), len(accepted))


def _result(found: dict[FamilyName, list[Finding]], read: int, accepted: int) -> Result:
    findings = [finding for family in found.values() for finding in family]
    verdicts: dict[str, str] = {
        family: family_verdict(told) if told else NO_LABELS for family, told in found.items()
    }
    return Result(
        findings=findings,
        verdicts=verdicts,
        rows_read=read,
        accepted=accepted,
        refused=read - accepted,
        alarm=any(finding.alarm for finding in findings),
        severity=severity_of(findings, verdicts),
        title=title_of(findings),
    )


def examine(usecase: UseCase, raw: DataFrame) -> tuple[Checked, HeaderVerdict]:
    """Apply the contract to a batch that may lack columns, which then is a finding, not a refusal.

    Returns
    -------
    tuple
        As ``Contract.apply`` and ``Contract.check_header`` give them; absent columns are named in
        the header's ``missing``, and those that are required are absent from the accepted rows.
    """
    contract = Contract(usecase, "monitor")
    absent = [name for name in contract.columns if name not in raw]
    stand_in: dict[str, object] = dict.fromkeys(absent, np.nan)
    if usecase.id in absent:
        stand_in[usecase.id] = raw.index.astype("str")
    whole = raw.assign(**stand_in)  # type: ignore[arg-type]
    header = contract.check_header(list(whole.columns))
    checked = contract.apply(whole)
    needed = [name for name in absent if usecase.columns[name].required]
    accepted = checked.accepted.drop(columns=needed)
    return replace(checked, accepted=accepted), replace(header, missing=tuple(absent))
