"""Serving: a byte altered anywhere in the model's folder, and nothing of it is read."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

import httpx
import pytest
from tiny import Live, applications

from riskwright.errors import InputRefused, IntegrityError, Unavailable
from riskwright.home import Home
from riskwright.life.bundles import open_bundle
from riskwright.life.serving import application, checked_copy, load_live, serve
from riskwright.store.manifest import seal
from riskwright.store.seals import placed
from riskwright.systems.credit.promotion import load_version


def folder_of(live: Live) -> Path:
    return placed(live.home, live.ledger.version("tiny", live.version).models["pd"].uri)


def test_every_file_of_the_folder_is_checked_before_anything_is_read(live: Live) -> None:
    folder = folder_of(live)
    names = sorted(live.ledger.version("tiny", live.version).evidence["served"]["pd"])
    assert {"MLmodel", "served.py", "artifacts/bundle/manifest.json"} <= set(names)
    for name in names:
        path = folder / name
        before = path.read_bytes()
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]) if before else b"x")
        try:
            with pytest.raises(IntegrityError, match="altered"):
                load_live(live.home, live.ledger, "tiny")
        finally:
            path.write_bytes(before)
    bundle, version = load_live(live.home, live.ledger, "tiny")
    assert version == live.version
    assert bundle.digest == live.ledger.version("tiny", version).models["pd"].digest


def test_a_file_that_is_gone_or_was_added(live: Live) -> None:
    served, added = folder_of(live) / "served.py", folder_of(live) / "more.py"
    aside = served.rename(served.with_suffix(".aside"))
    try:
        with pytest.raises(IntegrityError, match=r"served\.py is missing"):
            load_live(live.home, live.ledger, "tiny")
    finally:
        aside.rename(served)
    added.write_text("raise SystemExit('never run')")
    try:
        assert load_live(live.home, live.ledger, "tiny")[1] == live.version  # it isn't copied
    finally:
        added.unlink()


def test_what_mlflow_opens_is_held_against_the_ledger(live: Live, tmp_path: Path) -> None:
    """An altered bundle with a new seal of its own: the ledger doesn't know it."""
    import shutil

    copy = tmp_path / "model"
    shutil.copytree(folder_of(live), copy)
    bundle = copy / "artifacts" / "bundle"
    assert open_bundle(bundle).version == live.version
    settings = json.loads((bundle / "bundle.json").read_text())
    settings["limits"] = {**settings["limits"], "approve_below": 1.0, "decline_from": 1.0}
    (bundle / "bundle.json").write_text(json.dumps(settings))
    (bundle / "manifest.json").unlink()
    seal(bundle)
    with pytest.raises(IntegrityError, match="the ledger knows no bundle with its digest"):
        open_bundle(bundle)


def test_the_error_names_the_bundle_and_no_copy_of_it(live: Live) -> None:
    """A bundle that holds a file more than its manifest says, with all that the ledger names."""
    version = live.ledger.version("tiny", live.version)
    wrong = {"pd": replace(version.models["pd"], digest="0" * 64)}
    with (
        pytest.raises(IntegrityError) as refused,
        checked_copy(live.home, replace(version, models=wrong), "pd"),
    ):
        pass
    told = str(refused.value)
    assert str(folder_of(live)) in told
    assert "riskwright-" not in told


SLOW = """
import time
from riskwright.life import requests
from riskwright.life import serving

def answer(*_):
    print("at it", flush=True)
    time.sleep(60)

requests.answer = answer
serving.GRACE = 1
print("ready", flush=True)
from riskwright_flows import stop
with stop.by_signal():
    serving.serve(None, "x", 1, PORT)
"""


def test_a_server_at_work_stops_when_it_is_told_to(free_port: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW.replace("PORT", str(free_port))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        sent = threading.Thread(target=_ask, args=(free_port,), daemon=True)
        sent.start()
        assert process.stdout.readline() == "at it\n"
        process.terminate()
        assert process.wait(15) in (143, -signal.SIGTERM)
    finally:
        process.kill()
        process.communicate()


def _ask(port: int) -> None:
    case = json.dumps({"dataframe_records": [CASE]}).encode()
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with suppress(OSError, HTTPException):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/invocations", case, timeout=30)
            return
        time.sleep(0.1)


def test_a_port_that_is_taken_is_told(free_port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port))
        taken.listen()
        with pytest.raises(Unavailable, match="can't be started"):
            serve(None, "x", 1, free_port)


