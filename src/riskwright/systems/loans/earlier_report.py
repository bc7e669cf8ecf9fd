"""What a report on a book leaves for the next one, which says what moved since."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from riskwright.store.writer import write_json

EDGES = (0.0, 0.01, 0.02, 0.05, 0.10, 0.20, 1.0)  # of the bands of the PD within a year


@dataclass(frozen=True)
class Report:
    """What a report leaves for the next one: its day, of what, segments, and each loan's band."""

    day: str
    of: str
    segments: pd.DataFrame
    bands: pd.Series


def bands_of(loans: pd.DataFrame) -> pd.Series:
    """The band of each loan's PD, by id."""
    labels = [f"to {100 * edge:g} %" for edge in EDGES[1:]]
    bands = pd.cut(loans["pd"], EDGES, labels=labels, include_lowest=True).astype("str")
    return pd.Series(bands.to_numpy(), index=loans["id"].astype("str").to_numpy(), name="band")


def last_report(place: Path, as_of: pd.Timestamp) -> Report | None:
    """The latest report before a date."""
    earlier = [p for p in sorted(place.glob("*.json")) if p.stem < f"{as_of:%Y-%m-%d}"]
    if not earlier:
        return None
    plain = json.loads(earlier[-1].read_text(encoding="utf-8"))
    return Report(
        earlier[-1].stem,
        plain["of"],
        pd.DataFrame.from_dict(plain["segments"], orient="index"),
        pd.Series(plain["bands"], dtype="str"),
    )


def remember(place: Path, report: Report) -> None:
    """Keep a report for the next one."""
    plain = {
        "of": report.of,
        "segments": report.segments.to_dict("index"),
        "bands": report.bands.to_dict(),
    }
    write_json(place / f"{report.day}.json", plain, indent=None)
