"""The champion through MLflow alone: ``load_model`` and ``mlflow models serve``."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

import pandas as pd
import pytest
from tiny import Live, applications

from riskwright.life.tracking import connect, local_bundle
from riskwright.systems.credit.bundle import COLUMNS
from riskwright.systems.credit.promotion import load_version


def test_pyfunc_answers_like_the_bundle(live: Live) -> None:
    import mlflow

    connect(live.home)
    model = mlflow.pyfunc.load_model("models:/tiny.pd@champion")
    cases = applications(80).drop(columns=["default.payment.next.month"])
    cases.loc[3, "EDUCATION"] = "9"
    got = model.predict(cases)
    assert list(got.columns) == COLUMNS
    assert got.loc[3, "decision"] == "refused"
    assert "EDUCATION" in got.loc[3, "reason_1"]
    assert got.loc[3, "pd"] is None
    wanted = load_version(live.home, live.ledger, "tiny").predict(cases)
    pd.testing.assert_frame_equal(got, wanted.astype(object).where(wanted.notna(), None))
    assert pd.api.types.is_float_dtype(model.predict(cases[:3])["pd"])  # nothing refused


def test_an_altered_bundle_is_refused_by_load_model_too(live: Live, tmp_path: Path) -> None:
    import mlflow

    from riskwright.errors import IntegrityError

    connect(live.home)  # the registry too: another test's home has a use case of this name
    ref = live.ledger.version("tiny", live.version).models["pd"]
    path = local_bundle(ref.uri, tmp_path) / "bundle.json"
    before = path.read_bytes()
    path.write_bytes(before.replace(b"0.", b"1.", 1))
    try:
        with pytest.raises(IntegrityError, match="was altered"):
            mlflow.pyfunc.load_model("models:/tiny.pd@champion")
    finally:
        path.write_bytes(before)


@pytest.mark.slow
@pytest.mark.server
def test_models_serve_answers_with_the_same_columns(
    live: Live, free_port: int, tmp_path: Path
) -> None:
    cases = applications(5).drop(columns=["default.payment.next.month", "cohort"])
    cases.loc[4, "AGE"] = 1000
    bin_folder, log = Path(sys.executable).parent, tmp_path / "serve.log"
    out = log.open("wb")
    process = subprocess.Popen(
        [
            str(bin_folder / "mlflow"),
            *("models", "serve", "-m", "models:/tiny.pd@champion"),
            *("--env-manager", "local", "-h", "127.0.0.1", "-p", str(free_port)),
        ],
        env={**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"},
        stdout=out,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        wait_for(f"http://127.0.0.1:{free_port}/ping", process, log)
        body = json.dumps(
            {"dataframe_split": json.loads(cases.to_json(orient="split", index=False))}
        )
        request = urllib.request.Request(
            f"http://127.0.0.1:{free_port}/invocations",
            body.encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            text = response.read().decode()
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)
        out.close()
    rows = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    rows = rows["predictions"]
    assert len(rows) == 5
    assert (rows[4]["decision"], rows[4]["pd"]) == ("refused", None)
    assert list(rows[0]) == COLUMNS
    wanted = load_version(live.home, live.ledger, "tiny").predict(cases)
    assert [r["pd"] for r in rows[:4]] == pytest.approx(wanted["pd"][:4].tolist(), abs=1e-9)


@pytest.mark.server
def test_readmes_curl_line_works_as_pasted(live: Live, free_port: int, tmp_path: Path) -> None:
    told = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    (serve, line) = re.findall(
        r"^(riskwright serve .*?)\n(curl .*?)(?=^```)", told, re.MULTILINE | re.DOTALL
    )[0]
    port = re.findall(r"--port (\d+)", serve)[0]
    assert f"127.0.0.1:{port}/" in line
    if shutil.which("curl") is None:
        pytest.skip("no curl here")
    log = tmp_path / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "riskwright_flows.cli",
                "serve",
                "tiny",
                "--port",
                str(free_port),
            ],
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(f"http://127.0.0.1:{free_port}/ping", process, log)
        command = line.replace("curl ", "curl --silent --show-error --max-time 60 ", 1)
        done = subprocess.run(
            ["sh", "-c", command.replace(f":{port}/", f":{free_port}/")],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["predictions"]
    assert 0 < row["pd"] < 1, row
    assert row["decision"] in ("approve", "refer", "decline")


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 90) -> None:
    """Wait until a server answers."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (URLError, ConnectionError, TimeoutError):
            if process.poll() is not None:
                told = log.read_text(encoding="utf-8", errors="replace")[-1500:]
                pytest.fail(f"the server ended with {process.returncode}: {told}")
            time.sleep(0.5)
    pytest.fail(f"no answer from {url} within {seconds} s")
