"""Change of the columns and of the score: two-sample tests, corrected, with an effect floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from riskwright.case.usecase import Column, UseCase
from riskwright.life.findings import NOT_ENOUGH, Finding, band, failed, way
from riskwright.stats.disagreement import TWICE
from riskwright.stats.stability import psi_of_counts, psi_of_values
from riskwright.systems.credit.cells import plain_numbers
from riskwright.systems.credit.reference import Reference, watched

LEAST_VALUES = 30  # of one column: fewer say nothing about its shape
LEAST_EXPECTED = (
    5.0  # rows a category must be expected to have, or it is pooled with other rare ones
)
MEAN_Z, SCORE_PSI = 3.3, 0.02


@dataclass(frozen=True)
class _Test:
    """One two-sample test: statistic, its effect (also the statistic's scale) and p-value."""

    column: str
    code: str
    statistic: str
    effect: float
    p: float
    psi: float
    rows: int
    change: float | None = None  # of the mean, where there is one


def check_columns(usecase: UseCase, reference: Reference, current: pd.DataFrame) -> list[Finding]:
    """Test each column against the reference.

    Numbers by the two-sample Kolmogorov-Smirnov test on their values; sentinel codes and missing
    cells apart, as masses, by a two-sample chi-square test; categories by the same test. An alarm
    needs a rejection by Benjamini and Hochberg (1995) at ``monitor.column_fdr`` over all tests,
    and an effect (KS distance or total variation) of at least ``monitor.column_effect``.

    Parameters
    ----------
    current
        Accepted rows, canonical, shape (n, k).
    """
    limits = usecase.monitor
    if len(current) < limits.min_rows:
        detail = f"{len(current):,} accepted rows; at least {limits.min_rows} are needed"
        return [
            Finding(
                "columns", "rows", None, NOT_ENOUGH, "rows", len(current), limits.min_rows,
                detail=detail,
            )
        ]  # fmt: skip
    tests: list[_Test] = []
    others: list[Finding] = []
    for name in watched(usecase):
        if name not in current or name not in reference.frame:
            continue  # an absent column is an alarm of the quality family
        column = usecase.columns[name]
        before, now = reference.frame[name], current[name]
        if column.type == "date" or before.isna().all():
            continue
        try:
            if now.notna().sum() < LEAST_VALUES:
                detail = f"{name}: {int(now.notna().sum())} values; {LEAST_VALUES} are needed"
                others.append(
                    Finding(
                        "columns", "values", name, NOT_ENOUGH, "values",
                        float(now.notna().sum()), LEAST_VALUES, detail=detail,
                    )
                )  # fmt: skip
            else:
                tests += _column_tests(name, column, before, now)
        except Exception as error:  # noqa: BLE001 - one column's fault must not hide the others
            others.append(failed("columns", "test", name, error))
    q = stats.false_discovery_control([t.p for t in tests]) if tests else []
    features = set(usecase.feature_names)
    found = [
        _judged(t, float(q_), usecase, t.column in features) for t, q_ in zip(tests, q, strict=True)
    ]
    found.sort(key=lambda f: (not f.alarm, -(f.effect or 0.0)))
    return [f for f in others if f.alarm] + found + [f for f in others if not f.alarm]


def _column_tests(name: str, column: Column, before: pd.Series, now: pd.Series) -> list[_Test]:
    if not column.numeric:
        return [_categories(name, "categories", counts(before, now), len(now))]
    tests = []
    values, values_ref = plain_numbers(column, now), plain_numbers(column, before)
    if min(len(values), len(values_ref)) >= LEAST_VALUES:
        d, p = ks(values_ref, values)
        index, change = psi_of_values(values_ref, values), float(values.mean() - values_ref.mean())
        tests.append(_Test(name, "distribution", "KS distance", d, p, index, len(values), change))
    table = pooled(_masses(column, before), _masses(column, now))
    if table.shape[1] > 1:
        tests.append(_categories(name, "special_values", table, len(now)))
    return tests


def _masses(column: Column, values: pd.Series) -> pd.Series:
    """Count the cells that are a value, missing, or each of the sentinel codes."""
    numbers = values.to_numpy(dtype=np.float64)
    masses = {f"code {code:g}": int((numbers == code).sum()) for code in column.sentinels}
    masses["missing"] = int(np.isnan(numbers).sum())
    masses["value"] = len(numbers) - sum(masses.values())
    return pd.Series(masses)


def _categories(name: str, code: str, table: NDArray[np.float64], rows: int) -> _Test:
    effect, p = chi_square(table)
    return _Test(name, code, "total variation", effect, p, psi_of_counts(table), rows)


def _judged(test: _Test, q: float, usecase: UseCase, feature: bool) -> Finding:
    limits = usecase.monitor
    alarm = q <= limits.column_fdr and test.effect >= limits.column_effect
    what = {"special_values": "codes and missing cells", "categories": "categories"}.get(
        test.code, "values"
    )
    return Finding(
        "columns",
        test.code,
        test.column,
        "alarm" if alarm else "ok",
        test.statistic,
        test.effect,
        limits.column_effect,
        p_value=test.p,
        effect=test.effect,
        detail=f"{test.column}: {what}{' have moved' * alarm}: "
        f"{test.statistic} {test.effect:.3f} (floor {limits.column_effect:g}), adjusted p {q:.2g} "
        f"(limit {limits.column_fdr:g}), PSI {test.psi:.3f} for information"
        + "; not a model input"
        * (not feature),
        alarm=alarm,
        direction=None if test.change is None else way(test.change),
    )


def check_score(
    usecase: UseCase, reference: Reference, pds: ArrayLike | None, rows: int
) -> list[Finding]:
    """Test the PDs of the accepted rows against the reference's.

    An alarm needs three things: KS p below ``monitor.score_p``, KS distance of at least
    ``monitor.score_effect``, and either a mean PD more than 3.3 standard errors away or a PSI
    above 0.02.

    Parameters
    ----------
    pds
        PDs of the accepted rows, shape (rows,), or None if they weren't scored.
    rows
        Number of accepted rows.
    """
    limits = usecase.monitor
    if pds is None:
        return [Finding("score", "scores", None, NOT_ENOUGH, detail="the batch was not scored")]
    now = np.asarray(pds, dtype=np.float64)
    if now.shape != (rows,):
        raise ValueError(f"{now.shape} scores for {rows:,} accepted rows")
    usable = (now >= 0) & (now <= 1)
    findings = [] if usable.all() else [_unusable(usable)]
    now = now[usable]
    if len(now) < limits.min_rows:
        detail = f"{len(now):,} scores; at least {limits.min_rows} are needed"
        few = Finding(
            "score", "rows", None, NOT_ENOUGH, "rows", len(now), limits.min_rows, detail=detail
        )
        return [*findings, few]
    return [*findings, _score_shift(usecase, reference.pd, now)]


def _unusable(usable: NDArray[np.bool_]) -> Finding:
    bad, rows = int((~usable).sum()), len(usable)
    return Finding(
        "score",
        "unusable_scores",
        None,
        "alarm",
        "share of rows",
        bad / rows,
        0.0,
        effect=bad / rows,
        detail=f"{bad:,} of {rows:,} scores are missing or outside 0 to 1, such as that "
        f"of accepted row {int(np.argmin(usable))}",
        alarm=True,
    )


def _score_shift(
    usecase: UseCase, before: NDArray[np.float64], now: NDArray[np.float64]
) -> Finding:
    """The score's distribution now against the reference's."""
    limits = usecase.monitor
    d, p = ks(before, now)
    z, index = _mean_z(before, now), psi_of_values(before, now)
    alarm = (
        p < limits.score_p and d >= limits.score_effect and (abs(z) > MEAN_Z or index > SCORE_PSI)
    )
    change = float(now.mean() - before.mean())
    return Finding(
        "score",
        "score",
        None,
        "alarm" if alarm else "ok",
        "KS distance",
        d,
        limits.score_effect,
        p_value=p,
        effect=change,
        detail=f"mean PD {before.mean():.4f} in the reference, {now.mean():.4f} now (z {z:+.1f}"
        f"): {1000 * change:+.1f} expected bads in 1,000 cases; KS distance {d:.3f} (floor "
        f"{limits.score_effect:g}), p {p:.2g} (limit {limits.score_p:g}), PSI {index:.3f}",
        alarm=alarm,
        direction=way(change),
    )


def check_referred(
    usecase: UseCase, now: NDArray[np.bool_], before: NDArray[np.bool_]
) -> list[Finding]:
    """Hold the share of rows that members disagree on beyond the limit against the reference's.

    The limit was set on training rows. An alarm needs a two-sided Fisher p below
    ``monitor.score_p`` and a share of at least twice the reference's and the planned one.

    Parameters
    ----------
    now, before
        Which rows of the batch (n,), and of the reference (m,), are beyond it.
    """
    if len(now) < usecase.monitor.min_rows or not len(before):
        return []
    planned, usual, share = usecase.ensemble.refer_share, float(before.mean()), float(now.mean())
    floor = TWICE * max(planned, usual)
    table = [[int(m.sum()), int((~m).sum())] for m in (now, before)]
    p = float(stats.fisher_exact(table).pvalue)
    alarm = p < usecase.monitor.score_p and share >= floor
    return [
        Finding(
            "score",
            "referred_share",
            None,
            "alarm" if alarm else "ok",
            "share referred since members disagree",
            share,
            floor,
            p_value=p,
            effect=share - usual,
            detail=f"{table[0][0]:,} of {len(now):,} rows ({share:.1%}) are referred since the "
            f"members disagree; {usual:.1%} of the reference, {planned:.0%} planned (alarm from "
            f"{floor:.1%} on, p {p:.2g})",
            alarm=alarm,
            direction=way(share - usual),
            band=band(share, floor),
        )
    ]


def _mean_z(before: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    error = np.sqrt(before.var(ddof=1) / len(before) + now.var(ddof=1) / len(now))
    gap = now.mean() - before.mean()
    return float(gap / error) if error > 0 else float(np.sign(gap) * np.inf if gap else 0.0)


def ks(before: NDArray[np.float64], now: NDArray[np.float64]) -> tuple[float, float]:
    """Return the two-sample KS distance and its asymptotic p-value (too large where values tie)."""
    found = stats.ks_2samp(before, now, method="asymp")
    return float(found.statistic), float(found.pvalue)


def counts(before: pd.Series, now: pd.Series) -> NDArray[np.float64]:
    """Return the counts (2, levels) of two samples of codes; missing is a level of its own."""
    pair = []
    for codes in (before, now):
        tally = codes.value_counts()
        tally["missing"] = codes.isna().sum()
        pair.append(tally)
    return pooled(*pair)


def pooled(before: pd.Series, now: pd.Series) -> NDArray[np.float64]:
    """Return two tallies as one table (2, levels): empty levels dropped, rare ones pooled."""
    table = pd.concat([before, now], axis=1).fillna(0.0).to_numpy(dtype=np.float64).T
    table = table[:, table.sum(axis=0) > 0]
    expected = table.sum(axis=0) * table.sum(axis=1).min() / table.sum()
    rare = expected < LEAST_EXPECTED
    if rare.sum() > 1:
        table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    return np.asarray(table)


def chi_square(table: NDArray[np.float64]) -> tuple[float, float]:
    """Return the total variation between the two rows of counts, and the chi-square p-value.

    The two-sample test: the reference is a sample too, so no-change windows aren't rejected more
    often as they grow.
    """
    if table.shape[1] < 2:
        return 0.0, 1.0
    share = table / table.sum(axis=1, keepdims=True)
    p = stats.chi2_contingency(table, correction=False).pvalue
    return float(np.abs(share[0] - share[1]).sum() / 2), float(p)