def test_without_a_ledger_nothing_is_served(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISKWRIGHT_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(IntegrityError, match="no ledger can be asked"):
        open_bundle(folder_of(live) / "artifacts" / "bundle")


def test_what_isnt_live_isnt_served(live: Live) -> None:
    with pytest.raises(InputRefused, match="has no champion"):
        load_live(live.home, live.ledger, "nobody")
    with pytest.raises(InputRefused, match="has no model 'lgd'"):
        load_live(live.home, live.ledger, "tiny", "lgd")
    assert isinstance(live.home, Home)


NOT_SENT = ["default.payment.next.month", "cohort"]
CASE: dict[str, Any] = applications(1).drop(columns=NOT_SENT).to_dict("records")[0]

REQUESTS: dict[str, tuple[str, str]] = {
    "no JSON": ("{", "is not JSON"),
    "a list": ("[]", "not a JSON object"),
    "nothing": ("{}", "holds no rows"),
    "no rows": ('{"dataframe_records": []}', "holds no rows"),
    "rows that are numbers": ('{"dataframe_records": [1, 2]}', "not a list of objects"),
    "missing columns": ('{"dataframe_records": [{"AGE": 30}]}', "columns are missing"),
    "deep nesting": ('{"dataframe_records": ' + "[" * 100_000 + "]" * 100_000 + "}", "too deeply"),
    "split of nothing": ('{"dataframe_split": 3}', "is not an object"),
    "ragged": ('{"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}', "a cell for each"),
    "twice": ('{"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}', "twice"),
    "reasons": ('{"dataframe_records": [{"a": 1}], "params": {"reasons": [1]}}', "unknown 'reas"),
}


class Client:
    """Asks the application inside this process; no socket is opened."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def ask(self, method: str, path: str, content: str | None = None) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://served") as client:
                return await client.request(method, path, content=content)

        return asyncio.run(asked())

    def post(self, path: str, content: str) -> httpx.Response:
        return self.ask("POST", path, content)


@pytest.fixture(scope="module")
def client(shared_live: Live) -> Client:
    bundle = load_version(shared_live.home, shared_live.ledger, "tiny")
    return Client(application(bundle, "tiny", shared_live.version))


@pytest.mark.parametrize("case", REQUESTS)
def test_a_request_that_cant_be_scored_is_told_why(client: Client, case: str) -> None:
    body, words = REQUESTS[case]
    got = client.post("/invocations", content=body)
    assert got.status_code == 400, got.text
    assert words in got.json()["what"]
    assert "Traceback" not in got.text


@pytest.mark.parametrize(
    "cell", [[1, 2], {"a": 1}, [], "text", True, 10**400, 1e308, None, "=cmd|x", -1, "\u001b[31m"]
)
@pytest.mark.parametrize("column", ["AGE", "EDUCATION", "LIMIT_BAL"])
def test_a_cell_of_any_kind_is_scored_or_refused_with_a_reason(
    client: Client, column: str, cell: Any
) -> None:
    rows = [CASE, {**CASE, "ID": "another", column: cell}]
    got = client.post("/invocations", content=json.dumps({"dataframe_records": rows}))
    assert got.status_code == 200, got.text
    first, second = got.json()["predictions"]
    assert 0 < first["pd"] < 1
    assert (second["decision"] == "refused") == (second["pd"] is None)
    if isinstance(cell, (list, dict)):
        assert second["reason_1"] == f"{column}: a list or an object is no cell"


def test_the_answer_is_the_bundles(client: Client, shared_live: Live) -> None:
    cases = applications(5).drop(columns=["default.payment.next.month", "cohort"])
    split = json.loads(cases.to_json(orient="split", index=False))
    got = client.post("/invocations", content=json.dumps({"dataframe_split": split})).json()
    wanted = load_version(shared_live.home, shared_live.ledger, "tiny").predict(cases)
    pds = [row["pd"] for row in got["predictions"]]
    assert pds == pytest.approx(wanted["pd"].tolist(), abs=1e-12)
    assert client.ask("GET", "/ping").json() == {"usecase": "tiny", "version": shared_live.version}


def test_of_a_body_that_is_too_large_no_more_is_kept_than_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held: list[int] = []

    def read(body: bytes) -> Any:
        held.append(len(body))
        raise InputRefused("too large")

    monkeypatch.setattr("riskwright.life.requests.read_request", read)
    monkeypatch.setattr("riskwright.life.requests.MOST_BYTES", 100)

    async def sent() -> Any:
        async def parts() -> Any:
            for _ in range(1_000):
                yield b" " * 60

        transport = httpx.ASGITransport(application(None, "tiny", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://served") as asked:
            return await asked.post("/invocations", content=parts())

    assert asyncio.run(sent()).status_code == 400
    assert held == [120]
