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
from riskwright.systems.market.case import MarketCase, parse_market_case
from riskwright.systems.market.files import read

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
    trained: dict[str, Any]

    @property
    def ledger(self) -> Ledger:
        """The home's ledger."""
        return Ledger.open(self.home)


def make_market(root: Path, *, planted: bool = False, **changes: Any) -> LiveMarket:
    """Retrain the case on data to 2010 in a fresh home, as the flow does, without Prefect."""
    home = Home(root / "home").create()
    plain = market_plain(**changes)
    path = home.folder("usecases") / f"{plain['name']}.yaml"
    path.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    folder = write_series(root / "data", series(planted=planted, end="2010-12"))
    case = market_case(**changes)
    return LiveMarket(home, case, folder, train_market(home, case, folder))


def train_market(
    home: Home, case: MarketCase, folder: Path, *, seed: int = 0, actor: str = "trainer"
) -> dict[str, Any]:
    """The steps of the retrain flow, called one after the other."""
    from riskwright.life.submission import submit
    from riskwright.life.tracking import Tracker
    from riskwright.systems.market.evidence import gather, planned
    from riskwright.systems.market.ingest import ingest, panel_of
    from riskwright.systems.market.life import MarketSubmission
    from riskwright.systems.market.record import declare, record, tried_before
    from riskwright.systems.market.steps import join_models, walk_key, walk_model

    ledger = Ledger.open(home, create=True)
    data = ingest(case, folder, home).snapshot.hash
    key = walk_key(case, data, seed)
    place = home.folder("work", case.name, key[:16])
    walks = [
        walk_model(case, home, data=data, model=m, seed=seed, folder=place / f"walk_{m}")
        for m in case.models
    ]
    declare(case, home, key=key, log=planned(case, panel_of(case, data, home), seed))
    joined = join_models(case, home, data=data, walks=walks, seed=seed, folder=place / "joined")
    ledger.count_reading(data, case.name, "evaluate", key)
    evidence = gather(
        case,
        home,
        data=data,
        walks=walks,
        joined=joined,
        tried=tried_before(home, case),
        seed=seed,
        folder=place / "evidence",
    )
    trained = {"data": {"clean": data}, "walks": walks, "joined": joined, "evidence": evidence}
    run = record(case, home, ledger, key=key, trained=trained, owner="tests:1")
    submission = MarketSubmission(
        case=case,
        home=home,
        ledger=ledger,
        tracker=Tracker(home, case, key),
        run_id=run,
        series=data,
        joined=joined,
        evidence=evidence,
        folder=place,
        seed=seed,
        actor=actor,
        data=str(folder),
    )
    done = submit(submission)
    return {**trained, "key": key, "run": run, "submission": submission, "done": done}
