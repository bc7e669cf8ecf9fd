"""The families by name; each is imported only when it is made or loaded."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from riskwright.case.usecase import FAMILIES, FeatureSchema
from riskwright.errors import InputRefused, closest
from riskwright.learn.base import PDFamily

_WHERE = {
    "logistic": ("logistic", "Logistic"),
    "scorecard": ("scorecard", "Scorecard"),
    "xgboost": ("gradient_boosting", "XGBoost"),
    "article_mlp": ("article_mlp", "ArticleMLP"),
    "mlp": ("mlp", "MLP"),
    "gru": ("gru", "GRU"),
    "cnn": ("cnn", "CNN"),
}


def family_class(name: str) -> type[PDFamily]:
    """Return a family's class.

    Raises
    ------
    InputRefused
        If there is no such family.
    """
    if name not in _WHERE:
        raise InputRefused(
            f"no family is called {name!r}",
            expected=f"one of {', '.join(FAMILIES)}",
            do=closest(name, FAMILIES),
        )
    module, attribute = _WHERE[name]
    return cast("type[PDFamily]", getattr(import_module(f"riskwright.learn.{module}"), attribute))


def applicable(name: str, schema: FeatureSchema) -> str | None:
    """Return why a family can't be used on these features, or None if it can."""
    return family_class(name).applicable(schema)


def make_family(
    name: str,
    schema: FeatureSchema,
    seed: int,
    params: dict[str, Any],
    time_ordered: bool = False,
) -> PDFamily:
    """Make an unfitted family.

    Parameters
    ----------
    params
        Its hyper-parameters; those left out have their defaults.
    time_ordered
        Rows will be oldest first; told to the families that cut off an inner part.

    Raises
    ------
    InputRefused
        If the family or a parameter is unknown, with the closest one.
    """
    cls = family_class(name)
    known = [p for p in inspect.signature(cls).parameters if p not in ("schema", "seed")]
    settings = dict(params)
    if "time_ordered" in known:
        settings.setdefault("time_ordered", time_ordered)
    for key in settings:
        if key not in known:
            tunable = [k for k in known if k != "time_ordered"]
            raise InputRefused(
                f"family {name!r} has no parameter {key!r}",
                where=f"families: {name}: params",
                expected=", ".join(tunable),
                do=closest(key, tunable),
            )
    return cls(schema=schema, seed=seed, **settings)


def load_family(name: str, folder: Path) -> PDFamily:
    """Read back a fitted family."""
    return family_class(name).load(folder)
