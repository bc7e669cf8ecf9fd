"""A small use case and a home for the tests of the data room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from riskwright.case.usecase import UseCase, parse_usecase
from riskwright.home import Home

PLAIN: dict[str, Any] = {
    "name": "small",
    "title": "Small",
    "question": "Will it be bad?",
    "source": {"location": "nowhere.csv"},
    "id": "key",
    "target": {"column": "Y", "bad": 1, "good": 0},
    "columns": {
        "key": {"type": "text"},
        "AGE": {"type": "integer", "min": 18, "max": 99, "sentinels": {-1: "not stated"}},
        "LIMIT": {"type": "number", "min": 0, "unit": "EUR"},
        "EDU": {"type": "category", "values": [1, 2, 3]},
        "NOTE": {"type": "number", "required": False},
        "WHEN": {"type": "date", "required": False},
        "LATE": {"type": "number", "after_decision": True},
        "Y": {"type": "category", "values": [0, 1]},
    },
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Give a home of its own, with no mirror and no proxy from outside."""
    for name in ("RISKWRIGHT_DATA", "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return Home(tmp_path / "home")


@pytest.fixture(scope="session")
def make_usecase() -> Callable[..., UseCase]:
    """Give a maker of the small use case; keywords replace its keys, ``None`` removes one."""

    def make(**changes: Any) -> UseCase:
        plain = {k: v for k, v in (PLAIN | changes).items() if v is not None}
        return parse_usecase(yaml.safe_dump(plain, sort_keys=False), where="test")

    return make


@pytest.fixture(scope="session")
def make_rows() -> Callable[..., pd.DataFrame]:
    """Give a maker of good raw rows of the small use case, all text."""

    def make(n: int, seed: int = 0) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        dates = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D")
        frame = pd.DataFrame(
            {
                "key": [f"k{i}" for i in range(n)],
                "AGE": rng.integers(18, 99, n).astype(str),
                "LIMIT": rng.uniform(0, 1000, n).round(2).astype(str),
                "EDU": rng.integers(1, 4, n).astype(str),
                "NOTE": rng.normal(size=n).round(3).astype(str),
                "WHEN": dates.strftime("%Y-%m-%d"),
                "Y": (rng.uniform(size=n) < 0.3).astype(int).astype(str),
            },
            dtype="str",
        )
        frame.index = pd.RangeIndex(n, name="row")
        return frame

    return make
