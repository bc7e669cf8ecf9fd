"""A home that the version before made: today's code scores, watches, changes and serves it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from needed import lacking
from tiny import applications

REPOSITORY = Path(__file__).resolve().parents[2]
BEFORE = "2eca5f46c74f35beaa74653aa8db2bd3d9418848"  # the last commit before systems were folders
Run = Callable[..., Any]

# Run by the code of before, with its own helpers: a use case of each kind. The first is retrained
# by the command of then.
MAKE = """
import sys
from pathlib import Path
from riskwright.data.loan_book import simulate_book
from riskwright.home import Home
from tiny import applications, make_book, tiny_text
from tiny_market import make_market

place = Path(sys.argv[1])
applications(900, 5).to_csv(place / "cases.csv", index=False)
source = {"location": str(place / "cases.csv")}
text = tiny_text(source=source, families=["logistic", "scorecard"])
(Home(place / "home").create().folder("usecases") / "tiny.yaml").write_text(text)
make_book(place / "home")
make_market(place, planted=True)
simulate_book(400, 8)[0].to_csv(place / "book.csv", index=False)
"""

# As MLflow's own tools do: by the code that was registered with the model.
SERVE = """
import sys
import mlflow, pandas as pd

mlflow.set_tracking_uri("sqlite:///" + sys.argv[1])
models = mlflow.MlflowClient().search_registered_models()
for name in sorted(m.name for m in models if "champion" in m.aliases):
    model = mlflow.pyfunc.load_model(f"models:/{name}@champion")
    print(name, type(model).__name__)
    if name == "tiny.pd":
        rows = pd.read_csv(sys.argv[2], dtype=str).head(5)
        print("scored", model.predict(rows)["pd"].notna().sum())
"""


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a home by the version before, from its own commit: a champion of each kind."""
    place = tmp_path_factory.mktemp("before")
    git = ["git", "-C", str(REPOSITORY), "worktree"]
    made = subprocess.run(
        [*git, "add", "--detach", str(place / "code"), BEFORE],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        lacking(
            "history", f"the commit before isn't in this checkout: {made.stderr.strip()[-200:]}"
        )
    try:
        code = place / "code"
        path = [str(code / "src"), str(code), str(code / "tests" / "offline")]
        environment = {
            n: v for n, v in os.environ.items() if not n.startswith(("RISKWRIGHT_H", "PREFECT_"))
        } | {"PYTHONPATH": os.pathsep.join(path), "RISKWRIGHT_HOME": str(place / "home")}
        environment.pop("MLFLOW_TRACKING_URI", None)
        for command in (["-c", MAKE, str(place)], ["-m", "flows.cli", "retrain", "tiny"]):
            done = subprocess.run(
                [sys.executable, *command],
                cwd=code,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    finally:
        subprocess.run([*git, "remove", "--force", str(place / "code")], check=False)
    return place


@pytest.fixture
def run(old: Path, tmp_path: Path) -> Run:
    """Run a command of today in the old home; return what it answers in JSON."""

    def _run(*arguments: str, codes: tuple[int, ...] = (0,)) -> Any:
        environment = {n: v for n, v in os.environ.items() if not n.startswith("PREFECT_")}
        environment.pop("MLFLOW_TRACKING_URI", None)
        done = subprocess.run(
            [sys.executable, "-m", "riskwright_flows.cli", *arguments, "--json"],
            cwd=tmp_path,
            env=environment | {"RISKWRIGHT_HOME": str(old / "home")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in codes, done.stdout[-3000:] + done.stderr[-5000:]
        return json.loads(done.stdout)

    return _run


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_was_made_before_opens(old: Path, run: Run, tmp_path: Path) -> None:
    healthy = run("doctor", "--deep")
    assert set(healthy["champions"]) >= {"tiny", "small_book", "tiny_market"}
    assert all("loads" in said for said in healthy["champions"].values())
    assert run("verify")
    batch = tmp_path / "batch.csv"
    applications(300, 11).to_csv(batch, index=False)
    scored = run("score", "tiny", "--input", str(batch), "--output", str(tmp_path / "scores.csv"))
    assert scored["accepted"] == 300
    watched = run("monitor", "tiny", "--input", str(batch), "--labels", str(batch), codes=(0, 3))
    assert watched["rows_read"] == 300
    book = run("portfolio", "small_book", "--input", str(old / "book.csv"), "--output", "book")
    assert book["el"] > 0
    assert run("forecast", "tiny_market", "--as-of", "2005-06")
    run("monitor", "tiny_market", codes=(0, 3))
    served = subprocess.run(
        [sys.executable, "-c", SERVE, str(old / "home" / "mlflow.db"), str(batch)],
        cwd=tmp_path,
        env=os.environ | {"RISKWRIGHT_HOME": str(old / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert served.returncode == 0, served.stderr[-3000:]
    assert "scored 5" in served.stdout
    assert {"tiny.pd", "small_book.lgd", "tiny_market.m1"} <= set(served.stdout.split())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_was_made_before_goes_on_and_is_gone_back_to(
    old: Path, run: Run, tmp_path: Path
) -> None:
    (before,) = run("history", "tiny")
    more = applications(2700, 6)
    more["ID"] = [f"new-{number}" for number in more["ID"]]
    cases = pd.concat([pd.read_csv(old / "cases.csv", dtype=str), more])
    cases.to_csv(old / "cases.csv", index=False)
    trained = run("retrain", "tiny")
    assert trained["live"], trained["gates"]
    assert trained["version"] > before["version"]
    run("rollback", "tiny", "--reason", "approval rate fell by half")
    last = run("history", "tiny")[-1]
    assert (last["version"], last["kind"]) == (before["version"], "rollback")
    batch = tmp_path / "batch.csv"
    applications(50, 12).to_csv(batch, index=False)
    scored = run("score", "tiny", "--input", str(batch), "--output", str(tmp_path / "scores.csv"))
    assert scored["model_version"] == before["version"]
    assert run("verify")
