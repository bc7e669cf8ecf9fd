"""With the environment set before the first import, no library tries to leave this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
from pathlib import Path
from riskwright.home import Home, quiet_environment

home = Home().create()
quiet_environment(home)

import alembic, fastapi, optbinning, optuna, pandera.pandas, prefect, pyarrow, shap, skops.io
import lime.lime_tabular, keras, matplotlib.pyplot, plotly, sklearn.ensemble, tensorflow, xgboost
import evidently, mlflow, mlflow.sklearn, mlflow.xgboost, mlflow.pyfunc
import numpy as np, pandas as pd

mlflow.set_tracking_uri(home.mlflow_uri)
mlflow.create_experiment("quiet", artifact_location=home.folder("artifacts").as_uri())
with mlflow.start_run(experiment_id=mlflow.get_experiment_by_name("quiet").experiment_id):
    mlflow.log_params({"a": 1})
    mlflow.log_metrics({"auc": 0.7})
    mlflow.log_text("kept", "note.txt")

from evidently import Dataset, Report
from evidently.presets import DataSummaryPreset
frame = pd.DataFrame({"a": np.arange(300.0), "b": np.arange(300.0) % 7})
Report([DataSummaryPreset()]).run(Dataset.from_pandas(frame), Dataset.from_pandas(frame)).dict()

study = optuna.create_study()
study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
print("done")
"""


def run(program: str, log: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a new process under the guard; its attempts go to ``log``."""
    log.touch()
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=os.environ | {"RISKWRIGHT_TEST_OUTBOUND": str(log)} | environment,
        cwd=log.parent,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_nothing_leaves_this_machine(tmp_path: Path) -> None:
    # The variables that conftest set are taken out: riskwright has to set them itself.
    from riskwright.home import TELEMETRY_OFF

    log = tmp_path / "attempts.txt"
    unset = "import os\n" + "".join(f"os.environ.pop({name!r}, None)\n" for name in TELEMETRY_OFF)
    done = run(unset + PROGRAM, log, RISKWRIGHT_HOME=str(tmp_path / "home"))
    assert done.stdout.splitlines()[-1:] == ["done"], done.stderr[-3000:]
    assert log.read_text() == ""
    assert not (tmp_path / "mlflow.db").exists(), "MLflow wrote into the working folder"


def test_the_guard_sees_an_attempt(tmp_path: Path) -> None:
    # 192.0.2.0/24 is reserved for documentation; a guard that sees nothing proves nothing.
    log = tmp_path / "attempts.txt"
    for program in (
        "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)",
        "import urllib.request; urllib.request.urlopen('http://publisher.invalid/file')",
        "import socket; s = socket.socket(socket.AF_INET6); s.connect_ex(('2001:db8::1', 80))",
    ):
        assert run(program, log).returncode != 0
    attempts = log.read_text().splitlines()
    assert [line.split(" by ")[0] for line in attempts] == [
        "look-up of 192.0.2.1",
        "look-up of publisher.invalid",
        "connection to 2001:db8::1:80",
    ]
