"""Raw cells to canonical values."""

from __future__ import annotations

import pandas as pd
import pytest

from riskwright.data import parsing
from riskwright.data.lending_club import canonical

FIRST = pd.Timestamp("2014-03-01")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2014-03-01", "2014-03-01"),
        ("2014-03-01T00:00:00+02:00", "2014-03-01"),
        ("2014-03-01T00:00:00.000+0200", "2014-03-01"),
        ("2014-03-01 00:00:00+02", "2014-03-01"),
        ("2014-02-28T23:30:00-05:00", "2014-02-28 23:30"),
        ("2014-03-01T00:00:00Z", "2014-03-01"),
        ("2014-03-01T01:02:03", "2014-03-01 01:02:03"),
        ("2014-03", "2014-03-01"),
    ],
)
def test_a_date_with_a_zone_is_the_date_as_written(written: str, meant: str) -> None:
    found, bad = parsing.dates(pd.Series([written, "2012-01-31"], dtype="str"), ())
    assert found.tolist() == [pd.Timestamp(meant), pd.Timestamp("2012-01-31")]
    assert not bad.any()


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Pacific/Auckland"])
def test_a_typed_date_with_a_zone_is_its_local_day(zone: str) -> None:
    cells = pd.Series([FIRST, FIRST]).dt.tz_localize(zone)
    assert parsing.dates(cells, ())[0].tolist() == [FIRST, FIRST]
    # A database gives the values one by one, each with its zone.
    one_by_one = pd.Series([t.to_pydatetime() for t in cells], dtype="object")
    assert parsing.dates(one_by_one, ())[0].tolist() == [FIRST, FIRST]


@pytest.mark.parametrize(
    "written", ["2014-03-01T00:00:00+99:99", "31/1/2024", "2014-03-01+02", "2020", "2020.0"]
)
def test_what_is_no_date_stays_refused(written: str) -> None:
    assert parsing.dates(pd.Series([written], dtype="str"), ())[1].all()


def test_months_between_zoned_dates_are_those_as_written() -> None:
    raw = pd.DataFrame(
        {
            "issue_d": ["2014-03-01T00:00:00+02:00", "2014-03-01"],
            "earliest_cr_line": ["2004-03-01T00:00:00+01:00", "2004-03-01"],
        }
    )
    assert canonical(raw)["credit_age"].tolist() == [120, 120]
