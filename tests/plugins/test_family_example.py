"""A family of another package: named in a use case, trained, kept, explained, told when it's gone.

``tests/plugins`` is a package as an installer leaves it: a module, and a ``dist-info`` with its
entry point. Put on the path, it is installed.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from tiny import applications, make_live, tiny_text

from riskwright.case.families import FAMILIES, SHIPPED, families
from riskwright.case.usecase import Feature, FeatureSchema, parse_usecase
from riskwright.data.contract import Contract
from riskwright.data.ingest import ingest
from riskwright.data.train_test import split
from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.learn.families import family_class, make_family
from riskwright.learn.tuning import tune
from riskwright.store import provenance
from riskwright.systems.credit.bundle import Bundle
from riskwright.systems.credit.candidates import fit_family, join, load_candidate

PLUGINS = str(Path(__file__).parent)
WANTED = {
    "families": {"scorecard": {}, "discriminant": {"params": {"shrinkage": 0.2}}},
    "source": {"simulator": "credit_applications", "rows": 600, "seed": 3},
}


@pytest.fixture(scope="module", autouse=True)
def installed() -> Iterator[None]:
    """Install the package for the tests of this file."""
    sys.path.insert(0, PLUGINS)
    yield
    sys.path.remove(PLUGINS)
    sys.modules.pop("family_example", None)


@pytest.fixture(scope="module")
def bundle(installed: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ensemble of a retrain, sealed: the family is a member of it."""
    root = tmp_path_factory.mktemp("plugin")
    home, usecase = Home(root / "home").create(), parse_usecase(tiny_text(**WANTED), where="test")
    train = split(usecase, ingest(usecase, None, home).clean, home)[0].hash
    fitted = [
        fit_family(usecase, home, train=train, name=name, seed=0, folder=root / name)
        for name in usecase.families
    ]
    joined = join(usecase, home, train=train, families=fitted, folder=root / "joined")
    ensemble, limits = load_candidate(joined, "ensemble")
    Bundle.write(root / "bundle", usecase, ensemble, limits, 1)
    return root / "bundle"


def test_the_page_about_families_shows_it_as_it_is() -> None:
    page = Path(PLUGINS).parents[1] / "docs" / "reference" / "families.md"
    example = (Path(PLUGINS) / "family_example.py").read_text(encoding="utf-8")
    assert f"```python\n{example}```" in page.read_text(encoding="utf-8")
    for name in FAMILIES:
        assert f"`{name}`" in page.read_text(encoding="utf-8")


def test_a_use_case_names_it_and_it_is_made_with_its_parameters() -> None:
    spec = parse_usecase(tiny_text(**WANTED), where="test")
    assert spec.families["discriminant"].ensemble
    family = make_family("discriminant", spec.schema_, 7, {"shrinkage": 0.2})
    assert clone(family).get_params()["shrinkage"] == 0.2
    with pytest.raises(InputRefused) as refused:
        make_family("discriminant", spec.schema_, 0, {"shrinking": 0.2})
    assert "shrinkage" in refused.value.do


def test_a_retrain_fits_it_keeps_it_and_explains_by_it(bundle: Path) -> None:
    found = Bundle.load(bundle)
    bag = found.ensemble.bags["discriminant"]
    frame = Contract(found.usecase, "score").apply(applications(40)).accepted
    scored = found.score(frame, "all")
    assert np.ptp(scored["pd"]) > 0.2
    assert (scored["reason_1"] != "").all()
    X = frame[found.schema.names]
    parts = bag.contributions(X)
    assert list(parts) == [*found.schema.names, "base"]
    np.testing.assert_allclose(parts.sum(axis=1), bag.margin(X), atol=1e-5)
    # Of a line, what the walk finds is exact: coefficient times standardised value.
    one = bag.members[0]
    exact = one.encode(X) * one.coef_
    column = one.features_.names_.index("LIMIT_BAL")
    np.testing.assert_allclose(one.contributions(X)["LIMIT_BAL"], exact[:, column], atol=1e-5)
    kept = {path.name for path in (bundle / "ensemble").rglob("member_*/*")}
    assert kept == {"family.json"}


@pytest.mark.slow
def test_it_lives_the_whole_life(tmp_path: Path) -> None:
    live = make_live(tmp_path / "home", **WANTED)
    assert live.ledger.champion("tiny") is not None


def test_it_may_be_searched() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300)})
    y = (X["a"] + rng.normal(size=300) > 1).to_numpy().astype(np.int8)
    schema = FeatureSchema((Feature("a", "number", "a"), Feature("b", "number", "b")))
    search = {"time_ordered": False, "seed": 0, "trials": 3, "seconds": 30.0, "params": {}}
    best, log = tune("discriminant", schema, X, y, **search)
    assert len({line["params"]["shrinkage"] for line in log}) == 3
    assert best["shrinkage"] in [line["params"]["shrinkage"] for line in log]


def test_its_code_is_part_of_what_makes_a_retrain_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = parse_usecase(tiny_text(**WANTED), where="test").plugs()
    (before,) = provenance.plugged_in(used)
    assert before["distribution"] == "family-example 1.0"
    others = parse_usecase(tiny_text(), where="test").plugs()
    assert provenance.plugged_in(others) == [], "who doesn't use it doesn't depend on it"
    shutil.copytree(PLUGINS, tmp_path / "edited", ignore=shutil.ignore_patterns("test_*"))
    module = tmp_path / "edited" / "family_example.py"
    module.write_text(module.read_text() + "# another line\n")
    elsewhere = [str(tmp_path / "edited") if path == PLUGINS else path for path in sys.path]
    with monkeypatch.context() as moved:
        moved.delitem(sys.modules, "family_example", raising=False)
        moved.setattr(sys, "path", elsewhere)
        (edited,) = provenance.plugged_in(used)
        assert edited["sha256"] != before["sha256"]
    assert provenance.plugged_in(used) == [before]


@pytest.fixture
def gone() -> Iterator[None]:
    """Take the package away for one test."""
    sys.path.remove(PLUGINS)
    yield
    sys.path.insert(0, PLUGINS)


def test_without_its_package_the_use_case_is_refused_and_so_is_its_bundle(
    bundle: Path, gone: None
) -> None:
    assert provenance.plugged_in({("riskwright.families", "discriminant")}) == []
    text = tiny_text(**WANTED)
    with pytest.raises(InputRefused, match="'discriminant', and no installed package brings it"):
        parse_usecase(text, where="test")
    with pytest.raises(InputRefused, match="can't read the bundle") as refused:
        Bundle.load(bundle)
    assert "packages of its families" in refused.value.do


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("nowhere.at_all:Family", "can't be loaded: No module"),
        ("family_example:Nobody", "can't be loaded: "),
        ("riskwright.learn.bag:Bag", "is none"),
        ("riskwright.learn.logistic:Logistic", "is none"),  # of another name
    ],
)
def test_an_entry_point_that_is_no_family_is_refused(
    value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = EntryPoints(
        [
            EntryPoint("odd", value, "riskwright.families"),
            *(
                EntryPoint(name, value, "riskwright.families")
                for name in ("logistic", "ensemble", "baseline", "../up", "A b")
            ),
        ]
    )
    monkeypatch.setattr("riskwright.case.families.entry_points", lambda *, group: points)
    assert families() == {"odd": value, **SHIPPED}  # what is shipped, a candidate, no name
    with pytest.raises(InputRefused, match=says) as refused:
        family_class("odd")
    assert refused.value.where == value
