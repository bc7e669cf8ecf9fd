"""Tests of the backtest's page, of its CSV files, and of the sentence that ends a forecast."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskwright.errors import InputRefused
from riskwright.systems.market import recommendation, report, skill, strategy, trials

N = 300


def horizon(name: str, h: int, planted: float, family: str = "ridge") -> report.Horizon:
    rng = np.random.default_rng(h)
    months = pd.period_range("1985-01", periods=N, freq="M", name="origin")
    x = np.sin(np.arange(N) / 15)
    actual = pd.Series(0.01 * h + planted * x + rng.normal(0, 0.05, N), months)
    forecasts = pd.DataFrame(
        {
            "historical_mean": 0.01 * h,
            "ensemble": 0.01 * h + (planted or 0.002) * x,
            family: 0.01 * h + rng.normal(0, 0.02, N),
        },
        months,
    )
    ends = {
        f"{side}{level}": forecasts["ensemble"] + sign * z * 0.05
        for level, z in ((80, 1.2816), (95, 1.96))
        for side, sign in (("low", -1), ("high", 1))
    }
    parts = pd.DataFrame({"dp": 0.01 * x, "tbl": -0.004 * x}, months)
    return report.Horizon(name, h, forecasts, actual, pd.DataFrame(ends), parts)


def write(folder: Path, **changes: Any) -> str:
    rng = np.random.default_rng(3)
    months = pd.period_range("1985-01", periods=N, freq="M")
    weights = pd.DataFrame(
        rng.uniform(0, 1.5, (N, 3)), months, ["ensemble", "historical_mean", "ridge"]
    )
    equity = pd.Series(rng.normal(0.008, 0.04, N), months)
    bills = pd.Series(0.002, months)
    every = strategy.compare(weights, equity, bills)
    tried = trials.Tried(40, every.returns[list(weights)].sub(every.bills, axis=0))
    given: dict[str, Any] = {
        "title": "US equity return",
        "horizons": [horizon("m1", 1, 0.0), horizon("m12", 12, 0.0)],
        "strategies": strategy.compare(weights.drop(columns="ridge"), equity, bills),
        "tried": tried,
        "notes": ["Revisions of the macro series remain."],
    }
    path = report.write_report(folder, **(given | changes))
    assert path == folder / "report.html"
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a backtest without skill was written."""
    there = tmp_path_factory.mktemp("backtest") / "new" / "folder"
    write(there)
    return there


