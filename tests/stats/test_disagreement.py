from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from riskwright.errors import InputRefused
from riskwright.stats.disagreement import error_by_band


def test_bands_hold_every_row_and_their_errors() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.02, 0.98, 503)
    y = (rng.random(503) < p).astype(int)
    spread = rng.random(503)
    table = error_by_band(y, p, spread)
    assert table["n"].tolist() == [101, 101, 101, 100, 100]
    assert (
        table["disagreement_to"].iloc[:-1].values <= table["disagreement_from"][1:].values
    ).all()
    worst = np.argsort(spread)[-100:]
    last = table.iloc[-1]
    assert last["bad_rate"] == pytest.approx(y[worst].mean())
    assert last["mean_pd"] == pytest.approx(p[worst].mean())
    assert last["brier"] == pytest.approx(brier_score_loss(y[worst], p[worst]))
    assert last["log_loss"] == pytest.approx(log_loss(y[worst], p[worst]))
    for name in ("bad_rate", "brier", "log_loss"):
        assert table[name].between(table[f"{name}_low"], table[f"{name}_high"]).all()


def test_excess_loss_shows_where_disagreement_means_error() -> None:
    rng = np.random.default_rng(1)
    margin = rng.normal(-1, 1, 20_000)
    y = rng.random(20_000) < 1 / (1 + np.exp(-margin))
    spread = rng.uniform(0, 2, 20_000)
    p = 1 / (1 + np.exp(-(margin + spread * rng.normal(size=20_000))))
    table = error_by_band(y, p, spread)
    excess = table["log_loss"] - table["expected_log_loss"]
    assert excess.is_monotonic_increasing
    assert excess.iloc[0] < 0.05
    assert excess.iloc[-1] > 0.2


def test_no_disagreement_is_one_band() -> None:
    table = error_by_band([0, 1, 0], [0.1, 0.2, 0.3], [0.0] * 3)
    assert table["n"].tolist() == [3]


def test_missing_disagreement_is_refused() -> None:
    for spread in ([0.1, np.nan], [0.1]):
        with pytest.raises(InputRefused):
            error_by_band([0, 1], [0.1, 0.2], spread)
