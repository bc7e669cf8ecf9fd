"""The specification of a use case: what it refuses, what it fills in, and what it derives."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from riskwright.case.usecase import (
    FAMILIES,
    FeatureSchema,
    UseCase,
    code,
    known_usecases,
    parse_usecase,
    shipped,
)
from riskwright.errors import InputRefused
from riskwright.home import Home
from riskwright.systems.credit.case import load_usecase


def plain(**changes: Any) -> dict[str, Any]:
    """Return a small complete use case as plain data, with some keys set."""
    base: dict[str, Any] = {
        "name": "small",
        "title": "Small",
        "question": "Is it bad?",
        "source": {"location": "rows.csv"},
        "id": "key",
        "time": "day",
        "target": {"column": "outcome", "bad": 1, "good": 0},
        "columns": {
            "key": {"type": "text"},
            "day": {"type": "date"},
            "income": {
                "type": "number",
                "label": "monthly income",
                "unit": "EUR",
                "min": 0,
                "sentinels": {-1: "refused to say"},
                "direction": "decreasing",
            },
            "late_1": {"type": "integer", "direction": "increasing"},
            "late_2": {"type": "integer"},
            "grade": {"type": "category", "values": {"a": "good", "b": "fair"}},
            "sex": {"type": "category", "values": [1, 2], "protected": True},
            "recovered": {"type": "number", "after_decision": True},
            "note": {"type": "text"},
            "outcome": {"type": "category", "values": [0, 1]},
        },
        "sequences": {"late": ["late_2", "late_1"]},
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        part = base
        for parent in parents:
            part = part.setdefault(parent, {})
        part[last] = value
    return base


def load(**changes: Any) -> UseCase:
    return parse_usecase(yaml.safe_dump(plain(**changes), sort_keys=False), where="small.yaml")


def refusal(**changes: Any) -> InputRefused:
    with pytest.raises(InputRefused) as caught:
        load(**changes)
    return caught.value


# ---- codes


@pytest.mark.parametrize(
    ("written", "read"),
    [(1, "1"), (1.0, "1"), ("1", "1"), (" A11 ", "A11"), (0, "0"), (1.5, "1.5"), (-2.0, "-2")],
)
def test_a_code_is_one_text_however_it_was_written(written: object, read: str) -> None:
    assert code(written) == read


@given(st.integers(-(10**9), 10**9))
def test_code_of_a_whole_number_is_the_same_as_int_float_and_text(number: int) -> None:
    assert code(number) == code(float(number)) == code(str(number)) == str(number)


def test_values_may_be_a_list_or_a_mapping() -> None:
    columns = load().columns
    assert columns["sex"].values == {"1": "1", "2": "2"}
    assert columns["grade"].values == {"a": "good", "b": "fair"}


# ---- unknown keys


@pytest.mark.parametrize(
    ("path", "offered"),
    [
        ("familes", "families"),
        ("tagret", "target"),
        ("split__test_shar", "test_share"),
        ("source__delimeter", "delimiter"),
        ("columns__income__directon", "direction"),
        ("columns__key__protcted", "protected"),
        ("costs__bad_aproved", "bad_approved"),
        ("cutoffs__aprove_below", "approve_below"),
        ("gates__alfa", "alpha"),
        ("monitor__min_row", "min_rows"),
        ("approval__polcy", "policy"),
        ("tuning__budgt", "budget"),
        ("ensemble__refer_shre", "refer_share"),
    ],
)
def test_an_unknown_key_is_refused_with_the_closest(path: str, offered: str) -> None:
    caught = refusal(**{path: 1})
    assert path.rsplit("__", maxsplit=1)[-1] in caught.what
    assert caught.do == f"did you mean {offered!r}?"
    assert caught.where == f"small.yaml: {path.replace('__', '.')}"
    assert offered in caught.expected.split(", ")
    assert caught.exit_code == 2


def test_an_unknown_key_like_no_other_is_to_be_removed() -> None:
    assert refusal(zzzzzz=1).do == "remove it"


def test_an_unknown_key_of_a_family_is_refused() -> None:
    assert "parms" in refusal(families={"scorecard": {"parms": {}}}).what


# ---- every validator


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "Small Case"}, "name"),
        ({"columns__income__min": 5, "columns__income__max": 4}, "min 5.0 is above max 4.0"),
        ({"columns__grade__values": {}}, "lists its allowed 'values'"),
        ({"columns__income__values": [1]}, "'values' belong to a category"),
        ({"columns__income__type": "float"}, "'number', 'integer'"),
        ({"columns__income__direction": "up"}, "'increasing' or 'decreasing'"),
        ({"target__column": "outcom"}, "did you mean 'outcome'?"),
        ({"id": "kee"}, "did you mean 'key'?"),
        ({"time": "income"}, "must have type 'date'"),
        ({"time": "dya"}, "did you mean 'day'?"),
        ({"time": None, "split": {"kind": "out_of_time"}}, "needs a 'time' column"),
        ({"time": None, "split": {"kind": "walk_forward"}}, "needs a 'time' column"),
        ({"split": {"kind": "file"}}, "names the 'file'"),
        ({"split": {"kind": "random"}}, "'hash'"),
        ({"split": {"test_share": 0}}, "greater than 0"),
        ({"split": {"test_share": 1}}, "less than 1"),
        ({"split": {"folds": 1}}, "greater than or equal to 2"),
        ({"columns__recovered__feature": True}, "leakage"),
        ({"columns__outcome__feature": True}, "target, id or time"),
        ({"columns__key__feature": True}, "target, id or time"),
        ({"columns__day__feature": True}, "target, id or time"),
        ({"sequences": {"late": ["late_2", "late_3"]}}, "did you mean 'late_"),
        ({"sequences": {"late": ["grade", "late_1"]}}, "'grade' is not a number"),
        ({"sequences": {"a": ["late_1"], "b": ["late_1", "late_2"]}}, "same number of steps"),
        ({"families": ["xgbost", "scorecard"]}, "did you mean 'xgboost'?"),
        ({"families": ["xgboost"]}, "baseline 'scorecard' is not among the families"),
        ({"baseline": "xgboost"}, "'logistic' or 'scorecard'"),
        ({"models": ["lgd"]}, "models are [pd], or [pd, lgd, ead]"),
        ({"models": ["pd", "lgd", "ead"]}, "has a 'loan'"),
        ({"tuning": {"budget": "ten minutes"}}, "pattern"),
        ({"tuning": {"trials": -1}}, "greater than or equal to 0"),
        ({"cutoffs": {"approve_below": 0.1}}, "give both"),
        ({"cutoffs": {"decline_from": 0.1}}, "give both"),
        ({"cutoffs": {"approve_below": 0.3, "decline_from": 0.2}}, "is above 'decline_from'"),
        ({"costs": {"bad_approved": 0}}, "greater than 0"),
        ({"quarantine_limit": 1.1}, "less than or equal to 1"),
        ({"ensemble": {"refer_share": 1}}, "less than 1"),
        ({"gates": {"alpha": 0}}, "greater than 0"),
        ({"approval": {"policy": "none"}}, "'automatic' or 'approval'"),
        ({"source": {"rows": 0}}, "greater than 0"),
        ({"source": {"format": "xlsx"}}, "'csv'"),
    ],
)
def test_what_breaks_the_specification(changes: dict[str, Any], says: str) -> None:
    caught = refusal(**changes)
    assert says in caught.what
    assert caught.where.startswith("small.yaml: ")
    assert caught.do


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"loan.owed": "owed_at_defult"}, "did you mean 'owed_at_default'?"),
        ({"loan.owed": "credit_limit"}, "is an outcome: mark it 'after_decision'"),
        ({"loan.recovered_on": "recoveries"}, "recovered_on 'recoveries' must have type 'date'"),
        ({"loan.revolving.drawn_before": "installment"}, "mark it 'after_decision'"),
        ({"loan.revolving.value": "card"}, "'product' has no value 'card'"),
        ({"loan.revolving.limit": "grade"}, "'grade', which is not a number"),
        ({"loan.revolving.product": "prodct"}, "did you mean 'product'?"),
        ({"loan.population": {"polcy": "standard"}}, "did you mean 'policy'?"),
        ({"loan.population": {"policy": "usual"}}, "column 'policy' has no value 'usual'"),
        ({"loan.population": {"product": "term"}}, "'product' is to be required"),
        ({"loan.population": {}}, "at least 1"),
    ],
)
def test_what_breaks_the_money_of_a_loan_book(changes: dict[str, Any], says: str) -> None:
    path = known_usecases(Home())["loan_book"]
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    for key, value in changes.items():
        *at, last = key.split(".")
        inner = content
        for part in at:
            inner = inner[part]
        inner[last] = value
    with pytest.raises(InputRefused) as caught:
        parse_usecase(yaml.safe_dump(content), where="small.yaml")
    assert says in caught.value.what


def test_no_feature_at_all_is_refused() -> None:
    columns = {name: plain()["columns"][name] for name in ("key", "day", "sex", "note", "outcome")}
    assert "no column is a feature" in refusal(columns=columns, sequences={}).what


@pytest.mark.parametrize("key", ["name", "title", "question", "source", "target", "columns"])
def test_what_can_not_be_left_out(key: str) -> None:
    content = plain()
    del content[key]
    with pytest.raises(InputRefused, match=key):
        parse_usecase(yaml.safe_dump(content), where="small.yaml")


def test_further_faults_are_counted() -> None:
    caught = refusal(
        split={"test_share": 2.0, "folds": 0}, costs={"bad_approved": -1, "good_declined": -1}
    )
    assert "(and 3 more)" in caught.what


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: [", "not valid YAML"),
        ("- a\n- b\n", "not a YAML mapping"),
        ("", "not a YAML mapping"),
        ("name: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
    ],
)
def test_what_is_no_mapping(text: str, says: str) -> None:
    with pytest.raises(InputRefused, match=says):
        parse_usecase(text, where="bad.yaml")


def test_a_use_case_is_frozen() -> None:
    usecase = load()
    with pytest.raises(ValidationError, match="frozen"):
        usecase.name = "other"
    with pytest.raises(ValidationError, match="frozen"):
        usecase.split.folds = 3


# ---- defaults


def test_defaults() -> None:
    usecase = load()
    assert usecase.split.kind == "hash"
    assert (usecase.split.test_share, usecase.split.folds) == (0.2, 5)
    assert list(usecase.families) == list(FAMILIES)
    assert [n for n, f in usecase.families.items() if not f.ensemble] == ["article_mlp"]
    assert usecase.baseline == "scorecard"
    assert usecase.tuning.trials == 0
    assert usecase.tuning.seconds == 600
    assert (usecase.costs.bad_approved, usecase.costs.good_declined) == (5, 1)
    assert usecase.cutoffs.approve_below is None
    assert usecase.approval.policy == "approval"
    assert usecase.duplicate_rows == "keep"
    assert usecase.models == ("pd",)


@pytest.mark.parametrize(("text", "seconds"), [("45s", 45), ("10m", 600), ("2h", 7200)])
def test_budget_in_seconds(text: str, seconds: float) -> None:
    assert load(tuning={"budget": text}).tuning.seconds == seconds


@pytest.mark.parametrize(
    ("families", "in_ensemble"),
    [
        (["scorecard", "article_mlp"], {"scorecard": True, "article_mlp": False}),
        ({"scorecard": None, "mlp": {"params": {"width": 8}}}, {"scorecard": True, "mlp": True}),
        (
            {"scorecard": {"ensemble": False}, "article_mlp": {"ensemble": True}},
            {"scorecard": False, "article_mlp": True},
        ),
    ],
)
def test_families_as_list_or_mapping(families: Any, in_ensemble: dict[str, bool]) -> None:
    found = load(families=families).families
    assert {name: f.ensemble for name, f in found.items()} == in_ensemble


# ---- what it derives


def test_features_are_what_is_known_allowed_and_not_text() -> None:
    usecase = load()
    assert usecase.feature_names == ["income", "late_1", "late_2", "grade"]
    assert usecase.protected_names == ["sex"]


@pytest.mark.parametrize(
    ("column", "feature", "names"),
    [
        ("sex", True, ["income", "late_1", "late_2", "grade", "sex"]),
        ("grade", False, ["income", "late_1", "late_2"]),
    ],
)
def test_feature_overrides_the_rule(column: str, feature: bool, names: list[str]) -> None:
    usecase = load(**{f"columns__{column}__feature": feature})
    assert usecase.feature_names == names
    assert usecase.protected_names == ["sex"], "a protected column is watched either way"


def test_schema() -> None:
    schema = load().schema_
    income, late_1, late_2, grade = schema.features
    assert schema.names == ["income", "late_1", "late_2", "grade"]
    assert (income.kind, income.label, income.unit) == ("number", "monthly income", "EUR")
    assert income.sentinels == ((-1.0, "refused to say"),)
    assert [f.direction for f in schema.features] == [-1, 1, 0, 0]
    assert late_1.label == "late_1", "the name where no label is given"
    assert late_2.values == ()
    assert (grade.kind, grade.values) == ("category", (("a", "good"), ("b", "fair")))
    assert schema.sequences == (("late", ("late_2", "late_1")),)


def test_a_sequence_of_which_a_step_is_no_feature_is_left_out() -> None:
    assert load(columns__late_1__feature=False).schema_.sequences == ()


def test_schema_survives_json() -> None:
    schema = load().schema_
    assert FeatureSchema.from_dict(json.loads(json.dumps(schema.as_dict()))) == schema


@pytest.mark.parametrize("name", shipped("credit", "loans"))
def test_shipped_schema_survives_json(name: str) -> None:
    schema = load_usecase(name).schema_
    assert FeatureSchema.from_dict(json.loads(json.dumps(schema.as_dict()))) == schema


@pytest.mark.parametrize("name", shipped("credit", "loans"))
def test_a_use_case_survives_its_own_json(name: str) -> None:
    usecase = load_usecase(name)
    again = UseCase.model_validate_json(usecase.model_dump_json())
    assert again == usecase
    assert again.digest == usecase.digest


def test_digest_changes_with_the_content_and_not_with_what_is_the_default() -> None:
    assert load().digest == load(duplicate_rows="keep").digest
    assert load().digest != load(duplicate_rows="drop").digest
    assert len(load().digest) == 64


# ---- where it is found


def test_found_by_shipped_name_home_and_path(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").create()
    assert load_usecase("german_credit", home).name == "german_credit"
    mine = home.folder("usecases") / "small.yaml"
    mine.write_text(yaml.safe_dump(plain()), encoding="utf-8")
    wanted = load(source={"location": str(mine.with_name("rows.csv"))})
    assert load_usecase("small", home) == load_usecase(mine, home) == wanted
    assert set(known_usecases(home)) == {*shipped(), "small"}


def test_a_name_that_is_shipped_and_in_the_home_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").create()
    mine = home.folder("usecases") / "german_credit.yaml"
    mine.write_text(yaml.safe_dump(plain(name="german_credit")), encoding="utf-8")
    with pytest.raises(InputRefused, match="two use cases are called 'german_credit'") as caught:
        load_usecase("german_credit", home)
    assert str(mine) in caught.value.where
    assert load_usecase(mine, home).name == "german_credit"


@pytest.mark.parametrize(
    ("location", "seen"),
    [
        ("rows.csv", "{folder}/rows.csv"),
        ("/data/rows.csv", "/data/rows.csv"),
        ("sqlite:///rows.db", "sqlite:///rows.db"),
    ],
)
def test_location_is_seen_from_the_yaml(location: str, seen: str, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(plain(source={"location": location})), encoding="utf-8")
    assert load_usecase(path).source.location == seen.format(folder=tmp_path)


def test_split_file_is_seen_from_the_yaml(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    content = plain(split={"kind": "file", "file": "ids.txt"})
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert load_usecase(path).split.file == tmp_path / "ids.txt"


@pytest.mark.parametrize(
    ("name", "what", "do"),
    [
        ("german_credt", "german_credt", "did you mean 'german_credit'?"),
        ("qqqqq", "qqqqq", "riskwright usecases"),
        ("nowhere/small.yaml", "doesn't exist", "check the path"),
    ],
)
def test_not_found(name: str, what: str, do: str, tmp_path: Path) -> None:
    with pytest.raises(InputRefused) as caught:
        load_usecase(name, Home(tmp_path))
    assert what in caught.value.what
    assert do in caught.value.do


# ---- its documentation


def models_of(model: type[BaseModel]) -> set[type[BaseModel]]:
    """Return a model and those that its fields are made of."""
    found = {model}
    for field in model.model_fields.values():
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                found |= models_of(part)
    return found


def test_reference_names_every_key() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "usecase.md").read_text("utf-8")
    for model in models_of(UseCase):
        for key in model.model_fields:
            assert re.search(rf"`(\w+\.)?{key}`", text), f"{model.__name__}.{key} isn't explained"


def test_example_of_the_reference_loads() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "usecase.md").read_text("utf-8")
    example = text.split("```yaml\n")[1].split("```")[0]
    assert parse_usecase(example, where="usecase.md").feature_names == ["income", "purpose"]


WRITTEN = """
name: small
title: Small
question: Is it bad?
source: {{location: rows.csv, missing: ["", -999, NO, 9999-12-31], header: yes}}
target: {{column: outcome, bad: true, good: false, open: [2]}}
columns:
  a: {{type: number, required: no, feature: on, min: 1_000, sentinels: {{-1: no}}}}
  country: {{type: category, values: {values}}}
  outcome: {{type: category, values: [true, false, 2], feature: off}}
