"""ANCHORS' univariate table, met by the panel: the proof that data, lags and purge are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from riskwright.systems.market.case import load_market_case
from riskwright.systems.market.case_sections import Target
from riskwright.systems.market.panel import Panel, build_panel

# Out-of-sample R2 in %, MAE, hit rate: shiller_real_12m (690 rows) and shiller_real_1m (701).
TABLE = {
    "m12": {
        "mean": (0.0, 0.1275, 0.710),
        "log_dp": (-8.05, 0.1414, 0.596),
        "log_ep": (-3.94, 0.1359, 0.646),
        "log_cape_yield": (-5.36, 0.1378, 0.672),
        "long_rate": (-6.99, 0.1302, 0.668),
        "inflation": (1.91, 0.1268, 0.710),
        "momentum": (0.48, 0.1256, 0.712),
        "log_de": (-0.24, 0.1287, 0.710),
        "real_rate_gap": (4.04, 0.1284, 0.710),
        "combination": (4.08, 0.1282, 0.710),
        "combination_ct": (4.54, 0.1275, 0.710),
    },
    "m1": {
        "mean": (0.0, 0.0267, 0.596),
        "log_dp": (-0.40, 0.0271, 0.569),
        "log_ep": (-0.39, 0.0269, 0.592),
        "log_cape_yield": (-0.61, 0.0271, 0.582),
        "long_rate": (-0.72, 0.0268, 0.588),
        "inflation": (0.72, 0.0266, 0.579),
        "momentum": (-0.14, 0.0267, 0.596),
        "log_de": (0.15, 0.0267, 0.596),
        "real_rate_gap": (0.75, 0.0267, 0.596),
        "combination": (0.55, 0.0267, 0.596),
        "combination_ct": (0.66, 0.0267, 0.596),
    },
}
RMSE = {"m12": 0.1653, "m1": 0.0363}
ROWS = {"m12": 690, "m1": 701}


def forecasts(panel: Panel, model: str) -> pd.DataFrame:
    """Each predictor's line, learnt at each origin from what was known then, by running sums."""
    y, known = panel.targets[model], panel.known_at[model]
    origins = pd.period_range("1964-12", y.last_valid_index(), freq="M")

    def sums(values: pd.Series) -> pd.Series:
        return pd.Series(values.fillna(0).cumsum().to_numpy(), known).reindex(origins)

    mean = sums(y) / sums(y.notna())
    found, restricted = {"mean": mean}, []
    for name, x in panel.X.items():
        both = x.notna() & y.notna()
        x0, y0 = x.where(both), y.where(both)
        n, sx, sy = sums(both), sums(x0), sums(y0)
        slope = (sums(x0 * y0) - sx * sy / n) / (sums(x0**2) - sx**2 / n)
        found[name] = sy / n + slope * (x.reindex(origins) - sx / n)
        wrong = slope * panel.signs[name] < 0
        restricted.append(found[name].mask(wrong, mean).clip(lower=0))
    lines = list(found.values())[1:]
    found["combination"] = sum(lines) / len(lines)
    found["combination_ct"] = sum(restricted) / len(restricted)
    return pd.DataFrame(found).assign(actual=y)


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "market"


@pytest.mark.parametrize("model", ["m12", "m1"])
def test_the_panel_meets_the_yardstick_to_the_last_decimal(model: str, folder: Path) -> None:
    case = load_market_case("market_return_shiller")
    over = case.model_copy(update={"target": Target(kind="real_total", known="over")})
    table = forecasts(build_panel(over, folder), model)
    actual = table.pop("actual")
    error = table.rsub(actual, axis=0)
    assert len(table) == ROWS[model]
    assert np.sqrt((error["mean"] ** 2).mean()) == pytest.approx(RMSE[model], abs=5.1e-5)
    skill = 100 * (1 - (error**2).sum() / (error["mean"] ** 2).sum())
    hits = (table.gt(0)).eq(actual.gt(0), axis=0).mean()
    for name, (r2, mae, hit) in TABLE[model].items():
        assert skill[name] == pytest.approx(r2, abs=0.0051), name
        assert error[name].abs().mean() == pytest.approx(mae, abs=5.1e-5), name
        assert hits[name] == pytest.approx(hit, abs=5.1e-4), name


def test_waiting_for_publication_moves_the_yardstick_little(folder: Path) -> None:
    """As shipped, a return is learnt from when its dividends are out, three months later."""
    panel = build_panel(load_market_case("market_return_shiller"), folder)
    table = forecasts(panel, "m12")
    error = table.rsub(table.pop("actual"), axis=0)
    skill = 100 * (1 - (error**2).sum() / (error["mean"] ** 2).sum())
    assert skill["combination_ct"] == pytest.approx(4.54, abs=0.05)
    assert skill["log_dp"] == pytest.approx(-8.83, abs=0.01)
