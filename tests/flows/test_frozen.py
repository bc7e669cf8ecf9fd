"""A YAML that is edited while its retrain runs: the run keeps what it began with, everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from place import enter
from tiny import tiny_text
from tiny_market import market_plain, series, write_series

from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life.specification import SUFFIX, thaw
from riskwright.life.tracking import connect, local_bundle
from riskwright.systems.credit import candidates
from riskwright.systems.market import candidates as walks


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    place = tmp_path_factory.mktemp("prefect") / "results"
    with (
        temporary_settings({PREFECT_LOCAL_STORAGE_PATH: place}),
        prefect_test_harness(server_startup_timeout=180),
    ):
        yield


def small_book() -> dict[str, Any]:
    from importlib import resources

    text = (resources.files("riskwright.systems.loans") / "loan_book.yaml").read_text()
    plain: dict[str, Any] = yaml.safe_load(text)
    plain |= {"name": "small_book", "families": ["logistic", "scorecard"]}
    plain["source"] |= {"rows": 4000}
    return plain


def edited(plain: dict[str, Any]) -> dict[str, Any]:
    """Other parameters, other gates, another way to go live."""
    more: dict[str, Any] = {"gates": {"alpha": 0.5}, "approval": {"policy": "approval"}}
    if "series" in plain:
        more["families"] = ["mean", "combination_ct"]
    else:
        more["families"] = {"logistic": {"params": {"C": 0.01}}, "scorecard": {}}
    return plain | more


SYSTEMS = {
    "credit": (yaml.safe_load(tiny_text()), candidates, "fit_family"),
    "loans": (small_book(), candidates, "fit_family"),
    "market": (market_plain(models={"m1": {"horizon": 1}}), walks, "walk_model"),
}


def test_a_frozen_specification_is_no_use_case(home: Home) -> None:
    """It says who its author is: somebody could write one that names a colleague."""
    from riskwright_flows.retrain import retrain_flow

    with pytest.raises(InputRefused, match="frozen specification"):
        retrain_flow.fn(f"/anywhere/{'0' * 64}{SUFFIX}")


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_bundle_evidence_and_members_agree_when_the_yaml_is_edited_mid_run(
    prefect_server: None, system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from riskwright_flows.retrain import retrain_flow

    plain, module, step = SYSTEMS[system]
    name = plain["name"]
    home = Home(tmp_path / "home").create()
    enter(home, monkeypatch)
    path = home.folder("usecases") / f"{name}.yaml"
    path.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    fit, data = getattr(module, step), None

    def edit_then_fit(*given: Any, **more: Any) -> Any:
        path.write_text(yaml.safe_dump(edited(plain), sort_keys=False), encoding="utf-8")
        return fit(*given, **more)

    monkeypatch.setattr(module, step, edit_then_fit)
    if system == "market":
        data = str(write_series(tmp_path / "data", series(end="2010-12")))
    done = retrain_flow(name, data)
    version = Ledger.open(home).version(name, done["version"])
    (kept,) = (home.root / "work" / name / "specifications").glob(f"*{SUFFIX}")
    began = thaw(kept)
    assert began.yaml != path.read_text(encoding="utf-8")
    assert version.evidence["usecase"] == began.case.digest
    assert version.evidence["frozen"] == began.sha256
    for ref in version.models.values():
        file = "case.json" if system == "market" else "usecase.json"
        inside = local_bundle(ref.uri, tmp_path) / file
        assert type(began.case).model_validate_json(inside.read_text()) == began.case
    run = connect(home).get_run(done["run_id"])
    assert run.data.params["usecase_digest"] == began.case.digest
    if system == "market":
        assert set(plain["families"]) <= {
            f for s in done["walk_seconds"] for f in began.case.families
        }
    else:
        assert [f["name"] for f in done["families"]] == list(began.case.families)
    # The edited file is another run: nothing of the first one is taken for its own.
    monkeypatch.setattr(module, step, fit)
    again = retrain_flow(name, data)
    assert again["key"] != done["key"]
    second = Ledger.open(home).version(name, again["version"])
    assert second.evidence["usecase"] != version.evidence["usecase"]
