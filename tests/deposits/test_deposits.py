"""A kind of use case that another package brings lives the whole life; no file of ours knows it.

This folder is what an installer leaves: the package, and a ``dist-info`` with its entry point. Put
on the path, it is installed.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from riskwright.account import Account
from riskwright.case.files import known_usecases
from riskwright.home import Home
from riskwright.ledger import Ledger
from riskwright_flows.cli import app

HERE = Path(__file__).parent
STAYS = {"retail": 0.9, "business": 0.7, "corporate": 0.45}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the package, for this process and those that it starts."""
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ["PYTHONPATH"]]))
    yield
    for name in [n for n in sys.modules if n.partition(".")[0] == "bank_deposits"]:
        del sys.modules[name]


def accounts(rows: int, seed: int, **stays: float) -> pd.DataFrame:
    """Accounts whose share that stays has the mean of their segment."""
    rng = np.random.default_rng(seed)
    segment = rng.choice(list(STAYS), rows, p=[0.5, 0.3, 0.2])
    mean = pd.Series(segment).map(STAYS | stays).to_numpy()
    balance = np.round(rng.lognormal(8, 0.5, rows), 2)
    share = rng.beta(8 * mean, 8 * (1 - mean))
    return pd.DataFrame(
        {
            "account": [f"{seed}-{i}" for i in range(rows)],
            "segment": segment,
            "balance": balance,
            "stayed": np.round(balance * share, 2),
        }
    )


def run(*arguments: str) -> tuple[int, Any]:
    """Run a command with ``--json``; return its exit code and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        app([*arguments, "--json"])
    assert "Traceback" not in err.getvalue()
    return int(ended.value.code or 0), json.loads(out.getvalue() or "null")


def shown(*arguments: str) -> str:
    """Run a command; return what a person sees of it."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(io.StringIO()), pytest.raises(SystemExit):
        app(list(arguments))
    return out.getvalue()


@pytest.fixture
def source(home: Home, tmp_path: Path) -> Path:
    """A use case in the home, and the file that it reads; two of its rows are of no use."""
    path = tmp_path / "accounts.csv"
    bad = pd.DataFrame(
        [("x-1", "retail", "much", "1"), ("x-2", "marine", "10", "5")],
        columns=["account", "segment", "balance", "stayed"],
    )
    pd.concat([accounts(900, 1).astype(str), bad]).to_csv(path, index=False)
    plain = {"kind": "deposits", "name": "book", "title": "Book", "question": "What stays?"}
    plain |= {"segments": list(STAYS), "source": str(path)}
    text = yaml.safe_dump(plain, sort_keys=False)
    (home.folder("usecases") / "book.yaml").write_text(text, encoding="utf-8")
    return path


