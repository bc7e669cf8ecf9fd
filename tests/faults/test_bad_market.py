"""What bad market data get: docs/reference/market.md, line by line, through the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from tiny_market import market_plain, series, write_series

from riskwright.home import Home
from riskwright_flows.cli import app

TABLE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "market.md"
NAME = "tiny_market"
Change = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Fault:
    """A line of the table, how to bring it about, and a word of the answer."""

    line: str
    told: str
    data: Change = lambda frame: frame
    case: dict[str, Any] = field(default_factory=dict)
    spec: dict[str, dict[str, Any]] = field(default_factory=dict)


def swapped(frame: pd.DataFrame) -> pd.DataFrame:
    rows = np.arange(len(frame))
    rows[[300, 301]] = rows[[301, 300]]
    return frame.iloc[rows]


def cell(column: str, row: int, value: object) -> Change:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.astype({column: "object"})
        frame.loc[frame.index[row], column] = value
        return frame

    return change


def blank(column: str, last: int) -> Change:
    return lambda f: f.assign(**{column: f[column].where(f.index < len(f) - last)})


PRICED = {  # the market by a monthly average and dividends, instead of returns
    **{name: spec for name, spec in market_plain()["series"].items() if name != "returns"},
    "price": {
        "kind": "price_average",
        "source": "series.csv",
        "column": "CPI",
        "lag": "0m",
        "revisions": "none",
    },
    "dividend": {
        "kind": "flow",
        "source": "series.csv",
        "column": "AAA",
        "lag": "0m",
        "revisions": "none",
    },
}
FAULTS = [
    Fault("dates out of order, or twice", "out of order", swapped),
    Fault(
        "a monthly file not stamped where the case says, or daily", "isn't stamped at the start",
        lambda f: f.assign(DATE=f["DATE"].str[:-2] + "20"),
    ),
    Fault("a gap longer than tolerated", "a gap of 3 missing months",
          lambda f: f.drop(f.index[500:503])),
    Fault(
        "a price of zero or below", "which no index can be", cell("CPI", -40, 0),
    ),
    Fault(
        "a price that jumps by more than `limits.jump` times", "times what it was just before",
        cell("MKT", 700, 400.0),
    ),
    Fault(
        "dividends that can't be a year's, without `per`", "doesn't look like sums over a year",
        lambda f: f.assign(AAA=f["CPI"] * 0.0075),
        case={
            "series": {k: v for k, v in PRICED.items() if k not in ("aaa", "baa")},
            "models": {"m1": {"horizon": 1, "skip": 1}},
            "predictors": {"log_dp": "increasing", "inflation": None},
            "context": [],
        },
    ),
    Fault("a cell that is no number or no date", "which is no number", cell("AAA", 400, "n/a!")),
    Fault(
        "a series that spans fewer months than `walk.min_train`", "spans 30.0 years",
        lambda f: f.tail(360),
    ),
    Fault(
        "a series that ends before the as-of date", "ends before the as-of date",
        blank("BAA", 6),
    ),
    Fault(
        "a horizon that the data can't hold", "can't hold",
        case={"models": {"m120": {"horizon": 120}}, "walk": {"min_train": 720}},
    ),
    Fault(
        "fewer than 96 forecasts with an outcome (or four horizons)",
        "of its forecasts have an outcome",
        case={"walk": {"min_train": 480, "first": "2016-01"}},
    ),
    Fault(
        "an unknown series, column, file, predictor or key", "did you mean 'bill_rate'",
        case={"predictors": {"bil_rate": None}},
    ),
    Fault(
        "a lag of 0 on a series that declares one", "its lag is 0",
        spec={"cpi": {"lag": "0m"}},
    ),
    Fault("FRED-MD's transform on a series declared as a level", "the file's transform (code 5)",
          lambda f: pd.concat([
              pd.DataFrame([["Transform:", 1, 1, 1, 1, 5]], columns=f.columns), f
          ])),
    Fault(
        "a monthly average without a skipped month", "skips at least one month",
        case={"series": PRICED},
    ),
    Fault(
        "a case without the ensemble's anchor", "the family 'combination_ct' is missing",
        case={"families": ["mean", "ridge"]},
    ),
    Fault(
        "a family of sequences where `steps` is 0", "the panel has no sequences",
        case={"families": ["mean", "combination_ct", "gru"]},
    ),
]  # fmt: skip


def retrain(home: Home, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        app(["retrain", NAME, "--data", str(folder)])
    told = capsys.readouterr()
    assert "Traceback" not in told.out + told.err
    return int(ended.value.code or 0), told.out + told.err


@pytest.mark.parametrize("fault", FAULTS, ids=[f.line for f in FAULTS])
def test_a_fault_is_refused_before_anything_is_kept(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: Fault
) -> None:
    plain = market_plain(**fault.case)
    for name, more in fault.spec.items():
        plain["series"][name] = plain["series"][name] | more
    (home.folder("usecases") / f"{NAME}.yaml").write_text(yaml.safe_dump(plain))
    folder = write_series(tmp_path / "data", fault.data(series()))
    code, told = retrain(home, folder, capsys)
    assert code == 2, told
    assert fault.told in " ".join(told.split())
    assert not (home.root / "snapshots").exists()
    assert not (home.root / "work").exists()


def test_the_table_names_these_faults_and_no_others() -> None:
    text = TABLE.read_text(encoding="utf-8")
    part = text[text.index("## What bad data get") :]
    part = part[: part.index("\n## ", 5)]
    rows = [line.split("|")[1].strip() for line in part.splitlines() if line.startswith("|")]
    assert rows[2:] == [f.line for f in FAULTS]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: pd.concat([f, f.tail(1)]), "two rows for 2018-11"),
        (cell("DATE", 400, "soon"), "is no date"),
        (lambda f: f.drop(columns="AAA"), "no column 'AAA'"),
        (cell("CPI", -40, -1), "which no index can be"),
    ],
)
def test_the_other_halves_of_some_lines(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Change, words: str
) -> None:
    (home.folder("usecases") / f"{NAME}.yaml").write_text(yaml.safe_dump(market_plain()))
    folder = write_series(tmp_path / "data", change(series()))
    code, told = retrain(home, folder, capsys)
    assert code == 2, told
    assert words in " ".join(told.split())


def test_a_folder_or_file_that_is_not_there(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home.folder("usecases") / f"{NAME}.yaml").write_text(yaml.safe_dump(market_plain()))
    assert retrain(home, tmp_path / "nowhere", capsys)[0] == 2
    (tmp_path / "empty").mkdir()
    code, told = retrain(home, tmp_path / "empty", capsys)
    assert code == 2
    assert "the file of a series doesn't exist" in told
