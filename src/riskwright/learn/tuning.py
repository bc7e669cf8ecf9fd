"""Search for better hyper-parameters, within a count of trials and a cap in time."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.case.usecase import FeatureSchema
from riskwright.data.units import Index
from riskwright.errors import InputRefused
from riskwright.learn.base import inner_split
from riskwright.learn.families import family_class, make_family

if TYPE_CHECKING:
    from optuna import Trial

    Suggest = Callable[[Trial], Any]

SHARE = 0.2  # of the training rows, on which trials are compared


def _real(name: str, low: float, high: float) -> Suggest:
    return lambda trial: trial.suggest_float(name, low, high)


def _log(name: str, low: float, high: float) -> Suggest:
    return lambda trial: trial.suggest_float(name, low, high, log=True)


def _whole(name: str, low: int, high: int) -> Suggest:
    return lambda trial: trial.suggest_int(name, low, high)


def _layers(name: str, options: tuple[str, ...]) -> Suggest:
    # Optuna keeps plain values only, so layers travel as text: "128-64".
    return lambda trial: _units(trial.suggest_categorical(name, options))


def _units(text: str) -> list[int]:
    return [int(units) for units in text.split("-")]


_SEQUENTIAL: dict[str, Suggest] = {
    "units": _whole("units", 8, 64),
    "learning_rate": _log("learning_rate", 3e-4, 1e-2),
}

SPACES: dict[str, dict[str, Suggest]] = {
    "logistic": {"C": _log("C", 1e-4, 100.0)},
    "scorecard": {"C": _log("C", 1e-3, 100.0)},
    "xgboost": {
        "learning_rate": _log("learning_rate", 0.01, 0.1),
        "max_depth": _whole("max_depth", 2, 8),
        "min_child_weight": _log("min_child_weight", 1.0, 50.0),
        "subsample": _real("subsample", 0.5, 1.0),
        "colsample_bytree": _real("colsample_bytree", 0.3, 1.0),
        "reg_lambda": _log("reg_lambda", 0.1, 50.0),
    },
    "mlp": {
        "hidden": _layers("hidden", ("64", "64-64", "128-128", "256-128", "128-64-32")),
        "dropout": _real("dropout", 0.0, 0.6),
        "learning_rate": _log("learning_rate", 3e-4, 1e-2),
        "weight_decay": _log("weight_decay", 1e-4, 0.1),
    },
    "gru": _SEQUENTIAL,
    "cnn": _SEQUENTIAL,
}


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

    if name not in SPACES:
        raise InputRefused(
            f"family {name!r} has no parameters to search",
            where="tuning: families",
            expected=f"some of {', '.join(SPACES)}",
        )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {key: suggest for key, suggest in SPACES[name].items() if key not in params}
    train, valid = inner_split(y, seed=seed, time_ordered=time_ordered, share=SHARE, groups=groups)
    inside = None if groups is None else groups[train]
    started = time.monotonic()
    log: list[dict[str, Any]] = []

    def log_loss(chosen: dict[str, Any]) -> float:
        model = make_family(name, schema, seed, chosen, time_ordered=time_ordered)
        begun = time.monotonic()
        margin = model.fit(X.iloc[train], y[train], groups=inside).margin(X.iloc[valid])
        value = float(np.mean(np.logaddexp(0.0, margin) - y[valid] * margin))
        spent = round(time.monotonic() - begun, 3)
        log.append({"number": len(log), "params": chosen, "log_loss": value, "seconds": spent})
        return value

    def objective(trial: Trial) -> float:
        return log_loss({**params, **{key: suggest(trial) for key, suggest in space.items()}})

    def stop(study: optuna.Study, _: Any) -> None:
        if time.monotonic() - started > seconds:
            study.stop()

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(_defaults(name, space))
    study.optimize(objective, n_trials=max(1, trials if space else 1), callbacks=[stop])
    best = min(log, key=lambda line: line["log_loss"])
    return dict(best["params"]), log


def _defaults(name: str, space: dict[str, Suggest]) -> dict[str, Any]:
    """The family's own defaults of the searched parameters, as Optuna keeps them."""
    signature = inspect.signature(family_class(name)).parameters
    values = {key: signature[key].default for key in space}
    return {
        key: "-".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        for key, value in values.items()
    }
