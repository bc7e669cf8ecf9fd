"""What a notebook may give that is no use case and no data: refused in words, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
import yaml
from tiny import applications, tiny_text

import riskwright as rw
from riskwright.errors import InputRefused
from riskwright.home import Home

FRAMES: dict[str, tuple[Callable[[pd.DataFrame], Any], str]] = {
    "a column twice": (lambda f: pd.concat([f, f[["AGE"]]], axis=1), "two columns"),
    "lists in cells": (lambda f: f.assign(AGE=[[1]] * len(f)), "AGE"),
    "objects in cells": (lambda f: f.assign(AGE=[{1}] * len(f)), "AGE"),
    "no rows": (lambda f: f.head(0), "no rows"),
    "no columns": (lambda f: pd.DataFrame(index=f.index), "no rows"),
    "a column missing": (lambda f: f.drop(columns="AGE"), "AGE"),
    "a list": (lambda f: f.to_dict("records"), "a list is no data"),
    "a Series": (lambda f: f["AGE"], "a Series is no data"),
}
DICTIONARIES: dict[str, tuple[dict[str, Any], str]] = {
    "no such kind": ({"kind": "weather"}, "no kind 'weather'"),
    "a set": ({"families": {"logistic"}}, "holds no set"),
    "an object": ({"title": object()}, "holds no object"),
    "a key that isn't there": ({"colums": {}}, "colums"),
    "no target": ({"target": None}, "target"),
}


@pytest.mark.parametrize("fault", FRAMES)
def test_a_frame_that_is_none_is_refused(fault: str, home: Home) -> None:
    change, words = FRAMES[fault]
    plain = yaml.safe_load(tiny_text())
    for ask in (rw.check, rw.retrain):
        with pytest.raises(InputRefused) as caught:
            ask(plain, change(applications(40)))
        assert words in str(caught.value)
        assert "frame.parquet" not in str(caught.value)  # a file that nobody knows


@pytest.mark.parametrize("fault", DICTIONARIES)
def test_a_dictionary_that_is_no_use_case_is_refused(fault: str, home: Home) -> None:
    change, words = DICTIONARIES[fault]
    for ask in (rw.use_case, rw.check, rw.retrain):
        with pytest.raises(InputRefused) as caught:
            ask(yaml.safe_load(tiny_text()) | change)
        assert words in str(caught.value)
    assert not (home.root / "usecases" / "tiny.yaml").exists()


@pytest.mark.parametrize("of", [None, 3, ["tiny"]])
def test_what_names_no_use_case_is_refused(of: Any, home: Home) -> None:
    for ask in (rw.use_case, rw.retrain):
        with pytest.raises(InputRefused, match="names no use case"):
            ask(of)
