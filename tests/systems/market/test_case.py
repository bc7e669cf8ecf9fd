"""The specification of a market forecast: what it takes, what it refuses, what is shipped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from riskwright.case.files import kind_of, known_usecases, shipped
from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.systems.market.case import MarketCase, load_market_case, parse_market_case
from riskwright.systems.market.case_sections import FAMILIES
from riskwright.systems.market.predictors import PREDICTORS, SERIES

NAMES = ("market_return", "market_return_excess", "market_return_shiller")

KNOWN = {"lag": "0m", "revisions": "none"}


def plain(**changes: Any) -> dict[str, Any]:
    """A small sound case; a change of None removes a key, ``a.b.c`` reaches inside."""
    case: dict[str, Any] = {
        "name": "small",
        "title": "Small",
        "question": "What next?",
        "series": {
            "price": {"source": "p.csv", "column": "p", "kind": "price_close", **KNOWN},
            "dividend": {"source": "p.csv", "column": "d", "kind": "flow", **KNOWN, "lag": "3m"},
            "bill_rate": {"source": "p.csv", "column": "b", "kind": "yield", **KNOWN},
        },
        "predictors": {"log_dp": "increasing", "bill_rate": "decreasing", "momentum": None},
    }
    for path, value in changes.items():
        *outer, last = path.split("__")
        part = case
        for key in outer:
            part = part.setdefault(key, {})
        if value is None:
            del part[last]
        else:
            part[last] = value
    return case


def parse(**changes: Any) -> MarketCase:
    return parse_market_case(yaml.safe_dump(plain(**changes)), where="small.yaml")


def test_a_few_lines_are_a_whole_case() -> None:
    case = parse()
    assert {name: m.horizon for name, m in case.models.items()} == {"m1": 1, "m12": 12}
    assert case.signs == {"log_dp": 1, "bill_rate": -1, "momentum": 0}
    assert list(case.families) == list(FAMILIES)
    assert case.target_series == ("price", "dividend", "bill_rate")
    assert (case.strategy.min_weight, case.strategy.max_weight) == (0.0, 1.5)
    assert case.window is None
    assert case.approval.policy == "approval"


AVERAGE = {"source": "p.csv", "column": "p", "kind": "price_average", **KNOWN}
VIX = {"source": "v.csv", "column": "v", "kind": "index", **KNOWN}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"series__dividnd": VIX}, "unknown series 'dividnd'; did you mean 'dividend'"),
        ({"series__dividend": None}, "made of the series 'dividend', which isn't declared"),
        ({"series__bill_rate": None}, "'bill_rate' is made of the series 'bill_rate'"),
        ({"series__implied_volatility": VIX}, "no predictor and no target uses"),
        ({"series__price__kind": "yield"}, "has kind price_average or price_close"),
        ({"series__price__frequency": "daily"}, "the series 'price' is monthly"),
        ({"series__dividend__lag": "0m", "series__dividend__published_late": True}, "its lag is 0"),
        ({"series__dividend__lag": "0d", "series__dividend__revisions": "revised"}, "its lag is 0"),
        ({"series__dividend__lag": "soon"}, "such as 0m, 3m or 15d"),
        ({"families": {"ols": {"ensemble": True}}}, "the ensemble takes one, such as 'ols:"),
        ({"series__dividend__lag": None}, "doesn't say its 'lag'"),
        ({"series__dividend__revisions": None}, "doesn't say its 'revisions'"),
        ({"series__dividend__lagg": "3m"}, "unknown key 'lagg'"),
        ({"series__price__scale": 0}, "a scale of 0"),
        ({"series__price": AVERAGE}, "skips at least one month"),
        ({"predictors__log_pe": "increasing"}, "there is no predictor 'log_pe'"),
        ({"predictors__log_ep": "increasing"}, "the series 'earnings', which isn't declared"),
        ({"predictors__log_dp": "up"}, "increasing"),
        ({"predictors": {}}, "no predictor is named"),
        ({"context": ["log_dp"]}, "named twice"),
        ({"target__kind": "real_total"}, "'target' is made of the series 'cpi'"),
        ({"models": {}}, "no model is named"),
        ({"models": {"m2": {"horizon": 3}}}, "is called m3"),
        ({"models": {"m0": {"horizon": 0}}}, "greater than 0"),
        ({"families": ["mean", "ridgee"]}, "did you mean 'ridge'"),
        ({"families": ["mean", "ols:log_de"]}, "not among the predictors"),
        ({"families": ["mean", "ridge:log_dp"]}, "unknown family 'ridge:log_dp'"),
        ({"strategy": {"min_weight": 2}}, "above 'max_weight'"),
        ({"walk": {"first": "1965"}}, "pattern"),
        ({"walk": {"min_trian": 3}}, "unknown key 'min_trian'"),
        ({"questionn": "x"}, "unknown key 'questionn'"),
    ],
)
def test_what_breaks_the_specification_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputRefused, match=message) as refused:
        parse(**changes)
    assert "small.yaml" in refused.value.where
    assert refused.value.exit_code == 2


def test_an_unknown_key_is_offered_the_closest_of_its_part() -> None:
    for changes, near in (
        ({"walk": {"min_trian": 300}}, "min_train"),
        ({"series__dividend__lagg": "3m"}, "lag"),
        ({"families": {"mean": None, "ridge": {"refitt": 3}}}, "refit"),
        ({"models": {"m1": {"horizon": 1, "skipp": 1}}}, "skip"),
    ):
        with pytest.raises(InputRefused) as refused:
            parse(**changes)
        assert refused.value.do == f"did you mean {near!r}?"


@pytest.mark.parametrize("text", ["a: [", "- a", "series: {"])
def test_what_is_no_yaml_mapping_is_refused(text: str) -> None:
    with pytest.raises(InputRefused, match="YAML"):
        parse_market_case(text, where="x.yaml")


def test_an_average_price_is_fine_once_a_month_is_skipped() -> None:
    case = parse(series__price=AVERAGE, models={"m1": {"horizon": 1, "skip": 1}})
    assert case.models["m1"].skip == 1


def test_families_come_as_a_list_or_with_settings() -> None:
    case = parse(families={"mean": None, "ridge": {"refit": 12}, "xgboost": {"ensemble": False}})
    assert case.refit == {"ridge": 12}
    assert {name for name, f in case.families.items() if f.ensemble} == {"ridge"}


def test_a_rolling_window_is_as_long_as_the_least_to_learn_from() -> None:
    assert parse(walk={"window": "rolling", "min_train": 120}).window == 120


def test_a_case_is_frozen_and_its_digest_follows_every_change() -> None:
    case = parse()
    with pytest.raises(ValidationError):
        case.title = "x"
    assert parse().digest == case.digest != parse(series__dividend__lag="4m").digest


# ---- loading


def test_a_case_is_found_in_the_home_and_by_path(home: Home, tmp_path: Path) -> None:
    own = home.folder("usecases") / "small.yaml"
    own.write_text(yaml.safe_dump(plain()), encoding="utf-8")
    (own.parent / "credit.yaml").write_text("name: credit\nsource: {}\n", encoding="utf-8")
    assert {*NAMES, "small"} <= set(known_usecases(home))
    assert load_market_case("small", home) == load_market_case(own, home)
    assert kind_of(own) == "market"
    assert kind_of(own.parent / "credit.yaml") == "credit"


def test_a_name_that_is_nowhere_or_twice_is_refused(home: Home) -> None:
    with pytest.raises(InputRefused, match="no use case is called 'market_retrun'") as no:
        load_market_case("market_retrun", home)
    assert "market_return" in no.value.do
    with pytest.raises(InputRefused):
        load_market_case("nowhere.yaml", home)
    folder = home.folder("usecases")
    (folder / "other.yaml").write_text(yaml.safe_dump(plain()), encoding="utf-8")
    with pytest.raises(InputRefused, match="says its name is 'small'"):
        load_market_case("other", home)
    (folder / "market_return.yaml").write_text(yaml.safe_dump(plain()), encoding="utf-8")
    with pytest.raises(InputRefused, match="two use cases are called"):
        load_market_case("market_return", home)


# ---- its documentation


def parts_of(model: type[BaseModel]) -> set[type[BaseModel]]:
    """Return a model and those that its fields are made of."""
    found = {model}
    for field in model.model_fields.values():
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                found |= parts_of(part)
    return found


def test_the_reference_names_every_key_series_and_predictor() -> None:
    text = (Path(__file__).parents[3] / "docs" / "reference" / "market.md").read_text("utf-8")
    keys = {key for part in parts_of(MarketCase) for key in part.model_fields}
    for name in {*keys, *SERIES, *PREDICTORS}:
        assert re.search(rf"`(\w+\.)?{name}\b", text), f"{name} isn't explained"


# ---- those that are shipped


@pytest.mark.parametrize("name", NAMES)
def test_shipped_cases_read_like_documents(name: str) -> None:
    lines = shipped("market")[name].read_text(encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= 100
    assert len(lines) < 140
    assert lines[0].startswith("# ")
    case = load_market_case(name)
    assert set(case.models) == {"m1", "m12"}
    assert all(case.predictors.values()), "every predictor states its direction"


def test_exactly_these_are_shipped_and_no_credit_case_has_their_name() -> None:
    assert tuple(shipped("market")) == NAMES
    assert not set(shipped("credit", "loans")) & set(NAMES)


def test_the_default_needs_no_file_and_the_other_does() -> None:
    assert not load_market_case("market_return").needs_folder
    assert load_market_case("market_return_shiller").needs_folder


def test_shillers_case_states_its_lags_and_what_is_revised() -> None:
    case = load_market_case("market_return_shiller")
    lags = {name: spec.lag_months for name, spec in case.series.items()}
    assert lags["price"] == lags["long_rate"] == 0
    assert (lags["cpi"], lags["dividend"], lags["earnings"]) == (1, 3, 5)
    fred = [n for n, spec in case.series.items() if spec.source == "fred_md.csv"]
    assert all(lags[n] >= 1 for n in fred)
    assert set(fred) <= set(case.revised)
    assert {m.skip for m in case.models.values()} == {1}


def test_the_benchmark_is_among_the_families_whether_named_or_not() -> None:
    assert list(parse(families=["ridge", "gru"]).families) == ["mean", "ridge", "gru"]
    assert list(parse(families=["ridge", "mean"]).families) == ["ridge", "mean"]


def test_a_key_that_is_there_twice_is_refused() -> None:
    text = yaml.safe_dump(plain()) + "title: Another\n"
    with pytest.raises(InputRefused, match="the key 'title' is there twice"):
        parse_market_case(text, where="small.yaml")
