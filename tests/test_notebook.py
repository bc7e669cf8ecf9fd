"""The notebook, and the snippet of the README: run as they stand, each cell shown."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from tiny import Live, applications

from riskwright.home import Home

REPOSITORY = Path(__file__).resolve().parents[1]
NOTEBOOK = REPOSITORY / "docs" / "notebooks" / "demo.ipynb"
SHOWN = ("_repr_html_", "_repr_png_")


def cells() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


def show(source: str, names: dict[str, Any]) -> Any:
    """Run a cell as a notebook does: what its last expression gives is shown, richly if it can."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if not isinstance(last, ast.Expr):
        return None
    value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    if value is None:
        return None
    rich = [getattr(value, name)() for name in SHOWN if hasattr(value, name)]
    assert rich, source
    return rich[0]


def test_the_notebook_has_no_outputs() -> None:
    assert all(cell["outputs"] == [] for cell in cells())
    assert all(cell["execution_count"] is None for cell in cells())


@pytest.mark.timeout(900)  # a retrain and two looks: half a minute, on a busy machine minutes
def test_the_notebook_runs(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    pages = [show("".join(cell["source"]), names) for cell in cells()]
    assert any("gates" in str(page) for page in pages)
    assert names["trained"].live
    assert names["calm"].alert is None
    assert names["alarmed"].alert_open
    assert names["decided"].decision == "accept"
    assert len(names["scored"].frame) == len(names["new"])
    assert list(names["scored"].refused["reason"].str.contains("AGE")) == [True]
    told = capsys.readouterr()
    assert "fit" in told.err  # a line for each step, where no bar can be drawn
    kept = home.root / "usecases" / "notebook_demo.yaml"
    assert kept.read_text(encoding="utf-8").startswith("# given as a dictionary in Python, by ")

    # By its name it is a use case like any other, and its author is known.
    import riskwright as rw

    again = rw.retrain("notebook_demo", progress=False)
    assert again.nothing_new
    assert "gave it in Python" in " ".join(again.notes)
    assert again.version == names["trained"].version


def test_the_snippet_of_the_readme_runs(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    """As it stands, but for the use case: a small one that is trained already."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    snippet = text.partition("## From Python")[2].partition("```python\n")[2].partition("```")[0]
    frame = applications(200).drop(columns="default.payment.next.month")
    names: dict[str, Any] = {"frame": frame}
    lines = snippet.replace("credit_assessment", "tiny").splitlines()
    train = [line for line in lines if "rw.retrain" in line]
    assert len(train) == 1  # the notebook's test runs one
    exec("\n".join(line for line in lines if line not in train), names)
    assert "decision" in capsys.readouterr().out
    assert names["seen"].usecase == "tiny"
