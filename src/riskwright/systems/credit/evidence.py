"""The evidence for a challenger: every candidate on the test part, read once, with plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskwright.case.usecase import UseCase
from riskwright.data import units
from riskwright.data.contract import target_of
from riskwright.data.outgoing import write_csv
from riskwright.data.telltale import telltales
from riskwright.home import Home
from riskwright.life.rules import Changes, write_changes
from riskwright.life.steps import Kept
from riskwright.life.workplace import new_part
from riskwright.stats.cutoffs import confusion
from riskwright.stats.disagreement import error_by_band
from riskwright.stats.estimates import Clusters, Estimate, class_sizes
from riskwright.stats.fairness import approval_ratios
from riskwright.stats.metrics import evaluate
from riskwright.stats.paired import compare_auc, compare_log_loss
from riskwright.store import snapshots
from riskwright.systems.credit.bundle import Limits
from riskwright.systems.credit.candidates import load_candidate, load_hazard
from riskwright.systems.credit.choice import Choice, choose_challenger
from riskwright.systems.credit.extension import extension_of
from riskwright.systems.credit.records import CreditEvidence, Fitted, Joined

EXPLAINED_ROWS = 300


def gather(
    usecase: UseCase,
    home: Home,
    *,
    train: str,
    test: str,
    families: Sequence[Fitted],
    joined: Joined,
    seed: int,
    folder: Path,
    loss: Kept | None = None,
    clean: str | None = None,
    changed: Changes | None = None,
) -> CreditEvidence:
    """Evaluate every family, the baseline and the ensemble on the test part; choose; explain.

    Parameters
    ----------
    clean
        The snapshot that both parts were cut from: of a loan book, which loans aren't mature yet,
        and up to when payments and recoveries were seen.
    changed
        How the rules differ from those of the version that it would replace.
    loss
        What a kind about loans fitted beside the PD.
    """
    frame, learnt_from = snapshots.read(test, home), snapshots.read(train, home)
    y, x = target_of(usecase, frame), frame[usecase.feature_names]
    groups = units.clusters(usecase, frame)
    judged = _candidates(usecase, families, joined, frame, seed)
    choice, pds, deployed = judged.choice, judged.pds, judged.deployed
    metrics = {
        name: evaluate(y, p, cutoff=judged.limits.cutoff, seed=seed, groups=groups)
        for name, p in pds.items()
    }
    decision = judged.limits.decide(deployed)
    part = new_part(folder)
    _tables(part, usecase, frame, judged, decision, metrics)
    system = extension_of(usecase)
    more = system.more_evidence(
        usecase,
        frame,
        pds[choice.kind],
        part,
        hazard=load_hazard(joined, choice.kind),
        loss=loss,
        learnt_from=learnt_from,
        every=lambda: snapshots.read(clean, home) if clean else None,
    )
    training = learnt_from[usecase.feature_names]
    _explain(part, usecase=usecase, ensemble=judged.chosen, x=x, y=y, training=training, seed=seed)
    return system.evidence()(
        folder=str(folder),
        sha256="",
        **write_changes(part, changed),
        chosen=choice.kind,
        why=choice.why,
        figures=choice.figures,
        metrics={n: {k: v._asdict() for k, v in m.items()} for n, m in metrics.items()},
        paired_to_baseline={
            name: _paired(y, p, pds["baseline"], groups)
            for name, p in pds.items()
            if name != "baseline"
        },
        confusion=asdict(confusion(y, deployed["pd"].to_numpy(), judged.limits.cutoff)),
        limits=vars(judged.limits),
        decisions={str(k): int(v) for k, v in pd.Series(decision).value_counts().items()},
        test_rows=len(y),
        test_bads=int(y.sum()),
        kin=judge_kin(usecase, frame, learnt_from, y, pds[choice.kind], seed),
        telltales=telltales(usecase.schema_, training, target_of(usecase, learnt_from)),
        **more,
    ).finished(part)


@dataclass(frozen=True)
class _Judged:
    """The candidates on the test part: PDs of each (n,), and what the chosen one says and is."""

    choice: Choice
    pds: dict[str, np.ndarray]
    deployed: pd.DataFrame
    chosen: Any
    limits: Limits


def _candidates(
    usecase: UseCase, families: Sequence[Fitted], joined: Joined, frame: pd.DataFrame, seed: int
) -> _Judged:
    """Score the test part with every candidate, and choose the challenger."""
    y, x = target_of(usecase, frame), frame[usecase.feature_names]
    cache: dict[str, np.ndarray] = {}
    made = {kind: load_candidate(joined, kind) for kind in ("ensemble", "baseline")}
    tables = {kind: made[kind][0].predict(x, cache=cache) for kind in made}
    pds = _family_pds(usecase, families, joined, x, cache)
    pds |= {kind: tables[kind]["pd"].to_numpy() for kind in ("baseline", "ensemble")}
    groups = units.clusters(usecase, frame)
    choice = choose_challenger(usecase, y, pds["ensemble"], pds["baseline"], seed, groups)
    return _Judged(choice, pds, tables[choice.kind], *made[choice.kind])


def _tables(
    part: Path,
    usecase: UseCase,
    frame: pd.DataFrame,
    judged: _Judged,
    decision: np.ndarray,
    metrics: Mapping[str, Mapping[str, Estimate]],
) -> None:
    """Write what a reader recomputes from, and the pictures."""
    y, deployed = target_of(usecase, frame), judged.deployed
    disagreement = deployed["disagreement"].to_numpy()
    predictions = pd.DataFrame({"y": y, **judged.pds, "disagreement": disagreement})
    predictions.to_parquet(part / "predictions.parquet")
    protected = {n: usecase.columns[n] for n in usecase.protected_names}
    write_csv(approval_ratios(frame, protected, decision), part / "approval_ratios.csv")
    bands = error_by_band(y, deployed["pd"].to_numpy(), disagreement)
    write_csv(bands, part / "error_by_disagreement.csv")
    _draw(
        part,
        y=y,
        pds=judged.pds,
        chosen=judged.choice.kind,
        metrics=metrics,
        bands=bands,
        cutoff=judged.limits.cutoff,
    )


def judge_kin(
    usecase: UseCase,
    test: pd.DataFrame,
    training: pd.DataFrame,
    y: np.ndarray,
    p: np.ndarray,
    seed: int,
) -> dict[str, Any]:
    """Judge the PDs of test rows of which training held neither a twin nor a relative.

    Returns
    -------
    dict
        ``rows``, ``with_kin`` (how many have some) and ``without``: rows, AUC and log loss of the
        others with 95 % intervals; None where there are too few of a class, or all are such.
    """
    known = units.kin(usecase, test, training).any
    found: dict[str, Any] = {"rows": len(y), "with_kin": int(known.sum()), "without": None}
    others = ~known
    bads = int(y[others].sum())
    groups = units.clusters(usecase, test[others])
    enough = min(class_sizes(y[others], groups)) >= usecase.gates.min_test_bads
    if known.any() and enough:
        metrics = evaluate(y[others], p[others], cutoff=0.5, seed=seed, groups=groups)
        figures = {k: metrics[k]._asdict() for k in ("roc_auc", "log_loss")}
        found["without"] = {"rows": int(others.sum()), "bads": bads, **figures}
    return found


def _family_pds(
    usecase: UseCase,
    families: Sequence[Fitted],
    joined: Joined,
    x: pd.DataFrame,
    cache: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """PD of each fitted family alone; those in the ensemble calibrated out of fold."""
    from scipy.special import expit

    from riskwright.learn.bag import Bag

    pds = {}
    for step in families:
        if step.skipped:
            continue
        margin = Bag.load(Path(step.folder) / "bag").margin(x, cache)
        a, b = joined.calibration.get(step.name, (0.0, 1.0))
        pds[step.name] = expit(a + b * margin)
    return pds


def _paired(
    y: np.ndarray, p: np.ndarray, baseline: np.ndarray, groups: Clusters | None
) -> dict[str, dict[str, float]]:
    compared = {
        "roc_auc": compare_auc(y, p, baseline, groups),
        "log_loss": compare_log_loss(y, p, baseline, groups),
    }
    return {k: {n: float(v) for n, v in vars(found).items()} for k, found in compared.items()}


def _draw(
    part: Path,
    *,
    y: np.ndarray,
    pds: dict[str, np.ndarray],
    chosen: str,
    metrics: Mapping[str, Mapping[str, Estimate]],
    bands: pd.DataFrame,
    cutoff: float,
) -> None:
    from riskwright.stats import plots

    folder = part / "plots"
    folder.mkdir()
    p = pds[chosen]
    plots.plot_calibration(y, p, path=folder / "calibration.png")
    plots.plot_roc(y, p, path=folder / "roc.png")
    plots.plot_ks(y, p, path=folder / "ks.png")
    plots.plot_lift(y, p, path=folder / "lift.png")
    plots.plot_scores(y, p, cutoff=cutoff, path=folder / "scores.png")
    plots.plot_candidates(metrics, path=folder / "candidates.png")
    plots.plot_disagreement(bands, path=folder / "disagreement.png")


def _explain(
    part: Path,
    *,
    usecase: UseCase,
    ensemble: Any,
    x: pd.DataFrame,
    y: np.ndarray,
    training: pd.DataFrame,
    seed: int,
) -> None:
    """Global pictures on a sample of the test part, and one single case each of SHAP and LIME."""
    from riskwright.explanations import importance, local

    folder = part / "explanation"
    folder.mkdir()
    schema = usecase.schema_
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(x), min(EXPLAINED_ROWS, len(x)), replace=False))
    sample = x.iloc[rows]
    contributions = ensemble.contributions(sample)
    importance.shap_summary(contributions, sample, schema, folder / "shap_summary.png")
    permuted = importance.permutation_importance(ensemble.margin, x, y, seed=seed, repeats=3)
    write_csv(permuted, folder / "permutation_importance.csv")
    worst = int(np.argmax(contributions.sum(axis=1).to_numpy()))
    case = sample.iloc[[worst]]
    local.shap_case(contributions.iloc[worst], case.iloc[0], schema, folder / "case_shap.png")

    def predict_pd(frame: pd.DataFrame) -> np.ndarray:
        return np.asarray(ensemble.predict(frame)["pd"])

    lime = local.lime_case(
        predict_pd,
        training.sample(min(2000, len(training)), random_state=seed),
        case.iloc[0],
        schema,
        seed=seed,
        path=folder / "case_lime.png",
    )
    write_csv(lime, folder / "case_lime.csv")