def test_a_deposit_book_lives_the_whole_life(
    source: Path, home: Home, tmp_path: Path, become: Callable[[str], Account]
) -> None:
    # Its YAML files are known beside those that are shipped.
    names = {row["name"]: row["kind"] for row in run("usecases")[1]}
    assert (names["deposit_book"], names["book"]) == ("deposits", "deposits")
    code, checked = run("check", "book")
    assert (code, checked["read"], checked["refused"]) == (0, 902, 2)
    reasons = pd.read_csv(checked["quarantine"])["reason"].tolist()
    assert reasons == ["balance is no number", "segment isn't declared"]

    # A retrain; a second person lets the challenger live.
    code, first = run("retrain", "book")
    assert (code, first["version"], first["kind"], first["live"]) == (0, 2, "by_segment", False)
    assert {g["name"] for g in first["gates"]} == {"test data", "champion", "golden set"}
    assert run("retrain", "book")[1]["nothing_new"]
    assert run("score", "book", "--input", str(source), "--output", "x.csv")[0] == 2
    assert run("challengers", "book")[1][0]["version"] == 2
    assert "book version 2 (by_segment)" in shown("challengers", "book")
    become("second")
    assert run("approve", "book", "2", "--reason", "gates read")[1]["version"] == 2

    # Scores.
    batch, output = tmp_path / "batch.csv", tmp_path / "scores.csv"
    accounts(400, 2).to_csv(batch, index=False)
    code, scored = run("score", "book", "--input", str(batch), "--output", str(output))
    assert (code, scored["accepted"], scored["model_version"]) == (0, 400, 2)
    table = pd.read_csv(output)
    share = (table["stays"] / accounts(400, 2)["balance"]).groupby(accounts(400, 2)["segment"])
    assert share.mean().to_dict() == pytest.approx(STAYS, abs=0.03)
    assert "accepted: 400" in shown("score", "book", "--input", str(batch), "--output", str(output))

    # A monitor's look: all is well; then business leaves, and an alert asks for a retrain.
    code, quiet = run("monitor", "book", "--input", str(batch))
    assert (code, quiet["alert"]) == (0, None), quiet["findings"]
    accounts(400, 3, business=0.4).to_csv(batch, index=False)
    code, seen = run("monitor", "book", "--input", str(batch))
    assert (code, seen["alert_open"], seen["verdicts"]["labels"]) == (3, True, "alarm")
    assert Path(seen["report"]).is_file()
    assert [f["segment"] for f in seen["findings"] if f["alarm"]] == ["business"]
    assert "business: the share that stayed" in shown("monitor", "book", "--input", str(batch))
    assert run("alerts", "book")[1][0]["id"] == seen["alert"]
    asked = ("alerts", "decide", str(seen["alert"]), "retrain", "--reason", "they left")
    assert run(*asked)[0] == 0

    # The request waits until its source holds what came since, then is served.
    code, served = run("retrain", "--requested")
    assert (code, served["requests"][0]["waits"]) == (0, True)
    accounts(900, 4, business=0.4).to_csv(source, index=False)
    code, served = run("retrain", "--requested")
    assert (code, served["requests"][0]["passed"]) == (0, True), served
    become("third")
    assert run("approve", "book", str(served["requests"][0]["version"]), "--reason", "read")[0] == 0

    # Back, and all that was kept is what it was.
    assert run("rollback", "book", "--reason", "too early")[1]["version"] == 2
    assert [row["version"] for row in run("history", "book")[1]] == [2, 4, 2]
    code, verified = run("verify", "book")
    assert (code, verified["ok"]) == (0, True), verified
    assert not [f for f in verified["findings"] if f["state"] == "not sealed"]
    code, doctor = run("doctor")
    assert "loads, digest checked" in doctor["champions"]["book"], doctor
    assert doctor["plug-ins"] == {"riskwright.systems deposits": "bank-deposits 1.0 loads"}

    # MLflow answers with it.
    import mlflow

    model = mlflow.pyfunc.load_model("models:/book.retention@champion")
    asked = pd.DataFrame({"segment": ["retail", "marine"], "balance": [100.0, 100.0]})
    told = model.predict(asked)
    assert told["stays"][0] == pytest.approx(90, abs=2)
    assert told["note"].tolist() == ["", "segment isn't declared"]
    assert told["stays"].isna().tolist() == [False, True]

    # So does the door for Python.
    import riskwright

    assert riskwright.score("book", asked).frame["stays"][0] == pytest.approx(90, abs=2)
    assert riskwright.monitor("book", batch).alert == seen["alert"]


def test_what_it_has_no_command_for_is_refused(source: Path, home: Home) -> None:
    Ledger.open(home, create=True)
    code, told = run("forecast", "book")
    assert code == 2
    assert "'book' is about deposits: it forecasts no market" in told["what"]
    assert "riskwright score book --input FILE --output FILE" in told["do"]


def test_a_typo_in_its_yaml_is_told(source: Path, home: Home) -> None:
    path = known_usecases(home)["book"]
    path.write_text(path.read_text(encoding="utf-8").replace("segments:", "segment:"))
    code, told = run("retrain", "book")
    assert (code, told["what"]) == (2, "unknown key 'segment' in the use case (and 1 more)")
    assert "'segments'" in told["do"]


def test_commands_that_need_no_data_stay_light(source: Path, home: Home) -> None:
    heavy = ("pandas", "mlflow", "scipy", "sklearn", "prefect")
    code = (
        "import sys; from riskwright.life.system import load_case; "
        "from riskwright.home import Home; "
        "load_case('book', Home()); print([m for m in sys.argv[1:] if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_door_for_python_knows_it(source: Path, become: Callable[[str], Account]) -> None:
    import riskwright as rw
    from riskwright.errors import InputRefused

    checked = rw.check("book")
    assert (checked.read, checked.accepted, checked.refused) == (902, 900, 2)
    assert "balance is no number" in checked.refusals["reason"].tolist()
    trained = rw.retrain("book", progress=False)
    assert not trained.live
    assert "gates" in trained._repr_html_()
    assert trained.plot().axes
    assert [w.version for w in rw.candidates("book")] == [trained.version]
    become("second")
    rw.approve("book", trained.version, "gates read")
    batch = accounts(400, 2).set_axis(range(1000, 1400), axis=0)
    scored = rw.score("book", batch)
    assert list(scored.frame.index) == list(batch.index)
    assert scored.version == trained.version
    assert rw.monitor("book", accounts(400, 2)).alert is None
    seen = rw.monitor("book", accounts(400, 3, business=0.4))
    assert seen.alert_open
    assert seen.plot().axes
    assert rw.decide(seen.alert, "retrain", "they left").request is not None
    for ask in (rw.explain, rw.value_book):
        with pytest.raises(InputRefused):
            ask("book", batch)
    with pytest.raises(InputRefused):
        rw.forecast("book")
