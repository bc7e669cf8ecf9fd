"""What a notebook shows and keeps: figures as people read money, answers that can be kept."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskwright.door import page, pictures
from riskwright.door.decisions import Alerts
from riskwright.door.results import Result


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1234567.89, "1,234,568"),
        (np.float64(-52340.4), "-52,340"),
        (9999.0, "9999"),
        (0.012344, "0.01234"),
        (np.float32(0.5), "0.5"),
        (1234567, "1234567"),
        (np.int64(12), "12"),
        (float("inf"), "inf"),
        (np.bool_(True), "yes"),
        (False, "no"),
        (pd.NA, ""),
        (pd.NaT, ""),
        (np.float64("nan"), ""),
        (None, ""),
        ("<b>", "&lt;b&gt;"),
    ],
)
def test_a_page_shows_values_as_a_person_reads_them(value: object, shown: str) -> None:
    assert page.text(value) == shown


def test_a_picture_can_be_kept() -> None:
    figure = pictures.bars(["a"], [1.0], unit="euros", sentence="one", of="name")
    again: Any = pickle.loads(pickle.dumps(figure))
    assert again._repr_png_().startswith(b"\x89PNG")


def test_answers_are_themselves_alone() -> None:
    """With frames and dictionaries inside, equality of fields can't be told, nor hashed."""
    import riskwright.door.cases
    import riskwright.door.money
    import riskwright.door.scores
    import riskwright.door.training
    import riskwright.door.watch  # noqa: F401

    kinds = Result.__subclasses__()
    assert len(kinds) >= 10
    assert all(kind.__eq__ is object.__eq__ for kind in kinds)
    one, other = Alerts((), ()), Alerts((), ())
    assert len({one, other}) == 2
