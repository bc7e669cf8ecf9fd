"""The description beside the fits: a page, or a sentence; never the end of a retrain."""

from __future__ import annotations

from riskwright.home import Home
from riskwright.systems.credit.case import load_usecase
from riskwright.systems.credit.quality_report import quality_report_beside


def test_what_fails_is_told(home: Home) -> None:
    said = quality_report_beside(load_usecase("credit_assessment"), "0" * 64)
    assert said.startswith("no data-quality report: ")
    assert "there is no snapshot" in said
