"""A home that the version before made: today's code scores, watches, changes and serves it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BEFORE = "2eca5f46c74f35beaa74653aa8db2bd3d9418848"  # the last commit before systems were folders
NAME = "credit_assessment"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a home by the demo of the version before, from its own commit."""
    place = tmp_path_factory.mktemp("before")
    git = ["git", "-C", str(REPOSITORY), "worktree"]
    made = subprocess.run(
        [*git, "add", "--detach", str(place / "code"), BEFORE],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"the commit before isn't in this checkout: {made.stderr.strip()[-200:]}")
    try:
        code = place / "code"
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(code / "src"), str(code)]),
            "RISKWRIGHT_HOME": str(place / "home"),
        }
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli", "demo"],
            cwd=code,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        yield place / "home"
    finally:
        subprocess.run([*git, "remove", "--force", str(place / "code")], check=False)


@pytest.fixture
def run(old: Path, tmp_path: Path) -> Run:
    """Run a command of today in the old home."""

    def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "riskwright_flows.cli", *arguments],
            cwd=tmp_path,
            env=os.environ | {"RISKWRIGHT_HOME": str(old)},
            capture_output=True,
            text=True,
            check=False,
        )

    return _run


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_home_of_the_version_before_goes_on(old: Path, run: Run, tmp_path: Path) -> None:
    healthy = run("doctor", "--deep", "--json")
    assert healthy.returncode == 0, healthy.stdout + healthy.stderr
    assert all("loads" in said for said in json.loads(healthy.stdout)["champions"].values())
    batch = next((old / "demo").glob("*.csv"))
    scored = run("score", NAME, "--input", str(batch), "--output", str(tmp_path / "s.csv"))
    assert scored.returncode == 0, scored.stderr
    watched = run("monitor", NAME, "--input", str(batch), "--json")
    assert watched.returncode in (0, 3), watched.stderr
    served = subprocess.run(  # as MLflow's own tools do: by the code that was registered
        [
            sys.executable,
            "-c",
            "import mlflow, sys; from pathlib import Path\n"
            f"mlflow.set_tracking_uri('sqlite:///{old / 'mlflow.db'}')\n"
            f"model = mlflow.pyfunc.load_model('models:/{NAME}.pd@champion')\n"
            "import pandas as pd\n"
            f"rows = pd.read_csv({str(batch)!r}, dtype=str).head(5)\n"
            "print(model.predict(rows)['pd'].notna().sum())",
        ],
        env=os.environ | {"RISKWRIGHT_HOME": str(old)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert served.returncode == 0, served.stderr[-3000:]
    assert served.stdout.split()[-1] == "5"
    trained = run("retrain", NAME, "--json")
    # Code of another release on the same simulated cases: the tie keeps the champion.
    assert trained.returncode in (0, 3), trained.stderr
    challenger = json.loads(trained.stdout)
    assert challenger["version"] > 1
    assert run("verify").returncode == 0
    assert run("history", NAME).returncode == 0
