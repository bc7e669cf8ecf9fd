"""The walk-forward: at each origin, families learn from what was known then, and forecast.

The years of a family (or its refit cycles, where these are longer) don't depend on each other:
they are the jobs that processes share.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from riskwright.case.usecase import FeatureSchema
from riskwright.errors import InputRefused, Unavailable, closest
from riskwright.systems.market.case_sections import SINGLE
from riskwright.systems.market.families import (
    PLS,
    Family,
    KitchenSink,
    Mean,
    Ridge,
    Single,
    XGBoost,
)
from riskwright.systems.market.learnt import FloatArray, IntArray
from riskwright.systems.market.panel import Panel
from riskwright.systems.market.refit_schedule import Job, RefitSchedule, make_schedule


def _deep(name: str) -> Callable[[FeatureSchema], Family]:
    def make(schema: FeatureSchema) -> Family:
        from riskwright.systems.market import deep

        kinds: dict[str, type[Family]] = {
            "article_mlp": deep.ArticleMLP,
            "gru": deep.GRU,
            "cnn": deep.CNN,
        }
        return kinds[name](schema)

    return make


KINDS: dict[str, Callable[[FeatureSchema], Family]] = {
    "mean": Mean,
    "combination": Single,
    "combination_ct": partial(Single, restricted=True),
    "kitchen_sink": KitchenSink,
    "ridge": Ridge,
    "pls": PLS,
    "xgboost": XGBoost,
    **{name: _deep(name) for name in ("article_mlp", "gru", "cnn")},
}

Done = tuple[str, IntArray, FloatArray, float]


@dataclass(frozen=True)
class Walk:
    """What a walk-forward found.

    Attributes
    ----------
    forecasts
        Index origin; ``actual`` (NaN while the future isn't there) and one column a family.
    trials
        Every configuration that was tried, once: ``model``, ``family``, ``params``, ``window``.
    seconds
        CPU seconds by family.
    """

    forecasts: pd.DataFrame
    trials: list[dict[str, Any]]
    seconds: dict[str, float]


def walk(
    panel: Panel,
    model: str,
    families: Sequence[str],
    *,
    min_train: int = 360,
    window: int | None = None,
    embargo: int = 0,
    refit: Mapping[str, int] | None = None,
    first: pd.Period | None = None,
    last: pd.Period | None = None,
    workers: int = 1,
    progress: Callable[[float], None] | None = None,
    seed: int = 0,
) -> Walk:
    """Forecast at each origin with what was known then.

    Parameters
    ----------
    panel
        Predictors, targets, and the months in which these were known.
    model
        The target, such as ``m12``.
    families
        Names of ``KINDS``; ``ols`` and ``ct`` stand for one family a predictor (``ols:dp``).
    min_train
        Fewest rows to learn from, in months.
    window
        Latest known rows that are learnt from, in months; all of them if left out.
    embargo
        Months between the latest known return that is learnt from and the origin.
    refit
        Months between two fits by family (or ``ols``, ``ct``), where they differ from its own.
    first, last
        Origins to forecast at; as early and as late as the panel allows if left out.
    workers
        Processes. Each is pinned to one thread; the result doesn't depend on their number.
    progress
        Called with the fraction done.
    seed
        Of the families that draw.

    Raises
    ------
    InputRefused
        If a name is unknown, a number of months can't be one, or no origin has enough rows.
    Unavailable
        If a process ended early.
    """
    schedule = make_schedule(
        panel, model, min_train=min_train, window=window, embargo=embargo, seed=seed
    )
    members = make_families(families, panel, refit)
    positions = _origins(schedule, panel.X.index, first, last)
    # What is rarely fitted is dear: it goes first, so that no process is left alone with it.
    jobs = [
        job
        for family in sorted(members, key=lambda f: -f.refit)
        for job in schedule.jobs(family, positions)
    ]
    out = pd.DataFrame(
        {"actual": schedule.y[positions]},
        index=panel.X.index[positions].rename("origin"),
    )
    columns = {family.name: np.empty(len(positions)) for family in members}
    seconds = dict.fromkeys(columns, 0.0)
    for number, (name, here, found, spent) in enumerate(_run(schedule, jobs, workers), start=1):
        columns[name][here - positions[0]] = found
        seconds[name] += spent
        if progress is not None:
            progress(number / len(jobs))
    return Walk(out.assign(**columns), trials(members, model, window), seconds)


def trials(families: Sequence[Family], model: str, window: int | None) -> list[dict[str, Any]]:
    """Return every configuration that a walk tries, as entries of the trial log."""
    return [
        {"model": model, "family": family.name, "params": params, "window": window}
        for family in families
        for params in family.candidates()
    ]


def make_family(name: str, schema: FeatureSchema) -> Family:
    """Return the family of a name, such as ``ridge`` or ``ct:log_dp``.

    Raises
    ------
    InputRefused
        If the name is unknown.
    """
    kind, _, predictor = name.partition(":")
    if kind in SINGLE and predictor in schema.names:
        return Single(schema, only=predictor, restricted=kind == "ct")
    if name not in KINDS:
        singles = [f"{one}:{predictor}" for one in SINGLE for predictor in schema.names]
        raise InputRefused(
            f"there is no family {name!r}",
            expected=f"{', '.join([*SINGLE, *KINDS])}",
            do=closest(name, [*SINGLE, *KINDS, *singles]),
        )
    return KINDS[name](schema)


def make_families(
    names: Sequence[str], panel: Panel, refit: Mapping[str, int] | None = None
) -> list[Family]:
    """Return the families of these names, each once, in their order.

    Raises
    ------
    InputRefused
        If a name is unknown, or a family reads sequences and the panel has none.
    """
    schema, stated = panel.schema, refit or {}
    wanted: dict[str, None] = {}
    for name in names:
        every = [f"{name}:{one}" for one in schema.names] if name in SINGLE else [name]
        wanted.update(dict.fromkeys(every))
    made: list[Family] = []
    for name in wanted:
        family = make_family(name, schema)
        if family.sequences and panel.sequences is None:
            raise InputRefused(
                f"the family {name!r} is not applicable: the panel has no sequences",
                do=f"declare sequences, or leave {name!r} out of the families",
            )
        family.refit = stated.get(name, stated.get(name.partition(":")[0], family.refit))
        if family.refit < 1:
            raise InputRefused(f"refit of {name!r} is {family.refit}", expected="at least 1 month")
        made.append(family)
    if not made:
        raise InputRefused("no family is named", expected=f"some of {', '.join(KINDS)}")
    return made


def _origins(
    schedule: RefitSchedule, index: pd.Index, first: pd.Period | None, last: pd.Period | None
) -> IntArray:
    """Return the positions to forecast at, one after the other."""
    start = schedule.first
    if start == len(index):
        raise InputRefused(
            f"no origin has {schedule.min_train} rows to learn from: the panel holds {len(index)}",
            expected=f"{schedule.min_train} months whose return was known at an origin",
            do="bring a longer history, or lower min_train",
        )
    at = schedule.month
    begin = start if first is None else int(np.searchsorted(at, first.ordinal))
    if begin < start:
        raise InputRefused(
            f"at {first} fewer than {schedule.min_train} rows were known",
            expected=f"a first origin from {index[start]} on",
        )
    end = len(index) if last is None else int(np.searchsorted(at, last.ordinal + 1))
    if end <= begin:
        raise InputRefused(
            f"no origin lies between {first or index[start]} and {last or index[-1]}",
            expected=f"origins from {index[start]} to {index[-1]}",
        )
    return np.arange(begin, end, dtype=np.int64)


_shared: dict[str, RefitSchedule] = {}  # in a worker process: what its jobs share


def _leave() -> None:
    """End this process once its parent has, however that ended: nobody waits for the jobs."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _enter(schedule: RefitSchedule) -> None:
    """Make a worker process ready: one thread, whatever computes in it."""
    Thread(target=_leave, daemon=True).start()
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"  # read when TensorFlow is imported
    threadpool_limits(limits=1)
    _shared["schedule"] = schedule


def _do(schedule: RefitSchedule, job: Job) -> Done:
    family, positions = job
    began = time.process_time()
    found = schedule.forecast(family, positions)
    return family.name, positions, found, time.process_time() - began


def _do_shared(job: Job) -> Done:
    return _do(_shared["schedule"], job)


def _run(schedule: RefitSchedule, jobs: list[Job], workers: int) -> Iterator[Done]:
    """Do the jobs, in this process or in others.

    TensorFlow can't be pinned once it has run, nor be forked: networks always get a fresh process.
    """
    if workers <= 1 and not any(family.deep for family, _ in jobs):
        with threadpool_limits(limits=1):
            for job in jobs:
                yield _do(schedule, job)
        return
    with ProcessPoolExecutor(
        max(1, min(workers, len(jobs))), get_context("spawn"), _enter, (schedule,)
    ) as pool:
        try:
            for done in as_completed([pool.submit(_do_shared, job) for job in jobs]):
                yield done.result()
        except BrokenProcessPool as error:
            raise Unavailable(
                "a process of the walk-forward ended early",
                do="free memory, or run it with fewer workers",
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
