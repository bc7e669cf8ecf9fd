"""The description beside the fits: a page, or a sentence; never the end of a retrain."""

from __future__ import annotations

from pathlib import Path

import pytest

from riskwright.systems.credit.quality_report import quality_report_beside


@pytest.mark.parametrize(
    ("usecase", "clean", "told"),
    [
        ("credit_assessment", "0" * 64, "there is no snapshot"),
        ("no_such_case", "0" * 64, "no use case is called"),
    ],
)
def test_what_fails_is_told(
    usecase: str, clean: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISKWRIGHT_HOME", str(tmp_path / "home"))
    said = quality_report_beside(usecase, clean)
    assert said.startswith("no data-quality report: ")
    assert told in said
