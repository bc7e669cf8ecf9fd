"""The deployments that ship with the package: each can run, and needs no checkout."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from pkgutil import resolve_name

import pytest
import yaml

from riskwright_flows import deployed
from riskwright_flows.cli import app

PLAN = yaml.safe_load(deployed.FILE.read_text(encoding="utf-8"))
STEP = "riskwright_flows.deployed.require"
README = Path(__file__).resolve().parents[2] / "deploy" / "README.md"


def test_every_deployment_names_a_flow_that_exists() -> None:
    names = [deployment["name"] for deployment in PLAN["deployments"]]
    assert len(set(names)) == len(names), "'prefect deploy -n NAME' takes a name alone"
    for deployment in PLAN["deployments"]:
        assert not deployed.no_flow(deployment["entrypoint"])
        flow = resolve_name(deployment["entrypoint"])
        known = inspect.signature(flow.fn).parameters
        assert set(deployment.get("parameters", {})) <= set(known), deployment["name"]


def test_every_deployment_requires_the_variables_that_it_names() -> None:
    assert PLAN["pull"] == [], "of null Prefect makes a step that wants the shell's folder"
    assert callable(resolve_name(STEP))
    told = README.read_text(encoding="utf-8")
    for deployment in PLAN["deployments"]:
        named = set(re.findall(r"\{\{ \$(\w+) \}\}", str(deployment)))
        steps = deployment.get("build", PLAN["build"]) or []
        asked = {name for step in steps for name in step[STEP]["variables"]}
        assert asked == named, deployment["name"]
        assert all(f"export {name}=" in told for name in named)


def test_no_deployment_needs_a_checkout() -> None:
    assert "CHECKOUT" not in deployed.FILE.read_text(encoding="utf-8")
    assert "CHECKOUT" not in README.read_text(encoding="utf-8")


def test_the_file_is_shown_for_one_of_your_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        app(["deploy", "--show"])
    assert ended.value.code == 0
    assert yaml.safe_load(capsys.readouterr().out) == PLAN


@pytest.mark.parametrize(
    ("entrypoint", "why"),
    [
        ("flows/retrain.py:retrain_flow", "names a flow by its file"),
        ("riskwright_flows.nothing.retrain_flow", "which an earlier release had"),
        ("riskwright_flows.nothing.at_all.retrain_flow", "which an earlier release had"),
        ("riskwright_flows.retrain:retrain_flow", ""),
        ("riskwright_flows.retrain.no_flow", "which an earlier release had"),
        (PLAN["deployments"][0]["entrypoint"], ""),
    ],
)
def test_a_flow_of_an_earlier_release_is_told_from_one_that_is_there(
    entrypoint: str, why: str
) -> None:
    said = deployed.no_flow(entrypoint)
    assert why in said
    assert bool(why) == bool(said)
