"""The yardstick's logistic regression on German Credit, refitted, has the published metrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from riskwright.stats.metrics import evaluate


def test_german_logistic(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "german_credit" / "german.data", sep=" ", header=None)
    y = (table.pop(20) == 2).to_numpy().astype(int)
    rs = np.random.RandomState(20261122)
    test = np.zeros(len(y), dtype=bool)
    for value in (0, 1):
        order = rs.permutation(np.flatnonzero(y == value))
        test[order[: round(0.2 * len(order))]] = True
    table.columns = table.columns.map(str)
    text = [name for name in table if table[name].dtype == "str"]
    encode = make_column_transformer(
        (OneHotEncoder(min_frequency=10, handle_unknown="ignore", sparse_output=False), text),
        remainder="passthrough",
    )
    model = make_pipeline(encode, StandardScaler(), LogisticRegression(C=1, max_iter=2000))
    p = model.fit(table[~test], y[~test]).predict_proba(table[test])[:, 1]
    found = evaluate(y[test], p, cutoff=0.5, n_boot=20)
    published = {
        "roc_auc": 0.7698,
        "ks": 0.429,
        "pr_auc": 0.615,
        "brier": 0.17150,
        "log_loss": 0.5181,
        "ece": 0.0681,
    }
    assert {k: found[k].value for k in published} == pytest.approx(published, abs=6e-4)
    se = (found["roc_auc"].high - found["roc_auc"].low) / (2 * 1.959964)
    assert se == pytest.approx(0.0358, abs=6e-5)
    # The yardstick's 0.0966 is of PDs of a model that it doesn't name.
    assert found["ece_calibrated_p95"].value == pytest.approx(0.0966, rel=0.1)
