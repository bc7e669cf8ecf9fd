"""What training never saw is counted, and said on the row and of the batch."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from riskwright.case.usecase import Feature, FeatureSchema
from riskwright.data import novel

SCHEMA = FeatureSchema(
    (
        Feature("income", "number", "income", sentinels=((-1.0, "refused"),)),
        Feature("late", "number", "late"),
        Feature("home", "category", "home", values=(("own", "owns"), ("rent", "rents"))),
    )
)
TRAINING = pd.DataFrame(
    {"income": [1.0, 2.0], "late": [0.0, np.nan], "home": pd.array(["own", "own"], dtype="str")}
)
LATER = pd.DataFrame(
    {
        "income": [1.0, np.nan, -1.0, np.inf],
        "late": [np.nan] * 4,
        "home": pd.array(["own", "own", "rent", None], dtype="str"),
    },
    index=[5, 6, 7, 8],
)


def test_what_training_never_saw() -> None:
    seen = novel.seen_in(SCHEMA, TRAINING)
    assert seen == {
        "complete": ["income", "home"],
        "absent": {"income": ["-1"], "home": ["rent"]},
    }
    said = novel.row_notes(seen, LATER)
    assert said.index.tolist() == [5, 6, 7, 8]
    assert said.tolist() == [
        "",
        "income missing: never so in training",
        "income = -1: never so in training; home = rent: never so in training",
        "income missing: never so in training; home missing: never so in training",
    ]
    counts: Counter[tuple[str, str | None]] = Counter()
    for chunk in (LATER[:2], LATER[2:]):
        novel.count(seen, chunk, counts)
    assert novel.notes(counts) == [
        "2 rows lack income, which was never missing in training: scored at its neutral place",
        "1 row lacks home, which was never missing in training: scored at its neutral place",
        "1 row has income = -1, which no training row had: scored at its neutral place",
        "1 row has home = rent, which no training row had: scored at its neutral place",
    ]


def test_a_version_trained_before_there_were_notes_has_none() -> None:
    assert not novel.row_notes({}, LATER).any()
