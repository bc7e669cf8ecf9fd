"""The wheel holds the package and nothing else, and runs where there is no checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import Servers
from tiny import ROWS, applications, tiny_text

from riskwright.home import LEASES_ON_DISK
from riskwright.store.provenance import made_by

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = {"riskwright": "src", "riskwright_flows": "flows"}
Run = Callable[..., str]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy: what an earlier build left in the checkout isn't in it."""
    folder = tmp_path_factory.mktemp("wheel")
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / file, folder)
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for room in PACKAGES.values():
        shutil.copytree(REPOSITORY / room, folder / room, ignore=unwanted)
    build = "from setuptools.build_meta import build_wheel; print(build_wheel('.'))"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / done.stdout.split()[-1]


def test_the_wheel_holds_both_packages_whole_and_no_other_name(wheel: Path) -> None:
    ours = {
        path.relative_to(REPOSITORY / room).as_posix()
        for package, room in PACKAGES.items()
        for path in (REPOSITORY / room / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        about = {name for name in names if name.partition("/")[0].endswith(".dist-info")}
        told = archive.read(next(n for n in about if n.endswith("entry_points.txt"))).decode()
        tops = archive.read(next(n for n in about if n.endswith("top_level.txt"))).decode()
    assert set(names) - about == ours
    assert {"riskwright_flows/prefect.yaml", "riskwright/ledger/migrations/env.py"} <= set(names)
    assert "riskwright = riskwright_flows.cli:app" in told
    assert tops.split() == [*PACKAGES], "'flows' would be everybody's"


@pytest.fixture(scope="module")
def stranger(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment of its own; what it depends on is read from ours."""
    folder = tmp_path_factory.mktemp("stranger")
    python = folder / "venv" / "bin" / "python"
    for command in (
        [sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")],
        [
            *(sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"),
            *("--no-deps", "--no-index", str(wheel)),
        ],
    ):
        subprocess.run(command, cwd=folder, check=True)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    for guard in ("sitecustomize.py", "no_outbound.py"):
        shutil.copy(REPOSITORY / "tests" / "offline" / guard, site)
    return folder


@pytest.fixture
def environment(stranger: Path) -> dict[str, str]:
    """Return the environment of who has the wheel, no checkout, and did as deploy/README says."""
    mine = ("PREFECT_", "MLFLOW_", "RISKWRIGHT_")
    kept = {n: v for n, v in os.environ.items() if n != "PYTHONPATH" and not n.startswith(mine)}
    return kept | {
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES_ON_DISK,
        "RISKWRIGHT_HOME": str(stranger / "home"),
        "RISKWRIGHT_TEST_OUTBOUND": os.environ["RISKWRIGHT_TEST_OUTBOUND"],
    }


@pytest.fixture
def run(stranger: Path, environment: dict[str, str], tmp_path: Path) -> Run:
    """Run a program of the environment in an empty folder."""

    def _run(program: str, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [str(stranger / "venv" / "bin" / program), *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout[-3000:] + done.stderr[-5000:]
        return done.stdout

    return _run


@pytest.mark.slow
def test_only_the_wheel_is_imported(run: Run, stranger: Path) -> None:
    program = (
        "import riskwright, riskwright_flows, importlib.util as u, importlib.metadata as m\n"
        "print(riskwright.__file__); print(riskwright_flows.__file__)\n"
        "print(u.find_spec('flows'), m.distribution('riskwright').locate_file(''))"
    )
    first, second, third = run("python", "-c", program).splitlines()
    assert all(Path(place).is_relative_to(stranger) for place in (first, second))
    assert third.startswith("None ")
    assert Path(third.removeprefix("None ")).is_relative_to(stranger)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_use_case_of_ones_own_is_trained_scored_and_says_what_made_it(
    run: Run, stranger: Path, tmp_path: Path
) -> None:
    applications(ROWS).to_csv(tmp_path / "cases.csv", index=False)
    mine = tiny_text(name="mine", source={"location": "cases.csv"})
    (tmp_path / "mine.yaml").write_text(mine, encoding="utf-8")
    trained = json.loads(run("riskwright", "retrain", "mine.yaml", "--json"))
    assert (trained["passed"], trained["live"]) == (True, True)
    scores = tmp_path / "scores.csv"
    run("riskwright", "score", "mine", "--input", "cases.csv", "--output", str(scores))
    assert len(scores.read_text(encoding="utf-8").splitlines()) == ROWS + 1
    (manifest,) = (stranger / "home" / "work" / "mine").glob("*/ensemble/pd/bundle/manifest.json")
    made = json.loads(manifest.read_text(encoding="utf-8"))["made_by"]
    assert made == made_by() | {"commit": None}, "the digests of the checkout's library and lock"


@pytest.fixture
def servers(
    stranger: Path, environment: dict[str, str], tmp_path: Path, free_port: int
) -> Iterator[Servers]:
    """Start a Prefect server of the environment."""
    demo = stranger / "home" / "demo"
    asked = {
        "RISKWRIGHT_BATCH": str(demo / "new_applications.csv"),
        "RISKWRIGHT_SCORES": str(tmp_path / "scores.csv"),
    }
    python = stranger / "venv" / "bin" / "python"
    made = Servers(tmp_path, free_port, environment | asked, python)
    yield made
    made.close()


def of_before(servers: Servers, flow: str, name: str) -> str:
    """Make a deployment as an earlier release did: by file, in a folder that is gone; its id."""
    folder = {"prefect.deployments.steps.set_working_directory": {"directory": "/gone"}}
    asked = {
        "name": name,
        "flow_id": servers.post("/flows/", {"name": flow})["id"],
        "entrypoint": "flows/retrain.py:retrain_flow",
        "pull_steps": [folder],
        "work_pool_name": "riskwright",
    }
    return str(servers.post("/deployments/", asked)["id"])


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.timeout(2400)
def test_the_demo_and_its_schedules_run(
    run: Run, servers: Servers, stranger: Path, tmp_path: Path
) -> None:
    run("riskwright", "demo")
    program = str(stranger / "venv" / "bin" / "riskwright")
    weekly = of_before(servers, "retrain", "weekly")
    market = of_before(servers, "retrain-market", "monthly")
    told = servers.run(program, "deploy", "-n", "weekly", "-n", "scores")
    assert told.count("successfully created") == 2
    assert "removed retrain-market/monthly" in told
    assert "not found" in servers.get(f"/deployments/{market}")["detail"]
    assert not servers.get(f"/deployments/{weekly}")["pull_steps"], "replaced"
    assert "RISKWRIGHT_LOANS is unset" in servers.run(program, "deploy", "-n", "book", code=2)
    servers.start_worker()
    for name in ("score/scores", "retrain/weekly"):
        servers.run(*servers.prefect, "deployment", "run", name)
    for name in ("score", "retrain"):

        def ended(name: str = name) -> list[dict[str, object]]:
            runs = servers.runs(name, scheduled=False)
            return [r for r in runs if r["state_type"] in ("COMPLETED", "FAILED", "CRASHED")]

        (done,) = servers.until(ended, 900, f"{name} to end")
        assert done["state_type"] == "COMPLETED", done["state"]
    assert (tmp_path / "scores.csv").is_file()
    healthy = servers.run(program, "doctor")
    assert "broken" not in healthy
