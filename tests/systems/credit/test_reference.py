"""The reference: what it keeps, and that it survives Parquet and the snapshot store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskwright.data.contract import Contract
from riskwright.errors import IntegrityError
from riskwright.home import Home
from riskwright.store import snapshots
from riskwright.systems.credit import reference as module
from riskwright.systems.credit.drift import check_columns
from riskwright.systems.credit.reference import Reference, make_reference


def test_it_keeps_what_is_watched_and_no_identity(reference: Reference) -> None:
    assert list(reference.frame) == [
        "LIMIT", "PAID", "AGE", "LATE", "INCOME", "EDU", "SEX", "WHEN", "NOTE",
    ]  # fmt: skip
    assert reference.missing["INCOME"] == pytest.approx(0.05, abs=0.02)
    assert reference.missing["NOTE"] == 1.0
    assert len(reference) == len(reference.pd) == len(reference.y) == 3_000


def test_it_survives_the_snapshot_store(
    usecase: Any, reference: Reference, home: Home, draw: Any
) -> None:
    stored = snapshots.write(reference.to_frame(), home, kind="reference")
    again = Reference.from_frame(snapshots.read(stored.hash, home))
    pd.testing.assert_frame_equal(again.frame, reference.frame, check_dtype=False)
    np.testing.assert_array_equal(again.pd, reference.pd)
    np.testing.assert_array_equal(again.y, reference.y)
    assert again.version == "1"
    now = Contract(usecase, "monitor").apply(draw(500, 8).raw).accepted
    assert check_columns(usecase, again, now) == check_columns(usecase, reference, now)


def test_a_large_test_part_is_sampled_row_by_row(
    usecase: Any, draw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 100)
    frame = Contract(usecase, "monitor").apply(draw(400, 9).raw).accepted
    pds, y = frame["AGE"].to_numpy() / 100, (frame["SEX"] == "1").to_numpy()
    small = Reference.build(usecase, frame, pds, y)
    assert len(small) == 100
    np.testing.assert_array_equal(small.pd, small.frame["AGE"].to_numpy() / 100)
    np.testing.assert_array_equal(small.y, (small.frame["SEX"] == "1").to_numpy())
    same = Reference.build(usecase, frame, pds, y)
    pd.testing.assert_frame_equal(small.frame, same.frame)


def test_another_table_is_refused(reference: Reference) -> None:
    with pytest.raises(IntegrityError, match="not a monitor's reference"):
        Reference.from_frame(reference.frame)
    with pytest.raises(IntegrityError, match="not a monitor's reference"):
        Reference.from_frame(reference.to_frame()[:0])


def test_make_reference_takes_the_chosen_pds(
    usecase: Any, home: Home, draw: Any, tmp_path: Path
) -> None:
    drawn = draw(300, 10)
    frame = Contract(usecase, "monitor").apply(drawn.raw).accepted
    test = snapshots.write(frame, home, kind="test")
    told = pd.DataFrame(
        {"y": drawn.y.astype("int8"), "ensemble": np.linspace(0, 1, 300), "baseline": 0.5}
    )
    told.to_parquet(tmp_path / "predictions.parquet")
    stored = make_reference(usecase, home, test=test.hash, folder=tmp_path, kind="ensemble")
    again = Reference.from_frame(snapshots.read(stored, home))
    np.testing.assert_array_equal(again.pd, told["ensemble"])
    np.testing.assert_array_equal(again.y, drawn.y)
    assert again.version == "ensemble"
    told[:-1].to_parquet(tmp_path / "predictions.parquet")
    with pytest.raises(IntegrityError, match="don't belong"):
        make_reference(usecase, home, test=test.hash, folder=tmp_path, kind="ensemble")
