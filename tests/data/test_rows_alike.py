"""Rows alike in all features with outcomes of both kinds are trained without an id as with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmarks.rows_alike import SHARE, judged, simulated

QUICK: dict[str, Any] = {"logistic": {}, "scorecard": {}}


@pytest.mark.slow
def test_pds_without_an_id_are_as_good_as_with_one(tmp_path: Path) -> None:
    """Named by their outcome, the folds told it, and every PD became one number (ECE 0.25)."""
    frame = simulated(2500)
    features = ["income", "age", "used", "late", "home"]
    alike = frame[frame.duplicated(features, keep=False)]
    pairs = alike.groupby(features)["bad"].agg(["min", "max"])
    assert (pairs["max"] - pairs["min"]).sum() >= 0.9 * SHARE * len(frame) / 2
    found = {
        named: judged(tmp_path / str(named), frame, named=named, families=QUICK)
        for named in (False, True)
    }
    for kind in ("baseline", "ensemble"):
        assert found[False][f"{kind} ECE"] < found[False][f"{kind} ECE limit"]
        assert found[False][f"{kind} greatest PD"] - found[False][f"{kind} least PD"] > 0.3
        gap = found[False][f"{kind} log loss"] - found[True][f"{kind} log loss"]
        assert abs(gap) < 0.06, "other rows are tested: two standard errors of 500"
