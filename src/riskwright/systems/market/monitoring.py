"""Watch a market forecast: its predictors, its errors and its intervals since training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.ledger import Ledger, Version
from riskwright.life.findings import (
    NOT_ENOUGH,
    FamilyName,
    Finding,
    Severity,
    family_verdict,
    of_each,
    title_of,
    way,
)
from riskwright.life.look import Plain, finish, folder_of
from riskwright.life.plugged import own_checks
from riskwright.life.policy import version_number
from riskwright.stats.cusum import Drift, drift, surprises
from riskwright.stats.several import holm
from riskwright.systems.market.bundle import ForecastBundle
from riskwright.systems.market.candidates import read_joined
from riskwright.systems.market.case import MarketCase
from riskwright.systems.market.coverage import LEVELS, coverage_table, least_p
from riskwright.systems.market.ingest import panel_of
from riskwright.systems.market.life import kept_walk, load_forecast
from riskwright.systems.market.monitor_page import Since, draw_page
from riskwright.systems.market.panel import Panel, assemble, month_of, read_store
from riskwright.systems.market.predictors import PREDICTORS
from riskwright.systems.market.records import Joined
from riskwright.systems.market.series_spec import Series
from riskwright.systems.market.tables import to_table

YEAR, SWINGS = 12, 36  # months over which surprises, and their sizes, depend on each other
LEVEL_FLOOR = 0.5  # training standard deviations that a predictor's mean must have moved by
SPREAD_FLOOR = 1.5  # times (or one over it) that its surprises must have grown or shrunk by
ERROR_FLOOR = 0.25  # standard deviations that the errors' mean must have moved by
COVERAGE_FLOOR = 0.05  # share of outcomes


def monitor_market(
    name: str,
    home: Home,
    ledger: Ledger,
    *,
    input: str | None = None,
    as_of: str | None = None,
    store: dict[str, Series] | None = None,
) -> dict[str, Any]:
    """Monitor the live version on what came after its training.

    Parameters
    ----------
    name
        Of the use case.
    input
        Folder of the series as they are now; where the champion's came from if left out.
    as_of
        Date by which to look; the newest if left out.
    store
        The series themselves, instead of a folder.

    Returns
    -------
    dict
        Verdicts by family, findings, the report's path, and the alert's id or None.

    Raises
    ------
    InputRefused
        If there is no champion, or a series can't be used.
    """
    version = ledger.version(name, version_number(ledger, name, "champion"))
    evidence = version.evidence
    bundles = {m: load_forecast(home, ledger, name, m) for m in version.models}
    case = next(iter(bundles.values())).case
    if store is None:
        folder = input or evidence["data"]
        store = read_store(case, Path(folder) if folder else None)
    panel = assemble(case, store, None if as_of is None else month_of(as_of))
    trained = panel_of(case, evidence["train"], home)
    if panel.as_of < trained.as_of:
        raise InputRefused(
            f"version {version.version} was trained on what was known in {trained.as_of}",
            where=f"--as-of {as_of}" if as_of else str(input),
            expected="a later date",
        )
    joined = kept_walk(evidence)
    since = {m: since_training(b, joined, panel) for m, b in bundles.items()}
    found = of_each(_checks(case, trained, panel, since))
    findings = [f for told in found.values() for f in sorted(told, key=lambda f: not f.alarm)]
    batch = _hash(store, panel)
    return _tell(case, home, ledger, version, panel, trained, since, findings, batch)


def _checks(
    case: MarketCase, trained: Panel, panel: Panel, since: dict[str, Since]
) -> dict[FamilyName, Callable[[], list[Finding]]]:
    """Return what looks, by family; other packages' checks are given the predictors."""
    found: dict[FamilyName, Callable[[], list[Finding]]] = {
        "predictors": lambda: check_predictors(case, trained, panel),
        "error": lambda: check_errors(case, since),
        "coverage": lambda: check_coverage(case, since),
    }
    if case.own_checks:
        later = panel.X.loc[panel.X.index > trained.as_of]
        found["own"] = lambda: own_checks(case, trained.X, later)
    return found


