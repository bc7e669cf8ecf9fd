"""Train: fit every family, join them, evaluate on the test part. Resumable step by step."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from prefect import flow, task

from riskwright_flows import progress
from riskwright_flows.runtime import frozen, prepare, resumed, specification, workplace


@task
def fit_family_task(key: str, usecase: str, train: str, name: str, seed: int) -> dict[str, Any]:
    """Fit one family."""
    from riskwright.systems.credit.candidates import fit_family

    home, _ = prepare()
    spec = specification(usecase)
    with progress.Step(f"fit {name}") as step:
        return fit_family(
            spec,
            home,
            train=train,
            name=name,
            seed=seed,
            folder=workplace(home, spec.name, key) / name,
            progress=step,
        )


@task
def join_task(key: str, usecase: str, train: str, families: list[dict[str, Any]]) -> dict[str, Any]:
    """Weights, calibration and cut-offs from out-of-fold margins."""
    from riskwright.systems.credit.candidates import join

    home, _ = prepare()
    spec = specification(usecase)
    with progress.Step("join the ensemble"):
        folder = workplace(home, spec.name, key) / "joined"
        return join(spec, home, train=train, families=families, folder=folder)


@task
def loss_task(key: str, usecase: str, data: dict[str, Any], seed: int) -> dict[str, Any]:
    """Fit LGD and EAD of a loan book."""
    from riskwright.systems.loans.loss import fit_loss

    home, _ = prepare()
    spec = specification(usecase)
    with progress.Step("fit LGD and EAD") as step:
        folder = workplace(home, spec.name, key) / "loss"
        return fit_loss(
            spec,
            home,
            train=data["train"],
            seed=seed,
            folder=folder,
            progress=step,
            clean=data["clean"],
        )


@task
def evaluate_task(
    key: str,
    usecase: str,
    data: dict[str, Any],
    families: list[dict[str, Any]],
    joined: dict[str, Any],
    loss: dict[str, Any] | None,
    seed: int,
) -> dict[str, Any]:
    """Read the test part (counted), choose the challenger, draw and explain."""
    from riskwright.life.rules import changes
    from riskwright.systems.credit.evidence import gather

    home, ledger = prepare()
    spec = specification(usecase)
    ledger.count_reading(data["test"], spec.name, "evaluate", key)
    with progress.Step("evaluate and explain"):
        return gather(
            spec,
            home,
            train=data["train"],
            test=data["test"],
            families=families,
            joined=joined,
            seed=seed,
            folder=workplace(home, spec.name, key) / "evidence",
            loss=loss,
            clean=data["clean"],
            changed=changes(home, ledger, spec, key),
        )


@flow(name="train", validate_parameters=False)
def train_flow(usecase: str, data: dict[str, Any], seed: int = 0) -> dict[str, Any]:
    """Fit, join and evaluate on stored snapshots."""
    from riskwright.life.workplace import intact
    from riskwright.systems.credit.candidates import run_key

    home, _ = prepare()
    usecase = frozen(usecase, home)
    spec = specification(usecase)
    key = run_key(spec, data["train"], data["test"], seed)
    place = workplace(home, spec.name, key)
    sweep(place)
    common = {"key": key, "usecase": usecase}
    families = [
        resumed(
            fit_family_task,
            place / f"{name}.json",
            intact,
            **common,
            train=data["train"],
            name=name,
            seed=seed,
        )
        for name in spec.families
    ]
    joined = resumed(
        join_task,
        place / "joined.json",
        intact,
        **common,
        train=data["train"],
        families=families,
    )
    loss = None
    if spec.loan is not None:
        loss = resumed(loss_task, place / "loss.json", intact, **common, data=data, seed=seed)
    evidence = resumed(
        evaluate_task,
        place / "evidence.json",
        intact,
        **common,
        data=data,
        families=families,
        joined=joined,
        loss=loss,
        seed=seed,
    )
    return {
        "key": key,
        "data": data,
        "families": families,
        "joined": joined,
        "loss": loss,
        "evidence": evidence,
    }


def sweep(folder: Path) -> None:
    """Remove what killed processes left half-written in this retrain's workplace."""
    for part in folder.glob("*.part"):
        if str(os.getpid()) not in part.name:
            shutil.rmtree(part, ignore_errors=True)
