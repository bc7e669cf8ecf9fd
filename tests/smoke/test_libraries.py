"""Each library does its one job on a toy, at the locked versions."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

RNG = np.random.default_rng(20261122)
X = pd.DataFrame(RNG.normal(size=(300, 3)), columns=["a", "b", "c"])
Y = (RNG.random(300) < 1 / (1 + np.exp(-(X["a"] - 0.5 * X["b"])))).astype("int8").to_numpy()


@pytest.fixture(scope="module")
def booster():
    import xgboost

    return xgboost.train(
        {"objective": "binary:logistic", "max_depth": 2, "nthread": 1},
        xgboost.DMatrix(X, Y),
        num_boost_round=10,
    )


def test_shap_adds_up_to_the_margin_of_xgboost(booster) -> None:
    import shap
    import xgboost

    margin = booster.predict(xgboost.DMatrix(X), output_margin=True)
    explained = shap.TreeExplainer(booster)(X)
    total = explained.values.sum(axis=1) + explained.base_values
    np.testing.assert_allclose(total, margin, atol=1e-4)


def test_xgboost_file_gives_the_same_scores(booster, tmp_path: Path) -> None:
    import xgboost

    booster.save_model(tmp_path / "model.ubj")
    again = xgboost.Booster(model_file=tmp_path / "model.ubj")
    data = xgboost.DMatrix(X)
    np.testing.assert_array_equal(again.predict(data), booster.predict(data))


def test_lime_finds_the_sign_of_an_effect() -> None:
    from lime.lime_tabular import LimeTabularExplainer

    def predict(rows: np.ndarray) -> np.ndarray:
        p = 1 / (1 + np.exp(-3 * rows[:, 0]))
        return np.column_stack([1 - p, p])

    explainer = LimeTabularExplainer(
        X.to_numpy(), feature_names=list(X), discretize_continuous=False, random_state=0
    )
    weights = dict(explainer.explain_instance(X.to_numpy()[0], predict, num_samples=300).as_list())
    assert weights["a"] > 10 * abs(weights["b"])


def test_evidently_reports_a_shift(tmp_path: Path) -> None:
    from evidently import Dataset, Report
    from evidently.metrics import ValueDrift

    shifted = X.assign(a=X["a"] + 2)
    report = Report([ValueDrift(column=name, method="psi", threshold=0.2) for name in X])
    snapshot = report.run(Dataset.from_pandas(shifted), Dataset.from_pandas(X))
    values = {m["config"]["column"]: float(m["value"]) for m in snapshot.dict()["metrics"]}
    assert values["a"] > 0.5
    assert max(values["b"], values["c"]) < 0.2
    snapshot.save_html(str(tmp_path / "report.html"))
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_keras_learns_in_a_few_steps_and_repeats_itself() -> None:
    import optbinning  # noqa: F401  (see the next test)

    import keras  # isort: skip

    def loss() -> list[float]:
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "sigmoid")])
        model.compile(keras.optimizers.Adam(0.1), "binary_crossentropy")
        fitted = model.fit(X.to_numpy("float32"), Y, epochs=3, batch_size=300, verbose=0)
        return fitted.history["loss"]

    first = loss()
    assert first[-1] < first[0]
    assert loss() == first


@pytest.mark.slow
def test_or_tools_imported_before_tensorflow_still_solves_after_it() -> None:
    # The other way round, TensorFlow first, the process ends with a segmentation fault: each
    # carries its own protobuf (google/or-tools#3230). optbinning solves with OR-Tools.
    program = """
import ortools.sat.python.cp_model, ortools.linear_solver.pywraplp
import tensorflow
import numpy as np
from optbinning import OptimalBinning
x = np.arange(200.0)
for solver in ("cp", "mip"):
    print(OptimalBinning(solver=solver).fit(x, (x > 90).astype(int)).status)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["OPTIMAL", "OPTIMAL"]


def test_optbinning_bins_follow_the_risk() -> None:
    from optbinning import OptimalBinning

    binning = OptimalBinning(name="a", solver="cp", monotonic_trend="ascending")
    table = binning.fit(X["a"].to_numpy(), Y).binning_table.build()
    rates = table.loc[table["Bin"].astype(str).str.contains("inf|,"), "Event rate"].astype(float)
    assert len(rates) > 1
    assert rates.is_monotonic_increasing


def test_pandera_names_every_bad_cell() -> None:
    import pandera.pandas as pa

    schema = pa.DataFrameSchema({"a": pa.Column(float, pa.Check.in_range(-9, 9))})
    with pytest.raises(pa.errors.SchemaErrors) as caught:
        schema.validate(pd.DataFrame({"a": [0.0, 99.0, 1.0, -99.0]}), lazy=True)
    assert sorted(caught.value.failure_cases["index"]) == [1, 3]


def test_optuna_comes_near_a_known_minimum() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(lambda trial: (trial.suggest_float("x", -1, 1) - 0.3) ** 2, n_trials=25)
    assert abs(study.best_params["x"] - 0.3) < 0.1


def test_skops_refuses_a_flipped_bit(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from skops import io

    model = LogisticRegression().fit(X, Y)
    path = tmp_path / "model.skops"
    io.dump(model, path)
    np.testing.assert_array_equal(io.load(path).predict_proba(X), model.predict_proba(X))

    # In the data of each member: bits of the zip's own headers may flip unseen, and do no harm.
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    for member in members:
        broken = bytearray(path.read_bytes())
        broken[member.header_offset + 30 + len(member.filename) + member.file_size // 2] ^= 1
        (tmp_path / "broken.skops").write_bytes(broken)
        with pytest.raises(zipfile.BadZipFile, match="CRC"):
            io.load(tmp_path / "broken.skops")