def check_predictors(case: MarketCase, trained: Panel, panel: Panel) -> list[Finding]:
    """Test each predictor for a change of regime since training.

    Two tests each, of its surprises (``cusum.surprises``): of their mean, and of their size. The
    p-values are corrected for the number of tests (Holm); an alarm needs a size of effect as well.
    """
    old = pd.concat([trained.X, trained.context], axis=1)
    new = pd.concat([panel.X, panel.context], axis=1).loc[lambda f: f.index > trained.as_of]
    tests: list[tuple[str, str, Drift, float, float, float, str]] = []
    findings = []
    for name in map(str, old):
        before, now, is_now = old[name].dropna(), new[name], np.empty(0)
        if len(before) >= 2 * case.monitor.min_months:
            was, is_now = surprises(before.to_numpy(dtype=float), now.to_numpy(dtype=float))
        seen = np.isfinite(is_now)
        if seen.sum() < case.monitor.min_months:
            words = f"{seen.sum()} months since training, {case.monitor.min_months} needed"
            findings.append(
                Finding("predictors", "regime", name, NOT_ENOUGH, detail=f"{name}: {words}")
            )
            continue
        # A missing month, and the one after it, hold no surprise; the others still do.
        is_now, now = is_now[seen], now[seen]
        moved = float((now.mean() - before.mean()) / before.std())
        grown = float(is_now.std() / was.std()) if was.std() > 0 else 1.0
        label, month = PREDICTORS[name].label, new.index
        found = drift(was, is_now, YEAR)
        words = f"{label}: mean {before.mean():.4g} in training, {now.mean():.4g} since"
        words += f" ({month[found.at]})"
        tests.append((name, "level", found, moved, abs(moved), LEVEL_FLOOR, words))
        found = drift(np.abs(was), np.abs(is_now), SWINGS)
        words = f"{label}: its monthly surprises are {grown:.2f} times as large as in training"
        size = max(grown, 1 / grown) if grown > 0 else np.inf
        words += f" ({month[found.at]})"
        tests.append((name, "swings", found, grown - 1, size, SPREAD_FLOOR, words))
    adjusted = holm([t[2].p for t in tests])
    limit = case.monitor.predictor_p
    for (name, code, found, change, effect, floor, words), p in zip(tests, adjusted, strict=True):
        alarm = bool(p < limit and effect >= floor)
        findings.append(
            Finding(
                "predictors", code, name, "alarm" if alarm else "ok", "CUSUM",
                found.statistic, limit, float(p), effect,
                f"{words}; corrected p {p:.2g} (limit {limit:g}), effect {effect:.2f} (floor "
                f"{floor:g})",
                alarm,
                direction=way(change),
            )
        )  # fmt: skip
    return findings


def check_errors(case: MarketCase, since: dict[str, Since]) -> list[Finding]:
    """Test the forecast errors, in units of the expected spread, for a change of their mean."""
    findings, tests = [], {}
    for model, one in since.items():
        needed = _needed(case, one.h)
        if len(one.now) < needed:
            findings.append(_few("error", "forecast_error", model, len(one.now), needed))
            continue
        tests[model] = drift(_errors(one.before), _errors(one.now), one.h)
    limit = case.monitor.error_p
    for (model, found), p in zip(tests.items(), holm([t.p for t in tests.values()]), strict=True):
        before, now = _errors(since[model].before), _errors(since[model].now)
        change = float(now.mean() - before.mean())
        effect = abs(change)
        alarm = bool(p < limit and effect >= ERROR_FLOOR)
        findings.append(
            Finding(
                "error", "forecast_error", model, "alarm" if alarm else "ok", "CUSUM",
                found.statistic, limit, float(p), effect,
                f"{model}: errors average {now.mean():+.2f} of their expected spread over "
                f"{len(now)} outcomes ({before.mean():+.2f} in the walk-forward), furthest at "
                f"{since[model].now.index[found.at]}; corrected p {p:.2g} (limit {limit:g})",
                alarm,
                direction=way(change),
            )
        )  # fmt: skip
    return findings


def check_coverage(case: MarketCase, since: dict[str, Since]) -> list[Finding]:
    """Test whether the intervals hold as many outcomes as they state."""
    findings = []
    for model, one in since.items():
        needed = _needed(case, one.h)
        if len(one.now) < needed:
            findings.append(_few("coverage", "interval", model, len(one.now), needed))
            continue
        table = coverage_table(one.now, one.now["actual"], one.h)
        limit = case.monitor.coverage_p / (len(LEVELS) * len(since))
        for level, row in table.iterrows():
            if least_p(len(one.now), float(row["nominal"]), one.h) >= limit:
                # Overlapping outcomes are worth few: all of them outside would be no proof yet.
                words = f"{model}: {len(one.now)} outcomes can't tell at this limit"
                findings.append(
                    Finding("coverage", f"interval_{level}", model, NOT_ENOUGH, detail=words)
                )
                continue
            change = float(row["coverage"] - row["nominal"])
            effect = abs(change)
            alarm = bool(row["p"] < limit and effect >= COVERAGE_FLOOR)
            findings.append(
                Finding(
                    "coverage", f"interval_{level}", model, "alarm" if alarm else "ok", "coverage",
                    float(row["coverage"]), limit, float(row["p"]), effect,
                    f"{model}: the {level} % interval held {row['coverage']:.0%} of "
                    f"{len(one.now)} outcomes, p {row['p']:.2g} (limit {limit:.2g})",
                    alarm,
                    direction=way(change),
                )
            )  # fmt: skip
    return findings


