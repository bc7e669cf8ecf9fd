"""Submit a market challenger: its models registered as one set, judged, and live by the policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from riskwright.errors import InputRefused, IntegrityError
from riskwright.home import Home
from riskwright.ledger import ChampionInfo, Gate, Ledger
from riskwright.life.policy import version_number
from riskwright.life.rules import Changes
from riskwright.life.submission import Submission, Writer
from riskwright.life.tracking import local_bundle
from riskwright.systems.market.bundle import ForecastBundle
from riskwright.systems.market.candidates import read_joined
from riskwright.systems.market.case import MarketCase
from riskwright.systems.market.gates import Rival, gates
from riskwright.systems.market.ingest import panel_of
from riskwright.systems.market.model_forecasts import Kind
from riskwright.systems.market.records import Joined, MarketEvidence
from riskwright.systems.market.tables import at


@dataclass(frozen=True, kw_only=True)
class MarketSubmission(Submission):
    """What a market retrain hands to the registry.

    Attributes
    ----------
    series
        Hash of the snapshot of series.
    joined, evidence
        What ``candidates.join_models`` and ``evidence.gather`` returned.
    """

    case: MarketCase
    evidence: MarketEvidence
    series: str
    joined: Joined

    @property
    def baseline(self) -> str:
        """The historical mean."""
        return "mean"

    def deployed(self, kind: str) -> dict[str, Kind]:
        """Return model to what is deployed of it, in a candidate."""
        if kind == self.baseline:
            return dict.fromkeys(self.case.models, "mean")
        return dict(self.evidence.deployed)

    def writers(self, kind: str) -> dict[str, Writer]:
        """Return model to what writes its bundle."""
        panel = panel_of(self.case, self.series, self.home)
        return {
            model: partial(_write, self, panel, model, deployed)
            for model, deployed in self.deployed(kind).items()
        }

    def told(self, kind: str) -> dict[str, Any]:
        """Return the data, skill and figures of a candidate."""
        evidence, deployed = self.evidence, self.deployed(kind)
        return {
            "deployed": deployed,
            "metrics": {m: _figures(evidence, m, k) for m, k in deployed.items()},
            "skill": {m: evidence.models[m]["skill"] for m in deployed},
            "moving": {m: evidence.models[m]["moving"][k] for m, k in deployed.items()},
            "train": self.series,
            "newest": {m: self.joined.models[m].newest for m in deployed},
            "joined": self.joined.plain(),
        }

    def snapshots(self, kind: str) -> tuple[str, ...]:
        """Return the hash of the series."""
        return (self.series,)

    def judge(self, version: int, changed: Changes) -> list[Gate]:
        """Return the challenger's gates."""
        return _judge(self, version, changed)


def load_forecast(
    home: Home, ledger: Ledger, usecase: str, model: str, which: str = "champion"
) -> ForecastBundle:
    """Load a model of the champion, the newest challenger or a version; digests are checked.

    Raises
    ------
    InputRefused
        If there is no such version or model.
    IntegrityError
        If a file of the bundle is not what was registered.
    """
    number = version_number(ledger, usecase, which)
    held = ledger.version(usecase, number).models
    if model not in held:
        raise InputRefused(
            f"version {number} of {usecase} has no model {model}", expected=", ".join(held)
        )
    ref = held[model]
    bundle = ForecastBundle.load(
        local_bundle(ref.uri, home.root / "bundles" / ref.digest), ref.digest
    )
    if bundle.version != number:
        raise IntegrityError(f"the bundle of version {number} says it is {bundle.version}")
    return bundle


def kept_walk(evidence: Mapping[str, Any]) -> Joined:
    """Return what a registered version's walk-forward kept, after checking its hash.

    Parameters
    ----------
    evidence
        Of the version.

    Raises
    ------
    IntegrityError
        If the folder is gone, or a file isn't what it was.
    """
    try:
        joined = Joined.model_validate(evidence["joined"])
    except (KeyError, ValidationError) as error:
        raise IntegrityError(
            "nobody can read what the walk-forward kept",
            where=f"the evidence of the version: {type(error).__name__}: {error}",
            do="retrain",
        ) from error
    if not joined.whole():
        raise IntegrityError(
            "the walk-forward's forecasts are gone, or aren't what they were",
            where=joined.folder,
            do="restore the folder, or retrain",
        )
    return joined


