"""Ingest: every series read and checked, then kept as one immutable snapshot."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd

from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.store import snapshots
from riskwright.store.snapshots import Snapshot
from riskwright.systems.market.case import MarketCase
from riskwright.systems.market.ensemble import ANCHOR
from riskwright.systems.market.panel import AsOf, Panel, assemble, read_store
from riskwright.systems.market.refit_schedule import RefitSchedule, make_schedule
from riskwright.systems.market.tables import from_table, to_table
from riskwright.systems.market.walk import make_families

FEWEST_OUTCOMES = 96  # forecasts with an outcome, under which nothing is judged: eight years


@dataclass(frozen=True)
class Ingested:
    """What a source holds today.

    Attributes
    ----------
    snapshot
        All series as one long table (``tables.to_table``), in the units of the case.
    panel
        Built from it.
    notes
        What a reader has to know of the data.
    """

    snapshot: Snapshot
    panel: Panel
    notes: list[str]


def ingest(case: MarketCase, folder: Path | None, home: Home) -> Ingested:
    """Read, check and store the series of a case.

    Parameters
    ----------
    folder
        Folder of the case's files; None if it needs none.

    Raises
    ------
    InputRefused
        If a series breaks a rule, or the case asks for what its data can't hold: nothing is
        stored.
    """
    store = read_store(case, folder)
    panel = assemble(case, store)
    check(case, panel)
    sources = sorted({spec.source for spec in case.series.values()})
    kept = snapshots.write(
        to_table(store),
        home,
        kind="clean",
        meta={
            "usecase": case.name,
            "usecase_digest": case.digest,
            "newest_origin": str(panel.as_of),
            "sources": {name: _version(name, folder) for name in sources},
        },
    )
    return Ingested(kept, panel, notes(case))


def panel_of(case: MarketCase, snapshot: str, home: Home, as_of: AsOf = None) -> Panel:
    """Build the panel of a stored snapshot."""
    return assemble(case, from_table(case, snapshots.read(snapshot, home)), as_of)


def notes(case: MarketCase) -> list[str]:
    """Return what a reader of forecasts has to know of their data."""
    said = []
    if case.revised:
        said.append(
            f"Revised after their first publication, and used as they stand today: "
            f"{', '.join(case.revised)}. Their lag makes the time honest, not the figures."
        )
    price = case.series.get("price")
    if price is not None and price.kind == "price_average":
        said.append(
            "The price is a monthly average. Its returns are smoother than those that anybody "
            "could have earned, so that the strategies show what the forecasts are worth against "
            "each other, not what an account would hold."
        )
    if case.target.kind == "real_total":
        said.append("Returns are real: after inflation.")
    return said


def evaluated(case: MarketCase, panel: Panel, model: str) -> pd.PeriodIndex:
    """Return the origins whose forecasts are judged: from ``walk.first``, else the first one.

    The walk itself begins as early as it can: the ensemble learns from what comes before.
    """
    index = pd.PeriodIndex(panel.X.index)
    possible = index[schedule_of(case, panel, model).first :]
    return possible[possible >= pd.Period(case.walk.first, "M")] if case.walk.first else possible


def schedule_of(case: MarketCase, panel: Panel, model: str, seed: int = 0) -> RefitSchedule:
    """Return the rows and rules of a model's walk, as the case states them."""
    return make_schedule(
        panel,
        model,
        min_train=case.walk.min_train,
        window=case.window,
        embargo=case.walk.embargo,
        seed=seed,
    )


def check(case: MarketCase, panel: Panel) -> None:
    """Refuse what the walk, the ensemble or the judgement would stumble over later.

    Raises
    ------
    InputRefused
        If the ensemble's anchor is no family of the case, a family can't be made, or a model has
        too few outcomes to be judged by.
    """
    make_families(list(case.families), panel, case.refit)
    if ANCHOR not in case.families:
        raise InputRefused(
            f"the family {ANCHOR!r} is missing: the ensemble starts from it",
            where=f"use case {case.name}: families",
            expected=f"{ANCHOR!r} among the families",
        )
    for name, model in case.models.items():
        judged = evaluated(case, panel, name)
        first = case.walk.first
        if first is not None and len(judged) and str(judged[0]) != first:
            raise InputRefused(
                f"{name} can't be forecast at {first}: fewer than {case.walk.min_train} returns "
                "were known",
                where=f"use case {case.name}: walk.first",
                expected=f"a first origin from {judged[0]} on",
            )
        count = int(np.isfinite(panel.targets[name].reindex(judged)).sum())
        needed = max(FEWEST_OUTCOMES, 4 * model.horizon)
        if count < needed:
            raise InputRefused(
                f"the data can't hold {name}: {count} of its forecasts have an outcome",
                where=f"origins up to {panel.as_of}, after {case.walk.min_train} months to learn "
                "from",
                expected=f"at least {needed}",
                do="bring a longer history, lower walk.min_train, or an earlier walk.first",
            )


def _version(source: str, folder: Path | None) -> str:
    """Return what tells this version of a source from another."""
    if source.startswith("arch:"):
        return f"arch {metadata.version('arch')}"
    with (Path(folder or ".") / source).open("rb") as file:
        return f"sha256 {hashlib.file_digest(file, 'sha256').hexdigest()}"
