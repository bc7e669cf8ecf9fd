"""The families of PD models: one table, those shipped and those installed beside.

A family is a module under ``learn`` and its line here; from another package, a module and an entry
point ``riskwright.families``. Names lie in ``case``, since a use case is refused for a wrong one
without importing any family.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import entry_points

from riskwright.case.brought import refuse_several
from riskwright.errors import InputRefused, closest

SHIPPED = {
    "logistic": "riskwright.learn.logistic:Logistic",
    "scorecard": "riskwright.learn.scorecard:Scorecard",
    "xgboost": "riskwright.learn.gradient_boosting:XGBoost",
    "article_mlp": "riskwright.learn.article_mlp:ArticleMLP",
    "mlp": "riskwright.learn.mlp:MLP",
    "gru": "riskwright.learn.gru:GRU",
    "cnn": "riskwright.learn.cnn:CNN",
}
FAMILIES = tuple(SHIPPED)
CANDIDATES = ("ensemble", "baseline")  # what is made of them: no family's name
REFERENCES = ("article_mlp",)  # fitted to compare with; no member unless the use case says so
GROUP = "riskwright.families"  # of entry points: name = module:class


def families() -> dict[str, str]:
    """Return name to ``module:class``.

    A name that is shipped can't be taken, that of a candidate neither, nor one that is no name: it
    is that of a folder and of a run.
    """
    beside = entry_points(group=GROUP)
    named = {p.name: p.value for p in beside if re.fullmatch("[a-z][a-z0-9_]*", p.name)}
    return {name: named[name] for name in named if name not in CANDIDATES} | SHIPPED


def place_of(name: str) -> str:
    """Return the ``module:class`` of a family.

    Raises
    ------
    InputRefused
        If there is no such family, or several packages bring it.
    """
    if name in SHIPPED:  # entry points are searched in every installed distribution: last
        return SHIPPED[name]
    known = families()
    if name not in known:
        raise unknown(name, known)
    refuse_several(GROUP, name, "families")
    return known[name]


def unknown(name: str, known: Mapping[str, str]) -> InputRefused:
    """Return the refusal of a family that isn't there, with those that are."""
    return InputRefused(
        f"no family is called {name!r}",
        expected=f"one of {', '.join(known)}",
        do=closest(name, known) or "install the package that brings it",
    )