def _write(
    of: MarketSubmission, panel: Any, model: str, kind: Kind, version: int, part: Path
) -> str:
    share = of.evidence.models[model]["moving"][kind]["share"]
    return ForecastBundle.write(part, of.case, panel, model, kind, of.joined, version, share)


def _figures(evidence: MarketEvidence, model: str, kind: Kind) -> dict[str, Any]:
    """Skill of what is deployed, and how its intervals held."""
    found = evidence.models[model]
    family = "ensemble" if kind == "ensemble" else "historical_mean"
    return {
        **found["metrics"][family],
        "coverage": found["coverage"][kind]["figures"],
        "months": found["skill"]["figures"]["months"],
    }


def _judge(of: MarketSubmission, version: int, changed: Changes) -> list[Gate]:
    challenger = {
        model: _challenger(of.joined, model, kind) for model, kind in of.evidence.deployed.items()
    }
    champion = of.ledger.champion(of.case.name)
    return gates(
        of.case,
        of.evidence,
        challenger,
        _rival(of, champion, changed) if champion else None,
        _golden(of, version),
        readings=len(of.ledger.readings(of.series)),
    )


def _challenger(joined: Joined, model: str, kind: Kind) -> pd.DataFrame:
    answers = read_joined(joined, model, f"answers_{kind}")
    return answers[["forecast"]].join(read_joined(joined, model, "forecasts")["actual"])


def _rival(of: MarketSubmission, champion: ChampionInfo, changed: Changes) -> Rival:
    held = champion.evidence
    forecasts: dict[str, pd.Series] = {}
    broken = other = ""
    try:
        joined = kept_walk(held)
        theirs_case = load_forecast(
            of.home, of.ledger, of.case.name, next(iter(held["deployed"])), str(champion.version)
        ).case
        other = _other_question(of.case, theirs_case)
        series = [key for key in changed.question if key.startswith("series.")]
        if not other and series:
            other = f"its target is made of other series: {', '.join(series)}"
        for model, kind in held["deployed"].items():
            forecasts[model] = read_joined(joined, model, f"answers_{kind}")["forecast"]
    except IntegrityError as error:
        broken = f"{error.what} ({error.where})"
    mine = {m: found.newest for m, found in of.joined.models.items()}
    theirs = held.get("newest", {})
    renewed = (
        not changed.wait
        and held.get("seed") == of.seed
        and all(mine[m] > theirs.get(m, mine[m]) for m in mine)
    )
    return Rival(champion.version, forecasts, renewed, broken, other)


def _other_question(mine: MarketCase, theirs: MarketCase) -> str:
    """Say why two cases' forecasts can't be compared; empty if they can."""
    if mine.target != theirs.target:
        return "it forecasts another target"
    shared = [name for name in mine.models if name in theirs.models]
    if not shared:
        return f"it has other models: {', '.join(theirs.models)}"
    skips = [name for name in shared if mine.models[name] != theirs.models[name]]
    return f"its {skips[0]} skips other months" if skips else ""


def _golden(of: MarketSubmission, version: int) -> dict[str, float]:
    """How far each registered bundle, loaded back, is from the walk at the newest origin."""
    panel = panel_of(of.case, of.series, of.home)
    gaps = {}
    for model, kind in of.evidence.deployed.items():
        bundle = load_forecast(of.home, of.ledger, of.case.name, model, str(version))
        again = at(bundle.forecast(panel), bundle.newest)
        walked = at(read_joined(of.joined, model, f"answers_{kind}"), bundle.newest)
        same = walked.index.intersection(again.index)
        apart = (again[same].astype(float) - walked[same].astype(float)).abs()
        one_sided = bool((again[same].isna() != walked[same].isna()).any())
        gaps[model] = float("inf") if one_sided else float(apart.max())  # NaN: neither knows cash
    return gaps
