"""The families by name; each is imported only when it is made or loaded."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

from riskwright.case.families import place_of
from riskwright.case.usecase import FeatureSchema
from riskwright.errors import InputRefused, closest
from riskwright.learn.base import PDFamily


def family_class(name: str) -> type[PDFamily]:
    """Return a family's class.

    Raises
    ------
    InputRefused
        If there is no such family, or what another package calls one is none.
    """
    place = place_of(name)
    module, _, attribute = place.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputRefused(
            f"the family {name!r} can't be loaded: {error}",
            where=place,
            do="install again the package that brings it",
        ) from error
    if not (isinstance(found, type) and issubclass(found, PDFamily) and found.name == name):
        raise InputRefused(
            f"what is installed as the family {name!r} is none",
            where=place,
            expected=f"a subclass of riskwright.learn.base.PDFamily whose name is {name!r}",
        )
    return found


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
