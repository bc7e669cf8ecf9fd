"""The bundle of a market forecast: what was judged answers, from its newest origin on, sealed."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_market import LiveMarket, market_case, series, write_series

from riskwright.errors import InputRefused, IntegrityError
from riskwright.life.bundles import open_bundle
from riskwright.systems.market import forecast_columns
from riskwright.systems.market.bundle import COLUMNS, ForecastBundle, State, served_table
from riskwright.systems.market.candidates import read_joined
from riskwright.systems.market.families import Family
from riskwright.systems.market.ingest import panel_of
from riskwright.systems.market.learnt import Fitted, Past
from riskwright.systems.market.model_forecasts import KINDS
from riskwright.systems.market.panel import Panel, build_panel
from riskwright.systems.market.tables import at

MODELS = ("m1", "m12")


@pytest.fixture(scope="module")
def trained(shared_market: LiveMarket) -> Panel:
    """The panel that the champion learnt from, to 2010."""
    return panel_of(shared_market.case, shared_market.trained.data.clean, shared_market.home)


@pytest.fixture(scope="module")
def later(shared_market: LiveMarket, tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """The same series to the end of 2012."""
    folder = tmp_path_factory.mktemp("later")
    write_series(folder, series(planted=True, end="2012-12"))
    return build_panel(shared_market.case, folder)


@pytest.fixture(scope="module")
def bundles(
    shared_market: LiveMarket, trained: Panel, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Path]:
    place, found = tmp_path_factory.mktemp("bundles"), {}
    for model in MODELS:
        for kind in KINDS:
            folder = place / f"{model}_{kind}"
            joined = shared_market.joined
            ForecastBundle.write(folder, shared_market.case, trained, model, kind, joined, 3, 0.5)
            found[model, kind] = folder
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", MODELS)
def test_the_newest_origin_is_forecast_as_the_walk_did(
    shared_market: LiveMarket,
    trained: Panel,
    bundles: dict[tuple[str, str], Path],
    model: str,
    kind: str,
) -> None:
    bundle = ForecastBundle.load(bundles[model, kind])
    found = bundle.forecast(trained)
    assert list(found.index) == [bundle.newest] == [trained.as_of]
    joined = shared_market.joined
    walked = at(read_joined(joined, model, f"answers_{kind}"), trained.as_of)
    np.testing.assert_allclose(
        found.iloc[0][forecast_columns.COLUMNS].astype(float),
        walked[forecast_columns.COLUMNS],
        rtol=0,
        atol=1e-15,
    )
    assert found["model_version"].item() == 3
    parts = bundle.reasons(trained)
    assert parts.sum(axis=1).item() == pytest.approx(
        found["forecast"].item() - found["mean"].item(), abs=1e-15
    )
    kept = at(read_joined(joined, model, "contributions"), trained.as_of)
    if kind == "ensemble":
        np.testing.assert_allclose(parts.iloc[0], kept, rtol=0, atol=1e-15)
        assert parts.iloc[0].abs().sum() > 0
    else:
        assert (parts == 0).all(axis=None)
        assert found["disagreement"].item() == 0
        assert found["weight"].item() == found["mean_weight"].item()


def test_from_then_on_it_forecasts_new_months_and_never_earlier_ones(
    trained: Panel, later: Panel, bundles: dict[tuple[str, str], Path]
) -> None:
    bundle = ForecastBundle.load(bundles["m12", "ensemble"])
    found = bundle.forecast(later)
    assert list(found.index) == list(pd.period_range("2010-12", "2012-12", freq="M"))
    # The first one is what was said without the later months.
    before = bundle.forecast(trained)
    pd.testing.assert_frame_equal(found.iloc[:1], before, check_freq=False)
    assert found["forecast"].nunique() > 12
    ordered = found[["low95", "low80", "forecast", "high80", "high95"]].to_numpy(dtype=float)
    assert (np.diff(ordered, axis=1) > 0).all()
    assert found["weight"].between(0, 1.5).all()
    assert found["p_above_cash"].between(0, 1).all()
    inside = found["forecast"].between(found["member_min"] - 1e-12, found["member_max"] + 1e-12)
    assert inside.all()
    early = build_early(trained)
    with pytest.raises(InputRefused, match="before the version's newest origin"):
        bundle.forecast(early)


def build_early(panel: Panel) -> Panel:
    return replace(
        panel,
        X=panel.X.iloc[:-3],
        context=panel.context.iloc[:-3],
        returns=panel.returns,
        as_of=panel.as_of - 3,
    )


def test_rows_of_predictors_give_the_same_as_the_panel(
    later: Panel, bundles: dict[tuple[str, str], Path]
) -> None:
    bundle = ForecastBundle.load(bundles["m1", "ensemble"])
    rows = served_table(later)
    assert list(rows) == bundle.inputs
    got = bundle.predict(rows)
    assert list(got) == COLUMNS
    assert len(got) == len(rows)
    wanted = bundle.forecast(later)
    history = len(rows) - len(wanted)
    # What is served is as far from the strategic weight as the test allows: half of the way here.
    assert got["rule_weight"].iloc[-1] == wanted["weight"].iloc[-1]
    assert got["weight"].iloc[-1] == pytest.approx(0.3 + wanted["weight"].iloc[-1] / 2, abs=1e-12)
    assert got["forecast"].iloc[:history].isna().all()
    np.testing.assert_array_equal(got["forecast"].iloc[history:], wanted["forecast"])
    np.testing.assert_array_equal(got["low80"].iloc[history:], wanted["low80"])
    # History before the newest origin adds nothing where no member reads sequences.
    short = bundle.predict(rows.iloc[history:])
    pd.testing.assert_frame_equal(short, got.iloc[history:].reset_index(drop=True))
    # Text, as a server gets it.
    np.testing.assert_allclose(
        bundle.predict(rows.astype("str"))["forecast"].iloc[history:], wanted["forecast"]
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.drop(columns="momentum"), "the column 'momentum' is missing"),
        (lambda f: f.rename(columns={"momentum": "momentun"}), "did you mean"),
        (lambda f: f.assign(momentum="high"), "a cell can't be read"),
        (lambda f: f.assign(origin="soon"), "a cell can't be read"),
        (lambda f: f.drop(index=f.index[-5]), "is followed by"),
        (lambda f: f.iloc[::-1], "is followed by"),
        (lambda f: f.iloc[-3:], "the rows begin with 2012-10"),
        (lambda f: f.iloc[:-40], "before the version's newest origin"),
        (lambda f: f.assign(change=f["change"].mask(f["origin"] > "2012")), "is missing"),
    ],
)
def test_rows_that_cant_be_forecast_are_refused(
    later: Panel, bundles: dict[tuple[str, str], Path], change: Any, words: str
) -> None:
    bundle = ForecastBundle.load(bundles["m1", "mean"])
    with pytest.raises(InputRefused) as refused:
        bundle.predict(change(served_table(later)))
    assert words in str(refused.value)


def test_a_flipped_byte_is_seen_before_anything_is_read(
    shared_market: LiveMarket, trained: Panel, tmp_path: Path
) -> None:
    folder, joined = tmp_path / "b", shared_market.joined
    digest = ForecastBundle.write(
        folder, shared_market.case, trained, "m1", "ensemble", joined, 1, 0.0
    )
    assert isinstance(open_bundle(folder), ForecastBundle)
    with pytest.raises(IntegrityError, match="its digest is"):
        ForecastBundle.load(folder, "0" * 64)
    assert ForecastBundle.load(folder, digest).digest == digest
    assert not [p for p in folder.rglob("*") if p.suffix in (".pkl", ".joblib")]
    path = min(folder.glob("members/*/fitted.json"))
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    with pytest.raises(IntegrityError, match="was altered"):
        ForecastBundle.load(folder)


@dataclass(frozen=True)
class Reads(Fitted):
    """What a member has learnt that reads the whole sequence of the first predictor."""

    def parts(self, X: Any, sequences: Any) -> Any:
        read = np.nan_to_num(sequences[:, :, 0], nan=9.0).mean(axis=1)
        return np.column_stack([np.zeros_like(X), read])


class Reader(Family):
    """That member."""

    name = "reader"
    sequences = True

    def _learn(self, past: Past) -> Fitted:
        return Reads(0.01)


def test_a_member_that_reads_sequences_needs_its_months(tmp_path: Path) -> None:
    write_series(tmp_path, series(end="2010-12"))
    case = market_case(steps=6, context=["volatility"])
    panel = build_panel(case, tmp_path)
    newest = panel.X.index[-25]
    state = State("m1", "ensemble", 1, str(newest), {"cnn": 0.5}, 0.01, 900.0, sequences=True)
    changes = forecast_columns.price_changes(panel)
    history = pd.DataFrame(
        {"forecast": 0.01, "actual": panel.targets["m1"], "known_at": "2999-01", "garch": 0.04}
    ).loc[: newest - 1]
    member = Reader(case.schema_)
    member.fitted_ = Reads(0.01)
    bundle = ForecastBundle(case, state, [member], history, changes.loc[:newest], "")
    wanted = bundle.forecast(panel)["forecast"]
    rows = served_table(panel)
    assert len(wanted) == 25
    assert wanted.nunique() == 25
    for enough in (rows, rows.iloc[-25 - 5 :]):
        np.testing.assert_array_equal(bundle.predict(enough)["forecast"].iloc[-25:], wanted)
    with pytest.raises(InputRefused, match=f"history from {newest - 5} on"):
        bundle.predict(rows.iloc[-25 - 4 :])


def test_pyfunc_answers_like_the_bundle(market: LiveMarket, later: Panel) -> None:
    import mlflow

    mlflow.set_tracking_uri(market.home.mlflow_uri)
    mlflow.set_registry_uri(market.home.mlflow_uri)
    champion = market.ledger.champion("tiny_market")
    assert champion is not None
    model = mlflow.pyfunc.load_model("models:/tiny_market.m12@champion")
    rows = served_table(later)
    got = model.predict(rows)
    assert list(got) == COLUMNS
    assert got["forecast"].iloc[0] is None
    assert got["forecast"].iloc[-1] > -1
    assert (got["model_version"] == champion.version).all()
    json.dumps(got.iloc[0].to_dict(), allow_nan=False, default=int)
    from riskwright.systems.market.life import load_forecast

    wanted = load_forecast(market.home, market.ledger, "tiny_market", "m12").predict(rows)
    np.testing.assert_array_equal(
        got["forecast"].iloc[-20:].astype(float), wanted["forecast"].iloc[-20:]
    )
