"""Search for better hyper-parameters, within a count of trials and a cap in time."""

from __future__ import annotations

import inspect
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.case.usecase import FAMILIES, FeatureSchema
from riskwright.data.units import Index
from riskwright.errors import InputRefused
from riskwright.learn.base import PDFamily, inner_split
from riskwright.learn.families import family_class, make_family
from riskwright.learn.space import Space

if TYPE_CHECKING:
    from optuna import Trial

SHARE = 0.2  # of the training rows, on which trials are compared


def tune(
    name: str,
    schema: FeatureSchema,
    X: pd.DataFrame,
    y: npt.NDArray[np.int8],
    *,
    time_ordered: bool,
    seed: int,
    trials: int,
    seconds: float,
    params: dict[str, Any],
    groups: Index | None = None,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Search a family's parameters by log loss on an inner part of the training rows.

    The first trial is ``params`` with the family's defaults, so that the result is never worse
    than these on the inner part. The rest are proposed by TPE (Bergstra and others 2011, as in
    Optuna). A parameter that ``params`` sets stays as it is set. The same count of trials repeats
    exactly; a cap in time that is reached does not.

    Parameters
    ----------
    X, y
        Training rows, (n, features) and (n,), 1 = bad; oldest first if ``time_ordered``, where
        the last fifth is the inner part. Otherwise a stratified random fifth is.
    trials, seconds
        Most trials, and the time after which none is started; the first is always run.
    params
        What the use case sets.
    groups
        Rows that belong together, shape (n,): they stay on one side.

    Returns
    -------
    (params, log)
        The best parameters, and of each trial ``number``, ``params``, ``log_loss``, ``seconds``.

    Raises
    ------
    InputRefused
        If the family has nothing to search.
    """
    import optuna

    family = _searchable(name)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {key: suggest for key, suggest in family.space.items() if key not in params}
    parts = inner_split(y, seed=seed, time_ordered=time_ordered, share=SHARE, groups=groups)
    started = time.monotonic()
    log: list[dict[str, Any]] = []

    def objective(trial: Trial) -> float:
        chosen = {**params, **{key: suggest(trial, key) for key, suggest in space.items()}}
        model = make_family(name, schema, seed, chosen, time_ordered=time_ordered)
        begun = time.monotonic()
        value = _log_loss(model, X, y, *parts, groups)
        spent = round(time.monotonic() - begun, 3)
        log.append({"number": len(log), "params": chosen, "log_loss": value, "seconds": spent})
        return value

    def stop(study: optuna.Study, _: Any) -> None:
        if time.monotonic() - started > seconds:
            study.stop()

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(_defaults(family, space))
    study.optimize(objective, n_trials=max(1, trials if space else 1), callbacks=[stop])
    best = min(log, key=lambda line: line["log_loss"])
    return dict(best["params"]), log


def _searchable(name: str) -> type[PDFamily]:
    """A family whose parameters can be searched."""
    family = family_class(name)
    if not family.space:
        raise InputRefused(
            f"family {name!r} has no parameters to search",
            where="tuning: families",
            expected=f"some of {', '.join(n for n in FAMILIES if family_class(n).space)}",
        )
    return family


def _log_loss(
    model: PDFamily,
    X: pd.DataFrame,
    y: npt.NDArray[np.int8],
    train: Index,
    valid: Index,
    groups: Index | None,
) -> float:
    """Log loss on one part of the rows of a model that is fitted on the other."""
    inside = None if groups is None else groups[train]
    margin = model.fit(X.iloc[train], y[train], groups=inside).margin(X.iloc[valid])
    return float(np.mean(np.logaddexp(0.0, margin) - y[valid] * margin))


def _defaults(family: type[PDFamily], space: Space) -> dict[str, Any]:
    """The family's own defaults of the searched parameters, as Optuna keeps them."""
    signature = inspect.signature(family).parameters
    values = {key: signature[key].default for key in space}
    return {
        key: "-".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        for key, value in values.items()
    }
