"""A market forecast that retrains in seconds, from a file that tests may cut, bend and break.

The months are real (what ``arch`` carries); with ``planted`` the market's returns are drawn anew,
and follow the default spread of the month before.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright.life.retrain import Retrained, retrain
from riskwright.life.steps import Work
from riskwright.systems.market.case import MarketCase, parse_market_case
from riskwright.systems.market.files import read
from riskwright.systems.market.life import MarketSubmission
from riskwright.systems.market.records import Joined, MarketEvidence
from riskwright.systems.market.system import SYSTEM

FILE = "series.csv"


def series(*, planted: bool = False, end: str = "2018-12") -> pd.DataFrame:
    """Return months as rows: DATE, MKT and RF (percent), AAA and BAA (percent), CPI."""
    french = read("arch:frenchdata", None).set_index("date")
    yields = read("arch:default", None).set_index("date")[["AAA", "BAA"]]
    prices = read("arch:core_cpi", None).set_index("date")["CPILFESL"]
    frame = french[["Mkt-RF", "RF"]].join(yields).join(prices).rename_axis("DATE").reset_index()
    frame.columns = ["DATE", "MKT", "RF", "AAA", "BAA", "CPI"]
    if planted:
        spread = (frame["BAA"] - frame["AAA"]).shift(1).bfill()
        drawn = np.random.default_rng(7).normal(0.5, 2.0, len(frame))
        frame["MKT"] = (drawn + 3.0 * (spread - spread.mean())).round(2)
    frame = frame[frame["DATE"] <= f"{end}-28"]
    return frame.assign(DATE=frame["DATE"].dt.strftime("%Y-%m-01"))


def write_series(folder: Path, frame: pd.DataFrame) -> Path:
    """Write the file of the case into a folder, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_csv(folder / FILE, index=False)
    return folder


def market_plain(**changes: Any) -> dict[str, Any]:
    """The case: three quick families, forecasts from 1976 on."""

    def from_file(column: Any, kind: str, **more: Any) -> dict[str, Any]:
        scale = {} if kind == "index" else {"scale": 0.01}
        known = {"lag": "0m", "revisions": "none"}
        return {"source": FILE, "column": column, "kind": kind, **scale, **known, **more}

    late = {"lag": "1m", "published_late": True, "revisions": "revised"}
    plain: dict[str, Any] = {
        "name": "tiny_market",
        "title": "Tiny market",
        "question": "What next?",
        "series": {
            "returns": from_file(["MKT", "RF"], "return"),
            "bill_rate": from_file("RF", "return"),
            "aaa": from_file("AAA", "yield"),
            "baa": from_file("BAA", "yield"),
            "cpi": from_file("CPI", "index", **late),
        },
        "predictors": {
            "default_spread": "increasing",
            "aaa_yield": "decreasing",
            "inflation": "decreasing",
            "momentum": None,
        },
        "steps": 0,
        "walk": {"min_train": 480},
        "families": ["mean", "combination_ct", "ridge"],
        "gates": {"as_of_dates": 2},
        "approval": {"policy": "automatic"},
    }
    return plain | changes


def market_case(**changes: Any) -> MarketCase:
    """Return the case, parsed."""
    return parse_market_case(yaml.safe_dump(market_plain(**changes)), where="tests")


@dataclass(frozen=True)
class LiveMarket:
    """A home in which the case was retrained, where its file lies, and what the steps returned."""

    home: Home
    case: MarketCase
    folder: Path
    trained: Retrained

    @property
    def ledger(self) -> Ledger:
        """The home's ledger."""
        return Ledger.open(self.home)

    @property
    def joined(self) -> Joined:
        """The forecasts that the retrain kept."""
        return self.trained.made.one(Joined)

    @property
    def evidence(self) -> MarketEvidence:
        """What it gathered."""
        return self.trained.made.one(MarketEvidence)

    @property
    def submission(self) -> MarketSubmission:
        """What it handed to the registry."""
        key = self.trained.key
        place = self.home.folder("work", self.case.name, key[:16])
        where = str(self.folder)
        work = Work(self.case, self.home, self.ledger, key, place, location=where, actor="trainer")
        found = SYSTEM.submission(work, str(self.trained.run_id), self.trained.made)
        assert isinstance(found, MarketSubmission)
        return found


def make_market(root: Path, *, planted: bool = False, **changes: Any) -> LiveMarket:
    """Retrain the case on data to 2010 in a fresh home, as the flow does, without Prefect."""
    home = Home(root / "home").create()
    plain = market_plain(**changes)
    path = home.folder("usecases") / f"{plain['name']}.yaml"
    path.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    folder = write_series(root / "data", series(planted=planted, end="2010-12"))
    case = market_case(**changes)
    return LiveMarket(home, case, folder, train_market(home, case, folder))


def train_market(home: Home, case: MarketCase, folder: Path, *, seed: int = 0) -> Retrained:
    """A retrain without Prefect."""
    ledger = Ledger.open(home, create=True)
    return retrain(case, home, ledger, data=str(folder), seed=seed, actor="trainer")
