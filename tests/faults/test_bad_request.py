"""A served request that holds no rows to score is refused in words, whatever it is."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from riskwright.errors import InputRefused
from riskwright.life.requests import MOST_BYTES, nested, read_request

BODIES = {
    "no JSON": (b"{", "is not JSON"),
    "no text": (b"\xff\xfe\x00", "is not JSON"),
    "a number": (b"3", "not a JSON object"),
    "deep": (b'{"dataframe_records":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "too deeply"),
    "large": (b" " * (MOST_BYTES + 1), "larger than 32 MB"),
    "no rows": (b'{"dataframe_split": {"columns": ["a"], "data": []}}', "holds no rows"),
    "no columns": (b'{"dataframe_records": [{}]}', "holds no rows"),
    "another form": (b'{"inputs": [[1]]}', "holds no rows"),
    "names that are numbers": (b'{"dataframe_split": {"columns": [1], "data": [[1]]}}', "names"),
    "one name twice": (b'{"dataframe_records": [{"a": 1, "a": 2}]}', "names 'a' twice"),
    "half a pair in a cell": (b'{"dataframe_records": [{"a": "\\ud800"}]}', "surrogate"),
    "half a pair in a name": (b'{"dataframe_records": [{"\\ud800": 1}]}', "surrogate"),
    "half a pair as bytes": (b'{"dataframe_records": [{"a": "\xed\xa0\x80"}]}', "surrogate"),
    "a name of its own in each": (
        json.dumps({"dataframe_records": [{f"c{i}": 1} for i in range(1_001)]}).encode(),
        "1,001 columns",
    ),
    "a split of many names": (
        json.dumps({"dataframe_split": {"columns": [f"c{i}" for i in range(1_001)]}}).encode(),
        "1,001 columns",
    ),
    "empty records": (
        json.dumps(
            {"dataframe_records": [{f"c{i}": 1 for i in range(999)}] + [{}] * 5_000}
        ).encode(),
        "cells",
    ),
    "reasons": (b'{"dataframe_records": [{"a": 1}], "params": {"reasons": "x"}}', "unknown"),
}


@pytest.mark.parametrize("case", BODIES)
def test_what_is_no_request_is_refused(case: str) -> None:
    body, words = BODIES[case]
    with pytest.raises(InputRefused, match=words) as refused:
        read_request(body)
    assert refused.value.exit_code == 2
    assert refused.value.expected


def test_cells_that_no_file_can_hold_are_named_by_row() -> None:
    rows = [{"a": 1, "b": "x"}, {"a": [1], "b": "x"}, {"b": {"c": 2}}, {"a": 10**400}]
    frame, reasons = read_request(json.dumps({"dataframe_records": rows}).encode())
    assert reasons == "adverse"
    assert nested(frame).to_dict() == {
        1: "a: a list or an object is no cell",
        2: "b: a list or an object is no cell",
        3: "a: a number of 401 digits",
    }
    assert nested(pd.DataFrame({"a": [1.0, 2.0]})).empty


def test_a_row_of_a_frame_is_scored_as_it_is() -> None:
    frame = pd.DataFrame({"a": [1.5], "b": ["x"], "c": [1]})
    assert nested(frame.iloc[0].to_frame().T).empty  # its cells are NumPy's
