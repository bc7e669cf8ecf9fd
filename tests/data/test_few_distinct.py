"""Few distinct rows: whole units make parts of other sizes than were planned; that is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskwright.case.usecase import UseCase
from riskwright.data import splits
from riskwright.data.contract import Contract, target_of
from riskwright.data.ingest import ingest
from riskwright.errors import InputRefused
from riskwright.home import Home

Make = Callable[..., Any]


def few(make_rows: Make, combinations: int, n: int = 2000, skew: float = 0.0) -> pd.DataFrame:
    """Rows of so many different feature combinations; the first ones are the commonest by skew."""
    rng = np.random.default_rng(5)
    weights = 1 / np.arange(1, combinations + 1) ** skew
    which = rng.choice(combinations, n, p=weights / weights.sum())
    raw = make_rows(n)
    return raw.assign(
        AGE=pd.Series(20 + which, index=raw.index).astype("str"), LIMIT="1", EDU="1", NOTE="0"
    )


def canonical(usecase: UseCase, raw: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    frame = Contract(usecase, "train").apply(raw).accepted
    return frame, target_of(usecase, frame)


def test_the_share_that_was_got_is_told_and_a_great_difference_is_a_note(
    make_usecase: Make, make_rows: Make, home: Home, tmp_path: Path
) -> None:
    for name, raw, notes in (
        ("many", make_rows(2000), 0),
        ("few", few(make_rows, 12), 1),
    ):
        path = tmp_path / f"{name}.csv"
        raw.to_csv(path, index=False)
        found = ingest(make_usecase(id=None, split={"folds": 3}), str(path), home)
        sizes = found.report["parts"]
        assert sizes["planned"] == 0.2
        assert sizes["test_rows"] + sizes["train_rows"] == 2000
        assert sizes["share"] == pytest.approx(sizes["test_rows"] / 2000)
        assert len(sizes["folds"]) == 3
        assert sum(sizes["folds"]) == sizes["train_rows"]
        said = [w for w in found.warnings if "test part" in w and "split.test_share" in w]
        assert len(said) == notes
        if notes:
            assert abs(sizes["share"] - 0.2) > 0.05
            assert f"{sizes['test_rows']:,} of 2,000 rows ({sizes['share']:.1%})" in said[0]
            assert "12 units" in said[0]


@pytest.mark.parametrize(("share", "words"), [(0.0, "nearly empty"), (0.95, "nearly all")])
def test_a_part_that_is_nearly_empty_is_refused(
    make_usecase: Make, make_rows: Make, share: float, words: str
) -> None:
    """One combination holds nearly all rows: wherever it goes, a part is left with hardly any."""
    raw = few(make_rows, 40, n=6000, skew=6.0)
    tried = [make_usecase(id=None, split={"folds": 2, "key": f"k{i}"}) for i in range(40)]
    frame, y = canonical(tried[0], raw)
    for usecase in tried:
        mask = splits.test_mask(usecase, frame)
        if abs(mask.mean() - share) < 0.05:
            with pytest.raises(InputRefused, match=words) as refused:
                splits.check_enough(usecase, y, mask)
            assert "split.key" in refused.value.do
            return
    pytest.fail("no key gave such a part")


def test_large_units_are_dealt_to_the_folds_largest_first(
    make_usecase: Make, make_rows: Make
) -> None:
    usecase = make_usecase(id=None, split={"folds": 4})
    frame, y = canonical(usecase, few(make_rows, 30, skew=1.0))
    parts = splits.folds(usecase, frame, y)
    sizes = np.array([len(v) for _, v in parts])
    assert sizes.sum() == 2000
    assert sizes.max() / sizes.min() < 1.35  # the largest unit alone is a quarter of the rows
    for _, validation in parts:
        assert not set(frame["AGE"].iloc[validation]) & set(
            np.delete(frame["AGE"].to_numpy(), validation)
        )
    order = np.random.default_rng(1).permutation(2000)
    moved = splits.folds(usecase, frame.iloc[order], y[order])
    for (_, one), (_, other) in zip(parts, moved, strict=True):
        assert set(frame.index[one]) == set(frame.iloc[order].index[other])