class Links(HTMLParser):
    """Everything that a page would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [v or "" for k, v in attrs if k in {"src", "href", "srcset", "data"}]


def test_the_page_is_one_file_and_the_figures_lie_beside_it(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    links = Links()
    links.feed(page)
    assert len(links.found) == 8
    assert all(link.startswith("data:image/png;base64,") for link in links.found)
    assert {"script", "link", "iframe"}.isdisjoint(links.tags)
    files = {p.name for p in folder.iterdir()}
    assert files == {
        "report.html", "strategy.csv", "strategy_returns.csv", "strategy_weights.csv", "costs.csv",
        *(
            f"{name}_{model}.csv"
            for model in ("m1", "m12")
            for name in (
                "forecasts", "skill", "skill_by_decade", "skill_by_state", "worst_blocks",
                "coverage", "coverage_by_decade",
            )
        ),
    }  # fmt: skip


def test_the_csv_files_hold_what_was_computed(folder: Path) -> None:
    one = horizon("m12", 12, 0.0)
    kept = pd.read_csv(folder / "skill_m12.csv", index_col="family")
    table = skill.judge(one.forecasts, one.actual, 12).table
    pd.testing.assert_frame_equal(kept, table)
    forecasts = pd.read_csv(folder / "forecasts_m12.csv", index_col="origin")
    assert forecasts["ensemble"].tolist() == pytest.approx(one.forecasts["ensemble"].tolist())
    assert {"actual", "low80", "high95"} <= set(forecasts)


def test_no_skill_is_said_on_top(folder: Path, tmp_path: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    told = "No skill beyond the historical mean at any horizon."
    assert told in page
    assert page.index(told) < page.index("skill against the historical mean")
    assert page.count("no skill beyond the mean: R² out of sample") == 2
    assert "Revisions of the macro series remain." in page
    assert "After 40 trials" in page
    assert told not in write(tmp_path, horizons=[horizon("m1", 1, planted=0.05)])


def test_names_from_files_are_text_and_nothing_else(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    page = write(tmp_path, title=evil, horizons=[horizon("m1", 1, 0.0, family=evil)], notes=[evil])
    assert evil not in page
    assert page.count("&lt;script&gt;") >= 4


def test_a_backtest_that_cannot_be_judged_leaves_nothing(tmp_path: Path) -> None:
    broken = horizon("m1", 1, 0.0)
    broken.forecasts.iloc[7, 1] = np.nan
    with pytest.raises(InputRefused, match="ensemble: no number"):
        write(tmp_path / "out", horizons=[horizon("m12", 12, 0.0), broken])
    assert not (tmp_path / "out").exists()


# --- the sentence


MOVED = {
    "share": 0.5,
    "months": 690,
    "tested": [
        {"share": 0.25, "gain": 0.004, "low": 0.002, "high": 0.006},
        {"share": 0.5, "gain": 0.006, "low": 0.001, "high": 0.011},
        {"share": 0.75, "gain": 0.007, "low": -0.001, "high": 0.015},
    ],
}
STAYED = {"share": 0.0, "months": 690, "tested": [MOVED["tested"][-1] | {"share": 0.25}]}


def told(
    passed: bool | None, rule: float = 0.72, moving: dict[str, Any] = MOVED, **figures: Any
) -> str:
    found = {
        "h": 12,
        "months": 690,
        "independent": 57,
        "r2": 0.045,
        "r2_low": 0.01,
        "r2_high": 0.08,
        "p": 0.004,
    } | figures
    return recommendation.sentence(
        h=12,
        target="excess",
        expected=0.061,
        low=-0.14,
        high=0.263,
        above_cash=0.65,
        rule_weight=rule,
        strategic_weight=0.6,
        moving=moving,
        figures=found,
        passed=passed,
    )


def test_the_sentence_says_what_to_hold_and_why() -> None:
    assert told(True) == (
        "Hold 66% in equities and 34% in bills: expected return over bills +6.1% over the next 12 "
        "months (80 % interval -14.0% to +26.3%), more than bills with probability 0.65. The "
        "forecast taken at its word says 72%; a move from the strategic weight of 60% was worth "
        "it: going 50% of the way to the rule's weight would have been worth +0.60% of certain "
        "return a year (+0.10% to +1.10%, 690 months, after costs). Evidence: firm, of skill "
        "beyond the historical mean (out-of-sample R² +4.5% (+1.0% to +8.0%), p 0.004, 690 months, "
        "about 57 independent outcomes); most of what will happen stays unknown."
    )


def test_a_weight_that_no_test_allows_is_never_commanded() -> None:
    said = told(True, 1.5, STAYED)
    assert said.startswith("Keep 60% in equities and 40% in bills:")
    assert "there is no evidence for moving from the strategic weight of 60%: going 25%" in said
    assert "Keep 60%" in told(False, 1.5, {"share": 0.0, "months": 0, "tested": []})
    assert "holds no test" in told(False, 1.5, {"share": 0.0, "months": 0, "tested": []})


@pytest.mark.parametrize(
    ("passed", "figures", "words"),
    [
        (True, {"p": 0.03}, "Evidence: some, of skill"),
        (True, {"r2_low": -0.001}, "Evidence: some, of skill"),
        (False, {"p": 0.2}, "Evidence: no skill beyond the historical mean ("),
        (None, {"p": None}, "Evidence: none; "),
    ],
)
def test_the_evidence_is_never_stronger_than_the_gate(
    passed: bool | None, figures: dict[str, Any], words: str
) -> None:
    assert words in told(passed, **figures)


def test_borrowing_is_called_by_its_name() -> None:
    assert "Hold 105% in equities and borrow 5%:" in told(True, 1.5)


def test_the_historical_mean_itself_claims_nothing() -> None:
    one = horizon("m12", 12, 0.0)
    alone = one.forecasts.assign(ensemble=one.forecasts["historical_mean"])
    passed, _, figures = skill.skill_gate(alone, one.actual, 12)
    assert recommendation.strength(figures, passed) == (
        "Evidence: none; the forecast is the historical mean."
    )
