"""Gates: what a challenger must pass, each with the figures it was judged by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu, norm

from riskwright.case.usecase import UseCase
from riskwright.learn.calibration import LEAST_SLOPE
from riskwright.ledger import Gate
from riskwright.stats.estimates import Clusters, class_sizes
from riskwright.stats.paired import SMALLEST_SE, auc_with_se, compare_auc, compare_log_loss
from riskwright.systems.credit.choice import Choice, calibration_error, p_words

EVEN = 1e-6  # log-odds: PDs that differ by no more are all alike


def gates(
    usecase: UseCase,
    *,
    choice: Choice,
    y: np.ndarray,
    pd_challenger: np.ndarray,
    against: int | None,
    unseen_by_champion: np.ndarray | None,
    pd_champion: np.ndarray | None,
    fairness: pd.DataFrame,
    readings: int,
    seed: int,
    slopes: Sequence[float] = (),
    kin: dict[str, Any] | None = None,
    telltales: Sequence[dict[str, Any]] = (),
    groups: Clusters | None = None,
) -> list[Gate]:
    """Judge a challenger on the test part.

    Parameters
    ----------
    y, pd_challenger
        Outcomes and PDs of the test rows, shape (n,).
    against
        The champion's version, None if there is none. Kept with the gate: promotion refuses a
        challenger that was judged against another champion than the live one.
    unseen_by_champion
        Mask of the test rows that the champion wasn't trained on either; None: no champion.
    pd_champion
        The champion's PDs of those rows, in their order.
    readings
        How often this test part has been read, this time included.
    slopes
        Of the calibrations behind the challenger's PDs.
    kin
        What ``evidence.judge_kin`` returned: test rows with a twin or a relative in training.
    telltales
        What ``data.telltale.telltales`` found in the training part.
    groups
        Of ``units.clusters``, shape (n,): paired tests go by them.

    Returns
    -------
    list of Gate
        ``passed`` None means "not enough data", which blocks like a no.
    """
    return [
        _data(usecase, y, readings, groups),
        Gate("baseline", True, choice.why, choice.figures, blocking=False),
        _champion(usecase, y, pd_challenger, against, unseen_by_champion, pd_champion, groups),
        _calibration(usecase, y, pd_challenger, seed, groups),
        _discrimination(usecase, y, pd_challenger, slopes, groups),
        _leakage(usecase),
        _fairness(fairness),
        *([_kin(kin)] if kin and kin["with_kin"] else []),
        *([_telltale(telltales)] if telltales else []),
    ]


def not_compared(against: int, keys: Sequence[str]) -> Gate:
    """Say that the champion answers another question; a person decides, nothing is compared.

    Parameters
    ----------
    against
        The champion's version.
    keys
        What makes the question and changed, as ``rules.Changes.question`` names it.
    """
    detail = (
        f"not compared: version {against} answers another question ({', '.join(keys)} changed); "
        "a person decides"
    )
    return Gate("champion", None, detail, {"against": against, "question": list(keys)}, False)


def _data(usecase: UseCase, y: np.ndarray, readings: int, groups: Clusters | None) -> Gate:
    bads, needed = int(y.sum()), usecase.gates.min_test_bads
    counted = class_sizes(y, groups)
    enough = min(counted) >= needed
    read = "once" if readings == 1 else f"{readings} times"
    detail = f"{len(y)} test rows with {bads} bads; read {read}"
    if not enough and groups is None:
        detail += f": not enough data, {needed} of each class are needed"
    elif not enough:
        detail += (
            f": not enough data, bads are in {counted[0]} and goods in {counted[1]} groups "
            f"({usecase.group}), and {needed} groups with each are needed"
        )
    figures = {"rows": len(y), "bads": bads, "readings": readings}
    return Gate("test data", True if enough else None, detail, figures)


def _champion(
    usecase: UseCase,
    y: np.ndarray,
    challenger: np.ndarray,
    against: int | None,
    unseen: np.ndarray | None,
    champion: np.ndarray | None,
    groups: Clusters | None,
) -> Gate:
    told: dict[str, Any] = {"against": against}
    if against is None:
        return Gate("champion", True, "there is no champion yet", told)
    if unseen is None or champion is None:
        return Gate("champion", None, f"version {against} can't score these rows", told)
    theirs, bads = None if groups is None else groups[unseen], int(y[unseen].sum())
    if min(class_sizes(y[unseen], theirs)) < usecase.gates.min_test_bads:
        detail = f"not enough data: {int(unseen.sum())} rows that neither was trained on"
        return Gate("champion", None, detail, {**told, "rows": int(unseen.sum()), "bads": bads})
    loss = compare_log_loss(y[unseen], challenger[unseen], champion, theirs)
    auc = compare_auc(y[unseen], challenger[unseen], champion, theirs)
    better = bool(loss.p_greater < usecase.gates.alpha)
    verdict = "better than the champion" if better else "not better by test: the champion stays"
    detail = (
        f"{verdict}; log loss {loss.difference:+.4f} (se {loss.se:.4f}), {p_words(loss.p_greater)}"
        f", AUC {auc.difference:+.4f} (se {auc.se:.4f}) on {int(unseen.sum())} rows"
    )
    figures = {
        **told,
        "rows": int(unseen.sum()),
        "log_loss_difference": loss.difference,
        "log_loss_se": loss.se,
        "p": loss.p_greater,
        "auc_difference": auc.difference,
        "auc_se": auc.se,
    }
    return Gate("champion", better, detail, figures)


def _calibration(
    usecase: UseCase, y: np.ndarray, p: np.ndarray, seed: int, groups: Clusters | None
) -> Gate:
    """An error beyond chance and beyond the floor stops a challenger, the first one too."""
    error = calibration_error(usecase, y, p, seed, groups)
    detail = (
        f"ECE {error.found:.4f}, a calibrated model stays below {error.limit:.4f} in "
        f"{usecase.gates.calibration_quantile:.0%} of such samples"
    )
    if error.limit < error.found <= error.floor:
        detail += f"; below {error.floor:.4f}, where no decision hangs on it"
    figures = {"ece": error.found, "limit": error.limit, "floor": error.floor}
    return Gate("calibration", error.passed, detail, figures)


def _discrimination(
    usecase: UseCase,
    y: np.ndarray,
    p: np.ndarray,
    slopes: Sequence[float],
    groups: Clusters | None = None,
) -> Gate:
    """PDs tell goods from bads: not all alike, in the right order, and no worse than one rate.

    The order by the exact one-sided rank test of Mann and Whitney (1947), of grouped rows by the
    AUC's own error instead; beside the test part's own bad rate for everybody by the paired test of
    log losses.
    """
    bads = int(y.sum())
    if not 0 < bads < len(y):
        return Gate("discrimination", None, "not enough data: one class alone", {})
    clipped = np.clip(p, 1e-12, 1 - 1e-12)
    spread = float(np.ptp(np.log(clipped / (1 - clipped))))
    test = mannwhitneyu(p[y == 1], p[y == 0], alternative="greater")
    auc, none = float(test.statistic) / (bads * (len(y) - bads)), float(test.pvalue)
    if groups is not None:
        _, error = auc_with_se(y, p, groups)
        none = max(none, float(norm.sf((auc - 0.5) / max(error, SMALLEST_SE))))
    rate = compare_log_loss(y, np.full(len(y), y.mean()), p, groups)
    slope = min(slopes, default=1.0)
    level = usecase.gates.alpha
    figures = {
        "auc": auc,
        "p": none,
        "log_loss_above_base_rate": -rate.difference,
        "p_base_rate_is_better": rate.p_greater,
        "least_slope": slope,
    }
    detail = (
        f"AUC {auc:.3f} ({p_words(none)} against none), log loss {-rate.difference:+.4f} "
        "beside the bad rate for everybody"
    )
    if spread <= EVEN or slope <= LEAST_SLOPE * (1 + 1e-6):
        why = "all PDs are alike" if spread <= EVEN else "a calibration's slope is on its bound"
        return Gate("discrimination", False, f"{why}: nothing was learnt; {detail}", figures)
    if rate.p_greater < level or auc <= 0.5:
        return Gate("discrimination", False, f"no better than one rate; {detail}", figures)
    passed = True if none < level else None
    detail += "" if passed else ": not enough data to tell it from none"
    return Gate("discrimination", passed, detail, figures)


def _kin(kin: dict[str, Any]) -> Gate:
    """Tell how the PDs do where training held no twin and no relative."""
    detail = (
        f"{kin['with_kin']:,} of {kin['rows']:,} test rows have a twin or a relative in training; "
    )
    if kin["without"] is None:
        detail += "too few others to judge what the model does for people that it doesn't know"
    else:
        auc, loss = kin["without"]["roc_auc"], kin["without"]["log_loss"]
        detail += (
            f"on the {kin['without']['rows']:,} others AUC {auc['value']:.3f} ({auc['low']:.3f} to "
            f"{auc['high']:.3f}), log loss {loss['value']:.4f}"
        )
    return Gate("twins and relatives", True, detail, kin, blocking=False)


def _telltale(found: Sequence[dict[str, Any]]) -> Gate:
    """A person looks at a column that nearly tells the outcome; no policy lets it pass alone."""
    detail = "; ".join(f["detail"] for f in found) + ": was it known before the decision?"
    return Gate(
        "telltale columns",
        False,
        detail,
        {"columns": [f["column"] for f in found], "person": True},
        blocking=False,
    )


def _leakage(usecase: UseCase) -> Gate:
    leaked = [n for n in usecase.feature_names if usecase.columns[n].after_decision]
    if leaked:
        return Gate("leakage", False, f"known only after the decision: {', '.join(leaked)}", {})
    detail = f"none of {len(usecase.feature_names)} features is known only after the decision"
    return Gate("leakage", True, detail, {"features": len(usecase.feature_names)})


def _fairness(table: pd.DataFrame) -> Gate:
    """Reported, never blocking: which ratio is acceptable is a person's decision."""
    if table.empty:
        return Gate("approval ratios", True, "no protected column is declared", {}, blocking=False)
    rows = table.dropna(subset=["ratio"])
    if rows.empty:
        return Gate("approval ratios", True, "groups too small", {}, blocking=False)
    worst = rows.iloc[int(rows["ratio"].to_numpy().argmin())]
    detail = (
        f"lowest: {worst['column']} {worst['group']} is approved {worst['ratio']:.2f} times as "
        f"often as the most approved group ({worst['ratio_low']:.2f} to {worst['ratio_high']:.2f})"
    )
    return Gate(
        "approval ratios", True, detail, {"worst_ratio": float(worst["ratio"])}, blocking=False
    )
