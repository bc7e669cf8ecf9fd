"""The market's fitted families on disk (``learn.saved``); what isn't finite is a word in JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from riskwright.case.usecase import FeatureSchema
from riskwright.learn.saved import read_arrays, read_trees, reading, write_arrays, write_trees
from riskwright.store.writer import write_json
from riskwright.systems.market.families import Family
from riskwright.systems.market.learnt import Fitted, FloatArray, Linear, Lines, Scaled, Trees
from riskwright.systems.market.walk import make_family

FITTED, BOOSTER, WEIGHTS = "fitted.json", "booster.ubj", "weights.npz"


def save_family(family: Family, folder: Path) -> None:
    """Write a fitted family into a folder.

    Raises
    ------
    TypeError
        If nobody has said how this kind of fit is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fitted = family.fitted_
    plain: dict[str, Any] = {"family": family.name, "mean": _words(fitted.mean)}
    if chosen := family.candidates()[0]:
        plain |= {"params": {name: getattr(family, name) for name in chosen}, "seed": family.seed}
    match fitted:
        case Lines():
            arrays = {k: _words(getattr(fitted, k)) for k in ("slopes", "centre", "levels")}
            used = [bool(u) for u in fitted.used]
            plain |= {"kind": "lines", **arrays, "used": used, "floor": _words(fitted.floor)}
        case Linear():
            arrays = {k: _words(getattr(fitted, k)) for k in ("slopes", "centre", "medians")}
            plain |= {"kind": "linear", **arrays}
        case Trees():
            plain |= {"kind": "trees"}
            write_trees(folder / BOOSTER, fitted.booster)
        case _:
            plain |= _save_network(fitted, folder)
    write_json(folder / FITTED, plain, allow_nan=False)


def load_family(folder: Path, schema: FeatureSchema) -> Family:
    """Read back what ``save_family`` wrote; it forecasts the same.

    Parameters
    ----------
    schema
        Of the frames that it will be asked of: ``case_sections.market_schema``.

    Raises
    ------
    IntegrityError
        If a file is missing or isn't what was written.
    """
    with reading("family", folder):
        plain: dict[str, Any] = json.loads((folder / FITTED).read_text(encoding="utf-8"))
        family = make_family(str(plain["family"]), schema)
        # Files of before kept these of networks alone.
        family.set_params(**plain.get("params", {}), seed=int(plain.get("seed", 0)))
        family.fitted_ = _read(plain, family, folder)
    return family


def _read(plain: dict[str, Any], family: Family, folder: Path) -> Fitted:
    mean = float(plain["mean"])
    match plain["kind"]:
        case "lines":
            used = np.array(plain["used"], dtype=bool)
            slopes, centre, levels = (_array(plain[k]) for k in ("slopes", "centre", "levels"))
            return Lines(mean, slopes, centre, levels, used, float(plain["floor"]))
        case "linear":
            return Linear(mean, *(_array(plain[k]) for k in ("slopes", "centre", "medians")))
        case "trees":
            booster = read_trees(folder / BOOSTER)
            booster.set_param({"nthread": 1})
            return Trees(mean, booster)
        case "network":
            return _load_network(plain, family, folder)
        case kind:
            raise ValueError(f"it is a {kind!r}")


def _save_network(fitted: Fitted, folder: Path) -> dict[str, Any]:
    from riskwright.systems.market.deep import Trained

    if not isinstance(fitted, Trained):
        raise TypeError(f"{type(fitted).__name__}: how is it kept?")
    arrays = {
        f"n{copy:02d}w{i:03d}": weights
        for copy, network in enumerate(fitted.networks)
        for i, weights in enumerate(network.get_weights())
    }
    write_arrays(folder / WEIGHTS, arrays)
    scaled = fitted.read.scaled
    return {
        "kind": "network",
        "shape": list(fitted.read.shape),
        "scaled": {k: _words(getattr(scaled, k)) for k in ("medians", "centre", "scale")},
        "level": _words(fitted.level),
        "spread": _words(fitted.spread),
        "params": dict(fitted.params),
        "seed": fitted.seed,
    }


def _load_network(plain: dict[str, Any], family: Family, folder: Path) -> Fitted:
    from riskwright.systems.market.deep import Network, Read

    scaled = Scaled(*(_array(plain["scaled"][k]) for k in ("medians", "centre", "scale")))
    arrays = read_arrays(folder / WEIGHTS)
    copies = sorted({key[:3] for key in arrays})
    if not isinstance(family, Network):
        raise ValueError(f"a {family.name!r} is no network")
    family.copies = len(copies)
    return family.restored(
        float(plain["mean"]),
        Read(scaled, tuple(int(n) for n in plain["shape"])),
        float(plain["level"]),
        float(plain["spread"]),
        [[a for key, a in arrays.items() if key[:3] == copy] for copy in copies],
    )


def _words(values: Any) -> Any:
    """Return numbers as JSON can hold them: a list of an array, words for what isn't finite."""
    if np.ndim(values):
        return [_words(value) for value in values]
    number = float(values)
    return number if np.isfinite(number) else str(number)


def _array(values: list[Any]) -> FloatArray:
    return np.array([float(value) for value in values])
