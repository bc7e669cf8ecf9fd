from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwright.errors import InputRefused
from riskwright.ledger import Gate
from riskwright.ledger.tables import canonical, plain, stamp, text

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(json_values)
def test_canonical_json_loses_nothing(value: object) -> None:
    written = canonical(value)
    assert json.loads(written) == value
    assert canonical(json.loads(written)) == written
    assert written.isascii()


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_canonical_json_does_not_depend_on_order(value: dict[str, int]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.25), 0.25),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([1.0, np.nan]), [1.0, None]),
        (float("inf"), None),
        ((1, 2), [1, 2]),
        ({3: "x"}, {"3": "x"}),
        (date(2026, 6, 30), "2026-06-30"),
        (Path("a/b"), "a/b"),
        (
            Gate("ks", None, "", {}),
            {"name": "ks", "passed": None, "detail": "", "figures": {}, "blocking": True},
        ),
    ],
)
def test_what_becomes_plain(value: object, expected: object) -> None:
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)


def test_what_cannot_be_kept_is_refused() -> None:
    with pytest.raises(InputRefused, match="can't keep a object"):
        canonical({"model": object()})


@pytest.mark.parametrize("value", ["", "  \n", "a\x00b", "\ud800", "x" * 2001])
def test_text_that_a_database_cannot_hold_is_refused(value: str) -> None:
    with pytest.raises(InputRefused, match="reason"):
        text("reason", value)


def test_text_is_stripped_and_may_be_any_language() -> None:
    assert text("reason", " Über 5 % Ausfälle – 高 ") == "Über 5 % Ausfälle – 高"


@given(st.datetimes(), st.integers(-720, 720), st.datetimes(), st.integers(-720, 720))
def test_stamps_sort_as_their_moments(
    a: datetime, minutes_a: int, b: datetime, minutes_b: int
) -> None:
    low, high = datetime(1, 1, 3), datetime(9999, 12, 29)  # noqa: DTZ001 room for the zone
    a, b = (min(max(m, low), high) for m in (a, b))
    a = a.replace(tzinfo=timezone(timedelta(minutes=minutes_a)))
    b = b.replace(tzinfo=timezone(timedelta(minutes=minutes_b)))
    assert (stamp(a) < stamp(b)) == (a < b)
    assert datetime.fromisoformat(stamp(a)) == a
    assert datetime.fromisoformat(stamp(a)).tzinfo == UTC


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(InputRefused, match="no zone"):
        stamp(datetime(2026, 6, 30))  # noqa: DTZ001 that is the point
