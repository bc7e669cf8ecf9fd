"""What only outcomes can tell: calibration, discrimination, and discrimination by segment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from riskwright.case.usecase import UseCase
from riskwright.data.units import clusters
from riskwright.life.findings import CANT, NOT_ENOUGH, Finding, band, failed, way
from riskwright.stats.estimates import Clusters, class_sizes, design_factor
from riskwright.stats.paired import SMALLEST_SE, auc_with_se
from riskwright.systems.credit.cells import plain_numbers
from riskwright.systems.credit.labels import Labels, undeclared_finding, unmatched_finding
from riskwright.systems.credit.reference import Reference, of_type
from riskwright.systems.credit.selection import Part, part_of

RATIO_FLOOR = 0.10  # change of observed/expected default
AUC_FLOOR = 0.02
UNSCORED = "the batch was not scored"
QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class _Known:
    """Rows whose outcome is known."""

    frame: pd.DataFrame
    pd: NDArray[np.float64]
    y: NDArray[Any]
    groups: Clusters | None = None

    def enough(self, least: int) -> bool:
        return min(class_sizes(self.y, self.groups)) >= least

    def where(self, mask: NDArray[np.bool_]) -> _Known:
        groups = None if self.groups is None else self.groups[mask]
        return _Known(self.frame[mask], self.pd[mask], self.y[mask].astype(np.int64), groups)


def check_labels(
    usecase: UseCase,
    reference: Reference,
    current: pd.DataFrame,
    pds: ArrayLike | None,
    labels: Labels | None,
) -> list[Finding]:
    """Hold PDs against outcomes.

    Three checks, each a test and a floor:

    - observed over expected default against the same in the reference (binomial standard errors
      of both; a change of at least 0.10), whatever becomes of like cases without an outcome;
    - the drop of the ROC AUC against the reference's (DeLong's of both; at least 0.02);
    - the same drop in each segment: the quartiles of the first numeric feature (cut where the
      reference's are) and the groups of each category, at a z corrected for their number
      (Bonferroni).

    Where the use case declares a ``group``, standard errors go by groups, and so do the counts of
    bads and goods that are enough: few groups are no evidence, however many rows they have.

    ``monitor.label_z`` is the z of one test. Where outcomes are known of a part that was selected
    by score, the reference is cut alike (``selection.part_of``).

    Parameters
    ----------
    current
        Accepted rows, canonical, shape (n, k).
    pds
        Their PDs, shape (n,), or None.
    labels
        Their outcomes; or None.

    Returns
    -------
    list of Finding
        Empty if there is nothing to tell. A check with fewer than ``monitor.min_bads`` bads or
        goods says "not enough data"; what can't be told from how outcomes came about, "can't be
        judged".
    """
    if labels is None:
        return []
    if labels.y.shape != (len(current),):
        raise ValueError(f"{labels.y.shape} labels for {len(current):,} accepted rows")
    told = undeclared_finding(usecase, labels)
    if not np.isfinite(labels.y).any():
        lost = labels.counts.get("rows_without_label", 0)
        return told + unmatched_finding(labels, lost, len(current))
    if pds is None:
        return [*told, Finding("labels", "scores", None, NOT_ENOUGH, detail=UNSCORED)]
    scores = np.asarray(pds, dtype=np.float64)
    if labels.pd is not None:
        scores = np.where(np.isfinite(labels.pd), labels.pd, scores)
    rows = (scores >= 0) & (scores <= 1)
    rows &= True if labels.excluded is None else ~labels.excluded
    known = rows & np.isin(labels.y, (0.0, 1.0))
    everything = _Known(current, scores, labels.y, clusters(usecase, current))
    if not (some := everything.where(known)).enough(usecase.monitor.min_bads):
        return [*told, _few("outcomes", None, some, usecase)]
    return _like_cases(usecase, reference, everything, (rows, known), labels, told)


def _like_cases(
    usecase: UseCase,
    reference: Reference,
    everything: _Known,
    masks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    labels: Labels,
    told: list[Finding],
) -> list[Finding]:
    """Hold the known outcomes against those of the reference that came about alike.

    The masks are of accepted rows: which have a usable score, and of these an outcome too. What was
    found comes after what is ``told`` already.
    """
    (rows, known), scores = masks, everything.pd
    part = Part(known, rows & ~known, np.ones(len(reference), dtype=bool))
    if not labels.by_calendar:
        part = part_of(
            usecase, reference, scores, rows, known, labels.decision, labels.reference_decisions
        )
    mine = part.now | part.waiting
    lost = 0 if labels.without is None else int((mine & labels.without).sum())
    told = told + unmatched_finding(labels, lost, int(mine.sum()))
    if part.words:
        told.append(Finding("labels", "selected_outcomes", None, "told", detail=part.words))
    trouble = labels.cant or part.trouble
    if any(f.code == "undeclared_outcomes" and f.alarm for f in told):
        trouble = "what the outcomes in codes that nobody declared are isn't known"
    if trouble:
        return [*told, Finding("labels", "outcomes", None, CANT, detail=trouble)]
    now = everything.where(part.now)
    before = _Known(
        reference.frame, reference.pd, reference.y.astype(np.int64), reference.groups
    ).where(part.before)
    waiting = np.empty(0) if labels.by_calendar else scores[part.waiting]
    return [*told, *_checked(usecase, before, now, waiting)]


def _checked(
    usecase: UseCase, before: _Known, now: _Known, waiting: NDArray[np.float64]
) -> list[Finding]:
    least = usecase.monitor.min_bads
    for known, whose in ((now, ""), (before, "in the reference's like part ")):
        if not known.enough(least):
            return [_few("outcomes", None, known, usecase, whose)]
    checks: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("observed_expected", lambda: [_calibration(usecase, before, now, waiting)]),
        ("auc", lambda: [_auc(usecase, before, now)]),
        ("segment_auc", lambda: _segments(usecase, before, now)),
    ]
    findings: list[Finding] = []
    for code, check in checks:
        try:
            findings += check()
        except Exception as error:  # noqa: BLE001 - one check's fault must not hide the others
            findings.append(failed("labels", code, None, error))
    findings.sort(key=lambda f: not f.alarm)
    return findings


def _few(code: str, column: str | None, known: _Known, usecase: UseCase, what: str = "") -> Finding:
    least, bads = usecase.monitor.min_bads, int(known.y.sum())
    of, each = "", ""
    if known.groups is not None:
        groups = class_sizes(known.y, known.groups)
        of = f", of {groups[0]:,} and {groups[1]:,} groups ({usecase.group})"
        each = f" groups with each by {usecase.group!r}"
    return Finding(
        "labels",
        code,
        column,
        NOT_ENOUGH,
        "bads",
        float(class_sizes(known.y, known.groups)[0]),
        float(least),
        detail=f"{what}{bads:,} bads and {len(known.y) - bads:,} goods with a known outcome{of}; "
        f"at least {least}{each or ' of each'} are needed",
    )


def _calibration(
    usecase: UseCase, before: _Known, now: _Known, waiting: NDArray[np.float64]
) -> Finding:
    """Observed over expected bads, against the same ratio in the reference.

    Against 1 instead, a level that was a little off from the start would alarm by chance for ever
    (2 % of no-change windows of models fitted on 3,000 rows); the gates judge that level.

    Bads are often known before goods: an alarm has to stand if all like cases whose outcome isn't
    known (``waiting``, their PDs) turn out the other way.
    """
    limit = usecase.monitor.label_z
    grown = design_factor(now.y - now.pd, now.groups)
    ratio, z, change = _against(before, now.pd, now.y, grown)
    alarm, cant, more = abs(z) > limit and abs(change) >= RATIO_FLOOR, False, ""
    if alarm and len(waiting):
        word, outcome = ("good", 0) if change > 0 else ("bad", 1)
        _, z_all, change_all = _against(
            before,
            np.concatenate([now.pd, waiting]),
            np.concatenate([now.y, np.full(len(waiting), outcome)]),
            grown,
        )
        stands = z_all * z > 0 and abs(z_all) > limit and abs(change_all) >= RATIO_FLOOR
        alarm, cant = stands, not stands
        more = f"; {len(waiting):,} like cases have no outcome yet: were all of them {word}, "
        more += "it would still be" if stands else "there would be no such change"
    n, bads, usual = len(now.y), int(now.y.sum()), ratio - change
    return Finding(
        "labels",
        "observed_expected",
        None,
        "alarm" if alarm else CANT if cant else "ok",
        "z of the change of observed/expected",
        z,
        limit,
        p_value=float(2 * stats.norm.sf(abs(z))),
        effect=ratio,
        detail=f"{bads:,} bads of {n:,} ({bads / n:.2%}) where the PDs expect {now.pd.mean():.2%}: "
        f"observed/expected {ratio:.2f}, {usual:.2f} in the reference (z {z:+.1f}, limit "
        f"{limit:g}, floor {RATIO_FLOOR:g} either way){more}",
        alarm=alarm,
        direction=way(change),
        band=band(abs(change), RATIO_FLOOR),
    )


def _against(
    before: _Known, pds: NDArray[np.float64], y: NDArray[np.int64], grown: float
) -> tuple[float, float, float]:
    """Return observed over expected bads, z of its change against the reference's, and the change.

    Standard errors as if the PDs were right, those of ``pds`` times ``grown``.
    """
    ratio, se = _observed_expected(pds, y)
    usual, se_usual = _observed_expected(before.pd, before.y)
    change = ratio - usual
    usual_grown = design_factor(before.y - before.pd, before.groups)
    error = float(np.hypot(se * grown, se_usual * usual_grown))
    return ratio, change / max(error, SMALLEST_SE), change


def _observed_expected(pds: NDArray[np.float64], y: NDArray[np.int64]) -> tuple[float, float]:
    """Return observed over expected bads, and its standard error were the PDs right."""
    expected = max(float(pds.sum()), SMALLEST_SE)
    return float(y.sum()) / expected, float(np.sqrt((pds * (1 - pds)).sum())) / expected


def _auc(
    usecase: UseCase,
    before: _Known,
    now: _Known,
    segment: tuple[str, str] | None = None,
    tests: int = 1,
) -> Finding:
    least = usecase.monitor.min_bads
    where = f"{segment[0]} {segment[1]}: " if segment else ""
    column, code = (segment[0], "segment_auc") if segment else (None, "auc")
    for known, whose in ((now, ""), (before, "in the reference ")):
        if not known.enough(least):
            return _few(code, column, known, usecase, where + whose)
    auc_before, se_before = auc_with_se(before.y, before.pd, before.groups)
    auc_now, se_now = auc_with_se(now.y, now.pd, now.groups)
    drop = auc_before - auc_now
    z = drop / max(float(np.hypot(se_before, se_now)), SMALLEST_SE)
    limit = float(stats.norm.isf(stats.norm.sf(usecase.monitor.label_z) / tests))
    alarm = z > limit and drop >= AUC_FLOOR
    return Finding(
        "labels",
        code,
        column,
        "alarm" if alarm else "ok",
        "z of the AUC's drop (DeLong)",
        z,
        limit,
        p_value=float(stats.norm.sf(z)),
        effect=drop,
        detail=f"{where}ROC AUC {auc_now:.3f} in {len(now.y):,} rows, {auc_before:.3f} in the "
        f"reference: drop {drop:+.3f} (z {z:+.1f}, limit {limit:.1f}, floor {AUC_FLOOR:g})",
        alarm=alarm,
        segment=segment[1] if segment else None,
        band=band(drop, AUC_FLOOR),
    )


def _segments(usecase: UseCase, before: _Known, now: _Known) -> Iterator[Finding]:
    """Yield the AUC's drop in each segment that both samples know."""
    segments = list(_cut(usecase, before, now))
    tests = sum(
        a.enough(usecase.monitor.min_bads) and b.enough(usecase.monitor.min_bads)
        for _, _, a, b in segments
    )
    for name, group, ours, theirs in segments:
        try:
            yield _auc(usecase, ours, theirs, (name, group), max(tests, 1))
        except Exception as error:  # noqa: BLE001 - one segment's fault must not hide the others
            yield failed("labels", "segment_auc", name, error)


def _cut(
    usecase: UseCase, before: _Known, now: _Known
) -> Iterator[tuple[str, str, _Known, _Known]]:
    common = [n for n in usecase.columns if n in before.frame and n in now.frame]
    features = [n for n in usecase.feature_names if n in common]
    for name in of_type(usecase, features, numeric=True)[:1]:
        column = usecase.columns[name]
        values = plain_numbers(column, before.frame[name])
        if not len(values):
            continue
        edges = np.unique(np.quantile(values, QUARTILES))
        bounds = [-np.inf, *edges.tolist(), np.inf]
        for low, high in pairwise(bounds):
            group = f"above {low:g}" if np.isinf(high) else f"up to {high:g}"
            if np.isfinite(low) and np.isfinite(high):
                group = f"above {low:g} up to {high:g}"
            masks = [
                _between(k.frame[name], low, high, list(column.sentinels)) for k in (before, now)
            ]
            yield name, group, before.where(masks[0]), now.where(masks[1])
    for name in of_type(usecase, common, numeric=False):
        for value, meaning in usecase.columns[name].values.items():
            masks = [(k.frame[name] == value).to_numpy(dtype=bool) for k in (before, now)]
            if masks[1].any():
                yield name, f"= {meaning}", before.where(masks[0]), now.where(masks[1])


def _between(values: pd.Series, low: float, high: float, codes: list[float]) -> NDArray[np.bool_]:
    numbers = values.to_numpy(dtype=np.float64)
    return (numbers > low) & (numbers <= high) & ~np.isin(numbers, codes)
