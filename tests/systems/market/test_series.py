"""Series: what is read, what is refused, and what was known when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from riskwright.errors import InputRefused
from riskwright.systems.market.files import ARCH, read
from riskwright.systems.market.series import load_series, transformed
from riskwright.systems.market.series_spec import Series, SeriesSpec

MONTHS = pd.period_range("2000-01", periods=48, freq="M")
PLAIN = {"source": "file.csv", "column": "price", "kind": "price_close"}


def rows(**changes: str) -> list[str]:
    """Lines of a monthly file; ``r10="2000-10-01,5"`` replaces row 10 as an editor counts."""
    lines = ["Date,price,other"]
    lines += [f"{m}-01,{100 + i},{i}" for i, m in enumerate(MONTHS)]
    for row, text in changes.items():
        lines[int(row[1:]) - 1] = text
    return [line for line in lines if line != "-"]


def load(folder: Path, lines: list[str], **spec: Any) -> Series:
    limits = {k: spec.pop(k) for k in ("window", "gap_months", "gap_days") if k in spec}
    (folder / "file.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return load_series({"price": SeriesSpec(**{**PLAIN, **spec})}, folder, **limits)["price"]


def test_a_sound_file_is_read_by_month(tmp_path: Path) -> None:
    series = load(tmp_path, rows(), scale=0.5)
    assert list(series.values.index) == list(MONTHS)
    assert series.values.tolist() == [0.5 * (100 + i) for i in range(48)]


@pytest.mark.parametrize(
    ("lines", "spec", "what", "where"),
    [
        (rows(r10="2000-11-01,5,5"), {}, "out of order|two rows", "row 11"),
        (rows(r10="2000-08-01,5,5"), {}, "two rows for 2000-08", "row 10"),
        (rows(r10="1999-08-01,5,5"), {}, "out of order", "row 10"),
        (rows(r10="2000-09-15,5,5"), {}, "start of its months", "row 10"),
        (rows(), {"stamp": "end"}, "end of its months", "row 2"),
        (rows(r10="2000-09-01,,5"), {}, "gap of 1 missing months", "2000-08 to 2000-10"),
        (rows(r10="-", r11="-"), {"gap_months": 1}, "gap of 2 missing months", "2000-08"),
        (rows(r10="2000-09-01,0,5"), {}, "is 0, which no price", "row 10"),
        (rows(r10="2000-09-01,-3,5"), {"zero_is_missing": True}, "is -3", "row 10"),
        (rows(r10="2000-09-01,-3,5"), {"kind": "index"}, "is -3, which no index", "row 10"),
        (rows(r10="2000-09-01,-100,5"), {"kind": "return", "scale": 0.01}, "is -100", "row 10"),
        (rows(r10="2000-09-01,abc,5"), {}, "'abc', which is no number", "row 10"),
        (rows(r10="2000-09-01,inf,5"), {}, "'inf', which is no number", "row 10"),
        (rows(r10="soon,5,5"), {}, "'soon' is no date", "row 10"),
        (rows(r10="2000-13-01,5,5"), {}, "'2000-13-01' is no date", "row 10"),
        (rows(), {"window": 60}, "spans 4.0 years, the window 5.0", "2000-01 to 2003-12"),
        (rows(), {"column": "prise"}, "no column 'prise'", "file.csv"),
        (rows(), {"source": "fil.csv"}, "doesn't exist", "fil.csv"),
        (rows(), {"source": "arch:frenchdat"}, "no source 'arch:frenchdat'", ""),
        (rows(r1="price,other,more"), {}, "no column of dates", "file.csv"),
        (rows()[:1], {}, "has no rows", "file.csv"),
        (["Date,price", "2000-01-01,", "2000-02-01,NA"], {}, "holds no value", "file.csv"),
        (rows(r10="2000-09-01,1_2,5"), {}, "'1_2', which is no number", "row 10"),
        (rows(r10="2000-09-01,\uff11\uff12,5"), {}, "'\uff11\uff12', which is no number", "row 10"),
        (rows(r1="Date,price,price"), {}, "column 'price' occurs twice in the header", "file.csv"),
        (rows(r10='2000-09-01,5,"x', r20='2001-07-01,5,"x'), {}, "rows have run tog", "row 10"),
        (rows(r10='2000-09-01,5,"x', r20='2001-07-01,5,x"'), {}, "rows have run tog", "row 10"),
        (rows(r10='2000-09-01,"5,5'), {}, "can't be read as CSV|has a gap|no number", "file.csv"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_its_place(
    tmp_path: Path, lines: list[str], spec: dict[str, Any], what: str, where: str
) -> None:
    with pytest.raises(InputRefused, match=what) as refused:
        load(tmp_path, lines, **spec)
    assert where in refused.value.where
    assert refused.value.expected or refused.value.do or "no value" in what
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    "written", ["%d/%m/%Y", "%Y.%m", "%Y-%m-%dT00:00:00+01:00", "%d.%m.%Y", "%b %Y"]
)
def test_a_refused_date_is_no_example_of_what_is_read(tmp_path: Path, written: str) -> None:
    days = pd.date_range("1927-12-30", periods=48, freq="D").strftime(written)
    lines = ["Date,price", *(f"{day},{100 + i}" for i, day in enumerate(days))]
    with pytest.raises(InputRefused, match="is no date") as refused:
        load(tmp_path, lines)
    said = refused.value.expected + refused.value.do
    assert days[0] not in said
    for way in ("2000-01-31", "01/31/2000 (month first)", "200001", "2000-01"):
        assert way in said


def test_a_column_that_no_series_reads_may_be_there_twice(tmp_path: Path) -> None:
    assert len(load(tmp_path, rows(r1="Date,price,date")).values) == 48


def test_a_misspelled_column_or_file_is_offered_its_closest_name(tmp_path: Path) -> None:
    for spec, name in (({"column": "prise"}, "price"), ({"source": "fil.csv"}, "file.csv")):
        with pytest.raises(InputRefused) as refused:
            load(tmp_path, rows(), **spec)
        assert f"did you mean {name!r}?" in refused.value.do


def test_a_file_without_a_folder_asks_for_one() -> None:
    with pytest.raises(InputRefused, match="no folder") as refused:
        load_series({"price": SeriesSpec(**PLAIN)}, None)
    assert "--data" in refused.value.do


def test_a_tolerated_gap_is_kept_as_a_gap(tmp_path: Path) -> None:
    series = load(tmp_path, rows(r10="2000-09-01,,5"), gap=1)
    assert pd.Period("2000-09", "M") not in series.values.index
    assert len(series.values) == 47


def test_zeros_at_either_end_are_missing_where_the_case_says_so(tmp_path: Path) -> None:
    lines = rows(r2="2000-01-01,0.0,5", r49="2003-12-01,0,5")
    series = load(tmp_path, lines, zero_is_missing=True)
    assert (series.values.index[0], series.values.index[-1]) == (MONTHS[1], MONTHS[-2])


@pytest.mark.parametrize(
    ("days", "gap", "fine"), [(12, {}, True), (15, {}, False), (15, {"gap": 20}, True)]
)
def test_daily_gaps_are_counted_in_days(
    tmp_path: Path, days: int, gap: dict[str, int], fine: bool
) -> None:
    first = pd.Timestamp("2000-01-03")
    dates = [first, first + pd.Timedelta(days=1), first + pd.Timedelta(days=1 + days)]
    lines = ["date,price", *(f"{d:%Y-%m-%d},5" for d in dates)]
    if fine:
        assert len(load(tmp_path, lines, frequency="daily", **gap).values) == 3
        return
    with pytest.raises(InputRefused, match="gap of 15 days"):
        load(tmp_path, lines, frequency="daily", **gap)


@pytest.mark.parametrize("written", ["{:%Y-%m-%d}", "{0.month}/{0.day}/{0.year}", "{:%Y%m}"])
def test_dates_may_be_written_in_one_of_the_known_ways(tmp_path: Path, written: str) -> None:
    lines = ["Date,price", *(f"{written.format(m.to_timestamp())},7" for m in MONTHS)]
    assert list(load(tmp_path, lines).values.index) == list(MONTHS)


@pytest.mark.parametrize(
    "spec",
    [
        {"published_late": True},
        {"revisions": "revised"},
        {"published_late": True, "lag": "0d"},
    ],
)
def test_a_series_that_declares_a_lag_must_have_one(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="its lag is 0"):
        SeriesSpec(**PLAIN, **spec)
    assert SeriesSpec(**PLAIN, **{**spec, "lag": "1d"}).lag_months == 1


# ---- what was known when


@settings(deadline=None)
@given(
    lag=st.integers(0, 400),
    unit=st.sampled_from("md"),
    month=st.sampled_from(list(pd.period_range("1999-01", "2005-12", freq="M"))),
    daily=st.booleans(),
)
def test_known_is_what_was_published_by_the_end_of_the_month(
    lag: int, unit: str, month: pd.Period, daily: bool
) -> None:
    frequency = "daily" if daily else "monthly"
    spec = SeriesSpec(**PLAIN, lag=f"{lag}{unit}", frequency=frequency)
    index = pd.date_range("2000-01-01", "2001-03-31", freq="D") if daily else MONTHS
    series = Series("price", spec, pd.Series(1.0, index=index), stale=0)
    known = series.known(month)
    ends = index if daily else index.end_time.normalize()
    wait = pd.DateOffset(months=lag) if unit == "m" else pd.DateOffset(days=lag)
    out = np.array([end + wait for end in ends], dtype="datetime64[ns]")
    limit = month.end_time
    # Never before it was published …
    assert (out[index.isin(known.index)] <= limit).all()
    # … and, for lags in months, or short ones in days, at once.
    if unit == "m" or daily:
        assert index.isin(known.index).tolist() == (out <= limit).tolist()
    assert series.cut(month).values.equals(known)
    assert series.cut(month).cut(month).values.equals(known)


def test_a_lag_of_15_days_is_known_a_month_later() -> None:
    spec = SeriesSpec(**PLAIN, lag="15d")
    series = Series("price", spec, pd.Series(1.0, index=MONTHS), stale=0)
    assert series.known(pd.Period("2000-05", "M")).index[-1] == pd.Period("2000-04", "M")


@given(seed=st.integers(0, 999), kind=st.sampled_from(["price_close", "return", "yield", "flow"]))
def test_scrambling_changes_all_of_the_future_and_none_of_the_past(seed: int, kind: str) -> None:
    spec = SeriesSpec(**{**PLAIN, "kind": kind, "lag": "2m"})
    old = Series("price", spec, pd.Series(np.linspace(0.01, 0.05, 48), index=MONTHS), stale=0)
    new = old.scrambled(pd.Period("2001-06", "M"), seed)
    same = new.values == old.values
    assert same[: MONTHS[15]].all()
    assert not same[MONTHS[16] :].any()
    assert (new.values > (-1 if kind in ("return", "yield") else 0)).all()


# ---- FRED-MD and what arch carries


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (1, [1, 2, 4, 12]),
        (2, [np.nan, 1, 2, 8]),
        (3, [np.nan, np.nan, 1, 6]),
        (4, np.log([1, 2, 4, 12])),
        (5, [np.nan, *np.log([2, 2, 3])]),
        (6, [np.nan, np.nan, 0, np.log(3 / 2)]),
        (7, [np.nan, np.nan, 0, 1]),
    ],
)
def test_transform_codes_are_those_of_fred_md(code: int, expected: list[float]) -> None:
    x = pd.Series([1.0, 2.0, 4.0, 12.0], index=MONTHS[:4])
    np.testing.assert_allclose(transformed(x, code), expected, atol=1e-15)


@pytest.mark.parametrize(("code", "value"), [(0, 1.0), (8, 1.0), (5, 0.0), (4, -1.0)])
def test_unknown_codes_and_logarithms_of_nothing_are_refused(code: int, value: float) -> None:
    with pytest.raises(InputRefused):
        transformed(pd.Series([1.0, value], index=MONTHS[:2]), code)


def fred(folder: Path, **spec: Any) -> Series:
    (folder / "fred.csv").write_text(
        "sasdate,INDPRO,TB3MS\nTransform:,5,2\n"
        + "".join(f"{m.month}/1/{m.year},{100 * 1.01**i},{3 + i}\n" for i, m in enumerate(MONTHS))
        + ",,\n"  # FRED's own files end so
    )
    made = SeriesSpec(source="fred.csv", **spec)
    return load_series({"x": made}, folder)["x"]


def test_the_transform_row_is_applied_and_is_no_data(tmp_path: Path) -> None:
    series = fred(tmp_path, column="INDPRO", kind="return")
    assert list(series.values.index) == list(MONTHS[1:])
    np.testing.assert_allclose(series.values, np.log(1.01), rtol=1e-9)


def test_the_transform_can_be_left_out_and_may_not_turn_levels_into_changes(tmp_path: Path) -> None:
    level = fred(tmp_path, column="TB3MS", kind="yield", transform=False)
    assert level.values.tolist() == [3.0 + i for i in range(48)]
    with pytest.raises(InputRefused, match="makes changes of the series"):
        fred(tmp_path, column="TB3MS", kind="yield")


@pytest.mark.parametrize("source", ARCH)
def test_what_arch_carries_has_dates_in_order(source: str) -> None:
    dates = read(source, None)["date"]
    assert dates.is_monotonic_increasing
    assert dates.is_unique
    assert dates.iloc[-1].year == 2018
    assert dates.iloc[0].year == {"frenchdata": 1926, "default": 1919, "core_cpi": 1957}.get(
        source.removeprefix("arch:"), 1999
    )


def test_several_columns_are_summed() -> None:
    spec = {"source": "arch:frenchdata", "kind": "return", "scale": 0.01}
    found = load_series(
        {name: SeriesSpec(column=column, **spec) for name, column in
         {"total": ("Mkt-RF", "RF"), "excess": "Mkt-RF", "bill": "RF"}.items()},
        None,
    )  # fmt: skip
    total, excess, bill = (found[name].values for name in ("total", "excess", "bill"))
    np.testing.assert_allclose(total, excess + bill, rtol=1e-12)
    assert total.index[0] == pd.Period("1926-07", "M")
    assert total.iloc[0] == pytest.approx(0.0318)


# ---- the real files


FILES = {
    "shiller_monthly.csv": ("SP500", {}, "1871-01", "2023-12", 1836),
    "sp500_daily.csv": ("close", {"frequency": "daily"}, "1927-12-30", "2023-12-29", 24115),
    "vix_daily.csv": ("CLOSE", {"frequency": "daily"}, "1990-01-02", "2023-12-29", 8574),
    "fred_md.csv": ("TB3MS", {"transform": False, "kind": "yield"}, "1959-01", "2023-12", 780),
    "us_10y_monthly.csv": ("Rate", {"kind": "yield"}, "1953-04", "2023-12", 849),
    "cpi_us_monthly.csv": ("Index", {"kind": "index"}, "1913-01", "2023-12", 1332),
}


@pytest.mark.parametrize("name", FILES)
def test_real_files_are_read_whole(name: str, shared_data: Path) -> None:
    column, spec, first, last, count = FILES[name]
    made = SeriesSpec(**{**PLAIN, "source": name, "column": column, **spec})
    series = load_series({"x": made}, shared_data / "market", gap_days=14)["x"]
    index = series.values.index
    assert (str(index[0])[:10], str(index[-1])[:10], len(index)) == (first, last, count)


def test_shillers_zeros_are_refused_until_they_are_declared_missing(shared_data: Path) -> None:
    spec = {"source": "shiller_monthly.csv", "column": "Consumer Price Index", "kind": "index"}
    with pytest.raises(InputRefused, match="is 0, which no index") as refused:
        load_series({"cpi": SeriesSpec(**spec)}, shared_data / "market")
    assert "zero_is_missing" in refused.value.do
    found = load_series({"cpi": SeriesSpec(**spec, zero_is_missing=True)}, shared_data / "market")
    assert found["cpi"].values.index[-1] == pd.Period("2023-09", "M")
