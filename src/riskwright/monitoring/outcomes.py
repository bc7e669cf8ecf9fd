"""What only outcomes can tell: calibration, discrimination, and discrimination by segment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from riskwright.evaluation.paired import SMALLEST_SE, auc_with_se
from riskwright.monitoring.cells import plain_numbers
from riskwright.monitoring.findings import NOT_ENOUGH, Finding, band, failed, way
from riskwright.monitoring.reference import Reference, of_type
from riskwright.usecase import UseCase

RATIO_FLOOR = 0.10  # change of observed/expected default
AUC_FLOOR = 0.02
QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class _Known:
    """Rows whose outcome is known."""

    frame: pd.DataFrame
    pd: NDArray[np.float64]
    y: NDArray[np.int64]

    def enough(self, least: int) -> bool:
        bads = int(self.y.sum())
        return min(bads, len(self.y) - bads) >= least

    def where(self, mask: NDArray[np.bool_]) -> _Known:
        return _Known(self.frame[mask], self.pd[mask], self.y[mask])


def check_labels(
    usecase: UseCase,
    reference: Reference,
    current: pd.DataFrame,
    pds: ArrayLike | None,
    labels: ArrayLike | None,
) -> list[Finding]:
    """Hold PDs against outcomes.

    Three checks, each a test and a floor:

    - observed over expected default against the same in the reference (binomial standard errors
      of both; a change of at least 0.10);
    - the drop of the ROC AUC against the reference's (DeLong's of both; at least 0.02);
    - the same drop in each segment: the quartiles of the first numeric feature (cut where the
      reference's are) and the groups of each category, at a z corrected for their number
      (Bonferroni).

    ``monitor.label_z`` is the z of one test.

    Parameters
    ----------
    current
        Accepted rows, canonical, shape (n, k).
    pds
        Their PDs, shape (n,), or None.
    labels
        Their outcomes, shape (n,), 1 = bad, NaN where unknown; or None.

    Returns
    -------
    list of Finding
        Empty if no outcome is known. A check with fewer than ``monitor.min_bads`` bads or goods
        says "not enough data".
    """
    if labels is None:
        return []
    outcomes = np.asarray(labels, dtype=np.float64)
    if outcomes.shape != (len(current),):
        raise ValueError(f"{outcomes.shape} labels for {len(current):,} accepted rows")
    if not np.isfinite(outcomes).any():
        return []
    if pds is None:
        return [Finding("labels", "scores", None, NOT_ENOUGH, detail="the batch was not scored")]
    scores = np.asarray(pds, dtype=np.float64)
    usable = np.isin(outcomes, (0.0, 1.0)) & (scores >= 0) & (scores <= 1)
    now = _Known(current[usable], scores[usable], outcomes[usable].astype(np.int64))
    before = _Known(reference.frame, reference.pd, reference.y.astype(np.int64))
    least = usecase.monitor.min_bads
    if not now.enough(least):
        return [_few("outcomes", None, now, least)]
    checks: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("observed_expected", lambda: [_calibration(usecase, before, now)]),
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


def _few(code: str, column: str | None, known: _Known, least: int, what: str = "") -> Finding:
    bads = int(known.y.sum())
    return Finding(
        "labels",
        code,
        column,
        NOT_ENOUGH,
        "bads",
        float(bads),
        float(least),
        detail=f"{what}{bads:,} bads and {len(known.y) - bads:,} goods with a known outcome; at "
        f"least {least} of each are needed",
    )


def _calibration(usecase: UseCase, before: _Known, now: _Known) -> Finding:
    """Observed over expected bads, against the same ratio in the reference.

    Against 1 instead, a level that was a little off from the start would alarm by chance for ever
    (2 % of no-change windows of models fitted on 3,000 rows); the gates judge that level.
    """
    (ratio, se), (ratio_before, se_before) = _observed_expected(now), _observed_expected(before)
    change = ratio - ratio_before
    z = change / max(float(np.hypot(se, se_before)), SMALLEST_SE)
    alarm = abs(z) > usecase.monitor.label_z and abs(change) >= RATIO_FLOOR
    n, bads = len(now.y), int(now.y.sum())
    return Finding(
        "labels",
        "observed_expected",
        None,
        "alarm" if alarm else "ok",
        "z of the change of observed/expected",
        z,
        usecase.monitor.label_z,
        p_value=float(2 * stats.norm.sf(abs(z))),
        effect=ratio,
        detail=f"{bads:,} bads of {n:,} ({bads / n:.2%}) where the PDs expect {now.pd.mean():.2%}: "
        f"observed/expected {ratio:.2f}, {ratio_before:.2f} in the reference (z {z:+.1f}, limit "
        f"{usecase.monitor.label_z:g}, floor {RATIO_FLOOR:g} either way)",
        alarm=alarm,
        direction=way(change),
        band=band(abs(change), RATIO_FLOOR),
    )


def _observed_expected(known: _Known) -> tuple[float, float]:
    """Return observed over expected bads, and its standard error were the PDs right."""
    expected = max(float(known.pd.sum()), SMALLEST_SE)
    spread = float(np.sqrt((known.pd * (1 - known.pd)).sum()))
    return float(known.y.sum()) / expected, spread / expected


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
            return _few(code, column, known, least, where + whose)
    auc_before, se_before = auc_with_se(before.y, before.pd)
    auc_now, se_now = auc_with_se(now.y, now.pd)
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