def _needed(case: MarketCase, h: int) -> int:
    """Outcomes from which a model is judged: at least four that don't overlap."""
    return max(case.monitor.min_months, 4 * h)


def _few(family: FamilyName, code: str, model: str, count: int, needed: int) -> Finding:
    words = f"{model}: {count} outcomes since training, {needed} needed"
    return Finding(family, code, model, NOT_ENOUGH, detail=words)


def _errors(table: pd.DataFrame) -> np.ndarray:
    return ((table["actual"] - table["forecast"]) / table["sd"]).to_numpy(dtype=float)


def since_training(bundle: ForecastBundle, joined: Joined, panel: Panel) -> Since:
    """Return what was forecast whose outcomes came after the training, and what came of it.

    The last origins of the walk-forward are among it: their returns weren't over yet.

    Parameters
    ----------
    joined
        What the walk-forward kept of the version.
    """
    model, kind = bundle.state.model, bundle.state.deployed
    walked = read_joined(joined, model, f"answers_{kind}")
    actual = read_joined(joined, model, "forecasts")["actual"].reindex(walked.index)
    before, later = walked[actual.notna()], walked[actual.isna()]
    before = before.join(actual)
    if panel.as_of <= bundle.newest:
        return Since(before, before.iloc[:0], bundle.spec.horizon)
    live = bundle.forecast(panel)
    now = pd.concat([later, live.loc[live.index > bundle.newest, later.columns]])
    now = now.join(panel.targets[model].rename("actual")).dropna(subset="actual")
    return Since(before, now, bundle.spec.horizon)


def _verdict(findings: list[Finding]) -> str:
    """Return the verdict of a family: a clean one names what couldn't be judged."""
    verdict: str = family_verdict(findings)
    few = dict.fromkeys(str(f.column) for f in findings if f.verdict == NOT_ENOUGH)
    return f"ok, not enough data of {', '.join(few)}" if verdict == "ok" and few else verdict


def _severity(findings: Sequence[Plain]) -> Severity:
    """By the consequence: forecasts that are off weigh more than predictors that moved."""
    alarmed = {f["family"] for f in findings if f["alarm"]}
    if not alarmed:
        return "none"
    return "high" if alarmed & {"error", "coverage"} else "medium"


def _hash(store: dict[str, Series], panel: Panel) -> str:
    table = to_table({n: s.cut(panel.as_of) for n, s in store.items()})
    digest = hashlib.sha256(str(panel.as_of).encode())
    digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    return digest.hexdigest()


def _tell(
    case: MarketCase,
    home: Home,
    ledger: Ledger,
    version: Version,
    panel: Panel,
    trained: Panel,
    since: dict[str, Since],
    findings: list[Finding],
    batch: str,
) -> dict[str, Any]:
    """Write the page and the findings, open an alert if one is due, and answer."""
    families = ("predictors", "error", "coverage", *(("own",) if case.own_checks else ()))
    verdicts = {f: _verdict([x for x in findings if x.family == f]) for f in families}
    plain = [finding.as_dict() for finding in findings]
    told: dict[str, Any] = {
        "usecase": case.name,
        "version": version.version,
        "batch": batch,
        "origin": str(panel.as_of),
        "trained_to": str(trained.as_of),
        "months_since": max((panel.as_of - trained.as_of).n, 0),
        "verdicts": verdicts,
        "findings": plain,
        "severity": _severity(plain),
        "title": title_of(plain),
        "alarm": any(finding.alarm for finding in findings),
    }

    def draw(_: Path) -> Callable[[Plain], str]:
        return draw_page(case, told, since, trained, panel)

    folder = folder_of(home, told)
    return finish(case, home, ledger, told, folder=folder, draw=draw, severity=_severity)