"""


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ("[DE, FR, NO, US]", ["DE", "FR", "NO", "US"]),
        ("[yes, No, on, OFF, y, n]", ["yes", "No", "on", "OFF", "y", "n"]),
        ("[true, False, unknown]", ["true", "false", "unknown"]),
        ("[010, 007, 0x1F, 1_0, 12:30, 2020-1-5, 1e3]",
         ["010", "007", "0x1F", "1_0", "12:30", "2020-1-5", "1e3"]),
        ("[1, 1.0, 2.5, +3]", ["1", "2.5", "3"]),
        ("{NO: Norway, 1: no, x: }", ["NO", "1", "x"]),
        ('["NULL", "~"]', ["NULL", "~"]),
        ("[e\u0301]", ["\u00e9"]),
    ],
)  # fmt: skip
def test_a_code_is_what_the_yaml_says(values: str, codes: list[str]) -> None:
    found = parse_usecase(WRITTEN.format(values=values), where="test")
    assert list(found.columns["country"].values) == codes
    assert found.source.missing == ("", "-999", "NO", "9999-12-31")
    assert (found.source.header, found.columns["a"].required) == (True, False)
    assert (found.columns["a"].feature, found.columns["outcome"].feature) == (True, False)
    assert found.columns["a"].min == 1000
    assert (found.target.bad, found.target.good, found.target.open) == ("true", "false", ("2",))


@pytest.mark.parametrize("values", ["[DE, null]", "[~]", "{NULL: x}"])
def test_an_empty_code_is_refused(values: str) -> None:
    with pytest.raises(InputRefused, match="put it in quotes"):
        parse_usecase(WRITTEN.format(values=values), where="test")


def test_a_parameter_is_no_word_for_truth() -> None:
    text = WRITTEN.format(values="[a, b]") + "families: {scorecard: {params: {x: no}}}\n"
    with pytest.raises(InputRefused, match="parameter 'x' is 'no': write true or false"):
        parse_usecase(text, where="test")
