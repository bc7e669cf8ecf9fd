"""From a snapshot of series to forecasts: the walk of each model, what joins them, the members.

Each step writes one folder under the retrain's workplace, appearing only when complete, and hands
over a record with the folder's hash, so that a retrain goes on from any of them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from riskwright.home import Home, cores
from riskwright.life.workplace import Progress, new_part, publish
from riskwright.systems.market.case import MarketCase
from riskwright.systems.market.families import Family
from riskwright.systems.market.ingest import panel_of, schedule_of
from riskwright.systems.market.model_forecasts import ModelForecasts, join
from riskwright.systems.market.records import Joined, LiveModel, Walked
from riskwright.systems.market.refit_schedule import RefitSchedule
from riskwright.systems.market.storage import save_family
from riskwright.systems.market.tables import read_months, write_months
from riskwright.systems.market.walk import make_families, walk


def walk_model(
    case: MarketCase,
    home: Home,
    *,
    data: str,
    model: str,
    seed: int,
    folder: Path,
    progress: Progress | None = None,
) -> Walked:
    """Forecast with every family at every origin, from what was known there.

    The walk begins as early as the data allow, whatever ``walk.first`` says: the ensemble learns
    from what comes before the origins that are judged.
    """
    started = time.monotonic()
    panel = panel_of(case, data, home)
    families = make_families(list(case.families), panel, case.refit)
    # Lines and trees are done before other processes have started.
    several = any(family.deep for family in families)
    found = walk(
        panel,
        model,
        list(case.families),
        min_train=case.walk.min_train,
        window=case.window,
        embargo=case.walk.embargo,
        refit=case.refit,
        workers=cores() if several else 1,
        progress=progress,
        seed=seed,
    )
    part = new_part(folder)
    write_months(part / "forecasts.parquet", found.forecasts)
    (part / "trials.json").write_text(json.dumps(found.trials, indent=1), encoding="utf-8")
    return Walked(
        model=model,
        folder=str(folder),
        sha256=publish(part, folder),
        seconds=round(time.monotonic() - started, 1),
        cpu_seconds={name: round(spent, 2) for name, spent in found.seconds.items()},
        first=str(found.forecasts.index[0]),
        last=str(found.forecasts.index[-1]),
    )


def join_models(
    case: MarketCase,
    home: Home,
    *,
    data: str,
    walks: Sequence[Walked],
    seed: int,
    folder: Path,
) -> Joined:
    """Combine each model's forecasts, answer at each origin, and keep the members that are live.

    The members are the fits that the walk's own schedule has at the newest origin: what goes live
    is what was judged, and forecasts the newest origin to the last bit as the walk did.
    """
    panel = panel_of(case, data, home)
    part = new_part(folder)
    described = {}
    for step in walks:
        model, source = step.model, step.place
        walked = read_months(source / "forecasts.parquet")
        found = join(case, panel, model, walked, seed)
        place = part / model
        place.mkdir()
        _keep(found, place)
        trials = json.loads((source / "trials.json").read_text(encoding="utf-8"))
        (place / "trials.json").write_text(json.dumps([*trials, found.trial], indent=1))
        newest = found.weights.iloc[-1]
        live = {str(name): float(w) for name, w in newest.items() if w > 0}
        families = make_families(list(live), panel, case.refit) if live else []
        _fit(schedule_of(case, panel, model, seed), families, place / "members")
        described[model] = LiveModel(
            newest=str(walked.index[-1]),
            weights=live,
            mean=float(walked["mean"].iloc[-1]),
            learnt=float(found.basis["learnt"].iloc[-1]),
            sequences=any(family.sequences for family in families),
        )
    return Joined(folder=str(folder), sha256=publish(part, folder), models=described)


def _keep(found: ModelForecasts, place: Path) -> None:
    write_months(place / "forecasts.parquet", found.forecasts)
    write_months(place / "basis.parquet", found.basis)
    write_months(place / "weights.parquet", found.weights)
    write_months(place / "contributions.parquet", found.contributions)
    for kind, table in found.answers.items():
        write_months(place / f"answers_{kind}.parquet", table)


def _fit(schedule: RefitSchedule, families: list[Family], folder: Path) -> None:
    """Fit and save families as the walk had them at the newest origin."""
    here = np.array([len(schedule.y) - 1], dtype=np.int64)
    for number, family in enumerate(families):
        place = folder / f"{number:02d}"
        if not family.deep:
            _fit_one(schedule, family, here, place)
            continue
        # A process of its own, pinned as those of the walk: the same bits, and no TensorFlow here.
        with ProcessPoolExecutor(1, get_context("spawn"), _pin) as pool:
            pool.submit(_fit_one, schedule, family, here, place).result()


def _pin() -> None:
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"


def _fit_one(schedule: RefitSchedule, family: Family, here: np.ndarray, place: Path) -> None:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        for _, fitted in schedule.fits(family, here):
            save_family(fitted, place)


def read_joined(joined: Joined, model: str, name: str) -> pd.DataFrame:
    """Read a table that ``join_models`` kept, such as ``forecasts`` or ``answers_mean``."""
    return read_months(joined.place / model / f"{name}.parquet")
