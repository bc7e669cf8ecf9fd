"""Tuning: the defaults come first, a count of trials repeats, the cap in time holds."""

from __future__ import annotations

import inspect
import logging
import time
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss

from riskwright.case.usecase import FAMILIES
from riskwright.errors import InputRefused
from riskwright.learn.base import inner_split
from riskwright.learn.families import family_class, make_family
from riskwright.learn.tuning import SHARE, tune

FIXED = {"max_trees": 15, "patience": 15}
SPACE = family_class("xgboost").space
SEARCHED = sorted(name for name in FAMILIES if family_class(name).space)


def run(small: Any, name: str = "xgboost", **changes: Any) -> Any:
    settings = {
        "time_ordered": False,
        "seed": 3,
        "trials": 4,
        "seconds": 60.0,
        "params": FIXED,
        **changes,
    }
    return tune(name, small.schema, small.X, small.y, **settings)


@pytest.fixture(scope="module")
def searched(small: Any) -> Any:
    return run(small)


def test_the_first_trial_is_the_defaults(searched: Any) -> None:
    signature = inspect.signature(family_class("xgboost")).parameters
    first = searched[1][0]["params"]
    assert set(first) == {*FIXED, *SPACE}
    for key in SPACE:
        assert first[key] == signature[key].default


def test_the_best_trial_is_returned_and_refits_to_its_loss(searched: Any, small: Any) -> None:
    params, log = searched
    assert [line["number"] for line in log] == [0, 1, 2, 3]
    losses = [line["log_loss"] for line in log]
    assert len(set(losses)) == 4
    assert params == log[int(np.argmin(losses))]["params"]
    train, valid = inner_split(small.y, seed=3, time_ordered=False, share=SHARE)
    model = make_family("xgboost", small.schema, 3, params)
    model.fit(small.X.iloc[train], small.y[train])
    again = log_loss(small.y[valid], model.predict_proba(small.X.iloc[valid])[:, 1])
    assert again == pytest.approx(min(losses), abs=1e-9)


def test_what_is_set_stays_as_it_is_set(searched: Any, small: Any) -> None:
    _, log = run(small, params={**FIXED, "max_depth": 1}, trials=2)
    assert {line["params"]["max_depth"] for line in log} == {1}
    assert all(line["params"]["max_trees"] == 15 for line in searched[1])


def test_a_count_of_trials_repeats(searched: Any, small: Any) -> None:
    again = run(small)
    assert again[0] == searched[0]
    for ours, theirs in zip(again[1], searched[1], strict=True):
        assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}
    assert run(small, seed=4, trials=2)[1][1]["params"] != searched[1][1]["params"]


def test_the_cap_in_time_leaves_one_trial(small: Any) -> None:
    begun = time.monotonic()
    params, log = run(small, name="logistic", params={}, trials=10_000, seconds=0.0)
    assert len(log) == 1
    assert params == {"C": 1.0}
    assert time.monotonic() - begun < 30


def test_with_time_trials_are_compared_on_the_last_fifth(small: Any) -> None:
    _, log = run(small, name="logistic", params={}, trials=1, time_ordered=True)
    cut = round(len(small.X) * (1 - SHARE))
    model = make_family("logistic", small.schema, 0, {}).fit(small.X[:cut], small.y[:cut])
    expected = log_loss(small.y[cut:], model.predict_proba(small.X[cut:])[:, 1])
    assert log[0]["log_loss"] == pytest.approx(expected, abs=1e-9)


def test_a_search_finds_what_helps(small: Any) -> None:
    """On few rows with outcomes of chance, a stronger penalty than the default is better."""
    y = np.random.default_rng(0).permutation(small.y[:200])
    best, log = tune(
        "logistic",
        small.schema,
        small.X.head(200),
        y,
        time_ordered=False,
        seed=0,
        trials=12,
        seconds=60,
        params={},
    )
    assert min(line["log_loss"] for line in log[1:]) < log[0]["log_loss"]
    assert best["C"] < 0.1
    assert all(1e-4 <= line["params"]["C"] <= 100 for line in log)


def test_a_family_without_a_space_is_refused(small: Any) -> None:
    with pytest.raises(InputRefused, match="article_mlp") as refused:
        run(small, name="article_mlp", params={})
    assert "xgboost" in refused.value.expected
    assert set(SEARCHED) == set(FAMILIES) - {"article_mlp"}


@pytest.mark.parametrize("name", SEARCHED)
def test_every_searched_parameter_is_the_familys_and_has_a_default_in_its_range(
    name: str,
) -> None:
    import optuna

    from riskwright.learn.tuning import _defaults

    family = family_class(name)
    signature = inspect.signature(family).parameters
    defaults = _defaults(family, family.space)
    trial = optuna.trial.FixedTrial(defaults)  # warns (an error here) if one is out of range
    for key, suggest in family.space.items():
        value, default = suggest(trial, key), signature[key].default
        assert value == (list(default) if isinstance(default, tuple) else default)


def test_it_is_quiet(small: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run(small, name="logistic", params={}, trials=2)
    assert not [r for r in caplog.records if r.name.startswith("optuna")]
