"""From a training snapshot to candidates: fold bags, the ensemble, the baseline alone.

Each step writes one folder under the retrain's workplace, appearing only when complete, and hands
over a record with the folder's hash, so that a retrain goes on from any of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from riskwright.case.usecase import UseCase
from riskwright.data import splits, units
from riskwright.data.contract import target_of
from riskwright.data.novel import seen_in
from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.life.workplace import Progress, new_part, publish
from riskwright.store import snapshots
from riskwright.systems.credit.bundle import Limits, choose_limits
from riskwright.systems.credit.extension import extension_of
from riskwright.systems.credit.records import Candidate, Fitted, Joined

if TYPE_CHECKING:
    from riskwright.learn.bag import Bag
    from riskwright.learn.ensemble import Ensemble
    from riskwright.learn.hazard import Hazard

REFERRAL_ROWS = 5000


def fit_family(
    usecase: UseCase,
    home: Home,
    *,
    train: str,
    name: str,
    seed: int,
    folder: Path,
    progress: Progress | None = None,
) -> Fitted:
    """Fit one family's fold bag on a training snapshot and keep it with its out-of-fold margins.

    A family that may not enter the ensemble is a reference: fitted once, no folds.

    Parameters
    ----------
    train
        Hash of the training snapshot.
    folder
        Where the result goes; replaced as a whole.
    progress
        Called with the fraction done.
    """
    from riskwright.learn.families import applicable

    if reason := applicable(name, usecase.schema_):
        return Fitted(name=name, skipped=f"not applicable: {reason}")
    started = time.monotonic()
    frame = _ordered(usecase, snapshots.read(train, home))
    params, trials = _tuned(usecase, frame, name, seed)
    part = new_part(folder)
    bag, oof = _bag(usecase, frame, name, seed, params, progress)
    if oof is not None:
        np.save(part / "oof.npy", oof, allow_pickle=False)
    bag.save(part / "bag")
    (part / "cleaning.json").write_text(json.dumps(_cleaning(bag), indent=1), encoding="utf-8")
    (part / "trials.json").write_text(json.dumps(trials, indent=1), encoding="utf-8")
    return Fitted(
        name=name,
        folder=str(folder),
        sha256=publish(part, folder),
        seconds=round(time.monotonic() - started, 2),
        params=params,
        trials=len(trials),
        members=len(bag.members),
    )


def _tuned(
    usecase: UseCase, frame: pd.DataFrame, name: str, seed: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A family's hyper-parameters, searched if the use case wants that, and what was tried."""
    params = dict(usecase.families[name].params)
    if not usecase.tuning.trials or name not in usecase.tuning.families:
        return params, []
    from riskwright.learn.tuning import tune

    return tune(
        name,
        usecase.schema_,
        frame[usecase.schema_.names],
        target_of(usecase, frame),
        time_ordered=splits.time_ordered(usecase),
        seed=seed,
        trials=usecase.tuning.trials,
        seconds=usecase.tuning.seconds,
        params=params,
        groups=units.units(usecase, frame),
    )


def _bag(
    usecase: UseCase,
    frame: pd.DataFrame,
    name: str,
    seed: int,
    params: dict[str, Any],
    progress: Progress | None,
) -> tuple[Bag, np.ndarray | None]:
    """A family's models, one a fold, and its margins out of fold; of a reference one, and none."""
    from riskwright.learn.bag import Bag, fit_bag
    from riskwright.learn.families import make_family

    schema = usecase.schema_
    x, y = frame[schema.names], target_of(usecase, frame)
    ordered, groups = splits.time_ordered(usecase), units.units(usecase, frame)
    if not usecase.families[name].ensemble:
        model = make_family(name, schema, seed, params, time_ordered=ordered)
        return Bag(name, [model.fit(x, y, groups=groups, progress=progress)]), None
    return fit_bag(
        name,
        schema,
        x,
        y,
        splits.folds(usecase, frame, y),
        seed=seed,
        params=params,
        time_ordered=ordered,
        groups=groups,
        progress=progress,
    )


def join(
    usecase: UseCase,
    home: Home,
    *,
    train: str,
    families: Sequence[Fitted],
    folder: Path,
) -> Joined:
    """Join the families' bags into the ensemble, and make the baseline deployable alone.

    Weights, calibration, cut-offs and the disagreement limit come from out-of-fold margins.
    """
    from riskwright.learn.calibration import fit_platt

    frame = _ordered(usecase, snapshots.read(train, home))
    y = target_of(usecase, frame)
    bags, oofs = _members(usecase, families)
    part = new_part(folder)
    baseline: str = usecase.baseline
    described = {
        kind: _candidate(usecase, frame, chosen, oofs, part, kind)
        for kind, chosen in (("ensemble", bags), ("baseline", {baseline: bags[baseline]}))
    }
    calibration: dict[str, tuple[float, float]] = {}
    for name, oof in oofs.items():
        known = np.isfinite(oof)
        a, b = fit_platt(oof[known], y[known])
        calibration[name] = (float(a), float(b))
    return Joined(
        folder=str(folder),
        sha256=publish(part, folder),
        candidates=described,
        calibration=calibration,
    )


def _members(
    usecase: UseCase, families: Sequence[Fitted]
) -> tuple[dict[str, Bag], dict[str, np.ndarray]]:
    """Bags and out-of-fold margins of the families that may enter the ensemble."""
    from riskwright.learn.bag import Bag

    bags, oofs = {}, {}
    for step in families:
        if step.skipped or not usecase.families[step.name].ensemble:
            continue
        source = Path(step.folder)
        bags[step.name] = Bag.load(source / "bag")
        oofs[step.name] = np.load(source / "oof.npy", allow_pickle=False)
    if usecase.baseline not in bags:
        raise InputRefused(
            f"the baseline {usecase.baseline!r} was not fitted with folds",
            where=f"use case {usecase.name}: families",
            expected="the baseline among the families that may enter the ensemble",
        )
    return bags, oofs


def _candidate(
    usecase: UseCase,
    frame: pd.DataFrame,
    bags: Mapping[str, Bag],
    oofs: Mapping[str, np.ndarray],
    part: Path,
    kind: str,
) -> Candidate:
    """Join some bags, choose where decisions change, and save what a version needs of it."""
    from riskwright.learn.ensemble import Ensemble

    y, groups = target_of(usecase, frame), units.units(usecase, frame)
    ensemble = Ensemble.fit(dict(bags), {name: oofs[name] for name in bags}, y, groups)
    if splits.time_ordered(usecase):
        ensemble.anchor(frame[usecase.feature_names], y)
    ensemble.seen = seen_in(usecase.schema_, frame)
    known = np.isfinite(ensemble.oof_pd)
    refer = _refer_above(usecase, ensemble, frame)
    limits = choose_limits(usecase, y[known], ensemble.oof_pd[known], refer)
    ensemble.save(part / kind)
    if (hazard := extension_of(usecase).timing(usecase, frame, ensemble.oof_pd)) is not None:
        hazard.save(part / f"{kind}_hazard.json")
    plain = {**vars(limits)}
    (part / f"{kind}_limits.json").write_text(json.dumps(plain), encoding="utf-8")
    return Candidate(limits=plain, **ensemble.describe())


def load_candidate(joined: Joined, kind: str) -> tuple[Any, Limits]:
    """Read back one of ``join``'s candidates: the ensemble object and its limits."""
    from riskwright.learn.ensemble import Ensemble

    folder = joined.place
    limits = json.loads((folder / f"{kind}_limits.json").read_text(encoding="utf-8"))
    return Ensemble.load(folder / kind), Limits(**limits)


def load_hazard(joined: Joined, kind: str) -> Hazard | None:
    """Read back when loans fail, by one of ``join``'s candidates; None if it isn't a loan book."""
    from riskwright.learn.hazard import Hazard

    path = joined.place / f"{kind}_hazard.json"
    return Hazard.load(path) if path.exists() else None


def _refer_above(usecase: UseCase, ensemble: Ensemble, frame: pd.DataFrame) -> float | None:
    """The disagreement that the worst ``refer_share`` of training rows pass; None for one family.

    Of the deployed members, which are averages over folds and disagree less than single fold
    models do; no outcome is looked at.
    """
    if len(ensemble.bags) < 2:
        return None
    rows = frame.sample(min(REFERRAL_ROWS, len(frame)), random_state=0)
    spread = ensemble.predict(rows[usecase.feature_names])["disagreement"]
    return float(spread.quantile(1 - usecase.ensemble.refer_share))


def _ordered(usecase: UseCase, frame: pd.DataFrame) -> pd.DataFrame:
    """Training rows oldest first where time counts: what families hold out is the latest."""
    if not splits.time_ordered(usecase):
        return frame
    return frame.sort_values(str(usecase.time), kind="stable")


def _cleaning(bag: Any) -> list[dict[str, Any]]:
    """The cleaning report of a bag's first member: what changed, how many cells, by column."""
    features = getattr(bag.members[0], "features_", None)
    return [] if features is None else list(features.report_)
